"""The recurrent policy in torch: the same as in numpy, whole and in chunks."""

import numpy as np
import pytest
import torch

from inoculate.agent import Action, Space
from inoculate.fuzzing.policies.choices import Scale
from inoculate.fuzzing.policies.recurrent_policy import shapes_of
from inoculate.fuzzing.trajectories import Trajectory
from inoculate.nn.policy_ppo import pad
from inoculate.nn.policy_recurrent import RecurrentNet

SPACE = Space((3, 2, 1, 2), n_observed=4)


def trajectory(length, seed):
    rng = np.random.default_rng(seed)
    return Trajectory(
        "made",
        rng.normal(size=(length + 1, 4)).astype(np.float32),
        np.stack([rng.integers(0, n, length) for n in SPACE.actions], axis=1),
        rng.random(length).astype(np.float32),
        np.arange(1, length + 1),
    )


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    scale = Scale(rng.normal(size=4).astype("f4"), rng.uniform(0.5, 2, 4).astype("f4"))
    made = RecurrentNet(SPACE, scale, n_hidden=6, seed=1)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(torch.from_numpy(rng.normal(size=p.shape, scale=0.3).astype("f4")))
    return made


def test_numpy_says_what_torch_says(net):
    run = trajectory(200, seed=2)
    policy = net.acting(seed=0)
    ours = np.stack([policy.logits(seen) for seen in run.observations[:-1]])
    with torch.no_grad():
        theirs, _ = net(pad([run], net.scale))
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-5)


def test_the_arrays_have_the_shapes_that_are_asked_of_a_stored_agent(net):
    assert {k: v.shape for k, v in net.arrays().items()} == dict(shapes_of(SPACE, 6))


@pytest.mark.parametrize("lengths", [(64,), (65, 3), (150, 130, 1)])
def test_chunks_say_what_whole_trajectories_say(net, lengths):
    batch = pad([trajectory(n, seed=n) for n in lengths], net.scale)
    chunks = net.cut(batch)
    assert len(chunks.x) == sum(-(-n // 64) for n in lengths)
    with torch.no_grad():
        whole, cut = net(batch), net(chunks)
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a[batch.weight > 0], b[chunks.weight > 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(batch.actions[batch.weight > 0], chunks.actions[chunks.weight > 0])


def test_building_leaves_torchs_own_generator_alone():
    before = torch.random.get_rng_state()
    one, two = (RecurrentNet(SPACE, None, n_hidden=3, seed=5) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.gru.weight_hh_l0, two.gru.weight_hh_l0)


def test_it_begins_with_every_choice_equally_likely():
    scale = Scale(np.zeros(4, np.float32), np.ones(4, np.float32))
    policy = RecurrentNet(SPACE, scale, n_hidden=3, seed=6).acting(seed=0)
    np.testing.assert_array_equal(policy.logits(np.ones(4, np.float32)), 0)
    assert isinstance(policy.act(np.ones(4, np.float32)), Action)
