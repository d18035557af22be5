"""`inoculate bench` with peers of other packages beside the package's learners.

    python benchmarks/peers.py --size full --output docs/measured/bench

Takes --only, --draws, --classes, --learners, --prior NAME=PATH and --data as the command does.
Runs can be split over processes by --only, each with its own --output; then

    python benchmarks/peers.py --report FOLDER --report FOLDER --output docs/measured/bench

writes one report of all their results; kinds of task may have been drawn differently often.
--only and --learners choose among them; --one-split has one table a kind of record and task, of
sets that take part in one split each.
"""

import argparse
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from inoculate.benchmark.runner import Entrant, Result, read_results
from inoculate.benchmark.scenario import plan
from inoculate.errors import InoculateError
from inoculate.features.space import Space
from inoculate.learner import Learner, Scores
from inoculate.task import Encoded, Support, Task
from inoculate.workflows.bench import RESULTS, Request, bench, write_report

NOVELTY = frozenset({"zero_day"})
WITH_EXAMPLES = frozenset({"detect", "n_way", "open_set", "shuffled", "rank"})


class Unlearned(Learner):
    """A method without meta-training."""

    def __init__(self) -> None:
        pass

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> "Unlearned":
        return self

    def state(self) -> dict:
        return {}

    def load_state(self, state: object) -> "Unlearned":
        return self


class Fitted:
    """What scores: a function of dense reference-normalised columns."""

    def __init__(self, space: Space, threat: Callable | None, novelty: Callable | None) -> None:
        self.space, self.threat, self.novelty = space, threat, novelty

    def score(self, x: Encoded) -> Scores:
        dense = self.space.dense(self.space.z(x))
        none = np.zeros((len(dense), 0)), np.zeros(len(dense))
        threat = none[0] if self.threat is None else self.threat(dense)
        novelty = none[1] if self.novelty is None else self.novelty(dense)
        return Scores(np.asarray(threat, np.float32), np.asarray(novelty, np.float32))


class Classifier(Unlearned):
    """A scikit-learn classifier, background being one more class."""

    @abstractmethod
    def make(self, seed: int) -> object: ...

    def adapt(self, support: Support, *, seed: int = 0) -> Fitted:
        space = Space.of(support)
        x = space.dense(np.concatenate([space.background, space.examples]))
        y = np.concatenate([np.full(len(space.background), -1), support.examples.y])
        model = self.make(seed).fit(x, y)
        return Fitted(space, lambda dense: model.predict_proba(dense)[:, 1:], None)


class RandomForest(Classifier):
    def make(self, seed: int) -> object:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            100, class_weight="balanced", min_samples_leaf=2, random_state=seed
        )


class LightGbm(Classifier):
    def make(self, seed: int) -> object:
        from lightgbm import LGBMClassifier

        return LGBMClassifier(
            min_child_samples=1, class_weight="balanced", random_state=seed, n_jobs=1, verbose=-1
        )


class NearestCentroid(Unlearned):
    def adapt(self, support: Support, *, seed: int = 0) -> Fitted:
        space = Space.of(support)
        background = space.dense(space.background).mean(0)
        examples, y = space.dense(space.examples), support.examples.y
        centers = [examples[y == c].mean(0) for c in range(support.n_way)]

        def threat(dense: np.ndarray) -> np.ndarray:
            far = np.abs(dense - background).mean(1)
            near = np.stack([np.abs(dense - c).mean(1) for c in centers], 1)
            return far[:, None] / (far[:, None] + near + 1e-9)

        return Fitted(space, threat, None)


class IsolationForest(Unlearned):
    def adapt(self, support: Support, *, seed: int = 0) -> Fitted:
        from sklearn.ensemble import IsolationForest as Forest

        space = Space.of(support)
        forest = Forest(n_estimators=100, random_state=seed).fit(space.dense(space.background))
        return Fitted(space, None, lambda dense: -forest.score_samples(dense))


class Ecod(Unlearned):
    """Li et al., "ECOD", TKDE 2022, section 3.2: tail probabilities, columns as independent.

    As its authors' PyOD does, the larger tail counts column by column, not summed up first.
    """

    def adapt(self, support: Support, *, seed: int = 0) -> Fitted:
        space = Space.of(support)
        columns = np.sort(space.dense(space.background), axis=0).T
        n = columns.shape[1]

        def novelty(dense: np.ndarray) -> np.ndarray:
            pairs = list(zip(columns, dense.T, strict=True))
            below = np.stack([np.searchsorted(c, v, "right") for c, v in pairs], 1)
            above = n - np.stack([np.searchsorted(c, v, "left") for c, v in pairs], 1)
            return -np.log((np.minimum(below, above) + 1) / (n + 1)).sum(1)

        return Fitted(space, None, novelty)


def entrants() -> dict[str, Entrant]:
    """Return the peers by name."""
    found = {
        "random_forest (scikit-learn)": Entrant(RandomForest(), kinds=WITH_EXAMPLES),
        "nearest_centroid": Entrant(NearestCentroid(), kinds=WITH_EXAMPLES),
        "isolation_forest (scikit-learn)": Entrant(IsolationForest(), kinds=NOVELTY),
        "ecod": Entrant(Ecod(), kinds=NOVELTY),
    }
    try:
        import lightgbm  # noqa: F401

        found["lightgbm"] = Entrant(LightGbm(), kinds=WITH_EXAMPLES)
    except ImportError:
        print("lightgbm is not installed: not among the peers", file=sys.stderr)
    return found


def told(result: Result) -> None:
    print(f"{result.scenario} {result.learner} {result.failed}", file=sys.stderr, flush=True)


def report(arguments: argparse.Namespace) -> None:
    """Write one report of results measured apart, in the order of the plan's kinds of task."""
    found = {r.digest: r for f in arguments.report for r in read_results(f / RESULTS)}
    wanted = set(arguments.learners.split(",")) - {""}
    kept = [
        replace(r, group=_merged(r.group)) if arguments.one_split else r
        for r in found.values()
        if (not wanted or r.learner in wanted)
        and (not arguments.only or any(fnmatchcase(r.scenario, p) for p in arguments.only))
    ]
    order = [t.suffix for t in plan().task]
    kept.sort(key=lambda r: order.index(r.group.split("/", 2)[2]))
    kept.sort(key=lambda r: r.group.split("/", 2)[:2])
    facts = {
        "Made by": "benchmarks/peers.py --size full, each kind of task in a run of its own",
        "Draws": f"as under each table, up to {plan().n_query} queries a class, seed {plan().seed}",
    }
    if arguments.one_split:
        facts["Splits"] = (
            "`unseen`: unseen classes of sets that some prior was trained on, all classes of others"
        )
    write_report(arguments.output, kept, facts)
    print(arguments.output / "report.md")


def _merged(group: str) -> str:
    room, _, kind = group.split("/", 2)
    return f"{room}/unseen/{kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("smoke", "full"), default="smoke")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--learners", default="")
    parser.add_argument("--prior", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--report", type=Path, action="append", default=[])
    parser.add_argument("--one-split", action="store_true", help="in a report")
    arguments = parser.parse_args()
    if arguments.report:
        report(arguments)
        return
    priors = {n: Path(p) for n, _, p in (text.partition("=") for text in arguments.prior)}
    request = Request(
        output=arguments.output,
        full=arguments.size == "full",
        learners=tuple(n for n in arguments.learners.split(",") if n),
        priors=priors,
        draws=arguments.draws,
        classes=arguments.classes,
        folder=arguments.data,
    )
    try:
        request = replace(request, only=tuple(arguments.only))
        outcome = bench(request, extra=entrants(), on_result=told)
    except InoculateError as err:
        sys.exit(f"peers: {err}")
    for line in (*outcome.notes, *outcome.regressions):
        print(line, file=sys.stderr)
    print(arguments.output / "report.md")


if __name__ == "__main__":
    main()
