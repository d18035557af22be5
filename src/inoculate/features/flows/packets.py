"""Packet headers, decoded by columns.

Every header is gathered as one fixed-size structure a packet, and its fields become arrays; the
only loops are over nesting (VLAN tags, IPv6 extension headers) and over fragments.

References:
    IEEE 802.1Q-2018 (VLAN tags); RFC 791 (IPv4); RFC 8200, section 4 (IPv6 extension headers);
    RFC 9293 (TCP); RFC 768 (UDP); tcpdump.org, "Link-layer header types".
    Departure: an IP total length of 0 is a large send not yet cut into packets by the network
    card; its length is then taken from the wire.
"""

from collections import OrderedDict
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

ETHERNET, COOKED, COOKED_2 = 1, 113, 276
_FAMILY = (0, 108)
_RAW = (12, 14, 101, 228, 229)
LINK_TYPES = frozenset({ETHERNET, COOKED, COOKED_2, *_FAMILY, *_RAW})

_IP4, _IP6 = 0x0800, 0x86DD
_TAGS = (0x8100, 0x88A8, 0x9100)
_MOST_TAGS = 4
_MOST_EXTENSIONS = 8
_MAPPED = np.uint64(0xFFFF_0000_0000)  # ::ffff:0:0/96
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = np.zeros(256, np.bool_)
_EXTENSIONS[[0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140]] = True

_IP4_HEADER = np.dtype(
    [("version", "u1"), ("tos", "u1"), ("total", ">u2"), ("ident", ">u2"), ("fragment", ">u2"),
     ("ttl", "u1"), ("proto", "u1"), ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4")]
)  # fmt: skip
_IP6_HEADER = np.dtype(
    [("version", "u1"), ("label", "V3"), ("payload", ">u2"), ("proto", "u1"), ("hops", "u1"),
     ("src_hi", ">u8"), ("src_lo", ">u8"), ("dst_hi", ">u8"), ("dst_lo", ">u8")]
)  # fmt: skip
_EXTENSION_HEADER = np.dtype(
    [("next", "u1"), ("length", "u1"), ("fragment", ">u2"), ("ident", ">u4")]
)
_TRANSPORT_HEADER = np.dtype(
    [("sport", ">u2"), ("dport", ">u2"), ("seq", "V8"), ("offset", "u1"), ("flags", "u1")]
)


@dataclass(slots=True, eq=False)
class Packets:
    """IP packets as columns, n of them, in the order of the capture.

    Attributes:
        row: (n,) which of the decoded records each is.
        proto: (n,) IP protocol.
        src_hi, src_lo, dst_hi, dst_lo: (n,) addresses; IPv4 as ::ffff:0:0/96.
        sport, dport: (n,) ports; 0 where the protocol has none or a fragment's are unknown.
        vlan: (n,) VLAN id; of nested tags the last two, 12 bits each; 0 without.
        ip_bytes: (n,) bytes from the IP header on.
        payload: (n,) bytes above TCP, UDP or ICMP, else above IP.
        payload_at: (n,) where the payload lies in the block.
        payload_captured: (n,) how much of it was captured.
        flags: (n,) TCP flags; 0 for other protocols.
        fragment: (n,) 0 whole, 1 first fragment, 2 a later one.
        ident: (n,) IP identification of a fragment.
    """

    row: Ints
    proto: Ints
    src_hi: Words
    src_lo: Words
    dst_hi: Words
    dst_lo: Words
    sport: Ints
    dport: Ints
    vlan: Ints
    ip_bytes: Ints
    payload: Ints
    payload_at: Ints
    payload_captured: Ints
    flags: Ints
    fragment: Ints
    ident: Ints

    def __len__(self) -> int:
        """Return the number of packets."""
        return len(self.row)

    def take(self, rows: Ints | Mask) -> "Packets":
        """Return some packets."""
        return Packets(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What ``decode`` found.

    Attributes:
        packets: the IP packets.
        not_ip: records of another network protocol.
        undecodable: records whose headers are cut off, contradict themselves, or have a link
            type that is not in ``LINK_TYPES``.
    """

    packets: Packets
    not_ip: int
    undecodable: int


def decode(data: Bytes, start: Ints, captured: Ints, wire: Ints, link: Ints) -> Decoded:
    """Decode the records of one block.

    Args:
        data: the block, followed by at least 64 bytes that belong to no record.
        start: (n,) where each record lies.
        captured: (n,) its bytes there.
        wire: (n,) its bytes on the wire.
        link: (n,) its link type.
    """
    end = start + captured
    at, kind, vlan = _link_layer(data, start, end, link)
    cut = at > end
    parts = [
        _ip4(data, np.flatnonzero((kind == _IP4) & ~cut), at, end, start + wire),
        _ip6(data, np.flatnonzero((kind == _IP6) & ~cut), at, end, start + wire),
    ]
    parts = [p for p in parts if len(p)] or parts[:1]
    packets = parts[0]
    if len(parts) > 1:
        names = [f.name for f in fields(packets)]
        packets = Packets(**{k: np.concatenate([getattr(p, k) for p in parts]) for k in names})
        packets = packets.take(np.argsort(packets.row, kind="stable"))
    packets.vlan = vlan[packets.row]
    not_ip = int(((kind != _IP4) & (kind != _IP6) & ~cut).sum())
    return Decoded(packets, not_ip, len(start) - not_ip - len(packets))


def _gather(data: Bytes, at: Ints, layout: np.dtype[np.void]) -> npt.NDArray[np.void]:
    size = layout.itemsize
    windows = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
    return windows[at].view(layout)


def _be16(data: Bytes, at: Ints) -> Ints:
    return data[at].astype(np.int64) << 8 | data[at + 1]


def _link_layer(data: Bytes, start: Ints, end: Ints, link: Ints) -> tuple[Ints, Ints, Ints]:
    """Return where the network header lies, its EtherType and the VLAN id.

    A place beyond the record's end means that the record cannot be decoded.
    """
    at, kind, vlan = end + 1, np.zeros_like(start), np.zeros_like(start)
    for value in np.flatnonzero(np.bincount(link)).tolist() if len(link) else []:
        rows = np.flatnonzero(link == value)
        first = start[rows]
        if value in (ETHERNET, COOKED, COOKED_2):
            field, size = {ETHERNET: (12, 14), COOKED: (14, 16), COOKED_2: (0, 20)}[value]
            kind[rows], at[rows] = _be16(data, first + field), first + size
        elif value in _FAMILY:
            # 2 is IPv4 everywhere; IPv6 is 10, 24, 28 or 30; the byte order is the writer's.
            family = data[first] | data[first + 3]
            six = np.isin(family, (10, 24, 28, 30))
            kind[rows], at[rows] = np.where(family == 2, _IP4, np.where(six, _IP6, 0)), first + 4
        elif value in _RAW:
            version = data[first] >> 4
            kind[rows] = np.where(version == 4, _IP4, np.where(version == 6, _IP6, 0))
            at[rows] = np.where(first < end[rows], first, first + 1)
    rows = np.flatnonzero(np.isin(kind, _TAGS))
    for _ in range(_MOST_TAGS):
        rows = rows[at[rows] + 4 <= end[rows]]
        if not len(rows):
            break
        place = at[rows]
        vlan[rows] = vlan[rows] << 12 & 0xFFF000 | _be16(data, place) & 0xFFF
        kind[rows], at[rows] = _be16(data, place + 2), place + 4
        rows = rows[np.isin(kind[rows], _TAGS)]
    at[np.isin(kind, _TAGS)] = end[np.isin(kind, _TAGS)] + 1
    return at, kind, vlan


def _ip4(data: Bytes, rows: Ints, at: Ints, end: Ints, wire_end: Ints) -> Packets:
    rows = rows[at[rows] + 20 <= end[rows]]
    here = at[rows]
    head = _gather(data, here, _IP4_HEADER)
    size = (head["version"] & 15).astype(np.int64) * 4
    total = head["total"].astype(np.int64)
    total = np.where(total == 0, wire_end[rows] - here, total)
    good = (head["version"] >> 4 == 4) & (size >= 20) & (total >= size)
    if not good.all():
        rows, here, head, size, total = (x[good] for x in (rows, here, head, size, total))
    fragment = head["fragment"].astype(np.int64)
    part = np.where(fragment & 0x1FFF, 2, np.where(fragment & 0x2000, 1, 0))
    hosts = [head[k].astype(np.uint64) | _MAPPED for k in ("src", "dst")]
    zero = np.zeros(len(rows), np.uint64)
    ends = np.minimum(end[rows], here + total)
    ident = np.where(part > 0, head["ident"].astype(np.int64), 0)
    columns = (rows, head["proto"].astype(np.int64), zero, hosts[0], zero, hosts[1])
    return _transport(data, columns, here + size, ends, total, total - size, part, ident)


def _ip6(data: Bytes, rows: Ints, at: Ints, end: Ints, wire_end: Ints) -> Packets:
    rows = rows[at[rows] + 40 <= end[rows]]
    here = at[rows]
    head = _gather(data, here, _IP6_HEADER)
    payload = head["payload"].astype(np.int64)
    total = np.where(payload == 0, np.maximum(wire_end[rows] - here, 40), payload + 40)
    good = head["version"] >> 4 == 6
    if not good.all():
        rows, here, head, total = (x[good] for x in (rows, here, head, total))
    ends = np.minimum(end[rows], here + total)
    proto = head["proto"].astype(np.int64)
    place, part, ident = here + 40, np.zeros_like(rows), np.zeros_like(rows)
    _skip_extensions(data, ends, proto, place, part, ident)
    keep = place <= ends
    hosts = [head[k].astype(np.uint64)[keep] for k in ("src_hi", "src_lo", "dst_hi", "dst_lo")]
    left = (total - (place - here))[keep]
    columns: tuple[Ints | Words, ...] = (rows[keep], proto[keep], *hosts)
    return _transport(
        data, columns, place[keep], ends[keep], total[keep], left, part[keep], ident[keep]
    )


def _skip_extensions(
    data: Bytes, ends: Ints, proto: Ints, place: Ints, part: Ints, ident: Ints
) -> None:
    """Move ``proto`` and ``place`` behind IPv6 extension headers, in place.

    A place beyond the end means that a header is cut off.
    """
    rows = np.flatnonzero(_EXTENSIONS[proto])
    for _ in range(_MOST_EXTENSIONS):
        whole = place[rows] + 8 <= ends[rows]
        place[rows[~whole]] = ends[rows[~whole]] + 1
        rows = rows[whole]
        if not len(rows):
            break
        head = _gather(data, place[rows], _EXTENSION_HEADER)
        kind = proto[rows]
        units = head["length"].astype(np.int64)
        size = np.where(kind == _AUTHENTICATION, (units + 2) * 4, (units + 1) * 8)
        broken = kind == _FRAGMENT
        word = head["fragment"].astype(np.int64)[broken]
        part[rows[broken]] = np.where(word >> 3, 2, word & 1)
        ident[rows[broken]] = head["ident"].astype(np.int64)[broken]
        place[rows] += np.where(broken, 8, size)
        proto[rows] = head["next"]
        rows = rows[_EXTENSIONS[proto[rows]] & (part[rows] < 2)]


def _transport(
    data: Bytes, columns: tuple[Ints | Words, ...], at: Ints, ends: Ints,
    total: Ints, left: Ints, part: Ints, ident: Ints,
) -> Packets:  # fmt: skip
    """Return packets with ports, flags and payload; drop those whose header is cut off."""
    proto = columns[1].astype(np.int64)
    later = part == 2
    tcp = (proto == TCP) & ~later
    ported = (tcp | (proto == UDP) | (proto == SCTP)) & ~later
    needed = np.where(tcp, 14, np.where(ported, 8, 0))
    keep = at + needed <= ends
    if not keep.all():
        columns = tuple(c[keep] for c in columns)
        proto, at, ends, total, left = (x[keep] for x in (proto, at, ends, total, left))
        part, ident, tcp, ported, later = (x[keep] for x in (part, ident, tcp, ported, later))
    head = _gather(data, at, _TRANSPORT_HEADER)
    size = np.where(tcp, np.maximum((head["offset"] >> 4).astype(np.int64) * 4, 20), 0)
    short = (proto == UDP) | (proto == ICMP) | (proto == ICMP6)
    size = np.where(later, 0, np.where(short, 8, np.where(proto == SCTP, 12, size)))
    payload = np.maximum(left - size, 0)
    row, _, src_hi, src_lo, dst_hi, dst_lo = columns
    zero = np.zeros_like(proto)
    return Packets(
        row=row.astype(np.int64),
        proto=proto,
        src_hi=src_hi.astype(np.uint64),
        src_lo=src_lo.astype(np.uint64),
        dst_hi=dst_hi.astype(np.uint64),
        dst_lo=dst_lo.astype(np.uint64),
        sport=np.where(ported, head["sport"], 0).astype(np.int64),
        dport=np.where(ported, head["dport"], 0).astype(np.int64),
        vlan=zero,
        ip_bytes=total,
        payload=payload,
        payload_at=at + size,
        payload_captured=np.clip(ends - at - size, 0, payload),
        flags=np.where(tcp, head["flags"] & 63, 0).astype(np.int64),
        fragment=part,
        ident=ident,
    )


class FragmentPorts:
    """Gives later fragments the ports of their first one.

    Remembers the last ``MOST`` first fragments; a later fragment that comes before its first,
    or long after it, keeps ports 0. Python steps: one a fragment.
    """

    MOST = 4096

    def __init__(self) -> None:
        self._ports: OrderedDict[tuple[int, ...], tuple[int, int]] = OrderedDict()

    def fill(self, packets: Packets) -> None:
        """Set the ports of later fragments, in place."""
        rows = np.flatnonzero(packets.fragment)
        if not len(rows):
            return
        p = packets.take(rows)
        key = (p.src_hi, p.src_lo, p.dst_hi, p.dst_lo, p.proto, p.vlan, p.ident)
        keys = zip(*(k.tolist() for k in key), strict=True)
        ports = zip(p.sport.tolist(), p.dport.tolist(), strict=True)
        for i, (row, name, own) in enumerate(zip(rows.tolist(), keys, ports, strict=True)):
            if p.fragment[i] == 1:
                self._ports.pop(name, None)
                self._ports[name] = own
                if len(self._ports) > self.MOST:
                    self._ports.popitem(last=False)
            elif name in self._ports:
                packets.sport[row], packets.dport[row] = self._ports[name]
