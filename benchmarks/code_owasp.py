"""OWASP Benchmark, whole categories held out: true-positive rate less false-positive rate.

    python benchmarks/code_owasp.py --output docs/measured/code-owasp.json

Of the held-out category five vulnerable and five safe cases are known; of the others all. The
threshold is where a tenth of the other categories' safe cases would alarm, so nothing of the held
out category sets it; "own" is what the methods that have a boundary of their own would decide.
``meta_interpreter`` takes its examples as marked functions: it is meta-trained on the other
categories, as many vulnerable as safe cases of each, and adapted on the ten; no rule. ``committee``
learns from the ten and other categories' safe cases. ``words`` is logistic regression on the words
of the others' cases and of the ten, these counted twenty times; ``words of the ten`` on the ten
alone. ``reached`` knows none of them: whether data from outside really reaches a call that acts on
it (``features.code.code_reach``).

What stands in ``DESIGN`` was looked at while the facts of reach were written and the numbers of the
boundary chosen, each time with the other design categories as all there is; the rest was not, but
for tables of earlier methods. The table is told for all categories, and for both halves. All are
trained on all other categories, whichever half these are in.

The set is synthetic: its cases are templates, and how a template is made safe recurs from category
to category. So a high score says little of real code (docs/measured.md).
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from inoculate.benchmark.scenario import plan
from inoculate.domain import Batch
from inoculate.features.code.code_schema import SHAPE
from inoculate.metrics import auroc, bootstrap
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.task import Encoded, Labelled, Support, Task

SETS = ("owasp_benchmark_java", "owasp_benchmark_python")
KNOWN, RATE, FEWEST, BACKGROUND = 5, 0.1, 10, 400
_AGAIN = 20
DESIGN = {
    "owasp_benchmark_java": ("CWE-22", "CWE-328", "CWE-501", "CWE-643", "CWE-79", "CWE-90"),
    "owasp_benchmark_python": ("CWE-22", "CWE-330", "CWE-601", "CWE-643", "CWE-79", "CWE-94"),
}
_HALF = 0.5


def encoded(frame: pl.DataFrame, dataset) -> Encoded:
    domain = DOMAINS.load(dataset.format)()
    frame = frame.select(pl.col(old).alias(new) for new, old in dataset.columns.items())
    batch = Batch(frame.with_columns(origin=pl.lit(dataset.name)))
    return domain.encode(batch, domain.views(batch))


def support(x: Encoded, bad: np.ndarray, good: np.ndarray, usual: np.ndarray) -> Support:
    rows = np.concatenate([good, usual])
    labelled = Labelled(x.take(bad), np.zeros(len(bad), np.int64))
    return Support(labelled, x.take(rows), ("weakness",), len(good))


def marked(x: Encoded, category: np.ndarray, bad: np.ndarray, held_out: str, rng):
    """Yield a task a category that is not held out: vulnerable cases, and as many safe ones."""
    none = Labelled(x.take(np.arange(0)), np.zeros(0, np.int64))
    for name in sorted(set(category) - {held_out}):
        worse = rng.permutation(np.flatnonzero((category == name) & bad))
        better = rng.permutation(np.flatnonzero((category == name) & ~bad))
        n = min(len(worse), len(better))
        if n:
            yield Task(support(x, worse[:n], better[:n], better[n:]), none, "code")


def by_learners(x, category, bad, held_out, draws, others, wanted):
    """Yield name and scores of all records, by draw."""
    rng = np.random.default_rng(0)
    trained = LEARNERS.load("meta_interpreter")(marked=True, most_steps=0)
    trained.meta_fit(marked(x, category, bad, held_out, rng))
    for number, (worse, better) in enumerate(draws):
        yield "reached", x["shape"][:, _exposed()], 0.0
        usual = np.random.default_rng(number).permutation(others)[:BACKGROUND]
        given = support(x, worse, better, usual)
        yield "meta_interpreter", trained.adapt(given).score(x).alarm(), _HALF
        if "committee" in wanted:
            yield "committee", LEARNERS.load("committee")().adapt(given).score(x).alarm(), None


def _exposed() -> int:
    return [c.name for c in SHAPE.columns].index("exposed")


def by_words(words, category, bad, held_out, draws, wanted):
    rest = np.flatnonzero(category != held_out)
    for worse, better in draws if "words" in wanted else ():
        ten = np.concatenate([worse, better])
        one = LogisticRegression(max_iter=500).fit(words[ten], bad[ten])
        yield "words of the ten", one.decision_function(words), 0.0
        rows = np.concatenate([rest, np.repeat(ten, _AGAIN)])
        both = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
        yield "words", both.fit(words[rows], bad[rows]).decision_function(words), 0.0


def measure(name: str, folder: Path, n_draws: int, wanted: list[str]) -> dict:
    (dataset,) = [d for d in plan().dataset if d.name == name]
    frame = pl.read_parquet(folder / dataset.file)
    x = encoded(frame, dataset)
    category, bad = frame["cwe"].to_numpy(), frame["vulnerable"].to_numpy() > 0
    counted = CountVectorizer(token_pattern=r"\w+", max_features=4_000, binary=True)
    words = counted.fit_transform(frame[dataset.columns["text"]])
    found: dict[str, dict[str, list]] = {}
    for held_out in sorted(set(category)):
        mine = category == held_out
        if min((mine & bad).sum(), (mine & ~bad).sum()) < FEWEST:
            continue
        others = np.flatnonzero(~mine & ~bad)
        draws = []
        for number in range(n_draws):
            rng = np.random.default_rng(number)
            draws.append([rng.permutation(np.flatnonzero(mine & s))[:KNOWN] for s in (bad, ~bad)])
        for who, scores, own in (
            *by_learners(x, category, bad, held_out, draws, others, wanted),
            *by_words(words, category, bad, held_out, draws, wanted),
        ):
            known = np.concatenate(draws[len(found.get(who, {}).get(held_out, []))])
            left = np.setdiff1d(np.flatnonzero(mine), known)
            limit = np.quantile(scores[others], 1 - RATE)
            bads, goods = scores[left[bad[left]]], scores[left[~bad[left]]]
            figures = [100 * ((bads > at).mean() - (goods > at).mean()) for at in (limit, own or 0)]
            area = 100 * auroc(goods, bads)
            told = (figures[0], figures[1] if own is not None else np.nan, area)
            found.setdefault(who, {}).setdefault(held_out, []).append(told)
        print(name, held_out, flush=True, file=sys.stderr)
    return {who: halves(classes, DESIGN[name]) for who, classes in found.items()}


def halves(classes: dict[str, list], design: tuple[str, ...]) -> dict:
    judged = {c: v for c, v in classes.items() if c not in design}
    seen = {c: v for c, v in classes.items() if c in design}
    by = {
        c: [round(float(np.mean(f)), 1) for f in zip(*v, strict=True)] for c, v in classes.items()
    }
    return {
        "all": summary(classes),
        "judged": summary(judged),
        "design": summary(seen),
        "by category": {c: dict(zip(_FIGURES, v, strict=True)) for c, v in by.items()},
    }


_FIGURES = ("score", "own", "auroc")


def summary(classes: dict[str, list]) -> dict:
    parts = {}
    for i, figure in enumerate(_FIGURES):
        values = {c: [d[i] for d in v] for c, v in classes.items()}
        if np.isfinite([d for v in values.values() for d in v]).all():
            all_ = bootstrap(values, seed=0)
            parts[figure] = [round(float(v), 1) for v in (all_.mean, all_.low, all_.high)]
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--beside", default="committee,words", help="else kept from the output")
    args = parser.parse_args()
    found = json.loads(args.output.read_text()) if args.output and args.output.exists() else {}
    for name in SETS:
        now = measure(name, args.data, args.draws, args.beside.split(","))
        found[name] = found.get(name, {}) | now
    for name, learners in found.items():
        for who, figures in learners.items():
            for half in ("all", "judged", "design"):
                print(name, who, half, figures[half])
    if args.output:
        args.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
