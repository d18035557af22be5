"""Counts of character and token n-grams in a fixed number of columns, by a stable hash.

Nothing is learned and nothing is stored: the same text gives the same columns in every version,
on every machine. Two n-grams may share a column; with some hundred columns and short texts that
costs little.

References:
    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009, section 2.
    Departures: counts carry no random sign, so that a column can be read as "how often"; they
    are returned as log2(1 + count).

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
    figure 14 (mix64), to spread sums of characters over the columns.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column, View
from inoculate.task import Encoded, FloatArray

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

MOST_BYTES = 8 * 1024
"""Of each text, so many bytes are counted."""

MOST_TOKENS = 4_096
"""Of each sequence, so many tokens are counted."""

_EDGE = 0
_TOKEN = np.uint64(1 << 63)
_FACTOR = np.uint64(0x100000001B3)
_ROWS_AT_ONCE = 1_024


def hashed_view(name: str, width: int, about: str, *, unit: str = "1") -> View:
    """Return a view of ``width`` columns ``name_000``, ``name_001`` ...

    Args:
        name: of the view, and the start of each column's name.
        width: columns.
        about: what is counted, as a reason begins with it ("character sequences").
        unit: of log2(1 + count).
    """
    digits = len(str(width - 1))
    columns = (Column(f"{name}_{i:0{digits}}", unit, about) for i in range(width))
    return View(name, tuple(columns))


def text_grams(texts: pl.Series, width: int, *, orders: Sequence[int] = (1, 2, 3)) -> FloatArray:
    """Return log2(1 + count) of the byte n-grams of each text, (n, width); null gives NaN.

    The two ends of a text count as a character of their own. Of each text the first
    ``MOST_BYTES`` bytes are counted, as UTF-8.

    Args:
        texts: (n,) String.
        width: columns, at least 1.
        orders: lengths of n-grams.
    """
    out = np.empty((len(texts), width), np.float32)
    for rows in _pieces(len(texts)):
        part = texts[rows.start : rows.stop]
        data = [(t or "").encode("utf-8", "replace")[:MOST_BYTES] for t in part]
        lengths = np.array([len(d) for d in data], np.int64)
        symbols = _edged(np.frombuffer(b"".join(data), np.uint8).astype(np.uint64) + 1, lengths)
        out[rows] = _counts(symbols, lengths, width, orders)
    out[texts.is_null().to_numpy()] = np.nan
    return out


def token_grams(tokens: pl.Series, width: int, *, orders: Sequence[int] = (1, 2)) -> FloatArray:
    """Return log2(1 + count) of the token n-grams of each sequence, (n, width); null gives NaN.

    The two ends of a sequence count as a token of their own. Of each sequence the first
    ``MOST_TOKENS`` are counted.

    Args:
        tokens: (n,) List(String).
        width: columns, at least 1.
        orders: lengths of n-grams; (1,) for a set, whose order means nothing.
    """
    out = np.empty((len(tokens), width), np.float32)
    for rows in _pieces(len(tokens)):
        part = tokens[rows.start : rows.stop].list.head(MOST_TOKENS)
        lengths = part.list.len().fill_null(0).to_numpy().astype(np.int64)
        # an empty list would explode to a null of its own
        flat = part.filter(pl.Series(lengths > 0)).explode().cast(pl.String).fill_null("")
        names = flat.unique()
        ids = pl.Series([_token(t) for t in names], dtype=pl.UInt64)
        symbols = _edged(flat.replace_strict(names, ids).to_numpy(), lengths)
        out[rows] = _counts(symbols, lengths, width, orders)
    out[tokens.is_null().to_numpy()] = np.nan
    return out


def coded_grams(
    codes: Rows, lengths: Rows, names: Sequence[str], width: int, *, orders: Sequence[int] = (1, 2)
) -> FloatArray:
    """Return what ``token_grams`` does, of tokens that are given as places in a list.

    Args:
        codes: (sum of lengths,) the tokens of all sequences one after another.
        lengths: (n,) tokens of each sequence; all are counted.
        names: the tokens that there are.
        width: columns, at least 1.
        orders: lengths of n-grams.
    """
    symbols = np.array([_token(t) for t in names], np.uint64)[codes]
    out = np.empty((len(lengths), width), np.float32)
    ends = np.cumsum(lengths)
    for rows in _pieces(len(lengths)):
        first = ends[rows.start] - lengths[rows.start]
        part = _edged(symbols[first : ends[rows.stop - 1]], lengths[rows])
        out[rows] = _counts(part, lengths[rows], width, orders)
    return out


def token_columns(tokens: Sequence[str], width: int) -> Rows:
    """Return the column that each token counts in by itself, as n-gram of length 1."""
    data = [t.encode("utf-8", "replace") for t in tokens]
    first = np.array([zlib.crc32(d) for d in data], np.uint64)
    second = np.array([zlib.crc32(d[::-1]) for d in data], np.uint64)
    return _buckets(first << np.uint64(32) | second | _TOKEN, 1, width)


def grams_in(text: str, column: int, width: int, *, orders: Sequence[int] = (1, 2, 3)) -> list[str]:
    """Return the n-grams of a text that fall into one column, in order, without repeats."""
    data = text.encode("utf-8", "replace")[:MOST_BYTES]
    shown = [data[i : i + 1] for i in range(len(data))]
    return _found([b + 1 for b in data], shown, b"", column, width, orders)


def token_grams_in(
    tokens: Sequence[str],
    column: int,
    width: int,
    *,
    orders: Sequence[int] = (1, 2),
    between: str = " ",
) -> list[str]:
    """Return the token n-grams that fall into one column, joined by ``between``, no repeats."""
    some = [t or "" for t in tokens[:MOST_TOKENS]]
    symbols = [_token(t) for t in some]
    return _found(symbols, [t.encode() for t in some], between.encode(), column, width, orders)


def _found(
    symbols: Sequence[int],
    shown: Sequence[bytes],
    between: bytes,
    column: int,
    width: int,
    orders: Sequence[int],
) -> list[str]:
    edged = np.array([_EDGE, *symbols, _EDGE], np.uint64)
    marked = [b"^", *shown, b"$"]
    found: dict[str, None] = {}
    for order in orders:
        buckets = _buckets(edged, order, width)
        for at in np.flatnonzero(buckets == column).tolist():
            if order > 1 or (symbols and 0 < at <= len(symbols)):
                gram = between.join(marked[at : at + order])
                found[gram.decode("utf-8", "replace")] = None
    return list(found)


def _pieces(n: int) -> Iterator[slice]:
    for start in range(0, n, _ROWS_AT_ONCE):
        yield slice(start, min(n, start + _ROWS_AT_ONCE))


@lru_cache(maxsize=65_536)
def _token(token: str) -> int:
    data = token.encode("utf-8", "replace")
    # a CRC of the text and one of it reversed: 64 bits, never the edge
    return zlib.crc32(data) << 32 | zlib.crc32(data[::-1]) | 1 << 63


def _edged(symbols: Words, lengths: Rows) -> Words:
    """Return the symbols of texts with an edge before each text and after the last."""
    out = np.full(len(symbols) + len(lengths) + 1, _EDGE, np.uint64)
    out[np.arange(len(symbols)) + 1 + np.repeat(np.arange(len(lengths)), lengths)] = symbols
    return out


def _counts(symbols: Words, lengths: Rows, width: int, orders: Sequence[int]) -> FloatArray:
    """Return the counts of texts that lie one after another, an edge before and after each."""
    n = len(lengths)
    ends = np.cumsum(lengths + 1)  # the edge after each text
    row = np.append(np.repeat(np.arange(n), lengths + 1), n - 1)
    total = np.zeros(n * width)
    for order in orders:
        n_grams = max(0, len(symbols) - order + 1)
        owner = row[:n_grams]
        fits = np.arange(n_grams) + order - 1 <= ends[owner]
        if order == 1:
            fits &= symbols != _EDGE
        keys = owner[fits] * width + _buckets(symbols, order, width)[fits]
        total += np.bincount(keys, minlength=n * width)
    return np.log2(1 + total).astype(np.float32).reshape(n, width)


def _buckets(symbols: Words, order: int, width: int) -> Rows:
    """Return the column of each n-gram, (len - order + 1,)."""
    n = max(0, len(symbols) - order + 1)
    value = np.full(n, np.uint64(order), np.uint64)
    for i in range(order):
        value = (value ^ symbols[i : i + n]) * _FACTOR + (value >> np.uint64(29))
    return (_mix(value) % np.uint64(width)).astype(np.int64)


def _mix(value: Words) -> Words:
    value = (value ^ value >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ value >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(value ^ value >> np.uint64(33))


@cache
def columns_of(view: View) -> dict[str, int]:
    """Return the place of each column of a view by name."""
    return {column.name: i for i, column in enumerate(view.columns)}


def in_views(
    known: Mapping[str, FloatArray], own: Sequence[View], views: Sequence[View]
) -> Encoded:
    """Return what is known of n records in the columns of ``views``, NaN where it is nothing.

    Args:
        known: (n, d) of each of some views, in the columns it has in ``own``.
        own: views of the format itself.
        views: those that are wanted; a detector may look at some of the columns only.
    """
    n, at = len(next(iter(known.values()))), {view.name: view for view in own}
    return Encoded({v.name: _picked(known.get(v.name), at.get(v.name), v, n) for v in views})


def _picked(x: FloatArray | None, own: View | None, view: View, n: int) -> FloatArray:
    if x is not None and own == view:
        return x
    out = np.full((n, len(view.columns)), np.nan, np.float32)
    if x is not None and own is not None:
        at = columns_of(own)
        for i, column in enumerate(view.columns):
            if column.name in at:
                out[:, i] = x[:, at[column.name]]
    return out
