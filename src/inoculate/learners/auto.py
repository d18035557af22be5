"""Auto: trees, neighbours and the evidence network, mixed as the support set tells.

No method is best on every threat. Each one's scores of left-out examples and left-out background
say how far it can be trusted here; the rule that turns them into weights is meta-learned. Trees
and neighbours look at every record, the network, which costs a hundred times as much, only where
one of them is suspicious; the rest keeps their order, below all that the network judges.

References:
    Wolpert, "Stacked Generalization", Neural Networks 5, 1992. Departure: see ``nn.mixing``.
    Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR
    2001, section 4. Departure: two stages, the second's score also carries the first's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from inoculate.errors import ArtifactError
from inoculate.learner import Scores, State
from inoculate.nn.evidence_support import EvidenceLearner, restored
from inoculate.nn.evidence_training import Schooling, meta_train_net
from inoculate.nn.members import Members, Trees
from inoculate.nn.mixing import (
    MixedProblem,
    MixNet,
    Scale,
    features,
    new_mix_net,
    train_mix_net,
)
from inoculate.task import Encoded, FloatArray, Labelled, Support, Task

_MOST_LEFT_OUT = 3  # examples of a class that are scored without themselves
_ENOUGH = 2_000  # background records to score a left-out example against
_BELOW = -100.0  # added to what no method suspects
_MIX = "mix."


@dataclass(frozen=True, slots=True, eq=False)
class AutoDetector:
    """The methods, their scales and weights, and from where on the network is asked."""

    members: Members
    scales: tuple[Scale, ...]
    weights: FloatArray
    suspicious: FloatArray

    def score(self, x: Encoded) -> Scores:
        """Return the mixture where a method suspects a record, what the cheap ones say below."""
        z = self.members.space.z(x)
        cheap, novelty = self.members.cheap(z)
        rows = np.flatnonzero((cheap >= self.suspicious).any(axis=(1, 2)))
        judged = np.zeros(cheap.shape[:2], np.float32)
        judged[rows] = self.members.judged(x.take(rows).stacked())
        mixed = np.empty(cheap.shape[:2], np.float32)
        for way, (scale, weight) in enumerate(zip(self.scales, self.weights, strict=True)):
            said = scale.apply(np.concatenate([cheap[:, way], judged[:, [way]]], axis=1))
            mixed[:, way] = said[:, :2].mean(axis=1) + np.float32(_BELOW)
            mixed[rows, way] = said[rows] @ weight
        if not self.members.forests:
            return Scores(np.zeros((len(z), 0), np.float32), mixed[:, 0])
        return Scores(mixed, novelty)


class Auto(EvidenceLearner):
    """Mixes learners by what the support set says of each; for any table, with or without examples.

    Adapting costs about 0.4 s a class, scoring about 50 us a benign record of 80 columns, one core.

    Args:
        n_trees: trees a class.
        min_leaf: records that each side of a split keeps at least.
        passed: share of background that each cheap method sends to the network.
        width: of the network's tokens, divisible by 2.
        n_layers: of attention.
        n_metrics: learned metrics over columns.
        n_background: background records that the network sees.
    """

    def __init__(
        self,
        *,
        n_trees: int = 100,
        min_leaf: int = 4,
        passed: float = 0.03,
        width: int = 64,
        n_layers: int = 2,
        n_metrics: int = 4,
        n_background: int = 512,
    ) -> None:
        super().__init__(width=width, n_layers=n_layers, n_metrics=n_metrics)
        self.n_trees = n_trees
        self.min_leaf = min_leaf
        self.passed = passed
        self.n_background = n_background
        self.mix_: MixNet = new_mix_net(0).eval().requires_grad_(False)

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn the mixing rule; before it the network, where there is none yet."""
        if self.net_ is None:
            tasks = list(tasks)
            self.net_ = meta_train_net(self.new_net(seed), tasks, Schooling(), seed=seed)
        problems = [p for i, task in enumerate(tasks) for p in self._problems(task, seed + i)]
        if problems:
            self.mix_ = train_mix_net(new_mix_net(seed), problems, seed=seed)
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> AutoDetector:
        """Fit every method, score what is left out, and weigh them.

        Raises:
            TaskError: the learner was not meta-trained.
        """
        members = self._members(support, range(support.n_way), self.n_trees, seed)
        scales, weights, suspicious = [], [], []
        for way in range(members.n_ways):
            known, left_out = members.left_out(way), self._left_out(support, way, seed)
            scales.append(Scale.of(known))
            found = features(left_out, known, scales[-1], _sizes(support, way))
            weights.append(self.mix_.weights(found, int(not support.n_way)))
            suspicious.append(np.quantile(known[:, :2], 1 - self.passed, axis=0))
        return AutoDetector(
            members=members,
            scales=tuple(scales),
            weights=np.stack(weights),
            suspicious=np.stack(suspicious).astype(np.float32),
        )

    def state(self) -> State:
        """Return the network's weights by name, and the mixing rule's."""
        if self.net_ is None:
            return {}
        mix = {_MIX + k: v.numpy() for k, v in self.mix_.state_dict().items()}
        return {**super().state(), **mix}

    def load_state(self, state: State) -> Self:
        """Take the network's weights, and the mixing rule's where there are any.

        Raises:
            ArtifactError: they are not those of networks of this size.
        """
        super().load_state({k: v for k, v in state.items() if not k.startswith(_MIX)})
        mix = {k.removeprefix(_MIX): v for k, v in state.items() if k.startswith(_MIX)}
        if mix and self.net_ is None:
            raise ArtifactError("a mixing rule without a network")
        if mix:
            self.mix_ = restored(new_mix_net(0), mix)
        return self

    def _members(self, support: Support, ways: Sequence[int], n_trees: int, seed: int) -> Members:
        trees = Trees(n_trees=n_trees, min_leaf=self.min_leaf)
        return Members.of(
            support, ways, self.net(), trees, n_background=self.n_background, seed=seed
        )

    def _left_out(self, support: Support, way: int, seed: int) -> FloatArray:
        """Return scores of some examples of a class, each by methods that never saw it, (k, 3)."""
        y, rng = support.examples.y, np.random.default_rng(seed)
        mine = rng.permutation(np.flatnonzero(y == way))
        found = np.zeros((0, 3), np.float32)
        if len(mine) < 2:
            return found
        background = support.background
        if background.n_records > _ENOUGH:
            background = background.take(rng.permutation(background.n_records)[:_ENOUGH])
        for row in mine[:_MOST_LEFT_OUT]:
            rest = np.flatnonzero(np.arange(len(y)) != row)
            examples = Labelled(support.examples.x.take(rest), y[rest])
            less = Support(examples, background, support.classes)
            members = self._members(less, [way], self.n_trees // 2, seed)
            one = support.examples.x.take(np.array([row]))
            cheap = members.cheap(members.space.z(one))[0][:, 0]
            found = np.vstack([found, np.hstack([cheap, members.judged(one.stacked())])])
        return found

    def _problems(self, task: Task, seed: int) -> Iterator[MixedProblem]:
        """Yield what each class of a task teaches the rule, and what the task without examples."""
        nothing = Labelled(task.support.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
        for support in (task.support, Support(nothing, task.support.background, ())):
            members = self._members(support, range(support.n_way), self.n_trees, seed)
            rows = task.query.x.stacked()
            (cheap, _), judged = members.cheap(members.space.z(task.query.x)), members.judged(rows)
            for way in range(members.n_ways):
                target = task.query.y == way if support.n_way else task.query.y >= 0
                if not 0 < target.sum() < len(target):
                    continue
                known, left_out = members.left_out(way), self._left_out(support, way, seed)
                scale = Scale.of(known)
                yield MixedProblem(
                    kind=int(not support.n_way),
                    features=features(left_out, known, scale, _sizes(support, way)),
                    scores=scale.apply(np.hstack([cheap[:, way], judged[:, [way]]])),
                    target=target.astype(np.float32),
                )


def _sizes(support: Support, way: int) -> tuple[int, int, int]:
    n_examples = int((support.examples.y == way).sum())
    return n_examples, support.background.n_records, support.background.stacked().shape[1]
