"""The recurrent policy of RL^2 in torch, and its steps in numpy.

References:
    Duan, Schulman, Chen, Bartlett, Sutskever and Abbeel, "RL^2: Fast Reinforcement Learning via
    Slow Reinforcement Learning", arXiv 1611.02779, 2016, section 2.3.
    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014,
    equations 5 to 8, in the form of torch.nn.GRU.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inoculate.agent import Policy, Space
from inoculate.fuzzing.policies.choices import Scale
from inoculate.fuzzing.policies.recurrent_policy import RecurrentPolicy
from inoculate.nn.policy_ppo import Batch, PolicyNet

_CHUNK = 64


class RecurrentNet(PolicyNet):
    """A gated recurrent unit; its state and the observation together give logits and value.

    Args:
        space: of the programs.
        scale: of their observations.
        n_hidden: numbers in the state.
        seed: of the first weights.
    """

    def __init__(self, space: Space, scale: Scale, *, n_hidden: int, seed: int) -> None:
        super().__init__(space, scale)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.gru = nn.GRU(space.n_observed, n_hidden, batch_first=True)
            self.out = nn.Linear(n_hidden + space.n_observed, sum(space.actions))
            self.value = nn.Linear(n_hidden + space.n_observed, 1)
        for layer in (self.out, self.value):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, width) and values (B, T)."""
        both = torch.cat([self._states(batch), batch.x], dim=-1)
        return self.out(both), self.value(both).squeeze(-1)

    def _states(self, batch: Batch) -> Tensor:
        start = batch.start[None].contiguous() if batch.start.shape[1] else None
        states: Tensor = self.gru(batch.x, start)[0]
        return states

    def cut(self, batch: Batch) -> Batch:
        """Return chunks of 64 decisions; gradients do not cross from one to the next."""
        b, t = batch.weight.shape
        length = min(_CHUNK, t)
        n = -(-t // length)
        with torch.no_grad():
            states = self._states(batch)
        first = torch.zeros(b, 1, states.shape[2])
        start = torch.cat([first, states[:, length - 1 : t - 1 : length]], dim=1)

        def chunks(values: Tensor) -> Tensor:
            padded = values.new_zeros((b, n * length, *values.shape[2:]))
            padded[:, :t] = values
            return padded.reshape(b * n, length, *values.shape[2:])

        names = [name for name in Batch.__slots__ if name != "start"]
        each = {name: chunks(getattr(batch, name)) for name in names}
        whole = replace(batch, start=start.reshape(b * n, -1), **each)
        return whole.take(whole.weight.any(dim=1).nonzero().squeeze(1))

    def arrays(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return what the policy needs to act, by name."""
        with torch.no_grad():
            gru = dict(self.gru.named_parameters())
            named = {
                "w_in": gru["weight_ih_l0"].T,
                "w_hidden": gru["weight_hh_l0"].T,
                "b_in": gru["bias_ih_l0"],
                "b_hidden": gru["bias_hh_l0"],
                "w_out": self.out.weight.T,
                "b_out": self.out.bias,
            }
            arrays = {name: np.array(v.numpy(), order="C") for name, v in named.items()}
        return {**arrays, "shift": self.scale.shift, "stretch": self.scale.stretch}

    def acting(self, *, seed: int) -> Policy:
        """Return the policy as it acts now."""
        return RecurrentPolicy(self.arrays(), self.space, seed=seed)
