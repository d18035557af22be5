"""Pairs of functions before and after a fix: weaknesses and projects never seen, cross-fitted.

    python benchmarks/code_pairs.py --output docs/measured/code

For each weakness of each real-world set a prior is meta-trained on the other four sets without
that weakness, without the set's projects, and without any function that the set holds too. Then
K pairs adapt it, and pairs of other projects (other fixes, in the Linux set) are ranked. How far
pairs move the direction is chosen once a set, on the other four sets with all their weaknesses.

Beside it: the simple learners, each once with the background and once with the twins alone, and
"shorter", which knows that fixes add code and nothing else. Results are JSON Lines as of
``inoculate bench``; ``benchmarks/peers.py --report`` makes the tables.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.benchmark.runner import Result, read_results
from inoculate.benchmark.scenario import Dataset, Scenario, TaskShape, plan
from inoculate.benchmark.tables import Data, read
from inoculate.benchmark.tasks import cases, draw, judge
from inoculate.learner import Learner, Scores
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.task import Encoded, Labelled, Support, Task

SETS = ("cvefix_mined_dev", "sven_pairs", "pairvul_linux", "nvd_cve_c_pairs", "pyvul_functions")
SIMPLE = ("extra_trees", "k_nearest", "logistic", "committee")
KEPT = ("meta_interpreter", "logistic")
"""Of which what the calibrated threshold keeps is measured too: that takes six times as long."""
PROJECTS = {"linux", "nvd-linux", "torvalds/linux"}
_SPACE = re.compile(r"\s+|//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass
class Pairs:
    """All pairs of one set, by row."""

    before: Encoded
    after: Encoded
    weakness: np.ndarray
    project: np.ndarray
    text: list[set[str]]
    background: Encoded


def pairs_of(dataset: Dataset, folder: Path) -> Pairs:
    frame = pl.read_parquet(folder / dataset.file).with_row_index("row")
    domain = DOMAINS.load(dataset.format)()
    batch = frame.select(pl.col(old).alias(new) for new, old in dataset.columns.items())
    x = _encoded(domain, batch.with_columns(origin=pl.lit(dataset.name)))
    known = np.isfinite(x.stacked()).all(axis=1)
    frame = frame.filter(pl.Series(known)).filter(pl.col("pair_id").is_not_null())
    sides = [frame.filter(pl.col("vulnerable") == v) for v in (1, 0)]
    sides = [s.filter(pl.len().over("pair_id") == 1) for s in sides]
    both = sides[0].join(sides[1], on="pair_id", suffix="_after").sort("row")
    code = dataset.columns["text"]
    none = pl.lit("", pl.String)
    project = both["project"].cast(pl.String).fill_null("")
    return Pairs(
        x.take(both["row"].to_numpy()),
        x.take(both["row_after"].to_numpy()),
        both.select(pl.coalesce(pl.col("cwe").cast(pl.String), none)).to_series().to_numpy(),
        np.array([_project(p) for p in project]),
        [{_plain(a), _plain(b)} for a, b in zip(both[code], both[f"{code}_after"], strict=True)],
        x.take(np.flatnonzero(known)[:: max(1, int(known.sum()) // 1_000)]),
    )


def _encoded(domain: object, frame: pl.DataFrame) -> Encoded:
    from inoculate.domain import Batch

    parts = [Batch(frame[at : at + 2_000]) for at in range(0, len(frame), 2_000)]
    views = domain.views(parts[0])
    return Encoded.concat([domain.encode(part, views) for part in parts])


def _project(name: str) -> str:
    return "linux" if name in PROJECTS else name.lower().split("/")[-1]


def _plain(text: str) -> str:
    return _SPACE.sub("", text)


def tasks(sets: dict[str, Pairs], judged: str, weakness: str) -> Iterator[Task]:
    """Yield a task a weakness and set, less all that the judged ones have in common with them."""
    mine = sets[judged]
    projects, texts = set(mine.project) - {""}, set().union(*mine.text)
    for name, theirs in sets.items():
        if name == judged:
            continue
        keep = ~np.isin(theirs.project, list(projects)) & (theirs.weakness != weakness)
        keep &= np.array([not texts & text for text in theirs.text])
        for other in sorted(set(theirs.weakness[keep])):
            rows = np.flatnonzero(keep & (theirs.weakness == other))
            yield _task(theirs, rows, f"{name}/{other}")


def _task(pairs: Pairs, rows: np.ndarray, name: str) -> Task:
    none = Labelled(pairs.background.take(np.arange(0)), np.zeros(0, np.int64))
    support = Support(
        Labelled(pairs.before.take(rows), np.zeros(len(rows), np.int64)),
        Encoded.concat([pairs.after.take(rows), pairs.background]),
        (name,),
        len(rows),
    )
    return Task(support, none, "code")


class Plain(Learner):
    """A method without meta-training, of a support set that is made from the one given."""

    def __init__(self, adapt: Callable[[Support, int], object]) -> None:
        self._adapt = adapt

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> "Plain":
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> object:
        return self._adapt(support, seed)

    def state(self) -> dict:
        return {}

    def load_state(self, state: object) -> "Plain":
        return self


class Shorter:
    """Scores a function by how few nodes its syntax tree has."""

    def __init__(self, column: int) -> None:
        self._column = column

    def score(self, x: Encoded) -> Scores:
        nodes = -x["shape"][:, self._column]
        return Scores(nodes[:, None], nodes)


def _twins_only(support: Support) -> Support:
    return replace(support, background=support.background.take(np.arange(support.n_twins)))


def simple(data: Data) -> dict[str, Learner]:
    (shape,) = [v for v in data.views if v.name == "shape"]
    nodes = [c.name for c in shape.columns].index("nodes")
    found: dict[str, Learner] = {"shorter": Plain(lambda s, _: Shorter(nodes))}
    for name in SIMPLE:
        learner = LEARNERS.load(name)()
        found[name] = learner
        found[f"{name}, twins alone"] = Plain(
            lambda s, seed, one=learner: one.adapt(_twins_only(s), seed=seed)
        )
    return found


def measure(
    sets: dict[str, Pairs],
    data: Data,
    scenario: Scenario,
    draws: int,
    learners: list[str],
    kept: tuple[str, ...] = KEPT,
) -> Iterator[Result]:
    name, seed = scenario.dataset.name, plan().seed
    chosen = LEARNERS.load("meta_interpreter")().meta_fit(tasks(sets, name, "")).learned_
    strength = float(chosen["strength"])
    found: dict[str, dict[str, list]] = {}
    for case in cases(data.pool, scenario):
        prior = LEARNERS.load("meta_interpreter")(strength=strength, penalty=3.0)
        entrants = {"meta_interpreter": prior.meta_fit(tasks(sets, name, case))} | simple(data)
        for who, learner in entrants.items():
            if learners and who not in learners:
                continue
            task = scenario.task.model_copy(update={"calibrated": who in kept})
            for number in range(draws):
                drawn = draw(data.pool, scenario, case, seed=seed, number=number, n=plan().n_query)
                figures = judge(learner, drawn, task, seed=number)
                found.setdefault(who, {}).setdefault(case, []).append(figures)
        print(name, case, flush=True, file=sys.stderr)
    for who, classes in found.items():
        simple_one = who != "meta_interpreter"
        digest = hashlib.sha256(f"{scenario.id} {who}".encode()).hexdigest()
        yield Result(scenario.id, scenario.group, "pairs", name, who, simple_one, digest, classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shots", type=int, action="append")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--learners", default="")
    parser.add_argument("--rank-only", action="store_true", help="no calibrated thresholds")
    parser.add_argument("--sets", default=",".join(SETS))
    args = parser.parse_args()
    datasets = {d.name: d for d in plan().dataset if d.name in SETS}
    sets = {name: pairs_of(d, args.data) for name, d in datasets.items()}
    args.output.mkdir(parents=True, exist_ok=True)
    out = args.output / "results.jsonl"
    done = {(r.scenario, r.learner) for r in read_results(out)}
    for name in args.sets.split(","):
        data = read(datasets[name], args.data)
        for shots in args.shots or [5]:
            scenario = Scenario(datasets[name], "never-seen", TaskShape(kind="pairs", shots=shots))
            if (scenario.id, "meta_interpreter") in done:
                continue
            learners = [n for n in args.learners.split(";") if n]
            kept = () if args.rank_only else KEPT
            for result in measure(sets, data, scenario, args.draws, learners, kept):
                with out.open("a") as file:
                    file.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    main()
