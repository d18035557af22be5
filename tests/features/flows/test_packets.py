"""Packet headers: every link and network layer by hand, and what cannot be decoded."""

import io
import struct

import numpy as np
import pytest

from inoculate.features.flows.packets import FragmentPorts, decode
from inoculate.reading.captures import read_records
from tests.packet_maker import (
    A6,
    ACK,
    B6,
    FIN,
    PSH,
    SYN,
    A,
    B,
    ether,
    ether6,
    icmp,
    ip4,
    ip6,
    pcap,
    tcp,
    udp,
)  # fmt: skip

MAPPED_A, MAPPED_B = 0xFFFF_0A00_0001, 0xFFFF_0A00_0002


def decoded(*frames, link=1, wire=None):
    data = pcap([(i, f) for i, f in enumerate(frames)], link=link, wire=wire)
    (r,) = read_records(io.BytesIO(data), "made")
    return decode(r.data, r.start, r.captured, r.wire, r.link)


def only(*frames, **options):
    found = decoded(*frames, **options)
    assert (found.not_ip, found.undecodable) == (0, 0)
    p = found.packets
    assert len(p) == len(frames)
    return p


SEGMENT = ip4(tcp(1000, 80, PSH | ACK, b"hello"))


@pytest.mark.parametrize(
    "link, frame, vlan",
    [
        (1, ether(SEGMENT), 0),
        (1, ether(SEGMENT, tags=[(0x8100, 0x2005)]), 5),
        (1, ether(SEGMENT, tags=[(0x88A8, 3), (0x8100, 5)]), 3 << 12 | 5),
        (1, ether(SEGMENT, tags=[(0x9100, 3), (0x8100, 4), (0x8100, 5)]), 4 << 12 | 5),
        (113, bytes(14) + b"\x08\x00" + SEGMENT, 0),
        (113, bytes(14) + b"\x81\x00" + b"\x00\x05\x08\x00" + SEGMENT, 5),
        (276, b"\x08\x00" + bytes(18) + SEGMENT, 0),
        (0, b"\2\0\0\0" + SEGMENT, 0),
        (0, b"\0\0\0\2" + SEGMENT, 0),
        (108, b"\0\0\0\2" + SEGMENT, 0),
        *[(link, SEGMENT, 0) for link in (12, 14, 101, 228)],
    ],
)
def test_every_link_layer_leads_to_the_same_segment(link, frame, vlan):
    p = only(frame, link=link)
    assert (p.src_hi[0], p.src_lo[0], p.dst_lo[0]) == (0, MAPPED_A, MAPPED_B)
    assert (p.proto[0], p.sport[0], p.dport[0], p.vlan[0]) == (6, 1000, 80, vlan)
    assert (p.ip_bytes[0], p.payload[0], p.payload_captured[0]) == (45, 5, 5)
    assert p.flags[0] == PSH | ACK


@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_loopback_frames_know_every_number_of_ipv6(family):
    p = only(struct.pack("<I", family) + ip6(udp(1, 2, b"abc"), proto=17), link=0)
    assert (p.proto[0], p.ip_bytes[0], p.payload[0]) == (17, 51, 3)
    assert (p.src_hi[0], p.src_lo[0], p.dst_lo[0]) == (0x20010DB8 << 32, 1, 2)


def test_raw_ipv6_and_link_type_229_are_read():
    for link in (101, 229):
        assert only(ip6(tcp(5, 6)), link=link).dport[0] == 6


def test_options_of_ip_and_tcp_are_no_payload():
    p = only(ether(ip4(tcp(1, 2, ACK, b"xy", options=bytes(12)), options=bytes(8))))
    assert (p.ip_bytes[0], p.payload[0]) == (20 + 8 + 20 + 12 + 2, 2)
    frame = ether(ip4(tcp(1, 2, ACK, b"xy", options=bytes(12)), options=bytes(8)))
    assert p.payload_at[0] == 24 + 16 + len(frame) - 2


EXTENSIONS = {
    "hop by hop": (0, bytes([6, 0]) + bytes(6), 0),
    "routing of 16 bytes": (43, bytes([6, 1]) + bytes(14), 0),
    "destination": (60, bytes([6, 0]) + bytes(6), 0),
    "authentication": (51, bytes([6, 4]) + bytes(22), 0),
    "hop by hop, then destination": (0, bytes([60, 0]) + bytes(6) + bytes([6, 0]) + bytes(6), 0),
    "first fragment": (44, bytes([6, 0, 0, 1, 0, 0, 0, 9]), 1),
    "whole in a fragment header": (44, bytes([6, 0, 0, 0, 0, 0, 0, 9]), 0),
}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_ipv6_extension_headers_are_walked(name):
    kind, header, fragment = EXTENSIONS[name]
    p = only(ether6(ip6(header + tcp(7, 8, SYN, b"abc"), proto=kind)))
    assert (p.proto[0], p.sport[0], p.dport[0], p.payload[0]) == (6, 7, 8, 3)
    assert (p.fragment[0], p.ip_bytes[0]) == (fragment, 40 + len(header) + 23)


def test_an_endless_chain_of_extension_headers_ends():
    chain = bytes([0, 0, 0, 0, 0, 0, 0, 0]) * 100
    p = only(ether6(ip6(chain, proto=0)))
    assert (p.proto[0], p.sport[0]) == (0, 0)


def test_large_sends_take_their_length_from_the_wire():
    frames = [ether(ip4(tcp(payload=bytes(100)), total=0)), ether6(ip6(tcp(), payload=0))]
    p = only(*frames, wire=14 + 5000)
    assert (p.ip_bytes.tolist(), p.payload.tolist()) == ([5000, 5000], [4960, 4940])


def test_a_frame_cut_by_the_snapshot_keeps_its_true_lengths():
    whole = ether(ip4(tcp(payload=b"x" * 1000)))
    p = only(whole[:74], wire=len(whole))
    assert (p.ip_bytes[0], p.payload[0], p.payload_captured[0]) == (1040, 1000, 20)
    p = only(whole[:54], wire=len(whole))
    assert (p.payload[0], p.payload_captured[0]) == (1000, 0)


def test_padding_below_the_smallest_frame_is_no_payload():
    p = only(ether(ip4(tcp())) + bytes(6))
    assert (p.ip_bytes[0], p.payload[0], p.payload_captured[0]) == (40, 0, 0)


def test_icmp_has_no_ports_and_other_protocols_only_hosts():
    p = only(ether(ip4(icmp(b"abcd"), proto=1)), ether(ip4(b"x" * 12, proto=47)),
             ether(ip4(bytes([0, 9, 0, 8]) + bytes(8) + b"data", proto=132)))  # fmt: skip
    assert (p.sport.tolist(), p.dport.tolist()) == ([0, 0, 9], [0, 0, 8])
    assert p.payload.tolist() == [4, 12, 4] and not p.flags.any()


def test_later_fragments_get_the_ports_of_the_first():
    body = udp(1000, 53, b"x" * 16)
    frames = [
        ether(ip4(body[16:], proto=17, fragment=2, ident=1)),
        ether(ip4(body[:16], proto=17, fragment=0x2000, ident=1)),
        ether(ip4(body[16:], proto=17, fragment=2, ident=1)),
        ether(ip4(body[16:], proto=17, fragment=2, ident=2)),
        ether(ip4(body[16:], B, A, proto=17, fragment=2, ident=1)),
    ]
    p = only(*frames)
    FragmentPorts().fill(p)
    assert p.fragment.tolist() == [2, 1, 2, 2, 2]
    assert p.sport.tolist() == [0, 1000, 1000, 0, 0]
    assert p.payload.tolist() == [8, 8, 8, 8, 8]


def test_ipv6_fragments_get_them_too_even_in_a_later_block():
    first = bytes([17, 0, 0, 1, 0, 0, 0, 9]) + udp(5, 6, b"12345678")
    later = bytes([17, 0, 0, 16, 0, 0, 0, 9]) + b"rest"
    ports = FragmentPorts()
    ports.fill(only(ether6(ip6(first, proto=44))))
    p = only(ether6(ip6(later, proto=44)))
    ports.fill(p)
    assert (p.sport[0], p.dport[0], p.proto[0], p.payload[0]) == (5, 6, 17, 4)


def test_first_fragments_are_forgotten_after_enough_others(monkeypatch):
    monkeypatch.setattr(FragmentPorts, "MOST", 2)
    firsts = [ether(ip4(udp(i, 1), proto=17, fragment=0x2000, ident=i)) for i in (1, 2, 3)]
    later = [ether(ip4(b"x", proto=17, fragment=1, ident=i)) for i in (1, 2, 3)]
    p = only(*firsts, *later)
    FragmentPorts().fill(p)
    assert p.sport.tolist() == [1, 2, 3, 0, 2, 3]


@pytest.mark.parametrize(
    "frame",
    [
        b"", bytes(13), ether(b"")[:13], ether(SEGMENT[:19]), ether(SEGMENT[:33]),
        ether(b"\x65" + SEGMENT[1:]), ether(b"\x44" + SEGMENT[1:]),
        ether(ip4(tcp(), total=19)), ether(ip4(udp()[:7], proto=17)),
        ether(b"", tags=[(0x8100, 1)]),
        ether(SEGMENT, tags=[(0x8100, 1)] * 5), ether6(ip6(b"")[:39]), ether6(SEGMENT + bytes(20)),
        ether6(ip6(bytes([6, 9, 0, 0, 0, 0, 0, 0]) + tcp(), proto=0)),
        ether6(ip6(bytes([6, 0, 0]), proto=0)),
    ],
)  # fmt: skip
def test_headers_cut_off_or_wrong_are_counted_and_skipped(frame):
    found = decoded(frame, ether(SEGMENT))
    assert (len(found.packets), found.not_ip, found.undecodable) == (1, 0, 1)
    assert found.packets.row.tolist() == [1]


def test_other_protocols_are_counted_apart():
    found = decoded(ether(bytes(28), 0x0806), ether(SEGMENT), ether(bytes(60), 60))
    assert (len(found.packets), found.not_ip, found.undecodable) == (1, 2, 0)
    assert decoded(b"\x50abc", link=101).not_ip == 1
    assert decoded(b"\7\0\0\0abc", link=0).not_ip == 1


def test_unknown_links_are_not_decoded():
    found = decoded(ether(SEGMENT), link=105)
    assert (len(found.packets), found.not_ip, found.undecodable) == (0, 0, 1)


def test_mixed_versions_stay_in_order():
    four, six = ether(ip4(tcp(1, 2, FIN))), ether6(ip6(tcp(3, 4)))
    p = only(six, four, six, four)
    assert p.row.tolist() == [0, 1, 2, 3]
    assert p.sport.tolist() == [3, 1, 3, 1]
    assert np.array_equal(p.src_hi > 0, [True, False, True, False])


def test_addresses_of_both_versions_are_kept_apart():
    p = only(ether(ip4(tcp(), A, B)), ether6(ip6(tcp(), A6, B6)))
    assert p.src_lo.tolist() == [MAPPED_A, 1] and p.dst_lo.tolist() == [MAPPED_B, 2]
