"""The outer loop of policies: advantages, the clipped loss, and what a run of it yields."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inoculate.fuzzing.policies.choices import Scale
from inoculate.nn.policy_ppo import (
    Outer,
    gae,
    improve,
    log_probabilities,
    loss_of,
    pad,
    standardised,
    train,
)
from inoculate.nn.policy_recurrent import RecurrentNet
from tests.agents.arms import family
from tests.nn.test_policy_recurrent import SPACE, trajectory


def test_advantages_are_those_of_the_formula():
    rng = np.random.default_rng(0)
    rewards, values = rng.random((2, 5)), rng.random((2, 5))
    weight = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    found = gae(*(torch.tensor(a) for a in (rewards, values, weight)), discount=0.9, trace=0.8)
    for row, n in ((0, 5), (1, 3)):
        after = np.append(values[row, 1:n], values[row, n - 1])
        better = rewards[row, :n] + 0.9 * after - values[row, :n]
        for t in range(n):
            expected = sum((0.9 * 0.8) ** k * better[t + k] for k in range(n - t))
            assert float(found[row, t]) == pytest.approx(expected)
        assert not found[row, n:].any()


def test_log_probability_and_entropy_add_up_over_the_parts():
    logits = torch.tensor([[0.0, 0.0, np.log(2), 0.0, 0.0, 3.0, 1.0, 1.0]])
    chosen, entropy = log_probabilities(logits, torch.tensor([[2, 0, 0, 1]]), SPACE.actions)
    assert float(chosen) == pytest.approx(np.log(0.5 * 0.5 * 1 * 0.5))
    assert float(entropy) == pytest.approx(np.log(2) * 3.5, abs=1e-5)


def test_advantages_are_standardised_within_each_program():
    rng = np.random.default_rng(1)
    raw = torch.tensor(rng.normal(size=(4, 6)) * [[1], [1], [1000], [1000]] + 5)
    weight = torch.ones(4, 6)
    weight[1, 4:] = 0
    found = standardised(raw, weight, 2)
    for rows in (slice(0, 2), slice(2, 4)):
        kept = found[rows][weight[rows] > 0]
        assert float(kept.mean()) == pytest.approx(0, abs=1e-6)
        assert float(kept.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert not found[weight == 0].any()


def batch_of(net, advantage, *, moved=0.0):
    batch = pad([trajectory(20, seed=2), trajectory(12, seed=3)], net.scale)
    with torch.no_grad():
        logits, values = net(batch)
        old, _ = log_probabilities(logits, batch.actions, SPACE.actions)
    better = advantage * batch.weight
    return replace(batch, old=old - moved, advantage=better, target=values.clone())


@pytest.fixture
def net():
    scale = Scale(np.zeros(4, np.float32), np.ones(4, np.float32))
    return RecurrentNet(SPACE, scale, n_hidden=4, seed=0)


@pytest.mark.parametrize(
    ("advantage", "moved", "expected"),
    [(1.0, 0.0, -1.0), (1.0, 0.1, -np.exp(0.1)), (1.0, 0.5, -1.2), (-1.0, 0.5, np.exp(0.5))],
)
def test_the_loss_is_clipped_where_the_policy_has_moved_the_right_way(
    net, advantage, moved, expected
):
    loss, far = loss_of(net, batch_of(net, advantage, moved=moved), entropy=0.0)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert far == pytest.approx(np.exp(moved) - 1 - moved, abs=1e-6)


def test_improving_makes_what_went_well_likelier(net):
    batch = batch_of(net, 0.0)
    better = torch.where(batch.actions[..., 0] == 1, 1.0, -0.5) * batch.weight
    batch = replace(batch, advantage=better)
    optimiser = torch.optim.Adam(net.parameters())
    improve(net, optimiser, batch, Outer(1, n_passes=8, rate=1e-2), left=1.0)
    with torch.no_grad():
        logits, _ = net(batch)
    chances = logits[batch.weight > 0].mean(0)[:3].softmax(0)
    assert chances[1] > max(chances[0], chances[2]) + 0.02


def test_the_rate_falls_to_a_tenth(net):
    optimiser = torch.optim.Adam(net.parameters())
    for left, rate in ((1.0, 1e-2), (0.0, 1e-3)):
        improve(net, optimiser, batch_of(net, 0.0), Outer(1, rate=1e-2), left=left)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(rate)


def test_training_looks_programs_up_when_it_needs_them_and_visits_all():
    looked_up = []

    class Lazy(list):
        def __getitem__(self, i):
            looked_up.append(i)
            return super().__getitem__(i)

    outer = Outer(3, n_programs=1, n_trajectories=1)
    steps = train(
        Lazy(family()), lambda s, c: RecurrentNet(s, c, n_hidden=3, seed=0), outer, seed=0
    )
    next(steps)
    assert len(set(looked_up)) <= 2
    found = [mean for _, mean in steps]
    assert set(looked_up) == {0, 1, 2}
    assert found == pytest.approx([1.0, 1.0], abs=1e-5), (
        "first visits are what speed is measured by"
    )


def test_training_leaves_torchs_own_generator_alone():
    before = torch.random.get_rng_state()
    outer = Outer(2, n_programs=2, n_trajectories=1)
    list(train(family(), lambda s, c: RecurrentNet(s, c, n_hidden=3, seed=0), outer, seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)
