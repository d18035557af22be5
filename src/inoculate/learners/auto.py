"""Auto: trees, neighbours and the evidence network, mixed as the support set tells.

No method is best on every threat. Each one's scores of left-out examples and left-out background
say how far it can be trusted here; the rule that turns them into weights is meta-learned. Trees
and neighbours look at every record, the network, which costs far more, only where
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
_ENOUGH = 400  # background records to score a left-out example against
_BELOW = -100.0  # added to what no method suspects
_PASSED_BLINDLY = 0.2  # where no left-out example tells what the cheap methods miss
_MIX = "mix."


@dataclass(frozen=True, slots=True, eq=False)
class AutoDetector:
    """The methods, and how they are mixed.

    Attributes:
        members: the methods.
        scale: of their scores, the same for all classes.
        weights: (3,) of their scores; they sum to 1.
        cuts: (n_way, 2) of the cheap scores; a record at one of them is shown to the network.
    """

    members: Members
    scale: Scale
    weights: FloatArray
    cuts: FloatArray

    def score(self, x: Encoded) -> Scores:
        """Return the mixture where a method suspects a record, what the cheap ones say below."""
        z = self.members.space.z(x)
        cheap, novelty = self.members.cheap(z)
        rows = np.flatnonzero((cheap >= self.cuts).any(axis=(1, 2)))
        judged = np.zeros(cheap.shape[:2], np.float32)
        judged[rows] = self.members.judged(x.take(rows).stacked())
        said = self.scale.apply(np.concatenate([cheap, judged[..., None]], axis=-1))
        mixed = said[..., :2].mean(axis=-1) + np.float32(_BELOW)
        mixed[rows] = said[rows] @ self.weights
        if not self.members.forests:
            return Scores(np.zeros((len(z), 0), np.float32), mixed[:, 0])
        return Scores(mixed, novelty)


class Auto(EvidenceLearner):
    """Mixes learners by what the support set says of each; for any table, with or without examples.

    Adapting costs about 0.6 s a class, scoring 40 to 600 us a record of 80 columns,
    as trees and neighbours see the threat themselves or not, one core.

    Args:
        n_trees: trees a class.
        min_leaf: records that each side of a split keeps at least.
        passed: share of background that each cheap method sends to the network at least; as much
            more as left-out examples need to be seen.
        width: of the network's tokens, divisible by 2.
        n_layers: of attention.
        n_metrics: learned metrics over columns.
        n_background: background records that the network sees.

    Raises:
        ValueError: ``passed`` is no share.
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
        if not 0 < passed <= 1:
            raise ValueError(f"passed is {passed}, expected a share above 0, at most 1")
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
        ways = range(members.n_ways)
        known = [members.left_out(way) for way in ways]
        left_out = [self._left_out(support, way, seed) for way in ways]
        # one scale and one set of weights: the classes of a record are held against each other
        scale = Scale.of(np.concatenate(known))
        kind = int(not support.n_way)
        weights = [
            self.mix_.weights(
                features(left_out[way], known[way], scale, _sizes(support, way)), kind
            )
            for way in ways
        ]
        cuts = [_cut(known[way][:, :2], left_out[way][:, :2], self.passed) for way in ways]
        return AutoDetector(members, scale, np.mean(weights, axis=0), np.stack(cuts))

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


def _cut(known: FloatArray, left_out: FloatArray, passed: float) -> FloatArray:
    """Return from where on a record is suspicious in each of the cheap scores, (2,).

    As low as lets each left-out example pass in the score that shows it best, twice as much
    background passing as it takes: where trees and neighbours fail, the network sees all.

    Args:
        known: (m, 2) of left-out background.
        left_out: (k, 2) of left-out examples; k may be 0.
        passed: share of background to let pass at least.
    """
    least = passed if len(left_out) else max(passed, _PASSED_BLINDLY)
    cuts = np.quantile(known, 1 - least, axis=0).astype(np.float32)
    tied = (known >= cuts).mean(axis=0) > 2 * least  # most of background scores the same there
    cuts[tied] = np.nextafter(cuts[tied], np.float32(np.inf))
    for scores in left_out:
        above = (known >= scores).mean(axis=0)
        best = int(above.argmin())
        if above[best] > least:
            share = 2 * above[best]
            lower = np.quantile(known[:, best], 1 - share) if share < 1 else -np.inf
            cuts[best] = min(cuts[best], lower)
    return cuts


def _sizes(support: Support, way: int) -> tuple[int, int, int]:
    n_examples = int((support.examples.y == way).sum())
    return n_examples, support.background.n_records, support.background.stacked().shape[1]
