"""NetFlow and IPFIX records exported as CSV, one line a flow.

Routers and probes export them everywhere; analysts turn them into CSV to work on. Known headers:

* nfdump ``-o csv`` (1.6: ``ts,te,td,sa,da,sp,dp,pr,flg,...,ipkt,ibyt,opkt,obyt``; 1.7:
  ``firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,...``), its
  ``Summary`` lines included; https://github.com/phaag/nfdump
* IPFIX element names as yaf with super_mediator writes them (``flowStartMilliseconds``,
  ``sourceIPv4Address``, ``octetTotalCount``, ``reverseOctetTotalCount``, ``unionTCPFlags`` ...);
  https://www.iana.org/assignments/ipfix
* pmacct (``SRC_IP``, ``TIMESTAMP_START``, ``PACKETS``, ``BYTES`` ...)
* nProbe (``IPV4_SRC_ADDR``, ``L4_SRC_PORT``, ``IN_BYTES``, ``FLOW_DURATION_MILLISECONDS`` ...)

Bytes are IP bytes. Payload is known for UDP alone. The way back is unknown in records of one
direction, also where nfdump writes 0 for it. SYN, FIN and RST packets are counted once a side
that is known to have sent one. Other columns of the file, such as ``label``, are kept as text.
"""

import re
from collections.abc import Iterator

import polars as pl

from inoculate.domain import Batch, OnBad, Source, raise_bad
from inoculate.features.flows.flow_domain import FlowDomain
from inoculate.features.flows.flow_schema import complete
from inoculate.features.flows.flow_text import (
    flag_columns,
    origin,
    port,
    protocol,
    protocol_flags,
    rename_clashing,
    seconds,
    udp_payload,
)
from inoculate.features.flows.host_context import HostContext
from inoculate.reading.delimited import LINE, Layout, check_header, parse_delimited
from inoculate.reading.headed import Header, read_headed, sniff_header
from inoculate.reading.lines import Block

NAMES: dict[str, str] = {
    "start": "ts firstseen flowstartseconds flowstartmilliseconds flowstartmicroseconds "
    "flowstartnanoseconds firstswitched timestampstart starttime",
    "end": "te lastseen flowendseconds flowendmilliseconds flowendmicroseconds "
    "flowendnanoseconds lastswitched timestampend endtime",
    "duration": "td duration flowdurationmilliseconds flowdurationmicroseconds",
    "orig_h": "sa srcaddr sourceipv4address sourceipv6address ipv4srcaddr ipv6srcaddr srcip",
    "resp_h": "da dstaddr destinationipv4address destinationipv6address ipv4dstaddr ipv6dstaddr "
    "dstip",
    "orig_p": "sp srcport sourcetransportport l4srcport",
    "resp_p": "dp dstport destinationtransportport l4dstport",
    "proto": "pr proto protocol protocolidentifier",
    "orig_pkts": "ipkt packets packetdeltacount packettotalcount inpkts inpackets",
    "resp_pkts": "opkt reversepacketdeltacount reversepackettotalcount outpkts outpackets",
    "orig_ip_bytes": "ibyt bytes octetdeltacount octettotalcount inbytes",
    "resp_ip_bytes": "obyt reverseoctetdeltacount reverseoctettotalcount outbytes",
    "flags": "flg flags tcpflags tcpcontrolbits initialtcpflags uniontcpflags clienttcpflags",
    "back_flags": "reverseinitialtcpflags reverseuniontcpflags reversetcpcontrolbits "
    "servertcpflags",
}
"""Header names by meaning, in lower case and without anything but letters and digits."""

_MEANING = {name: field for field, names in NAMES.items() for name in names.split()}
_COUNTS = ("orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes")
_NUMBERS = ("duration", "orig_p", "resp_p", *_COUNTS)
_NEEDED = ("orig_h", "resp_h", "proto", "orig_pkts", "orig_ip_bytes")
_UNITS = {"milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
_SUMMARY = re.compile(
    rb"(?m)^Summary\n(?:flows,bytes,packets[^\n]*\n)?(?:[\d.,]+\n)?"
    rb"|^flows,bytes,packets[^\n]*\n(?:[\d.,]+\n)?"
)
_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


class NetflowCsv(FlowDomain):
    """Flows of a NetFlow or IPFIX export."""

    def sniff(self, source: Source) -> float:
        """Return 0.9 for a header with hosts, protocol, packets and bytes of such an export."""
        header = sniff_header(source)
        if header is None:
            return 0.0
        found = {m for m in map(meaning, header.names) if m is not None}
        return 0.9 if found.issuperset(_NEEDED) else 0.0

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of flows; see the base class.

        Raises:
            RecordError: also for a needed column that is missing, or a doubled one.
        """
        context, layout = HostContext(), None
        for header, block in read_headed(source, on_bad=on_bad):
            if layout is None:
                layout = _layout(header)
            frame, bad = parse_delimited(_without_summary(block), layout, source.name)
            if frame.height:
                yield Batch(complete(_flows(frame, source.name), context))
            for error in bad:
                on_bad(error)


def meaning(name: str) -> str | None:
    """Return what a column of this name is, None where it is not known."""
    return _MEANING.get(re.sub("[^a-z0-9]", "", name.lower()))


def _unit_s(name: str) -> float:
    return next((u for word, u in _UNITS.items() if word in name.lower()), 1.0)


def _layout(header: Header) -> Layout:
    check_header(header.names, (), header.origin)
    known = {n: meaning(n) for n in header.names}
    missing = [NAMES[f].split()[0] for f in _NEEDED if f not in known.values()]
    check_header(header.names, missing, header.origin)
    numbers = frozenset(n for n, field in known.items() if field in _NUMBERS)
    return Layout(
        header.names,
        numbers=numbers,
        texts=frozenset(header.names) - numbers - {""},
        separator=header.separator,
        comment=header.line,
        minimum=0.0,
    )


def _without_summary(block: Block) -> Block:
    """Blank the lines that nfdump closes its output with."""
    if b"flows,bytes,packets" not in block.data and b"Summary\n" not in block.data:
        return block
    blank = _SUMMARY.sub(lambda found: b"\n" * found.group().count(b"\n"), block.data)
    return Block(blank, block.first_line)


def _flows(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return parsed lines in the names and units of the flow schema."""
    by_field: dict[str, list[str]] = {}
    for name in frame.columns:
        if (field := meaning(name)) is not None:
            by_field.setdefault(field, []).append(name)
    columns = [_merged(frame, field, names) for field, names in by_field.items()]
    named = [n for names in by_field.values() for n in names]
    out = rename_clashing(frame.drop(named), {LINE}).with_columns(columns)
    absent = [c for c in (*_NUMBERS, "start", "end") if c not in out.columns]
    out = out.with_columns(pl.lit(None, pl.Float64).alias(c) for c in absent)
    for name in ("flags", "back_flags"):
        if name not in out.columns:
            out = out.with_columns(pl.lit(None, pl.Int64).alias(name))
    span = pl.col("end") - pl.col("start")
    out = out.with_columns(
        protocol(pl.col("proto")),
        pl.coalesce("duration", pl.when(span >= 0).then(span)).alias("duration"),
        pl.coalesce("start", pl.col("end") - pl.col("duration").fill_null(0)).alias("ts"),
    )
    return out.with_columns(
        origin(source, LINE),
        port("orig_p"),
        port("resp_p"),
        *protocol_flags(pl.col("proto")),
        *(
            udp_payload(pl.col(f"{s}_ip_bytes"), pl.col(f"{s}_pkts"), pl.col("orig_h")).alias(
                f"{s}_bytes"
            )
            for s in ("orig", "resp")
        ),
        *flag_columns(pl.col("flags"), pl.col("back_flags"), pl.col("resp_pkts") > 0),
    ).drop("start", "end", "flags", "back_flags", LINE)


def _merged(frame: pl.DataFrame, field: str, names: list[str]) -> pl.Series:
    """Return the one column that several names of the file make up."""
    parts = [_converted(frame[name], field, name) for name in names]
    values = parts[0]
    for part in parts[1:]:
        if field.endswith("flags"):
            values = values.fill_null(0) | part.fill_null(0)
        else:
            values = values.fill_null(part) if values.dtype == part.dtype else values
    return values.alias(field)


def _converted(values: pl.Series, field: str, name: str) -> pl.Series:
    if field in ("start", "end"):
        return seconds(values, unit_s=_unit_s(name))
    if field == "duration":
        return values * _unit_s(name)
    if field.endswith("flags"):
        return _flag_set(values)
    if name.lower() in ("opkt", "obyt"):
        # nfdump writes 0 for the way back of a one-way record
        return values.to_frame().select(pl.when(pl.col(name) > 0).then(pl.col(name))).to_series()
    if values.dtype == pl.String:
        return values.str.strip_chars()
    return values


def _flag_set(values: pl.Series) -> pl.Series:
    """Return sets of TCP flags from a number (27, 0x1b) or letters (``...AP.SF``)."""
    text = pl.col("v").str.strip_chars()
    letters = pl.sum_horizontal(
        text.str.contains(letter, literal=True).cast(pl.Int64) * bit
        for letter, bit in _LETTERS.items()
    )
    digits = pl.when(text.str.contains(r"^\d{1,3}$")).then(text).cast(pl.Int64)
    hexes = pl.when(text.str.contains(r"^0[xX][0-9a-fA-F]{1,4}$")).then(text.str.slice(2))
    number = pl.coalesce(digits, hexes.str.to_integer(base=16, strict=False))
    cells = values.alias("v").to_frame()
    sets = cells.unique().drop_nulls().with_columns(pl.coalesce(number, letters).alias("set"))
    return cells.join(sets, on="v", how="left", maintain_order="left")["set"]
