"""Small well-formed inputs of every dialect, for the fuzzer to begin with."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import polars as pl
import py7zr

from inoculate.workflows.demo import _CAPTURES as CAPTURES
from tests import packet_maker as pm

DATA = Path(__file__).parents[1] / "data"
_LINES = 12

_NFDUMP = b"""firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flags
2024-03-05 10:00:01.173,13.054,TCP,10.0.0.5,44750,192.0.2.5,443,10,5089,...AP.SF
2024-03-05 10:00:01.353,0.500,UDP,2001:db8::1,33996,2001:db8::2,53,6,440,........
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
2,5529,16,3000,1,300
"""
_YAF = b"""flowStartMilliseconds|flowEndMilliseconds|sourceIPv4Address|destinationIPv4Address|\
sourceTransportPort|destinationTransportPort|protocolIdentifier|packetTotalCount|octetTotalCount|\
reversePacketTotalCount|reverseOctetTotalCount|unionTCPFlags|reverseUnionTCPFlags
1709632801173|1709632814227|10.0.0.5|192.0.2.5|44750|443|6|10|5089|58|15557|0x1b|27
1709632801353|1709632801853|10.0.0.3|192.0.2.1|33996|53|17|6|440|0|0|0|0
"""
_TABLE = b"""time;size;"kind, quoted";tool;share;label
2024-03-05T10:00:00Z;12;"a, b";curl;0.5;x
2024-03-05T10:00:01Z;-3;"c \"\"d\"\"";wget;;y
1709632801173;1e3;;-;1;
"""
_ROWS = [
    {"time": 1709632801.5, "size": 12, "tool": "curl", "tags": ["a"], "ok": True, "who": {"a": 1}},
    {"time": 1709632802.5, "size": None, "tool": "wget", "tags": [], "ok": False, "more": 1e30},
]


def seeds(domain: str) -> dict[str, bytes]:
    """Return seeds by name: the shortened sample and what dialects there are beside it."""
    found = dict(_dialects().get(domain, {}))
    for path in sorted([*DATA.glob(f"{domain}.*"), *DATA.glob(f"{domain}/*")]):
        data = path.read_bytes()
        is_text = b"\0" not in data
        found[path.name] = b"".join(data.splitlines(keepends=True)[:_LINES]) if is_text else data
    return found or {"nothing": b"a,b\n1,2\n"}


@cache
def _dialects() -> dict[str, dict[str, bytes]]:
    cic = (DATA / "cicflowmeter.csv").read_bytes().splitlines(keepends=True)[:4]
    old = cic[0].replace(b"Total Length of Fwd Packet", b"TotLen Fwd Pkts")
    old = old.replace(b"CWR Flag Count", b"CWE Flag Count")
    return {
        "zeek_conn": {"json": _zeek_json()},
        "suricata_eve": {"spaced": _spaced_eve()},
        "netflow_csv": {"nfdump17": _NFDUMP, "yaf": _YAF},
        "cicflowmeter": {"old": old + b"".join(cic[1:]), "parquet": _parquet(b"".join(cic))},
        "table": {
            "semicolons": _TABLE,
            "json": "".join(json.dumps(r) + "\n" for r in _ROWS).encode(),
            "parquet": _parquet_table(),
        },
        "pcap": _captures(),
    }


def _zeek_json() -> bytes:
    lines = (DATA / "zeek_conn.log").read_text().splitlines()
    names = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    out = []
    for line in [x for x in lines if not x.startswith("#")][:4]:
        cells = {k: v for k, v in zip(names, line.split("\t"), strict=True) if v != "-"}
        numbers = [k for k in cells if k.endswith(("_p", "_bytes", "_pkts", "ts", "duration"))]
        out.append(json.dumps(cells | {k: float(cells[k]) for k in numbers}))
    return "\n".join(out).encode() + b"\n"


def _spaced_eve() -> bytes:
    lines = (DATA / "suricata_eve.json").read_bytes().splitlines()[:6]
    return b"".join(json.dumps(json.loads(x) | {"label": "x"}).encode() + b"\n" for x in lines)


def _parquet(text: bytes) -> bytes:
    buffer = io.BytesIO()
    pl.read_csv(text).write_parquet(buffer)
    return buffer.getvalue()


def _parquet_table() -> bytes:
    buffer = io.BytesIO()
    frame = pl.DataFrame({"a": [1, 2, None], "b": ["x", None, "z"], "c": [[1], [], None]})
    frame = frame.with_columns(
        pl.Series("d", [{"e": 1}] * 3), pl.Series("f", ["u", "v", "u"], pl.Categorical),
        pl.Series("time", [0, 1, 2]).cast(pl.Datetime("ns", "UTC")),
        pl.Series("g", [1.5, float("nan"), float("inf")]), pl.Series("h", [b"\0", b"1", None]),
        pl.Series("i", [True, None, False]), pl.Series("j", ["1.50"] * 3).cast(pl.Decimal(9, 2)),
    )  # fmt: skip
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _captures() -> dict[str, bytes]:
    frames = [
        pm.ether(pm.ip4(pm.tcp(flags=pm.SYN))),
        pm.ether(pm.ip4(pm.tcp(80, 1000, pm.SYN | pm.ACK), pm.B, pm.A)),
        pm.ether(pm.ip4(pm.tcp(flags=pm.PSH | pm.ACK, payload=b"GET / HTTP"), options=bytes(8))),
        pm.ether6(pm.ip6(pm.udp(payload=b"\x12\x34" * 9), proto=17)),
        pm.ether(pm.ip4(pm.icmp(b"ping"), proto=1), tags=((0x8100, 5), (0x88A8, 6))),
        pm.ether(pm.ip4(pm.udp(payload=bytes(24)), proto=17, fragment=0x2000)),
        pm.ether(pm.ip4(bytes(16), proto=17, fragment=4)),
        pm.ether(pm.ip4(pm.tcp(flags=pm.RST))),
    ]
    timed = [(1_700_000_000 + i * 0.5, f) for i, f in enumerate(frames)]
    next_generation = [pm.section(), pm.interface(), pm.interface(resolution=9, offset_s=3)]
    next_generation += [pm.enhanced(f, (1_700_000_000 + i) * 10**6) for i, f in enumerate(frames)]
    next_generation += [pm.simple(frames[0]), pm.old_packet(frames[1], 10**15)]
    next_generation += [pm.section(">"), pm.interface(101, ">", snaplen=60)]
    next_generation += [pm.enhanced(pm.ip4(pm.tcp()), 10**15, order=">")]
    lab = gzip.decompress((CAPTURES / "port_scan.pcap.gz").read_bytes())
    return {
        "small": pm.pcap(timed),
        "big_endian": pm.pcap(timed, order=">", magic=0xA1B23C4D),
        "cooked": pm.pcap([(1.0, bytes(14) + b"\x08\x00" + pm.ip4(pm.udp(), proto=17))], link=113),
        "cooked2": pm.pcap([(1.0, b"\x08\x00" + bytes(18) + pm.ip4(pm.tcp()))], link=276),
        "raw": pm.pcap([(1.0, pm.ip4(pm.tcp())), (2.0, pm.ip6(pm.tcp()))], link=101),
        "null": pm.pcap([(1.0, b"\x02\0\0\0" + pm.ip4(pm.tcp()))], link=0),
        "next": b"".join(next_generation),
        "lab": lab[:2000],
    }


def gzip_seeds() -> dict[str, bytes]:
    """Return gzip files of one and several members, padded, named, and a small bomb."""
    text = (DATA / "table.csv").read_bytes()
    named = io.BytesIO()
    with gzip.GzipFile("a name", "wb", fileobj=named, mtime=0) as file:
        file.write(text)
    one = gzip.compress(text, mtime=0)
    return {
        "one": one,
        "two": one + gzip.compress(text[:500], mtime=0),
        "padded": one + bytes(600) + one + bytes(3),
        "named": named.getvalue(),
        "stored": gzip.compress(text[:900], compresslevel=0, mtime=0),
        "bomb": gzip.compress(bytes(4 << 20), mtime=0),
        "plain": text[:800],
        "empty_member": gzip.compress(b"", mtime=0) * 3,
    }


_MEMBERS = {"a/b.csv": b"a,b\n1,2\n" * 40, "../../c": b"MZ" + bytes(300), "": b"", "/d": b"x" * 900}
_EXEMPT = {"threat": "*", "reason": "a scanner", "author": "ann", "expires": "2026-12-31"}
_TOML = b"""[[exception]]
finding = "0123456789abcdef"
threat = "port_scan"
reason = "our own scanner"
author = "ann"
expires = 2026-12-31

[[exception]]
where = {orig_h = "10.0.*", resp_p = 443, proto = "[tu][cd]p", share = 0.5}
threat = "p*"
reason = "backup"
author = "bob"
expires = "2025-01-01"
"""


def archive_seeds() -> dict[str, bytes]:
    """Return archives of each kind: compressed, nested, encrypted, with links, and a bomb."""
    stored, packed = _zip(_MEMBERS, zipfile.ZIP_STORED), _zip(_MEMBERS, zipfile.ZIP_DEFLATED)
    tar = _tar(_MEMBERS)
    return {
        "stored": stored,
        "packed": packed,
        "lzma": _zip(_MEMBERS, zipfile.ZIP_LZMA),
        "nested": _zip({"in.zip": packed, "in.tar.gz": gzip.compress(tar, mtime=0)}),
        "bomb": _zip({"zeros": bytes(3 << 20)}),
        "tar": tar,
        "pax": _tar({"n" * 300: b"long name", "\xe4": b"not ASCII"}, tarfile.PAX_FORMAT),
        "gnu": _tar({"n" * 300: b"long name"}, tarfile.GNU_FORMAT),
        "tar.gz": gzip.compress(tar, mtime=0),
        "tar.xz": lzma.compress(tar),
        "tar.bz2": bz2.compress(tar),
        "7z": _seven_zip(),
        "7z_locked": _seven_zip("secret"),
        "7z_copied": _seven_zip(filters=[{"id": py7zr.FILTER_COPY}]),
        "plain": b"a,b\n1,2\n",
    }


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def _tar(members: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def _seven_zip(password: str | None = None, filters: list[dict[str, int]] | None = None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password, filters=filters) as archive:
        archive.writef(io.BytesIO(b"MZ" + bytes(300)), "a/b.exe")
        archive.writef(io.BytesIO(b"second"), "c")
    return out.getvalue()


def exceptions_seeds() -> dict[str, bytes]:
    """Return files of exceptions, as TOML and as JSON Lines; digits beyond what ``int`` takes."""
    lines = [
        {"finding": "0123456789abcdef", **_EXEMPT},
        {"where": {"orig_h": "10.0.0.[1-9]", "resp_p": 443, "ok": True}, **_EXEMPT},
    ]
    return {
        "toml": _TOML,
        "json": "".join(json.dumps(line) + "\n" for line in lines).encode(),
        "digits": _TOML.replace(b"2026-12-31", b"9" * 5000),
        "hex": _TOML.replace(b"2026-12-31", b"0x" + b"f" * 5000),
        "stars": _TOML.replace(b"10.0.*", b"*a*a*a*a*a*a*a*a*a*a*a*b"),
    }
