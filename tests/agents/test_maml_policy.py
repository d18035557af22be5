"""MAML: from where it starts, a few steps within a program go a long way."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.agent import Space
from inoculate.agents.maml_policy import MamlPolicy
from inoculate.agents.scratch_policy import ScratchPolicy
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.policies.linear_policy import LinearPolicy
from inoculate.fuzzing.trajectories import collect
from tests.agents.arms import N_ARMS, SPACE, family

WINDOW = 12
N_LATE = 16


@pytest.fixture(scope="module")
def trained():
    agent = MamlPolicy(window=WINDOW, n_iterations=40, n_programs=3, n_trajectories=6, rate=5e-3)
    return agent.meta_fit(blind(), seed=0)


def blind():
    """Programs of which nothing is ever seen: only steps can adapt to them."""
    return family(steps=48, shown=0)


def late_rewards(policies):
    programs = blind()
    runs = [collect(p, programs[i % N_ARMS], seed=1000 + i) for i, p in enumerate(policies)]
    return float(np.mean([run.rewards[-N_LATE:].mean() for run in runs]))


def test_steps_within_a_program_lead_to_its_best_arm(trained):
    found = late_rewards([trained.adapt(SPACE, seed=i) for i in range(42)])
    assert found > 0.65, f"{found}; 0.9 is best, 0.37 is chance"


def test_without_steps_it_knows_nothing_of_the_program(trained):
    still = replace(trained.start_, step=np.zeros_like(trained.start_.step))
    assert late_rewards([LinearPolicy(still, SPACE, seed=i) for i in range(42)]) < 0.5


def test_it_learns_a_program_faster_than_from_scratch(trained):
    scratch = ScratchPolicy(window=WINDOW)
    ours = late_rewards([trained.adapt(SPACE, seed=i) for i in range(42)])
    assert ours > late_rewards([scratch.adapt(SPACE, seed=i) for i in range(42)]) + 0.1


def test_the_size_of_the_step_that_matters_has_grown(trained):
    bias = trained.state()["step"][0]
    assert bias[0] > 5 * MamlPolicy().inner_rate


def test_another_space_is_refused(trained):
    with pytest.raises(TaskError, match="was meta-trained for"):
        trained.adapt(Space((3, 2, 1, 1), SPACE.n_observed))


def test_a_state_without_a_scale_is_refused(trained):
    state = {k: v for k, v in trained.state().items() if k != "shift"}
    with pytest.raises(ArtifactError, match="'shift'"):
        MamlPolicy().load_state(state)
