"""Hashed n-grams: against a slow reading of the definition, and the same for ever."""

import numpy as np
import polars as pl
import pytest

from inoculate.features import hashing
from inoculate.features.hashing import (
    MOST_BYTES,
    coded_grams,
    columns_of,
    grams_in,
    hashed_view,
    text_grams,
    token_grams,
    token_grams_in,
)

TEXTS = ["google.com", "", "a", None, "é日本", "a\0b", "x" * 40]
PLACES = {"abc": [26, 518, 832], "read write": [280, 355, 366]}
TOKENS = [["open", "read", "open"], [], None, ["a"], ["", "b"], ["a", None]]


def slowly(symbols: list[int], width: int, orders) -> np.ndarray:
    edged = np.array([0, *symbols, 0], np.uint64)
    counts = np.zeros(width)
    for order in orders:
        for i in range(len(edged) - order + 1):
            gram = edged[i : i + order]
            if gram.any() or order > 1:
                counts[hashing._buckets(gram, order, width)[0]] += 1
    return np.log2(1 + counts)


@pytest.mark.parametrize("orders", [(1,), (2,), (1, 2, 3), (4,)])
def test_texts_are_counted_as_the_definition_says(orders):
    x = text_grams(pl.Series(TEXTS), 50, orders=orders)
    for row, text in zip(x, TEXTS, strict=True):
        if text is None:
            assert np.isnan(row).all()
        else:
            expected = slowly([b + 1 for b in text.encode()], 50, orders)
            np.testing.assert_allclose(row, expected, rtol=1e-6)


@pytest.mark.parametrize("orders", [(1,), (1, 2), (2, 3)])
def test_tokens_are_counted_as_the_definition_says(orders):
    x = token_grams(pl.Series(TOKENS, dtype=pl.List(pl.String)), 40, orders=orders)
    for row, tokens in zip(x, TOKENS, strict=True):
        if tokens is None:
            assert np.isnan(row).all()
        else:
            symbols = [hashing._token(t or "") for t in tokens]
            np.testing.assert_allclose(row, slowly(symbols, 40, orders), rtol=1e-6)


def test_a_text_is_encoded_the_same_alone_and_among_thousands():
    many = pl.Series([f"host-{i}.example" for i in range(3_000)])
    together = text_grams(many, 64)
    for i in (0, 1_023, 1_024, 2_999):
        np.testing.assert_array_equal(text_grams(many[i : i + 1], 64)[0], together[i])


def test_columns_stay_where_they_are_in_every_version():
    x = text_grams(pl.Series(["abc"]), 1000, orders=(3,))[0]
    assert np.flatnonzero(x).tolist() == PLACES["abc"]
    x = token_grams(pl.Series([["read", "write"]]), 1000, orders=(2,))[0]
    assert np.flatnonzero(x).tolist() == PLACES["read write"]


def test_what_is_beyond_the_limit_is_not_counted():
    long = "a" * MOST_BYTES
    x = text_grams(pl.Series([long, long + "zzz"]), 64)
    np.testing.assert_array_equal(x[0], x[1])


@pytest.mark.parametrize("text", ["google.com", "a\0b", "é日"])
def test_a_column_can_be_quoted_in_the_records_own_words(text):
    x = text_grams(pl.Series([text]), 256)[0]
    quoted = [grams_in(text, c, 256) for c in np.flatnonzero(x)]
    assert all(quoted)
    assert not any(grams_in(text, c, 256) for c in np.flatnonzero(x == 0))
    assert sum(len(q) for q in quoted) >= len(set(text))


def test_tokens_can_be_quoted_too():
    tokens = ["open", "read"]
    column = int(np.flatnonzero(token_grams(pl.Series([tokens]), 512, orders=(2,))[0])[1])
    (quoted,) = token_grams_in(tokens, column, 512, orders=(2,))
    assert quoted in {"^ open", "open read", "read $"}


def test_a_hashed_view_names_its_columns_in_order():
    view = hashed_view("gram", 256, "character sequences")
    assert [c.name for c in view.columns[:2]] == ["gram_000", "gram_001"]
    assert columns_of(view)["gram_255"] == 255


def test_coded_tokens_count_as_the_tokens_they_stand_for():
    names = ["a", "b", "c"]
    sequences = [["a", "b", "a"], [], ["c", "c", "b", "a"]] * 700
    lengths = np.array([len(s) for s in sequences])
    codes = np.array([names.index(t) for s in sequences for t in s])
    np.testing.assert_array_equal(
        coded_grams(codes, lengths, names, 16), token_grams(pl.Series(sequences), 16)
    )
