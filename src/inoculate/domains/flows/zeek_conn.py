"""Zeek's conn.log: one line a connection, as tab-separated values or as JSON Lines.

Analysts have it wherever Zeek, Corelight or Security Onion watches a network, often for years
back. It knows who asked (originator), payload and IP bytes, and how each connection ended; it
does not know the sizes and gaps of single packets, so those columns stay unknown.

Format: https://docs.zeek.org/en/master/logs/conn.html

What follows from ``conn_state`` and ``history``: for TCP ``failed``, ``established``, ``reset``
and ``closed``; and SYN, FIN and RST packets counted once a side that sent one (the history does
not repeat letters). Zeek leaves ``duration`` out when it is 0. Columns that Zeek's own conn.log
does not have, such as ``label``, are kept as text under their own name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, OnBad, Source, raise_bad
from inoculate.errors import RecordError
from inoculate.features.flows.flow_domain import FlowDomain
from inoculate.features.flows.flow_schema import IDENTITY, complete
from inoculate.features.flows.flow_text import (
    origin,
    port,
    protocol,
    protocol_flags,
    rename_clashing,
    seconds,
)
from inoculate.features.flows.host_context import HostContext
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited
from inoculate.reading.json_lines import load_object, parse_json_lines
from inoculate.reading.lines import Block, read_blocks

NEEDED = (
    *("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"),
    *("duration", "orig_bytes", "resp_bytes"),
)
NUMBERS = (
    *("id.orig_p", "id.resp_p", "duration", "orig_bytes", "resp_bytes"),
    *("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes"),
)
TEXTS = ("id.orig_h", "id.resp_h", "proto", "conn_state", "history", "service", "uid")
UNUSED = (
    *("local_orig", "local_resp", "missed_bytes", "tunnel_parents", "ip_proto", "vlan"),
    *("inner_vlan", "orig_l2_addr", "resp_l2_addr", "community_id"),
)
FAILED = ("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR")
ESTABLISHED = ("S1", "SF", "S2", "S3", "RSTO", "RSTR")
RESET = ("REJ", "RSTO", "RSTR", "RSTOS0", "RSTRH")

MOST_HEADERS = 1000
_COMMENTS = re.compile(rb"(?m)^#[^\n]*\n(?:#[^\n]*\n)*")
_MOST_PIECES = 64


class ZeekConn(FlowDomain):
    """Flows of a Zeek conn.log."""

    identity: ClassVar[tuple[str, ...]] = (*IDENTITY, "uid", "service")

    def sniff(self, source: Source) -> float:
        """Return 1 for a header with Zeek's connection columns, or such a JSON object."""
        start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(b"{"):
            try:
                keys = load_object(start.split(b"\n")[0]).keys()
            except ValueError:
                return 0.0
            return 1.0 if {"id.orig_h", "id.resp_h", "conn_state"} <= keys else 0.0
        if not start.startswith(b"#"):
            return 0.0
        fields = re.search(rb"(?m)^#fields[^\n]*", start)
        if fields is None:
            return 0.5 if start.startswith(b"#separator") else 0.0
        if re.search(rb"(?m)^#path\W+conn\r?$", start):
            return 1.0  # also where a column is missing, so that the reader says which
        names = re.split(rb"[^\w.]+", fields.group())
        return 1.0 if {b"id.orig_h", b"id.resp_h", b"duration"} <= set(names) else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of flows; see the base class.

        Raises:
            RecordError: also for a needed column that is missing or doubled, for a line before
                the first ``#fields``, and for more than ``MOST_HEADERS`` different headers.
        """
        context, header = HostContext(), _Header()
        for block in read_blocks(source, on_bad=on_bad):
            for piece in header.split(block, source.name):
                if header.names is None and _is_json(piece):
                    frame, bad = parse_json_lines(piece, _json_schema(piece), source.name)
                    frame = frame.with_columns(seconds(frame["ts"]))
                else:
                    frame, bad = parse_delimited(piece, header.layout(source, piece), source.name)
                    frame = _unspaced(frame)
                if frame.height:
                    yield Batch(complete(_flows(frame, source.name), context))
                for error in bad:
                    on_bad(error)


@dataclass(slots=True)
class _Header:
    """What the ``#`` lines said so far; they may come again in the middle of a stream."""

    names: tuple[str, ...] | None = None
    separator: str = "\t"
    unset: str = "-"
    empty: str = "(empty)"
    changes: int = 0

    def split(self, block: Block, source: str) -> Iterator[Block]:
        """Yield the lines between header lines, the header updated to those before them."""
        data = block.data
        if b"#" not in data or not (data.startswith(b"#") or b"\n#" in data):
            yield block
            return
        begin, line, n_pieces = 0, block.first_line, 0
        for run in _COMMENTS.finditer(data):
            after = self._updated(run.group())
            if after == self and n_pieces >= _MOST_PIECES:
                continue  # the parser skips comments, if slowly
            if begin < run.start():
                yield Block(data[begin : run.start()], line)
            line += data.count(b"\n", begin, run.end())
            begin, n_pieces = run.end(), n_pieces + 1
            if after != self:
                self._take(after, f"{source}:{line}")
        if begin < len(data):
            yield Block(data[begin:], line)

    def _take(self, after: "_Header", origin: str) -> None:
        self.names, self.separator = after.names, after.separator
        self.unset, self.empty = after.unset, after.empty
        self.changes += 1
        if self.changes > MOST_HEADERS:
            raise RecordError(f"more than {MOST_HEADERS} different headers", origin=origin)

    def _updated(self, comments: bytes) -> "_Header":
        after = replace(self)
        for line in comments.decode("utf-8", "replace").split("\n"):
            key, _, rest = line.partition(" " if line.startswith("#separator") else after.separator)
            if key == "#separator":
                code = re.fullmatch(r"\\x([0-7][0-9a-fA-F])", rest.strip())
                after.separator = chr(int(code.group(1), 16)) if code else rest[:1] or "\t"
            elif key == "#fields":
                after.names = tuple(rest.split(after.separator))
            elif key == "#unset_field":
                after.unset = rest
            elif key == "#empty_field":
                after.empty = rest
        return after

    def layout(self, source: Source, piece: Block) -> Layout:
        """Return how to read lines under this header."""
        origin = f"{source.name}:{piece.first_line}"
        if self.names is None:
            raise RecordError("no #fields header before the first flow", origin=origin)
        check_header(self.names, NEEDED, origin)
        numbers = {"ts", *NUMBERS} & set(self.names)
        return Layout(
            self.names,
            numbers=frozenset(numbers),
            texts=frozenset(set(self.names) - numbers - set(UNUSED)),
            separator=self.separator,
            unknown=tuple({self.unset, self.empty} - {""}),
            quoted=False,
            comment=b"#",
            minimum=0.0,
        )


def _is_json(piece: Block) -> bool:
    return piece.data.lstrip()[:1] == b"{"


def _json_schema(piece: Block) -> dict[str, Any]:
    """Return Zeek's keys and whatever else the first object has beside them."""
    schema: dict[str, Any] = dict.fromkeys(NUMBERS, pl.Float64)
    schema |= dict.fromkeys(("ts", *TEXTS), pl.String)
    try:
        first = load_object(piece.data.lstrip().split(b"\n", 1)[0])
    except ValueError:
        return schema
    extra = [k for k in first if k not in schema and k not in UNUSED and k != LINE]
    return schema | dict.fromkeys(extra[:50], pl.String)


def _unspaced(frame: pl.DataFrame) -> pl.DataFrame:
    """Split a last column that holds several, three spaces apart, as in the IoT-23 logs."""
    name = next((n for n in frame.columns if "   " in n), None)
    if name is None:
        return frame
    names = [n for n in name.split() if n not in frame.columns]
    parts = pl.col(name).str.split("   ").list
    at = {n: i for i, n in enumerate(name.split())}
    values = (parts.get(at[n], null_on_oob=True).alias(n) for n in names)
    return frame.with_columns(values).drop(name)


def _flows(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return parsed lines in the names and units of the flow schema."""
    absent = {k: pl.String for k in TEXTS} | {k: pl.Float64 for k in NUMBERS}
    frame = frame.with_columns(
        pl.lit(None, kind).alias(k) for k, kind in absent.items() if k not in frame.columns
    )
    frame = rename_clashing(frame, {"ts", LINE, *NUMBERS, *TEXTS})
    frame = frame.rename({f"id.{k}": k for k in ("orig_h", "orig_p", "resp_h", "resp_p")})
    key = ["proto", "conn_state", "history"]
    tcp = pl.col("__proto__") == "tcp"
    # few combinations: what follows from them is found once for each
    endings = frame.select(key).unique().with_columns(protocol(pl.col("proto")).alias("__proto__"))
    endings = endings.with_columns(
        *protocol_flags(pl.col("__proto__")), *_ending(tcp), *_flag_packets(tcp)
    )
    frame = frame.join(endings, on=key, how="left", nulls_equal=True, maintain_order="left")
    answered = pl.when(pl.col("__proto__") != "tcp").then(pl.col("resp_pkts") > 0)
    return frame.with_columns(
        origin(source, LINE),
        port("orig_p"),
        port("resp_p"),
        pl.col("__proto__").alias("proto"),
        pl.col("duration").fill_null(pl.when(pl.col("conn_state").is_not_null()).then(0.0)),
        pl.coalesce("failed", (~answered).cast(pl.Float64)).alias("failed"),
        pl.coalesce("established", answered.cast(pl.Float64)).alias("established"),
    ).drop(LINE, "__proto__")


def _flag_packets(tcp: pl.Expr) -> Iterator[pl.Expr]:
    """Yield SYN, FIN and RST packets: how many of the history's letters for them are there."""
    history = pl.col("history")
    for name, letters in {"syn": "SsHh", "fin": "Ff", "rst": "Rr"}.items():
        n = pl.sum_horizontal(history.str.contains(x, literal=True) for x in letters)
        known = pl.when(history.is_not_null()).then(pl.when(tcp).then(n).otherwise(0))
        yield known.cast(pl.Float64).alias(name)


def _ending(tcp: pl.Expr) -> Iterator[pl.Expr]:
    """Yield the four columns that say how a flow ended, as far as its state tells."""
    state = pl.col("conn_state")
    of_tcp = {"failed": FAILED, "established": ESTABLISHED, "reset": RESET, "closed": ("SF",)}
    for name, states in of_tcp.items():
        by_state = pl.when(state != "OTH").then(state.is_in(states))
        other = None if name in ("failed", "established") else False
        yield pl.when(tcp).then(by_state).when(~tcp).then(other).cast(pl.Float64).alias(name)
