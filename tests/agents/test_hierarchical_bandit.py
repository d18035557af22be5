"""Prior and taste are learned from what led to bugs; within a program evidence moves the choice."""

import numpy as np
import pytest

from inoculate.agent import Action, Environment, Space, Step
from inoculate.agents.hierarchical_bandit import HierarchicalBandit, _Log, _prior
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.corpus import SEED_SEEN

SPACE = Space((4, 2, 2, 3), n_observed=2)
SEEN = np.zeros(2, np.float32)
COST = SEED_SEEN.index("cost")


class Ladder(Environment):
    """Operator 3 in region 1 of a dear seed climbs; three rungs end at the bug.

    Operator 0 earns as much and leads nowhere. Every other seed is dear.
    """

    space, name = SPACE, "ladder-1"

    def reset(self, *, seed):
        self.rng, self.at, self.rungs = np.random.default_rng(seed), -1, []
        self.cost = 0
        return SEEN

    def seed_seen(self):
        return tuple(float(self.cost * (name == "cost")) for name in SEED_SEEN)

    def step(self, action):
        self.at += 1
        climbs = action.operator == 3 and action.region == 1 and self.cost == 1
        climbs = climbs and self.rng.random() < 0.3 and len(self.rungs) < 3
        self.cost = int(self.rng.integers(2))
        if self.taste is not None and action.seed == 0:
            self.cost = int(self.taste[COST] > 0)
        if climbs:
            self.rungs.append(self.at)
        bug = 1 if climbs and len(self.rungs) == 3 else -1
        lineage = tuple(self.rungs) if bug == 1 else ()
        reward = float(climbs or action.operator == 0)
        return Step(SEEN, reward, self.at >= 600, 1, bug, lineage)


@pytest.fixture(scope="module")
def agent():
    return HierarchicalBandit().meta_fit([Ladder() for _ in range(20)], seed=0)


def test_choices_and_seeds_that_led_to_bugs_are_preferred(agent):
    operators, _, regions, _ = np.split(agent.prior_, np.cumsum(SPACE.actions)[:-1])
    assert operators.argmax() == 3
    assert regions.argmax() == 1
    assert operators[3] > 2 * operators[0], "what only earns is not preferred"
    assert agent.taste_.argmax() == COST
    assert agent.taste_[COST] > 1.0


def test_a_trained_policy_climbs_sooner_than_one_at_random(agent):
    def first_bug(policy, taste):
        env, times = Ladder(), []
        env.taste = taste
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
    at_random = first_bug(lambda _: Action(*(int(rng.integers(n)) for n in SPACE.actions)), None)
    blind = first_bug(trained.act, None)
    assert first_bug(trained.act, trained.taste) < 0.8 * blind < 0.8 * at_random


def test_within_a_program_evidence_moves_the_choice(agent):
    lighter = HierarchicalBandit(strength=1.0).load_state(agent.state())
    policy, taken = lighter.adapt(SPACE, seed=2), []
    for _ in range(3_000):
        action = policy.act(SEEN)
        taken.append(action.operator)
        policy.learn(action, 9.0 if action.operator == 1 else 0.0)
    assert taken[:5].count(3) >= 2
    assert taken[-500:].count(1) > 300


def test_most_seeds_are_to_the_taste_and_some_by_a_rule(agent):
    def rules(agent):
        policy = agent.adapt(SPACE, seed=0)
        return np.bincount([policy.act(SEEN).seed for _ in range(1000)], minlength=3) / 1000

    assert 0.9 < rules(agent)[0] < 0.97
    blind = HierarchicalBandit()
    blind.prior_, blind.taste_ = agent.prior_, np.zeros(len(SEED_SEEN))
    assert blind.adapt(SPACE, seed=0).taste is None
    assert rules(blind)[0] < 0.6


def test_the_prior_is_the_closed_form_of_its_docstring():
    one, two = _Log(SPACE), _Log(SPACE)
    one.led[:4], one.tried[:4] = [60, 20, 20, 20], [100, 100, 100, 100]
    two.led[:4], two.tried[:4] = [0, 0, 2, 2], [10, 10, 10, 70]
    found = _prior([one, two, _Log(SPACE)], SPACE, 5.0)
    led = 0.25 * np.array([60, 20, 20, 20]) + [0, 0, 2, 2]
    expected = 30 * np.full(4, 0.25) + 4 * np.array([0.1, 0.1, 0.1, 0.7])
    np.testing.assert_allclose(found[:4], (led + 5) / (expected + 5))
    np.testing.assert_allclose(found[4:], 1.0, err_msg="where nothing was found all are alike")


def test_families_weigh_alike():
    class Elsewhere(Ladder):
        """Operator 2 is the one; found as often, of another family."""

        name = "elsewhere"

        def step(self, action):
            swapped = (0, 1, 3, 2)[action.operator]
            return super().step(action._replace(operator=swapped))

    programs = [*[Elsewhere()] * 10, *[Ladder()] * 60]
    prior = HierarchicalBandit(sweeps=1).meta_fit(programs, seed=0).prior_
    assert 0.7 < prior[2] / prior[3] < 1.3


@pytest.mark.parametrize(
    "broken",
    [
        {"prior": np.ones(11)},
        {"prior": np.ones((1, 11)), "taste": np.ones(9)},
        {"prior": np.zeros(11), "taste": np.ones(9)},
        {"prior": np.full(11, np.inf), "taste": np.ones(9)},
        {"prior": np.ones(11), "taste": np.full(9, np.nan)},
        {"prior": np.ones(11), "taste": np.ones(8)},
    ],
)
def test_a_damaged_state_is_refused(broken):
    with pytest.raises(ArtifactError):
        HierarchicalBandit().load_state(broken)


def test_a_state_of_other_actions_is_refused_when_used(agent):
    with pytest.raises(TaskError, match="meta_fit"):
        agent.adapt(Space((5, 2, 2, 3), n_observed=2))


def test_a_memory_with_a_rule_out_of_range_is_refused(agent):
    policy = agent.adapt(SPACE, seed=0)
    memory = {k: np.array(v) for k, v in policy.memory().items()}
    memory["rule"][0] = 99
    with pytest.raises(ArtifactError, match="rule"):
        policy.remember(memory)
