"""A taste is learned from what led to bugs; within a program evidence moves the choice."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.agent import Action, Environment, Space, Step
from inoculate.agents.hierarchical_bandit import HierarchicalBandit
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.corpus import SEED_SEEN
from inoculate.fuzzing.history import OBSERVED

SPACE = Space((4, 2, 2, 3), n_observed=len(OBSERVED))
BREADTH = SEED_SEEN.index("breadth")
MOST = 30


def among(n_seeds):
    seen = np.zeros(len(OBSERVED), np.float32)
    seen[OBSERVED.index("seeds")] = np.log2(n_seeds + 1) / 10
    return seen


SEEN = among(MOST)


class Ladder(Environment):
    """Operator 3 in region 1 of a broad seed climbs; three rungs end at the bug.

    Operator 0 earns as much and leads nowhere. Every other seed is broad.
    """

    space, name = SPACE, "ladder-1"

    def reset(self, *, seed):
        self.rng, self.at, self.rungs = np.random.default_rng(seed), -1, []
        self.breadth = 0
        return SEEN

    def seed_seen(self):
        return tuple(float(self.breadth * (name == "breadth")) for name in SEED_SEEN)

    def step(self, action):
        self.at += 1
        climbs = action.operator == 3 and action.region == 1 and self.breadth == 1
        climbs = climbs and self.rng.random() < 0.3 and len(self.rungs) < 3
        self.breadth = int(self.rng.integers(2))
        if self.taste is not None and action.seed == 0:
            self.breadth = int(self.taste[BREADTH] > 0)
        if climbs:
            self.rungs.append(self.at)
        bug = 1 if climbs and len(self.rungs) == 3 else -1
        lineage = tuple(self.rungs) if bug == 1 else ()
        reward = float(climbs or action.operator == 0)
        return Step(SEEN, reward, self.at >= 600, 1, bug, lineage)


@pytest.fixture(scope="module")
def agent():
    return HierarchicalBandit().meta_fit([Ladder() for _ in range(20)], seed=0)


def test_seeds_that_led_to_bugs_are_preferred(agent):
    assert agent.taste_.argmax() == BREADTH
    assert agent.taste_[BREADTH] > 1.0


def test_before_anything_is_known_all_mutations_are_alike(agent):
    policy = agent.adapt(SPACE, seed=0)
    taken = np.bincount([policy.act(SEEN).operator for _ in range(4_000)], minlength=4) / 4_000
    np.testing.assert_allclose(taken, 0.25, atol=0.03)


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
    assert len(set(taken[:5])) > 1
    assert taken[-500:].count(1) > 300


def rules(agent, seen=SEEN):
    policy = agent.adapt(SPACE, seed=0)
    return np.bincount([policy.act(seen).seed for _ in range(1000)], minlength=3) / 1000


def test_most_seeds_are_to_the_taste_and_some_by_a_rule(agent):
    assert 0.9 < rules(agent)[0] < 0.97
    blind = HierarchicalBandit()
    blind.taste_ = np.zeros(len(SEED_SEEN))
    assert blind.adapt(SPACE, seed=0).taste is None
    assert rules(blind)[0] < 0.6


def test_in_a_corpus_larger_than_those_of_training_the_taste_is_followed_less(agent):
    assert agent.seeds_ == pytest.approx(MOST, rel=1e-5)
    others = HierarchicalBandit(devotion=0.0).load_state(agent.state())
    by_rule = rules(others)[0]
    for times, share in ((0.5, 0.95), (2, 0.95 / 4), (10, 0.95 / 100)):
        wanted = share + (1 - share) * by_rule
        assert rules(agent, among(times * MOST))[0] == pytest.approx(wanted, abs=0.06)


def test_the_most_seeds_are_those_of_the_largest_family():
    class Sized(Ladder):
        def __init__(self, name, n_seeds):
            self.name, self.seen = name, among(n_seeds)

        def step(self, action):
            return replace(super().step(action), observation=self.seen)

    programs = [Sized("a-1", 10), Sized("a-2", 90), Sized("b-1", 60), Sized("c-1", 20)]
    assert HierarchicalBandit().meta_fit(programs).seeds_ == pytest.approx(60, rel=1e-5)


def test_families_weigh_alike():
    class Narrow(Ladder):
        """Climbs from narrow seeds; of another family."""

        name = "narrow"

        def seed_seen(self):
            return tuple(-value for value in super().seed_seen())

    programs = [*[Narrow()] * 10, *[Ladder()] * 60]
    assert abs(HierarchicalBandit().meta_fit(programs, seed=0).taste_[BREADTH]) < 0.5


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"taste": np.ones((1, 4)), "seeds": np.ones(1)},
        {"taste": np.full(4, np.nan), "seeds": np.ones(1)},
        {"taste": np.ones(3), "seeds": np.ones(1)},
        {"taste": np.ones(4)},
        {"taste": np.ones(4), "seeds": np.zeros(1)},
        {"taste": np.ones(4), "seeds": np.full(1, np.inf)},
    ],
)
def test_a_damaged_state_is_refused(broken):
    with pytest.raises(ArtifactError):
        HierarchicalBandit().load_state(broken)


def test_an_agent_that_was_not_trained_is_refused_when_used():
    with pytest.raises(TaskError, match="meta_fit"):
        HierarchicalBandit().adapt(SPACE)


def test_another_space_is_refused(agent):
    with pytest.raises(TaskError, match="observed"):
        agent.adapt(Space((4, 2, 2, 3), n_observed=2))


def test_a_memory_with_a_rule_out_of_range_is_refused(agent):
    policy = agent.adapt(SPACE, seed=0)
    memory = {k: np.array(v) for k, v in policy.memory().items()}
    memory["rule"][0] = 99
    with pytest.raises(ArtifactError, match="rule"):
        policy.remember(memory)
