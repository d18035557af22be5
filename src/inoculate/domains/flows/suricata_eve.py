"""Suricata's EVE log: the ``flow`` events of eve.json, one JSON object a line.

Analysts have it wherever Suricata runs; other events (alerts, DNS, TLS ...) are skipped. It
knows packets and bytes each way, the TCP flags each side sent and how the flow ended; it does
not know sizes and gaps of single packets.

Format: https://docs.suricata.io/en/latest/output/eve/eve-json-format.html

Suricata counts whole frames: IP bytes are the bytes less 14 (an Ethernet header) a packet.
Payload bytes are known for UDP alone, whose headers have one size. SYN, FIN and RST packets are
counted once a side that sent one, since only the set of flags is logged. A key of the record
that Suricata does not write, such as ``label``, is kept where the first event of a block has it.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, OnBad, Source, raise_bad
from inoculate.features.flows.flow_domain import FlowDomain
from inoculate.features.flows.flow_schema import IDENTITY, complete
from inoculate.features.flows.flow_text import (
    RESERVED,
    flag_columns,
    origin,
    port,
    protocol,
    protocol_flags,
    seconds,
    udp_payload,
)
from inoculate.features.flows.host_context import HostContext
from inoculate.reading.delimited import LINE
from inoculate.reading.json_lines import load_object, parse_json_lines
from inoculate.reading.lines import Block, numbered, read_blocks

_MARKS = (b'"event_type":"flow"', b'"event_type": "flow"')
_EVENT = b'"event_type"'
_COUNTS = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient")
SCHEMA: dict[str, Any] = {
    "event_type": pl.String,
    "src_ip": pl.String,
    "src_port": pl.Float64,
    "dest_ip": pl.String,
    "dest_port": pl.Float64,
    "proto": pl.String,
    "app_proto": pl.String,
    "flow_id": pl.String,
    "flow": {
        **dict.fromkeys(_COUNTS, pl.Float64),
        "start": pl.String,
        "end": pl.String,
        "age": pl.Float64,
        "state": pl.String,
        "reason": pl.String,
    },
    "tcp": {"tcp_flags_ts": pl.String, "tcp_flags_tc": pl.String, "state": pl.String},
}
_SURICATA = frozenset(
    (
        *("timestamp", "in_iface", "community_id", "vlan", "host", "metadata", "parent_id"),
        *("icmp_type", "icmp_code", "response_icmp_type", "response_icmp_code", "ip_v"),
        *("app_proto_ts", "app_proto_tc", "app_proto_orig", "app_proto_expected", "ether"),
        *("pkt_src", "tenant_id", "capture_file", "direction", "tx_id", "pcap_cnt"),
    )
)
_FRAME_HEADER = 14


class SuricataEve(FlowDomain):
    """Flow events of a Suricata eve.json."""

    identity: ClassVar[tuple[str, ...]] = (*IDENTITY, "app_proto", "flow_id")

    def sniff(self, source: Source) -> float:
        """Return 1 for JSON Lines whose first object is a Suricata event."""
        start = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        try:
            keys = load_object(start.split(b"\n")[0]).keys()
        except ValueError:
            # the first event may be longer than the head
            return 0.8 if start.startswith(b"{") and _EVENT in start[:2000] else 0.0
        return 1.0 if {"timestamp", "event_type"} <= keys else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of flows; see the base class."""
        context = HostContext()
        for block in read_blocks(source, on_bad=on_bad):
            numbers, events = _flow_events(block)
            if not numbers:
                continue
            schema = SCHEMA | dict.fromkeys(_extra_keys(events), pl.String)
            frame, bad = parse_json_lines(events, schema, source.name, numbers=numbers)
            frame = frame.filter(pl.col("event_type") == "flow")
            if frame.height:
                yield Batch(complete(_flows(frame, source.name), context))
            for error in bad:
                on_bad(error)


def _flow_events(block: Block) -> tuple[list[int], Block]:
    """Return the lines that are flow events, or no event at all and so bad, and their numbers."""
    kept = [
        (number, line)
        for number, line in numbered(block)
        if _MARKS[0] in line
        or _MARKS[1] in line
        or not (_EVENT in line and line.startswith(b"{") and line.endswith(b"}"))
    ]
    data = b"".join(line + b"\n" for _, line in kept)
    return [number for number, _ in kept], Block(data, block.first_line)


def _extra_keys(events: Block) -> list[str]:
    try:
        first = load_object(events.data.split(b"\n", 1)[0])
    except ValueError:
        return []
    taken = RESERVED | SCHEMA.keys() | _SURICATA | {LINE}
    return [k for k in first if k not in taken][:50]


def _flows(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return parsed events in the names and units of the flow schema."""
    frame = frame.unnest("flow", separator=".").unnest("tcp", separator=".")
    start, end = seconds(frame["flow.start"]), seconds(frame["flow.end"])
    frame = frame.with_columns(
        (end - start).alias("duration"),
        start.alias("ts"),
        protocol(pl.col("proto")),
        *(_hex(f"tcp.tcp_flags_{side}") for side in ("ts", "tc")),
        pl.col("src_ip").alias("orig_h"),
        pl.col("dest_ip").alias("resp_h"),
        pl.col("src_port").alias("orig_p"),
        pl.col("dest_port").alias("resp_p"),
        pl.col("flow.pkts_toserver").alias("orig_pkts"),
        pl.col("flow.pkts_toclient").alias("resp_pkts"),
    )
    frame = frame.with_columns(
        origin(source, LINE),
        port("orig_p"),
        port("resp_p"),
        # a clock that stepped back, or a flow of one packet
        pl.when(pl.col("duration") >= 0).then(pl.col("duration")).alias("duration"),
        *protocol_flags(pl.col("proto")),
        *_sizes(),
        *flag_columns(
            pl.col("tcp.tcp_flags_ts"),
            pl.col("tcp.tcp_flags_tc"),
            pl.col("flow.pkts_toclient") > 0,
        ),
    )
    used = {"src_ip", "dest_ip", "src_port", "dest_port", "event_type", LINE}
    return frame.drop([c for c in frame.columns if c in used or c.startswith(("flow.", "tcp."))])


def _hex(name: str) -> pl.Expr:
    """Return the flags of one side as a number, null where there is none."""
    text = pl.when(pl.col(name).str.contains("^[0-9a-fA-F]{1,2}$")).then(pl.col(name))
    return text.str.to_integer(base=16, strict=False).alias(name)


def _sizes() -> Iterator[pl.Expr]:
    for side, way in (("orig", "toserver"), ("resp", "toclient")):
        n = pl.col(f"flow.pkts_{way}")
        in_ip = (pl.col(f"flow.bytes_{way}") - n * _FRAME_HEADER).clip(0)
        yield in_ip.alias(f"{side}_ip_bytes")
        yield udp_payload(in_ip, n, pl.col("src_ip")).alias(f"{side}_bytes")
