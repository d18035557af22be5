"""Meta-training of the evidence network: rates, batches and the loss."""

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.nn.evidence_training import Schooling, _batches, first_loss
from inoculate.sampling import Shape
from inoculate.structural import structural_tasks


def test_the_rate_rises_then_falls_along_half_a_cosine():
    how = Schooling(rate=1.0, n_steps=1000)
    assert how.rate_at(25) == pytest.approx(0.5, abs=0.01)
    assert how.rate_at(500) == pytest.approx(0.02 + 0.98 / 2)
    assert how.rate_at(1000) == how.rate_at(5000) == pytest.approx(0.02)
    assert Schooling(rate=1.0).rate_at(10**6) == 1.0


def test_batches_hold_each_class_of_each_task_in_some_of_its_columns():
    shape = Shape(n_background=40, n_query=6, n_benign=20)
    tasks = list(structural_tasks(12, seed=0, shape=shape, n_way=(2, 2), n_columns=(9, 30)))
    how = Schooling(n_columns=(4, 8), batch_size=4, no_examples=0.2)
    batches = list(_batches(tasks, how, np.random.default_rng(0)))
    assert len(batches) == 6
    for examples, there, others, background, query, target in batches:
        widths = {x.shape[2] for x in (examples, others, background, query)}
        assert len(widths) == 1
        assert 4 <= widths.pop() <= 8
        assert 20 <= background.shape[1] <= 40
        assert query.shape[:2] == target.shape
        assert not examples[~there].isfinite().any()
        shown = others.isfinite().any(-1).any(-1)
        alone = ~shown
        # a problem without the other class has none of it in its query: 6 of 26 are threats
        assert (target[alone].sum(1) >= 1).all()
    n_shown = [int(there.sum(1).eq(0).sum()) for _, there, *_ in batches]
    assert 0 < sum(n_shown) < 12  # some show no example, most do


def test_the_same_seed_gives_the_same_batches():
    tasks = list(toy_tasks(9, seed=1))
    first, again = (list(_batches(tasks, Schooling(), np.random.default_rng(3))) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_one_high_rival_costs_more_than_many_low_ones():
    target = torch.tensor([1.0] + [0.0] * 20)
    low, high = torch.zeros(21), torch.zeros(21)
    low[0] = high[0] = 3.0
    low[1:] = 0.5
    high[1] = 10.0  # the same mean of the rest
    assert first_loss(high, target) > 3 * first_loss(low, target)
    expected = np.log1p(np.exp(0.5 + np.log(5) - 3.0))
    assert first_loss(low, target).item() == pytest.approx(expected, abs=1e-5)


def test_without_threats_or_rivals_nobody_must_come_first():
    assert first_loss(torch.ones(3), torch.zeros(3)) == 0
    assert first_loss(torch.ones(3), torch.ones(3)) == 0
