"""How many weaknesses get a rule from five pairs, and how precise it is on functions held out.

``python benchmarks/rules.py [--json] [--format json] [--seeds 0,1,2] [--order learned]``: of the
Juliet suite's C weaknesses with at least 20 vulnerable functions, K are examples, K not vulnerable
ones of the same weakness are contrary, and 200 functions of other weaknesses are background. Judged
on the rest of that weakness and 400 other functions, none of them seen. The suite is synthetic and
its templates repeat: this says that the search works, not that real bugs are found.

``--order``: what conditions cost, which is the order of search. ``shipped`` as the package has it,
``uniform`` all the same, ``learned`` as ``rule_costs.py`` learns it from the other weaknesses only.

How a rule is searched and when it is believed was chosen on weaknesses of odd number; the summary
tells both halves.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.features.rule_search import (
    Facts,
    gather,
    learn,
    leave_out,
    terms_of,
    usual_bounds,
)
from inoculate.registry import DOMAINS, RULES
from inoculate.rule import Described, RuleLanguage

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))
LEAST, N_BACKGROUND, N_OTHERS = 20, 200, 400
POOL = 800
GOOD = 0.9


@dataclass(frozen=True)
class Weakness:
    """What is known of one weakness, and what a rule is judged on."""

    cwe: str
    facts: Facts
    language: RuleLanguage
    bad: list[Described]
    good: list[Described]
    others: list[Described]

    def judged(self, clauses):
        """Return the precision and recall of a rule's terms."""
        right = held_by(self.language, clauses, self.bad)
        wrong = held_by(self.language, clauses, self.good + self.others)
        n = int(right.sum() + wrong.sum())
        return (float(right.sum() / n) if n else None), float(right.mean())


class Juliet:
    """The functions, described once each."""

    def __init__(self, path):
        frame = pl.read_parquet(path).filter(pl.col("code_clean").str.len_chars() < 20_000)
        self.frame = frame.unique("code_clean", keep="any", maintain_order=True)
        self.domain, self.known = DOMAINS.load("source")(), {}
        counts = frame.filter(pl.col("vulnerable") == 1)["cwe"].value_counts()
        self.names = counts.filter(pl.col("count") >= LEAST)["cwe"].sort().to_list()

    def described(self, frame):
        rows = frame.select("cwe", "language", text="code_clean").iter_rows(named=True)
        return [self._one(row) for row in rows]

    def _one(self, row):
        if row["text"] not in self.known:
            self.known[row["text"]] = Described(row, self.domain.facts(row))
        return self.known[row["text"]]

    def weaknesses(self, language, names, *, shots, seed):
        pool = self.described(self.frame.sample(POOL, shuffle=True, seed=seed))
        for cwe in names:
            yield self._weakness(language, cwe, pool, shots, seed)

    def _weakness(self, language, cwe, pool, k, seed):
        own = self.frame.filter(pl.col("cwe") == cwe)
        bad = own.filter(pl.col("vulnerable") == 1).sample(fraction=1, shuffle=True, seed=seed)
        pairs = bad["pair_id"].drop_nulls().unique(maintain_order=True).to_list()[:k]
        is_known = pl.col("pair_id").is_in(pairs)
        good = own.filter(pl.col("vulnerable") == 0)
        examples = bad.filter(is_known).unique("pair_id", maintain_order=True)
        # the fixed twins, and others where twins are the same once names are taken away
        good = good.sample(fraction=1, shuffle=True, seed=seed)
        good = pl.concat([good.filter(is_known), good.filter(~is_known.fill_null(False))])
        other = [record for record in pool if record.record["cwe"] != cwe]
        facts = gather(
            language, self.described(examples), self.described(good[:k]), other[:N_BACKGROUND],
            clauses=usual_bounds(examples.height, alarms=0).clauses,
        )  # fmt: skip
        return Weakness(
            cwe, facts, language, self.described(bad.filter(~is_known)), self.described(good[k:]),
            other[N_BACKGROUND : N_BACKGROUND + N_OTHERS],
        )  # fmt: skip


def held_by(language, clauses, records):
    """Which records fulfil a rule, by this package's own reading."""
    conditions = list(dict.fromkeys(t.condition for clause in clauses for t in clause))
    held = language.holds(conditions, records)
    at = {c: i for i, c in enumerate(conditions)}
    found = np.zeros(len(records), bool)
    for clause in clauses:
        found |= np.all([held[:, at[t.condition]] == t.holds for t in clause], axis=0)
    return found


def one(weakness, facts, seed, args):
    """Return whether a weakness gets a rule, and how good it is."""
    start = time.perf_counter()
    bounds = usual_bounds(len(facts.examples), alarms=0, seconds=args.seconds)
    bounds = replace(bounds, clauses=args.clauses or bounds.clauses)
    rule = learn(facts, bounds)
    out = leave_out(facts, bounds) if rule is not None else None
    result = {
        "cwe": weakness.cwe, "seed": seed, "rule": out is not None and out.holds_up(),
        "seconds": round(time.perf_counter() - start, 2),
    }  # fmt: skip
    if rule is None:
        return result | {"steps": bounds.steps}
    clauses = terms_of(facts, rule)
    precision, recall = weakness.judged(clauses)
    return result | {
        "precision": precision,
        "recall": recall,
        "left_out": [out.found, out.n, out.wrong, out.n_contrary],
        "steps": min(rule.steps, bounds.steps),
        "complete": rule.complete,
        "clauses": [
            " and ".join(("" if t.holds else "not ") + t.condition.value for t in c)
            for c in clauses
        ],
    }


def told(results):
    """Return the figures of some results."""
    ruled = [r for r in results if r["rule"]]
    good = [r for r in ruled if (r["precision"] or 0) >= GOOD]
    found = [r for r in results if "clauses" in r]
    return {
        "weaknesses": len(results),
        "with_a_rule": len(ruled),
        "precision_at_least_0.9": len(good),
        "share_of_weaknesses": round(len(good) / max(len(results), 1), 3),
        "share_of_rules": round(len(good) / max(len(ruled), 1), 3),
        "refused_by_leaving_out": len(found) - len(ruled),
        "refused_though_good": sum(not r["rule"] and (r["precision"] or 0) >= GOOD for r in found),
        "silent_on_the_rest": sum(r["precision"] is None for r in ruled),
        "median_precision": float(np.median([r["precision"] or 0 for r in ruled] or [0])),
        "median_recall": round(float(np.median([r["recall"] for r in ruled] or [0])), 3),
        "median_steps": float(np.median([r["steps"] for r in results] or [0])),
        "median_seconds": float(np.median([r["seconds"] for r in results] or [0])),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--format", default="semgrep", choices=["semgrep", "json"])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--order", default="shipped", choices=["shipped", "uniform", "learned"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--every", type=int, default=1, help="each n-th weakness only")
    parser.add_argument("--clauses", type=int, help="of a rule; one for each three examples")
    args = parser.parse_args()
    path = args.data / "code" / "juliet_c_functions.parquet"
    if not path.exists():
        sys.exit(f"no {path}; set INOCULATE_DATA")
    juliet, language = Juliet(path), RULES.load(args.format)()
    from rule_costs import orders

    cost_of = orders(juliet, language, args.order, shots=args.shots)
    results = []
    for seed in map(int, args.seeds.split(",")):
        names = juliet.names[:: args.every]
        for weakness in juliet.weaknesses(language, names, shots=args.shots, seed=seed):
            facts = replace(weakness.facts, cost=cost_of(weakness))
            results.append(one(weakness, facts, seed, args))
            if not args.json:
                print(results[-1], flush=True)
    summary = {
        "data": "juliet_c_functions, code_clean, synthetic",
        "format": args.format,
        "shots": args.shots,
        "order": args.order,
        "all": told(results),
        "odd": told([r for r in results if int(r["cwe"][4:]) % 2]),
        "even": told([r for r in results if int(r["cwe"][4:]) % 2 == 0]),
        "by_seed": {
            str(s): told([r for r in results if r["seed"] == s])
            for s in sorted({r["seed"] for r in results})
        },
    }
    print(json.dumps(summary | ({"results": results} if args.json else {})))


if __name__ == "__main__":
    main()
