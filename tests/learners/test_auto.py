"""What only auto promises: methods weighed by what they say of left-out records."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.errors import ArtifactError, TaskError
from inoculate.learners.auto import Auto, _cut
from inoculate.learners.evidence import Evidence
from inoculate.learners.k_nearest import KNearest
from inoculate.metrics import auroc
from inoculate.task import BACKGROUND, Encoded, Labelled, Support

NETWORK, NEIGHBOURS = np.float32([0, 0, 1]), np.float32([0, 1, 0])


@pytest.fixture(scope="module")
def learned():
    return Auto(n_trees=20).meta_fit(toy_tasks(30, seed=0), seed=0)


@pytest.fixture(scope="module")
def task():
    return next(iter(toy_tasks(1, seed=5)))


def alone(detector, weight):
    return replace(detector, weights=weight)


def ranks(x):
    return np.argsort(np.argsort(x))


def without_examples(support):
    nothing = Labelled(support.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    return Support(nothing, support.background, ())


def network(learned):
    state = {k: v for k, v in learned.state().items() if not k.startswith("mix.")}
    return Evidence().load_state(state)


def test_with_all_weight_on_the_network_its_order_is_the_network_s(learned, task):
    detector = alone(learned.adapt(task.support), NETWORK)
    found = detector.score(task.query.x).threat
    expected = network(learned).adapt(task.support).score(task.query.x).threat
    for way in range(3):
        judged = found[:, way] > -50
        assert judged[task.query.y == way].mean() > 0.9
        np.testing.assert_array_equal(ranks(found[judged, way]), ranks(expected[judged, way]))


def test_with_all_weight_on_the_neighbours_its_order_is_theirs(learned, task):
    detector = alone(learned.adapt(task.support), NEIGHBOURS)
    found = detector.score(task.query.x).threat[:, 0]
    expected = KNearest().adapt(task.support).score(task.query.x).threat[:, 0]
    judged = found > -50
    np.testing.assert_array_equal(ranks(found[judged]), ranks(expected[judged]))


def test_few_benign_records_are_judged_and_the_rest_stays_below(learned, task):
    found = learned.adapt(task.support).score(task.query.x).threat
    benign = task.query.y == BACKGROUND
    judged = (found > -50).any(axis=1)
    assert (
        judged[benign].mean() < 0.6
    )  # of three classes and two methods a twentieth each, and ties
    assert judged[~benign].mean() > 0.9
    assert found[~judged].max() < -50 < found[judged].max()


def test_the_share_that_is_judged_follows_the_hyperparameter_where_trees_see_the_threat(learned):
    rng = np.random.default_rng(0)
    examples = (rng.normal(size=(5, 12)) / 4 + 6).astype(np.float32)
    support = Support(
        Labelled(Encoded({"v": examples}), np.zeros(5, np.int64)),
        Encoded({"v": rng.normal(size=(400, 12)).astype(np.float32)}),
        ("t",),
    )
    fresh = Encoded({"v": rng.normal(size=(2000, 12)).astype(np.float32)})
    shares = []
    for passed in (0.02, 0.2):
        detector = Auto(passed=passed).load_state(learned.state()).adapt(support)
        shares.append((detector.score(fresh).threat > -50).mean())
    assert shares[0] < 0.12
    assert 0.15 < shares[1] < 0.5


def test_the_cut_falls_until_left_out_examples_pass_in_the_score_that_shows_them():
    known = np.stack([np.arange(100), np.arange(100)], axis=1).astype(np.float32)
    plain = _cut(known, np.float32([[200, 0]]), 0.1)
    np.testing.assert_allclose(plain, np.quantile(np.arange(100), [0.9, 0.9]))
    lower = _cut(known, np.float32([[0, 70], [200, 200]]), 0.1)  # 30 of 100 are above
    np.testing.assert_allclose(lower, np.quantile(np.arange(100), [0.9, 0.4]), rtol=1e-5)
    assert _cut(known, np.float32([[20, 10]]), 0.1)[0] == -np.inf
    blind = _cut(known, np.zeros((0, 2), np.float32), 0.1)
    np.testing.assert_allclose(blind, np.quantile(np.arange(100), [0.8, 0.8]))


def test_weights_sum_to_one_and_differ_with_the_support_set(learned):
    found = np.stack(
        [learned.adapt(t.support).weights for t in toy_tasks(4, seed=8, n_shot=3)]
        + [learned.adapt(without_examples(t.support)).weights for t in toy_tasks(1, seed=8)]
    )
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01


def test_the_rule_learns_to_leave_a_broken_method_alone():
    """The network's last layer is noise in every task: trees and neighbours must carry all."""
    broken = Evidence().meta_fit(toy_tasks(1, seed=0), seed=0).state()
    rng = np.random.default_rng(0)
    broken = {k: v.copy() for k, v in broken.items()}
    broken["trust"][:] = -1.0  # near the background and far from examples is suspicious
    broken["out.2.weight"][:] = rng.normal(size=broken["out.2.weight"].shape)
    start = Auto(n_trees=20).load_state(broken)
    task = next(iter(toy_tasks(1, seed=50)))
    before = start.adapt(task.support).weights[2]
    after = start.meta_fit(toy_tasks(30, seed=0), seed=0).adapt(task.support).weights[2]
    assert before > 0.7
    assert after < 0.5 * before


def test_without_examples_the_mixture_finds_what_is_new(learned, task):
    scores = learned.adapt(without_examples(task.support)).score(task.query.x)
    threat = task.query.y >= 0
    assert scores.threat.shape == (len(threat), 0)
    assert auroc(scores.novelty[~threat], scores.novelty[threat]) > 0.75


def test_the_network_alone_may_be_loaded_and_the_rule_learned_on_top(learned, task):
    state = {k: v for k, v in learned.state().items() if not k.startswith("mix.")}
    start = Auto(n_trees=20).load_state(state)
    before = {k: v.copy() for k, v in start.state().items()}
    after = start.meta_fit(toy_tasks(6, seed=1), seed=0).state()
    changed = {k for k in after if not np.array_equal(after[k], before[k])}
    assert changed
    assert all(k.startswith("mix.") for k in changed)


def test_a_rule_without_a_network_is_refused(learned):
    state = {k: v for k, v in learned.state().items() if k.startswith("mix.")}
    with pytest.raises(ArtifactError, match="without a network"):
        Auto().load_state(state)


def test_damaged_rules_are_refused(learned):
    state = {k: v.copy() for k, v in learned.state().items()}
    state["mix.trust"] = state["mix.trust"][:1]
    with pytest.raises(ArtifactError, match=r"trust"):
        Auto().load_state(state)


def test_without_meta_training_it_says_so(task):
    with pytest.raises(TaskError, match="meta-training first"):
        Auto().adapt(task.support)


@pytest.mark.parametrize("passed", [0, -1, 7.0])
def test_a_share_that_is_none_is_refused(passed):
    with pytest.raises(ValueError, match="expected a share"):
        Auto(passed=passed)
