"""What short texts look like: kinds of character, entropy, runs; many texts at once.

All texts of a series lie one after another in one array of bytes, a zero byte after each, and
every figure is found for all of them by a few passes over that array. A character that is not
ASCII is there as the first byte of its UTF-8 form: it counts once, and is told from others of its
script only sometimes.

Reference:
    Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal 27, 1948,
    section 6, for the entropy of a text's own characters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column
from inoculate.task import FloatArray

MOST_CHARS = 8 * 1024
"""Of each text, so many characters count."""

Table = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 2_048
_C_LOG_C = np.arange(MOST_CHARS + 1) * np.log2(np.maximum(np.arange(MOST_CHARS + 1), 1))


@dataclass(frozen=True, slots=True, eq=False)
class ByteTexts:
    """Texts as bytes, one a character, one after another.

    Attributes:
        data: the bytes of all, a zero byte after each text.
        lengths: (n,) characters of each, without that byte.
        row: for each byte of ``data`` the text it is of.
    """

    data: Table
    lengths: Ints
    row: Ints

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)


def text_bytes(texts: pl.Series) -> ByteTexts:
    """Return the first ``MOST_CHARS`` characters of texts as bytes; null is the empty text."""
    texts = texts.fill_null("")
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    if len(lengths) and lengths.max() > MOST_CHARS:
        texts = texts.str.head(MOST_CHARS)
        lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    joined = texts.str.join("\0")[0].encode() + b"\0" if len(texts) else b""
    data = np.frombuffer(joined, np.uint8)
    row = np.repeat(np.arange(len(lengths)), lengths + 1)
    if not joined.isascii():
        first = data & 0xC0 != 0x80
        data, row = data[first], row[first]
        lengths = np.bincount(row, minlength=len(lengths)) - 1
    return ByteTexts(data, lengths, row)


def pieces(texts: pl.Series) -> Iterator[tuple[slice, ByteTexts]]:
    """Yield texts as bytes, some thousand at a time, with the rows they are."""
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, len(texts)))
        yield rows, text_bytes(texts[rows.start : rows.stop])


def members(characters: bytes | str) -> Mask:
    """Return a table, (256,), that is True for the bytes of some ASCII characters."""
    table = np.zeros(256, bool)
    octets = characters.encode("ascii") if isinstance(characters, str) else characters
    table[list(octets)] = True
    return table


def histogram(texts: ByteTexts, codes: Table | None = None) -> Ints:
    """Return how often each byte, or each code of a byte, is in each text, (n, codes).

    Args:
        texts: n texts.
        codes: (256,) the code of each byte, from 0 without a gap; None counts bytes.
    """
    n_codes = 256 if codes is None else int(codes.max()) + 1
    symbols = texts.data if codes is None else codes[texts.data]
    keys = texts.row * n_codes + symbols
    counts = np.bincount(keys, minlength=len(texts) * n_codes).reshape(len(texts), n_codes)
    counts[:, 0 if codes is None else codes[0]] -= 1  # the zero byte after each text
    return counts


def entropy(counts: Ints) -> Floats:
    """Return the entropy of each row of counts, (n,), in bits; 0 where nothing is counted.

    ``H = log2 N - (sum of c log2 c) / N``, which is ``-(sum of p log2 p)`` for ``p = c / N``.
    """
    total = counts.sum(axis=1)
    known = np.maximum(total, 1)
    bits = np.log2(known) - _C_LOG_C[counts].sum(axis=1) / known
    return np.asarray(np.maximum(bits, 0.0))


def runs(texts: ByteTexts, member: Mask) -> tuple[Ints, Ints]:
    """Return the longest run of some characters in each text, (n,), and the number of runs.

    Args:
        texts: n texts.
        member: (256,) the characters, see ``members``; never the zero byte.
    """
    inside = member[texts.data]
    starts = np.flatnonzero(inside & ~_before(inside))
    ends = np.flatnonzero(inside & ~np.append(inside[1:], False))
    return _longest(texts, starts, ends - starts + 1)


def repeats(texts: ByteTexts) -> Ints:
    """Return the longest run of one and the same byte in each text, (n,)."""
    same = np.append(False, texts.data[1:] == texts.data[:-1])
    same &= texts.data != 0
    starts = np.flatnonzero(same & ~_before(same))
    ends = np.flatnonzero(same & ~np.append(same[1:], False))
    longest, _ = _longest(texts, starts, ends - starts + 2)
    return np.maximum(longest, np.minimum(texts.lengths, 1))


def _before(inside: Mask) -> Mask:
    return np.append(np.zeros(1, bool), inside[:-1])[: len(inside)]


def _longest(texts: ByteTexts, starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    owner = texts.row[starts]
    longest = np.zeros(len(texts), np.int64)
    np.maximum.at(longest, owner, sizes)
    return longest, np.bincount(owner, minlength=len(texts))


def share(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """Return ``part / whole``; NaN where the whole is nothing."""
    total = np.asarray(whole, np.float64)
    return np.asarray(part) / np.where(total > 0, total, np.nan)


LOWER, UPPER = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS, BLANKS, HEX = b"0123456789", b" \t\r\n\v\f", b"0123456789abcdefABCDEF"

_CHARACTER, _SHARE = "character", "1"
GENERAL_COLUMNS: tuple[Column, ...] = (
    Column("length", _CHARACTER, "length"),
    Column("lower", _SHARE, "share of small letters"),
    Column("upper", _SHARE, "share of capital letters"),
    Column("digits", _SHARE, "share of digits"),
    Column("blanks", _SHARE, "share of blanks"),
    Column("punctuation", _SHARE, "share of punctuation"),
    Column("non_ascii", _SHARE, "share of characters that are not ASCII"),
    Column("control", _SHARE, "share of control characters"),
    Column("entropy", "bit", "entropy of the characters"),
    Column("distinct", _CHARACTER, "different characters"),
    Column("words", "word", "words between blanks:"),
    Column("longest_word", _CHARACTER, "longest piece without a blank"),
    Column("numbers", "1", "numbers in it:"),
    Column("longest_number", _CHARACTER, "longest run of digits"),
    Column("longest_name", _CHARACTER, "longest run of letters"),
    Column("longest_hex", _CHARACTER, "longest run of hexadecimal digits"),
    Column("longest_repeat", _CHARACTER, "longest run of one character"),
)
"""What ``general_shape`` returns."""


@cache
def _kinds() -> npt.NDArray[np.float32]:
    """Return which of seven kinds each byte is, (256, 7)."""
    kinds = np.zeros((256, 7), np.float32)
    for kind, characters in enumerate((LOWER, UPPER, DIGITS, BLANKS)):
        kinds[list(characters), kind] = 1
    kinds[0x21:0x7F, 4] = kinds[0x21:0x7F, :3].sum(axis=1) == 0
    kinds[0x80:, 5] = 1
    kinds[:0x20, 6] = kinds[:0x20, 3] == 0
    kinds[0x7F, 6] = 1
    return kinds


def general_shape(texts: pl.Series) -> FloatArray:
    """Return ``GENERAL_COLUMNS`` of texts, (n, 17); null gives NaN.

    A share of an empty text is NaN. Blanks that are not ASCII count as other characters.

    Args:
        texts: (n,) String; the first ``MOST_CHARS`` characters count.
    """
    out = np.empty((len(texts), len(GENERAL_COLUMNS)), np.float32)
    not_blank = ~members(BLANKS + b"\0")
    for rows, some in pieces(texts):
        counts = histogram(some)
        kinds = counts.astype(np.float32) @ _kinds()
        length = kinds.sum(axis=1)
        letters, _ = runs(some, members(LOWER + UPPER))
        word, n_words = runs(some, not_blank)
        number, n_numbers = runs(some, members(DIGITS))
        out[rows, 0] = length
        out[rows, 1:8] = share(kinds, length[:, None])
        out[rows, 8] = entropy(counts)
        out[rows, 9] = (counts > 0).sum(axis=1)
        out[rows, 10:15] = np.stack([n_words, word, n_numbers, number, letters], axis=1)
        out[rows, 15] = runs(some, members(HEX))[0]
        out[rows, 16] = repeats(some)
    out[texts.is_null().to_numpy()] = np.nan
    return out


def stacked(columns: list[npt.ArrayLike], unknown: Mask) -> FloatArray:
    """Return columns side by side, (n, len(columns)) float32, unknown rows as NaN."""
    out = np.stack([np.asarray(c, np.float32) for c in columns], axis=1)
    out[unknown] = np.nan
    return out


def matches(texts: pl.Series, patterns: tuple[str, ...]) -> FloatArray:
    """Return how often each regular expression is in each text, (n, patterns); null gives NaN.

    The first ``MOST_CHARS`` characters of a text are searched, in time linear in them.
    """
    frame = texts.str.head(MOST_CHARS).alias("text").to_frame()
    counts = (pl.col("text").str.count_matches(p).alias(str(i)) for i, p in enumerate(patterns))
    found = frame.select(c.cast(pl.Float32).fill_null(float("nan")) for c in counts)
    return found.to_numpy(order="c", writable=True).reshape(len(texts), len(patterns))


def prefixed(prefix: str, about: str, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return columns of one part of a text under names of their own.

    Example:
        >>> prefixed("host", "host: ", (Column("length", "character", "length"),))[0].about
        'host: length'
    """
    return tuple(Column(f"{prefix}_{c.name}", c.unit, f"{about}{c.about}") for c in columns)
