"""What only prototypical networks promise; the common contract is in test_contracts.py."""

from functools import cache

import numpy as np
import pytest
import torch

from inoculate.checks import LEARNER_CHECKS, toy_tasks
from inoculate.errors import TaskError
from inoculate.learners.protonet import ProtoNet, log_odds, mahalanobis_metric
from inoculate.nn.self_check import check_meta_gradient
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, Labelled, Support

SHIPPED = [[2.20668, -0.96145], [-0.01490, 1.98391], [0.88730, 0.18777]]  # of 0.1.0


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_two_prototypes_give_the_softmax_over_negative_squared_distances():
    query, support = draws(5, 3), draws(4, 3, seed=1)
    target = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64)
    odds = log_odds(query, support, target, torch.ones_like(target))
    prototypes = torch.stack([support[:3].mean(0), support[3]])
    softmax = torch.softmax(-(torch.cdist(query, prototypes) ** 2), dim=1)
    torch.testing.assert_close(torch.sigmoid(odds), softmax[:, 0])


def test_background_records_are_averaged_and_padding_counts_nothing():
    query, support = draws(5, 3), draws(6, 3, seed=1)
    target = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64)
    weight = torch.tensor([1.0, 1, 1, 1, 0, 0], dtype=torch.float64)
    odds = log_odds(query, support, target, weight)
    squares = torch.cdist(query, support) ** 2
    expected = -squares[:, 0] - torch.exp(-squares[:, 1:4]).mean(1).log()
    torch.testing.assert_close(odds, expected)


def test_the_metric_gives_half_the_mahalanobis_distance_of_the_paper():
    x, weight = draws(9, 3), torch.tensor([1.0] * 8 + [0]).double()
    mine = torch.tensor([1.0, 1, 1, 1] + [0] * 5).double()
    metric = mahalanobis_metric(x, mine, weight)
    covariance = 4 / 5 * torch.cov(x[:4].T) + 1 / 5 * torch.cov(x[:8].T) + torch.eye(3)
    gap = draws(3, seed=2)
    expected = 0.5 * gap @ torch.linalg.inv(covariance) @ gap
    torch.testing.assert_close((gap @ metric).square().sum(), expected)


def test_one_example_takes_half_of_the_covariance_of_the_task():
    x, mine = draws(6, 3), torch.tensor([1.0, 0, 0, 0, 0, 0]).double()
    metric = mahalanobis_metric(x, mine, torch.ones(6).double())
    expected = torch.linalg.inv(0.5 * torch.cov(x.T) + torch.eye(3)) / 2
    torch.testing.assert_close(metric @ metric.T, expected)


def test_odds_are_taken_under_both_metrics():
    query, support = draws(5, 3), draws(4, 3, seed=1)
    target, ones = torch.tensor([1.0, 1, 0, 0]).double(), torch.ones(4).double()
    mine, rest = draws(3, 3, seed=2), draws(3, 3, seed=3)
    near = torch.cdist(query @ mine, support[:2].mean(0, keepdim=True) @ mine)[:, 0] ** 2
    far = torch.cdist(query @ rest, support[2:] @ rest) ** 2
    odds = log_odds(query, support, target, ones, (mine, rest))
    torch.testing.assert_close(odds, -near - torch.exp(-far).mean(1).log())


def test_class_and_rest_have_each_their_own_metric():
    x, y, w = draws(6, 3), torch.tensor([1.0, 1, 0, 0, 0, 1]), torch.tensor([1.0] * 5 + [0])
    side = ProtoNet(mahalanobis=True).fit_side({}, x, y, w)
    for name, mine in (("mine", [1.0, 1, 0, 0, 0, 0]), ("rest", [0.0, 0, 1, 1, 1, 0])):
        torch.testing.assert_close(side[name], mahalanobis_metric(x, torch.tensor(mine), w))
    assert set(ProtoNet().fit_side({}, x, y, w)) == {"support", "target", "weight"}


def test_the_loss_is_differentiated_through_the_covariances():
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    check_meta_gradient(ProtoNet(hidden=5, embedding=3, mahalanobis=True), task)


@cache
def mahalanobis():
    return ProtoNet(mahalanobis=True).meta_fit(toy_tasks(50, seed=0))


@pytest.mark.parametrize("check", LEARNER_CHECKS, ids=lambda c: c.__name__)
def test_with_covariances_the_common_contract_holds_too(check):
    check(mahalanobis())


def test_far_records_give_finite_odds():
    far = torch.full((2, 3), 1e4)
    support, target = torch.zeros(3, 3), torch.tensor([1.0, 0, 0])
    assert torch.isfinite(log_odds(far, support, target, torch.ones(3))).all()


def small():
    return ProtoNet(hidden=16, embedding=2, batch_size=4, rate=0.01)


def test_meta_training_makes_unseen_classes_easier():
    def accuracy(learner):
        found = []
        for task in toy_tasks(20, seed=99, n_shot=1):
            scores = learner.adapt(task.support).score(task.query.x)
            found.append((scores.best() == task.query.y)[task.query.y >= 0].mean())
        return np.mean(found)

    few = small().meta_fit(toy_tasks(1, seed=0))
    many = small().meta_fit(toy_tasks(400, seed=0, n_shot=1))
    assert accuracy(many) > accuracy(few) + 0.02


def test_without_meta_training_and_with_other_columns_it_refuses():
    (task,) = toy_tasks(1, seed=0)
    with pytest.raises(TaskError, match="needs meta-training"):
        ProtoNet().adapt(task.support)
    x = Encoded({"toy": np.zeros((3, 5), np.float32)})
    other = Support(Labelled(x, np.zeros(3, np.int64)), x, ("a",))
    with pytest.raises(TaskError, match="12 columns, the support has 5"):
        ProtoNet().meta_fit(toy_tasks(2, seed=0)).adapt(other)


def test_the_shipped_prior_scores_as_it_did_when_it_was_measured():
    rng = np.random.default_rng(0)
    learner = load_prior("flows").learner
    width = learner.state()["w0"].shape[0] // 2
    x = Encoded({"flow": rng.lognormal(size=(40, width)).astype(np.float32)})
    y = np.array([0, 0, 1, 1])
    support = Support(Labelled(x.take(np.arange(4)), y), x.take(np.arange(4, 30)), ("a", "b"))
    scores = learner.adapt(support).score(x.take(np.array([0, 2, 35])))
    np.testing.assert_allclose(scores.threat, SHIPPED, atol=1e-3)
