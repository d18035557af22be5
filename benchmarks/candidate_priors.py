"""Priors that might be shipped for a kind of record, each against what is taken without one.

A candidate is trained on some classes of sets whose terms allow it, as the recipes of the shipped
priors are, and judged on classes and sets that it has not seen, beside the default learner on
the same draws. It is worth shipping where the interval of the gap lies above 0
(docs/model-cards.md).

    python benchmarks/candidate_priors.py [NAME ...] [--data FOLDER] [--draws N] [--json]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from inoculate.benchmark.scenario import Scenario, TaskShape
from inoculate.benchmark.tables import read
from inoculate.benchmark.tasks import cases, draw, judge
from inoculate.learner import Learner
from inoculate.metrics import bootstrap
from inoculate.registry import LEARNERS
from inoculate.store.detector import load_prior
from inoculate.workflows.recipe import in_plan
from inoculate.workflows.train import train

CANDIDATES = {
    "api_calls": {
        "kind": "api_calls",
        "unit": "trace",
        "train": {"malbehavd_v1_api": None, "mal_api_2019_seq": None},
        "test": ("mal_api_2019_seq", "drebin_dev", "riss_ransomware2016", "vba_pcode"),
    },
    # terms: share alike; tried, and not to be shipped whatever it says
    "log_line": {
        "kind": "log_line",
        "unit": "line",
        "train": {
            "cti_attack_sentences": [
                *("T1059", "T1547", "T1070", "T1082", "T1036", "T1055", "T1218", "T1140", "T1016"),
                *("T1204", "T1543", "T1562", "T1053", "T1056", "T1003", "T1555", "T1553", "T1113"),
            ]
        },
        "test": ("cti_attack_sentences", "bgl_2k_lines"),
    },
    "tables": {
        "prior": "evidence",
        "default": "extra_trees",
        "test": ("tuandromd", "mal_api_2019_bigrams"),
    },
}
MOST_CLASSES = 10
FIGURES = ("recall", "auprc")

_RECIPE = """
name = "candidate"
kind = "{kind}"
unit = "{unit}"
learner = "discriminant"
seed = 0
[tasks]
n = 600
made_up = 0.0
hidden = 0.0
n_shot = [5, 5]
n_background = 200
n_query = 60
n_benign = 60
seed = 0
"""


def trained(candidate: dict, folder: Path) -> Learner:
    """Return a candidate's prior, trained as its recipe says."""
    if "prior" in candidate:
        return load_prior(candidate["prior"]).learner
    with tempfile.TemporaryDirectory() as scratch:
        text = _RECIPE.format(**candidate)
        for name, classes in candidate["train"].items():
            text += f'[[data]]\ndataset = "{name}"\nlicence = "see the catalogue"\n'
            text += f"train = {json.dumps(classes)}\n" if classes else ""
        recipe = Path(scratch) / "candidate.toml"
        recipe.write_text(text, encoding="utf-8")
        train(recipe, Path(scratch) / "out", folder=folder)
        return load_prior(Path(scratch) / "out").learner


def compare(candidate: dict, folder: Path, *, n_draws: int) -> list[dict]:
    """Return for each set the figures of prior and default, and the interval of their gap."""
    learners = {
        "prior": trained(candidate, folder),
        "default": LEARNERS.load(candidate.get("default", "committee"))(),
    }
    seen = candidate.get("train", {})
    task = TaskShape(kind="detect", shots=5)
    rows = []
    for name in candidate["test"]:
        found = in_plan(name)
        classes = seen.get(name) or found.meta_train if name in seen else ()
        dataset = found.model_copy(update={"meta_train": tuple(classes), "meta_validation": ()})
        scenario = Scenario(dataset, "unseen-classes" if name in seen else "never-seen", task)
        pool = read(dataset, folder).pool
        several = cases(pool, scenario)[:MOST_CLASSES]
        gaps: dict[str, dict[str, list[float]]] = {f: {} for f in FIGURES}
        told = {(who, f): [] for who in learners for f in FIGURES}
        for case in several:
            for number in range(n_draws if len(several) > 1 else 4 * n_draws):
                drawn = draw(pool, scenario, case, seed=0, number=number, n=100)
                figures = {
                    who: judge(learner, drawn, task, seed=number)
                    for who, learner in learners.items()
                }
                for f in FIGURES:
                    gap = figures["prior"][f] - figures["default"][f]
                    gaps[f].setdefault(case, []).append(gap)
                    for who in learners:
                        told[who, f].append(figures[who][f])
        row = {"set": name, "classes": several, "split": scenario.split}
        for f in FIGURES if several else ():
            gap = bootstrap(gaps[f], seed=0)
            row[f] = {
                "prior": float(np.mean(told["prior", f])),
                "default": float(np.mean(told["default", f])),
                "gap": [gap.mean, gap.low, gap.high],
            }
        rows.append(row)
        print(_shown(row), flush=True)
    return rows


def _shown(row: dict) -> str:
    parts = [
        f"{f} {row[f]['prior']:.3f} against {row[f]['default']:.3f}, gap {row[f]['gap'][0]:+.3f} "
        f"[{row[f]['gap'][1]:+.3f}, {row[f]['gap'][2]:+.3f}]"
        for f in FIGURES
        if f in row
    ]
    n = len(row["classes"])
    return f"  {row['set']} ({row['split']}, {n} classes): " + (
        "; ".join(parts) or "too few records"
    )


def main() -> None:
    """Compare the candidates that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for name in options.names or CANDIDATES:
        print(name, flush=True)
        results[name] = compare(CANDIDATES[name], options.data, n_draws=options.draws)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
