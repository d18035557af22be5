import numpy as np
import pytest

from inoculate.features.boundary import (
    PENALTY,
    common_boundary,
    learn_boundary,
    moved_boundary,
    within,
)

_ALONG = _OFFSET = 0.1


def classes(rng, n_classes=5, width=6, own=True, shift=2.0):
    """Classes of bad and good records: column 0 tells in all, another one in each."""
    found = []
    for c in range(n_classes):
        bad, good = rng.normal(size=(30, width)), rng.normal(size=(40, width))
        bad[:, 0] += shift
        bad[:, 1 + c % (width - 1)] += 2 * own
        found.append((bad + 10 * c, good + 10 * c))
    return found


def test_the_common_boundary_has_no_slope():
    sides = classes(np.random.default_rng(0), 2, 3)
    w, found = common_boundary(sides, 0.5)

    def loss(p):
        total = 0.5 * 0.5 * p[:3] @ p[:3]
        for bad, good in sides:
            t, s = bad @ p[:3] + p[3], good @ p[:3] + p[3]
            total += (np.logaddexp(0, -t).mean() + np.logaddexp(0, s).mean()) / 2 / len(sides)
        return total

    def slope(p):
        return np.array([(loss(p + e) - loss(p - e)) / 2e-5 for e in np.eye(4) * 1e-5])

    assert np.abs(slope(np.append(w, found))).max() < 1e-4
    assert np.abs(w).max() > 0.1


def test_one_boundary_serves_classes_that_lie_apart():
    rng = np.random.default_rng(1)
    sides = []
    for c in range(4):
        bad, good = rng.normal(size=(30, 6)), rng.normal(size=(40, 6))
        bad[:, 0] += 6
        sides.append(
            (bad + c * np.array([3, 5, 0, 0, 0, 0]), good + c * np.array([3, 5, 0, 0, 0, 0]))
        )
    w, b = common_boundary(sides, 0.001)
    assert all(
        (bad @ w + b > 0).mean() > 0.9 and (good @ w + b < 0).mean() > 0.9 for bad, good in sides
    )


def test_where_a_class_lies_does_not_change_how_it_varies():
    sides = classes(np.random.default_rng(1))
    shifted = [(b + 3.0 * i, g + 3.0 * i) for i, (b, g) in enumerate(sides)]
    np.testing.assert_allclose(within(sides), within(shifted), atol=1e-8)


def test_the_moved_boundary_is_the_minimum_of_its_problem():
    rng = np.random.default_rng(2)
    bad, good, weights = rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.normal(size=4)
    half = rng.normal(size=(4, 4))
    curve, strength = half @ half.T, 2.0
    w, b = moved_boundary((weights, 0.7), bad, good, curve, strength)
    stiff = strength * (curve + PENALTY * np.eye(4))

    def loss(p):
        v, a, more = p[:4], p[4], p[5]
        values = [(1 + a) * (rows @ weights + 0.7) + rows @ v + more for rows in (bad, good)]
        held = v @ stiff @ v + _ALONG * a * a + _OFFSET * more * more
        return np.logaddexp(0, -values[0]).sum() + np.logaddexp(0, values[1]).sum() + held / 2

    def slope(p):
        return np.array([(loss(p + e) - loss(p - e)) / 2e-6 for e in np.eye(6) * 1e-6])

    # what the records pull at, at the minimum, is what v, a and b are held back by
    signed, signs = np.concatenate([bad, -good]), np.repeat([1.0, -1.0], [3, 2])
    pull = 1 / (1 + np.exp(signed @ w + signs * b))
    v = np.linalg.solve(stiff, signed.T @ pull)
    a = pull @ (signed @ weights + signs * 0.7) / _ALONG
    assert np.abs(slope(np.concatenate([v, [a, signs @ pull / _OFFSET]]))).max() < 1e-5
    np.testing.assert_allclose((1 + a) * weights + v, w, atol=1e-8)


def test_without_records_the_boundary_stays():
    weights = np.array([1.0, -2.0])
    w, b = moved_boundary((weights, 0.0), np.zeros((0, 2)), np.zeros((0, 2)), np.eye(2), 1.0)
    assert w.tolist() == [1.0, -2.0] and b == 0


def test_a_column_that_no_class_varied_in_is_moved_most():
    curve = np.diag([5.0, 0.0])
    bad = np.array([[1.0, 1.0]])
    w, _ = moved_boundary((np.zeros(2), 0.0), bad, -bad, curve, 10.0)
    assert w[1] > 10 * w[0] > 0


def test_what_all_classes_have_in_common_is_less_believed_where_it_fails():
    weights, right = np.array([2.0, 0.0]), np.array([[1.0, 0.0]] * 5)
    believed, _ = moved_boundary((weights, 0.0), right, -right, np.eye(2), 10.0)
    refused, _ = moved_boundary((weights, 0.0), -right, right, np.eye(2), 10.0)
    assert believed[0] > 2.0 > 0.5 > refused[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_new_class_is_told_better_with_what_others_taught_than_without(seed):
    rng = np.random.default_rng(seed)
    *seen, (bad, good) = classes(rng, 6, 40, own=False, shift=3.0)
    told = learn_boundary(seen)
    bad, good = bad / told["scale"], good / told["scale"]
    rows = [s - (bad.mean(axis=0) + good.mean(axis=0)) / 2 for s in (bad, good)]
    few = [r[:5] for r in rows]
    w, b = moved_boundary((told["direction"], 0.0), *few, told["fixes"], 10.0)
    alone, c = moved_boundary((0 * w, 0.0), *few, np.zeros((40, 40)), 10.0)
    right = [
        ((rows[0] @ v + o > 0).mean() + (rows[1] @ v + o < 0).mean()) / 2
        for v, o in ((w, b), (alone, c))
    ]
    assert right[0] > 0.8 and right[0] > right[1]
