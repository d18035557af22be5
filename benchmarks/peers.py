"""`inoculate bench` with peers of other packages and mixtures beside the package's learners.

    python benchmarks/peers.py --size full --output docs/measured/bench

Takes --only, --draws, --learners, --prior NAME=PATH and --data as the command does. Runs can be
split over processes by --only, each with its own --output; then join their results.jsonl into
one folder and run again without --only: nothing is measured twice, the report is of everything.
"""

import argparse
import hashlib
import sys
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from inoculate.benchmark.runner import Entrant, Result
from inoculate.errors import InoculateError
from inoculate.features.space import Space
from inoculate.learner import Learner, Scores
from inoculate.registry import LEARNERS
from inoculate.store.artifact import shipped
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, Support, Task
from inoculate.workflows.bench import Request, bench

NOVELTY = frozenset({"zero_day"})
WITH_EXAMPLES = frozenset({"detect", "n_way", "open_set", "shuffled"})


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


class Remembering(Unlearned):
    """A slow learner whose scores are not computed again for a mixture it is part of."""

    def __init__(self, inner: Learner | None = None) -> None:
        self.inner = inner
        self.scores: OrderedDict[str, Scores] = OrderedDict()
        self.transductive = inner is not None and inner.transductive
        self.meta_trained = inner is not None and inner.meta_trained
        self.schema_free = inner is not None and inner.schema_free

    def adapt(self, support: Support, *, seed: int = 0) -> "Remembered":
        return Remembered(self, self.inner.adapt(support, seed=seed), digest(support, seed))

    def hyperparameters(self) -> dict:
        return {type(self.inner).__name__: self.inner.hyperparameters()}

    def state(self) -> dict:
        return dict(self.inner.state())


class Remembered:
    """A detector that asks its learner's memory first."""

    def __init__(self, learner: Remembering, detector: object, key: str) -> None:
        self.learner, self.detector, self.key = learner, detector, key

    def score(self, x: Encoded) -> Scores:
        memory, key = self.learner.scores, self.key + digest(x)
        if key not in memory:
            memory[key] = self.detector.score(x)
            if len(memory) > 4_000:
                memory.popitem(last=False)
        return memory[key]


def digest(what: Support | Encoded, seed: int = 0) -> str:
    found = hashlib.sha256(str(seed).encode())
    if isinstance(what, Encoded):
        found.update(what.stacked().tobytes())
    else:
        for x in (what.examples.x, what.background):
            found.update(x.stacked().tobytes())
        found.update(what.examples.y.tobytes())
    return found.hexdigest()


class MeanRank(Unlearned):
    """The mean of several learners' ranks of the records of one batch."""

    transductive = True

    def __init__(self, members: tuple[Learner, ...] = ()) -> None:
        self.members = members
        self.meta_trained = any(m.meta_trained for m in members)
        self.schema_free = all(m.schema_free or not m.meta_trained for m in members)

    def adapt(self, support: Support, *, seed: int = 0) -> "Ranked":
        return Ranked([m.adapt(support, seed=seed) for m in self.members])

    def hyperparameters(self) -> dict:
        return {type(m).__name__: m.hyperparameters() for m in self.members}

    def state(self) -> dict:
        parts = enumerate(m.state() for m in self.members)
        return {f"{i}/{k}": v for i, state in parts for k, v in state.items()}


class Ranked:
    def __init__(self, detectors: list) -> None:
        self.detectors = detectors

    def score(self, x: Encoded) -> Scores:
        scores = [d.score(x) for d in self.detectors]
        threat = np.mean([ranks(s.threat) for s in scores], axis=0)
        novelty = np.mean([ranks(s.novelty) for s in scores], axis=0)
        return Scores(threat.astype(np.float32), novelty.astype(np.float32))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks between 0 and 1 among all values, equals sharing theirs."""
    order = np.sort(values, axis=None)
    both = [np.searchsorted(order, values, side) for side in ("left", "right")]
    return (both[0] + both[1]) / (2 * max(len(order), 1))


def entrants(priors: dict[str, Path]) -> dict[str, Entrant]:
    """Return the peers, and for each prior for any table its mixture with extra trees."""
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
    for name, path in ({n: Path(n) for n in shipped()} | priors).items():
        prior = load_prior(path)
        if prior.learner.schema_free:
            once = Remembering(prior.learner)
            both = MeanRank((LEARNERS.load("extra_trees")(), once))
            seen = frozenset(d.sha256 for d in prior.manifest.data if d.sha256)
            found[name] = Entrant(once, prior.views, seen, baseline=False)
            found[f"{name} + extra_trees"] = Entrant(both, prior.views, seen, baseline=False)
    return found


def told(result: Result) -> None:
    print(f"{result.scenario} {result.learner} {result.failed}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("smoke", "full"), default="smoke")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--learners", default="")
    parser.add_argument("--prior", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    priors = {n: Path(p) for n, _, p in (text.partition("=") for text in arguments.prior)}
    request = Request(
        output=arguments.output,
        full=arguments.size == "full",
        learners=tuple(n for n in arguments.learners.split(",") if n),
        priors=priors,
        draws=arguments.draws,
        folder=arguments.data,
    )
    try:
        request = replace(request, only=tuple(arguments.only))
        outcome = bench(request, extra=entrants(priors), on_result=told)
    except InoculateError as err:
        sys.exit(f"peers: {err}")
    for line in (*outcome.notes, *outcome.regressions):
        print(line, file=sys.stderr)
    print(arguments.output / "report.md")


if __name__ == "__main__":
    main()
