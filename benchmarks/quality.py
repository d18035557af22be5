"""Learners beside simple peers on threats that nobody has seen: quality, promises, cost.

Hyperparameters are chosen on meta-validation classes only; what is printed is of meta-test
classes and of whole datasets that no prior saw. Writes docs/measured/learners.md and .json.

    python benchmarks/quality.py --size full
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from flow_sets import CIC, TRAIN, VALIDATION, ZEEK, load

from inoculate.calibration import calibrate
from inoculate.features.space import Space, balanced_weights
from inoculate.learner import Learner, Scores
from inoculate.metrics import auprc, auroc, bootstrap, holm, recall_at, wilcoxon
from inoculate.registry import LEARNERS
from inoculate.sampling import Pool, Shape, sample_task
from inoculate.task import BACKGROUND, Encoded, Labelled, Support
from inoculate.workflows.recipe import read_recipe
from inoculate.workflows.train import recipe_tasks

Figures = dict[str, float]
RATE = 0.01
RECIPE = Path("recipes/flows.toml")
OUT = Path("docs/measured")


class Peer:
    """A scikit-learn estimator on the same reference-normalised columns."""

    def __init__(self, make: Callable[[int], object]) -> None:
        self.make = make

    def adapt(self, support: Support, *, seed: int = 0) -> "Peer":
        """Return a fitted copy."""
        fitted, space = Peer(self.make), Space.of(support)
        fitted.space, fitted.model = space, self.make(seed)
        x = space.dense(np.concatenate([space.background, space.examples]))
        if not support.n_way:
            fitted.model.fit(x)
            return fitted
        weight = balanced_weights(len(space.background), support.examples.y == 0)
        fitted.model.fit(x, weight[:, 1] > 0, sample_weight=weight.sum(1) * len(x))
        return fitted

    def score(self, x: Encoded) -> Scores:
        """Return the probability of the class, or the estimator's own novelty."""
        dense = self.space.dense(self.space.z(x))
        if hasattr(self.model, "predict_proba"):
            threat = self.model.predict_proba(dense)[:, 1:].astype(np.float32)
            return Scores(threat, np.zeros(len(dense), np.float32))
        novelty = -self.model.score_samples(dense).astype(np.float32)
        return Scores(np.zeros((len(dense), 0), np.float32), novelty)


class NearestCentroid:
    """Distance to the mean example against distance to the mean background record."""

    def fit(self, x, y, sample_weight):
        """Keep the two means."""
        self.centers = [x[~y].mean(0), x[y].mean(0)]

    def predict_proba(self, x):
        """Return a score that rises towards the class."""
        near = [np.abs(x - c).mean(1) for c in self.centers]
        share = near[0] / (near[0] + near[1] + 1e-9)
        return np.stack([1 - share, share], 1)


def peers() -> dict[str, Peer]:
    """Return the peers that are no learners of the package."""
    from sklearn.ensemble import IsolationForest, RandomForestClassifier

    return {
        "random_forest (scikit-learn)": Peer(
            lambda s: RandomForestClassifier(
                100, class_weight="balanced", min_samples_leaf=2, random_state=s
            )
        ),
        "nearest_centroid": Peer(lambda s: NearestCentroid()),
        "isolation_forest (scikit-learn)": Peer(
            lambda s: IsolationForest(n_estimators=100, random_state=s)
        ),
    }


GRID: dict[str, list[dict[str, float]]] = {
    "k_nearest": [{"n_neighbours": k, "softening": s} for k in (1, 3, 5) for s in (0.03, 0.1, 0.3)],
    "logistic": [{"penalty": p} for p in (0.003, 0.01, 0.03, 0.1, 0.3)],
    "extra_trees": [{"min_leaf": m} for m in (1, 2, 3, 4, 5)],
}


@dataclass(frozen=True)
class Scenario:
    """One kind of task; its id is permanent."""

    shots: int
    contamination: float = 0.0
    calibrated: bool = False
    background: int = 200

    @property
    def name(self) -> str:
        """Return the last parts of the scenario's id."""
        kind = f"detect/{self.shots}" if self.shots else "zero_day/0"
        return kind + (f"/contaminated-{self.contamination:.0%}" if self.contamination else "")


SCENARIOS = (
    Scenario(1),
    Scenario(5, calibrated=True),
    Scenario(10),
    Scenario(5, contamination=0.05, calibrated=True),
    Scenario(0),
)


def draw(pool: Pool, name: str, scenario: Scenario, seed: int) -> tuple[Support, Labelled]:
    """Return support and query of one draw; for zero-day the examples are put aside."""
    rng = np.random.default_rng([seed, scenario.shots])
    shape = Shape(max(scenario.shots, 1), scenario.background, 200, 1_000, scenario.contamination)
    task = sample_task(pool, [name], shape, rng)
    s = task.support
    if scenario.shots:
        return s, task.query
    none = Labelled(s.examples.x.take(np.arange(0)), s.examples.y[:0])
    return Support(none, s.background, ()), task.query


def judge(learner: Learner, pool: Pool, name: str, scenario: Scenario, seed: int) -> Figures:
    """Return every figure of one draw."""
    support, query = draw(pool, name, scenario, seed)
    benign = query.y == BACKGROUND
    started = time.perf_counter()
    detector = learner.adapt(support, seed=seed)
    adapted = time.perf_counter()
    alarm = detector.score(query.x).alarm()
    scored = time.perf_counter()
    positive, negative = alarm[~benign], alarm[benign]
    found = {
        "recall": recall_at(negative, positive, RATE),
        "auroc": auroc(negative, positive),
        "auprc": auprc(negative, positive, prevalence=0.01),
        "adapt_s": adapted - started,
        "records_per_s": len(alarm) / (scored - adapted),
    }
    if scenario.calibrated and not isinstance(learner, Peer):
        detector, calibration, _ = calibrate(learner, support, seed=seed)
        alarm = detector.score(query.x).alarm() >= calibration.threshold(RATE)
        found |= {"realised": float(alarm[benign].mean()), "kept": float(alarm[~benign].mean())}
    return found


def usable(pool: Pool, scenario: Scenario) -> list[str]:
    """Return classes with at least five queries besides examples and contamination."""
    need = scenario.shots + 5 + round(scenario.contamination * scenario.background)
    return sorted(c for c, rows in pool.classes.items() if len(rows) >= need)


def choose(pool: Pool, classes: Iterable[str], draws: int) -> dict[str, dict[str, float]]:
    """Return the best hyperparameters of each baseline on meta-validation classes."""
    best = {}
    for name, grid in GRID.items():
        means = []
        for kwargs in grid[:2] if draws == 1 else grid:
            learner = LEARNERS.load(name)(**kwargs)
            found = [
                judge(learner, pool, c, replace(scenario, calibrated=False), 1000 + seed)["recall"]
                for scenario in SCENARIOS
                if scenario.shots
                for c in classes
                if c in usable(pool, scenario)
                for seed in range(draws)
            ]
            means.append(float(np.mean(found)))
            print(f"  {name} {kwargs}: {means[-1]:.4f}")
        best[name] = grid[int(np.argmax(means))] | {"validation_recall": max(means)}
    return best


def meta_trained(pool: Pool, smoke: bool) -> dict[str, Learner]:
    """Return the learners that need it, meta-trained by the recipe on its classes only."""
    recipe = read_recipe(RECIPE)
    recipe = recipe.model_copy(update={"data": recipe.data[:1]})
    settings: dict[str, tuple[dict, dict]] = {
        recipe.learner: (recipe.hyperparameters, {}),
        "maml": ({"inner_rate": 0.1}, {"made_up": 0.8, "n": 4_000}),
        "meta_embedding": ({"hidden": 512, "embedding": 128}, {}),
    }
    found = {}
    for name, (kwargs, tasks) in settings.items():
        changed = recipe.tasks.model_copy(update=tasks | ({"n": 40} if smoke else {}))
        started = time.perf_counter()
        stream = recipe_tasks(recipe.model_copy(update={"tasks": changed}), [pool])
        found[name] = LEARNERS.load(name)(**kwargs).meta_fit(stream, seed=recipe.seed)
        print(f"  {name}: {changed.n} tasks in {time.perf_counter() - started:.0f} s")
    return found


Cases = dict[str, dict[str, list[Figures]]]  # learner -> dataset/class -> draws


def run(learners: dict[str, Learner], pools: dict[str, Pool], scenario: Scenario, n: int) -> Cases:
    """Return the figures of every learner on every class."""
    cases: Cases = {}
    for learner_name, learner in learners.items():
        zero_day_only, never = "isolation" in learner_name, isinstance(learner, Peer)
        if (scenario.shots == 0) != zero_day_only and (zero_day_only or never):
            continue
        cases[learner_name] = {
            f"{set_name}/{c}": [judge(learner, pool, c, scenario, seed) for seed in range(n)]
            for set_name, pool in pools.items()
            for c in usable(pool, scenario)[: 2 if n == 1 else None]
        }
        print(f"  {scenario.name} {learner_name}: {mean(cases[learner_name], 'recall'):.3f}")
    return cases


def mean(classes: dict[str, list[Figures]], figure: str) -> float:
    """Return the mean over classes of the mean over draws."""
    return float(np.mean([np.mean([d[figure] for d in draws]) for draws in classes.values()]))


def summary(cases: Cases, default: str) -> dict[str, dict[str, float]]:
    """Return for each learner its means, intervals and the test against the default."""
    rows, p_values = {}, {}
    for name, classes in cases.items():
        metric = "recall"
        flat = np.array([d[metric] for c in sorted(classes) for d in classes[c]])
        base = np.array([d[metric] for c in sorted(classes) for d in cases[default][c]])
        p_values[name] = wilcoxon(flat, base)
        row = {}
        for figure in next(iter(classes.values()))[0]:
            found = bootstrap({c: [d[figure] for d in ds] for c, ds in classes.items()}, seed=0)
            row[figure] = found.mean
            row[f"{figure}_low"], row[f"{figure}_high"] = found.low, found.high
        row["worst"] = min(float(np.mean([d["recall"] for d in ds])) for ds in classes.values())
        rows[name] = row
    for name, p in holm({n: p for n, p in p_values.items() if n != default}).items():
        rows[name]["p_holm"] = p
    return dict(sorted(rows.items(), key=lambda item: -item[1]["recall"]))


def with_interval(row: dict[str, float], figure: str) -> str:
    """Return a figure as text."""
    return f"{row[figure]:.3f} [{row[figure + '_low']:.3f}, {row[figure + '_high']:.3f}]"


def table(name: str, rows: dict[str, dict[str, float]], default: str) -> list[str]:
    """Return a Markdown table of one scenario."""
    kept = "realised" in rows[default]
    head = ["learner", "recall at 1 % FAR", "worst class", "AUPRC at 1 %", "AUROC"]
    head += ["realised FAR at 1 %", "recall kept"] if kept else []
    head += [f"p against {default}", "adapt ms"]
    lines = [f"### {name}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for learner, row in rows.items():
        cells = [learner, with_interval(row, "recall"), f"{row['worst']:.3f}"]
        cells += [with_interval(row, "auprc"), with_interval(row, "auroc")]
        if kept:
            cells += [f"{row[k]:.4f}" if k in row else "" for k in ("realised", "kept")]
        cells += [f"{row['p_holm']:.2g}" if "p_holm" in row else ""]
        cells += [f"{1000 * row['adapt_s']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    sure = {n: r for n, r in rows.items() if r.get("p_holm", 1) < 0.05}
    base = rows[default]["recall"]
    better = [n for n, r in sure.items() if r["recall"] > base]
    worse = [n for n, r in sure.items() if r["recall"] <= base]
    told = f"Better than {default} beyond chance: {', '.join(better) or 'none'}; "
    return [*lines, "", told + f"worse: {', '.join(worse) or 'none'}.", ""]


def by_class(cases: Cases) -> list[str]:
    """Return a Markdown table of recalls, a class a line."""
    names = list(cases)
    lines = ["| set / class | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for c in next(iter(cases.values())):
        cells = [f"{np.mean([d['recall'] for d in cases[n][c]]):.3f}" for n in names]
        lines.append(f"| {c} | " + " | ".join(cells) + " |")
    return [*lines, ""]


ABOUT = """# Learners on threats nobody has seen

Made by `python benchmarks/quality.py --size {size}` in {minutes:.0f} minutes on {machine}.

* **Data**: `cicids2017_improved`, `cicddos2019_sample`, `cseids2018_sample` read by the domain
  `cicflowmeter`; `ton_iot_network` (terms: evaluation only) and `ctu_zeek_conn` written out as
  conn.log and read by `zeek_conn`. Canonical flow columns, exact repeats removed; no address,
  port or time, and no context columns, which a sample of flows cannot show.
* **Classes**: priors were meta-trained on {train}; hyperparameters were chosen on
  {validation}. Everything below is on the other {n} classes, of which
  {cross} are of sets that neither training nor choosing saw.
* **Draws**: {draws} a class, 200 background records, up to 200 threat and 1,000 benign queries.
  Intervals: 95 %, classes redrawn, then draws. p: Wilcoxon's signed-rank test over all draws,
  Holm's correction. FAR: false-alarm rate. "Recall kept": at the calibrated threshold.
* **Chosen**: {chosen}.
* The default is `{default}`. Among the learners that need no prior, `k_nearest` did better on
  the classes they were chosen by; it was passed over because its cost grows with background
  (see benchmarks/scan.py) and because it is misled more by contaminated background, a choice
  that the tables below can be held against.
* Contaminated background keeps the promise but costs recall: what sits among the highest
  background scores raises the threshold above itself ("recall kept").
* LightGBM, a mandatory peer of the protocol, is not among these peers yet.

"""


def main() -> None:
    """Run and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("smoke", "full"), default="smoke")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--json", action="store_true", help="print the figures as one last line")
    arguments = parser.parse_args()
    smoke = arguments.size == "smoke"
    started, draws = time.perf_counter(), 1 if smoke else 10
    pools = {n: load(n).pool() for n in (CIC[:2] if smoke else (*CIC, *ZEEK))}
    home = pools[CIC[0]]
    chosen = choose(home, VALIDATION[:1] if smoke else VALIDATION, 1 if smoke else 5)
    learners: dict[str, Learner] = {
        n: LEARNERS.load(n)(**{k: v for k, v in kw.items() if k != "validation_recall"})
        for n, kw in chosen.items()
    }
    learners |= meta_trained(home, smoke) | peers()
    tested = {c: r for c, r in home.classes.items() if c not in {*TRAIN, *VALIDATION}}
    pools[CIC[0]] = Pool(home.x, tested, home.benign, home.domain)
    default = "extra_trees"
    found = {s.name: run(learners, pools, s, draws) for s in SCENARIOS}
    rows = {name: summary(cases, default) for name, cases in found.items()}
    lines = []
    for name, row in rows.items():
        lines += table(name, row, default)
    lines += ["### Recall at 1 % FAR by class, five examples", "", *by_class(found["detect/5"])]
    shown = {n: ", ".join(f"{k} {v:.4g}" for k, v in kw.items()) for n, kw in chosen.items()}
    text = ABOUT.format(
        size=arguments.size,
        minutes=(time.perf_counter() - started) / 60,
        machine=f"two shared cores, Python {platform.python_version()}",
        train=", ".join(TRAIN),
        validation=", ".join(VALIDATION),
        n=sum(len(p.classes) for p in pools.values()),
        cross=sum(len(p.classes) for n, p in pools.items() if n != CIC[0]),
        draws=draws,
        chosen="; ".join(f"{n} ({kw})" for n, kw in shown.items()),
        default=default,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "learners.md").write_text(text + "\n".join(lines).rstrip() + "\n")
    report = {"size": arguments.size, "chosen": chosen, "scenarios": rows}
    (arguments.out / "learners.json").write_text(json.dumps(report, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
