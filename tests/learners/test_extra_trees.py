"""What only extra trees promise; the common contract is in test_contracts.py."""

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.learners.extra_trees import ExtraTrees
from inoculate.task import Encoded, Labelled, Support


def test_scores_are_shares_and_examples_score_highest():
    (task,) = toy_tasks(1, seed=0)
    detector = ExtraTrees(min_leaf=1).adapt(task.support)
    scores = detector.score(task.support.examples.x).threat
    np.testing.assert_allclose(scores[np.arange(12), task.support.examples.y], 1, atol=1e-6)
    assert scores.min() >= 0


def test_blocks_do_not_change_a_score():
    (task,) = toy_tasks(1, seed=1)
    detector = ExtraTrees(n_trees=20).adapt(task.support)
    many = task.query.x.take(np.tile(np.arange(80), 500))
    once, tiled = detector.score(task.query.x), detector.score(many)
    np.testing.assert_allclose(np.tile(once.threat, (500, 1)), tiled.threat, atol=1e-6)
    np.testing.assert_allclose(np.tile(once.novelty, 500), tiled.novelty, atol=1e-6)


def test_growing_or_moving_all_records_alike_changes_no_score():
    (task,) = toy_tasks(1, seed=2)

    def moved(x):
        return Encoded({"toy": (x["toy"] * 8 + 32).astype(np.float32)})

    s = task.support
    twin = Support(Labelled(moved(s.examples.x), s.examples.y), moved(s.background), s.classes)
    a = ExtraTrees().adapt(s).score(task.query.x).threat
    b = ExtraTrees().adapt(twin).score(moved(task.query.x)).threat
    np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_another_seed_grows_other_trees(seed):
    (task,) = toy_tasks(1, seed=3)
    a = ExtraTrees().adapt(task.support, seed=seed).score(task.query.x).threat
    b = ExtraTrees().adapt(task.support, seed=seed + 1).score(task.query.x).threat
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, atol=0.3)
