import numpy as np
import pytest

from inoculate.features.ranking import (
    FURTHEST,
    PENALTIES,
    STRENGTHS,
    bounded,
    choose,
    common_direction,
    moved_direction,
    ranked_right,
)


def loss(w, direction, rows, strength):
    """The proximal inner problem, written out."""
    return np.logaddexp(0, -rows @ w).sum() + strength / 2 * ((w - direction) ** 2).sum()


def slope(f, w, step=1e-6):
    eye = np.eye(len(w)) * step
    return np.array([(f(w + e) - f(w - e)) / (2 * step) for e in eye])


def test_the_moved_direction_is_the_minimum_of_the_proximal_problem():
    rng = np.random.default_rng(0)
    rows, direction = bounded(rng.normal(size=(4, 7))), rng.normal(size=7)
    w = moved_direction(direction, rows, 2.0)
    assert np.abs(slope(lambda v: loss(v, direction, rows, 2.0), w)).max() < 1e-6
    assert np.abs(w - direction).max() > 0.1


def test_the_common_direction_has_no_slope_but_for_its_length():
    rng = np.random.default_rng(1)
    rows = bounded(rng.normal(size=(50, 4)) + np.array([1, 0, -0.5, 0]))
    w = common_direction(rows, 0.5)
    assert np.isclose(((rows @ w) ** 2).mean(), 1)
    # the minimum lies on this ray: look for it there, then the slope vanishes
    lengths = np.linspace(0.01, 3, 3000)
    losses = [np.logaddexp(0, -a * rows @ w).mean() + 0.25 * a * a * (w @ w) for a in lengths]
    at = lengths[int(np.argmin(losses))] * w
    found = slope(lambda v: np.logaddexp(0, -rows @ v).mean() + 0.25 * v @ v, at)
    assert np.abs(found).max() < 2e-3


def test_without_pairs_the_direction_stays():
    direction = np.array([1.0, -2.0])
    assert moved_direction(direction, np.zeros((0, 2)), 1.0).tolist() == [1.0, -2.0]


def test_the_harder_it_is_to_move_the_less_it_moves():
    direction, rows = np.zeros(3), np.array([[1.0, 1.0, 0.0]])
    lengths = [np.linalg.norm(moved_direction(direction, rows, s)) for s in (1.0, 10.0, 100.0)]
    assert lengths[0] > lengths[1] > lengths[2] > 0


def test_a_pair_that_the_direction_gets_wrong_moves_it_most():
    direction = np.array([1.0, 0.0])
    right, wrong = np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]])
    moves = [np.abs(moved_direction(direction, r, 5.0) - direction).max() for r in (right, wrong)]
    assert moves[1] > 2 * moves[0]


def test_a_rewritten_function_counts_no_more_than_the_bound():
    far = np.array([[1000.0, 0.0]])
    near = np.array([[FURTHEST, 0.0]])
    one, other = (moved_direction(np.zeros(2), r, 1.0) for r in (far, near))
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize(("margins", "share"), [([1, -1], 0.5), ([0, 0], 0.5), ([2, 1, -1], 2 / 3)])
def test_a_tie_is_half_right(margins, share):
    assert np.isclose(ranked_right(np.array(margins, float)), share)


def test_a_strong_common_direction_is_held_fast_and_one_of_each_weakness_is_not():
    rng = np.random.default_rng(2)
    noise = 3 * rng.normal(size=(12, 30, 40))
    common = noise + np.eye(40)[0] * 3
    own = noise.copy()
    for i, group in enumerate(own):
        group[:, i] += 12
    same = [choose(list(g), seed=0)[1] for g in (common, own)]
    assert same[1] < same[0]
    assert same[0] in STRENGTHS and choose(list(common), seed=0)[0] in PENALTIES


def test_five_pairs_of_a_new_weakness_find_what_the_common_direction_does_not_know():
    rng = np.random.default_rng(3)
    seen = np.concatenate([rng.normal(size=(40, 30)) + np.eye(30)[0] for _ in range(6)])
    new = rng.normal(size=(200, 30)) + 0.5 * np.eye(30)[0] + 3 * np.eye(30)[9]
    w = common_direction(seen, 1.0)
    moved = moved_direction(w, new[:5], 10.0)
    assert ranked_right(new[5:] @ moved) > ranked_right(new[5:] @ w) + 0.1
