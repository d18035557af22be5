"""A recurrent policy that acts in microseconds: a gated recurrent unit in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Policy, Space
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.fuzzing.policies.choices import Heads, Scale, Shapes, fitting
from inoculate.task import FloatArray


def shapes_of(space: Space, n_hidden: int) -> Shapes:
    """Return the shape of each array of a recurrent policy."""
    n, width = space.n_observed, sum(space.actions)
    return {
        "w_in": (n, 3 * n_hidden),
        "w_hidden": (n_hidden, 3 * n_hidden),
        "b_in": (3 * n_hidden,),
        "b_hidden": (3 * n_hidden,),
        "w_out": (n_hidden + n, width),
        "b_out": (width,),
        "shift": (n,),
        "stretch": (n,),
    }


class RecurrentPolicy(Policy):
    """Moves its state with every observation, which tells the last action and its reward.

    Args:
        arrays: of ``shapes_of``, in the layout of torch.nn.GRU: reset, update, new.
        space: of the program.
        seed: of its choices.
        frozen: keep the state at zero, to see what it is worth.
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[np.float32]],
        space: Space,
        *,
        seed: int,
        frozen: bool = False,
    ) -> None:
        self._heads = Heads(space.actions)
        self._rng = np.random.default_rng(seed)
        self._scale = Scale(arrays["shift"], arrays["stretch"])
        n = len(arrays["w_hidden"])
        self._n = n
        self._w_in, self._w_hidden = arrays["w_in"], arrays["w_hidden"]
        self._b_hidden = arrays["b_hidden"]
        self._b_in = arrays["b_in"]
        self._w_out, self._b_out = arrays["w_out"], arrays["b_out"]
        self._both = np.zeros(n + space.n_observed, np.float32)
        self._frozen = frozen

    @property
    def state(self) -> FloatArray:
        """What it remembers of the program, (n_hidden,)."""
        return self._both[: self._n]

    def logits(self, observation: FloatArray) -> FloatArray:
        """Move the state by an observation; return the logits of the next action, (width,)."""
        n, both = self._n, self._both
        h = both[:n]
        x = both[n:]
        x[:] = self._scale(observation)
        now = x @ self._w_in
        now += self._b_in
        before = h @ self._w_hidden
        before += self._b_hidden
        # a sigmoid by its tangent, which neither overflows nor warns
        gates = np.tanh(0.5 * (now[: 2 * n] + before[: 2 * n]))
        gates += 1.0
        gates *= 0.5
        new = np.tanh(now[2 * n :] + gates[:n] * before[2 * n :])
        h -= new
        h *= gates[n:]
        h += new
        if self._frozen:
            h[:] = 0.0
        found: FloatArray = both @ self._w_out
        found += self._b_out
        return found

    def act(self, observation: FloatArray) -> Action:
        """Take in what is observed and draw an action."""
        return self._heads.draw(self.logits(observation), self._rng)

    def learn(self, action: Action, reward: float) -> None:
        """Do nothing: the next observation tells of both."""

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the state."""
        return {"chance": chance_of(self._rng), "state": self.state.copy()}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what ``memory`` returned."""
        held = fitting(memory, {"state": (self._n,)}, of="the memory of a recurrent policy")
        self._rng = with_chance(memory)
        self._both[: self._n] = held["state"]
