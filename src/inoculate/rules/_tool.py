"""Runs the tools that validate and replay rules: no shell, bounded time, no network asked for."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from inoculate.errors import InputError

_SHOWN = 400


def found(name: str) -> str | None:
    """Return the path of a program, None where it is not installed."""
    return shutil.which(name)


def run(words: Sequence[str], folder: Path, *, seconds: float, fine: Sequence[int] = (0,)) -> str:
    """Run a program in a folder and return its standard output.

    Args:
        words: program and arguments.
        folder: where it runs, and its home.
        seconds: longest wall time.
        fine: exit codes that are no failure.

    Raises:
        InputError: it fails or does not end, with the end of what it said.
    """
    keep = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")
    environment = {k: v for k, v in os.environ.items() if k in keep} | {"HOME": str(folder)}
    name = Path(words[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - a list, and a program found on the PATH
            list(words), cwd=folder, env=environment, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as err:
        raise InputError(f"{name} did not end within {seconds:.0f} s") from err
    except OSError as err:
        raise InputError(f"{name} cannot be run: {err.strerror}") from err
    if done.returncode not in fine:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise InputError(f"{name} refuses the rule: {' '.join(said[-_SHOWN:].split())}")
    return done.stdout.decode("utf-8", "replace")
