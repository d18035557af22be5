"""What a log line looks like beside its words: sizes, kinds of characters, kinds of parameters."""

import numpy as np
import polars as pl

from inoculate.domain import Column
from inoculate.features.hosts.log_masks import (
    DIGIT,
    HEX_LETTER,
    KINDS,
    LETTER,
    UPPER,
    WIDE,
    classes_of,
    joined,
    runs,
)
from inoculate.task import FloatArray

OF_MESSAGE = (
    Column("length", "log2(1+byte)", "length of the message"),
    Column("digit_share", "1", "share of digits"),
    Column("upper_share", "1", "share of upper-case letters"),
    Column("symbol_share", "1", "share of punctuation and control characters"),
    Column("wide_share", "1", "share of bytes of characters beyond ASCII"),
    Column("longest_run", "log2(1+n)", "longest run of letters and digits"),
    Column("longest_number", "digit", "digits in the longest number"),
    Column("numbers", "log2(1+n)", "numbers in the message"),
)
"""Columns counted in the message itself."""

_PATTERNS = {
    "urls": (r"[A-Za-z][A-Za-z0-9+.-]*://", "URLs"),
    "paths": (r"(?:^|[\s\"'=(\[<>,])(?:/|~/|\.{1,2}/|[A-Za-z]:\\|\\\\)[^\s/\\\"']", "paths"),
    "pairs": (r"[\w)\]]=[^=]", "key=value pairs"),
    "quotes": (r"[\"'`]", "quotation marks"),
    "brackets": (r"[()\[\]{}<>]", "brackets"),
}
SEVERITIES = {
    "says_fatal": r"fatal|panic|crit(?:ical)?|emerg(?:ency)?|segfault|oops",
    "says_error": r"err(?:or)?s?|exceptions?|fault|severe",
    "says_warning": r"warn(?:ing)?s?|notice",
    "says_info": r"info(?:rmation(?:al)?)?|debug|trace|verbose",
    "says_failed": r"fail(?:ed|ure|ures|s|ing)?|invalid|bad|unable|cannot|timeout|lost|aborted",
    "says_denied": r"denied|deny|refused|rejected|unauthori[sz]ed|forbidden|blocked|drop(?:ped)?"
    r"|illegal|violation|not allowed|permission",
    "says_accepted": r"accept(?:ed)?|success(?:ful|fully)?|succeeded|granted|allowed|ok"
    r"|opened|established",
}
OF_MASK = (
    Column("words", "log2(1+n)", "words in the message"),
    Column("entropy", "bit", "entropy of the message's characters, numbers and addresses masked"),
    *(
        Column(f"{k}_parts", "log2(1+n)", f"parts that look like {a}")
        for k, a in (
            ("hex", "hexadecimal numbers"),
            ("id", "long identifiers"),
            ("ip", "IP addresses"),
            ("mac", "MAC addresses"),
            ("uuid", "UUIDs"),
            ("time", "times"),
            ("mail", "mail addresses"),
            ("user", "named users"),
        )
    ),
    *(
        Column(name, "log2(1+n)", f"{about} in the message")
        for name, (_, about) in _PATTERNS.items()
    ),
    *(Column(name, "yes/no", f"a word that {name.replace('_', ' ')}") for name in SEVERITIES),
)
"""Columns counted in the masked text, the same for all messages that share it."""

_WORD = DIGIT | HEX_LETTER | LETTER
_AT_ONCE = 1_024


def message_shape(said: pl.Series) -> FloatArray:
    """Return the columns of ``OF_MESSAGE`` of each message; null counts as "".

    Args:
        said: (n,) String.

    Returns:
        (n, len(OF_MESSAGE)) float32; shares of an empty message are 0.
    """
    if not len(said):
        return np.zeros((0, len(OF_MESSAGE)), np.float32)
    data, ends = joined(said)
    classes = classes_of(data)
    size = np.diff(ends, prepend=-1) - 1
    least = np.maximum(size, 1)

    def count(at: np.ndarray) -> np.ndarray:
        return np.diff(np.searchsorted(at, ends), prepend=0)

    digit = (classes & DIGIT).view(bool)
    begins, stops, _ = runs(classes)
    first = np.flatnonzero(digit[1:] & ~digit[:-1]) + 1
    first = np.concatenate([np.flatnonzero(digit[:1]), first])
    last = np.flatnonzero(digit[:-1] & ~digit[1:]) + 1
    blank = (data == ord(" ")) | (data == ord("\n"))
    n_digits = count(np.flatnonzero(digit))
    columns = (
        np.log2(1.0 + size),
        n_digits / least,
        count(np.flatnonzero(classes & UPPER)) / least,
        count(np.flatnonzero((classes == 0) & ~blank)) / least,
        count(np.flatnonzero(classes & WIDE)) / least,
        np.log2(1.0 + _longest(begins, stops - begins, ends)),
        _longest(first, last - first, ends),
        np.log2(1.0 + count(first)),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _longest(begins: np.ndarray, sizes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the largest size among the runs of each line, 0 where there is none."""
    upto = np.searchsorted(begins, ends)
    since = np.concatenate([[0], upto[:-1]])
    out = np.zeros(len(ends), np.int64)
    some = np.flatnonzero(upto > since)
    if len(some):
        out[some] = np.maximum.reduceat(sizes, since[some])
    return out


def mask_shape(masked: pl.Series, words: pl.Series) -> FloatArray:
    """Return the columns of ``OF_MASK`` of each masked text.

    Args:
        masked: (n,) String.
        words: (n,) List(String), their words.

    Returns:
        (n, len(OF_MASK)) float32.
    """
    low = masked.str.to_lowercase()
    counts = [masked.str.count_matches(mark, literal=True) for mark in KINDS.values()]
    counts += [masked.str.count_matches(pattern) for pattern, _ in _PATTERNS.values()]
    flags = [low.str.contains(rf"\b(?:{pattern})\b") for pattern in SEVERITIES.values()]
    columns = (
        _log(words.list.len()),
        _entropy(masked),
        *map(_log, counts),
        *(flag.to_numpy().astype(np.float32) for flag in flags),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _log(counts: pl.Series) -> np.ndarray:
    return np.log2(1.0 + counts.to_numpy().astype(np.float64))


def _entropy(texts: pl.Series) -> np.ndarray:
    """Return the entropy of each text's bytes in bits, 0 for an empty one."""
    out = np.zeros(len(texts))
    for start in range(0, len(texts), _AT_ONCE):
        data, ends = joined(texts[start : start + _AT_ONCE])
        sizes = np.diff(ends, prepend=-1) - 1
        row = np.repeat(np.arange(len(ends)), sizes + 1)
        # each has one newline, which adds 1 log 1 = 0
        counts = np.bincount(row * 256 + data, minlength=len(ends) * 256).reshape(-1, 256)
        parts = counts * np.log2(np.maximum(counts, 1))
        least = np.maximum(sizes, 1)
        out[start : start + _AT_ONCE] = np.log2(least) - parts.sum(axis=1) / least
    return np.maximum(out, 0.0)
