"""What only the committee promises; the common contract is in test_contracts.py."""

import numpy as np
import pytest

from inoculate import checks
from inoculate.features.discriminant import Sphered, logs
from inoculate.registry import LEARNERS
from inoculate.task import Labelled, Support


@pytest.fixture
def task():
    (found,) = checks.toy_tasks(1, seed=3, n_background=200)
    return found


def test_it_is_the_sum_of_the_three_in_units_of_background(task):
    scores = LEARNERS.load("committee")(n_background=200).adapt(task.support).score(task.query.x)
    trees = LEARNERS.load("extra_trees")().adapt(task.support).score(task.query.x).threat
    planes = LEARNERS.load("logistic")().adapt(task.support).score(task.query.x).threat
    background = logs(task.support.background.stacked())
    space = Sphered.of(
        background, 1 / (np.nanstd(background, axis=0) + 0.2), ridge=0.3, n_prior=340.0
    )
    examples = space.place(logs(task.support.examples.x.stacked()))
    rows = space.place(logs(task.query.x.stacked()))
    odds = np.log((trees + 1e-3) / (1 - trees + 1e-3))
    for c in range(task.support.n_way):
        w, offset = space.direction(examples[task.support.examples.y == c].mean(axis=0))
        linear = rows @ w - offset + planes[:, c] * 0.5 / 1.3
        expected = odds[:, c] / 1.7 + linear * checks.N_COLUMNS / 300  # of few columns, less
        np.testing.assert_allclose(scores.threat[:, c], expected, atol=2e-3)


def test_of_a_large_background_trees_and_planes_see_some_and_the_discriminant_all(task):
    few = LEARNERS.load("committee")(n_background=40).adapt(task.support, seed=1)
    all_of_it = LEARNERS.load("committee")(n_background=200).adapt(task.support, seed=1)
    np.testing.assert_array_equal(few.directions, all_of_it.directions)
    assert not np.array_equal(few.planes, all_of_it.planes)


def test_without_examples_it_is_the_distance_from_background(task):
    none = Labelled(task.support.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    detector = LEARNERS.load("committee")().adapt(Support(none, task.support.background, ()))
    novelty = detector.score(task.query.x).novelty
    threat = task.query.y >= 0
    assert np.median(novelty[threat]) > np.quantile(novelty[~threat], 0.9)
