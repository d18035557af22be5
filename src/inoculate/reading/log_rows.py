"""Lines of a text log as rows, each with its place."""

import numpy as np
import polars as pl

from inoculate.domain import Source
from inoculate.errors import RecordError
from inoculate.reading.lines import Block


def written_at(source: Source) -> float | None:
    """Return when a file was written last, in seconds since 1970; None for now."""
    try:
        return source.path.stat().st_mtime if source.path is not None else None
    except OSError:
        return None


def log_rows(block: Block, source: str) -> tuple[pl.DataFrame, list[RecordError]]:
    """Return the lines of a block that are not blank, and an error for each that is no text.

    The frame has ``origin`` and ``text``, as it came.
    """
    lines = block.data.decode("utf-8", "replace").split("\n")[:-1]
    bad: list[RecordError] = []
    if "\0" in block.data.decode("latin-1"):
        places = [i for i, line in enumerate(lines) if "\0" in line]
        bad = [
            RecordError("a null byte, no text", origin=f"{source}:{block.first_line + i}")
            for i in places
        ]
        for i in places:
            lines[i] = ""
    text = pl.Series("text", lines, pl.String)
    first = block.first_line
    number = pl.Series(np.arange(first, first + len(lines))).cast(pl.String)
    frame = pl.DataFrame([(f"{source}:" + number).alias("origin"), text])
    return frame.filter(pl.col("text").str.strip_chars() != ""), bad
