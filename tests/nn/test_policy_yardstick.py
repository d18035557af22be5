"""A yardstick: rewards told as the time in which the first policy found as much."""

import numpy as np
import pytest

from inoculate.fuzzing.trajectories import Trajectory
from inoculate.nn.policy_yardstick import Yardstick


def run(rewards):
    n = len(rewards)
    return Trajectory(
        "made",
        np.zeros((n + 1, 1), np.float32),
        np.zeros((n, 4), np.int64),
        np.array(rewards, np.float32),
        np.arange(1, n + 1),
    )


def times(stick, rewards):
    """Time after each decision, in decisions of the first policy."""
    return np.cumsum(stick.progress(np.array(rewards, np.float32)), dtype=float) ** 2 / stick.length


def test_the_first_trajectory_comes_as_far_as_it_is_long():
    rewards = np.array([5, 0, 2, 0, 0, 1], np.float32)
    stick = Yardstick([run(rewards)])
    np.testing.assert_allclose(times(stick, rewards), [1, 1, 3, 3, 3, 6], rtol=1e-5)
    assert stick.progress(rewards).mean() == pytest.approx(1)


def test_the_same_find_is_worth_the_same_early_and_late():
    stick = Yardstick([run([4, 2, 1, 0, 1, 0, 0, 1])])
    early, late = stick.progress(np.array([4, 4, 0, 0])), stick.progress(np.array([0, 0, 4, 4]))
    np.testing.assert_allclose(early[:2], late[2:])
    assert early.sum() == pytest.approx(late.sum())


def test_the_mean_of_the_first_trajectories_is_the_measure():
    stick = Yardstick([run([2, 0, 2]), run([0, 2, 0, 9])])
    np.testing.assert_allclose(times(stick, [1.0, 1.0, 1.0]), [1, 2, 3], rtol=1e-5)


def test_beyond_its_end_time_grows_as_from_its_middle_to_its_end():
    stick = Yardstick([run([8, 0, 0, 8, 0, 0, 0, 8])])
    # half way and end are 16 and 24: from there every further 8 take twice the time
    np.testing.assert_allclose(times(stick, [16.0, 8.0, 8.0, 1e9]), [4, 8, 16, 64], rtol=1e-5)


@pytest.mark.parametrize("rewards", [[0.0] * 5, [1e30] * 5, [0.0]])
def test_odd_first_trajectories_give_finite_times(rewards):
    stick = Yardstick([run(rewards)])
    for found in ([0.0] * 4, [1e30, 0.0], [0.25] * 4):
        assert np.isfinite(stick.progress(np.array(found))).all()
