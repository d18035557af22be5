"""A linear policy unrolled through its own steps within a program, to learn where to start.

References:
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, section 5.3.
    Rothfuss, Lee, Clavera, Asfour and Abbeel, "ProMP: Proximal Meta-Policy Search", ICLR 2019,
    equation 11: the surrogate of the trajectories, clipped. Departures: the steps are taken within
    one trajectory, and what is found before a step counts in the return too, so that the
    choices a step learns from get credit for what it leads to.
    Li, Zhou, Chen and Li, "Meta-SGD", arXiv 1707.09835, 2017, equation 1: sizes of steps are
    learned; here one for each part of an action, not each weight, and by its logarithm.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from inoculate.agent import Policy, Space
from inoculate.fuzzing.policies.choices import Heads, Scale
from inoculate.fuzzing.policies.linear_policy import LinearPolicy, LinearStart, advantages
from inoculate.nn.policy_ppo import Batch, PolicyNet

_N_VALUE = 32
_FASTER = 10.0


class UnrolledNet(PolicyNet):
    """Weights at the start, sizes of steps, and a value that meta-training alone uses.

    Args:
        space: of the programs.
        scale: of their observations.
        window: decisions between two steps.
        rate: size of a step before meta-training.
        seed: of the value's first weights.
    """

    def __init__(self, space: Space, scale: Scale, *, window: int, rate: float, seed: int) -> None:
        super().__init__(space, scale)
        heads = Heads(space.actions)
        self.window = window
        self._owner = torch.from_numpy(heads.owner)
        self.weight = nn.Parameter(torch.zeros(space.n_observed + 1, heads.width))
        self.log_step = nn.Parameter(torch.full((2, len(space.actions)), math.log(rate)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.value = nn.Sequential(
                nn.Linear(space.n_observed, _N_VALUE), nn.Tanh(), nn.Linear(_N_VALUE, 1)
            )
        nn.init.zeros_(self.value[2].weight)  # type: ignore[arg-type]

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return parameters and how fast each learns: sizes of steps by a tenth of their own."""
        rest = [p for name, p in self.named_parameters() if name != "log_step"]
        return [(rest, 1.0), ([self.log_step], _FASTER)]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, width) and values (B, T)."""
        x = torch.cat([batch.x, torch.ones(*batch.x.shape[:2], 1)], dim=-1)
        weight = self.weight.expand(len(x), -1, -1)
        rows = torch.zeros(x.shape[-1], dtype=torch.int64)
        rows[:-1] = 1
        sizes = self.log_step.exp()[rows][:, self._owner]
        logits = []
        for at in range(0, x.shape[1], self.window):
            part = slice(at, at + self.window)
            logits.append(x[:, part] @ weight)
            full = batch.weight[:, part].sum(1) == self.window
            if full.any():
                gradient = self._gradient(logits[-1], x[:, part], batch, part)
                weight = weight + sizes * gradient * full[:, None, None]
        return torch.cat(logits, dim=1), self.value(batch.x).squeeze(-1)

    def _gradient(self, logits: Tensor, x: Tensor, batch: Batch, part: slice) -> Tensor:
        """Return ``linear_policy.policy_gradient`` of every row, (B, n_observed + 1, width)."""
        chances = [p.softmax(-1) for p in torch.split(logits, list(self.space.actions), dim=-1)]
        actions = batch.actions[:, part]
        ones = [
            nn.functional.one_hot(actions[..., i], size)
            for i, size in enumerate(self.space.actions)
        ]
        missing = torch.cat(ones, dim=-1) - torch.cat(chances, dim=-1)
        better = torch.from_numpy(np.stack([advantages(r) for r in batch.rewards[:, part].numpy()]))
        return x.transpose(1, 2) @ (missing * better[..., self._owner]) / x.shape[1]

    def start(self) -> LinearStart:
        """Return where the policy starts now."""
        with torch.no_grad():
            weight, step = self.weight.numpy().copy(), self.log_step.exp().numpy()
        return LinearStart(weight, step, self.scale, self.window)

    def acting(self, *, seed: int) -> Policy:
        """Return the policy as it acts now."""
        return LinearPolicy(self.start(), self.space, seed=seed)
