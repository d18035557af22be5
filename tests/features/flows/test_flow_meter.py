"""The columnar meter: against a slow one, in pieces, and within bounds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inoculate.features.flows.flow_frame import flow_frame
from inoculate.features.flows.flow_meter import FlowMeter
from inoculate.features.flows.flow_state import concat
from inoculate.features.flows.packets import Packets
from tests.features.flows.slow_meter import slow_flows

ZONE = 0xFFFF_0A00_0000
SECOND = 1_000_000


def packets_of(rows):
    """Return decoded packets of (time, source, destination, protocol, flags, payload) rows."""
    _, src, dst, proto, flags, payload = (np.array(c, np.int64) for c in zip(*rows, strict=True))
    zero, n = np.zeros(len(rows), np.int64), np.arange(len(rows))
    none = zero.astype(np.uint64)
    hosts = [(ZONE + h // 10).astype(np.uint64) for h in (src, dst)]
    flags = np.where(proto == 6, flags, 0)
    return Packets(
        row=n, proto=proto, src_hi=none, src_lo=hosts[0], dst_hi=none, dst_lo=hosts[1],
        sport=src % 10, dport=dst % 10, vlan=zero, ip_bytes=payload + 40, payload=payload,
        payload_at=zero, payload_captured=np.minimum(payload, 8), flags=flags, fragment=zero,
        ident=zero,
    )  # fmt: skip


DATA = np.arange(64, dtype=np.uint8)


def metered(rows, cuts=(), **options):
    """Return the frame of all flows, reading the rows in pieces."""
    meter = FlowMeter(**{"salt": 5, **options})
    number, parts = np.arange(1, len(rows) + 1), []
    times = np.array([r[0] for r in rows], np.int64)
    for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        if b > a:
            parts.append(meter.add(packets_of(rows[a:b]), times[a:b], number[a:b], DATA))
    parts.append(meter.flush())
    return flow_frame(concat(parts), "made", meter.tick_us)


STEPS = st.one_of(
    st.integers(0, 3 * SECOND), st.integers(-4 * SECOND, 40 * SECOND),
    st.sampled_from([5 * SECOND, 10 * SECOND, 30 * SECOND, -100 * SECOND, 10**12, -(10**12)]),
)  # fmt: skip
PAIRS = [(0, 1), (1, 0), (2, 13), (13, 2), (0, 10), (10, 0)]
ROW = st.tuples(
    STEPS, st.sampled_from(PAIRS), st.sampled_from([6, 6, 6, 17]),
    st.sampled_from([2, 18, 16, 16, 24, 17, 20, 4, 1, 3]), st.sampled_from([0, 0, 1, 9, 500]),
)  # fmt: skip


@st.composite
def traffic(draw):
    rows, now = [], 10**13
    for step, pair, *rest in draw(st.lists(ROW, min_size=1, max_size=60)):
        now = min(max(now + step, 0), 1 << 60)
        rows.append((now, *pair, *rest))
    return rows


@given(traffic(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_flows_are_those_of_the_slow_meter(rows, tcp_close):
    frame = metered(rows, idle_timeout_s=10, active_timeout_s=30, tcp_close=tcp_close)
    slow = slow_flows(
        [r[:5] for r in rows], idle=10 * SECOND, active=30 * SECOND, tcp_close=tcp_close
    )
    expected = {}
    for numbers, originator in slow:
        own = [rows[i - 1] for i in numbers]
        sent = [r for r in own if r[1] == originator]
        expected[f"made#{numbers[0]}"] = (
            f"10.0.0.{originator // 10}", originator % 10, len(sent), len(own) - len(sent),
            sum(r[5] for r in sent), sum(r[5] for r in own if r[1] != originator),
        )  # fmt: skip
    names = ("orig_h", "orig_p", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes")
    found = {o: tuple(r) for o, *r in frame.select("origin", *names).iter_rows()}
    assert found == expected


@given(traffic(), st.lists(st.integers(0, 60), max_size=12), st.booleans())
@settings(max_examples=300, deadline=None)
def test_pieces_of_a_capture_give_exactly_the_flows_of_the_whole(rows, cuts, tcp_close):
    options = {"idle_timeout_s": 10, "active_timeout_s": 30, "tcp_close": tcp_close}
    cuts = sorted(min(c, len(rows)) for c in cuts)
    whole, pieces = metered(rows, **options), metered(rows, cuts, **options)
    assert whole.equals(pieces, null_equal=True)


@given(traffic())
@settings(max_examples=50, deadline=None)
def test_the_salt_changes_nothing(rows):
    assert metered(rows, salt=1).equals(metered(rows, salt=2**64 - 1), null_equal=True)


def test_numbers_of_a_flow_are_those_of_its_packets():
    gaps, sizes = [0, 3, 1, 4, 1, 5, 9, 2], [0, 100, 0, 7, 500, 0, 40, 1]
    times = 10**13 + np.cumsum(gaps) * SECOND // 10
    sides = [0, 1, 0, 0, 1, 1, 0, 1]
    rows = [(int(t), s, 1 - s, 6, 16, size) for t, s, size in zip(times, sides, sizes, strict=True)]
    (flow,) = metered(rows, cuts=[1, 4, 5]).to_dicts()
    seconds, sides, sizes = times / SECOND, np.array(sides), np.array(sizes)
    for prefix, mask in (("", sides >= 0), ("orig_", sides == 0), ("resp_", sides == 1)):
        own, gap = sizes[mask], np.diff(seconds[mask])
        for name, values in ((f"{prefix}len", own), (f"{prefix}iat", gap)):
            expected = [values.min(), values.mean(), values.std(), values.max()]
            found = [flow[f"{name}_{k}"] for k in ("min", "mean", "std", "max")]
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)
    assert flow["duration"] == 2.5
    assert [flow[f"size_{i}"] for i in range(1, 5)] == [-100, 7, -500, 40]


def test_a_steady_beacon_has_no_spread_at_all():
    rows = [(10**15 + i * 60 * SECOND, 0, 1, 17, 0, 33) for i in range(29)]
    (flow,) = metered(rows).to_dicts()
    assert (flow["iat_mean"], flow["iat_std"], flow["len_std"]) == (60.0, 0.0, 0.0)


def test_long_active_timeouts_use_longer_ticks_and_stay_exact():
    rows = [(10**15 + i * 3600 * SECOND * (1 + i % 2), 0, 1, 17, 0, 33) for i in range(20)]
    times = np.array([r[0] for r in rows]) / SECOND
    rows, times = sorted(rows), np.sort(times)
    (flow,) = metered(rows, idle_timeout_s=1e6, active_timeout_s=1e6).to_dicts()
    np.testing.assert_allclose(flow["iat_std"], np.diff(times).std(), rtol=1e-6)
    np.testing.assert_allclose(flow["duration"], times[-1] - times[0], atol=0.001)


def test_too_many_open_flows_give_out_the_quietest_early():
    rows = [(10**13 + i, i, 70, 17, 0, 1) for i in range(60)]
    meter = FlowMeter(most_open=10)
    times, number = np.array([r[0] for r in rows]), np.arange(1, 61)
    given_out = meter.add(packets_of(rows), times, number, DATA)
    assert given_out["number"].tolist() == list(range(1, 51))
    assert (meter.given_early, meter.flush()["number"].tolist()) == (50, list(range(51, 61)))


def test_open_flows_leave_when_the_clock_passes_them():
    meter = FlowMeter(idle_timeout_s=10, active_timeout_s=100)
    rows = [(0, 0, 1, 17, 0, 1), (0, 2, 3, 6, 4, 0), (4 * SECOND, 4, 5, 17, 0, 1)]
    later = [(5 * SECOND, 4, 5, 17, 0, 1)]
    last = [(10 * SECOND, 4, 5, 17, 0, 1)]
    found = []
    for i, part in enumerate((rows, later, last)):
        times = np.array([r[0] for r in part])
        state = meter.add(packets_of(part), times, np.arange(len(part)) + 10 * i, DATA)
        found.append(state["number"].tolist())
    # The reset flow goes after 5 s, the quiet one after the idle timeout.
    assert found == [[], [1], [0]]
