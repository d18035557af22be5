"""CICFlowMeter's CSV, and Parquet files with its columns: the format of the CIC data sets.

Analysts meet it in public data sets (CIC-IDS2017, CSE-CIC-IDS2018, CIC-DDoS2019 ...) and in the
output of the tool itself. Names differ from release to release (``Total Length of Fwd Packets``,
``Total Length of Fwd Packet``, ``Fwd Packets Length Total``, ``TotLen Fwd Pkts``), so they are
compared by their words, in any order.

Format: https://github.com/ahlashkari/CICFlowMeter

Durations and gaps are microseconds there. Spreads are of a sample there (n - 1) and of all
packets here (n). A gap that needs a second packet is unknown where there is none, as is a
negative value, which older releases write by overflow (headers, gaps) or for "none" (windows).
Releases up to 3 (their columns have ``CWE``) log 0 or 1 for flag counts, and for whole flows:
those columns stay unknown. All other columns, such as ``Label``, are kept as they are.

References:
    Engelen et al., "Troubleshooting an Intrusion Detection Dataset: the CICIDS2017 Case
    Study", WTMC 2021, section III, for what the older releases count wrongly.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from inoculate.domain import Batch, OnBad, Source, raise_bad
from inoculate.errors import RecordError
from inoculate.features.flows.flow_domain import FlowDomain
from inoculate.features.flows.flow_schema import complete
from inoculate.features.flows.flow_text import (
    origin,
    port,
    protocol,
    protocol_flags,
    rename_clashing,
    seconds,
)
from inoculate.features.flows.host_context import HostContext
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited, to_numbers
from inoculate.reading.headed import Header, read_headed, sniff_header
from inoculate.reading.parquet import column_types, is_parquet, read_rows

_WORDS = {
    **dict.fromkeys(("packets", "pkts", "pkt"), "packet"),
    **dict.fromkeys(("len", "totlen", "lengths"), "length"),
    **{"tot": "total", "byts": "bytes", "cnt": "count", "backward": "bwd", "forward": "fwd"},
    **{"source": "src", "destination": "dst", "proto": "protocol", "cwe": "cwr"},
}
_SIDES = {"fwd": "orig", "bwd": "resp"}
_STATISTICS = ("min", "mean", "std", "max")
_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a column's name that tell it from others, in alphabetical order.

    Example:
        >>> words("Total Length of Fwd Packets") == words("TotLen Fwd Pkts")
        True
    """
    found = re.findall("[a-z0-9]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower())
    plain = [_WORDS.get(w, w) for w in found if w != "of"]
    if "totlen" in found:
        plain.append("total")
    return tuple(sorted(plain))


def _meanings() -> dict[tuple[str, ...], str]:
    names = {
        "Flow Duration": "duration",
        "Src IP": "orig_h",
        "Dst IP": "resp_h",
        "Src Port": "orig_p",
        "Dst Port": "resp_p",
        "Protocol": "proto",
        "Timestamp": "ts",
    }
    for way, side in _SIDES.items():
        names[f"Total {way} Packets"] = f"{side}_pkts"
        names[f"Total Length {way} Packets"] = f"{side}_bytes"
        names[f"{way} Header Length"] = f"{side}_header"
        names |= {f"{way} Packet Length {k}": f"{side}_len_{k}" for k in _STATISTICS}
        names |= {f"{way} IAT {k}": f"{side}_iat_{k}" for k in _STATISTICS}
    names |= {f"Packet Length {k}": f"len_{k}" for k in _STATISTICS}
    names |= {f"Flow IAT {k}": f"iat_{k}" for k in _STATISTICS}
    names |= {f"{k} Flag Count": k for k in _FLAGS}
    return {words(name): field for name, field in names.items()}


_MEANINGS = _meanings()
_TEXTS = ("orig_h", "resp_h", "proto", "ts")
_NEEDED = ("duration", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "iat_mean")
_SECONDS = 1e-6


class Cicflowmeter(FlowDomain):
    """Flows with CICFlowMeter's columns."""

    def sniff(self, source: Source) -> float:
        """Return 1 for a header with CICFlowMeter's duration, counts, bytes and gaps."""
        names: Sequence[str] = ()
        try:
            if is_parquet(source):
                names = list(column_types(source)) if source.path else ()
            elif (header := sniff_header(source)) is not None:
                names = header.names
        except RecordError:
            return 0.0
        return 1.0 if {_MEANINGS.get(words(n)) for n in names}.issuperset(_NEEDED) else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of flows; see the base class.

        Raises:
            RecordError: also for a needed column that is missing or doubled, for Parquet that
                is damaged or comes through a pipe.
        """
        context = HostContext()
        parts = _read_parquet if is_parquet(source) else _read_text
        for frame, bad, dialect in parts(source, on_bad):
            if frame.height:
                yield Batch(complete(_flows(frame, dialect, source.name), context))
            for error in bad:
                on_bad(error)


def _fields(names: Sequence[str], place: str) -> dict[str, str]:
    """Return the field of each column that has one; refuse doubled and missing ones."""
    fields: dict[str, str] = {}
    for name in names:
        field = _MEANINGS.get(words(name))
        if field in fields.values():
            # one release writes its forward header length twice
            if field != "orig_header":
                raise RecordError(f"column {name[:60]!r} is there twice", origin=place)
        elif field is not None:
            fields[name] = field
    missing = [f"Flow {f}" if f == "duration" else f for f in _NEEDED if f not in fields.values()]
    if missing:
        raise RecordError(f"no CICFlowMeter column for {', '.join(missing)}", origin=place)
    return fields


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What a file's header says.

    Attributes:
        fields: field of each column that has one.
        others: columns that are not the tool's own.
        is_old: release 3 or before.
    """

    fields: dict[str, str]
    others: tuple[str, ...]
    is_old: bool

    @classmethod
    def of(cls, names: Sequence[str], place: str) -> "_Dialect":
        fields = _fields(names, place)
        own = {"", LINE, *fields}
        others = tuple(n for n in names if n not in own and not _OWN.search(_spaced(n)))
        return cls(fields, others, any(re.match(r"(?i)\s*cwe\b", n) for n in names))

    def layout(self, names: Sequence[str], header: Header | None = None) -> Layout:
        """Return how to read the cells."""
        numbers = frozenset(n for n, field in self.fields.items() if field not in _TEXTS)
        return Layout(
            tuple(names),
            numbers=numbers,
            texts=frozenset(self.fields) - numbers | set(self.others),
            separator=header.separator if header else ",",
            comment=header.line if header else b"",
        )


_OWN = re.compile(
    " (bulk|subflow|iat|idle|active|win|seg|segment|header|variance|ratio|psh|urg|rst|cwr|ece"
    "|act|avg|packet|bytes flow s) "
)


def _spaced(name: str) -> str:
    return f" {' '.join(words(name))} "


_Parts = Iterator[tuple[pl.DataFrame, list[RecordError], _Dialect]]


def _read_text(source: Source, on_bad: OnBad) -> _Parts:
    layout: Layout | None = None
    for header, block in read_headed(source, on_bad=on_bad):
        if layout is None:
            names = _undoubled(header.names)
            check_header(names, (), header.origin)
            dialect = _Dialect.of(names, header.origin)
            layout = dialect.layout(names, header)
        yield *parse_delimited(block, layout, source.name), dialect


def _undoubled(names: Sequence[str]) -> list[str]:
    """Rename the second forward header length that one release writes."""
    again = [
        n in names[:i] and _MEANINGS.get(words(n)) == "orig_header" for i, n in enumerate(names)
    ]
    return [f"{n}.1" if a else n for n, a in zip(names, again, strict=True)]


def _read_parquet(source: Source, on_bad: OnBad) -> _Parts:
    names = list(column_types(source))
    dialect = _Dialect.of(names, source.name)
    layout = dialect.layout(names)
    for first, frame in read_rows(source, layout.wanted):
        rows = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
        numbers, bad = to_numbers(frame.with_columns(rows.alias(LINE)), layout)
        errors = [RecordError(bad[n], origin=f"{source.name}:{n}") for n in sorted(bad)]
        yield numbers, errors, dialect


def _flows(frame: pl.DataFrame, dialect: _Dialect, source: str) -> pl.DataFrame:
    """Return parsed rows in the names and units of the flow schema."""
    frame = rename_clashing(frame.select(LINE, *dialect.fields, *dialect.others), dialect.fields)
    frame = frame.rename(dialect.fields)
    numbers = [f for f in dialect.fields.values() if f not in _TEXTS]
    texts = [pl.lit(None, pl.String).alias(t) for t in _TEXTS if t not in frame.columns]
    frame = frame.with_columns(pl.when(pl.col(f) >= 0).then(pl.col(f)).alias(f) for f in numbers)
    frame = frame.with_columns(texts)
    frame = frame.with_columns(seconds(frame["ts"]), protocol(pl.col("proto")))
    frame = frame.with_columns(
        origin(source, LINE),
        *(port(p) for p in ("orig_p", "resp_p") if p in frame.columns),
        *protocol_flags(pl.col("proto")),
        pl.col("duration") * _SECONDS,
        *_statistics(frame.columns),
        *_ip_bytes(frame.columns, dialect),
    )
    return frame.with_columns(_endings(frame.columns, dialect)).drop(
        [c for c in (LINE, "orig_header", "resp_header") if c in frame.columns]
    )


def _statistics(columns: Sequence[str]) -> Iterator[pl.Expr]:
    """Yield sizes and gaps in our units and spreads, null where there is no packet or gap."""
    total = pl.col("orig_pkts") + pl.col("resp_pkts")
    counts = {"": total, "orig_": pl.col("orig_pkts"), "resp_": pl.col("resp_pkts")}
    for prefix, n_pkts in counts.items():
        for what, n, unit in (("len", n_pkts, 1.0), ("iat", n_pkts - 1, _SECONDS)):
            for k in _STATISTICS:
                name = f"{prefix}{what}_{k}"
                if name in columns:
                    of_all = ((n - 1) / n).sqrt() if k == "std" else pl.lit(1.0)
                    yield pl.when(n > 0).then(pl.col(name) * unit * of_all).alias(name)


def _ip_bytes(columns: Sequence[str], dialect: _Dialect) -> Iterator[pl.Expr]:
    """Yield bytes with IP headers (20 a packet, 40 in IPv6) where header lengths are right."""
    ip = pl.when(pl.col("orig_h").str.contains(":", literal=True)).then(40).otherwise(20)
    for side in ("orig", "resp"):
        if f"{side}_header" in columns and not dialect.is_old:
            n, header = pl.col(f"{side}_pkts"), pl.col(f"{side}_header")
            size = pl.col(f"{side}_bytes") + header + n * ip
            yield pl.when(header >= 8 * n).then(size).alias(f"{side}_ip_bytes")


def _endings(columns: Sequence[str], dialect: _Dialect) -> Iterator[pl.Expr]:
    """Yield how flows ended; flag counts of old releases are made unknown."""
    tcp, answered = pl.col("proto") == "tcp", pl.col("resp_pkts") > 0
    if dialect.is_old or not {"syn", "fin", "rst"} <= set(columns):
        yield from (pl.lit(None, pl.Float64).alias(k) for k in _FLAGS)
        yield pl.when(answered.not_()).then(1.0).when(~tcp).then(0.0).alias("failed")
        yield pl.when(answered.not_()).then(0.0).when(~tcp).then(1.0).alias("established")
        return
    refused = tcp & (pl.col("rst") > 0) & (pl.col("syn") <= 1) & (pl.col("resp_bytes") == 0)
    yield (~answered | refused).cast(pl.Float64).alias("failed")
    yield (answered & ~refused).cast(pl.Float64).alias("established")
    yield (tcp & (pl.col("rst") > 0)).cast(pl.Float64).alias("reset")
    yield (tcp & (pl.col("fin") >= 2)).cast(pl.Float64).alias("closed")
