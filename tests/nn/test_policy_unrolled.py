"""The unrolled policy moves as the one that acts does, and can be differentiated."""

import numpy as np
import torch

from inoculate.agent import Space
from inoculate.fuzzing.policies.choices import Heads, Scale
from inoculate.fuzzing.policies.linear_policy import advantages, policy_gradient
from inoculate.nn.policy_ppo import pad
from inoculate.nn.policy_unrolled import UnrolledNet
from tests.nn.test_policy_recurrent import SPACE, trajectory

HEADS = Heads(SPACE.actions)


def made(*, window, double=False):
    rng = np.random.default_rng(0)
    scale = Scale(rng.normal(size=4).astype("f4"), rng.uniform(0.5, 2, 4).astype("f4"))
    net = UnrolledNet(SPACE, scale, window=window, rate=0.4, seed=1)
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(rng.normal(size=net.weight.shape)))
        net.log_step.add_(torch.from_numpy(rng.normal(size=(2, 4))))
    return net.double() if double else net


def test_it_says_what_the_acting_policy_says_through_all_its_steps():
    net, runs = made(window=16), [trajectory(70, seed=3), trajectory(40, seed=4)]
    with torch.no_grad():
        theirs, _ = net(pad(runs, net.scale))
    start = net.start()
    for row, run in enumerate(runs):
        weight = start.weight
        x = np.hstack([net.scale(run.observations[:-1]), np.ones((len(run), 1), "f4")])
        for at in range(0, len(run), 16):
            part = slice(at, min(at + 16, len(run)))
            np.testing.assert_allclose(
                x[part] @ weight, theirs[row, part].numpy(), rtol=1e-3, atol=1e-4
            )
            if part.stop - at == 16:
                better = advantages(run.rewards[part])
                gradient = policy_gradient(weight, x[part], run.actions[part], better, HEADS)
                weight = weight + start.sizes(HEADS) * gradient


def test_the_acting_policys_own_steps_are_those():
    net, run = made(window=16), trajectory(48, seed=5)
    policy = net.acting(seed=0)
    for seen, action, reward in zip(run.observations, run.actions, run.rewards, strict=False):
        policy.act(seen)
        policy.learn(action, float(reward))
    longer = trajectory(49, seed=5)
    longer.observations[:49], longer.actions[:48] = run.observations, run.actions
    longer.rewards[:48] = run.rewards
    with torch.no_grad():
        theirs, _ = net(pad([longer], net.scale))
    x = np.append(net.scale(run.observations[-1]), np.float32(1))
    np.testing.assert_allclose(x @ policy.memory()["weight"], theirs[0, 48].numpy(), atol=1e-3)


def test_the_way_back_through_the_steps_is_exact():
    net = made(window=8, double=True)
    batch = pad([trajectory(24, seed=6)], net.scale)
    batch = type(batch)(
        *(
            v.double() if v.is_floating_point() else v
            for v in (getattr(batch, n) for n in batch.__slots__)
        )
    )
    mix = torch.from_numpy(np.random.default_rng(7).normal(size=(1, 24, HEADS.width)))

    def of(weight, log_step):
        logits, _ = torch.func.functional_call(
            net, {"weight": weight, "log_step": log_step}, (batch,)
        )
        return (logits * mix).sum()

    weight, step = (p.detach().clone().requires_grad_() for p in (net.weight, net.log_step))
    assert torch.autograd.gradcheck(of, (weight, step), atol=1e-6)


def test_it_begins_with_every_choice_equally_likely():
    scale = Scale(np.zeros(4, np.float32), np.ones(4, np.float32))
    net = UnrolledNet(Space((3, 2, 1, 2), 4), scale, window=8, rate=0.1, seed=0)
    start = net.start()
    assert not start.weight.any()
    np.testing.assert_allclose(start.step, 0.1, rtol=1e-6)
