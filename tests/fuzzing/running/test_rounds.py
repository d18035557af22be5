"""A policy inside another fuzzer: what it learns from, and what it remembers."""

import numpy as np
import pytest

from inoculate.agent import Action, Policy
from inoculate.agents.uniform import Uniform
from inoculate.errors import ArtifactError
from inoculate.fuzzing.corpus import SEED_RULES, SEED_SEEN
from inoculate.fuzzing.history import BUG_WORTH, ROUND, SPACE
from inoculate.fuzzing.running.afl_module import NEW_COUNTS, NEW_CRASH, NEW_EDGES
from inoculate.fuzzing.running.rounds import Kept, Rounds

BITS = 1


class Fixed(Policy):
    """Always the same action; keeps what it was rewarded with."""

    def __init__(self, action):
        self.action, self.rewards = action, []

    def act(self, observation):
        assert observation.shape == (SPACE.n_observed,) and np.isfinite(observation).all()
        return self.action

    def learn(self, action, reward):
        assert action == self.action
        self.rewards.append(reward)

    def memory(self):
        return {"rewards": np.array(self.rewards)}

    def remember(self, memory):
        self.rewards = memory["rewards"].tolist()


def fixed(rule="rarest", intensity=0):
    return Fixed(Action(BITS, intensity, 0, SEED_RULES.index(rule)))


def test_a_round_is_mutants_of_the_seed_and_none_is_empty():
    rounds = Rounds(fixed(), seed=1)
    made = rounds.make("id:0", b"hello")
    assert len(made) == ROUND
    assert all(len(m) == 5 and m != b"hello" for m in made)
    assert all(rounds.make("id:1", b""))


def test_kept_mutants_are_worth_more_with_new_edges_and_most_with_a_crash():
    policy = fixed()
    rounds = Rounds(policy, seed=1)
    for kept in ([], [NEW_COUNTS], [NEW_EDGES], [NEW_CRASH], [NEW_EDGES, NEW_CRASH]):
        rounds.make("id:0", b"hello")
        rounds.settle(ROUND, [Kept(0, f"id:{what + 1}", what) for what in kept])
    none, counts, edges, crash, both = policy.rewards
    assert none == 0 < counts < edges < crash == BUG_WORTH
    assert both == edges + crash
    assert rounds.history.executions == 5 * ROUND


def test_a_kept_mutant_is_a_seed_that_knows_where_it_was_changed():
    rounds = Rounds(fixed(), seed=1)
    made = rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [Kept(3, "id:7", NEW_EDGES)])
    parent, child = rounds.corpus.seeds
    at = next(i for i in range(5) if made[3][i] != b"hello"[i])
    assert (child.data, child.depth, child.near, parent.hot) == (made[3], 1, at, [at])
    assert (parent.chosen, parent.finds) == (1, 1)


def test_a_crash_is_no_seed():
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [Kept(0, "crash", NEW_CRASH)])
    assert len(rounds.corpus.seeds) == 1


def test_the_next_seed_is_the_fuzzers_for_one_rule_and_ours_for_the_others():
    for rule, ours in (("rarest", False), ("newest", True)):
        rounds = Rounds(fixed(rule), seed=1)
        rounds.offer("a", b"A" * 8)
        rounds.make("a", b"A" * 8)
        rounds.settle(ROUND, [])
        starts = set()
        for _ in range(40):
            made = rounds.make("b", b"B" * 8)
            starts.add(max(b"AB", key=made[0].count))
            rounds.settle(ROUND, [])
        assert starts == ({ord("A"), ord("B")} if ours else {ord("B")})


def test_a_policy_with_a_taste_gets_the_seeds_it_likes():
    policy = fixed("any")
    policy.taste = tuple(-9.0 * (name == "size") for name in SEED_SEEN)
    rounds = Rounds(policy, seed=1)
    rounds.offer("short", b"A" * 4)
    rounds.make("long", b"B" * 64)
    starts = []
    for _ in range(40):
        rounds.settle(ROUND, [])
        starts.append(len(rounds.make("long", b"B" * 64)[0]))
    assert set(starts) == {4}


def test_a_seed_that_was_shortened_keeps_what_is_known_of_it():
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [Kept(0, "id:1", NEW_EDGES)])
    rounds.make("id:0", b"he")
    seed = rounds._named["id:0"]
    assert (seed.data, seed.chosen, seed.finds) == (b"he", 2, 1)
    assert all(at < 2 for at in seed.hot)


def test_what_was_learned_is_there_again_and_the_bytes_come_from_the_fuzzer():
    first = Rounds(Uniform().adapt(SPACE, seed=4), seed=4)
    for _ in range(5):
        first.make("id:0", b"hello world")
        first.settle(ROUND, [Kept(1, "id:1", NEW_EDGES)])
    memory, attributes = first.memory(), first.attributes()
    again = Rounds(Uniform().adapt(SPACE, seed=4), seed=4)
    again.remember(memory, attributes)
    again.fill({"id:0": b"hello world"}.get)
    assert again.history.executions == 5 * ROUND
    assert [s.data for s in again.corpus.seeds] == [b"hello world"]
    for name in memory:
        np.testing.assert_array_equal(memory[name], again.memory()[name])
    assert again.policy.act(np.zeros(SPACE.n_observed)) == first.policy.act(
        np.zeros(SPACE.n_observed)
    )


@pytest.mark.parametrize("broken", ["history/tries", "history/rest", "attributes"])
def test_a_damaged_memory_is_told(broken):
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [])
    memory, attributes = rounds.memory(), rounds.attributes()
    if broken == "attributes":
        attributes["id:0"] = ["x"]
    else:
        del memory[broken]
    with pytest.raises(ArtifactError):
        Rounds(fixed(), seed=1).remember(memory, attributes)


def test_many_seeds_are_bounded():
    rounds = Rounds(fixed(), seed=1, max_size=1 << 20)
    for i in range(3000):
        rounds.offer(f"id:{i}", b"%d" % i)
    assert len(rounds.corpus.seeds) == len(rounds._named) <= 2048
    for i in range(80):
        rounds.offer(f"big:{i}", bytes(1 << 20))
    assert sum(len(s.data) for s in rounds.corpus.seeds) <= 64 << 20
