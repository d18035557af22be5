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
    policy.taste = tuple(-99.0 * (name == "first") for name in SEED_SEEN)
    rounds = Rounds(policy, seed=1)
    rounds.make("given", b"B" * 64)
    rounds.settle(ROUND, [Kept(0, "made", NEW_EDGES)])
    starts = set()
    for _ in range(40):
        rounds.make("given", b"B" * 64)
        starts.add(rounds._parent)
        rounds.settle(ROUND, [])
    assert starts == {rounds._named["made"]}


def test_a_seed_that_was_shortened_keeps_what_is_known_of_it():
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [Kept(0, "id:1", NEW_EDGES)])
    rounds.make("id:0", b"he")
    seed = rounds._named["id:0"]
    assert (seed.data, seed.chosen, seed.finds) == (b"he", 2, 1)
    assert all(at < 2 for at in seed.hot)


def traced(rounds, edges_of):
    wanted = rounds.passed.wanted(64, 64)
    rounds.passed.note(wanted, [edges_of(one.data) for one in wanted])
    return [one.data for one in wanted if one.seed is not None]


def test_seeds_are_traced_once_and_until_then_like_what_they_were_made_of():
    rounds = Rounds(fixed(), seed=1)
    made = rounds.make("id:0", b"hello")
    assert traced(rounds, lambda data: {3: 6, 4: 1}) == [b"hello"]
    rounds.settle(ROUND, [Kept(3, "id:7", NEW_EDGES)])
    parent, child = rounds.corpus.seeds
    assert (parent.steps, parent.rarest, rounds.corpus.rarity(parent)) == (7, 3, 1)
    assert (child.steps, child.rarest) == (7, 3)
    assert traced(rounds, lambda data: {3: 1, 4: 1, 5: 1}) == [made[3]]
    # the child, and a mutant that stands for sixteen
    assert (child.steps, parent.steps, rounds.corpus.rarity(parent)) == (3, 7, 18)
    rounds.make("id:0", b"hello")
    assert traced(rounds, lambda data: None) == []


def test_a_seed_that_was_shortened_is_traced_again():
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    traced(rounds, lambda data: {3: 6})
    rounds.make("id:0", b"he")
    assert rounds._named["id:0"].steps == 6
    assert traced(rounds, lambda data: {3: 2}) == [b"he"]
    assert rounds._named["id:0"].steps == 2


def test_a_policy_with_a_taste_for_breadth_or_rarity_gets_such_seeds():
    for liked, most in (("breadth", b"B"), ("rarity", b"C")):
        policy = fixed("any")
        weight = 99.0 if liked == "breadth" else -99.0
        policy.taste = tuple(weight * (name == liked) for name in SEED_SEEN)
        rounds = Rounds(policy, seed=1)
        for byte in (b"A", b"B", b"C", b"D"):
            rounds.offer(byte.decode(), byte * 9)
        passed = {b"A": {1: 1}, b"B": {1: 1, 3: 1, 4: 1}, b"C": {1: 1, 2: 1}, b"D": {3: 9, 4: 9}}
        traced(rounds, lambda data, passed=passed: passed[data[:1]])
        starts = []
        for _ in range(20):
            rounds.make("A", b"A" * 9)
            starts.append(rounds._parent.data[:1])
            rounds.settle(ROUND, [])
        assert set(starts[1:]) == {most}


def test_what_was_learned_is_there_again_and_the_bytes_come_from_the_fuzzer():
    first = Rounds(Uniform().adapt(SPACE, seed=4), seed=4)
    for _ in range(5):
        first.make("id:0", b"hello world")
        first.settle(ROUND, [Kept(1, "id:1", NEW_EDGES)])
    traced(first, lambda data: {3: 6, 9: 1} if data == b"hello world" else {3: 1})
    memory, attributes = first.memory(), first.attributes()
    again = Rounds(Uniform().adapt(SPACE, seed=4), seed=4)
    again.remember(memory, attributes)
    again.fill({"id:0": b"hello world"}.get)
    assert again.history.executions == 5 * ROUND
    (seed,) = again.corpus.seeds
    assert (seed.data, seed.steps, seed.rarest) == (b"hello world", 7, 9)
    assert again.corpus.rarity(seed) == first.corpus.rarity(seed) > 0
    assert again.passed.wanted(64, 64) == []
    for name in memory:
        np.testing.assert_array_equal(memory[name], again.memory()[name])
    assert again.policy.act(np.zeros(SPACE.n_observed)) == first.policy.act(
        np.zeros(SPACE.n_observed)
    )


@pytest.mark.parametrize(
    "broken", ["history/tries", "history/rest", "passed/hits", "attributes", "steps"]
)
def test_a_damaged_memory_is_told(broken):
    rounds = Rounds(fixed(), seed=1)
    rounds.make("id:0", b"hello")
    rounds.settle(ROUND, [])
    memory, attributes = rounds.memory(), rounds.attributes()
    if broken == "attributes":
        attributes["id:0"] = ["x"]
    elif broken == "steps":
        attributes["id:0"] = [0] * 8 + [[]]
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
