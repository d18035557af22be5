"""Any table: CSV (also with ``;``, tab or ``|``), JSON Lines or Parquet, one record a row.

For data that no other format knows: exports of a SIEM, audit records, feature tables of one's
own. The table's own columns are the schema, see ``features.table_columns``: numbers as they are,
text of few values as yes/no columns, other text as its length. Columns that identify, date or
classify a record are left out (``Table.left_out``) and kept for showing and for labels.

Rules of reading: what is a number column is decided on the first rows (the first block of some
megabytes); a text in it later on is a bad record, as is an infinite value or a line of the wrong
length. A record is one line, so a quoted cell cannot run over its end. JSON keys are those of
the first 1000 objects; an object or array inside counts as text. Parquet needs a file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, Domain, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.flows.flow_text import origin, seconds
from inoculate.features.table_columns import (
    LEFT_OUT,
    NUMBER_SHARE,
    UNKNOWN,
    choose_columns,
    encode_table,
    number_columns,
    time_column,
)
from inoculate.reading.delimited import (
    LINE,
    Layout,
    check_header,
    parse_delimited,
    to_numbers,
)
from inoculate.reading.headed import Header, read_headed, sniff_header
from inoculate.reading.json_lines import load_object, parse_json_lines
from inoculate.reading.lines import Block, numbered, read_blocks
from inoculate.reading.parquet import column_types, is_parquet, read_rows
from inoculate.task import Encoded

_Parts = Iterator[tuple[pl.DataFrame, list[RecordError]]]
_HIDDEN = ("origin", "ts", LINE)
_OBJECTS = 1000


class Table(Domain):
    """Rows of a user's own table.

    Attributes:
        left_out: patterns of column names that are never encoded.
    """

    kind: ClassVar[str] = "table"
    unit: ClassVar[str] = "row"
    left_out: ClassVar[tuple[str, ...]] = LEFT_OUT

    def sniff(self, source: Source) -> float:
        """Return 0.1 to 0.3: any known format is surer of its own."""
        if is_parquet(source):
            return 0.3
        start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(b"{"):
            return 0.2 if _is_object(start.split(b"\n")[0]) else 0.0
        header = sniff_header(source)
        if header is None or len(header.names) < 2 or header.names[0].startswith("#"):
            return 0.0
        lines = [line for line in start.split(b"\n")[1:-1] if line.strip()][:20]
        fits = [line.decode("utf-8", "replace").count(header.separator) for line in lines]
        same = sum(n >= len(header.names) - 1 for n in fits)
        return 0.2 if same * 2 >= len(lines) else 0.1

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of rows; see the base class.

        Raises:
            RecordError: also for a column name that is there twice, and for Parquet that is
                damaged or comes through a pipe.
        """
        if is_parquet(source):
            parts = _read_parquet(source)
        elif source.head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            parts = _read_json(source, on_bad)
        else:
            parts = _read_text(source, on_bad)
        for frame, bad in parts:
            if frame.height:
                yield Batch(_finished(frame, source.name))
            for error in bad:
                on_bad(error)

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return the one view ``table``, its columns found in the batch.

        Raises:
            RecordError: no column is left to learn from.
        """
        columns = choose_columns(batch.frame, _HIDDEN)
        if not columns:
            have = ", ".join(c[:40] for c in batch.frame.columns[:30] if c not in _HIDDEN)
            place = str(batch.frame["origin"][0]) if len(batch) else "the table"
            raise RecordError(f"no column to learn from among {have}", origin=place)
        return (View("table", columns),)

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the rows in the columns of ``views``.

        Raises:
            RecordError: a column is missing, or has a text where a number is expected.
        """
        return encode_table(batch.frame, views, batch.frame["origin"])


def _is_object(line: bytes) -> bool:
    try:
        load_object(line)
    except ValueError:
        return False
    return True


def _finished(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Add ``origin`` and, where a column says it, ``ts``."""
    names = [c for c in frame.columns if c != LINE]
    clock = time_column(names)
    if "origin" in names:
        frame = frame.rename({"origin": "origin_source"})
    if clock is not None:
        times = frame[clock]
        if times.dtype == pl.String or times.dtype.is_numeric():
            frame = frame.with_columns(_scaled(seconds(times)).alias("ts"))
        elif times.dtype in (pl.Datetime, pl.Date):
            epoch = times.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
            frame = frame.with_columns(epoch.alias("ts"))
    return frame.with_columns(origin(source, LINE)).drop(LINE)


def _scaled(times: pl.Series) -> pl.Series:
    """Return seconds from numbers that may as well be milli- or microseconds."""
    for too_late, unit in ((1e14, 1e6), (1e11, 1e3)):
        times = times.zip_with((times < too_late).fill_null(True), times / unit)
    return times


def _read_text(source: Source, on_bad: OnBad) -> _Parts:
    layout: Layout | None = None
    for header, block in read_headed(source, on_bad=on_bad):
        if layout is None:
            layout = _guessed(header, block, source.name)
        yield parse_delimited(block, layout, source.name)


def _guessed(header: Header, block: Block, source: str) -> Layout:
    """Return the layout of a table from its header and first rows."""
    names = tuple(n or f"column_{i}" for i, n in enumerate(header.names, start=1))
    check_header(names, (), header.origin)
    as_text = Layout(
        names,
        numbers=frozenset(),
        texts=frozenset(names),
        separator=header.separator,
        unknown=UNKNOWN,
        comment=header.line if len(names) > 1 else b"",
    )
    frame, _ = parse_delimited(block, as_text, source)
    numbers = number_columns(frame.drop(LINE))
    return replace(as_text, numbers=numbers, texts=frozenset(names) - numbers)


def _read_json(source: Source, on_bad: OnBad) -> _Parts:
    schema: dict[str, Any] | None = None
    for block in read_blocks(source, on_bad=on_bad):
        schema = schema or _json_schema(block)
        yield parse_json_lines(block, schema, source.name)


def _json_schema(block: Block) -> dict[str, Any]:
    """Return the keys of the first objects, as numbers where most values are."""
    seen: dict[str, list[bool]] = {}
    for _, line in islice(numbered(block), _OBJECTS):
        try:
            record = load_object(line)
        except ValueError:
            continue
        for key, value in record.items():
            if value is not None and key != LINE:
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                seen.setdefault(key, []).append(is_number)
    return {
        key: pl.Float64 if sum(flags) >= NUMBER_SHARE * len(flags) else pl.String
        for key, flags in seen.items()
    }


def _read_parquet(source: Source) -> _Parts:
    kinds = {n: t for n, t in column_types(source).items() if not t.is_nested()}
    names = [n for n, t in kinds.items() if t not in (pl.Object, pl.Null, pl.Binary)]
    if not names:
        raise RecordError("no column of numbers or text, only nested ones", origin=source.name)
    for first, frame in read_rows(source, names):
        texts = [n for n, t in frame.schema.items() if isinstance(t, pl.Categorical | pl.Enum)]
        rows = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
        frame = frame.with_columns(pl.col(texts).cast(pl.String), rows.alias(LINE))
        numbers = number_columns(frame.drop(LINE, *(n for n in names if kinds[n] == pl.String)))
        layout = Layout(tuple(names), numbers=numbers, texts=frozenset(names) - numbers)
        frame, bad = to_numbers(frame, layout)
        yield frame, [RecordError(bad[n], origin=f"{source.name}:{n}") for n in sorted(bad)]
