"""Shared fixtures."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real labelled data; tests that need it are skipped only where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set INOCULATE_DATA")
    return DATA
