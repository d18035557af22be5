"""Holds every agent to its contract; a new file is picked up by itself."""

from functools import cache
from pathlib import Path

import pytest

from inoculate.agent_checks import AGENT_CHECKS, quick
from inoculate.registry import AGENTS

HERE = Path(__file__).parent


@cache
def trained(name: str):
    """An agent meta-trained on toy programs; checks find out if one of them changes it."""
    return quick(AGENTS.load(name))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", AGENTS.names())
def test_agent(name, check):
    check(trained(name))


@pytest.mark.parametrize("name", AGENTS.names())
def test_every_agent_has_its_own_test(name):
    assert (HERE / "agents" / f"test_{name}.py").exists(), f"write tests/agents/test_{name}.py"
