"""How many weaknesses get a rule from five pairs, and how precise it is on functions held out.

``python benchmarks/rules.py [--json] [--format semgrep] [--data DIR]``: of the Juliet suite's C
weaknesses with at least 20 vulnerable functions, K are examples, K not vulnerable ones of the same
weakness are contrary, and 200 functions of other weaknesses are background. Judged on the rest of
that weakness and as many other functions again, none of them seen. The suite is synthetic and its
templates repeat: this says that the search works, not that real bugs are found.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.features.rule_search import gather, learn, leave_out, terms_of, usual_bounds
from inoculate.registry import DOMAINS, RULES
from inoculate.rule import Described

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))
LEAST, N_BACKGROUND, N_OTHERS = 20, 200, 400
POOL = 800


def described(frame):
    domain = DOMAINS.load("source")()
    rows = frame.select("cwe", "language", text="code_clean").iter_rows(named=True)
    return [Described(row, domain.facts(row)) for row in rows]


def held_by(language, clauses, records):
    """Which records fulfil a rule, by this package's own reading."""
    conditions = list(dict.fromkeys(t.condition for clause in clauses for t in clause))
    held = language.holds(conditions, records)
    at = {c: i for i, c in enumerate(conditions)}
    found = np.zeros(len(records), bool)
    for clause in clauses:
        found |= np.all([held[:, at[t.condition]] == t.holds for t in clause], axis=0)
    return found


def one(language, frame, pool, cwe, args):
    k, seed = args.shots, args.seed
    own = frame.filter(pl.col("cwe") == cwe)
    bad = own.filter(pl.col("vulnerable") == 1).sample(fraction=1, shuffle=True, seed=seed)
    pairs = bad["pair_id"].drop_nulls().unique(maintain_order=True).to_list()[:k]
    is_known = pl.col("pair_id").is_in(pairs)
    good = own.filter(pl.col("vulnerable") == 0)
    examples = bad.filter(is_known).unique("pair_id", maintain_order=True)
    # the fixed twins, and others where twins are the same once names are taken away
    good = good.sample(fraction=1, shuffle=True, seed=seed)
    good = pl.concat([good.filter(is_known), good.filter(~is_known.fill_null(False))])
    contrary, rest = good[:k], good[k:]
    other = [record for record in pool if record.record["cwe"] != cwe]
    background, others = other[:N_BACKGROUND], other[N_BACKGROUND : N_BACKGROUND + N_OTHERS]
    start = time.perf_counter()
    bounds = usual_bounds(examples.height, alarms=0, seconds=args.seconds)
    bounds = replace(bounds, clauses=args.clauses or bounds.clauses)
    facts = gather(
        language, described(examples), described(contrary), background, clauses=bounds.clauses
    )
    rule = learn(facts, bounds)
    out = leave_out(facts, bounds) if rule is not None else None
    took = time.perf_counter() - start
    result = {"cwe": cwe, "rule": out is not None and out.holds_up(), "seconds": round(took, 2)}
    if rule is None:
        return result
    clauses = terms_of(facts, rule)
    rest_bad = described(bad.filter(~is_known))
    rest_good = described(rest) + others
    right, wrong = held_by(language, clauses, rest_bad), held_by(language, clauses, rest_good)
    n = int(right.sum() + wrong.sum())
    return result | {
        "precision": float(right.sum() / n) if n else None,
        "recall": float(right.mean()),
        "left_out": [out.found, out.n, out.wrong, out.n_contrary],
        "steps": rule.steps,
        "complete": rule.complete,
        "clauses": [
            " and ".join(("" if t.holds else "not ") + t.condition.value for t in c)
            for c in clauses
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--format", default="semgrep", choices=["semgrep", "json"])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--every", type=int, default=1, help="each n-th weakness only")
    parser.add_argument("--clauses", type=int, help="of a rule; one for each three examples")
    args = parser.parse_args()
    path = args.data / "code" / "juliet_c_functions.parquet"
    if not path.exists():
        sys.exit(f"no {path}; set INOCULATE_DATA")
    frame = pl.read_parquet(path).filter(pl.col("code_clean").str.len_chars() < 20_000)
    frame = frame.unique("code_clean", keep="any", maintain_order=True)
    counts = frame.filter(pl.col("vulnerable") == 1)["cwe"].value_counts()
    names = counts.filter(pl.col("count") >= LEAST)["cwe"].sort().to_list()[:: args.every]
    pool = described(frame.sample(POOL, shuffle=True, seed=args.seed))
    language, results = RULES.load(args.format)(), []
    for cwe in names:
        results.append(one(language, frame, pool, cwe, args))
        if not args.json:
            print(results[-1])
    ruled = [r for r in results if r["rule"]]
    good = [r for r in ruled if r["precision"] is not None and r["precision"] >= 0.9]
    summary = {
        "data": "juliet_c_functions, code_clean, synthetic",
        "format": args.format,
        "shots": args.shots,
        "weaknesses": len(results),
        "with_a_rule": len(ruled),
        "refused_by_leaving_out": sum("clauses" in r and not r["rule"] for r in results),
        "silent_on_the_rest": sum(r["precision"] is None for r in ruled),
        "precision_at_least_0.9": len(good),
        "share": round(len(good) / max(len(results), 1), 3),
        "median_precision": float(np.median([r["precision"] or 0 for r in ruled] or [0])),
        "median_recall": float(np.median([r["recall"] for r in ruled] or [0])),
        "median_seconds": float(np.median([r["seconds"] for r in results] or [0])),
    }
    print(json.dumps(summary | ({"results": results} if args.json else {})))


if __name__ == "__main__":
    main()
