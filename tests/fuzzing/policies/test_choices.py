"""Drawing from four softmaxes, and what is taken back."""

import numpy as np
import pytest

from inoculate.errors import ArtifactError
from inoculate.fuzzing.policies.choices import Heads, Scale, fitting, stored_space

HEADS = Heads((3, 1, 2, 4))


def test_each_part_is_drawn_from_its_own_softmax():
    rng = np.random.default_rng(0)
    logits = np.array([0.0, np.log(2), np.log(3), 5.0, 40.0, 40.0, -3.0, -3.0, -3.0, -3.0])
    drawn = np.array([HEADS.draw(logits, rng) for _ in range(6000)])
    expected = HEADS.probabilities(logits[None])[0]
    np.testing.assert_allclose(expected[:3], [1 / 6, 1 / 3, 1 / 2], rtol=1e-12)
    for part, start in enumerate(HEADS.starts):
        seen = np.bincount(drawn[:, part], minlength=HEADS.sizes[part]) / len(drawn)
        np.testing.assert_allclose(seen, expected[start : start + len(seen)], atol=0.025)


def test_a_choice_without_weight_is_never_drawn_and_huge_logits_are_survived():
    rng = np.random.default_rng(1)
    logits = np.array([-1e30, 1e30, -1e30, 1e30, -1e4, 1e4, 0.0, -800.0, -800.0, -800.0])
    drawn = {HEADS.draw(logits.astype(np.float32), rng) for _ in range(300)}
    assert drawn == {(1, 0, 1, 0)}


def test_actions_become_four_ones_a_row():
    taken = HEADS.taken(np.array([[2, 0, 1, 3], [0, 0, 0, 0]]))
    np.testing.assert_array_equal(np.flatnonzero(taken[0]), [2, 3, 5, 9])
    np.testing.assert_array_equal(np.flatnonzero(taken[1]), [0, 3, 4, 6])


def test_a_scale_gives_unit_size_and_cuts_off():
    seen = np.random.default_rng(2).normal(7, 3, size=(500, 2)).astype(np.float32)
    seen[:, 1] = 4.0
    scale = Scale.of(seen)
    scaled = scale(seen)
    assert abs(scaled[:, 0].mean()) < 1e-4 and scaled[:, 0].std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(scaled[:, 1], 0)
    np.testing.assert_array_equal(scale(np.array([1e30, -1e30], np.float32)), [5, -5])


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"a": np.zeros((2, 1))},
        {"a": np.array([np.nan, 0])},
        {"a": np.array([1e300, 0])},
        {"a": np.array(["x", "y"])},
    ],
)
def test_an_array_that_does_not_fit_is_refused_by_its_name(bad):
    with pytest.raises(ArtifactError, match="a thing: 'a'"):
        fitting(bad, {"a": (2,)}, of="a thing")


def test_what_fits_is_copied():
    held = np.zeros(2, np.float32)
    fitting({"a": held, "more": held}, {"a": (2,)}, of="a thing")["a"][0] = 1
    assert held[0] == 0


def test_a_space_is_told_by_what_is_stored():
    space = stored_space({"actions": np.array([2, 3, 4, 5]), "shift": np.zeros(7)})
    assert (space.actions, space.n_observed) == ((2, 3, 4, 5), 7)
    with pytest.raises(ArtifactError, match="'shift'"):
        stored_space({"actions": np.array([2, 3, 4, 5]), "shift": np.zeros((7, 1))})
