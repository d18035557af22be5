"""The self-check finds a wrong meta-gradient, and only a wrong one."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.learners.ridge import Ridge
from inoculate.nn.self_check import check_meta_gradient, meta_gradient


def task():
    return next(toy_tasks(1, seed=0, n_shot=2, n_background=8))


class DetachedRidge(Ridge):
    def meta_loss(self, parameters, batch, *, step=None):
        detached = {**parameters, "w1": parameters["w1"].detach() + 0 * parameters["w1"]}
        return super().meta_loss(detached, batch)


class ConstantRidge(Ridge):
    def meta_loss(self, parameters, batch, *, step=None):
        return sum((0 * p).sum() for p in parameters.values())


def test_a_right_gradient_passes_with_a_gap_near_rounding():
    check_meta_gradient(Ridge(hidden=4, embedding=3), task())
    assert meta_gradient(Ridge(hidden=4, embedding=3), task()).gap < 1e-7


def test_a_detached_array_is_found():
    with pytest.raises(AssertionError, match="off by"):
        check_meta_gradient(DetachedRidge(hidden=4, embedding=3), task())


def test_a_loss_without_gradient_is_found():
    with pytest.raises(AssertionError, match="does not depend"):
        check_meta_gradient(ConstantRidge(hidden=4, embedding=3), task())


def test_all_is_double_and_the_learner_is_left_alone():
    learner = Ridge(hidden=4, embedding=3).meta_fit(toy_tasks(2, seed=0))
    before = {k: v.copy() for k, v in learner.state().items()}
    found = meta_gradient(learner, task(), entries=2)
    assert found.backward.dtype == found.differences.dtype == np.float64
    for name, value in learner.state().items():
        np.testing.assert_array_equal(value, before[name])
    assert torch.get_default_dtype() is torch.float32
