"""Scoring and adapting with the default detector, beside scikit-learn in the same run.

Flows are drawn from a made-up network with the canonical columns, unknown cells included. The
peer is scikit-learn's extra trees with the same settings on the same support set, asked for
probabilities of the columns as our normalisation leaves them (its own cost is not counted).

    python benchmarks/scan.py --json
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from inoculate.calibration import calibrate
from inoculate.features.flows.flow_schema import FLOW_COLUMNS
from inoculate.features.space import Space
from inoculate.learners.extra_trees import ExtraTrees
from inoculate.registry import LEARNERS
from inoculate.task import Encoded, FloatArray, Labelled, Support

N_SHOT, N_BACKGROUND, BATCH = 5, 200, 25_000


def flows(n: int, rng: np.random.Generator, *, threat: bool) -> FloatArray:
    """Return n flows, (n, columns): heavy-tailed, repeated values, some cells unknown."""
    d = len(FLOW_COLUMNS)
    hidden = rng.normal(size=(n, 6)).astype(np.float32)
    x = np.exp(hidden @ np.random.default_rng(0).normal(size=(6, d)).astype(np.float32))
    x[:, ::3] = np.round(x[:, ::3])
    if threat:
        x[:, 1:20:4] *= 6
    x[rng.random(n) < 0.3, 20:30] = np.nan
    return x


def support(rng: np.random.Generator, n_background: int = N_BACKGROUND) -> Support:
    """Return five examples and some background records."""
    examples = Encoded({"flow": flows(N_SHOT, rng, threat=True)})
    background = Encoded({"flow": flows(n_background, rng, threat=False)})
    return Support(Labelled(examples, np.zeros(N_SHOT, np.int64)), background, ("threat",))


def seconds(work, repeats: int = 3) -> float:
    """Return the least wall time of a few runs, after one that does not count."""
    work()
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def score_all(detector, batches: list[Encoded], threads: int) -> None:
    """Score every batch; a detector is immutable, so threads may share it."""
    if threads == 1:
        for batch in batches:
            detector.score(batch)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(detector.score, batches))


def adapt_fully(s: Support) -> None:
    """Adapt, calibrate across five folds, and leave out each example once."""
    learner = ExtraTrees()
    calibrate(learner, s)
    keep = np.arange(N_SHOT)
    for i in range(N_SHOT):
        rows = keep[keep != i]
        left = Labelled(s.examples.x.take(rows), s.examples.y[rows])
        learner.adapt(Support(left, s.background, s.classes)).score(s.examples.x)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    s, x = support(rng), flows(arguments.records, rng, threat=False)
    batches = [Encoded({"flow": x[i : i + BATCH]}) for i in range(0, len(x), BATCH)]
    names = ("extra_trees", "k_nearest", "logistic")
    detectors = {n: LEARNERS.load(n)().adapt(s) for n in names}
    large = support(rng, 1_000)  # what a detector adapts on when background is plentiful
    detectors |= {f"{n}_1000": LEARNERS.load(n)().adapt(large) for n in names[:2]}
    found: dict[str, float] = {"records": len(x), "columns": x.shape[1]}
    for name, detector in detectors.items():
        for threads in (1, 2):
            rate = len(x) / seconds(lambda d=detector, t=threads: score_all(d, batches, t))
            found[f"{name}_records_per_s_{threads}_threads"] = round(rate)
    found["peer_records_per_s_1_thread"] = round(len(x) / _peer(s, x))
    ratio = found["extra_trees_records_per_s_1_threads"] / found["peer_records_per_s_1_thread"]
    found["times_peer"] = round(ratio, 2)
    found["adapt_s"] = round(seconds(lambda: ExtraTrees().adapt(s)), 4)
    found["adapt_calibrate_leave_one_out_s"] = round(seconds(lambda: adapt_fully(s)), 3)
    for name, value in found.items():
        print(f"{name:45} {value:,}")
    if arguments.json:
        print(json.dumps(found))


def _peer(s: Support, x: FloatArray) -> float:
    from sklearn.ensemble import ExtraTreesClassifier

    space, ours = Space.of(s), ExtraTrees()
    model = ExtraTreesClassifier(
        ours.n_trees, class_weight="balanced", min_samples_leaf=ours.min_leaf, random_state=0
    )
    y = np.repeat([0, 1], [N_BACKGROUND, N_SHOT])
    model.fit(space.dense(np.concatenate([space.background, space.examples])), y)
    dense = space.dense(space.z(Encoded({"flow": x})))
    return seconds(lambda: model.predict_proba(dense))


if __name__ == "__main__":
    main()
