"""Classic pcap files, packet by packet: read, cut to what flow statistics need, write.

Only what the lab's own captures hold: Ethernet, IPv4 without fragments, TCP and UDP.
Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html.
"""

import gzip
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_MAGIC = 0xA1B2C3D4
_TCP, _UDP = 6, 17


class Packet(NamedTuple):
    """One IPv4 TCP or UDP packet.

    Attributes:
        ts_us: microseconds since the epoch.
        frame: the captured bytes.
        length: bytes on the wire.
        ends: source address, source port, destination address, destination port.
        proto: ``tcp`` or ``udp``.
        headers: bytes of Ethernet, IP and transport headers.
        payload: bytes above the transport header, from the IP header's length.
        syn: first packet of a TCP connection (SYN without ACK).
    """

    ts_us: int
    frame: bytes
    length: int
    ends: tuple[str, int, str, int]
    proto: str
    headers: int
    payload: int
    syn: bool


def _dotted(raw: bytes) -> str:
    return ".".join(map(str, raw))


def parse(ts_us: int, frame: bytes, length: int) -> Packet | None:
    """Return the decoded packet, or None where it is not IPv4 TCP or UDP."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] not in (_TCP, _UDP):
        return None
    ip_bytes = (frame[14] & 15) * 4
    at = 14 + ip_bytes
    source_p, target_p = struct.unpack_from(">HH", frame, at)
    tcp = frame[23] == _TCP
    headers = at + ((frame[at + 12] >> 4) * 4 if tcp else 8)
    payload = 14 + struct.unpack_from(">H", frame, 16)[0] - headers
    ends = (_dotted(frame[26:30]), source_p, _dotted(frame[30:34]), target_p)
    syn = tcp and frame[at + 13] & 0x12 == 0x02
    return Packet(ts_us, frame, length, ends, "tcp" if tcp else "udp", headers, payload, syn)


def read(path: Path) -> Iterator[Packet]:
    """Yield the TCP and UDP packets of a pcap file, gzipped or not.

    Raises:
        ValueError: not a little-endian microsecond Ethernet pcap.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", file.read(24))
        if magic != _MAGIC or link != 1:
            raise ValueError(f"{path}: expected an Ethernet pcap, found magic {magic:#x}")
        while len(head := file.read(16)) == 16:
            seconds, micros, kept, length = struct.unpack("<4I", head)
            packet = parse(seconds * 1_000_000 + micros, file.read(kept), length)
            if packet:
                yield packet


def write(path: Path, packets: Iterable[Packet]) -> int:
    """Write a gzipped pcap that depends on the packets only (no time of writing); return bytes."""
    raw = bytearray(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, 65_535, 1))
    for packet in packets:
        seconds, micros = divmod(packet.ts_us, 1_000_000)
        raw += struct.pack("<4I", seconds, micros, len(packet.frame), packet.length)
        raw += packet.frame
    path.write_bytes(gzip.compress(bytes(raw), 9, mtime=0))
    return path.stat().st_size


def cut(packets: Iterable[Packet], first_payload: int) -> Iterator[Packet]:
    """Yield the packets with payload only in the first data packet of each flow and direction.

    The wire length stays, so byte counts do too; ``first_payload`` bytes of payload are kept.
    """
    seen: set[tuple[object, ...]] = set()
    for packet in packets:
        keep = packet.headers
        key = (packet.proto, *packet.ends)
        if packet.syn:
            seen.discard(key)
            seen.discard((packet.proto, *packet.ends[2:], *packet.ends[:2]))
        if packet.payload and key not in seen:
            seen.add(key)
            keep += first_payload
        yield packet._replace(frame=packet.frame[: min(keep, len(packet.frame))])


def flow_key(packet: Packet) -> tuple[object, ...]:
    """Return the direction-free 5-tuple."""
    ends = packet.ends
    return (packet.proto, *sorted((ends[:2], ends[2:])))
