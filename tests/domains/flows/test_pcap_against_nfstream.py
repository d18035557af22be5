"""Every capture of the catalogue against nfstream: same flows, packets, bytes, flags, times."""

import json
import struct
import subprocess
import sys
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from inoculate.domains.flows.pcap import Pcap
from tests.domains.flows.nfstream_flows import FLAGS
from tests.packet_maker import source_of

SCRIPT = Path(__file__).with_name("nfstream_flows.py")
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58}
COLUMNS = (
    "orig_h", "orig_p", "resp_h", "resp_p", "proto", "orig_pkts", "resp_pkts", "orig_ip_bytes",
    "resp_ip_bytes", "duration",
)  # fmt: skip

OUT_OF_ORDER = {"normal_0.pcap", "normal_1.pcap"}
"""Captures whose times jump back by up to 9,334 s at every other packet. nfstream lets no time
run backwards, so that its clock stands still for most of them, and never sees a flow pause; we
take a flow's pauses from its own packets. Sorted by time, they must agree like all others."""


@pytest.fixture(scope="module")
def captures(data_dir, tmp_path_factory):
    """Return the captures to compare, by name."""
    folder, found = tmp_path_factory.mktemp("sorted"), {}
    for path in sorted((data_dir / "pcap").rglob("*.pcap*")):
        name = str(path.relative_to(data_dir / "pcap"))
        found[name] = path if path.name not in OUT_OF_ORDER else _in_order(path, folder)
    assert len(found) >= 60
    return found


def _in_order(path, folder):
    raw, at, packets = path.read_bytes(), 24, []
    while at < len(raw):
        s, us, size = struct.unpack_from("<III", raw, at)
        packets.append((s, us, raw[at : at + 16 + size]))
        at += 16 + size
    packets.sort(key=lambda p: p[:2])
    (folder / path.name).write_bytes(raw[:24] + b"".join(p[2] for p in packets))
    return folder / path.name


@pytest.fixture(scope="module")
def theirs(captures):
    """Return nfstream's flows of each capture."""
    paths = [str(p) for p in captures.values()]
    command = [sys.executable, str(SCRIPT), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    flows = dict(json.loads(line) for line in done.stdout.splitlines())
    return {name: flows[str(path)] for name, path in captures.items()}


def ours(path, columns):
    """Return rows of the flows of a capture, without TCP close, which nfstream does not know."""
    rows = []
    for batch in Pcap(tcp_close=False).read(source_of(path)):
        rows += batch.frame.select(columns).rows()
    return rows


def key(a, a_port, b, b_port, proto):
    ends = sorted([(int(ip_address(a)), a_port), (int(ip_address(b)), b_port)])
    return (*ends, NUMBERS.get(proto) or int(proto))


def test_same_flows_packets_bytes_and_flags(captures, theirs):
    for name, path in captures.items():
        found = Counter()
        for row in ours(path, (*COLUMNS, *FLAGS)):
            orig, resp, orig_bytes, resp_bytes = row[5:9]
            found[(*key(*row[:5]), orig + resp, orig_bytes + resp_bytes, *row[10:])] += 1
        expected = Counter((*key(*r[:5]), *r[5:7], *r[10:]) for r in theirs[name])
        assert found == expected, name


def test_same_durations_to_the_millisecond(captures, theirs):
    for name, path in captures.items():
        found = sorted((key(*r[:5]), r[5] + r[6], r[9] * 1000) for r in ours(path, COLUMNS))
        expected = sorted((key(*r[:5]), r[5], r[9]) for r in theirs[name])
        worst = max(abs(a[2] - b[2]) for a, b in zip(found, expected, strict=True))
        assert worst <= 1.5, name


def test_same_originators_but_for_handshakes_seen_late(captures, theirs):
    others, total = 0, 0
    for name, path in captures.items():
        found = Counter((*r[:4], r[5], r[7]) for r in ours(path, COLUMNS))
        expected = Counter((*_plain(*r[:4]), *r[7:9]) for r in theirs[name])
        turned = Counter((*_plain(*r[2:4], *r[:2]), r[5] - r[7], r[6] - r[8]) for r in theirs[name])
        # Where the first packet is a SYN-ACK, or the flow before was cut for its age, nfstream
        # takes the first packet's sender for the originator.
        assert not (found - expected) - turned, name
        others, total = others + (found - expected).total(), total + found.total()
    assert others < 0.01 * total


def _plain(a, a_port, b, b_port):
    return str(ip_address(a)), a_port, str(ip_address(b)), b_port
