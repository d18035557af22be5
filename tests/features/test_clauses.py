from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inoculate.features.clauses import Bounds, Learned, Literal, learn_clauses, satisfied


def table(*rows):
    return np.array([[int(c) for c in row] for row in rows], bool)


def ones(m):
    return np.ones((m, 2))


def test_a_fact_that_all_examples_share_and_nothing_else_has_is_the_rule():
    rule = learn_clauses(
        table("110", "101"), table("010"), table("011", "001"), ones(3), Bounds(alarms=0)
    )
    assert rule is not None and rule.clauses == ((Literal(0),),)
    assert rule.complete and rule.alarms == 0


def test_an_absence_tells_an_example_from_its_fixed_twin():
    rule = learn_clauses(table("10", "10"), table("11"), table("00"), ones(2), Bounds(alarms=0))
    assert rule is not None
    assert rule.clauses == ((Literal(0), Literal(1, holds=False)),)


def test_the_cheaper_of_two_equal_explanations_is_taken():
    examples, background = table("110"), table("001")
    cost = np.array([[3.0, 9], [1.0, 9], [9.0, 4.0]])
    rule = learn_clauses(examples, background, background, cost, Bounds(alarms=0))
    assert rule is not None and rule.clauses == ((Literal(1),),)


def test_two_kinds_of_example_need_two_clauses():
    rule = learn_clauses(
        table("10", "01"), table("00"), table("11", "00"), ones(2), Bounds(alarms=0)
    )
    assert rule is not None and len(rule.clauses) == 2
    assert rule.covers(table("10", "01", "11", "00")).tolist() == [True, True, False, False]


def test_there_is_no_rule_for_an_example_that_equals_its_twin():
    facts = table("101")
    assert learn_clauses(facts, facts, table("000"), ones(3), Bounds(alarms=5)) is None


def test_contrary_records_are_never_covered_whatever_alarms_are_allowed():
    examples, contrary, background = table("100"), table("110"), table("111", "101")
    rule = learn_clauses(examples, contrary, background, ones(3), Bounds(alarms=2))
    assert rule is not None and not rule.covers(contrary).any()


def test_a_search_without_steps_left_still_has_what_the_beam_found():
    rng = np.random.default_rng(0)
    background = rng.random((50, 40)) < 0.5
    examples = rng.random((3, 40)) < 0.5
    examples[:, :4] = True
    rule = learn_clauses(examples, background[:1], background, ones(40), Bounds(alarms=5, steps=1))
    assert rule is not None and not rule.complete
    assert rule.covers(examples).all() and rule.covers(background).sum() <= 5


def test_costs_that_know_the_fact_find_it_in_fewer_steps():
    rng = np.random.default_rng(1)
    background = rng.random((200, 60)) < 0.4
    examples = rng.random((4, 60)) < 0.4
    examples[:, 50:53] = True
    background[background[:, 50:53].all(axis=1), 50] = False
    informed = ones(60) * 6
    informed[50:53, 0] = 1.0
    steps = []
    for cost in (ones(60), informed):
        rule = learn_clauses(examples, background[:0], background, cost, Bounds(alarms=0))
        assert rule is not None and not rule.covers(background).any()
        steps.append(rule.steps)
    assert steps[1] < steps[0] / 2


def test_an_infinite_cost_forbids_a_literal():
    cost = np.array([[np.inf, 1.0], [1.0, 1.0]])
    rule = learn_clauses(table("11"), table("00"), table("00"), cost, Bounds(alarms=0))
    assert rule is not None and rule.clauses == ((Literal(1),),)


@pytest.mark.parametrize("cost", [np.zeros((2, 2)), np.ones((3, 2))])
def test_costs_that_do_not_fit_are_refused(cost):
    with pytest.raises(ValueError, match="costs are"):
        learn_clauses(table("11"), table("00"), table("00"), cost, Bounds(alarms=0))


def brute_force(examples, contrary, background, cost, most_alarms):
    """The least cost of a single clause of up to three literals, by trying all."""
    literals = [Literal(f, h) for f, h in product(range(examples.shape[1]), (True, False))]
    best = np.inf
    for size in (1, 2, 3):
        for clause in combinations(literals, size):
            fits = satisfied(clause, examples).all() and not satisfied(clause, contrary).any()
            if fits and satisfied(clause, background).sum() <= most_alarms:
                best = min(best, sum(cost[x.fact, int(not x.holds)] for x in clause))
    return best


@given(st.integers(0, 2**32 - 1))
def test_the_rule_is_as_cheap_as_the_cheapest_of_all_clauses(seed):
    rng = np.random.default_rng(seed)
    examples, contrary, background = (rng.random((n, 5)) < 0.5 for n in (2, 2, 8))
    cost = rng.integers(1, 9, (5, 2)).astype(float)
    rule = learn_clauses(
        examples, contrary, background, cost, Bounds(alarms=1, literals=3, clauses=1)
    )
    least = brute_force(examples, contrary, background, cost, 1)
    assert (rule is None) == np.isinf(least)
    if isinstance(rule, Learned):
        assert rule.complete and np.isclose(rule.cost, least)
        assert rule.covers(examples).all() and rule.covers(background).sum() <= 1
