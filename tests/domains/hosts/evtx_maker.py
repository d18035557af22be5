"""Makes small EVTX files: one chunk, plain binary XML without templates.

Reference:
    Metz, "Windows XML Event Log (EVTX) format", libevtx documentation, sections 2 to 4.
"""

import struct
import zlib

CHUNK = 65_536
RECORDS_AT = 512


def name_hash(name: str) -> int:
    value = 0
    for c in name:
        value = (value * 65_599 + ord(c)) & 0xFFFFFFFF
    return value & 0xFFFF


class Writer:
    """Binary XML that is to lie at an offset of its chunk."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.data = bytearray(b"\x0f\x01\x01\x00")

    @property
    def place(self) -> int:
        return self.at + len(self.data)

    def name(self, name: str) -> None:
        self.data += struct.pack("<I", self.place + 4)
        encoded = name.encode("utf-16-le")
        self.data += struct.pack("<IHH", 0, name_hash(name), len(name)) + encoded + b"\0\0"

    def text(self, text: str) -> None:
        self.data += struct.pack("<BBH", 0x05, 0x01, len(text)) + text.encode("utf-16-le")

    def element(self, name: str, attributes: dict[str, str], inside) -> None:
        has = bool(attributes)
        self.data += b"\x41" if has else b"\x01"
        size_at = len(self.data)
        self.data += bytes(4)
        self.name(name)
        if has:
            list_at = len(self.data)
            self.data += bytes(4)
            for i, (key, value) in enumerate(attributes.items()):
                self.data += b"\x46" if i + 1 < len(attributes) else b"\x06"
                self.name(key)
                self.text(value)
            struct.pack_into("<I", self.data, list_at, len(self.data) - list_at - 4)
        self.data += b"\x02"
        if isinstance(inside, str):
            self.text(inside)
        else:
            for child in inside:
                self.element(*child)
        self.data += b"\x04"
        struct.pack_into("<I", self.data, size_at, len(self.data) - size_at - 4)


def event(number: int, channel: str, provider: str, data: dict[str, str]) -> tuple:
    system = [
        ("Provider", {"Name": provider}, []),
        ("EventID", {}, str(number)),
        ("TimeCreated", {"SystemTime": "2024-05-01T10:00:00.000000Z"}, []),
        ("Channel", {}, channel),
        ("Computer", {}, "host.example"),
    ]
    fields = [("Data", {"Name": k}, v) for k, v in data.items()]
    return ("Event", {}, [("System", {}, system), ("EventData", {}, fields)])


def chunk(events: list[tuple], first: int = 1) -> bytes:
    body = bytearray()
    last_at = RECORDS_AT
    for i, one in enumerate(events):
        last_at = RECORDS_AT + len(body)
        writer = Writer(last_at + 24)
        writer.element(*one)
        xml = bytes(writer.data) + b"\0"
        size = 24 + len(xml) + 4
        filetime = 133_590_456_000_000_000 + i
        body += struct.pack("<IIQQ", 0x00002A2A, size, first + i, filetime)
        body += xml + struct.pack("<I", size)
    last = first + len(events) - 1
    end = RECORDS_AT + len(body)
    head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", first, last, first, last, 128, last_at, end,
                       zlib.crc32(body))  # fmt: skip
    head = bytearray(head.ljust(128, b"\0"))
    tables = bytes(RECORDS_AT - 128)
    struct.pack_into("<I", head, 124, zlib.crc32(bytes(head[:120]) + tables))
    return (bytes(head) + tables + bytes(body)).ljust(CHUNK, b"\0")


def evtx(*chunks: bytes) -> bytes:
    start = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, max(0, len(chunks) - 1), 1_000, 128, 1, 3,
                        4_096, len(chunks)).ljust(120, b"\0")  # fmt: skip
    header = (start + struct.pack("<II", 0, zlib.crc32(start))).ljust(4_096, b"\0")
    return header + b"".join(chunks)
