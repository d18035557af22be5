"""Answers about functions: believed only where they make sense."""

import json

import polars as pl
import pytest

from inoculate.features.code.code_triage_answer import answer
from inoculate.features.code.code_triage_form import believed, hits_in

FRAME = pl.DataFrame(
    {
        "text": ["def f(a):\n    os.system('ls ' + a)\n", "", None, "def g():\n    pass\n", "x"],
        "language": ["python", "python", "python", "python", "cobol"],
    }
)


def ask(requests):
    for mode, data in requests:
        yield list(answer(mode, data)), ""


def test_records_are_looked_at_in_their_order():
    told = hits_in(FRAME, ask)
    assert [[hit.cwe for hit in its] for its in told] == [[78], [], [], [], []]


def test_what_no_worker_survives_is_told_and_the_others_are_looked_at():
    def failing(requests):
        for mode, data in requests:
            yield (None, "it died") if b"def g" in data else (list(answer(mode, data)), "")

    told = hits_in(FRAME, failing)
    assert told[3] is None
    assert [its is None for its in told] == [False, False, False, True, False]
    assert told[0][0].cwe == 78


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{}",
        b"[]",
        b"[[], []]",
        b"[[[78, 3, 1.0, \"x\", 0]]]",
        b"[[[78, 0, 1.0, \"x\", 0]]]",
        b"[[[78, 1, 1.0, \"x\", 9]]]",
        b"[[[1, 1, 1.0, \"x\", 0]]]",
        b"[[[78, 1, NaN, \"x\", 0]]]",
        b"[[[78, 1, 1e9, \"x\", 0]]]",
        b"[[[78, 1]]]",
        b"[7]",
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_not_believed(told):
    assert believed(told, [b"a\nb"[:1]]) is None


def test_an_answer_is_cut_to_its_bounds():
    (hits,) = believed(json.dumps([[[78, 1, 1.0, "x" * 999, 0]] * 99]).encode(), [b"a"])
    assert len(hits) == 50
    assert len(hits[0].what) == 200
