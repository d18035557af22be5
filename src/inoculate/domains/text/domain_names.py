"""Domain names: a list with one name a line, a column of a table, or Zeek's dns.log.

Malware that computes its names of the day (a domain generation algorithm), tunnels and phishing
show in the name alone: how it is spelled, not which one it is. Names come from resolvers' query
logs, passive DNS, proxies and certificates.

Forms: plain lines (``#`` begins a comment), CSV or JSON Lines with one of ``COLUMNS``, and
dns.log as tab-separated values or JSON Lines, of which records without a query are no records.
A name is taken in lower case, without a dot at its end; see ``features.text.name_shape``.

Format: https://docs.zeek.org/en/master/logs/dns.html

"""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import polars as pl

from inoculate.domain import Batch, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.hashing import hashed_view
from inoculate.features.text.name_shape import (
    LONGEST_NAME,
    NAME_COLUMNS,
    name_shape,
    split_names,
    suffix_tokens,
)
from inoculate.features.text.text_domain import (
    HashedView,
    TextDomain,
    finished,
    refuse,
    with_client,
)
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited
from inoculate.reading.lines import read_blocks
from inoculate.reading.text_rows import (
    BLOCK_BYTES,
    MOST_ROWS,
    TEXT,
    Part,
    first_lines,
    head_cells,
    read_text_rows,
    text_form,
)
from inoculate.task import FloatArray

COLUMNS = ("query", "domain", "fqdn", "domain_name", "host", "hostname")
"""Names of a column or key that holds the names, the likeliest first."""

_NAME = re.compile(r"(\*\.)?[\w-]{1,63}(\.[\w-]{1,63})*\.([^\W\d_]{2,63}|xn--[\w-]{1,59})\.?")
_NO_NAME = r"[\s\x00-\x20/\\\"'<>,;:@()]"
_ZEEK = ("ts", "uid", "id.orig_h", "query", "qtype_name", "rcode_name", "label")

SHAPE = View("shape", NAME_COLUMNS)
GRAMS = HashedView(hashed_view("gram", 256, "character sequences in the name"))
SUFFIXES = HashedView(
    hashed_view("suffix", 64, "what the name is registered under"), (1,), of_tokens=True
)


class DomainNames(TextDomain):
    """Names, however they are listed."""

    kind: ClassVar[str] = "domain_name"
    unit: ClassVar[str] = "name"
    identity: ClassVar[tuple[str, ...]] = ("text", "client")
    shape_view: ClassVar[View] = SHAPE
    hashed: ClassVar[tuple[HashedView, ...]] = (GRAMS, SUFFIXES)

    def sniff(self, source: Source) -> float:
        """Return 1 for a dns.log, 0.6 where nearly all first lines are names."""
        if source.head.startswith(b"#"):
            is_dns = re.search(rb"(?m)^#path\W+dns\r?$", source.head)
            return 1.0 if is_dns and _fields(source) else _are_names(first_lines(source))
        form = text_form(source, COLUMNS)
        if form.kind == "plain":
            return _are_names(first_lines(source))
        if {"query", "qtype_name", "rcode_name"} <= set(form.names):
            return 0.9
        # a table with a host among many columns is a table
        return _are_names(head_cells(source, form)) if len(form.names) <= 3 else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of names; see the base class.

        Raises:
            RecordError: also for a header that cannot be split or has a name twice.
        """
        fields = _fields(source)
        form = text_form(source, COLUMNS)
        parts = (
            _read_zeek(source, fields, on_bad)
            if fields
            else read_text_rows(source, form, on_bad=on_bad)
        )
        wrong = pl.col(TEXT).str.len_chars() > LONGEST_NAME
        for frame, bad in parts:
            if form.kind == "plain" and not fields:
                frame = frame.with_columns(pl.col(TEXT).str.strip_chars(" \t\r"))
                frame = frame.filter(~pl.col(TEXT).str.starts_with("#"))
                no_name = pl.col(TEXT).str.contains(_NO_NAME)
                frame, worse = refuse(frame, no_name, "no domain name", source.name, LINE)
                bad = bad + worse
            long = f"longer than {LONGEST_NAME} characters"
            frame, worse = refuse(frame, wrong, f"a name {long}", source.name, LINE)
            if frame.height:
                yield Batch(with_client(finished(frame, source.name, LINE)))
            for error in (*bad, *worse):
                on_bad(error)

    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the structure of names, their letters, and what they are registered under."""
        parts = split_names(frame["text"])
        counted = {GRAMS.view.name: parts["stem"], SUFFIXES.view.name: suffix_tokens(parts)}
        return name_shape(parts), counted


def _are_names(cells: list[str]) -> float:
    cells = [c.strip() for c in cells if not c.startswith("#")]
    fits = sum(_NAME.fullmatch(c) is not None for c in cells)
    return 0.6 if cells and fits >= 0.9 * len(cells) else 0.0


def _fields(source: Source) -> tuple[str, ...]:
    """Return the columns of a dns.log in Zeek's own form; none for other sources."""
    line = re.search(rb"(?m)^#fields\t([^\r\n]*)", source.head) if source.head[:1] == b"#" else None
    names = tuple(line.group(1).decode("utf-8", "replace").split("\t")) if line else ()
    return names if "query" in names else ()


def _read_zeek(source: Source, fields: tuple[str, ...], on_bad: OnBad) -> Iterator[Part]:
    check_header(fields, ("query",), source.name)
    layout = Layout(
        fields,
        numbers=frozenset(),
        texts=frozenset(_ZEEK) & frozenset(fields),
        separator="\t",
        unknown=("-", "(empty)"),
        quoted=False,
        comment=b"#",
    )
    for block in read_blocks(source, on_bad=on_bad, block_bytes=BLOCK_BYTES):
        frame, bad = parse_delimited(block, layout, source.name)
        frame = frame.rename({"query": TEXT}).filter(pl.col(TEXT).is_not_null())
        yield from ((some, list[RecordError]()) for some in frame.iter_slices(MOST_ROWS))
        yield frame.clear(), bad
