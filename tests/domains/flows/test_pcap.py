"""Captures as flows: by hand, cut and hostile ones, in pieces."""

import io
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inoculate.domain import Source
from inoculate.domains.flows.pcap import Pcap
from inoculate.errors import InputError, RecordError, TruncatedError
from inoculate.features.flows.flow_schema import BASE_COLUMNS, FLOW_COLUMNS, IDENTITY
from tests.packet_maker import (
    A6,
    ACK,
    B6,
    FIN,
    PSH,
    RST,
    SYN,
    A,
    B,
    C,
    enhanced,
    ether,
    ether6,
    icmp,
    interface,
    ip4,
    ip6,
    pcap,
    sample,
    section,
    source,
    source_of,
    tcp,
    udp,
)  # fmt: skip

SAMPLE = Path(__file__).parents[2] / "data" / "pcap.pcap"
KNOWN = ["origin", "ts", *IDENTITY, *(c.name for c in BASE_COLUMNS)]


def flows_of(data, on_bad=None, **options):
    options_read = {} if on_bad is None else {"on_bad": on_bad}
    batches = list(Pcap(**options).read(source(data), **options_read))
    return pl.concat([b.frame for b in batches]).sort("ts") if batches else pl.DataFrame()


def ours(t, flags, payload=b"", port=1000):
    return (t, ether(ip4(tcp(port, 80, flags, payload), A, B)))


def theirs(t, flags, payload=b"", port=1000):
    return (t, ether(ip4(tcp(80, port, flags, payload), B, A)))


TALK = [
    ours(10.0, SYN), theirs(10.5, SYN | ACK), ours(11.0, ACK), ours(11.5, PSH | ACK, b"abab"),
    theirs(12.0, PSH | ACK, b"\0" * 8), ours(12.5, ACK, b"xyz"), theirs(13.0, FIN | ACK),
    ours(13.5, FIN | ACK), theirs(14.0, ACK),
]  # fmt: skip


def test_every_base_column_of_a_conversation_by_hand():
    (flow,) = flows_of(pcap(TALK)).to_dicts()
    expected = {
        "origin": "made.pcap#1", "ts": 10.0, "orig_h": A, "orig_p": 1000, "resp_h": B,
        "resp_p": 80, "proto": "tcp", "tcp": 1, "udp": 0, "icmp": 0, "duration": 4.0,
        "orig_pkts": 5, "resp_pkts": 4, "orig_bytes": 7, "resp_bytes": 8,
        "orig_ip_bytes": 207, "resp_ip_bytes": 168, "orig_data_pkts": 2, "resp_data_pkts": 1,
        "orig_len_min": 0, "orig_len_mean": 1.4, "orig_len_std": math.sqrt(25 / 5 - 1.96),
        "orig_len_max": 4, "resp_len_min": 0, "resp_len_mean": 2, "resp_len_std": math.sqrt(12),
        "resp_len_max": 8, "len_min": 0, "len_mean": 15 / 9,
        "len_std": math.sqrt(89 / 9 - 225 / 81), "len_max": 8,
        "iat_min": 0.5, "iat_mean": 0.5, "iat_std": 0, "iat_max": 0.5,
        "orig_iat_min": 0.5, "orig_iat_mean": 3.5 / 4, "orig_iat_std": math.sqrt(0.046875),
        "orig_iat_max": 1, "resp_iat_min": 1, "resp_iat_mean": 3.5 / 3,
        "resp_iat_std": math.sqrt(4.25 / 3 - 12.25 / 9), "resp_iat_max": 1.5,
        "fin": 2, "syn": 2, "rst": 0, "psh": 2, "ack": 8, "urg": 0,
        "size_1": 4, "size_2": -8, "size_3": 3, "size_4": None,
        "orig_entropy": 1, "resp_entropy": 0, "orig_printable": 1, "resp_printable": 0,
        "failed": 0, "established": 1, "reset": 0, "closed": 1,
    }  # fmt: skip
    assert set(KNOWN) == set(expected)
    assert {k: flow[k] for k in KNOWN} == pytest.approx(expected)


def test_a_lone_packet_has_no_gaps_and_a_silent_side_no_lengths():
    (flow,) = flows_of(pcap([(5.0, ether(ip4(udp(1, 2, b"abc"), proto=17)))])).to_dicts()
    unknown = {k for k in KNOWN if flow[k] is None}
    spread = ("min", "mean", "std", "max")
    sides = {f"{p}_{k}" for p in ("iat", "orig_iat", "resp_iat", "resp_len") for k in spread}
    sides |= {"size_2", "size_3", "size_4", "resp_entropy", "resp_printable"}
    assert unknown == sides
    assert (flow["failed"], flow["established"], flow["duration"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "packets, states",
    [
        ([ours(1, SYN)], {"failed"}),
        ([ours(1, SYN), ours(2, SYN), theirs(3, RST | ACK)], {"failed", "reset"}),
        ([ours(1, SYN), theirs(2, SYN | ACK)], {"established"}),
        ([ours(1, SYN), theirs(2, SYN | ACK), ours(3, RST)], {"established", "reset"}),
        ([ours(1, ACK, b"x"), theirs(2, ACK, b"y")], {"established"}),
        ([ours(1, ACK, b"x"), theirs(2, ACK)], set()),
        ([ours(1, FIN | ACK), theirs(2, FIN | ACK)], {"closed"}),
        ([ours(1, FIN | ACK), ours(2, FIN | ACK)], set()),
        ([(1, ether(ip4(icmp(), proto=1)))], {"failed"}),
        ([(1, ether(ip4(icmp(), A, B, 1))), (2, ether(ip4(icmp(), B, A, 1)))], {"established"}),
    ],
)  # fmt: skip
def test_how_a_flow_ended(packets, states):
    (flow,) = flows_of(pcap(packets)).to_dicts()
    assert {k for k in ("failed", "established", "reset", "closed") if flow[k]} == states


def test_who_answers_a_handshake_is_the_responder_even_when_seen_first():
    (flow,) = flows_of(pcap([theirs(1, SYN | ACK), ours(2, ACK)])).to_dicts()
    assert (flow["orig_h"], flow["orig_p"], flow["orig_pkts"], flow["resp_pkts"]) == (A, 1000, 1, 1)


def test_icmp_flows_have_no_ports_and_their_own_names():
    frames = [(1, ether(ip4(icmp(b"x"), proto=1))), (2, ether6(ip6(icmp(b"x", 128), proto=58)))]
    frames += [(3, ether(ip4(b"x" * 8, proto=47)))]
    table = flows_of(pcap(frames))
    assert table["proto"].to_list() == ["icmp", "icmp6", "47"]
    assert table["icmp"].to_list() == [1, 1, 0]
    assert table["orig_h"].to_list() == [A, A6, A] and table["resp_h"].to_list() == [B, B6, B]
    assert table["orig_p"].to_list() == [0, 0, 0]


AGAIN = [ours(20.0, SYN), theirs(20.1, SYN | ACK), ours(20.2, ACK)]


@pytest.mark.parametrize("close", [[ours(15.0, RST)], TALK[6:8]])
def test_a_syn_after_a_close_starts_a_new_flow(close):
    packets = TALK[:6] + close + [(17.0, AGAIN[0][1]), (17.1, AGAIN[1][1])]
    assert flows_of(pcap(packets))["orig_pkts"].to_list() == [4 + (len(close) + 1) // 2, 1]
    (flow,) = flows_of(pcap(packets), tcp_close=False).to_dicts()
    assert flow["orig_pkts"] + flow["resp_pkts"] == len(packets)


def test_a_repeated_syn_without_a_close_does_not():
    packets = [ours(1, SYN), ours(2, SYN), theirs(3, SYN | ACK), ours(4, ACK), ours(5, SYN)]
    assert flows_of(pcap(packets))["orig_pkts"].to_list() == [4]


def test_a_closed_connection_is_over_after_a_pause_and_not_before():
    soon, late = [*TALK, theirs(18.0, ACK)], [*TALK, theirs(19.0, ACK)]
    assert flows_of(pcap(soon))["resp_pkts"].to_list() == [5]
    assert flows_of(pcap(late))["resp_pkts"].to_list() == [4, 0]
    half = [*TALK[:7], ours(30.0, ACK)]
    assert flows_of(pcap(half))["resp_pkts"].to_list() == [3]


def test_quiet_flows_end_at_the_idle_timeout():
    packets = [ours(0.0, ACK), ours(119.999, ACK), ours(239.999, ACK), ours(300.0, ACK)]
    assert flows_of(pcap(packets))["orig_pkts"].to_list() == [2, 2]


def test_old_flows_are_cut_at_the_active_timeout_and_keep_their_originator():
    packets = [ours(0.0, ACK)] + [theirs(60.0 * i, ACK) for i in range(1, 91)]
    table = flows_of(pcap(packets))
    assert table["ts"].to_list() == [0.0, 1800.0, 3600.0, 5400.0]
    assert table["orig_h"].to_list() == [A] * 4
    assert table["resp_pkts"].to_list() == [29, 30, 30, 1]
    assert table["duration"].to_list() == [1740.0, 1740.0, 1740.0, 0.0]


def test_a_flow_exactly_as_old_as_the_active_timeout_is_cut():
    packets = [ours(100.0 * i, ACK) for i in range(19)]
    assert flows_of(pcap(packets))["orig_pkts"].to_list() == [18, 1]


def test_vlans_and_fragments_belong_to_their_flows():
    body = udp(1000, 53, b"x" * 24)
    parts = [(1.0, ether(ip4(body[:16], proto=17, fragment=0x2000))),
             (1.1, ether(ip4(body[16:], proto=17, fragment=2)))]  # fmt: skip
    tagged = [(t + 1, f[:12] + b"\x81\x00\x00\x05" + f[12:]) for t, f in parts]
    table = flows_of(pcap(parts + tagged))
    assert table["orig_p"].to_list() == [1000, 1000]
    assert table["orig_bytes"].to_list() == [24, 24]


def test_mixed_links_of_a_pcapng_meet_in_one_flow():
    data = section() + interface(1) + interface(101, resolution=9)
    data += enhanced(ours(0, SYN)[1], 1_000_000, 0)
    data += enhanced(theirs(0, SYN | ACK)[1][14:], 1_500_000_000, 1)
    (flow,) = flows_of(data).to_dicts()
    assert (flow["orig_pkts"], flow["resp_pkts"], flow["duration"]) == (1, 1, 0.5)


def test_what_is_no_ip_or_cannot_be_decoded_is_counted():
    domain = Pcap()
    frames = [(1, bytes(60)), (2, ether(b"\x45")), (3, ours(0, ACK)[1])]
    assert sum(len(b) for b in domain.read(source(pcap(frames)))) == 1
    assert domain.skipped == {"not IP": 1, "undecodable": 1, "given early": 0}


def test_an_empty_capture_gives_nothing():
    assert flows_of(pcap([])).height == flows_of(section()).height == 0


def test_a_cut_capture_gives_its_whole_packets_then_says_so():
    data, bad = pcap(TALK), []
    assert flows_of(data[:-9], bad.append)["resp_pkts"].to_list() == [3]
    assert [type(e) for e in bad] == [TruncatedError]
    assert bad[0].origin == f"made.pcap@{len(data) - len(TALK[-1][1]) - 16}"
    found = []
    with pytest.raises(TruncatedError):
        found.extend(Pcap().read(source(data[:-9])))
    assert len(found) == 1


def test_a_broken_length_gives_the_packets_before_it_and_always_raises():
    found = []
    with pytest.raises(RecordError, match="at most"):
        found.extend(Pcap().read(source(pcap(TALK) + b"\xff" * 16), on_bad=lambda _: None))
    assert len(found) == 1


def test_an_unknown_link_type_is_a_bad_record_once():
    data, bad = pcap([(1, b"x" * 40), (2, b"y" * 40)], link=105), []
    assert flows_of(data, bad.append).height == 0
    (error,) = bad
    assert error.origin == "made.pcap#1" and "link type 105" in str(error)
    with pytest.raises(RecordError, match="link type 105"):
        flows_of(data)


@pytest.mark.parametrize("idle, active", [(0, 10), (-1, 10), (20, 10), (1, 1e9), (math.nan, 1)])
def test_impossible_timeouts_are_refused(idle, active):
    with pytest.raises(InputError, match="timeout"):
        Pcap(idle_timeout_s=idle, active_timeout_s=active)


def test_it_knows_captures_by_their_first_bytes():
    assert Pcap().sniff(source(pcap([]), "x.csv")) == Pcap().sniff(source(section())) == 1
    assert Pcap().sniff(source(b"#separator \\x09", "x.pcap")) == 0


def test_encoded_flows_have_the_canonical_columns_and_no_identity():
    batch, *_ = Pcap().read(source_of(SAMPLE))
    x = Pcap().encode(batch, Pcap().views(batch))["flow"]
    assert x.shape == (len(batch), len(FLOW_COLUMNS)) and x.dtype == np.float32
    assert not set(IDENTITY) & {c.name for c in FLOW_COLUMNS}


def test_the_kept_sample_is_what_the_tests_make():
    assert SAMPLE.read_bytes() == sample()


class Live(io.BytesIO):
    """A capture that gives one packet a read, and keeps its reader waiting in between."""

    def __init__(self, data, clock):
        super().__init__(data)
        self.clock = clock

    def read(self, size=-1):
        self.clock.append(1.0)
        return super().read(24 if self.tell() == 0 else 16 + 54)


def test_a_live_capture_gives_flows_as_they_are_over(monkeypatch):
    data, clock = pcap([ours(i * 10.0, RST, port=i + 1) for i in range(5)]), []
    monkeypatch.setattr("inoculate.reading.captures.time.monotonic", lambda: sum(clock))
    stream = Live(data, clock)
    seen = []
    for batch in Pcap().read(Source("live", None, data[:24], stream)):
        seen += [(p, stream.tell()) for p in batch.frame["orig_p"]]
    # Each closed flow comes with the next packet, 10 s later, and the last one at the end.
    assert seen == [(i + 1, 24 + 70 * min(i + 2, 5)) for i in range(5)]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_changed_bytes_raise_record_errors_or_nothing(data):
    good = bytearray(data.draw(st.sampled_from([sample()[:4000], mixed()])))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at] = data.draw(st.integers(0, 255))
    good = bytes(good[: data.draw(st.integers(0, len(good)))])
    bad = []
    options = {"block_bytes": data.draw(st.sampled_from([1, 100, 5000]))}
    frames = []
    try:
        for batch in Pcap(**options).read(source(good), on_bad=bad.append):
            frames.append(batch.frame)
            Pcap().encode(batch, Pcap().views(batch))
    except RecordError as err:
        bad.append(err)
    assert all(isinstance(e, RecordError) and e.origin.startswith("made.pcap") for e in bad)
    assert sum(f["orig_pkts"].sum() + f["resp_pkts"].sum() for f in frames) <= len(good) / 16


@given(
    st.binary(max_size=400), st.sampled_from([pcap([])[:24], section(), section() + interface()])
)
@settings(max_examples=150, deadline=None)
def test_noise_raises_record_errors_or_nothing(noise, head):
    for data in (noise, head + noise):
        try:
            list(Pcap().read(source(data), on_bad=lambda _: None))
        except RecordError as err:
            assert err.origin.startswith("made.pcap")


def mixed():
    """Return a pcapng with every kind of block and IPv6, fragments, VLANs and options."""
    six = ether6(ip6(bytes([6, 0, 0, 1, 0, 0, 0, 9]) + tcp(5, 6, SYN), proto=44))
    frames = [
        six, ether(ip4(udp(1, 2, b"x"), options=bytes(8), proto=17), tags=[(0x8100, 5)] * 2),
        ether(ip4(b"rest", proto=17, fragment=3)), ether(ip4(icmp(), A, C, 1)),
    ]  # fmt: skip
    data = section() + interface() + interface(101, resolution=0x8A, offset_s=7)
    for i, frame in enumerate(frames * 4):
        data += enhanced(frame, 10**12 + i * 10**6, 0)
        data += enhanced(frame[14:], 10**9 + i * 1024, 1)
    return data + section(">") + interface(1, ">") + enhanced(six, 10**12, 0, ">")


@pytest.mark.parametrize("block_bytes", [1, 999, 4096])
def test_blocks_of_any_size_give_exactly_the_same_flows(block_bytes):
    for data in (sample(), mixed()):
        whole = [b.frame.select(KNOWN) for b in Pcap().read(source(data))]
        domain = Pcap(block_bytes=block_bytes)
        pieces = [b.frame.select(KNOWN) for b in domain.read(source(data))]
        assert pl.concat(whole).equals(pl.concat(pieces), null_equal=True)
