"""Small pictures: their scales, checked by hand."""

import re

import pytest

from inoculate.finding import ScoreHistogram
from inoculate.render._charts import (
    _nice_top,
    _round_ticks,
    _step,
    bar,
    colour,
    distribution,
    timeline,
)
from tests.render.samples import START, finding


@pytest.mark.parametrize(
    ("n", "top"),
    [(1, 1), (3, 4), (5, 6), (11, 12), (13, 16), (99, 100), (1120, 1200), (7300, 8000)],
)
def test_axes_end_at_round_numbers(n, top):
    assert _nice_top(n) == top


@pytest.mark.parametrize("n", [1, 7, 50, 123, 4567, 10**6, 10**9])
def test_an_axis_always_holds_its_tallest_bar(n):
    assert n <= _nice_top(n) <= 2.1 * n


@pytest.mark.parametrize(
    ("least", "step"), [(0, 1), (1.5, 2), (61, 120), (50_000, 86_400), (100_000, 172_800)]
)
def test_bins_are_round_times(least, step):
    assert _step(least) == step


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-0.02, 1.02, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 1e6, [0.0, 2e5, 4e5, 6e5, 8e5, 1e6]),
        (3.0, 3.0, [3.0]),
        (0.0, float("inf"), [0.0]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert _round_ticks(low, high) == pytest.approx(ticks)


def test_stacked_bars_are_as_high_as_their_counts():
    some = [finding(i, ts=START + 5, threat=t) for i, t in enumerate("aaab")]
    picture = timeline(some, ["a", "b"])
    heights = dict(re.findall(r'class="t(\d)".*?height="([\d.]+)"', picture))
    assert float(heights["0"]) == pytest.approx(3 * float(heights["1"]), abs=0.2)
    assert "4 findings" in picture


@pytest.mark.parametrize("span", [0, 0.5, 59, 3600, 86_400, 40 * 86_400, 50 * 365 * 86_400])
def test_any_span_of_time_gives_a_bounded_picture(span):
    picture = timeline([finding(0, ts=1.0), finding(1, ts=1.0 + span)], ["slowite"])
    assert 1 <= picture.count("<rect") <= 2
    assert 1 <= picture.count('y="183"') <= 16
    assert len(picture) < 10_000


def test_no_time_no_picture():
    assert timeline([finding(ts=None), finding(ts=1e300), finding(ts=float("nan"))], []) == ""


def test_more_threats_than_colours_share_the_last():
    names = [f"t{i}" for i in range(9)]
    assert [colour(n, names) for n in names] == [0, 1, 2, 3, 4, 5, 5, 5, 5]
    assert colour("unknown", names) == 5


def test_the_threshold_stands_at_its_score():
    picture = distribution(ScoreHistogram((0.0, 1.0, 2.0), (90, 10), (9, 1)), 1.0, width=520)
    place = float(re.search(r'class="limit" d="M([\d.]+)', picture)[1])
    assert place == pytest.approx(64 + (520 - 64 - 12) / 2)


def test_a_threshold_beyond_the_scores_is_left_out():
    histogram = ScoreHistogram((0.0, 1.0), (1,), (1,))
    assert 'class="limit"' not in distribution(histogram, 7.0)
    assert 'class="limit"' not in distribution(histogram, float("inf"))


@pytest.mark.parametrize(("part", "width"), [(0.5, "100.0"), (-1, "0.0"), (7, "200.0")])
def test_a_bar_keeps_to_its_room(part, width):
    assert f'width="{width}"' in bar(part, "t0")
