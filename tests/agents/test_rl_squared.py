"""RL^2: it learns to learn, and what it has learned of a program is in its state."""

import numpy as np
import pytest

from inoculate.agent import Space
from inoculate.agents.rl_squared import RlSquared
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.policies.recurrent_policy import RecurrentPolicy
from inoculate.fuzzing.trajectories import collect
from tests.agents.arms import SPACE, family

N_ITERATIONS = 60


@pytest.fixture(scope="module")
def trained():
    agent = RlSquared(
        n_hidden=12, n_iterations=N_ITERATIONS, n_programs=3, n_trajectories=6, rate=2e-2
    )
    return agent.meta_fit(family(), seed=0)


def late_rewards(policies, programs):
    """Mean reward of the decisions that see nothing of what came before."""
    found = []
    for i, policy in enumerate(policies):
        program = programs[i % len(programs)]
        found.append(collect(policy, program, seed=1000 + i).rewards[program.shown + 1 :].mean())
    return float(np.mean(found))


def test_it_finds_the_best_arm_of_a_program_and_remembers_it(trained):
    found = late_rewards([trained.adapt(SPACE, seed=i) for i in range(42)], family())
    assert found > 0.7, f"{found}; 0.9 is best, 0.37 is chance"


def test_with_its_state_frozen_it_knows_nothing_of_the_program(trained):
    arrays = {k: v for k, v in trained.state().items() if k != "actions"}
    frozen = [RecurrentPolicy(arrays, SPACE, seed=i, frozen=True) for i in range(42)]
    assert late_rewards(frozen, family()) < 0.5


def test_its_state_moves_within_a_program_and_begins_at_zero(trained):
    policy = trained.adapt(SPACE, seed=0)
    assert not policy.memory()["state"].any()
    collect(policy, family()[0], seed=0)
    assert policy.memory()["state"].any()
    assert not trained.adapt(SPACE, seed=0).memory()["state"].any()


def test_the_curve_tells_each_iterations_speed_and_rises(trained):
    assert len(trained.curve) == N_ITERATIONS
    assert trained.curve[0] == pytest.approx(1.0, abs=0.3)
    assert np.mean(trained.curve[-10:]) > 1.3 * np.mean(trained.curve[:3])


def test_the_same_seed_trains_the_same_agent():
    def state(seed):
        agent = RlSquared(n_hidden=4, n_iterations=3, n_programs=2, n_trajectories=2)
        return agent.meta_fit(family(), seed=seed).state()

    one, same, other = state(1), state(1), state(2)
    for name, value in one.items():
        np.testing.assert_array_equal(value, same[name])
    assert not np.array_equal(one["w_in"], other["w_in"])


def test_another_space_and_no_programs_are_refused(trained):
    with pytest.raises(TaskError, match="was meta-trained for"):
        trained.adapt(Space((3, 2, 1, 1), SPACE.n_observed))
    with pytest.raises(TaskError, match="at least one program"):
        RlSquared().meta_fit([])


@pytest.mark.parametrize(
    "actions", [np.array([3, 1, 1]), np.array([3, 1, 1, 0]), np.array([3.0, 1, 1, 1]), None]
)
def test_a_state_without_sound_numbers_of_choices_is_refused(trained, actions):
    state = {k: v for k, v in trained.state().items() if k != "actions"}
    if actions is not None:
        state["actions"] = actions
    with pytest.raises(ArtifactError, match="'actions'"):
        RlSquared(n_hidden=12).load_state(state)


def test_a_state_of_another_size_is_refused(trained):
    with pytest.raises(ArtifactError, match="w_in"):
        RlSquared(n_hidden=8).load_state(trained.state())
