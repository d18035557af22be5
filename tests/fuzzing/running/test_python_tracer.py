"""What inputs of a Python function pass, by a call whose lines are counted."""

import os
import threading
import time

import pytest

from inoculate.errors import InputError
from inoculate.fuzzing.running.limits import Limits, processes_of
from inoculate.fuzzing.running.python_run import PythonTarget
from inoculate.fuzzing.running.python_tracer import PythonTracer

MODULE = """
import ctypes, json, os

def load(data: bytes):
    if data == b"segv": ctypes.string_at(0)
    if data == b"parent": os.kill(os.getppid(), 9)
    if data == b"rare":
        data = b"other"
    while data == b"endless":
        pass
    json.dumps([1, 2], indent=1)
    for byte in data:
        data = data
    if data.endswith(b"bad"):
        raise RuntimeError
"""
MARK = f"python-tracer-{os.getpid()}"


@pytest.fixture
def tracer(tmp_path):
    (tmp_path / "traced_module.py").write_text(MODULE)
    (tmp_path / "run").mkdir()
    target = PythonTarget(
        "traced_module.load", "bytes", (), (str(tmp_path),), Limits(256 << 20, 0.3)
    )
    made = PythonTracer(target, tmp_path / "run", MARK)
    yield made
    made.close()
    deadline = time.monotonic() + 5
    while list(processes_of(MARK)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(processes_of(MARK))


def test_a_costly_input_passes_more_and_a_rare_one_has_an_edge_of_its_own(tracer):
    tracer.start()
    plain, again, costly, rare = tracer([b"xxxxx", b"xxxxx", b"x" * 200, b"rare"])
    assert plain == again
    # seven lines, and of the loop two for each byte; what json does is not the target's
    assert sum(plain.values()) == 7 + 2 * 5
    assert sum(costly.values()) == 7 + 2 * 200
    assert set(rare) - set(plain) - set(costly)


def test_a_call_in_another_process_tells_the_same_edges(tracer):
    (one,) = tracer([b"rare"])
    tracer.close()
    assert tracer([b"rare"]) == [one]


def test_a_bad_end_is_traced_and_what_has_no_end_or_ends_the_process_is_not(tracer):
    bad, endless, crash, parent, fine = tracer([b"bad", b"endless", b"segv", b"parent", b"x"])
    assert bad and fine
    assert (endless, crash, parent) == (None, None, None)


def test_it_can_be_interrupted(tracer):
    tracer.start()
    ended = []

    def work():
        try:
            tracer([b"endless"] * 1000)
        except (OSError, InputError) as err:
            ended.append(err)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        time.sleep(0.2)
        tracer.interrupt()
    assert ended


def test_a_module_that_is_gone_is_told(tmp_path):
    target = PythonTarget("no_such_module.load", "bytes", (), (), Limits(1 << 28, 0.3))
    with pytest.raises(InputError, match="no such function"):
        PythonTracer(target, tmp_path, MARK).start()
