"""Reads texts, one a record: a line each, a column of delimited text, or a key of JSON Lines.

Which of the three a source is follows from its first line: a header that names a wanted column,
a JSON object with a wanted key, or else plain lines. All other columns and keys are kept as text
under their own name (``label`` ...), with ``_source`` added where the name is taken.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from inoculate.domain import OnBad, Source, raise_bad
from inoculate.errors import RecordError
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited
from inoculate.reading.headed import Header, header_of, read_headed, sniff_header
from inoculate.reading.json_lines import load_object, parse_json_lines
from inoculate.reading.lines import Block, read_blocks

BLOCK_BYTES = 1024 * 1024
MOST_ROWS = 20_000
"""Most records in one batch."""

MOST_EXTRA = 50
"""So many other columns or keys are kept."""

TEXT = "text"
_TAKEN = (TEXT, "origin", LINE)

Part = tuple[pl.DataFrame, list[RecordError]]


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a source holds its texts.

    Attributes:
        kind: ``plain``, ``delimited`` or ``json``.
        names: columns of the header, keys of the first object; none for plain lines.
        column: the one among them that holds the texts; None for plain lines.
    """

    kind: str
    names: tuple[str, ...] = ()
    column: str | None = None


def first_lines(source: Source, n: int = 200) -> list[str]:
    """Return the first lines of a source that are not blank, those that are whole."""
    lines = source.head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    if len(lines) > 1:
        lines.pop()  # cut off by the end of the head, or nothing after the last newline
    shown = (line.decode("utf-8", "replace") for line in lines if line.strip())
    return list(islice(shown, n))


def text_form(source: Source, names: Sequence[str]) -> TextForm:
    """Return how a source holds its texts.

    Args:
        source: asked for its first bytes only.
        names: of the wanted column, the likeliest first; capitals do not matter.
    """
    first = next(iter(first_lines(source, 1)), "")
    if first.startswith("{"):
        try:
            keys = tuple(load_object(first.encode()))
        except ValueError:
            return TextForm("plain")
        column = _wanted(keys, names)
        return TextForm("json", keys, column) if column is not None else TextForm("plain")
    header = sniff_header(source)
    column = None if header is None else _wanted(header.names, names)
    if header is None or column is None:
        return TextForm("plain")
    return TextForm("delimited", header.names, column)


def _wanted(have: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {name.lower(): name for name in reversed(have)}
    return next((plain[n.lower()] for n in names if n.lower() in plain), None)


def read_text_rows(source: Source, form: TextForm, *, on_bad: OnBad = raise_bad) -> Iterator[Part]:
    """Yield frames of at most ``MOST_ROWS`` records, and the bad records after each.

    Each frame has ``text`` (String), ``LINE`` (Int64) and the other columns as String. An empty
    cell is an empty text; blank lines, and objects without the key, are no records.

    Args:
        source: to read.
        form: as ``text_form`` returned it.
        on_bad: takes lines that are too long, and damage of the stream.

    Raises:
        RecordError: a header that cannot be split, has a name twice or lacks the column.
    """
    if form.kind == "json":
        parts = _read_json(source, form, on_bad)
    elif form.kind == "delimited":
        parts = _read_delimited(source, form, on_bad)
    else:
        blocks = read_blocks(source, on_bad=on_bad, block_bytes=BLOCK_BYTES)
        parts = ((_plain(block), []) for block in blocks)
    for frame, bad in parts:
        for some in frame.iter_slices(MOST_ROWS):
            if some.height:
                yield some, []
        yield frame.clear(), bad


def _plain(block: Block) -> pl.DataFrame:
    texts = pl.Series(TEXT, block.data.decode("utf-8", "replace").split("\n")[:-1], pl.String)
    lines = pl.Series(LINE, np.arange(block.first_line, block.first_line + len(texts)), pl.Int64)
    frame = pl.DataFrame([texts, lines])
    return frame.filter(pl.col(TEXT).str.strip_chars(" \t\r") != "")


def _read_delimited(source: Source, form: TextForm, on_bad: OnBad) -> Iterator[Part]:
    layout: Layout | None = None
    for header, block in _headed(source, on_bad):
        # a line of tabs alone is blank at first sight, but a header to the reader
        layout = layout or _layout(header, str(form.column))
        if len(layout.names) == 1:
            yield _plain(block).with_columns(_unquoted(pl.col(TEXT))), []
            continue
        frame, bad = parse_delimited(block, layout, source.name)
        yield _named(frame, form), bad


def _headed(source: Source, on_bad: OnBad) -> Iterator[tuple[Header, Block]]:
    """Yield blocks of at most ``BLOCK_BYTES`` or one line with their header."""
    for header, block in read_headed(source, on_bad=on_bad):
        begin, line = 0, block.first_line
        while begin < len(block.data):
            end = block.data.rfind(b"\n", begin, begin + BLOCK_BYTES) + 1
            end = end or block.data.find(b"\n", begin) + 1
            yield header, Block(block.data[begin:end], line)
            line += block.data.count(b"\n", begin, end)
            begin = end


def _unquoted(text: pl.Expr) -> pl.Expr:
    """Return cells of a table of one column without quotes around the whole of a cell."""
    inner = text.str.slice(1, text.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    return pl.when(text.str.contains(r'^"(?:[^"]|"")*"$')).then(inner).otherwise(text)


def _layout(header: Header, column: str) -> Layout:
    names = tuple(n or f"column_{i}" for i, n in enumerate(header.names, start=1))
    check_header(names, (column,), header.origin)
    return Layout(
        names,
        numbers=frozenset(),
        texts=frozenset(names),
        separator=header.separator,
        comment=header.line,
    )


def _read_json(source: Source, form: TextForm, on_bad: OnBad) -> Iterator[Part]:
    others = [n for n in form.names if n not in (form.column, LINE)][:MOST_EXTRA]
    schema: dict[str, Any] = dict.fromkeys((str(form.column), *others), pl.String)
    for block in read_blocks(source, on_bad=on_bad, block_bytes=BLOCK_BYTES):
        frame, bad = parse_json_lines(block, schema, source.name)
        yield _named(frame, form, empty=None), bad


def _named(frame: pl.DataFrame, form: TextForm, *, empty: str | None = "") -> pl.DataFrame:
    """Return a frame whose texts are ``text``, no other column under a taken name."""
    names = {str(form.column): TEXT}
    others = [n for n in frame.columns if n not in (form.column, LINE)]
    for name in others:
        new = name
        while new in _TAKEN or (new != name and new in others):
            new += "_source"
        names[name] = new
    kept = [str(form.column), *others[:MOST_EXTRA], LINE]
    frame = frame.select(kept).rename({k: v for k, v in names.items() if k in kept})
    if empty is None:
        return frame.filter(pl.col(TEXT).is_not_null())
    return frame.with_columns(pl.col(TEXT).fill_null(empty))


def head_cells(source: Source, form: TextForm, n: int = 50) -> list[str]:
    """Return the first texts of a source in the head, for ``sniff``; none for plain lines."""
    lines = first_lines(source, n + 1)
    if form.kind == "json":
        return [c for c in (_key(line, str(form.column)) for line in lines) if c is not None]
    if form.kind == "plain" or not lines:
        return []
    separator = header_of(lines[0].encode(), source.name).separator
    at = form.names.index(str(form.column))
    cells = []
    for line in lines[1:]:
        try:
            row = next(csv.reader([line], delimiter=separator), [])
        except csv.Error:
            continue
        if len(row) > at:
            cells.append(row[at])
    return cells


def _key(line: str, key: str) -> str | None:
    try:
        value = load_object(line.encode()).get(key)
    except ValueError:
        return None
    return value if isinstance(value, str) else None
