"""Windows of sequences, and their description against a slow reading of its definition."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from inoculate.features.hosts.sequence import Windows, sequence_shape, sequence_view, window_starts

KINDS = ("file", "net")
CATEGORY = {"open": "file", "read": "file", "send": "net", "old": ""}


def share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def slowly(calls: list[str]) -> list[float]:
    n, counts = len(calls), Counter(calls)
    pairs = list(pairwise(calls))
    entropy = -sum(c / n * math.log2(c / n) for c in counts.values()) if n else math.nan
    return [
        math.log2(1 + n),
        share(len(counts), n),
        share(len(set(pairs)), len(pairs)),
        entropy,
        share(sum(a == b for a, b in pairs), len(pairs)),
        share(max(counts.values(), default=0), n),
        share(sum(c not in CATEGORY for c in calls), n),
        *(share(sum(CATEGORY.get(c) == kind for c in calls), n) for kind in KINDS),
    ]


def test_shape_is_what_its_definition_says():
    rng = np.random.default_rng(3)
    words = np.array(["open", "read", "send", "old", "new", "x"])
    some = [words[rng.integers(0, 6, n)].tolist() for n in (0, 1, 2, 3, 17, 200, 0)]
    x = sequence_shape(pl.Series(some, dtype=pl.List(pl.String)), CATEGORY, KINDS)
    assert x.shape == (7, len(sequence_view("calls", KINDS).columns)) and x.dtype == np.float32
    np.testing.assert_allclose(x, [slowly(calls) for calls in some], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("some", [[], [None], [[]], [[], None]])
def test_nothing_known_gives_rows_all_the_same(some):
    x = sequence_shape(pl.Series(some, dtype=pl.List(pl.String)), CATEGORY, KINDS)
    assert x.shape == (len(some), 9)
    assert not np.isinf(x).any()
    for row, calls in zip(x, some, strict=True):
        assert np.isnan(row).all() if calls is None else row[0] == 0


def test_an_unknown_call_in_a_sequence_counts_as_one_of_no_name():
    x = sequence_shape(pl.Series([["open", None]]), CATEGORY, KINDS)
    assert x[0, 6] == 0.5 and x[0, 1] == 1


@pytest.mark.parametrize("n", [1, 3, 4, 5, 6, 9, 23])
def test_windows_of_a_stream_are_those_of_the_whole(n):
    calls = [str(i) for i in range(n)]
    windows: Windows[int] = Windows(size=4, step=2)
    found = [w for i, c in enumerate(calls) for w in windows.add("t", c, 10 * i)]
    found += windows.finish()
    assert [w.first for w in found] == list(window_starts(n, size=4, step=2))
    assert all(w.calls == calls[w.first : w.first + 4] for w in found)
    assert all(w.place == 10 * w.first for w in found)
    assert not list(windows.finish())


def test_interleaved_traces_are_kept_apart():
    windows: Windows[int] = Windows(size=4, step=2)
    some = [w for i in range(12) for w in windows.add("ab"[i % 2], f"{i}", i)]
    found = {(w.trace, w.first): w.calls for w in [*some, *windows.finish()]}
    assert found == {
        ("a", 0): ["0", "2", "4", "6"],
        ("a", 2): ["4", "6", "8", "10"],
        ("b", 0): ["1", "3", "5", "7"],
        ("b", 2): ["5", "7", "9", "11"],
    }


def test_the_trace_silent_longest_ends_where_too_many_are_open():
    windows: Windows[int] = Windows(most_open=2)
    events = [("a", 1), ("b", 2), ("a", 3), ("c", 4)]
    (ended,) = [w for trace, i in events for w in windows.add(trace, "x", i)]
    assert ended.trace == "b"
    assert [w.trace for w in windows.finish()] == ["a", "c"]
