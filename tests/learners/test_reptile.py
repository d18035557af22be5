"""What only Reptile promises; the common contract is in test_contracts.py."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.features.space import problems
from inoculate.learners.reptile import Reptile
from inoculate.nn.encoders import draw, mlp
from inoculate.nn.outer_loop import pack


def found():
    return list(problems(toy_tasks(1, seed=0, n_shot=2, n_background=8)))


def ends(learner, theta, problem):
    """Plain gradient steps on support and query in turn, one problem at a time."""
    support, target, query, query_target = (torch.from_numpy(a).to(torch.float64) for a in problem)
    phi = {k: v.clone() for k, v in theta.items()}
    for step in range(learner.steps):
        x, y = ((support, target), (query, query_target))[step % 2]
        phi = {k: v.detach().requires_grad_() for k, v in phi.items()}
        logits = mlp(phi, x)[:, 0]
        weight = torch.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, y, weight, reduction="sum"
        )
        slopes = torch.autograd.grad(loss, list(phi.values()))
        phi = {
            k: v.detach() - learner.inner_rate * s
            for (k, v), s in zip(phi.items(), slopes, strict=True)
        }
    return phi


def test_the_gradient_is_the_mean_of_theta_minus_phi():
    learner = Reptile(hidden=4, steps=5)
    drawn = draw(learner.layout(24), seed=1, dtype=torch.float64)
    theta = {k: v.requires_grad_() for k, v in drawn.items()}
    loss = learner.meta_loss(theta, pack(found()).to(torch.float64))
    slopes = torch.autograd.grad(loss, list(theta.values()))
    each = [ends(learner, {k: v.detach() for k, v in theta.items()}, p) for p in found()]
    for (name, value), slope in zip(theta.items(), slopes, strict=True):
        mean = torch.stack([value.detach() - phi[name] for phi in each]).mean(0)
        torch.testing.assert_close(slope, mean)


def test_meta_training_takes_the_step_of_the_paper():
    """One batch of three problems; the first step's size is a twentieth, a warm-up."""
    learner = Reptile(hidden=4, steps=5, inner_rate=3.0, rate=0.6)
    theta = draw(learner.layout(24), seed=7)
    each = [ends(learner, {k: v.double() for k, v in theta.items()}, p) for p in found()]
    learner.meta_fit(toy_tasks(1, seed=0, n_shot=2, n_background=8), seed=7)
    moves = [torch.stack([phi[k] for phi in each]).mean(0) - v for k, v in theta.items()]
    assert sum(m.square().sum() for m in moves) > 1.5**2, "nothing that clipping would shorten"
    for name, value in theta.items():
        mean = torch.stack([phi[name] for phi in each]).mean(0)
        expected = value + 0.6 / 20 * (mean - value)
        torch.testing.assert_close(
            learner.parameters_[name], expected.float(), rtol=1e-4, atol=1e-6
        )


def test_adapting_uses_the_support_only_and_separates_unseen_classes():
    learner = Reptile().meta_fit(toy_tasks(100, seed=0))
    still = Reptile(steps=0).load_state(learner.state())

    def accuracy(m):
        shares = []
        for unseen in toy_tasks(10, seed=99):
            best = m.adapt(unseen.support).score(unseen.query.x).best()
            shares.append((best == unseen.query.y)[unseen.query.y >= 0].mean())
        return np.mean(shares)

    assert accuracy(learner) > 0.8
    assert accuracy(still) == pytest.approx(1 / 3, abs=0.01)
