"""A margin for clauses: what must not be covered is to be excluded by two conditions, not one.

The cheapest clause excludes each contrary record, but often by one condition alone, and which one
that is may be luck: of five records not like the examples a thousand conditions exclude all. More
conditions that all its examples fulfil make a clause narrower. Those are taken that exclude most
of what the clause excludes only once; a record excluded already counts a tenth for each time.

Reference:
    The margin is that of Crammer and Singer's and others' boosting bounds in spirit only: Schapire,
    Freund, Bartlett and Lee, "Boosting the margin", Annals of Statistics 26, 1998, section 2, where
    votes for an answer stand in place of conditions against one.
"""

from dataclasses import replace

import numpy as np

from inoculate.features.clauses import BoolArray, Clause, Float64, Learned, Literal, satisfied

_AGAIN = 0.1
_CONTRARY = 10.0
_WORTH = 0.001


def with_margin(
    learned: Learned,
    tables: tuple[BoolArray, BoolArray, BoolArray],
    cost: Float64,
    literals: int,
) -> Learned:
    """Return the rule with each clause made narrower; it covers the same examples.

    Args:
        learned: a rule over these facts.
        tables: (k, m), (f, m) and (b, m) facts of examples, contrary records and background.
        cost: (m, 2) bits of each fact, and of its absence; infinite for never.
        literals: most of a clause.
    """
    clauses = tuple(_narrowed(c, tables, cost, literals) for c in learned.clauses)
    rule = replace(learned, clauses=clauses)
    return replace(rule, alarms=int(rule.covers(tables[2]).sum()))


def _narrowed(
    clause: Clause, tables: tuple[BoolArray, BoolArray, BoolArray], cost: Float64, literals: int
) -> Clause:
    """Return a clause with the conditions that are worth most, until none is worth its bits."""
    examples, contrary, background = tables
    n_facts = len(cost)
    mine = examples[satisfied(clause, examples)]
    allowed = np.concatenate([mine.all(axis=0), ~mine.any(axis=0)]) & np.isfinite(cost.T.ravel())
    others = np.vstack([contrary, background])
    excludes = np.hstack([~others, others])
    weight = np.repeat([_CONTRARY, 1.0], [len(contrary), len(background)])
    price = _WORTH * weight.sum() * cost.T.ravel()
    found = list(clause)
    for literal in found:
        weight = np.where(others[:, literal.fact] == literal.holds, weight, weight * _AGAIN)
        allowed[[literal.fact, literal.fact + n_facts]] = False
    while len(found) < literals and allowed.any():
        worth = np.full(len(allowed), -np.inf)
        worth[allowed] = (1 - _AGAIN) * (weight @ excludes[:, allowed]) - price[allowed]
        best = int(worth.argmax())
        if worth[best] <= 0:
            break
        fact = best % n_facts
        found.append(Literal(fact, best < n_facts))
        weight = np.where(excludes[:, best], weight * _AGAIN, weight)
        allowed[[fact, fact + n_facts]] = False
    return tuple(sorted(found))
