"""The fuzzer itself: each broken promise is noticed, and mutants are the same for a seed."""

import os
import random
import time
import warnings
from itertools import count

import pytest

from inoculate.errors import RecordError
from tests.fuzz import promise
from tests.fuzz.mutations import Mutator
from tests.fuzz.seeds import seeds


def raises(error):
    raise error


@pytest.mark.parametrize(
    ("read", "key"),
    [
        (lambda _: raises(KeyError("x")), "KeyError"),
        (lambda _: raises(MemoryError()), "MemoryError"),
        (lambda _: warnings.warn("odd", stacklevel=1), "UserWarning"),
        (lambda _: os.write(1, b"hello"), "prints"),
        (lambda _: os.write(2, b"thread panicked"), "prints"),
        (lambda _: time.sleep(1), "TooSlowError"),
    ],
)
def test_a_reader_that_breaks_a_promise_is_noticed(read, key, monkeypatch, capfd):
    monkeypatch.setattr(promise, "LIMIT_S", 0.05)
    with capfd.disabled():
        broken, _ = promise.broken_promise(read, b"")
    assert broken is not None
    assert key in broken.key


def test_two_readings_that_differ_are_noticed():
    numbers = count()
    broken, _ = promise.broken_promise(lambda _: (next(numbers),), b"")
    assert broken.key == "differs"


def test_memory_that_grows_is_noticed(monkeypatch):
    peaks = iter((0, promise.LIMIT_BYTES + 1))
    monkeypatch.setattr(promise, "_peak_bytes", lambda: next(peaks))
    broken, _ = promise.broken_promise(lambda _: (), b"")
    assert broken.key == "memory"


def test_an_expected_error_keeps_the_promise():
    error = RecordError("bad", origin="x:1")
    broken, outcome = promise.broken_promise(lambda _: raises(error), b"")
    assert broken is None
    assert outcome == ("RecordError", "x:1: bad")


@pytest.mark.parametrize("name", ["table", "pcap", "zeek_conn"])
def test_a_seed_gives_the_same_mutants_and_nearly_all_differ_from_their_origin(name):
    known = list(seeds(name).values())

    def mutants(seed):
        mutate = Mutator(random.Random(seed))
        return [mutate(known[0], known) for _ in range(100)]

    assert mutants(1) == mutants(1) != mutants(2)
    assert sum(m != known[0] for m in mutants(1)) > 80
