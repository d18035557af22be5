"""Runs of fuzz that are killed, as a user's would be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


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


def command_lines():
    """Yield those of all processes."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
