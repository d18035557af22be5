"""How many inputs touched an edge, estimated from seeds and a sample of the mutants."""

import random

import numpy as np
import pytest

from inoculate.fuzzing.corpus import Seed
from inoculate.fuzzing.running.passed import Passed

ROUND = 16


def told(passed, seed, edges):
    passed.enter(seed)
    passed.note(passed.wanted(64, 0), [edges])


def test_a_seed_knows_its_cost_its_breadth_and_its_rarest_edge():
    passed = Passed("x")
    cheap, dear = Seed(b"a"), Seed(b"b", liked=3.0)
    told(passed, cheap, {1: 1, 2: 1})
    told(passed, dear, {1: 200, 2: 30, 9: 1})
    assert (cheap.steps, dear.steps, dear.rarest) == (2, 231, 9)
    assert (cheap.breadth, dear.breadth) == (2, 3)
    assert (passed.hits(1), passed.hits(9), passed.hits(77)) == (2, 1, 0)
    assert dear.liked is None and dear.path not in (0, cheap.path)


def test_seeds_told_together_are_rare_by_all_of_them():
    passed = Passed("x")
    seeds = [Seed(b"a"), Seed(b"b")]
    for seed in seeds:
        passed.enter(seed)
    passed.note(passed.wanted(64, 0), [{1: 1, 2: 1}, {1: 1}])
    assert seeds[0].rarest == 2


def test_what_cannot_be_traced_stays_as_it_is():
    passed = Passed("x")
    seed = Seed(b"a", steps=7, rarest=3)
    for edges in (None, {}):
        told(passed, seed, edges)
    assert (seed.steps, seed.rarest, seed.path) == (7, 3, 0)


@pytest.mark.parametrize("n", [1, 8, 64])
def test_a_sample_of_the_mutants_estimates_how_many_touched_an_edge(n):
    passed, rng = Passed("x"), random.Random(n)
    shares = {1: 1.0, 2: 0.5, 3: 0.1}
    truth = dict.fromkeys(shares, 0)
    for at in range(64_000 // ROUND):
        mutants = []
        for _ in range(ROUND):
            touched = [edge for edge, share in shares.items() if rng.random() < share]
            mutants.append(bytes(touched))
            for edge in touched:
                truth[edge] += 1
        passed.ran(mutants)
        if at % 100 == 99:
            wanted = passed.wanted(0, n)
            assert len(wanted) == n
            passed.note(wanted, [dict.fromkeys(one.data, 1) for one in wanted])
    assert passed.hits(1) == truth[1] == 64_000
    # of 40 n samples, 4 standard errors
    for edge, share in shares.items():
        assert abs(passed.hits(edge) / 64_000 - share) <= 4 * np.sqrt(share * (1 - share) / 40 / n)


def test_a_sample_that_is_not_taken_grows_over_all_that_was_run():
    passed = Passed("x")
    for at in range(1000):
        passed.ran([b"%d" % at] * ROUND)
        assert passed.wanted(0, 0) == []
    wanted = passed.wanted(0, 10)
    assert [one.stands for one in wanted] == [1600.0] * 10
    assert min(int(one.data) for one in wanted) < 500 < max(int(one.data) for one in wanted)
    assert passed.wanted(0, 10) == []
    passed.ran([])
    assert passed.wanted(0, 10) == []


def test_the_seed_that_waits_longest_is_the_first():
    passed = Passed("x")
    for name in (b"a", b"b", b"c"):
        passed.enter(Seed(name))
    assert [one.data for one in passed.wanted(2, 0)] == [b"a", b"b"]
    assert [one.data for one in passed.wanted(2, 0)] == [b"c"]


def test_edges_and_seeds_that_wait_are_bounded():
    passed = Passed("x")
    for start in range(0, 100_000, 10_000):
        told(passed, Seed(b"a"), dict.fromkeys(range(start, start + 10_000), 1))
    assert len(passed.memory()["edges"]) == 1 << 16
    told(passed, Seed(b"a"), {5: 1, 200_000: 1})
    assert (passed.hits(5), passed.hits(200_000)) == (2, 0)
    for _ in range(10_000):
        passed.enter(Seed(b"a"))
    assert len(passed.wanted(10_000, 0)) == 4096


def test_what_is_known_is_remembered():
    passed, again = Passed("x"), Passed("x")
    told(passed, Seed(b"a"), {4: 1, 70_000_000_000: 2})
    again.remember(passed.memory())
    assert (again.hits(4), again.hits(70_000_000_000)) == (1, 1)


@pytest.mark.parametrize("hits", [[1.0], [[1.0, 2.0]], [1.0, -1.0], [1.0, float("nan")]])
def test_what_is_not_of_that_form_is_not_taken(hits):
    with pytest.raises(ValueError, match="do not fit together"):
        Passed("x").remember({"edges": np.array([1, 2]), "hits": np.array(hits)})
