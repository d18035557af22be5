"""Reads delimited text whose first line names the columns."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from inoculate.domain import OnBad, Source, raise_bad
from inoculate.errors import RecordError
from inoculate.reading.delimited import split_cells
from inoculate.reading.lines import Block, read_blocks

SEPARATORS = (",", ";", "\t", "|")
MOST_COLUMNS = 4096


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a delimited file.

    Attributes:
        names: column names, without blanks around them.
        separator: what stands between two of them.
        line: the line itself with its newline; where it comes again it is no record.
        origin: its place, for errors.
    """

    names: tuple[str, ...]
    separator: str
    line: bytes
    origin: str


def header_of(line: bytes, origin: str) -> Header:
    """Return a header from its line; the separator is whichever of four occurs most often.

    Raises:
        RecordError: the line cannot be split, or has over ``MOST_COLUMNS`` columns.
    """
    text = line.decode("utf-8", "replace")
    separator = max(SEPARATORS, key=text.count)
    try:
        names = tuple(c.strip() for c in split_cells(line, separator))
    except csv.Error as err:
        raise RecordError(f"the header cannot be split: {err}", origin=origin) from err
    if len(names) > MOST_COLUMNS:
        raise RecordError(f"the header has {len(names)} columns", origin=origin)
    return Header(names, separator, line + b"\n", origin)


def sniff_header(source: Source) -> Header | None:
    """Return the header in the first bytes of a source, None where there can be none."""
    for line in source.head.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = line.rstrip(b"\r")
        if line.strip():
            try:
                return None if b"\0" in line else header_of(line, source.name)
            except RecordError:
                return None
    return None


def read_headed(source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[tuple[Header, Block]]:
    """Yield the header with each block of the lines after it.

    Raises:
        RecordError: there is nothing but blank lines, or the header cannot be split.
    """
    header: Header | None = None
    for block in read_blocks(source, on_bad=on_bad):
        if header is None:
            blank = len(block.data) - len(block.data.lstrip(b"\n "))
            end = block.data.find(b"\n", blank) + 1
            if not end:
                continue
            place = block.first_line + block.data.count(b"\n", 0, blank)
            line = block.data[blank : end - 1]
            header = header_of(line, f"{source.name}:{place}")
            block = Block(block.data[end:], place + 1)
        if block.data:
            yield header, block
    if header is None:
        raise RecordError("only blank lines, no header", origin=source.name)
