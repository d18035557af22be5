"""What only ANIL promises; the common contract is in test_contracts.py."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.features.space import problems
from inoculate.learners.anil import Anil
from inoculate.nn.encoders import draw
from inoculate.nn.outer_loop import pack
from inoculate.nn.self_check import check_meta_gradient, meta_gradient


def task():
    return next(toy_tasks(1, seed=0, n_shot=2, n_background=8))


def test_meta_gradient_equals_finite_differences():
    check_meta_gradient(Anil(hidden=5, embedding=4, steps=3), task())


def test_a_detached_inner_loop_does_not_equal_them():
    learner = Anil(hidden=5, embedding=4, steps=3, first_order=True)
    assert meta_gradient(learner, task()).gap > 0.05


def test_one_step_moves_the_head_as_logistic_regression_by_hand():
    batch = pack(list(problems([task()]))[:1]).to(torch.float64)
    learner = Anil(hidden=5, embedding=4, steps=1, inner_rate=0.3)
    parameters = draw(learner.layout(24), seed=1, dtype=torch.float64)
    x, y = learner.embed(parameters, batch.support[0]), batch.target[0]
    w, b = parameters["head.w0"][:, 0], parameters["head.b0"]
    share = torch.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    error = share * (torch.sigmoid(x @ w + b) - y)
    w, b = w - 0.3 * x.T @ error, b - 0.3 * error.sum()
    logits, truth = learner.embed(parameters, batch.query[0]) @ w + b, batch.query_target[0]
    sides = [
        torch.nn.functional.softplus(s * logits[truth == t]).mean() for t, s in ((1, -1), (0, 1))
    ]
    torch.testing.assert_close(learner.meta_loss(parameters, batch), sum(sides) / 2)


def test_problems_of_one_batch_do_not_touch_each_other():
    learner, found = Anil(hidden=5, embedding=4), list(problems([task()]))
    parameters = draw(learner.layout(24), seed=1, dtype=torch.float64)
    whole = learner.meta_loss(parameters, pack(found).to(torch.float64))
    alone = [learner.meta_loss(parameters, pack([p]).to(torch.float64)) for p in found]
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_moving_the_head_alone_separates_unseen_classes():
    learner = Anil().meta_fit(toy_tasks(100, seed=0))
    still = Anil(steps=0).load_state(learner.state())

    def accuracy(m):
        found = []
        for unseen in toy_tasks(10, seed=99):
            best = m.adapt(unseen.support).score(unseen.query.x).best()
            found.append((best == unseen.query.y)[unseen.query.y >= 0].mean())
        return np.mean(found)

    assert accuracy(learner) > 0.8
    assert accuracy(still) == pytest.approx(1 / 3, abs=0.01)
