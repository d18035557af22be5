"""What five marked functions find of a weakness that no prior has seen, in sets it has not seen.

    python benchmarks/code_marked.py [--output FILE]

``adapt --marked`` is given five vulnerable functions of a weakness, with and without five safe ones
of the same set, and 200 of the set's other safe functions as background; it ranks the rest. A
``meta_interpreter`` for marked functions is meta-trained on the weaknesses of ``TRAINED`` (sets
whose terms allow a prior to be shipped), less a third of the judged set's with the one at hand, and
less texts that the judged set holds; the committee knows nothing before. Weaknesses with twelve
functions or more, three draws. Printed: the chance that a vulnerable function stands above a safe
one, and the share found at 1 % false alarms, by set, with intervals over weaknesses.
"""

import argparse
import json
import os
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.domain import Batch
from inoculate.metrics import auroc, bootstrap, recall_at
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.task import Encoded, Labelled, Support, Task

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets")) / "code"
TRAINED = ("codeql_examples", "sven_pairs", "nvd_cve_c_pairs", "juliet_c_functions",
           "juliet_java_functions")  # fmt: skip
JUDGED = ("cvefix_mined_dev", "pyvul_functions", "semgrep_rules_annotated",
          "owasp_benchmark_python", "owasp_benchmark_java")  # fmt: skip
SHOTS, DRAWS, FOLDS, FEWEST, BACKGROUND, MOST, MOST_A_CLASS = 5, 3, 3, 12, 200, 3_000, 40
_BLANK = re.compile(r"\s+")


class Set:
    """Functions of a set in columns, their weaknesses, and whether they are vulnerable."""

    def __init__(self, name):
        frame = pl.read_parquet(DATA / f"{name}.parquet")
        text = "code_clean" if "code_clean" in frame.columns else "code"
        frame = frame.select("language", "cwe", "vulnerable", text=pl.col(text)).drop_nulls("text")
        frame = frame.unique("text", keep="first", maintain_order=True)
        frame = frame.sample(min(MOST, frame.height), seed=0, shuffle=True)
        domain = DOMAINS.load("source")()
        batch = Batch(frame.select("text", "language", origin=pl.lit(name)))
        x = domain.encode(batch, domain.views(batch))
        known = ~np.isnan(x.stacked()).any(axis=1)
        self.x = x.take(known)
        self.bad = frame["vulnerable"].to_numpy()[known] == 1
        self.cwe = np.array([str(c) for c in frame["cwe"]])[known]
        self.texts = np.array([_BLANK.sub("", t) for t in frame["text"]])[known]

    def weaknesses(self, fewest):
        its = [c for c in sorted(set(self.cwe)) if c != "None"]
        return [c for c in its if (self.bad & (self.cwe == c)).sum() >= fewest]


def support(x, bad, good, usual, n_twins):
    labelled = Labelled(x.take(bad), np.zeros(len(bad), np.int64))
    background = Encoded.concat([x.take(good), x.take(usual)])
    return Support(labelled, background, ("weakness",), n_twins)


def tasks(sets, known):
    """Yield a task a weakness of each set: vulnerable functions, and as many safe ones."""
    rng = np.random.default_rng(0)
    for its in sets:
        seen = ~np.isin(its.texts, list(known))
        for cwe in its.weaknesses(FEWEST):
            worse = rng.permutation(np.flatnonzero(its.bad & (its.cwe == cwe) & seen))
            better = rng.permutation(np.flatnonzero(~its.bad & (its.cwe == cwe) & seen))
            if len(better) < FEWEST:
                better = rng.permutation(np.flatnonzero(~its.bad & seen))
            n = min(len(worse), len(better), MOST_A_CLASS)
            if n < FEWEST:
                continue
            usual = better[n : n + BACKGROUND] if len(better) > n else better
            none = Labelled(its.x.take(np.arange(0)), np.zeros(0, np.int64))
            task = support(its.x, worse[:n], better[:n], usual, n)
            yield cwe, Task(task, none, "code")


def judged(its, cwe, methods, rng):
    """Yield a method's name, its AUROC and its recall at 1 %, on one draw."""
    worse = rng.permutation(np.flatnonzero(its.bad & (its.cwe == cwe)))
    better = rng.permutation(np.flatnonzero(~its.bad))
    given, rest = worse[:SHOTS], worse[SHOTS:]
    safe, usual = better[:SHOTS], better[SHOTS : SHOTS + BACKGROUND]
    others = better[SHOTS + BACKGROUND :]
    for name, learner, n_twins in methods:
        its_support = support(its.x, given, safe[:n_twins], usual, n_twins)
        detector = learner.adapt(its_support)
        bad, good = (detector.score(its.x.take(rows)).alarm() for rows in (rest, others))
        yield name, auroc(good, bad), recall_at(good, bad, 0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    given = parser.parse_args()
    trained = [Set(name) for name in TRAINED]
    table = []
    for name in JUDGED:
        its = Set(name)
        every = list(tasks(trained, set(its.texts)))
        found = defaultdict(lambda: defaultdict(list))
        priors = {}
        for i, cwe in enumerate(its.weaknesses(FEWEST)):
            fold = its.weaknesses(FEWEST)[i % FOLDS :: FOLDS]
            if i < FOLDS:
                prior = LEARNERS.load("meta_interpreter")(marked=True, most_steps=0)
                priors[i] = prior.meta_fit(task for other, task in every if other not in fold)
            prior = priors[i % FOLDS]
            committee = LEARNERS.load("committee")()
            methods = (("committee", committee, 0), ("committee, safe told", committee, SHOTS),
                       ("meta_interpreter, safe told", prior, SHOTS))  # fmt: skip
            for draw in range(DRAWS):
                rng = np.random.default_rng([draw, 1])
                for method, area, recall in judged(its, cwe, methods, rng):
                    found[method][cwe].append((area, recall))
        for method, by_cwe in found.items():
            row = {"set": name, "method": method, "weaknesses": len(by_cwe)}
            for i, metric in enumerate(("auroc", "recall_at_1")):
                one = bootstrap({c: [v[i] for v in some] for c, some in by_cwe.items()}, seed=0)
                row[metric] = [round(v, 3) for v in (one.mean, one.low, one.high)]
            table.append(row)
            print(json.dumps(row), flush=True)
    if given.output:
        given.output.write_text("[\n" + ",\n".join(map(json.dumps, table)) + "\n]\n")


if __name__ == "__main__":
    main()
