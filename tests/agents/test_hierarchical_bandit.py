"""The prior is learned from what led to bugs; within a program evidence moves it."""

import numpy as np
import pytest

from inoculate.agent import Action, Environment, Space, Step
from inoculate.agents.hierarchical_bandit import HierarchicalBandit, _prior
from inoculate.errors import ArtifactError, TaskError

SPACE = Space((4, 2, 2, 3), n_observed=2)
SEEN = np.zeros(2, np.float32)


class Ladder(Environment):
    """Operator 3 in region 1 of a seed chosen by rule 2 climbs; three rungs end at the bug.

    Operator 0 earns as much and leads nowhere.
    """

    space, name = SPACE, "ladder"

    def reset(self, *, seed):
        self.rng, self.at, self.rungs, self.rule = np.random.default_rng(seed), -1, [], 0
        return SEEN

    def step(self, action):
        self.at += 1
        climbs = action.operator == 3 and action.region == 1 and self.rule == 2
        climbs = climbs and self.rng.random() < 0.3 and len(self.rungs) < 3
        self.rule = action.seed
        if climbs:
            self.rungs.append(self.at)
        bug = 1 if climbs and len(self.rungs) == 3 else -1
        lineage = tuple(self.rungs) if bug == 1 else ()
        reward = float(climbs or action.operator == 0)
        return Step(SEEN, reward, self.at >= 600, 1, bug, lineage)


@pytest.fixture(scope="module")
def agent():
    return HierarchicalBandit().meta_fit([Ladder() for _ in range(20)], seed=0)


def test_arms_and_rules_that_led_to_bugs_are_preferred(agent):
    arms = agent.prior_[0].reshape(4, 2, 2)
    assert np.unravel_index(arms.argmax(), arms.shape)[::2] == (3, 1)
    assert arms[3, :, 1].mean() > 5 * arms[0].mean(), "what only earns is not preferred"
    assert agent.seed_prior_[0].argmax() == 2


def test_a_trained_policy_climbs_sooner_than_one_at_random(agent):
    def first_bug(policy):
        env, times = Ladder(), []
        for seed in range(20):
            seen, done, time = env.reset(seed=seed), False, 600
            while not done:
                step = env.step(policy(seen))
                done = step.done
                if step.bug == 1:
                    time = env.at
            times.append(time)
        return np.mean(times)

    rng = np.random.default_rng(0)
    trained = agent.adapt(SPACE, seed=1)
    at_random = first_bug(lambda _: Action(*(int(rng.integers(n)) for n in SPACE.actions)))
    assert first_bug(trained.act) < 0.5 * at_random


def test_within_a_program_evidence_moves_the_choice(agent):
    lighter = HierarchicalBandit(strength=1.0).load_state(agent.state())
    policy, taken = lighter.adapt(SPACE, seed=2), []
    for _ in range(3_000):
        action = policy.act(SEEN)
        taken.append(action.operator)
        policy.learn(action, 9.0 if action.operator == 1 else 0.3)
    assert taken[:5].count(3) >= 3
    assert taken[-500:].count(1) > 300


def test_the_prior_is_the_closed_form_of_its_docstring():
    led, tried = np.zeros((8, 4)), np.zeros((8, 4))
    led[0], tried[0] = [6, 2, 0, 0], [10, 10, 10, 10]
    shrink, average = 2.0, 8 / 40
    one = (np.array([8, 0]) + shrink) / (average * 20 + shrink)
    two = (np.array([6, 2]) + shrink) / (average * 20 + shrink)
    product = np.outer(one, two).ravel()
    arms = (led[0] + shrink * product) / (average * tried[0] + shrink)
    rate = (8 + shrink) / (40 + shrink / average)
    wanted = (led[0] + shrink * arms) / (rate * tried[0] + shrink)
    found = _prior(led, tried, (2, 2), shrink)
    np.testing.assert_allclose(found[0], wanted)
    np.testing.assert_allclose(found[1], arms, err_msg="a context never seen is as all are")


def test_without_any_bug_all_arms_are_alike():
    prior = _prior(np.zeros((8, 4)), np.full((8, 4), 9.0), (2, 2), 3.0)
    np.testing.assert_allclose(prior, prior[0, 0])


@pytest.mark.parametrize(
    "broken",
    [
        {"prior": np.ones((8, 16))},
        {"prior": np.ones((7, 16)), "seed_prior": np.ones((8, 3))},
        {"prior": np.zeros((8, 16)), "seed_prior": np.ones((8, 3))},
        {"prior": np.full((8, 16), np.inf), "seed_prior": np.ones((8, 3))},
        {"prior": np.full((8, 16), np.nan), "seed_prior": np.ones((8, 3))},
    ],
)
def test_a_damaged_state_is_refused(broken):
    with pytest.raises(ArtifactError):
        HierarchicalBandit().load_state(broken)


def test_a_state_of_other_actions_is_refused_when_used(agent):
    with pytest.raises(TaskError, match="meta_fit"):
        agent.adapt(Space((5, 2, 2, 3), n_observed=2))


def test_a_memory_with_contexts_out_of_range_is_refused(agent):
    policy = agent.adapt(SPACE, seed=0)
    memory = {k: np.array(v) for k, v in policy.memory().items()}
    memory["now"][0] = 99
    with pytest.raises(ArtifactError, match="now"):
        policy.remember(memory)
