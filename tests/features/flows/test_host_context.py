"""Context columns against a plain Python reading of their definition."""

import itertools
import math

import numpy as np
import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inoculate.features.flows import host_context
from inoculate.features.flows.host_context import CONTEXT_COLUMNS, HostContext

NAMES = [c.name for c in CONTEXT_COLUMNS]
SCHEMA = {
    "ts": pl.Float64,
    "orig_h": pl.String,
    "resp_h": pl.String,
    "resp_p": pl.Int64,
    "failed": pl.Float64,
    "orig_bytes": pl.Float64,
    "resp_bytes": pl.Float64,
}


def table(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def window_values(window):
    """Return the six columns of one window of rows, by definition."""
    size = [
        min(31, math.floor(math.log2(1 + (r[5] or 0) + (r[6] or 0))))
        for r in window
        if r[5] is not None or r[6] is not None
    ]
    failed = [r[4] for r in window if r[4] is not None]
    gaps = np.diff([r[0] for r in window])
    regular = None
    if len(gaps) >= 2 and gaps.mean() > 0:
        regular = 1 / (1 + gaps.std() / gaps.mean())
    shares = [size.count(k) / len(size) for k in set(size)]
    return [
        len(window),
        len({r[2] for r in window} - {None}) or None,
        len({r[3] for r in window} - {None}) or None,
        sum(failed) / len(failed) if failed else None,
        -sum(p * math.log2(p) for p in shares) if shares else None,
        regular,
    ]


def pair_regularity(rows, i, own):
    """Return the regularity of gaps to one responder and port, by definition."""
    if rows[i][2] is None or rows[i][3] is None:
        return None
    return window_values([r for r in own if r[2:4] == rows[i][2:4]])[5]


def oracle(rows, max_window=host_context.MAX_WINDOW):
    """Return the context of each row; rows of one batch in any order."""
    result = [[None] * len(NAMES) for _ in rows]
    usable = [i for i, r in enumerate(rows) if r[0] is not None and r[1] is not None]
    by_time = sorted(usable, key=lambda i: rows[i][0])
    for place, i in enumerate(by_time):
        own = [rows[j] for j in by_time[: place + 1] if rows[j][1] == rows[i][1]]
        recent = [r for r in own if r[0] >= rows[i][0] - 60.0][-max_window:]
        result[i] = window_values(recent) + window_values(own[-100:])
        result[i].append(pair_regularity(rows, i, own[-100:]))
    return result


def assert_close(frame, expected):
    for i, name in enumerate(NAMES):
        want = np.array([np.nan if e[i] is None else e[i] for e in expected], float)
        assert frame[name].is_nan().sum() == 0, "unknown is null, not NaN"
        got = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=name)


maybe = st.none()
row = st.tuples(
    st.one_of(maybe, st.integers(0, 400).map(lambda q: q / 2)),
    st.one_of(maybe, st.sampled_from(["a", "b", "c"])),
    st.one_of(maybe, st.sampled_from(["x", "y", "z", ""])),
    st.one_of(maybe, st.sampled_from([0, 53, 443, 65535])),
    st.one_of(maybe, st.sampled_from([0.0, 1.0])),
    st.one_of(maybe, st.sampled_from([0.0, 1.0, 700.0, 1e12])),
    st.one_of(maybe, st.sampled_from([0.0, 3.0, 1e5])),
)


@settings(deadline=None)
@given(rows=st.lists(row, max_size=60))
def test_every_column_equals_its_definition(rows):
    assert_close(HostContext().add(table(rows)), oracle(rows))


@settings(deadline=None)
@given(
    rows=st.lists(row.filter(lambda r: r[0] is not None), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_batches_do_not_change_the_result_of_a_source_in_time_order(rows, cuts):
    rows = sorted(rows, key=lambda r: r[0])
    whole = HostContext().add(table(rows))
    context, edges = HostContext(), [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    parts = [context.add(table(rows[a:b])) for a, b in itertools.pairwise(edges) if b > a]
    if parts:
        pl.testing.assert_frame_equal(pl.concat(parts), whole)


def many(n, seed, hosts):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, n / 4, n)) + 1.7e9
    return [
        (
            float(t[i]),
            f"10.0.0.{rng.integers(hosts)}",
            f"192.0.2.{rng.integers(9)}",
            int(rng.integers(20)),
            float(rng.integers(2)),
            float(rng.integers(4000)),
            None,
        )
        for i in range(n)
    ]


def test_more_than_a_hundred_flows_a_host_at_real_times():
    rows = many(700, 0, 2)
    assert_close(HostContext().add(table(rows)), oracle(rows))


@pytest.mark.parametrize("step", [1, 37, 300])
def test_windows_reach_back_into_earlier_batches(step):
    rows = many(700, 1, 3)
    context = HostContext()
    parts = [context.add(table(rows[i : i + step])) for i in range(0, 700, step)]
    assert_close(pl.concat(parts), oracle(rows))


def test_sixty_second_window_is_capped_whatever_the_batches(monkeypatch):
    monkeypatch.setattr(host_context, "MAX_WINDOW", 150)
    rows = [(i / 128, "a", f"r{i}", i, 1.0, 0.0, 0.0) for i in range(600)]
    expected = oracle(rows, max_window=150)
    assert expected[-1][0] == 150
    assert_close(HostContext().add(table(rows)), expected)
    context = HostContext()
    assert_close(
        pl.concat([context.add(table(rows[:333])), context.add(table(rows[333:]))]), expected
    )
    assert context.n_kept == 149


def test_large_batches_are_sliced_without_a_trace(monkeypatch):
    rows = many(500, 2, 2)
    whole = HostContext().add(table(rows))
    monkeypatch.setattr(host_context, "_SLICE", 64)
    pl.testing.assert_frame_equal(HostContext().add(table(rows)), whole)


def test_a_perfect_beacon_is_regular_and_a_burst_at_one_time_says_nothing():
    beacon = [(1.7e9 + 30.0 * i, "a", "c2", 443, 0.0, 200.0, 90.0 + i) for i in range(120)]
    last = HostContext().add(table(beacon)).row(-1, named=True)
    assert last["host_gap_regularity_100"] == pytest.approx(1.0, abs=1e-6)
    assert last["host_gap_regularity_60s"] == pytest.approx(1.0, abs=1e-6)
    assert last["host_flows_60s"] == 3 and last["host_responders_100"] == 1
    burst = HostContext().add(table([(5.0, "a", "b", 1, 0.0, 1.0, 1.0)] * 9))
    assert burst["host_gap_regularity_100"].is_null().all()


def test_small_gaps_keep_their_precision_after_huge_ones():
    times = [0.0, 1e9, 1e9 + 1e6, *(1e9 + 2e6 + 0.001 * (k + 0.3 * (k % 2)) for k in range(100))]
    frame = HostContext().add(table([(t, "a", "b", 1, 0.0, 1.0, 1.0) for t in times]))
    gaps = np.diff(times[-100:])
    expected = 1 / (1 + gaps.std() / gaps.mean())
    assert frame["host_gap_regularity_100"][-1] == pytest.approx(expected, rel=1e-3)


def test_a_late_flow_of_an_earlier_time_counts_as_now():
    context = HostContext()
    context.add(table([(t, "a", "b", 1, 0.0, 1.0, 1.0) for t in (100.0, 130.0)]))
    late = context.add(table([(10.0, "a", "c", 1, 0.0, 1.0, 1.0)]))
    assert late["host_flows_60s"].to_list() == [3.0]
    after = context.add(table([(191.0, "a", "c", 1, 0.0, 1.0, 1.0)]))
    assert after["host_flows_60s"].to_list() == [1.0]
    assert after["host_flows_100"].to_list() == [4.0]
    several = HostContext()
    several.add(table([(t, "a", "b", 1, 0.0, 1.0, 1.0) for t in (100.0, 130.0)]))
    several.add(table([(10.0, "a", "b", 1, 0.0, 1.0, 1.0)] * 4))
    now = several.add(table([(165.0, "a", "b", 1, 0.0, 1.0, 1.0)]))
    assert now["host_flows_60s"].to_list() == [6.0]


def test_state_is_bounded_and_the_oldest_rows_go_first():
    context = HostContext(max_rows=50)
    context.add(table([(float(i), f"host{i}", "b", 1, 0.0, 1.0, 1.0) for i in range(1000)]))
    assert context.n_kept == 50
    again = [(1000.0, f"host{i}", "b", 1, 0.0, 1.0, 1.0) for i in (0, 949, 950, 999)]
    assert context.add(table(again))["host_flows_100"].to_list() == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("ts", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_time_that_is_none_gives_no_context(ts):
    rows = [(ts, "a", "b", 1, 0.0, 1.0, 1.0), (5.0, "a", "b", 1, 0.0, 1.0, 1.0)]
    out = HostContext().add(table(rows))
    assert out[NAMES].row(0) == (None,) * len(NAMES)
    assert out["host_flows_100"][1] == 1.0


def test_absurd_values_and_absent_columns_are_unknown():
    odd = pl.DataFrame(
        {"ts": [1.0], "orig_h": ["a"], "resp_p": [70_000], "orig_bytes": [float("nan")]}
    )
    row = HostContext().add(odd).row(0, named=True)
    assert row["host_flows_60s"] == 1.0
    assert [row[n] for n in NAMES[1:6]] == [None] * 5
    bare = HostContext().add(pl.DataFrame({"duration": [1.0, 2.0]}))
    assert bare[NAMES].null_count().row(0) == (2,) * len(NAMES)
    assert HostContext().add(table([])).height == 0


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 1000))
def test_order_of_rows_in_a_batch_does_not_matter(seed):
    rows = many(200, seed, 2)
    shuffled = np.random.default_rng(seed).permutation(200)
    straight = HostContext().add(table(rows))[shuffled.tolist()]
    turned = HostContext().add(table([rows[i] for i in shuffled]))
    pl.testing.assert_frame_equal(turned, straight)


def test_size_entropy_falls_back_to_ip_bytes_where_no_payload_is_known():
    frame = pl.DataFrame(
        {
            "ts": [1.0, 2.0, 3.0],
            "orig_h": ["a"] * 3,
            "orig_bytes": [None, None, 10.0],
            "orig_ip_bytes": [60.0, 1000.0, 60.0],
        }
    )
    entropy = HostContext().add(frame)["host_size_entropy_100"].to_list()
    assert entropy == pytest.approx([0.0, 1.0, np.log2(3)])


@pytest.mark.parametrize("step", [0.0078125, 30.0, 3600.0, 86_400.0, 10_000_000.0])
def test_a_beacon_is_seen_at_any_pace_and_a_jittery_one_by_how_much(step):
    rng = np.random.default_rng(0)
    for jitter in (0.0, 0.2):
        gaps = step * (1 + jitter * rng.uniform(-1, 1, 119))
        times = np.concatenate([[1.7e9], 1.7e9 + np.cumsum(gaps)])
        frame = HostContext().add(table([(t, "a", "b", 1, 0.0, 1.0, 1.0) for t in times]))
        last = np.diff(times[-100:])
        expected = 1 / (1 + last.std() / last.mean())
        assert frame["host_gap_regularity_100"][-1] == pytest.approx(expected, rel=1e-4)


def test_gaps_of_centuries_are_no_beacon():
    rows = [(1e9 * k, "a", "b", 1, 0.0, 1.0, 1.0) for k in range(9)]
    assert HostContext().add(table(rows))["host_gap_regularity_100"].to_list()[3:] == [None] * 6
