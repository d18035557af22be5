"""Drift: the test's own false alarms and power, by simulation; memory; what the user is told."""

import numpy as np
import pytest

from inoculate.domain import Column, View
from inoculate.task import Encoded
from inoculate.workflows import drift as module
from inoculate.workflows.drift import KEPT, LARGE, Drift, holm, ks_p_value, ks_statistic


def views(d, **more):
    return [View("v", tuple(Column(f"c{j}", "1", f"column {j}", **more) for j in range(d)))]


def draw(rng, n, d, *, shift=0.0, whole=False):
    """Return dependent columns with unknown values; ``shift`` is of the first."""
    x = rng.normal(size=(n, 1)) + rng.normal(size=(n, d))
    x[:, 0] += shift
    x = np.round(x) if whole else x
    x[rng.random((n, d)) < 0.1] = np.nan
    return Encoded({"v": x.astype(np.float32)})


def compared(seed, *, d=20, n=(600, 1000), shift=0.0, score=0.0, whole=False):
    rng = np.random.default_rng(seed)
    background = draw(rng, n[0], d, whole=whole)
    found = Drift(background, rng.normal(size=n[0]), views(d), threshold=2.3, rate=0.01)
    found.add(draw(rng, n[1], d, shift=shift, whole=whole), rng.normal(size=n[1]) + score)
    return found


def test_the_statistic_is_the_largest_gap_between_two_distributions():
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 5.0])
    assert ks_statistic(a, b) == pytest.approx(0.75)
    assert ks_statistic(a, a) == 0
    assert ks_statistic(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) == 0.5


def test_the_p_value_is_that_of_the_published_table():
    # Smirnov's limit: 1.358 at 5 %, 1.628 at 1 % for the root of n m / (n + m) times D
    for scaled, p in ((1.358, 0.05), (1.628, 0.01)):
        n = 200_000
        assert ks_p_value(scaled / np.sqrt(n / 2), n, n) == pytest.approx(p, rel=0.01)
    assert ks_p_value(0.0, 5, 5) == 1
    assert ks_p_value(1.0, 1000, 1000) < 1e-12


@pytest.mark.parametrize("whole", [False, True])
def test_the_p_value_is_no_smaller_than_it_may_be(whole):
    rng = np.random.default_rng(0)
    values = []
    for _ in range(2_000):
        a, b = rng.normal(size=300), rng.normal(size=150)
        if whole:
            a, b = np.round(a), np.round(b)
        values.append(ks_p_value(ks_statistic(a, b), 300, 150))
    share = np.mean(np.array(values) <= 0.05)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2_000)
    assert whole or share > 0.03


def test_holm_is_the_textbook_s_step_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("whole", [False, True])
def test_no_drift_is_called_where_there_is_none(monkeypatch, whole):
    """Without the demand that it be large: 21 tests together at 5 %, 200 times."""
    monkeypatch.setattr(module, "LARGE", 0.0)
    called = np.mean([bool(compared(i, whole=whole).shifts(0.05)) for i in range(200)])
    assert called <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_a_shifted_column_is_found_and_named():
    found = [compared(i, shift=1.0).shifts() for i in range(20)]
    assert all([s.about for s in shifts] == ["column 0"] for shifts in found)
    assert all(shifts[0].distance >= LARGE for shifts in found)


def test_a_shifted_score_is_found():
    found = [compared(i, score=-0.8).shifts() for i in range(20)]
    assert np.mean([[s.about for s in shifts] == ["the alarm score"] for shifts in found]) >= 0.95


def test_without_scores_to_compare_the_columns_are():
    rng = np.random.default_rng(0)
    found = Drift(draw(rng, 600, 3), None, views(3), threshold=2.3, rate=0.01)
    found.add(draw(rng, 1_000, 3, shift=1.0), rng.normal(size=1_000) - 5)
    assert [s.about for s in found.shifts()] == ["column 0"]


def test_a_small_shift_is_not_called_however_many_records_show_it():
    rng = np.random.default_rng(0)
    background, today = rng.normal(size=2_000), rng.normal(size=1_000_000) + 0.15
    apart = ks_statistic(background, today)
    assert ks_p_value(apart, len(background), len(today)) < 1e-5
    drift = compared(1, n=(2_000, 60_000), shift=0.15)
    assert drift.shifts() == []


def test_what_becomes_unknown_is_a_shift_but_an_unknown_column_is_not():
    rng = np.random.default_rng(0)
    background = draw(rng, 600, 3)
    today = draw(rng, 1_000, 3)["v"].copy()
    today[:400, 0] = np.nan
    today[:, 1] = np.nan
    found = Drift(background, rng.normal(size=600), views(3), threshold=2.3, rate=0.01)
    found.add(Encoded({"v": today}), rng.normal(size=1_000))
    assert [s.about for s in found.shifts()] == ["column 0"]


def test_alarms_are_no_drift():
    rng = np.random.default_rng(0)
    x = draw(rng, 1_000, 3)["v"].copy()
    attack = np.full((5_000, 3), 50, np.float32)
    found = Drift(draw(rng, 600, 3), rng.normal(size=600), views(3), threshold=2.3, rate=0.01)
    found.add(Encoded({"v": np.vstack([x, attack])}), np.r_[rng.normal(size=1_000), [9.0] * 5_000])
    assert found.shifts() == []
    assert 900 < found.n_seen <= 1_000


def test_columns_of_context_are_left_to_the_score():
    rng = np.random.default_rng(0)
    found = Drift(
        draw(rng, 600, 3), rng.normal(size=600), views(3, context=True), threshold=2.3, rate=0.01
    )
    found.add(draw(rng, 1_000, 3, shift=5.0), rng.normal(size=1_000))
    assert found.shifts() == []


def test_few_records_say_nothing():
    assert compared(0, n=(600, 150), shift=9.0).shifts() == []
    assert compared(0, n=(150, 600), shift=9.0).shifts() == []


def test_the_sample_is_uniform_over_batches_of_all_sizes_and_bounded():
    rng = np.random.default_rng(0)
    found = Drift(draw(rng, 300, 1), rng.normal(size=300), views(1), threshold=2.3, rate=0.01)
    at = 0
    for n in (1, 10, 5_000, 300, 20_000, 4_689):
        found.add(Encoded({"v": np.arange(at, at + n, dtype=np.float32)[:, None]}), np.zeros(n))
        at += n
    kept = found._rows.ravel()
    assert found.n_seen == at == 30_000
    assert len(kept) == len(np.unique(kept)) == len(found._alarm) == KEPT
    assert ks_p_value(ks_statistic(kept, np.arange(at)), KEPT, at) > 0.01


def test_the_user_is_told_once_with_the_columns_and_their_size():
    found = compared(0, shift=2.0)
    line = found.note("flow")
    assert "today's flows differ" in line
    assert "column 0 (by up to" in line
    assert "consider adapting again" in line
    assert found.note("flow") is None
    assert compared(0).note("flow") is None


def test_a_watch_compares_a_day_at_a_time_and_gives_later_days_less_of_the_level():
    rng = np.random.default_rng(0)
    found = Drift(draw(rng, 600, 2), rng.normal(size=600), views(2), threshold=2.3, rate=0.01)
    asked = []
    found.shifts = lambda level: asked.append(level) or []
    for day in range(3):
        found.add(draw(rng, 500, 2), rng.normal(size=500))
        assert found.turn(100.0 + 86_400 * day, "flow") is None
        assert (found.n_seen == 0) == (day > 0)
    assert asked == pytest.approx([module.LEVEL / 2, module.LEVEL / 6])
