"""Which of several scores to believe, told by the support set alone; the rule is meta-learned.

Each score is measured in its own scale of left-out background. What a left-out example gets in
it, and how heavy the background's tail is, go through one small network into a weight; one
network for all scores, which knows which of them it looks at.

References:
    Wolpert, "Stacked Generalization", Neural Networks 5, 1992, for weights from left-out scores.
    Departure: they come from a rule that was learned over many tasks, since a few examples
    cannot tell the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inoculate.nn.evidence_training import first_loss
from inoculate.nn.outer_loop import one_thread
from inoculate.task import FloatArray

N_SCORES = 3
N_FEATURES = 8
_HIDDEN = 16
_BATCH = 16  # problems a step
_EPOCHS = 40
_RATE = 3e-3


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """The scale of some scores: their left-out background.

    Attributes:
        middle: (N_SCORES,) median.
        unit: (N_SCORES,) from there to the 99th percentile.
    """

    middle: FloatArray
    unit: FloatArray

    @classmethod
    def of(cls, background: FloatArray) -> "Scale":
        """Return the scale of scores of left-out background, (m, N_SCORES)."""
        middle = np.median(background, axis=0)
        unit = np.quantile(background, 0.99, axis=0) - middle
        return cls(middle.astype(np.float32), np.maximum(unit, 1e-3).astype(np.float32))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return scores in this scale, in signed logs: log 2 is the 99th percentile."""
        z = (scores - self.middle) / self.unit
        return np.asarray(np.sign(z) * np.log1p(np.abs(z)), np.float32)


def features(
    left_out: FloatArray, background: FloatArray, scale: Scale, sizes: Sequence[int]
) -> FloatArray:
    """Return what is known of each score on one support set, (N_SCORES, N_FEATURES).

    Args:
        left_out: (k, N_SCORES) of left-out examples; k may be 0.
        background: (m, N_SCORES) of left-out background.
        scale: of the background.
        sizes: examples, background records and columns.
    """
    found = np.zeros((N_SCORES, N_FEATURES), np.float32)
    if len(left_out):
        z = scale.apply(left_out)
        parts = (z.mean(0), z.min(0), (z > np.log(2)).mean(0), np.ones(N_SCORES))
        found[:, :4] = np.stack(parts, axis=1)
    found[:, 4] = scale.apply(background).max(axis=0)
    found[:, 5:] = np.log1p(sizes) / 4
    return found


@dataclass(frozen=True, slots=True, eq=False)
class MixedProblem:
    """One problem to learn the rule from.

    Attributes:
        kind: 0 with examples, 1 without: other scores are meant then.
        features: (N_SCORES, N_FEATURES).
        scores: (n, N_SCORES) of queries, in their scale.
        target: (n,) 1 for a threat.
    """

    kind: int
    features: FloatArray
    scores: FloatArray
    target: FloatArray


class MixNet(nn.Module):
    """Weights of scores, which sum to 1; at first the last score weighs most."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(N_FEATURES + 2 * N_SCORES, _HIDDEN)
        self.head = nn.Linear(_HIDDEN, 1)
        self.trust = nn.Parameter(torch.tensor([[0.0] * (N_SCORES - 1) + [2.0]] * 2))
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, kind: int) -> Tensor:
        """Return weights (N_SCORES,) from features (N_SCORES, N_FEATURES)."""
        which = functional.one_hot(torch.arange(N_SCORES) + kind * N_SCORES, 2 * N_SCORES)
        hidden = functional.silu(self.body(torch.cat([x, which.to(x.dtype)], -1)))
        logits: Tensor = self.head(hidden)[:, 0] + self.trust[kind]
        return logits.softmax(0)

    def weights(self, x: FloatArray, kind: int) -> FloatArray:
        """Return weights as an array; see ``forward``."""
        with torch.inference_mode():
            return np.asarray(self(torch.from_numpy(x), kind).numpy(), np.float32)


def new_mix_net(seed: int) -> MixNet:
    """Return a rule before training; the same seed gives the same one."""
    # torch.nn draws its initial weights from the global generator only
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MixNet()


def train_mix_net(net: MixNet, problems: Sequence[MixedProblem], *, seed: int) -> MixNet:
    """Learn the rule on problems: threats must stand above the highest of the rest.

    Args:
        net: to start from; changed and returned.
        problems: each has threats and others among its queries.
        seed: of their order.
    """
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01)
    rng = np.random.default_rng(seed)
    with one_thread():
        for _ in range(_EPOCHS):
            for some in np.array_split(
                rng.permutation(len(problems)), max(1, len(problems) // _BATCH)
            ):
                optimiser.zero_grad()
                losses = [_loss(net, problems[i]) for i in some]
                torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return net.eval().requires_grad_(False)


def _loss(net: MixNet, p: MixedProblem) -> Tensor:
    weights = net(torch.from_numpy(p.features), p.kind)
    mixed = torch.from_numpy(p.scores) @ weights * net.sharpness.exp()
    return first_loss(mixed, torch.from_numpy(p.target))
