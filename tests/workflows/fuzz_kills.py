"""Runs of fuzz that are killed, as a user's would be."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from inoculate.fuzzing.running.limits import MARK
from inoculate.fuzzing.running.rounds import _NUMBERS

ROOT = Path(__file__).parents[2]


def number(attributes, name):
    """Return a number of a seed, of a journal's attributes."""
    return attributes[_NUMBERS.index(name)]


def passes(attributes):
    """Return what is known of what a seed passes; None where it was not traced."""
    told = tuple(number(attributes, name) for name in ("steps", "rarest", "path"))
    return told if told[-1] else None


def killed(out, arguments, *, until, cwd=ROOT, seconds=300.0):
    """Start ``inoculate fuzz`` in a process group, and kill the group when that is so.

    A run goes on with modules of where it was begun, ``cwd``.
    """
    command = [sys.executable, "-m", "inoculate.cli.main", "fuzz", *arguments]
    process = subprocess.Popen(
        [*command, "--time", "10m", "-o", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=cwd,
    )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or until(), seconds)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(what, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("not in time")


def left_behind(*journals):
    """Return the processes of starts of a run."""
    marks = [f"{MARK}={journal.mark}".encode() for journal in journals]
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(mark in entry.read_bytes() for mark in marks):
                found.append(entry.parent.name)
    return found
