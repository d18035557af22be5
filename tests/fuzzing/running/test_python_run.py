"""Python targets in processes of their own: each input apart, whatever it does."""

import os
import signal
import time
from pathlib import Path

import pytest

from inoculate.errors import InputError
from inoculate.fuzzing.running.limits import Limits, end_all, processes_of
from inoculate.fuzzing.running.python_run import PythonReplay, PythonTarget

MODULE = """
import ctypes, os, sys, time

ODD = {"__str__": lambda self: 1 / 0, "__module__": "elsewhere"}

def load(data: bytes):
    if data == b"segv": ctypes.string_at(0)
    if data == b"exit": os._exit(5)
    if data == b"abort": os.abort()
    if data == b"memory": return bytearray(1 << 33)
    if data == b"sleep": time.sleep(600)
    if data == b"loud": sys.stdout.write("x" * (1 << 20)); os.write(2, b"y" * (1 << 20))
    if data == b"count": (lambda n: [n ** n for _ in range(9)])(10 ** 7)
    if data == b"stay":
        if os.fork() == 0: os.setsid(); time.sleep(600)
    if data == b"parent": os.kill(os.getppid(), 9)
    if data == b"here": open("here", "w").write("x")
    if data == b"odd": raise type("Odd", (Exception,), ODD)()
"""


@pytest.fixture
def replay(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sample_module.py").write_text(MODULE)
    target = PythonTarget(
        "sample_module.load", "auto", (), (str(tmp_path / "code"),), Limits(256 << 20, 0.3)
    )
    mark = f"python-run-{os.getpid()}"
    (tmp_path / "run").mkdir()
    made = PythonReplay(target, tmp_path / "run", mark, first=b"x")
    yield made
    made.close()
    end_all(mark)
    deadline = time.monotonic() + 5
    while list(processes_of(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(processes_of(mark))


def test_each_end_is_told_and_the_next_input_is_not_touched(replay):
    assert replay.form == "bytes"
    for data, kind in (
        (b"fine", None),
        (b"segv", "SEGV"),
        (b"exit", "exit"),
        (b"abort", "ABRT"),
        (b"memory", "MemoryError"),
        (b"loud", None),
        (b"stay", None),
        (b"parent", "exit"),
        (b"fine", None),
    ):
        ending = replay(data)
        assert (ending and ending.kind) == kind, data


def test_a_crash_of_the_interpreter_is_placed_in_the_target(replay):
    ending = replay(b"segv")
    assert (ending.cwe, ending.place.function, ending.place.line) == (119, "load", 7)


@pytest.mark.parametrize("data", [b"sleep", b"count"])
def test_what_cannot_be_interrupted_is_a_hang_all_the_same(replay, data):
    ending = replay(data)
    assert (ending.kind, ending.cwe) == ("hang", 400)


def test_files_are_written_where_they_are_thrown_away(replay, tmp_path):
    assert replay(b"here") is None
    assert [p.parent.name for p in tmp_path.rglob("here")] == ["work"]
    assert not Path("here").exists()


def test_an_exception_that_cannot_be_shown_is_told(replay):
    assert replay(b"odd").kind.startswith("Odd")


def test_a_module_that_fails_when_imported_is_told(tmp_path):
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('at import')")
    target = PythonTarget("broken_module.load", "auto", (), (str(tmp_path),), Limits(1 << 28, 0.3))
    with pytest.raises(InputError, match="RuntimeError: at import"):
        PythonReplay(target, tmp_path, "broken")


def test_a_module_that_ends_the_interpreter_is_told(tmp_path):
    (tmp_path / "gone_module.py").write_text(f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})")
    target = PythonTarget("gone_module.load", "auto", (), (str(tmp_path),), Limits(1 << 28, 0.3))
    with pytest.raises(InputError, match="does not finish importing"):
        PythonReplay(target, tmp_path, "gone")
