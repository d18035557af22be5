"""How names of hosts are spelled, and what they are registered under.

A name is taken in lower case, without a dot at its end; labels in Punycode are decoded. What it
is registered under is told by a short list of second levels (``co.uk``), not by the Public
Suffix List, which changes weekly.

References:
    Schüppen et al., "FANCI: Feature-based Automated NXDomain Classification and Intelligence",
    USENIX Security 2018, table 1 (structural, linguistic and statistical features). Departures:
    no lists of words or of suffixes are needed; n-grams are hashed, not summed up.

    Norvig, "English Letter Frequency Counts: Mayzner Revisited", 2012, for the 50 commonest
    pairs of letters in English.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column
from inoculate.features.text.text_shape import (
    ByteTexts,
    Floats,
    Table,
    entropy,
    histogram,
    members,
    pieces,
    repeats,
    runs,
    share,
    stacked,
)
from inoculate.task import FloatArray

LONGEST_NAME = 255
"""Longest name in characters; RFC 1035, section 2.3.4, allows 255 octets on the wire."""

_SECOND_LEVELS = "ac|co|com|edu|gob|gov|go|gouv|mil|ne|net|nom|or|org"
_SUFFIX = rf"\.((?:{_SECOND_LEVELS})\.[a-z]{{2}}|[^.]*)$"

_CHARACTER, _SHARE = "character", "1"
NAME_COLUMNS: tuple[Column, ...] = (
    Column("length", _CHARACTER, "length of the name"),
    Column("labels", "label", "labels of the name:"),
    Column("suffix_length", _CHARACTER, "length of what it is registered under"),
    Column("stem_length", _CHARACTER, "length without what it is registered under"),
    Column("longest_label", _CHARACTER, "longest label"),
    Column("letters", _SHARE, "share of letters"),
    Column("digits", _SHARE, "share of digits"),
    Column("vowels", _SHARE, "vowels as a share of the letters"),
    Column("hex", _SHARE, "share of hexadecimal digits"),
    Column("rare", _SHARE, "j, q, x and z as a share of the letters"),
    Column("common_pairs", _SHARE, "share of letter pairs that are common in English"),
    Column("distinct", _SHARE, "different characters as a share of the length"),
    Column("commonest", _SHARE, "share of its most frequent character"),
    Column("entropy", "bit", "entropy of the characters"),
    Column("hyphens", _CHARACTER, "hyphens:"),
    Column("underscores", _CHARACTER, "underscores:"),
    Column("longest_consonants", _CHARACTER, "longest run of consonants"),
    Column("consonant_runs", "1", "runs of consonants:"),
    Column("longest_vowels", _CHARACTER, "longest run of vowels"),
    Column("longest_number", _CHARACTER, "longest run of digits"),
    Column("numbers", "1", "numbers in it:"),
    Column("longest_repeat", _CHARACTER, "longest run of one character"),
    Column("non_ascii", _CHARACTER, "characters that are not ASCII:"),
    Column("punycode", "label", "labels in Punycode:"),
)
"""What ``name_shape`` returns."""

_LETTERS, _DIGITS = range(1, 27), range(27, 37)
_HYPHEN, _DOT, _UNDERSCORE, _BEYOND = range(37, 41)
_VOWELS, _RARE = ([ord(c) - 96 for c in some] for some in ("aeiouy", "jqxz"))
_PAIRS = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le "
    "ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur"
)


def split_names(names: pl.Series) -> pl.DataFrame:
    """Return names with their parts, one row each; null stays null.

    Args:
        names: (n,) String; the first ``LONGEST_NAME`` characters count.

    Returns:
        ``name`` in lower case; ``suffix``, what it is registered under, "" for none; ``stem``,
        the name without that; ``shown``, the name with Punycode decoded.
    """
    text = names.str.to_lowercase().str.strip_chars(" \t\r").str.strip_suffix(".")
    frame = text.str.head(LONGEST_NAME).alias("name").to_frame()
    name = pl.col("name")
    none = pl.when(name.is_not_null()).then(pl.lit(""))
    return frame.with_columns(
        name.str.extract(_SUFFIX, 1).fill_null(none).alias("suffix"),
        name.str.replace(_SUFFIX, "").alias("stem"),
        _unicode(frame["name"]).alias("shown"),
    )


def suffix_tokens(parts: pl.DataFrame) -> pl.Series:
    """Return what each name is registered under as tokens: ``["co.uk", "uk"]``, ``["com"]``.

    Args:
        parts: what ``split_names`` returned.
    """
    last = pl.col("suffix").str.split(".").list.last()
    found = pl.concat_list("suffix", last).list.unique(maintain_order=True)
    tokens = pl.when(pl.col("suffix") != "").then(found).otherwise(found.list.head(0))
    return parts.select(pl.when(pl.col("name").is_not_null()).then(tokens)).to_series()


def _unicode(names: pl.Series) -> pl.Series:
    """Return names with their Punycode labels decoded."""
    rows = np.flatnonzero(names.str.contains("xn--", literal=True).fill_null(False).to_numpy())
    if not len(rows):
        return names
    return names.clone().scatter(rows, [_decoded(n) for n in names.gather(rows)])


def _decoded(name: str) -> str:
    return ".".join(_label(label) for label in name.split("."))


def _label(label: str) -> str:
    if not label.startswith("xn--") or len(label) > 63 or not label.isascii():
        return label
    try:
        return label[4:].encode().decode("punycode").encode("utf-8", "replace").decode()
    except (UnicodeError, ValueError, OverflowError):
        return label


@cache
def _codes() -> Table:
    """Return what each byte of a name is: 1 to 26 a letter, 27 to 36 a digit ..."""
    codes = np.zeros(256, np.uint8)
    codes[0x61:0x7B], codes[0x30:0x3A] = _LETTERS, _DIGITS
    for character, code in {"-": _HYPHEN, ".": _DOT, "_": _UNDERSCORE}.items():
        codes[ord(character)] = code
    codes[0x80:] = _BEYOND
    return codes


@cache
def _common() -> npt.NDArray[np.bool_]:
    """Return which pairs of letter codes are common, (32 * 32,)."""
    common = np.zeros(32 * 32, bool)
    common[[32 * (ord(p[0]) - 96) + ord(p[1]) - 96 for p in _PAIRS.split()]] = True
    return common


def name_shape(parts: pl.DataFrame) -> FloatArray:
    """Return ``NAME_COLUMNS`` of names, (n, 24); null gives NaN.

    Shares, runs and counts of characters are those of the stem, decoded.

    Args:
        parts: what ``split_names`` returned.
    """
    stems = parts["shown"].str.replace(_SUFFIX, "")
    counted = parts.select(
        pl.col("shown").str.len_chars().alias("length"),
        pl.col("shown").str.count_matches("[^.]+").alias("labels"),
        pl.col("suffix").str.len_chars().alias("suffix"),
        stems.str.len_chars().alias("stem"),
        pl.col("name").str.count_matches("xn--", literal=True).alias("punycode"),
    ).fill_null(0)
    length, labels, suffix, stem, punycode = (counted[n].to_numpy() for n in counted.columns)
    spelled = np.empty((parts.height, 19))
    for rows, some in pieces(stems):
        spelled[rows] = _spelled(some)
    first = (length, labels, suffix, stem)
    unknown = parts["name"].is_null().to_numpy()
    return stacked([*first, *spelled.T, punycode], unknown)


def _spelled(stems: ByteTexts) -> Floats:
    """Return what follows from the letters of stems, (n, 19)."""
    counts = histogram(stems, _codes())
    letters, digits = counts[:, _LETTERS].sum(axis=1), counts[:, _DIGITS].sum(axis=1)
    vowels, rare = counts[:, _VOWELS].sum(axis=1), counts[:, _RARE].sum(axis=1)
    hexadecimal = counts[:, 1:7].sum(axis=1) + digits
    counts[:, _DOT] = 0
    length = counts.sum(axis=1)
    consonant, n_consonants = runs(stems, members("bcdfghjklmnpqrstvwxz"))
    number, n_numbers = runs(stems, members("0123456789"))
    label, _ = runs(stems, ~members(b".\0"))
    columns = (
        *(label, share(letters, length), share(digits, length), share(vowels, letters)),
        *(share(hexadecimal, length), share(rare, letters), _common_pairs(stems)),
        *(share((counts > 0).sum(axis=1), length), share(counts.max(axis=1), length)),
        *(entropy(counts), counts[:, _HYPHEN], counts[:, _UNDERSCORE]),
        *(consonant, n_consonants, runs(stems, members("aeiouy"))[0], number, n_numbers),
        *(repeats(stems), counts[:, _BEYOND]),
    )
    return np.stack(columns, axis=1)


def _common_pairs(stems: ByteTexts) -> Floats:
    codes = _codes()[stems.data].astype(np.int64)
    codes[codes > 26] = 0
    is_pair = (codes[:-1] > 0) & (codes[1:] > 0)
    common = _common()[32 * codes[:-1] + codes[1:]] & is_pair
    owner, n = stems.row[:-1], len(stems)
    return share(np.bincount(owner[common], minlength=n), np.bincount(owner[is_pair], minlength=n))
