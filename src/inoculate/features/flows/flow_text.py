"""What flow formats made of text share: names, times, protocols and origins."""

from collections.abc import Collection, Iterator

import polars as pl

from inoculate.features.flows.flow_schema import FLOW_COLUMNS, IDENTITY

RESERVED = frozenset({"origin", "ts", *IDENTITY, *(c.name for c in FLOW_COLUMNS)})
"""Frame columns of every flow format; a source's own column of such a name is renamed."""

PROTOCOLS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "58": "icmp6"}
"""IANA protocol numbers by name, for sources that give the number."""

TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}
"""Bit of each flag in a set of TCP flags."""

_TIMES = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
)


def rename_clashing(frame: pl.DataFrame, known: Collection[str]) -> pl.DataFrame:
    """Return the frame with columns the format does not define out of the schema's way.

    Such a column keeps its name (``label`` ...), with ``_source`` added while it is reserved.
    """
    names = {}
    for name in frame.columns:
        new = name
        while name not in known and (new in RESERVED or (new != name and new in frame.columns)):
            new += "_source"
        names[name] = new
    return frame.rename(names)


def seconds(text: pl.Series, *, unit_s: float = 1.0) -> pl.Series:
    """Return times as seconds since 1970, UTC; null where a cell is no time.

    A number counts ``unit_s`` each; else ISO 8601 (UTC where it names no zone), or day first:
    ``14/02/2018 08:31:01`` with or without seconds and AM or PM, as CICFlowMeter writes it.
    """
    if text.dtype.is_numeric():
        return text.cast(pl.Float64) * unit_s
    first = text.drop_nulls().head(1)
    # the form of the first cell is most likely that of all
    forms = sorted(("", *_TIMES), key=lambda form: _in_form(first, form, unit_s).null_count())
    found = _in_form(text, forms[0], unit_s)
    for form in forms[1:]:
        if found.null_count() == text.null_count():
            break
        found = found.fill_null(_in_form(text, form, unit_s))
    return found.alias(text.name)


def _in_form(text: pl.Series, form: str, unit_s: float) -> pl.Series:
    """Return seconds of the cells in one form, "" for numbers; null elsewhere."""
    if not form:
        return text.cast(pl.Float64, strict=False) * unit_s
    return text.str.to_datetime(form, strict=False, time_unit="us").dt.epoch("us") / 1e6


def protocol(proto: pl.Expr) -> pl.Expr:
    """Return protocol names in lower case, from names or IANA numbers."""
    text = proto.cast(pl.String).str.strip_chars().str.to_lowercase().str.strip_suffix(".0")
    return text.replace({**PROTOCOLS, "ipv6-icmp": "icmp6", "icmpv6": "icmp6"}).alias("proto")


def protocol_flags(proto: pl.Expr) -> list[pl.Expr]:
    """Return the columns ``tcp``, ``udp`` and ``icmp``."""
    return [
        (proto == "tcp").alias("tcp"),
        (proto == "udp").alias("udp"),
        proto.is_in(["icmp", "icmp6"]).alias("icmp"),
    ]


def origin(source: str, place: str) -> pl.Expr:
    """Return ``source:number`` from the column ``place``."""
    return (pl.lit(f"{source}:") + pl.col(place).cast(pl.String)).alias("origin")


def port(name: str) -> pl.Expr:
    """Return a port as an integer, null outside 0 to 65535."""
    return pl.col(name).cast(pl.Float64).cast(pl.UInt16, strict=False).alias(name)


def udp_payload(ip_bytes: pl.Expr, pkts: pl.Expr, host: pl.Expr) -> pl.Expr:
    """Return payload bytes of UDP flows from their IP bytes, for its headers have one size."""
    headers = pl.when(host.str.contains(":", literal=True)).then(48).otherwise(28)
    return pl.when(pl.col("proto") == "udp").then((ip_bytes - pkts * headers).clip(0))


def flag_columns(ours: pl.Expr, theirs: pl.Expr, answered: pl.Expr) -> Iterator[pl.Expr]:
    """Yield packets with each flag and how a flow ended, for sources that log sets of flags.

    SYN, FIN and RST packets are counted once a side that sent one. How many packets had PSH,
    ACK or URG is unknown, unless there was none.

    Args:
        ours: set of flags of the originator (or of both sides in one), null where unknown.
        theirs: set of flags of the responder, null where unknown.
        answered: whether the responder sent a packet, null where unknown.
    """
    tcp = pl.col("proto") == "tcp"
    sent = {k: ((ours & bit) > 0, (theirs & bit) > 0) for k, bit in TCP_FLAGS.items()}
    for name, (a, b) in sent.items():
        n = a.cast(pl.Float64) + b.cast(pl.Float64).fill_null(0)
        of_tcp = n if name in ("fin", "syn", "rst") else pl.when(n == 0).then(0.0)
        yield pl.when(tcp).then(of_tcp).when(~tcp).then(0.0).alias(name)
    refused = sent["rst"][1] & ~sent["syn"][1]
    shaken = sent["syn"][1] & sent["ack"][0]
    endings = {
        "failed": (~answered | refused, ~answered),
        "established": (answered & shaken, answered),
        "reset": (sent["rst"][0] | sent["rst"][1].fill_null(False), pl.lit(False)),
        "closed": (sent["fin"][0] & sent["fin"][1], pl.lit(False)),
    }
    for name, (of_tcp, other) in endings.items():
        yield pl.when(tcp).then(of_tcp).when(~tcp).then(other).cast(pl.Float64).alias(name)
