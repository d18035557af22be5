"""Captures: where packets lie, their times, and files that must be refused."""

import io
import struct

import numpy as np
import pytest

from inoculate.errors import RecordError, TruncatedError
from inoculate.reading.captures import LARGEST_PACKET, is_capture, read_records
from tests.packet_maker import (
    block,
    enhanced,
    interface,
    old_packet,
    pcap,
    section,
    simple,
)  # fmt: skip

FRAMES = [bytes([i]) * (20 + i) for i in range(5)]
TIMES = [1_700_000_000.25, 1_700_000_000.5, 1_700_000_003.125, 1_700_000_003.0, 1_700_000_009.0]


class Dripping(io.BytesIO):
    """Gives a few bytes a read."""

    def read(self, size=-1):
        return super().read(min(size, 7))


def packets_of(data, *, block_bytes=1 << 20, stream=io.BytesIO):
    out = []
    for r in read_records(stream(data), "made", block_bytes=block_bytes):
        rows = zip(r.start, r.captured, r.wire, r.time_us, r.link, strict=True)
        out += [(bytes(r.data[s : s + c]), w, t, k) for s, c, w, t, k in rows]
    return out


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
@pytest.mark.parametrize("block_bytes", [1, 61, 1 << 20])
def test_a_pcap_gives_its_packets_whatever_its_byte_order_and_clock(order, magic, block_bytes):
    data = pcap(zip(TIMES, FRAMES, strict=True), order=order, magic=magic, link=113)
    found = packets_of(data, block_bytes=block_bytes)
    times = [round(t * 1_000_000) for t in TIMES]
    assert found == [(f, len(f), t, 113) for f, t in zip(FRAMES, times, strict=True)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stream_that_drips_gives_the_same_packets(order):
    data = pcap(zip(TIMES, FRAMES, strict=True), order=order)
    assert packets_of(data, stream=Dripping) == packets_of(data)


def test_two_interfaces_have_their_own_links_clocks_and_offsets():
    data = section() + interface(1) + interface(101, resolution=9, offset_s=100)
    data += enhanced(b"first", 5_000_000, 0) + enhanced(b"second", 7_000_001_000, 1)
    found = packets_of(data)
    assert found == [(b"first", 5, 5_000_000, 1), (b"second", 6, 107_000_001, 101)]


@pytest.mark.parametrize(
    "resolution, ticks, microseconds",
    [(6, 1234567, 1234567), (3, 1500, 1_500_000), (0, 3, 3_000_000), (9, 2_000_000_500, 2_000_000),
     (0x80 | 10, 1536, 1_500_000), (0x80 | 32, 3 << 31, 1_500_000), (12, 10**13, 10_000_000)],
)  # fmt: skip
def test_every_resolution_becomes_microseconds(resolution, ticks, microseconds):
    data = section() + interface(resolution=resolution) + enhanced(b"x", ticks)
    assert packets_of(data)[0][2] == microseconds


@pytest.mark.parametrize("resolution", [0, 6, 9, 40, 127, 0x80, 0x80 | 63, 0x80 | 64, 0xFF])
@pytest.mark.parametrize("offset_s", [0, 2**63 - 1, -(2**63)])
def test_absurd_clocks_stay_in_range(resolution, offset_s):
    data = section() + interface(resolution=resolution, offset_s=offset_s)
    data += enhanced(b"x", 2**64 - 1) + enhanced(b"y", 0)
    assert all(0 <= t <= 1 << 61 for _, _, t, _ in packets_of(data))


@pytest.mark.parametrize("block_bytes", [1, 200, 1 << 20])
def test_sections_of_both_byte_orders_simple_and_old_blocks_are_read(block_bytes):
    data = section() + interface(1, snaplen=4) + enhanced(b"little", 2_000_000)
    data += simple(b"simp", wire=9) + block(4, b"names") + old_packet(b"old", 3_000_000)
    data += section(">") + interface(101, ">") + enhanced(b"big", 4_000_000, 0, ">")
    data += old_packet(b"older", 5_000_000, 0, ">") + section() + interface(113)
    data += enhanced(b"last", 6_000_000)
    assert packets_of(data, block_bytes=block_bytes) == [
        (b"little", 6, 2_000_000, 1),
        (b"simp", 9, 2_000_000, 1),
        (b"old", 3, 3_000_000, 1),
        (b"big", 3, 4_000_000, 101),
        (b"older", 5, 5_000_000, 101),
        (b"last", 4, 6_000_000, 113),
    ]


def test_a_capture_without_packets_gives_none():
    assert (
        packets_of(pcap([])) == packets_of(section()) == packets_of(section() + interface()) == []
    )


@pytest.mark.parametrize("make", [pcap, lambda p: section() + interface() + b"".join(
    enhanced(f, round(t * 1e6)) for t, f in p)], ids=["pcap", "pcapng"])  # fmt: skip
@pytest.mark.parametrize("cut", [1, 5, 17, 30])
def test_a_cut_capture_gives_its_whole_packets_and_says_where_it_ends(make, cut):
    whole = make(list(zip(TIMES, FRAMES, strict=True)))
    before = make(list(zip(TIMES, FRAMES, strict=True))[:-1])
    found = []
    with pytest.raises(TruncatedError, match="ends inside a record") as caught:
        for r in read_records(io.BytesIO(whole[:-cut]), "made"):
            found += r.captured.tolist()
    assert found == [len(f) for f in FRAMES[:-1]]
    assert caught.value.origin == f"made@{len(before)}"


GOOD = pcap([(1.0, b"good")])
GOOD_NG = section() + interface() + enhanced(b"good", 1)


@pytest.mark.parametrize(
    "data, problem, origin, whole",
    [
        (b"", "an empty file", "made@0", 0),
        (b"GIF89a, and more of it", "begins with 47494638", "made@0", 0),
        (b"\x0a\x0d\x0d\x0a" + bytes(30), "begins with 0a0d0d0a", "made@0", 0),
        (GOOD + struct.pack("<IIII", 1, 0, LARGEST_PACKET + 1, 9), "most", f"made@{len(GOOD)}", 1),
        (GOOD_NG + struct.pack("<III", 6, 13, 0), "block of 13", f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + struct.pack("<III", 5, 1 << 30, 0), "block of", f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + block(6, b"short"), "packet block of 20", f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + enhanced(b"x", 1, which=1), "without interface", f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + block(6, struct.pack("<IIIII", 0, 0, 1, 99, 99)), "longer than its block",
         f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + block(1, b"abcd"), "interface block cut", f"made@{len(GOOD_NG)}", 1),
        (GOOD_NG + block(0x0A0D0D0A, b"what" * 4), "byte order", f"made@{len(GOOD_NG)}", 1),
        (section() + simple(b"abc"), "without interface", f"made@{len(section())}", 0),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(data, problem, origin, whole):
    found = []
    with pytest.raises(RecordError, match=problem) as caught:
        for r in read_records(io.BytesIO(data), "made"):
            found += r.captured.tolist()
    assert (caught.value.origin, len(found)) == (origin, whole)
    assert not isinstance(caught.value, TruncatedError)


def test_an_error_of_the_stream_comes_after_the_packets_before_it():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            data = super().read(size)
            if not data:
                raise TruncatedError("gzip data ends too early", origin="made")
            return data

    found = []
    with pytest.raises(TruncatedError, match="gzip"):
        for r in read_records(Broken(GOOD + b"tail"), "made"):
            found += r.captured.tolist()
    assert found == [4]


def test_only_captures_are_taken_for_captures():
    assert is_capture(GOOD) and is_capture(GOOD_NG) and is_capture(section(">"))
    assert not any(map(is_capture, (b"", b"\xd4\xc3", b"\x0a\x0d\x0d\x0a", b"#fields\tts")))


def test_times_are_exact_to_the_microsecond():
    (r,) = read_records(io.BytesIO(pcap([(1_700_000_000.123456, b"x")])), "made")
    assert np.array_equal(r.time_us, [1_700_000_000_123_456])
