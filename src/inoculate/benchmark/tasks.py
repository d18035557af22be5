"""One draw of a scenario, and every figure of one learner on it.

References:
    Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", ICML 2006.
    Scheirer et al., "Toward Open Set Recognition", TPAMI 35, 2013, section 1, for unknown classes.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.benchmark.scenario import Kind, Scenario, TaskShape
from inoculate.calibration import Calibration, cross_scores
from inoculate.features.neighbours import nearest
from inoculate.features.space import Space
from inoculate.learner import Detector, Learner, Scores
from inoculate.metrics import auprc, auroc, recall_at
from inoculate.sampling import Pool, Shape, sample_pairs, sample_task
from inoculate.task import BACKGROUND, Encoded, IntArray, Labelled, Support

Figures = dict[str, float]

UNKNOWN = -2
"""Label of a query record of a threat that the support set does not hold."""

RATE = 0.01
PREVALENCE = 0.01
FOR_A_THOUSANDTH = 3_000
"""Benign queries that recall at 0.1 % false alarms needs."""

ALL = "all classes"
"""Name of the one case of a kind whose tasks are of several classes."""

_FEWEST_QUERIES = 5
_FEWEST_PAIRS = 15
_FEWEST_BENIGN = 100
_FEWEST_RANKED = 20
"""Benign queries of a tiny table: a rank among so few says something, a rate of 1 % nothing."""
_NEAR = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Support, and query records with class index, ``BACKGROUND`` or ``UNKNOWN``."""

    support: Support
    x: Encoded
    y: IntArray


def usable(pool: Pool, scenario: Scenario) -> list[str]:
    """Return the classes with examples, contamination and five queries, none in two roles.

    In a tiny table one query will do. Where records were made together, a class has to be of two
    recordings at least.
    """
    task = scenario.task
    queries = 1 if task.kind == "rank" else _FEWEST_QUERIES
    need = max(task.shots, 1) + queries + _foreign(task)
    names = sorted(c for c, r in pool.classes.items() if scenario.takes(c) and len(r) >= need)
    if pool.together is None:
        return names
    return [c for c in names if _recordings_do(pool.together[pool.classes[c]], task)]


def _recordings_do(together: IntArray, task: TaskShape) -> bool:
    """Return True where any half of the recordings holds the examples, the other the queries."""
    sizes = np.sort(np.unique(together, return_counts=True)[1])
    half = len(sizes) // 2
    fewest, rest = int(sizes[:half].sum()), int(sizes[: len(sizes) - half].sum())
    return half > 0 and fewest >= max(task.shots, 1) and rest >= _FEWEST_QUERIES + _foreign(task)


def cases(pool: Pool, scenario: Scenario) -> list[str]:
    """Return what a scenario is drawn for: each class, or all at once; maybe nothing.

    Where no class is benign, one is told from the others; what is new or unknown among them
    cannot be asked.
    """
    kind, names = scenario.task.kind, usable(pool, scenario)
    if kind == "pairs":
        return [c for c in names if _pairs_do(pool, scenario, c)]
    if pool.others and kind in ("zero_day", "open_set"):
        return []
    if kind in ("detect", "zero_day", "rank"):
        return [c for c in names if _background_does(pool, scenario, [c])]
    largest = sorted(names, key=lambda c: -len(pool.classes[c]))[: scenario.task.n_way]
    return [ALL] if len(names) > 1 and _background_does(pool, scenario, largest) else []


def _pairs_do(pool: Pool, scenario: Scenario, name: str) -> bool:
    """Return True where pairs suffice for any half of the recordings, and background too."""
    rows, task = pool.paired(name), scenario.task
    if pool.together is not None:
        rows = rows if _recordings_do(pool.together[rows], task) else rows[:0]
    enough = len(rows) >= max(task.shots + _FEWEST_QUERIES, _FEWEST_PAIRS)
    left = len(pool.usual([name])) - len(pool.classes[name])
    return enough and left >= task.background + _FEWEST_BENIGN


def _background_does(pool: Pool, scenario: Scenario, names: Sequence[str]) -> bool:
    fewest = _FEWEST_RANKED if scenario.task.kind == "rank" else _FEWEST_BENIGN
    return len(pool.usual(names)) >= scenario.task.background + fewest


def draw(pool: Pool, scenario: Scenario, case: str, *, seed: int, number: int, n: int) -> Drawn:
    """Return a draw; the same arguments give the same one, whoever is judged on it.

    Args:
        pool: the dataset.
        scenario: what to draw.
        case: one of ``cases``.
        seed: of the plan.
        number: of the draw.
        n: queries a class.
    """
    key = zlib.crc32(f"{scenario.id} {case}".encode())
    rng = np.random.default_rng([seed, number, key])
    if case == ALL:
        return _several(pool, scenario, n, rng)
    task = scenario.task
    if task.kind == "pairs":
        pairs = sample_pairs(pool, case, Shape(task.shots, task.background, n), rng)
        return Drawn(pairs.support, pairs.query.x, pairs.query.y)
    k = max(task.shots, 1)
    queries = n if pool.together is not None else len(pool.classes[case]) - k - _foreign(task)
    queries = min(n, queries)
    shape = Shape(k, task.background, queries, task.n_benign, task.contamination)
    found = sample_task(pool, [case], shape, rng)
    support = found.support if task.shots else _without_examples(found.support)
    return Drawn(support, found.query.x, found.query.y)


def _several(pool: Pool, scenario: Scenario, n: int, rng: np.random.Generator) -> Drawn:
    task, names = scenario.task, usable(pool, scenario)
    chosen = [str(c) for c in rng.permutation(names)]
    n_way = min(task.n_way, len(chosen))
    if task.kind == "open_set":
        n_way = min(task.n_way, len(chosen) - len(chosen) // 2)
    # telling threats apart, benign queries would cost time and say nothing
    n_benign = task.n_benign if task.kind == "open_set" else 0
    shape = Shape(task.shots, task.background, n, n_benign)
    found = sample_task(pool, chosen[:n_way], shape, rng)
    x, y, support = [found.query.x], [found.query.y], found.support
    if task.kind == "open_set":
        for name in chosen[n_way:]:
            rows = rng.permutation(pool.classes[name])[:n]
            x.append(pool.x.take(rows))
            y.append(np.full(len(rows), UNKNOWN, np.int64))
    if task.kind == "shuffled":
        labels = Labelled(support.examples.x, rng.permutation(support.examples.y))
        support = Support(labels, support.background, support.classes)
    return Drawn(support, Encoded.concat(x), np.concatenate(y))


def judge(learner: Learner, drawn: Drawn, task: TaskShape, *, seed: int) -> Figures:
    """Return every figure of one draw, and the seconds it took."""
    started = time.perf_counter()
    detector = learner.adapt(drawn.support, seed=seed)
    adapted = time.perf_counter()
    scores = detector.score(drawn.x)
    scored = time.perf_counter()
    found = FIGURES[task.kind](scores, drawn.y)
    found["adapt_s"] = adapted - started
    found["records_per_s"] = len(drawn.y) / max(scored - adapted, 1e-9)
    if task.calibrated and not learner.transductive:
        found |= _kept(learner, detector, scores, drawn, task, seed)
    if task.kind in ("detect", "rank"):
        found["near_duplicates"] = near_duplicates(drawn)
    return found


def _detection(scores: Scores, y: IntArray) -> Figures:
    alarm = scores.alarm()
    negative, positive = alarm[y == BACKGROUND], alarm[y >= 0]
    found = {
        "recall": recall_at(negative, positive, RATE),
        "auprc": auprc(negative, positive, prevalence=PREVALENCE),
        "auroc": auroc(negative, positive),
    }
    if len(negative) >= FOR_A_THOUSANDTH:
        found["recall_thousandth"] = recall_at(negative, positive, RATE / 10)
    return found


def _rank(scores: Scores, y: IntArray) -> Figures:
    """Return the mean share of benign queries that a threat's query ranks above."""
    alarm = scores.alarm()
    return {"auroc": auroc(alarm[y == BACKGROUND], alarm[y >= 0])}


def _telling_apart(scores: Scores, y: IntArray) -> Figures:
    """Return figures of the class queries only: background is not one of the ways."""
    best, truth = scores.best()[y >= 0], y[y >= 0]
    names = np.unique(truth)
    f1 = [_f1(best == c, truth == c) for c in names]
    recalls = [float((best[truth == c] == c).mean()) for c in names]
    return {
        "accuracy": float((best == truth).mean()),
        "macro_f1": float(np.mean(f1)),
        "worst_of_draw": min(recalls),
        "over_chance": float(np.mean(recalls)) - 1 / len(names),
    }


def _f1(said: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> float:
    return float(2 * (said & true).sum() / max(said.sum() + true.sum(), 1))


def _unknown(scores: Scores, y: IntArray) -> Figures:
    """Return how far known threats score above unknown ones, and these above background."""
    alarm = scores.alarm()
    known, unknown = alarm[y >= 0], alarm[y == UNKNOWN]
    limit = np.quantile(known, 0.05, method="lower")
    return {
        "auroc_known": auroc(unknown, known),
        "false_at_95": float((unknown >= limit).mean()),
        "auroc_novelty": auroc(scores.novelty[y == BACKGROUND], scores.novelty[y == UNKNOWN]),
    }


def _pairs(scores: Scores, y: IntArray) -> Figures:
    """Return the share of records above their twins, which come after them in the same order."""
    alarm = scores.alarm().astype(np.float64)
    margin = alarm[y >= 0] - alarm[y == BACKGROUND]
    return {"ranked": float(((margin > 0) + 0.5 * (margin == 0)).mean())}


FIGURES = {
    "pairs": _pairs,
    "rank": _rank,
    "detect": _detection,
    "zero_day": _detection,
    "n_way": _telling_apart,
    "shuffled": _telling_apart,
    "open_set": _unknown,
}

HEADLINE: Mapping[Kind, str] = {
    "detect": "recall",
    "zero_day": "auroc",
    "n_way": "accuracy",
    "shuffled": "over_chance",
    "open_set": "auroc_known",
    "pairs": "ranked",
    "rank": "auroc",
}
"""The figure that learners are ranked by; higher is better."""

COMPARED: Mapping[Kind, tuple[str, ...]] = {
    "detect": ("recall", "auprc"),
    "zero_day": ("auroc", "recall"),
    "n_way": ("accuracy", "macro_f1"),
    "shuffled": (),
    "open_set": ("auroc_known",),
    "pairs": ("ranked",),
    "rank": ("auroc",),
}
"""The figures in which learners are held against the best baseline; higher is better."""


def _kept(
    learner: Learner, detector: Detector, found: Scores, drawn: Drawn, task: TaskShape, seed: int
) -> Figures:
    """Return what the calibrated threshold lets through, as ``calibration.calibrate`` sets it."""
    order = np.random.default_rng(seed).permutation(drawn.support.usual().n_records)
    folds = min(5, len(order))
    scores = cross_scores(learner, detector, drawn.support, order, folds=folds, seed=seed)
    alarm = found.alarm() >= Calibration.of(scores).threshold(RATE)
    if task.kind == "pairs":
        before, after = alarm[drawn.y >= 0], alarm[drawn.y == BACKGROUND]
        return {"both_right": float((before & ~after).mean())}
    return {
        "realised": float(alarm[drawn.y == BACKGROUND].mean()),
        "kept": float(alarm[drawn.y >= 0].mean()),
    }


def near_duplicates(drawn: Drawn) -> float:
    """Return the share of threat queries that all but equal one of the examples."""
    space = Space.of(drawn.support)
    query = space.dense(space.z(drawn.x.take(drawn.y >= 0)))
    if not query.shape[1]:
        return 1.0
    return float((nearest(query, space.dense(space.examples), unmatched=0.0) < _NEAR).mean())


def _foreign(task: TaskShape) -> int:
    return round(task.contamination * task.background)


def _without_examples(support: Support) -> Support:
    none = Labelled(support.examples.x.take(np.arange(0)), support.examples.y[:0])
    return Support(none, support.background, ())
