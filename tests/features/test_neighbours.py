"""Distances with unknown values, against loops."""

import numpy as np
import pytest

from inoculate.features.neighbours import distances, nearest, spread_points


def by_loop(a, b, unmatched):
    both = ~np.isnan(a) & ~np.isnan(b)
    return np.abs(a - b)[both].mean() if both.any() else unmatched


@pytest.mark.parametrize(("d", "tolerance"), [(5, 0.002), (74, 0.03), (700, 1e-5)])
@pytest.mark.parametrize("unknown", [0.0, 0.2, 0.8])
def test_distances_are_means_over_columns_known_on_both_sides(unknown, d, tolerance):
    rng = np.random.default_rng(0)
    x, points = (rng.normal(size=(n, d)).clip(-6, 6).astype(np.float32) for n in (30, 7))
    x[0], points[0] = 6, -6  # the farthest there is must not overflow
    x[rng.random(x.shape) < unknown] = np.nan
    points[rng.random(points.shape) < unknown] = np.nan
    expected = np.array([[by_loop(a, b, 9.0) for b in points] for a in x])
    got = distances(x, points, unmatched=9.0)
    np.testing.assert_allclose(got, expected, atol=tolerance)
    assert np.abs(got - expected).mean() < tolerance / 4


def test_nearest_does_not_depend_on_blocks():
    rng = np.random.default_rng(1)
    x, points = (rng.normal(size=(n, 3)).astype(np.float32) for n in (4000, 90))
    whole = distances(x, points, unmatched=0).min(axis=1)
    np.testing.assert_array_equal(nearest(x, points, unmatched=0), whole)


def test_no_column_at_all_is_distance_zero():
    assert (
        distances(np.zeros((2, 0), np.float32), np.zeros((3, 0), np.float32), unmatched=1).sum()
        == 0
    )


def test_spread_points_take_the_middle_then_the_farthest():
    points = np.array([[0.1], [2], [-5], [2.5], [0.2]], np.float32)
    assert spread_points(points, 1).tolist() == [0]
    assert spread_points(points, 2).tolist() == [0, 2]
    assert spread_points(points, 3).tolist() == [0, 2, 3]
    assert spread_points(points, 9).tolist() == [0, 1, 2, 3, 4]


def test_spread_points_stop_when_all_are_covered():
    assert len(spread_points(np.ones((50, 2), np.float32), 10)) == 1
