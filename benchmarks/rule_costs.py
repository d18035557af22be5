"""What conditions of code cost in a rule, learned over weaknesses: the order of search.

``python benchmarks/rule_costs.py [--json] [--data DIR]`` compares three orders over the weaknesses
of the Juliet C suite: as shipped, uniform, and learned from the other weaknesses alone (four folds
of weaknesses; other draws than those measured). It tells how many clauses were looked at, and the
share of weaknesses with a right rule, after few steps and after many. ``--table`` prints what is
learned from all weaknesses, as ``features/rule_costs.py`` has it.

A condition's bits are those of its kind, there or absent: how often one of that kind that could
have been in a clause was in one that is right on functions held out.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from rules import DATA, GOOD, Juliet

from inoculate.features.clauses import Bounds, Search
from inoculate.features.rule_search import learn, terms_of, usual_bounds
from inoculate.registry import RULES
from inoculate.rule import Term

FOLDS, LEARNED_ON = 4, (6, 7)
_CLAUSES, _STEPS, _LITERALS = 40, 8_000, 3
_USUAL = 30.0  # conditions of each kind seen beforehand, as all kinds together
_UNIFORM_BITS = 3.0
_LEAST_RECALL = 0.4


def kind_of(condition, holds):
    return condition.kind.partition(":")[0], holds


def counts(weakness):
    """Return how many conditions of each kind there were, and how many each right clause has."""
    facts = weakness.facts
    cost = uniform(weakness)
    nothing = np.zeros((1, len(facts.conditions)), bool)
    bounds = Bounds(alarms=0, steps=_STEPS, seconds=30, literals=_LITERALS)
    search = Search(
        facts.examples, np.vstack([facts.contrary, nothing]), facts.background, cost, bounds
    )
    everyone = (1 << len(facts.examples)) - 1
    right = []
    for i, node in enumerate(search.clauses(everyone, len(facts.examples) - 1, 0)):
        clause = [Term(facts.conditions[x.fact], x.holds) for x in search.clause_of(node)]
        precision, recall = weakness.judged((clause,))
        if (precision or 0) >= GOOD and recall >= _LEAST_RECALL:
            right.append(clause)
        if i >= _CLAUSES:
            break
    there: Counter = Counter()
    for fact, condition in enumerate(facts.conditions):
        for column, holds in enumerate((True, False)):
            able = (facts.examples[:, fact] == holds).any() and np.isfinite(cost[fact, column])
            there[kind_of(condition, holds)] += bool(able)
    used: Counter = Counter()
    for clause in right:
        for term in clause:
            used[kind_of(term.condition, term.holds)] += 1 / len(right)
    return (there, used) if right else None


def table(found):
    """Return the bits of each kind, there and absent."""
    there, used = Counter(), Counter()
    for one in found:
        there.update(one[0])
        used.update(one[1])
    bits = {}
    for holds in (True, False):
        kinds = [k for k in there if k[1] == holds]
        usual = sum(used[k] for k in kinds) / sum(there[k] for k in kinds)
        bits[None, holds] = -np.log2(usual)
        for k in kinds:
            bits[k] = -np.log2((used[k] + _USUAL * usual) / (there[k] + _USUAL))
    return bits


def uniform(weakness):
    return np.where(np.isfinite(weakness.facts.cost), _UNIFORM_BITS, np.inf)


def costs(weakness, bits):
    told = [
        [bits.get(kind_of(c, holds), bits[None, holds]) for holds in (True, False)]
        for c in weakness.facts.conditions
    ]
    # a trace of the shipped cost: what is shorter comes first among equals
    own = np.where(np.isfinite(weakness.facts.cost), weakness.facts.cost, 0)
    cost = np.array(told).reshape(-1, 2) + 0.001 * own
    return np.where(np.isfinite(weakness.facts.cost), cost, np.inf)


def learned(juliet, language, *, shots):
    """Return the counts of each weakness, over draws that are not measured."""
    found = {}
    for seed in LEARNED_ON:
        for weakness in juliet.weaknesses(language, juliet.names, shots=shots, seed=seed):
            found.setdefault(weakness.cwe, []).append(counts(weakness))
    return {cwe: [one for one in some if one] for cwe, some in found.items()}


def orders(juliet, language, order, *, shots):
    """Return a function from a weakness to the cost of its conditions."""
    if order == "shipped":
        return lambda weakness: weakness.facts.cost
    if order == "uniform":
        return uniform
    found = learned(juliet, language, shots=shots)
    fold = {cwe: i % FOLDS for i, cwe in enumerate(juliet.names)}
    tables = [
        table([one for cwe, some in found.items() if fold[cwe] != i for one in some])
        for i in range(FOLDS)
    ]
    return lambda weakness: costs(weakness, tables[fold[weakness.cwe]])


def compared(weaknesses, cost_of, steps):
    looked, right = [], []
    for weakness in weaknesses:
        facts = replace(weakness.facts, cost=cost_of(weakness))
        bounds = usual_bounds(len(facts.examples), alarms=0, seconds=60)
        rule = learn(facts, replace(bounds, steps=steps))
        looked.append(min(rule.steps, steps) if rule else steps)
        precision = weakness.judged(terms_of(facts, rule))[0] if rule else None
        right.append((precision or 0) >= GOOD)
    looked = np.array(looked)
    return {
        "steps_allowed": steps,
        "share_with_a_right_rule": round(float(np.mean(right)), 3),
        "mean_steps": round(float(looked.mean()), 1),
        "share_done_in_100_steps": round(float((looked <= 100).mean()), 3),
        "share_done_in_1000_steps": round(float((looked <= 1000).mean()), 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--format", default="json", choices=["semgrep", "json"])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    path = args.data / "code" / "juliet_c_functions.parquet"
    if not path.exists():
        sys.exit(f"no {path}; set INOCULATE_DATA")
    juliet, language = Juliet(path), RULES.load(args.format)()
    if args.table:
        found = learned(juliet, language, shots=args.shots)
        bits = table([one for some in found.values() for one in some])
        kinds = sorted({k for k, _ in bits if k})
        usual = [bits[None, h] for h in (True, False)]
        told = {
            k: [round(float(bits.get((k, h), usual[1 - h])), 1) for h in (True, False)]
            for k in kinds
        }
        print(json.dumps(told | {"": [round(float(b), 1) for b in usual]}))
        return
    weaknesses = [
        weakness
        for seed in map(int, args.seeds.split(","))
        for weakness in juliet.weaknesses(language, juliet.names, shots=args.shots, seed=seed)
    ]
    result = {}
    for order in ("uniform", "shipped", "learned"):
        cost_of = orders(juliet, language, order, shots=args.shots)
        for steps in (100, 1_000, 20_000):
            result[f"{order}, {steps:,} steps"] = compared(weaknesses, cost_of, steps)
            if not args.json:
                print(order, result[f"{order}, {steps:,} steps"], flush=True)
    print(json.dumps({"shots": args.shots, "tasks": len(weaknesses), "orders": result}))


if __name__ == "__main__":
    main()
