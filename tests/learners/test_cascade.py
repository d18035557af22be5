"""What only cascade promises: the network judges the few, the trees order the rest."""

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.errors import TaskError
from inoculate.learners.cascade import Cascade
from inoculate.learners.evidence import Evidence
from inoculate.task import BACKGROUND, Encoded, Labelled, Support


@pytest.fixture(scope="module")
def learned():
    return Cascade(trees=0.0).meta_fit(toy_tasks(60, seed=0), seed=0)


@pytest.fixture(scope="module")
def task():
    return next(iter(toy_tasks(1, seed=5)))


def test_where_the_trees_are_suspicious_the_score_is_the_network_s(learned, task):
    network = Evidence().load_state(learned.state()).adapt(task.support)
    expected = network.score(task.query.x).threat.clip(-30, 30)
    found = learned.adapt(task.support).score(task.query.x).threat
    judged = (found > -100).all(axis=1)
    assert judged[task.query.y >= 0].mean() > 0.9
    np.testing.assert_allclose(found[judged], expected[judged], atol=1e-4)


def test_few_benign_records_are_judged_and_the_rest_stays_below(learned, task):
    found = learned.adapt(task.support).score(task.query.x).threat
    benign = task.query.y == BACKGROUND
    judged = (found > -100).any(axis=1)
    assert judged[benign].mean() < 0.5
    assert found[~judged].max() < -100 < found[judged].max()


def test_the_share_that_is_judged_follows_the_hyperparameter():
    rng = np.random.default_rng(0)
    background = rng.normal(size=(400, 12)).astype(np.float32)
    examples = (rng.normal(size=(5, 12)) + 1).astype(np.float32)
    support = Support(
        Labelled(Encoded({"v": examples}), np.zeros(5, np.int64)),
        Encoded({"v": background}),
        ("t",),
    )
    fresh = Encoded({"v": rng.normal(size=(2000, 12)).astype(np.float32)})
    tasks = list(toy_tasks(4, seed=0))
    shares = []
    for passed in (0.02, 0.2):
        detector = Cascade(passed=passed).meta_fit(tasks, seed=0).adapt(support)
        shares.append((detector.score(fresh).threat > -100).mean())
    assert shares[0] < 0.08
    assert 0.1 < shares[1] < 0.3


def test_the_trees_weigh_in_as_told(learned, task):
    heavier = Cascade(trees=0.5).load_state(learned.state())
    plain = learned.adapt(task.support).score(task.query.x).threat
    mixed = heavier.adapt(task.support).score(task.query.x).threat
    judged = (plain > -100).all(axis=1)
    assert np.abs(mixed[judged] - plain[judged]).max() > 0.1
    np.testing.assert_array_equal(mixed[~judged], plain[~judged])


def test_without_meta_training_it_says_so(task):
    with pytest.raises(TaskError, match="meta-training first"):
        Cascade().adapt(task.support)
