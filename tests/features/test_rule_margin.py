"""A clause made narrower covers its examples still, and excludes the rest twice where it can."""

import numpy as np
import pytest

from inoculate.features.clauses import Learned, Literal
from inoculate.features.rule_margin import with_margin

ONE = Learned(((Literal(0),),), 3.0, 1, 0, True)
COST = np.full((4, 2), 3.0)


def margin(examples, contrary, background, *, rule=ONE, cost=COST, literals=5):
    tables = tuple(np.array(t, bool).reshape(-1, 4) for t in (examples, contrary, background))
    return with_margin(rule, tables, cost, literals)


def test_a_contrary_record_is_excluded_by_a_second_condition():
    rule = margin([[1, 1, 1, 0]] * 2, [[0, 0, 1, 0]], [])
    assert rule.clauses == ((Literal(0), Literal(1)),)
    absent = margin([[1, 0, 1, 0]] * 2, [[0, 1, 1, 0]], [])
    assert absent.clauses == ((Literal(0), Literal(1, False)),)


def test_what_an_example_of_the_clause_lacks_is_not_asked_for():
    rule = margin([[1, 1, 1, 0], [1, 0, 1, 0]], [[0, 0, 1, 0]], [])
    assert rule.clauses == ONE.clauses
    two = Learned(((Literal(0),), (Literal(3),)), 6.0, 1, 0, True)
    rule = margin([[1, 1, 1, 0], [0, 0, 1, 1]], [[0, 0, 1, 0]] * 2, [], rule=two)
    assert rule.clauses == ((Literal(0), Literal(1)), (Literal(3),))


@pytest.mark.parametrize(("literals", "n"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_a_clause_has_no_more_conditions_than_allowed_and_none_that_exclude_nothing(literals, n):
    rule = margin([[1, 1, 1, 1]], [[0, 0, 0, 1]] * 3, [[0, 1, 1, 1]] * 40, literals=literals)
    assert len(rule.clauses[0]) <= max(n, 1)
    assert Literal(3) not in rule.clauses[0]


def test_what_must_not_be_used_or_costs_more_than_it_is_worth_is_left_alone():
    cost = COST.copy()
    cost[1] = np.inf
    tables = [[1, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 1, 1, 1]] * 20
    assert Literal(1) not in margin(*tables, cost=cost).clauses[0]
    dear = margin(*tables, cost=np.full((4, 2), 1e4))
    assert dear.clauses == ONE.clauses


def test_alarms_are_counted_anew():
    rule = Learned(((Literal(0),),), 3.0, 1, 2, True)
    less = margin([[1, 1, 0, 0]], [[0, 0, 0, 0]] * 2, [[1, 0, 0, 0], [1, 1, 0, 0]], rule=rule)
    assert less.alarms == 1 and (less.cost, less.steps, less.complete) == (3.0, 1, True)
