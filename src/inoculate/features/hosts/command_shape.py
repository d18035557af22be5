"""What command lines look like, whatever they say: lengths, shares of characters, entropy."""

import numpy as np
import polars as pl

from inoculate.domain import Column
from inoculate.features.byte_statistics import MOST_BYTES as ENTROPY_BYTES
from inoculate.features.byte_statistics import byte_statistics
from inoculate.task import FloatArray

MOST_CHARACTERS = 4_096
"""Of each command line, so many characters are looked at."""

COMMAND_COLUMNS = (
    Column("command_length", "log2(1+n)", "length of the command line"),
    Column("command_words", "log2(1+n)", "words of the command line"),
    Column("longest_word", "log2(1+n)", "length of the command line's longest word"),
    Column("switches", "log2(1+n)", "switches of the command line"),
    Column("separators", "log2(1+n)", "separators of commands in the command line"),
    Column("digit_share", "1", "share of digits in the command line"),
    Column("upper_share", "1", "share of capitals in the command line"),
    Column("symbol_share", "1", "share of punctuation in the command line"),
    Column("base64_share", "1", "share of what may be Base64 in the command line"),
    Column("user_path", "yes/no", "a folder of users or of temporary files in the command line"),
    Column("network_path", "yes/no", "a network path or URL in the command line"),
    Column("command_entropy", "bit", "entropy of the command line"),
)
"""What ``command_shape`` returns."""


def command_shape(commands: pl.Series) -> FloatArray:
    """Return the columns ``COMMAND_COLUMNS`` of command lines, (n, 12) float32; null gives NaN.

    Shares are of characters; of an empty text they are NaN.
    """
    distinct = commands.unique(maintain_order=True)
    place = {c: i for i, c in enumerate(distinct)}
    return _command_shape(distinct)[[place[c] for c in commands]]


def _command_shape(commands: pl.Series) -> FloatArray:
    text = pl.col("text")
    size = text.str.len_chars()
    n = pl.when(size > 0).then(size)
    parts = text.str.extract_all(r"[^\s]+")

    def share(pattern: str) -> pl.Expr:
        return text.str.count_matches(pattern) / n

    encoded = text.str.extract_all(r"[A-Za-z0-9+/]{24,}={0,2}").list.join("").str.len_chars()
    measures = (
        (1 + size).log(2),
        (1 + parts.list.len()).log(2),
        (1 + parts.list.eval(pl.element().str.len_chars()).list.max().fill_null(0)).log(2),
        (1 + text.str.count_matches(r"(?:^|\s)[-/]")).log(2),
        (1 + text.str.count_matches(r"[&|;]")).log(2),
        share(r"[0-9]"),
        share(r"[A-Z]"),
        share(r"[^A-Za-z0-9\s]"),
        encoded / n,
        text.str.contains(r"(?i)\\users\\|\\temp\\|%temp%|\\programdata\\|/tmp/"),
        text.str.contains(r"(?i)(?:https?|ftp)://|\\\\[\w.]"),
    )
    frame = pl.DataFrame({"text": commands.str.slice(0, MOST_CHARACTERS)})
    columns = frame.select(
        m.cast(pl.Float64).alias(f"{i}") for i, m in enumerate(measures)
    ).to_numpy()
    known = [(t or "").encode("utf-8", "replace")[:ENTROPY_BYTES] for t in commands]
    size_bytes = np.array([len(t) for t in known], np.int64)
    data = np.frombuffer(b"".join(known), np.uint8)
    entropy, _ = byte_statistics(data, np.cumsum(size_bytes) - size_bytes, size_bytes)
    out = np.column_stack([columns, entropy]).astype(np.float32)
    out[commands.is_null().to_numpy()] = np.nan
    return out
