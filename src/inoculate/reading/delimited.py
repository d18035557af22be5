"""Parses blocks of delimited text (CSV, TSV) into columns, naming the line of each bad cell.

A block is parsed by Polars at once. Only where a block holds something unusual (a line with too
many or too few cells, a text in a number column, an infinite value) it is parsed again line by
line, to find the exact place. A record is one line: a quoted cell cannot run over its end.
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from inoculate.errors import RecordError
from inoculate.reading.lines import Block, count, has_gaps, looks_packed, numbered

LINE = "__line__"
"""Name of the column that ``parse_delimited`` adds: the line's number."""

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cells of a line are to be read.

    Attributes:
        names: every column in the order of the file; no name twice.
        numbers: columns that hold finite numbers or nothing.
        texts: columns kept as they are. All others are skipped.
        separator: one ASCII character.
        unknown: cells that mean null, beside the empty one; NaN does so among numbers.
        quoted: True when a cell may stand in double quotes.
        comment: what begins a line that is no record; b"" for nothing.
        minimum: least allowed number, or None.
    """

    names: tuple[str, ...]
    numbers: frozenset[str]
    texts: frozenset[str]
    separator: str = ","
    unknown: tuple[str, ...] = ()
    quoted: bool = True
    comment: bytes = b""
    minimum: float | None = None

    @property
    def wanted(self) -> list[str]:
        """Columns to parse, in the order of the file."""
        return [n for n in self.names if n in self.numbers or n in self.texts]


def split_cells(line: bytes, separator: str, *, quoted: bool = True) -> list[str]:
    """Return the cells of one line.

    Raises:
        csv.Error: the line cannot be split.
    """
    text = line.decode("utf-8", "replace")
    if quoted and '"' in text:
        return next(csv.reader([text], delimiter=separator), [])
    return text.split(separator)


def check_header(names: Sequence[str], needed: Sequence[str], origin: str) -> None:
    """Refuse a header with a name twice or without a needed column.

    Raises:
        RecordError: naming the column and what there is instead.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RecordError(f"column {_shown(name)} is there twice", origin=origin)
        seen.add(name)
    for name in needed:
        if name not in seen:
            have = ", ".join(n[:_SHOWN] for n in names[:30])
            raise RecordError(f"column {name!r} is missing; has {have}", origin=origin)


def parse_delimited(
    block: Block, layout: Layout, source: str
) -> tuple[pl.DataFrame, list[RecordError]]:
    """Return the good records of a block and an error for each bad one.

    The frame has ``layout.wanted`` (Float64 or String, null for unknown) and ``LINE`` (Int64).
    """
    frame = _parse_at_once(block, layout)
    if frame is not None:
        return frame, []
    return _parse_by_line(block, layout, source)


def _parse_at_once(block: Block, layout: Layout) -> pl.DataFrame | None:
    data, n_lines, width = block.data, block.n_lines, len(layout.names)
    quotes = layout.quoted and b'"' in data
    separator = layout.separator.encode()
    if has_gaps(block, layout.comment) or looks_packed(data):
        return None
    if quotes:
        if not _is_even(data, separator, width):
            return None
    elif count(data, separator) != n_lines * (width - 1):
        return None
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            schema={n: _dtype(n, layout) for n in layout.names},
            columns=[i for i, n in enumerate(layout.names) if _is_wanted(n, layout)],
            separator=layout.separator,
            quote_char='"' if quotes else None,
            null_values=list(layout.unknown) or None,
            encoding="utf8" if data.isascii() else "utf8-lossy",
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    if frame.height != n_lines or not _are_allowed(frame, layout):
        return None
    first = block.first_line
    return frame.with_columns(pl.int_range(first, first + n_lines, dtype=pl.Int64).alias(LINE))


def _dtype(name: str, layout: Layout) -> type[pl.Float64] | type[pl.String]:
    return pl.Float64 if name in layout.numbers else pl.String


def _is_wanted(name: str, layout: Layout) -> bool:
    return name in layout.numbers or name in layout.texts


def _is_even(data: bytes, separator: bytes, width: int) -> bool:
    """Return True when each line closes its quotes and has ``width`` cells."""
    octets = np.frombuffer(data, np.uint8)
    inside = np.cumsum(octets == ord('"'), dtype=np.uint8) & 1  # wraps, the parity stays
    ends = np.flatnonzero(octets == ord("\n"))
    if inside[ends].any():
        return False
    breaks = np.cumsum((octets == separator[0]) & (inside == 0), dtype=np.int32)[ends]
    return bool((np.diff(breaks, prepend=0) == width - 1).all())


def _are_allowed(frame: pl.DataFrame, layout: Layout) -> bool:
    numbers = frame.select(pl.col(pl.Float64))
    low = [x for x in (numbers.min().row(0) if numbers.width else ()) if x is not None]
    high = [x for x in (numbers.max().row(0) if numbers.width else ()) if x is not None]
    least = -np.inf if layout.minimum is None else layout.minimum
    return all(x >= least and x > -np.inf for x in low) and all(x < np.inf for x in high)


def _parse_by_line(
    block: Block, layout: Layout, source: str
) -> tuple[pl.DataFrame, list[RecordError]]:
    places = [i for i, n in enumerate(layout.names) if _is_wanted(n, layout)]
    rows: list[list[str]] = []
    lines: list[int] = []
    bad: dict[int, str] = {}
    for number, line in numbered(block, layout.comment):
        try:
            cells = split_cells(line, layout.separator, quoted=layout.quoted)
        except csv.Error as err:
            bad[number] = f"cannot be split into cells: {err}"
            continue
        if len(cells) != len(layout.names):
            bad[number] = f"{len(cells)} columns, the header has {len(layout.names)}"
            continue
        rows.append([cells[i] for i in places])
        lines.append(number)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(places)
    frame = pl.DataFrame(
        [pl.Series(n, c, pl.String) for n, c in zip(layout.wanted, columns, strict=True)]
    )
    unknown = ["", *layout.unknown]
    frame = frame.with_columns(
        pl.when(~pl.col(pl.String).is_in(unknown)).then(pl.col(pl.String)).name.keep()
    )
    frame = frame.with_columns(pl.Series(LINE, lines, pl.Int64))
    frame, worse = to_numbers(frame, layout)
    bad |= worse
    return frame, [RecordError(bad[n], origin=f"{source}:{n}") for n in sorted(bad)]


def to_numbers(frame: pl.DataFrame, layout: Layout) -> tuple[pl.DataFrame, dict[int, str]]:
    """Cast text columns to numbers; return the rows that allow it and what is wrong elsewhere.

    Args:
        frame: ``LINE`` and the number columns, of any type that can be a number.
        layout: names the number columns and their least value.
    """
    bad: dict[int, str] = {}
    casts = []
    for name in (n for n in layout.wanted if n in layout.numbers):
        cell = pl.col(name)
        if frame.schema[name] == pl.String:
            stripped = cell.str.strip_chars(" \t")
            cell = pl.when(stripped != "").then(stripped)
        number = cell.cast(pl.Float64, strict=False)
        is_bad = (number.is_null() & cell.is_not_null()) | number.is_infinite()
        if layout.minimum is not None:
            is_bad |= number < layout.minimum
        for line, value in frame.filter(is_bad).select(LINE, name).iter_rows():
            bad.setdefault(line, f"column {_shown(name)} is {_shown(value)}, {_expected(layout)}")
        casts.append(number.fill_nan(None).alias(name))
    return frame.filter(~pl.col(LINE).is_in(list(bad))).with_columns(casts), bad


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _expected(layout: Layout) -> str:
    if layout.minimum is None:
        return "expected a finite number"
    return f"expected a finite number, {layout.minimum:g} or more"


csv.field_size_limit(min(sys.maxsize, 1 << 30))  # lines are bounded by the reader
