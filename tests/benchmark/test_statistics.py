"""Tables: means, ranks, gaps and when a difference is claimed."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.benchmark.report import markdown
from inoculate.benchmark.runner import Result
from inoculate.benchmark.statistics import over_shots, tables


def results(learner, level, *, baseline=True, n_classes=8, datasets=("a", "b"), noise=0.01):
    found = []
    for dataset in datasets:
        rng = np.random.default_rng(len(learner) + ord(dataset))
        classes = {
            f"c{i}": [
                {"recall": float(v), "auprc": float(v), "adapt_s": 0.1}
                for v in level + noise * rng.random(3)
            ]
            for i in range(n_classes)
        }
        group = "flows/never-seen/detect/5"
        id_ = f"flows/{dataset}/never-seen/detect/5"
        found.append(Result(id_, group, "detect", dataset, learner, baseline, "", classes))
    return found


def test_means_ranks_and_the_best_baseline():
    (table,) = tables(results("low", 0.2) + results("high", 0.6))
    assert [r.learner for r in table.rows] == ["high", "low"]
    assert [r.rank for r in table.rows] == [1.0, 2.0]
    assert table.best == "high"
    assert table.rows[0].figures["recall"].mean == pytest.approx(0.605, abs=0.004)
    assert table.rows[0].gaps == {}
    assert table.rows[1].gaps["recall"].verdict == "worse"


@pytest.mark.parametrize(("level", "verdict"), [(0.7, "better"), (0.5, "worse")])
def test_a_prior_is_held_against_the_best_baseline(level, verdict):
    (table,) = tables(
        results("trees", 0.6) + results("weak", 0.1) + results("prior", level, baseline=False)
    )
    (prior,) = [r for r in table.rows if r.learner == "prior"]
    assert prior.gaps["recall"].against == "trees"
    assert prior.gaps["recall"].verdict == verdict
    assert len(table.losses()) == (2 if verdict == "worse" else 0)


def test_noise_is_no_win():
    (table,) = tables(
        results("trees", 0.5, noise=0.4) + results("prior", 0.5, noise=0.4, baseline=False)
    )
    assert {g.verdict for r in table.rows for g in r.gaps.values()} == {"no difference shown"}


def test_few_classes_claim_nothing():
    (table,) = tables(
        results("trees", 0.2, n_classes=2) + results("prior", 0.9, n_classes=2, baseline=False)
    )
    gap = table.rows[0].gaps["recall"]
    assert gap.p is None
    assert gap.verdict == "no difference shown"


def test_means_are_over_the_datasets_that_all_have():
    (table,) = tables(
        results("trees", 0.5, datasets=("a", "b"))
        + results("p", 0.6, datasets=("a",), baseline=False)
    )
    assert table.datasets == ("a",)
    assert set(table.rows[1].by_dataset) == {"a", "b"}


def test_quality_against_examples_is_of_the_same_classes():
    few, many = (tables(results("trees", 0.5, n_classes=n, noise=0.4)) for n in (8, 3))
    (a, b) = over_shots([*few, *many])["trees"]
    first = [v for cs in few[0].rows[0].by_class.values() for c, v in cs.items() if c in "c0c1c2"]
    assert a == pytest.approx(np.mean(first))
    assert b == pytest.approx(many[0].rows[0].figures["recall"].mean)
    assert a != pytest.approx(few[0].rows[0].figures["recall"].mean, abs=1e-6)


def test_no_baseline_gives_no_verdict():
    (table,) = tables(results("prior", 0.5, baseline=False))
    assert table.best is None
    assert table.losses() == []


def test_learners_drawn_differently_often_are_paired_on_the_draws_that_both_have():
    trees, prior = results("trees", 0.5), results("prior", 0.5, baseline=False)
    for result in trees:  # the third draw went well for the trees, and the prior has none
        for draws in result.classes.values():
            draws[2]["recall"] = 0.9
    short = [replace(r, classes={c: draws[:2] for c, draws in r.classes.items()}) for r in prior]
    (table,) = tables(trees + short)
    rows = {r.learner: r for r in table.rows}
    assert (rows["trees"].draws, rows["prior"].draws) == ((3, 3), (2, 2))
    assert rows["trees"].figures["recall"].mean == pytest.approx(0.64, abs=0.01)
    assert rows["prior"].gaps["recall"].size.mean == pytest.approx(0, abs=0.01)
    assert "3 draws a class (prior: the first 2)" in markdown((table,), {})


def test_with_shuffled_labels_nobody_loses():
    found = [
        replace(
            r,
            kind="shuffled",
            classes={c: [{"over_chance": d["recall"]} for d in v] for c, v in r.classes.items()},
        )
        for r in results("trees", 0.6) + results("prior", 0.1, baseline=False)
    ]
    (table,) = tables(found)
    assert table.losses() == []
