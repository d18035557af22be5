"""The evidence network on one support set: its sides computed once, records scored in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.neighbours import spread_points
from inoculate.learner import Learner, State
from inoculate.nn.evidence import MOST_EXAMPLES, Conditioned, EvidenceNet
from inoculate.nn.outer_loop import one_thread
from inoculate.task import FloatArray, Support

N_HEADS = 4
_CELLS = 20_000  # query cells at a time: memory stays bounded


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """What a support set says to the network, computed once.

    Attributes:
        net: the network.
        conditioned: a side for each class, then one without any example.
        n_columns: columns of the support set.
    """

    net: EvidenceNet
    conditioned: tuple[Conditioned, ...]
    n_columns: int

    @classmethod
    def of(cls, net: EvidenceNet, support: Support, *, n_background: int, seed: int) -> "Sides":
        """Return the sides of a support set; of a large background a random part is looked at."""
        background = support.background.stacked()
        if len(background) > n_background:
            rng = np.random.default_rng(seed)
            background = background[rng.permutation(len(background))[:n_background]]
        usual = _tensor(background)
        examples, y = support.examples.x.stacked(), support.examples.y
        none = torch.full((1, 1, background.shape[1]), torch.nan)
        with one_thread(), torch.inference_mode():
            sides = []
            for c in range(support.n_way):
                mine = _tensor(_few(examples[y == c]))
                sides.append(net.condition(mine, torch.ones(mine.shape[:2]), usual))
            sides.append(net.condition(none, torch.zeros((1, 1)), usual))
        return cls(net, tuple(sides), background.shape[1])

    @torch.inference_mode()
    def logits(self, rows: FloatArray, sides: Sequence[int]) -> FloatArray:
        """Return the logits of records (n, d) for some of the sides, (n, number of sides).

        Raises:
            TaskError: the records have another number of columns.
        """
        if rows.shape[1] != self.n_columns:
            raise TaskError(f"{rows.shape[1]} columns, the detector has {self.n_columns}")
        found = np.zeros((len(rows), len(sides)), np.float32)
        step = max(1, _CELLS // max(self.n_columns, 1))
        with one_thread():
            for start in range(0, len(rows), step):
                part = _tensor(rows[start : start + step])
                for i, side in enumerate(sides):
                    logits = self.net(self.conditioned[side], part)
                    found[start : start + step, i] = logits[0].numpy()
        return found


class EvidenceLearner(Learner):
    """Base of the learners whose learned state is one evidence network and nothing else."""

    meta_trained: ClassVar[bool] = True
    schema_free: ClassVar[bool] = True

    def __init__(self, *, width: int, n_layers: int, n_metrics: int) -> None:
        self.width = width
        self.n_layers = n_layers
        self.n_metrics = n_metrics
        self.net_: EvidenceNet | None = None

    def state(self) -> State:
        """Return the network's weights by name; none before meta-training."""
        if self.net_ is None:
            return {}
        return {name: value.numpy() for name, value in self.net_.state_dict().items()}

    def load_state(self, state: State) -> Self:
        """Take the network's weights.

        Raises:
            ArtifactError: they are not those of a network of this size.
        """
        self.net_ = restored(self.new_net(0), state) if state else None
        return self

    def new_net(self, seed: int) -> EvidenceNet:
        """Return an untrained network of this learner's size."""
        return new_net(self.width, self.n_layers, self.n_metrics, seed=seed)

    def net(self) -> EvidenceNet:
        """Return the trained network.

        Raises:
            TaskError: there is none yet.
        """
        if self.net_ is None:
            name = type(self).__name__.lower()
            raise TaskError(f"{name} needs meta-training first: meta_fit, load_state or a prior")
        return self.net_


def new_net(width: int, n_layers: int, n_metrics: int, *, seed: int) -> EvidenceNet:
    """Return a network before training; the same seed gives the same weights."""
    # torch.nn draws its initial weights from the global generator only
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EvidenceNet(width, n_layers, N_HEADS, n_metrics)


def restored(net: EvidenceNet, state: State) -> EvidenceNet:
    """Return a network with stored weights, ready to score.

    Raises:
        ArtifactError: an array is missing, one too many, of another shape, or not finite.
    """
    wanted = {k: tuple(v.shape) for k, v in net.state_dict().items()}
    if wanted != (found := {k: tuple(v.shape) for k, v in state.items()}):
        wrong = sorted(k for k in {*wanted, *found} if wanted.get(k) != found.get(k))
        raise ArtifactError(f"array {wrong[0]!r} is missing, too many, or of another shape")
    if not all(np.isfinite(v).all() for v in state.values()):
        raise ArtifactError("the network's weights are not all finite")
    net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    return net.eval().requires_grad_(False)


def _tensor(rows: FloatArray) -> torch.Tensor:
    """Return records as one problem, (1, n, d); copied, since stored arrays are read-only."""
    return torch.from_numpy(np.array(rows, np.float32))[None]


def _few(examples: FloatArray) -> FloatArray:
    """Return at most as many examples as the network looks at, spread over all of them."""
    if len(examples) <= MOST_EXAMPLES:
        return examples
    return examples[spread_points(examples, MOST_EXAMPLES)]
