"""Shapes of texts: against a slow reading of each column's definition."""

import itertools
import math
import string

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inoculate.domain import Column
from inoculate.features.text.text_shape import (
    GENERAL_COLUMNS,
    MOST_CHARS,
    entropy,
    general_shape,
    histogram,
    matches,
    members,
    pieces,
    prefixed,
    repeats,
    runs,
    share,
    text_bytes,
)

TEXTS = ["GET /a?b=1", "", "aaa  bbb\t1234", None, "é日本 ü", "a\0b\x1b[31m", "DEADbeef99", "\n\n"]
BLANKS = " \t\r\n\v\f"


def longest(text, inside):
    groups = [len(list(g)) for ok, g in itertools.groupby(text, inside) if ok]
    return max(groups, default=0), len(groups)


def slowly(text: str) -> list[float]:
    # beyond ASCII a character is told by the first byte of its UTF-8 form
    text = [c.encode()[:1] if ord(c) > 127 else c for c in text]
    n = len(text)
    ascii_ = [c for c in text if isinstance(c, str)]
    kinds = [
        sum(c in string.ascii_lowercase for c in ascii_),
        sum(c in string.ascii_uppercase for c in ascii_),
        sum(c in string.digits for c in ascii_),
        sum(c in BLANKS for c in ascii_),
        sum(c in string.punctuation for c in ascii_),
        n - len(ascii_),
        sum(c not in BLANKS and (c < " " or c == "\x7f") for c in ascii_),
    ]
    counts = [text.count(c) for c in set(text)]
    bits = -sum(c / n * math.log2(c / n) for c in counts)
    words = longest(text, lambda c: c not in list(BLANKS + "\0"))
    numbers = longest(text, lambda c: c in list(string.digits))
    return [
        n,
        *(k / n if n else math.nan for k in kinds),
        bits,
        len(set(text)),
        words[1],
        words[0],
        numbers[1],
        numbers[0],
        longest(text, lambda c: c in list(string.ascii_letters))[0],
        longest(text, lambda c: c in list(string.hexdigits))[0],
        max((len(list(g)) for k, g in itertools.groupby(text) if k != "\0"), default=0)
        or min(n, 1),
    ]


def check(texts):
    x = general_shape(pl.Series(texts, dtype=pl.String))
    assert x.shape == (len(texts), len(GENERAL_COLUMNS)) and x.dtype == np.float32
    for row, text in zip(x, texts, strict=True):
        expected = [math.nan] * len(GENERAL_COLUMNS) if text is None else slowly(text)
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-5, err_msg=repr(text))


def test_shapes_are_as_defined():
    check(TEXTS)


@given(st.lists(st.text(max_size=30) | st.text("aA0 .%\0é", max_size=30), min_size=1, max_size=5))
def test_shapes_of_any_text_are_as_defined(texts):
    check(texts)


def test_no_text_at_all_gives_no_row():
    assert general_shape(pl.Series([], dtype=pl.String)).shape == (0, len(GENERAL_COLUMNS))


def test_a_text_has_one_shape_alone_and_among_thousands():
    many = pl.Series([f"host-{i}.example/{'x' * (i % 7)}" for i in range(5_000)])
    together = general_shape(many)
    for i in (0, 2_047, 2_048, 4_999):
        np.testing.assert_array_equal(general_shape(many[i : i + 1])[0], together[i])
    assert sum(len(some) for _, some in pieces(many)) == 5_000


def test_what_is_beyond_the_limit_does_not_count():
    long = "a" * MOST_CHARS
    x = general_shape(pl.Series([long, long + "999"]))
    np.testing.assert_array_equal(x[0], x[1])


def test_counts_and_entropy_by_hand():
    some = text_bytes(pl.Series(["aabb", "", "a\0"]))
    counts = histogram(some)
    assert counts.sum(axis=1).tolist() == [4, 0, 2]
    assert counts[0, [97, 98]].tolist() == [2, 2] and counts[2, 0] == 1
    assert entropy(counts).tolist() == [1.0, 0.0, 1.0]
    codes = np.zeros(256, np.uint8)
    codes[97], codes[98] = 1, 2
    assert histogram(some, codes).tolist() == [[0, 2, 2], [0, 0, 0], [1, 1, 0]]


def test_runs_end_where_a_text_ends():
    some = text_bytes(pl.Series(["1a22", "333", "", "4"]))
    longest_run, n_runs = runs(some, members("0123456789"))
    assert longest_run.tolist() == [2, 3, 0, 1] and n_runs.tolist() == [2, 1, 0, 1]
    assert repeats(text_bytes(pl.Series(["aab", "", "b", "bb"]))).tolist() == [2, 0, 1, 2]


def test_a_share_of_nothing_is_unknown():
    np.testing.assert_array_equal(share([1, 0], [2, 0]), [0.5, np.nan])


def test_matches_are_counted_and_null_is_unknown():
    x = matches(pl.Series(["a.b.c", "", None]), (r"\.", "[a-z]"))
    np.testing.assert_array_equal(x, np.array([[2, 3], [0, 0], [np.nan] * 2], np.float32))


@pytest.mark.parametrize("prefix", ["host", "rest"])
def test_columns_of_a_part_are_named_after_it(prefix):
    (column,) = prefixed(prefix, "there: ", (Column("length", "character", "length"),))
    assert column == Column(f"{prefix}_length", "character", "there: length")
