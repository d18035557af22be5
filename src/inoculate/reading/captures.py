"""Where the packets lie in a capture: pcap and pcapng, block by block.

The stream is read in blocks of a few MB. In each block the records' places are found by one
walk over their lengths; times, lengths and interfaces are then gathered as columns. Memory
is bounded by the block and the largest legal record, whatever the file's size.

References:
    Harris and Richardson, "PCAP Capture File Format", draft-ietf-opsawg-pcap, sections 4-5.
    Tuexen et al., "PCAP Next Generation (pcapng) Capture File Format",
    draft-ietf-opsawg-pcapng, sections 3-4 and appendix A (the old packet block).
    Departures: lengths above ``LARGEST_PACKET`` are errors; a simple packet block, which has
    no time, takes the time of the packet before it.
"""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from inoculate.errors import RecordError, TruncatedError

LARGEST_PACKET = 1 << 20
"""Bytes; four times tcpdump's largest snapshot length."""
LARGEST_BLOCK = 16 << 20
"""Bytes; bound on a pcapng block, which may hold name tables or secrets."""
PADDING = 64
"""Zero bytes after a block's data, so that a header may be gathered at its very end."""
MOST_INTERFACES = 65_536
LATEST_US = 1 << 61
_WAIT_S = 0.1

Ints = npt.NDArray[np.int64]

_CLASSIC = {  # magic as written: byte order, fractions of a second in a microsecond, header size
    b"\xd4\xc3\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1000, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1, 24),
    b"\xa1\xb2\xcd\x34": (">", 1, 24),
}
_SECTION = b"\x0a\x0d\x0d\x0a"


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The packets of one block of a capture, n of them.

    Attributes:
        data: uint8, the block, followed by ``PADDING`` zero bytes.
        start: (n,) where each packet's first byte lies in ``data``.
        captured: (n,) bytes captured of it.
        wire: (n,) bytes it had on the wire.
        time_us: (n,) microseconds since 1970, 0 to ``LATEST_US``.
        link: (n,) link type, as numbered by tcpdump.org.
    """

    data: npt.NDArray[np.uint8]
    start: Ints
    captured: Ints
    wire: Ints
    time_us: Ints
    link: Ints

    def __len__(self) -> int:
        """Return the number of packets."""
        return len(self.start)


def is_capture(head: bytes) -> bool:
    """Return whether the first bytes are those of a pcap or pcapng file."""
    return head[:4] in _CLASSIC or (
        head[:4] == _SECTION and head[8:12] in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d")
    )


def read_records(stream: BinaryIO, name: str, *, block_bytes: int = 8 << 20) -> Iterator[Records]:
    """Yield the packets of a capture, block by block.

    A stream that keeps its reader waiting (a live capture) is handed on as it comes.

    Raises:
        RecordError: no capture, or a length that cannot be; the packets before it were yielded.
        TruncatedError: the end comes inside a record; likewise.
    """
    filler = _Filler(stream, block_bytes)
    block = filler.more(12)
    if not is_capture(block):
        what = "an empty file" if not block else f"a file that begins with {block[:4].hex()}"
        raise RecordError(f"{what} is no pcap or pcapng capture", origin=f"{name}@0")
    scanner: _Scanner = _NextGeneration(name) if block[:4] == _SECTION else _Classic(name)
    offset = 0
    while block:
        records, used, needed = scanner.scan(block, offset)
        if len(records):
            yield records
        if scanner.error is not None:
            raise scanner.error
        offset += used
        rest = block[used:]
        more = filler.more(needed - len(rest))
        if not more:
            break
        block = rest + more
    if filler.error is not None:
        raise filler.error
    if rest:
        problem = f"the capture ends inside a record, after {len(rest)} of {needed} bytes"
        raise TruncatedError(problem, origin=f"{name}@{offset}")


class _Filler:
    """Reads a stream in blocks; keeps the error of a stream that breaks off."""

    def __init__(self, stream: BinaryIO, block_bytes: int) -> None:
        self.stream = stream
        self.block_bytes = block_bytes
        self.error: RecordError | None = None

    def more(self, least: int) -> bytes:
        """Return at least ``least`` and about ``block_bytes`` bytes; fewer only at the end."""
        parts: list[bytes] = []
        got, began = 0, time.monotonic()
        wanted = max(least, self.block_bytes)
        while got < wanted and self.error is None:
            try:
                part = self.stream.read(wanted - got)
            except RecordError as err:
                self.error = err
                break
            if not part:
                break
            parts.append(part)
            got += len(part)
            if got >= least and time.monotonic() - began > _WAIT_S:
                break
        return b"".join(parts)


class _Scanner(Protocol):
    """Finds the records of one format in a block."""

    error: RecordError | None

    def scan(self, block: bytes, offset: int) -> tuple[Records, int, int]:
        """Return the whole records, the bytes they took, and the bytes the next one needs.

        ``offset`` is where the block lies in the file, for errors; an error ends the scan and
        is left in ``error``.
        """
        ...


def _padded(block: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(block + bytes(PADDING), np.uint8)


def _gather(data: npt.NDArray[np.uint8], at: Ints, fields: str, kind: str) -> list[Ints]:
    """Return neighbouring fields of one ``kind`` at each place of ``data``, as int64 columns."""
    layout = np.dtype([(name, kind) for name in fields])
    size = layout.itemsize
    windows = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
    rows = windows[at].view(layout)
    return [rows[name].astype(np.int64) for name in fields]


class _Classic:
    """A pcap file: one header, then records."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: RecordError | None = None
        self.order = ""

    def scan(self, block: bytes, offset: int) -> tuple[Records, int, int]:
        """Find the records."""
        at = 0
        if not self.order:
            if len(block) < 24:
                return _none(), 0, 24
            self.order, self.fraction, self.header = _CLASSIC[block[:4]]
            # Upper bits say whether frames carry a checksum; below them is the link type.
            self.link = struct.unpack_from(self.order + "I", block, 20)[0] & 0x03FFFFFF
            at = 24
        starts, end, needed = self._walk(block, at, offset)
        data = _padded(block)
        seconds, fraction, captured, wire = _gather(data, starts, "sfcw", self.order + "u4")
        times = seconds * 1_000_000 + fraction // self.fraction
        link = np.full(len(starts), self.link)
        return Records(data, starts + self.header, captured, wire, times, link), end, needed

    def _walk(self, block: bytes, at: int, offset: int) -> tuple[Ints, int, int]:
        starts: list[int] = []
        append, header, end = starts.append, self.header, len(block)
        length = struct.Struct(self.order + "I").unpack_from
        last, needed = end - header, header
        while at <= last:
            (size,) = length(block, at + 8)
            if size > LARGEST_PACKET:
                problem = f"a packet of {size} bytes; at most {LARGEST_PACKET} can be"
                self.error = RecordError(problem, origin=f"{self.name}@{offset + at}")
                break
            after = at + header + size
            if after > end:
                needed = header + size
                break
            append(at)
            at = after
        return np.array(starts, np.int64), at, needed


def _none() -> Records:
    empty = np.empty(0, np.int64)
    return Records(_padded(b""), empty, empty, empty, empty, empty)


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snaplen: int
    resolution: int  # if_tsresol: 10 ** -n seconds, or 2 ** -n with the top bit set
    offset_s: int


class _NextGeneration:
    """A pcapng file: blocks, among them sections, interfaces and packets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: RecordError | None = None
        self.order = "<"
        self.interfaces: list[_Interface] = []  # of this block, last section's at the end
        self.base = 0  # where the current section's interfaces begin in that list
        self.last_us = 0
        self.sections: list[tuple[int, int, bool]] = []  # first packet, base, big-endian

    def scan(self, block: bytes, offset: int) -> tuple[Records, int, int]:
        """Find the records of packet blocks; remember sections and interfaces."""
        self.interfaces = self.interfaces[self.base :]
        self.base = 0
        self.sections = [(0, 0, self.order == ">")]
        starts, end, needed = self._walk(block, offset)
        return self._records(block, offset, starts), end, needed

    def _walk(self, block: bytes, offset: int) -> tuple[Ints, int, int]:
        starts: list[int] = []
        at, last, needed = 0, len(block) - 12, 12
        head = struct.Struct(self.order + "II").unpack_from
        while at <= last:
            kind, size = head(block, at)
            if kind == 0x0A0D0D0A:
                if not self._open_section(block, at, offset, len(starts)):
                    break
                head = struct.Struct(self.order + "II").unpack_from
                _, size = head(block, at)
            if size < 12 or size % 4 or size > LARGEST_BLOCK:
                self._fail(f"a block of {size} bytes", offset + at)
                break
            if at + size > len(block):
                needed = size
                break
            if kind in (6, 2, 3):
                if (size < 32 and kind != 3) or size < 16:
                    self._fail(f"a packet block of {size} bytes", offset + at)
                    break
                starts.append(at)
            elif kind == 1 and not self._add_interface(block[at : at + size], offset + at):
                break
            at += size
        return np.array(starts, np.int64), at, needed

    def _fail(self, problem: str, offset: int) -> None:
        if self.error is None:
            self.error = RecordError(problem, origin=f"{self.name}@{offset}")

    def _open_section(self, block: bytes, at: int, offset: int, packets: int) -> bool:
        magic = block[at + 8 : at + 12]
        if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            self._fail(f"a section whose byte order is {magic.hex()}", offset + at)
            return False
        self.order = "<" if magic[0] == 0x4D else ">"
        self.base = len(self.interfaces)
        self.sections.append((packets, self.base, self.order == ">"))
        return True

    def _add_interface(self, body: bytes, offset: int) -> bool:
        if len(body) < 20 or len(self.interfaces) - self.base >= MOST_INTERFACES:
            self._fail("an interface block cut short, or one too many", offset)
            return False
        link, _, snaplen = struct.unpack_from(self.order + "HHI", body, 8)
        resolution, offset_s, at = 6, 0, 16
        while at + 4 <= len(body) - 4:
            code, size = struct.unpack_from(self.order + "HH", body, at)
            value = body[at + 4 : min(at + 4 + size, len(body) - 4)]
            if code == 0:
                break
            if code == 9 and len(value) == 1:
                resolution = value[0]
            elif code == 14 and len(value) == 8:
                (offset_s,) = struct.unpack(self.order + "q", value)
            at += 4 + (size + 3) // 4 * 4
        self.interfaces.append(_Interface(link, snaplen, resolution, offset_s))
        return True

    def _records(self, block: bytes, offset: int, at: Ints) -> Records:
        if not len(at):
            return _none()
        data = _padded(block)
        firsts, bases, big = (np.array(x) for x in zip(*self.sections, strict=True))
        counts = np.diff(np.append(firsts, len(at)))
        base, swapped = np.repeat(bases, counts), np.repeat(big, counts)
        words = _gather(data, at, "kzihlcw", "<u4")
        if swapped.any():
            other = _gather(data, at, "kzihlcw", ">u4")
            words = [np.where(swapped, b, a) for a, b in zip(words, other, strict=True)]
        kind, size, interface, high, low, captured, wire = words
        # The old packet block has a 16-bit interface and a drop count in one word.
        old = kind == 2
        interface[old] = np.where(swapped, interface >> 16, interface & 0xFFFF)[old]
        simple = kind == 3
        wire[simple], interface[simple] = interface[simple], 0
        interface += base
        bad = interface >= np.append(bases[1:], len(self.interfaces)).repeat(counts)
        known = self.interfaces or [_Interface(0, 0, 6, 0)]
        which = np.where(bad, 0, interface)
        snaplen = np.array([i.snaplen or LARGEST_PACKET for i in known])[which]
        room = size - np.where(simple, 16, 32)
        captured[simple] = np.minimum(np.minimum(wire, snaplen), room)[simple]
        bad |= (captured > room) | (captured > LARGEST_PACKET)
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            problem = "a packet without interface, or longer than its block or than 1 MiB"
            self.error = None  # this one comes earlier than one the walk may have met
            self._fail(problem, offset + int(at[first]))
            at = at[:first]
        n = len(at)
        times = self._times(high[:n] << 32 | low[:n], which[:n], simple[:n])
        link = np.array([i.link for i in known])[which[:n]]
        start = at + np.where(simple[:n], 12, 28)
        return Records(data, start, captured[:n], wire[:n], times, link)

    def _times(self, ticks: Ints, interface: Ints, simple: npt.NDArray[np.bool_]) -> Ints:
        times = np.zeros(len(ticks), np.int64)
        known = self.interfaces
        resolution = np.array([i.resolution for i in known] or [6])[interface]
        for code in np.unique(resolution).tolist():
            rows = resolution == code
            times[rows] = _microseconds(ticks[rows].view(np.uint64), code)
        limit = LATEST_US // 2_000_000
        offsets = [min(max(i.offset_s, -limit), limit) * 1_000_000 for i in known] or [0]
        times = np.clip(times + np.array(offsets)[interface], 0, LATEST_US)
        if simple.any():
            before = np.maximum.accumulate(np.where(simple, -1, np.arange(len(times))))
            times = np.where(before < 0, self.last_us, times[before])
        if len(times):
            self.last_us = int(times[-1])
        return times


def _microseconds(ticks: npt.NDArray[np.uint64], resolution: int) -> Ints:
    """Return times in microseconds, at most ``LATEST_US``; ``resolution`` as in if_tsresol."""
    power = resolution & 0x7F
    if resolution & 0x80:
        whole = ticks >> np.uint64(power) if power < 64 else np.zeros_like(ticks)
        part = (ticks - (whole << np.uint64(min(power, 63)))) * (1e6 * 0.5**power)
        scaled = np.minimum(whole, np.uint64(LATEST_US // 1_000_000 - 1)) * np.uint64(1_000_000)
        scaled += part.astype(np.uint64)
    elif power > 6:
        scaled = np.minimum(ticks // np.uint64(10 ** min(power - 6, 19)), np.uint64(LATEST_US))
    else:
        factor = 10 ** (6 - power)
        scaled = np.minimum(ticks, np.uint64(LATEST_US // factor)) * np.uint64(factor)
    return scaled.astype(np.int64)
