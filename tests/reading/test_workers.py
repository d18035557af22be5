"""Workers: what they answer, and that they die alone."""

import os
from pathlib import Path

import pytest

from inoculate.reading.workers import WorkerError, WorkerLimits, Workers, shared_workers
from tests.reading.hostile import CRASH, ECHO, FLOOD, HANG, HOARD, LIE, OPEN, PRINT, RAISE, SPIN

FUNCTION = "tests.reading.hostile:hostile"
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def importable():
    """A worker imports nothing from the folder it is started in, but from PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        yield


@pytest.fixture(scope="module")
def workers():
    limits = WorkerLimits(wall_s=2.0, cpu_s=1, memory_bytes=1 << 30, answer_bytes=1 << 22)
    some = Workers(FUNCTION, limits=limits)
    yield some
    some.close()


def test_answers_come_in_order_part_by_part(workers):
    requests = [(ECHO, bytes([i]) * (i * 5000)) for i in range(40)]
    answers = list(workers.ask_all(iter(requests)))
    assert [a[0] for a, _ in answers] == [data for _, data in requests]
    assert all(a[1] == b"" and not why for a, why in answers)


def test_more_than_a_pipe_holds_goes_through(workers):
    data = os.urandom(3_000_000)
    assert workers.ask(ECHO, data)[0] == data


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (CRASH, "signal 11"),
        (HANG, "over 2 s"),
        (FLOOD, "over 4194304 bytes"),
        (RAISE, "exit code 1"),
        (LIE, "bytes"),
    ],
)
def test_a_worker_dies_alone_and_says_why(workers, mode, reason):
    requests = [(ECHO, b"before"), (mode, b"x"), (ECHO, b"after")]
    answers = list(workers.ask_all(requests))
    assert [a and a[0] for a, _ in answers] == [b"before", None, b"after"]
    assert reason in answers[1][1]


def test_memory_is_bounded():
    limits = WorkerLimits(wall_s=30.0, cpu_s=20, memory_bytes=1 << 30)
    workers = Workers(FUNCTION, n_workers=1, limits=limits)
    with pytest.raises(WorkerError, match="exit code 1"):
        workers.ask(HOARD, b"x")
    assert workers.ask(ECHO, b"after")[0] == b"after"
    workers.close()


def test_processor_time_is_bounded():
    limits = WorkerLimits(wall_s=30.0, cpu_s=1)
    workers = Workers(FUNCTION, n_workers=1, limits=limits)
    with pytest.raises(WorkerError, match="1 s of processor time"):
        workers.ask(SPIN, b"")
    workers.close()


def test_a_worker_cannot_open_a_file(workers):
    assert workers.ask(OPEN, b"")[0] == b"Too many open files"


def test_what_a_parser_prints_is_not_its_answer(workers):
    assert workers.ask(PRINT, b"")[0] == b"quiet"


def test_a_function_that_does_not_exist_is_an_error_not_a_hang():
    workers = Workers("inoculate.reading.workers:nothing", n_workers=1)
    with pytest.raises(WorkerError, match="does not start"):
        workers.ask(ECHO, b"")
    workers.close()


def test_requests_left_unasked_for_are_dropped(workers):
    answers = workers.ask_all((ECHO, b"x") for _ in range(1000))
    assert next(answers)[0][0] == b"x"
    answers.close()
    assert workers.ask(ECHO, b"y")[0] == b"y"


def test_shared_workers_are_shared():
    assert shared_workers(FUNCTION) is shared_workers(FUNCTION)
