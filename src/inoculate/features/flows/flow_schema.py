"""The canonical flow schema: one set of columns for every source of network flows.

A source fills the base columns it can know; ``complete`` adds what follows from them, and
``encode_flows`` puts NaN for the rest. Payload bytes are counted above TCP, UDP or ICMP;
IP bytes include every header from IP upwards, as Zeek's ``orig_ip_bytes``.

Addresses, ports and times identify a record (``IDENTITY``) and group records, but are never
columns: a detector keyed to them would not travel.

References:
    Zeek manual, "conn.log": orig/resp, duration, conn_state.
    Sharafaldin et al., "Toward Generating a New Intrusion Detection Dataset", ICISSP 2018,
    for the per-direction length and inter-arrival statistics; computed anew, see MODELS.
"""

from collections.abc import Sequence

import polars as pl

from inoculate.domain import Column, View
from inoculate.features.flows.host_context import CONTEXT_COLUMNS, HostContext
from inoculate.task import Encoded

IDENTITY = ("orig_h", "orig_p", "resp_h", "resp_p", "proto")
"""Frame columns of a flow: strings for hosts and protocol (lower case), integers for ports."""


def _spread(prefix: str, unit: str, about: str) -> list[Column]:
    words = {"min": "smallest", "mean": "mean", "std": "spread of", "max": "largest"}
    return [Column(f"{prefix}_{k}", unit, f"{w} {about}") for k, w in words.items()]


BASE_COLUMNS: tuple[Column, ...] = (
    Column("tcp", "yes/no", "protocol TCP"),
    Column("udp", "yes/no", "protocol UDP"),
    Column("icmp", "yes/no", "protocol ICMP"),
    Column("duration", "s", "duration"),
    Column("orig_pkts", "packet", "packets sent"),
    Column("resp_pkts", "packet", "packets received"),
    Column("orig_bytes", "byte", "bytes sent"),
    Column("resp_bytes", "byte", "bytes received"),
    Column("orig_ip_bytes", "byte", "bytes sent with headers"),
    Column("resp_ip_bytes", "byte", "bytes received with headers"),
    Column("orig_data_pkts", "packet", "packets sent with payload"),
    Column("resp_data_pkts", "packet", "packets received with payload"),
    *_spread("orig_len", "byte", "payload a packet sent"),
    *_spread("resp_len", "byte", "payload a packet received"),
    *_spread("len", "byte", "payload a packet"),
    *_spread("iat", "s", "gap between packets"),
    *_spread("orig_iat", "s", "gap between packets sent"),
    *_spread("resp_iat", "s", "gap between packets received"),
    Column("fin", "packet", "packets with FIN"),
    Column("syn", "packet", "packets with SYN"),
    Column("rst", "packet", "packets with RST"),
    Column("psh", "packet", "packets with PSH"),
    Column("ack", "packet", "packets with ACK"),
    Column("urg", "packet", "packets with URG"),
    Column("size_1", "byte", "first payload (negative: received)"),
    Column("size_2", "byte", "second payload (negative: received)"),
    Column("size_3", "byte", "third payload (negative: received)"),
    Column("size_4", "byte", "fourth payload (negative: received)"),
    Column("orig_entropy", "bit", "byte entropy of the first payload sent"),
    Column("resp_entropy", "bit", "byte entropy of the first payload received"),
    Column("orig_printable", "1", "printable share of the first payload sent"),
    Column("resp_printable", "1", "printable share of the first payload received"),
    Column("failed", "yes/no", "attempt without an answer or refused"),
    Column("established", "yes/no", "both sides talked"),
    Column("reset", "yes/no", "ended by a reset"),
    Column("closed", "yes/no", "closed by both sides"),
)
"""What a source fills, in this order; ``size_n`` is the n-th payload, negative when received."""

DERIVED_COLUMNS: tuple[Column, ...] = (
    Column("bytes_per_s", "byte/s", "bytes a second"),
    Column("pkts_per_s", "packet/s", "packets a second"),
    Column("orig_pkts_per_s", "packet/s", "packets sent a second"),
    Column("resp_pkts_per_s", "packet/s", "packets received a second"),
    Column("orig_bytes_share", "1", "share of bytes that were sent"),
    Column("orig_pkts_share", "1", "share of packets that were sent"),
    Column("orig_bytes_per_pkt", "byte/packet", "bytes a packet sent"),
    Column("resp_bytes_per_pkt", "byte/packet", "bytes a packet received"),
)
"""What ``complete`` computes from base columns, for every source alike."""

FLOW_COLUMNS: tuple[Column, ...] = BASE_COLUMNS + DERIVED_COLUMNS + CONTEXT_COLUMNS
FLOW_VIEW = View("flow", FLOW_COLUMNS)

SHORTEST_S = 1e-6
"""Durations below this (one packet, or a clock's resolution) give no rate."""


def _ratio(part: str, *whole: str) -> pl.Expr:
    total = pl.sum_horizontal(*(pl.col(w) for w in whole), ignore_nulls=False)
    return pl.when(total > 0).then(pl.col(part) / total)


def complete(flows: pl.DataFrame, context: HostContext | None) -> pl.DataFrame:
    """Return flows with missing base columns as null, derived and context columns added.

    Args:
        flows: one row a flow: ``origin``, ``ts`` and ``IDENTITY`` where known, and any of
            ``BASE_COLUMNS``; null or NaN means unknown. In order of reading.
        context: state of the source so far, or None where hosts or times are unknown; then
            the context columns are null.
    """
    missing = [c.name for c in BASE_COLUMNS if c.name not in flows.columns]
    flows = flows.with_columns(
        *(pl.lit(None, pl.Float64).alias(name) for name in missing),
        *(
            pl.col(c.name).cast(pl.Float64).fill_nan(None)
            for c in BASE_COLUMNS
            if c.name not in missing
        ),
    )
    lasting = pl.when(pl.col("duration") >= SHORTEST_S)
    flows = flows.with_columns(
        lasting.then((pl.col("orig_bytes") + pl.col("resp_bytes")) / pl.col("duration")).alias(
            "bytes_per_s"
        ),
        lasting.then((pl.col("orig_pkts") + pl.col("resp_pkts")) / pl.col("duration")).alias(
            "pkts_per_s"
        ),
        lasting.then(pl.col("orig_pkts") / pl.col("duration")).alias("orig_pkts_per_s"),
        lasting.then(pl.col("resp_pkts") / pl.col("duration")).alias("resp_pkts_per_s"),
        _ratio("orig_bytes", "orig_bytes", "resp_bytes").alias("orig_bytes_share"),
        _ratio("orig_pkts", "orig_pkts", "resp_pkts").alias("orig_pkts_share"),
        _ratio("orig_bytes", "orig_pkts").alias("orig_bytes_per_pkt"),
        _ratio("resp_bytes", "resp_pkts").alias("resp_bytes_per_pkt"),
    )
    if context is None:
        return flows.with_columns(pl.lit(None, pl.Float64).alias(c.name) for c in CONTEXT_COLUMNS)
    return context.add(flows)


def encode_flows(flows: pl.DataFrame, views: Sequence[View]) -> Encoded:
    """Return completed flows as (n, d) float32 a view, NaN where a column is absent or null."""
    have = set(flows.columns)
    unknown = pl.repeat(float("nan"), pl.len(), dtype=pl.Float32)
    arrays = {}
    for view in views:
        values = (
            pl.col(c.name).cast(pl.Float32) if c.name in have else unknown.alias(c.name)
            for c in view.columns
        )
        # infinite: float32 overflow of an absurd float64, so unknown
        finite = (pl.when(v.is_finite()).then(v).otherwise(float("nan")) for v in values)
        x = flows.select(finite).to_numpy(order="c", writable=True)
        arrays[view.name] = x.reshape(flows.height, len(view.columns))
    return Encoded(arrays)
