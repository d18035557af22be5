"""What only the ridge learner promises; the common contract is in test_contracts.py."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.learners.ridge import Ridge, solve_ridge
from inoculate.nn.self_check import check_meta_gradient


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def textbook(x, y, weight, penalty):
    """(X' W X + penalty I)^-1 X' W y."""
    w = torch.diag(weight)
    return torch.linalg.inv(x.T @ w @ x + penalty * torch.eye(x.shape[1])) @ x.T @ w @ y


@pytest.mark.parametrize("n_rows", [3, 7, 20])
def test_dual_and_primal_equal_the_textbook(n_rows):
    x, y, penalty = draws(2, n_rows, 7), draws(2, n_rows, seed=1), torch.tensor(0.3).double()
    weight = draws(2, n_rows, seed=2).square()
    got = solve_ridge(x, y, weight, penalty)
    for b in range(2):
        torch.testing.assert_close(got[b], textbook(x[b], y[b], weight[b], penalty))


def test_a_record_of_weight_zero_changes_nothing_and_leaves_gradients_finite():
    x, y, penalty = draws(5, 8), draws(5, seed=1), torch.tensor(0.3).double()
    weight = torch.tensor([1.0, 2, 0, 1, 0]).double().requires_grad_()
    keep = weight.detach() > 0
    got = solve_ridge(x, y, weight, penalty)
    torch.testing.assert_close(got, solve_ridge(x[keep], y[keep], weight[keep], penalty))
    (slope,) = torch.autograd.grad(got.sum(), weight)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("embedding", [4, 40])
def test_the_gradient_through_the_solve_equals_finite_differences(embedding):
    """14 records of support: the first solve is primal, the second dual."""
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    check_meta_gradient(Ridge(hidden=5, embedding=embedding), task)


def test_penalty_and_output_scale_are_learned():
    learner = Ridge(hidden=8, embedding=4)
    start = {k: p.fill for k, p in learner.layout(24).items() if k in ("log_penalty", "scale")}
    learner.rate = 0.01
    state = learner.meta_fit(toy_tasks(80, seed=0)).state()
    for name, value in start.items():
        assert abs(state[name] - value) > 0.01, name


def test_meta_training_makes_unseen_classes_easier():
    def accuracy(learner):
        found = []
        for task in toy_tasks(20, seed=99, n_shot=1):
            scores = learner.adapt(task.support).score(task.query.x)
            found.append((scores.best() == task.query.y)[task.query.y >= 0].mean())
        return np.mean(found)

    few = Ridge(hidden=32).meta_fit(toy_tasks(1, seed=0))
    many = Ridge(hidden=32, rate=0.01).meta_fit(toy_tasks(300, seed=0, n_shot=1))
    assert accuracy(many) > accuracy(few) + 0.02


def test_a_class_is_fitted_to_plus_and_minus_one_with_both_sides_weighing_half():
    learner = Ridge(hidden=4, embedding=3)
    parameters = {k: torch.tensor(v).double() for k, v in (("log_penalty", -1.0), ("scale", 4.0))}
    x, y = draws(7, 4), torch.tensor([1.0, 1, 0, 0, 0, 0, 1]).double()
    padding = torch.tensor([1.0] * 6 + [0]).double()
    weight = torch.tensor([0.25, 0.25] + [0.125] * 4 + [0]).double()
    v = learner.fit_side(parameters, x, y, padding)["v"]
    expected = textbook(x, 2 * y - 1, weight, torch.tensor(-1.0).double().exp())
    torch.testing.assert_close(v, expected)
    parameters["shift"] = torch.tensor(0.5).double()
    torch.testing.assert_close(learner.log_odds(parameters, {"v": v}, x), 4 * x @ v + 0.5)
