"""What only MAML promises; the common contract is in test_contracts.py."""

from functools import cache

import numpy as np
import pytest
import torch

from inoculate.checks import LEARNER_CHECKS, toy_tasks
from inoculate.errors import TaskError
from inoculate.features.space import problems
from inoculate.learners import maml
from inoculate.learners.maml import Maml, step_weights
from inoculate.nn.encoders import init_mlp
from inoculate.nn.outer_loop import pack
from inoculate.nn.self_check import check_meta_gradient, meta_gradient


def setting():
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    batch = pack(list(problems([task]))).to(torch.float64)
    parameters = init_mlp((batch.support.shape[-1], 6, 6, 1), seed=1, dtype=torch.float64)
    return batch, {k: v.requires_grad_() for k, v in parameters.items()}


def test_meta_gradient_equals_finite_differences():
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    check_meta_gradient(Maml(hidden=6, steps=3), task)
    assert np.abs(meta_gradient(Maml(hidden=6, steps=3), task).differences).max() > 1e-3


def test_a_detached_inner_loop_does_not_equal_them():
    """The test above must fail without second derivatives, or it proves nothing."""
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    learner = Maml(hidden=6, steps=3, first_order=True)
    assert meta_gradient(learner, task).gap > 0.05
    with pytest.raises(AssertionError, match="is off by"):
        check_meta_gradient(learner, task)


@pytest.mark.parametrize(
    "options",
    [{"meta_sgd": True}, {"multi_step_loss": 10}, {"meta_sgd": True, "multi_step_loss": 3}],
)
def test_with_options_too(options):
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    check_meta_gradient(Maml(hidden=6, steps=3, **options), task)
    assert meta_gradient(Maml(hidden=6, steps=3, first_order=True, **options), task).gap > 0.05


@cache
def with_options():
    return Maml(meta_sgd=True, multi_step_loss=5).meta_fit(toy_tasks(50, seed=0))


@pytest.mark.parametrize("check", LEARNER_CHECKS, ids=lambda c: c.__name__)
def test_with_options_the_common_contract_holds_too(check):
    check(with_options())


def test_a_rate_for_each_parameter_is_what_a_step_is_multiplied_by():
    batch, parameters = setting()
    learner, support = Maml(steps=1, meta_sgd=True), (batch.support[0], batch.target[0])
    ones = torch.ones_like(batch.target[0])
    plain = Maml(steps=1, inner_rate=1.0).fit_side(parameters, *support, ones)
    generator = torch.Generator().manual_seed(0)
    rates = {k: torch.rand(v.shape, generator=generator).double() for k, v in parameters.items()}
    learned = {**parameters, **{f"rate.{k}": v for k, v in rates.items()}}
    side = learner.fit_side(learned, *support, ones)
    assert set(side) == set(parameters)
    for name, start in parameters.items():
        torch.testing.assert_close(side[name], start + rates[name] * (plain[name] - start))


def test_rates_are_learned_and_stored():
    learner = Maml(hidden=8, meta_sgd=True, rate=0.01).meta_fit(toy_tasks(60, seed=0))
    rates = learner.state()["rate.w1"]
    assert np.abs(rates - learner.inner_rate).max() > 0.01
    assert len(np.unique(rates)) > 1


def test_the_multi_step_loss_is_the_weighted_sum_over_the_steps():
    batch, parameters = setting()
    learner = Maml(steps=3, multi_step_loss=4)
    each = [Maml(steps=i).meta_loss(parameters, batch) for i in (1, 2, 3)]
    expected = 0.25 * each[0] + 0.25 * each[1] + 0.5 * each[2]
    torch.testing.assert_close(learner.meta_loss(parameters, batch, step=1), expected)
    for step in (4, 5, None):
        torch.testing.assert_close(learner.meta_loss(parameters, batch, step=step), each[2])


def test_weights_go_from_equal_to_the_last_alone():
    assert step_weights(4, 0) == pytest.approx([0.25] * 4)
    assert step_weights(4, 0.5) == pytest.approx([0.125] * 3 + [0.625])
    assert step_weights(4, 1) == pytest.approx([0, 0, 0, 1])
    assert step_weights(1, 0) == [1]


def test_problems_of_one_batch_do_not_touch_each_other():
    batch, parameters = setting()
    whole = Maml().meta_loss(parameters, batch)
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    alone = [Maml().meta_loss(parameters, pack([p]).to(torch.float64)) for p in problems([task])]
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_the_inner_loop_is_what_makes_unseen_classes_separable():
    learner = Maml().meta_fit(toy_tasks(100, seed=0))
    still = Maml(steps=0).load_state(learner.state())

    def accuracy(m):
        found = []
        for task in toy_tasks(10, seed=99):
            best = m.adapt(task.support).score(task.query.x).best()
            found.append((best == task.query.y)[task.query.y >= 0].mean())
        return np.mean(found)

    assert accuracy(learner) > 0.6
    assert accuracy(still) == pytest.approx(1 / 3, abs=0.01)


def test_without_meta_training_it_refuses():
    (task,) = toy_tasks(1, seed=0)
    with pytest.raises(TaskError, match="needs meta-training"):
        Maml().adapt(task.support)


@pytest.mark.parametrize("options", [{}, {"first_order": True}, {"multi_step_loss": 4}])
def test_written_out_by_hand_or_recorded_the_meta_gradient_is_the_same(options, monkeypatch):
    batch, parameters = setting()
    learner, found = Maml(steps=3, **options), []
    for by_hand in (True, False):
        if not by_hand:
            monkeypatch.setattr(maml, "applies", lambda *_: False)
        loss = learner.meta_loss(parameters, batch, step=1)
        found.append([loss, *torch.autograd.grad(loss, [*parameters.values()])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_supports_of_many_more_records_than_columns_are_learned_from_too():
    tasks = toy_tasks(4, seed=0, n_shot=2, n_background=400)
    learner = Maml(hidden=4, steps=1).meta_fit(tasks)
    assert all(np.isfinite(v).all() for v in learner.state().values())
