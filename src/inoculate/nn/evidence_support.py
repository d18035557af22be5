"""The evidence network on one support set: its sides computed once, records scored in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.neighbours import spread_points
from inoculate.learner import Learner, State
from inoculate.nn.evidence import MOST_EXAMPLES, Conditioned, EvidenceNet
from inoculate.nn.evidence_cells import Closeness, Company, Ground
from inoculate.nn.outer_loop import one_thread
from inoculate.task import FloatArray, Support

N_HEADS = 2
_GROUND = 4_096  # background records that cells are expressed against
_PART = 2_048  # background records at a time
_AT_ONCE = 128  # of them, for the network
_CANDIDATES = 600  # background records that the network looks for lookalikes among
_WORTH_A_LOOK = 100  # background records; of fewer, a quarter would say nothing
_MOST_AGAIN = 250  # background records of a second look; of a small one, a quarter
_GAPS = 2_000_000  # between query cells and background cells at a time: memory stays bounded


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A second look at one class, against the background that the first one took for it.

    Attributes:
        side: the class beside that background only, which its columns are placed against.
        least: the lowest logit of that background in the first look; a record from there on is
            looked at again, and must pass both.
        rows: which records of the whole background it is.
    """

    side: Conditioned
    least: float
    rows: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """What a support set says to the network, computed once.

    A large background is mostly unlike the threat, and few records of it decide. So the network
    looks twice: at all, and again at what resembles the threat.

    References:
        Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based Models",
        TPAMI 32, 2010, section 4.4, for hard negatives. Departure: nothing is trained on them.

    Attributes:
        net: the network.
        conditioned: a side for each class, or one without any example.
        looks: a second look for each class; none without classes, or with little background.
        n_columns: columns of the support set.
        columns: those that are looked at: those that the background knows.
        rows: (m,) which records of the background, in the order that the sides hold them; of a
            large one, the fair sample only.
        n_background: records of it that are looked at.
    """

    net: EvidenceNet
    conditioned: tuple[Conditioned, ...]
    looks: tuple[Look, ...]
    n_columns: int
    columns: np.ndarray
    rows: np.ndarray
    n_background: int

    @classmethod
    def of(
        cls,
        net: EvidenceNet,
        support: Support,
        *,
        n_background: int,
        seed: int,
        ways: Sequence[int] | None = None,
    ) -> "Sides":
        """Return the sides of a support set.

        Of a large background two parts are looked at one by one: a random one, and for each
        class as many records that most resemble an example.

        Args:
            net: the network.
            support: the support set.
            n_background: most background records to look at.
            seed: of the random part.
            ways: the classes to have a side; None for all. No class gives one without examples.
        """
        background, examples = support.background.stacked(), support.examples.x.stacked()
        n_columns = background.shape[1]
        # what the background does not know is never looked at
        columns = np.flatnonzero(np.isfinite(background).any(axis=0))
        columns = columns if len(columns) else np.arange(1)
        background, examples, y = background[:, columns], examples[:, columns], support.examples.y
        mixed = np.random.default_rng(seed).permutation(len(background))
        few = len(background) <= n_background
        fair = mixed if few else mixed[: n_background // (2 if support.n_way else 1)]
        rest = None if few else _tensor(background[mixed[len(fair) :]])
        parts = (_tensor(background[fair]), rest, _tensor(background[mixed[:_GROUND]]))
        sides, looks = [], []
        with one_thread(), torch.inference_mode():
            for c in range(support.n_way) if ways is None else ways:
                mine, others = examples[y == c], examples[y != c]
                side, alike = _side(net, mine, others, parts, n_background - len(fair))
                sides.append(side)
                if len(background) >= _WORTH_A_LOOK:
                    seen = np.concatenate([fair, mixed[len(fair) + alike]])
                    known = None if few else seen
                    looks.append(_look(net, side, mine, others, background, known))
            if not sides:
                sides.append(_side(net, examples[:0], examples[:0], parts, 0)[0])
        n_seen = min(n_background, len(mixed))
        return cls(net, tuple(sides), tuple(looks), n_columns, columns, fair, n_seen)

    def logits(self, rows: FloatArray, sides: Sequence[int]) -> FloatArray:
        """Return the logits of records (n, d) for some of the sides, (n, number of sides).

        Raises:
            TaskError: the records have another number of columns.
        """
        return self.judged(rows, sides)[0]

    @torch.inference_mode()
    def judged(self, rows: FloatArray, sides: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Return logits as ``logits`` does, and the mean distance to background, (n,).

        Raises:
            TaskError: the records have another number of columns.
        """
        if rows.shape[1] != self.n_columns:
            raise TaskError(f"{rows.shape[1]} columns, the detector has {self.n_columns}")
        found, far = np.zeros((len(rows), len(sides)), np.float32), np.zeros(len(rows), np.float32)
        step = max(1, _GAPS // (len(self.columns) * self.n_background))
        with one_thread():
            for start in range(0, len(rows), step):
                block = slice(start, start + step)
                part = _tensor(rows[block, self.columns])
                for i, side in enumerate(sides):
                    logits, apart = self.net.judge(self.conditioned[side], part)
                    found[block, i] = self._again(side, part, logits)[0].numpy()
                    far[block] += apart[0].numpy() / len(sides)
        return found, far

    def _again(self, side: int, x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return logits (1, n) of records, lowered where a second look says less."""
        if not self.looks:
            return logits
        look = self.looks[side]
        rows = torch.nonzero(logits[0] >= look.least)[:, 0]
        if len(rows):
            logits[0, rows] = logits[0, rows].minimum(self.net(look.side, x[:, rows])[0])
        return logits

    @torch.inference_mode()
    def left_out(self, side: int, most: int) -> tuple[np.ndarray, FloatArray]:
        """Return some rows of the background and their logits, each without itself.

        Not those read in context, unless all are.

        Args:
            side: which one.
            most: rows.
        """
        conditioned = self.conditioned[side]
        shown = set(conditioned.shown[0].tolist()) if conditioned.shown is not None else set()
        free = [i for i in range(conditioned.n_fair) if i not in shown]
        rows = torch.tensor((free or range(conditioned.n_fair))[:most])
        with one_thread():
            logits = self.net.left_out(conditioned, rows)[0]
            found = self.rows[rows.numpy()]
            if self.looks:
                look = self.looks[side]
                _, hard, place = np.intersect1d(found, look.rows, return_indices=True)
                if len(hard):
                    second = self.net.left_out(look.side, torch.from_numpy(place))[0]
                    logits[hard] = logits[hard].minimum(second)
        return found, logits.numpy()


class EvidenceLearner(Learner):
    """Base of the learners that rest on one evidence network."""

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


Net = TypeVar("Net", bound=torch.nn.Module)


def restored(net: Net, state: State) -> Net:
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


def _side(
    net: EvidenceNet,
    mine: FloatArray,
    others: FloatArray,
    parts: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor],
    n_alike: int,
) -> tuple[Conditioned, npt.NDArray[np.intp]]:
    """Return the side of one class, and which of the rest of the background it looks at.

    Args:
        net: the network.
        mine: examples of the class.
        others: of other classes.
        parts: a fair part of the background, its rest if any, and the ground.
        n_alike: records of the rest to look at.
    """
    fair, rest, ground = parts
    there = torch.ones((1, len(mine)), dtype=torch.bool)
    if not len(mine):
        mine = np.full((1, fair.shape[2]), np.nan, np.float32)
        there, rest = torch.zeros((1, 1), dtype=torch.bool), None
    x, rows = _tensor(_few(mine)), np.zeros(0, np.intp)
    if rest is not None:
        rows = _most_alike(ground, x, rest, n_alike)
    alike = None if rest is None else rest[:, rows]
    there = there[:, : x.shape[1]]
    few = _tensor(_few(others))
    return net.condition(x, there, fair, few, lookalikes=alike, ground=ground), rows


def _look(
    net: EvidenceNet,
    side: Conditioned,
    mine: FloatArray,
    others: FloatArray,
    background: FloatArray,
    seen: npt.NDArray[np.intp] | None,
) -> Look:
    """Return the second look at one class: against the background most like it to the network.

    Args:
        net: the network.
        side: the first look.
        mine: examples of the class.
        others: of other classes.
        background: all of it.
        seen: which of it the first look saw, in its order; None where it saw all. These are
            judged without themselves, or what it saw would be taken for the threat least.
    """
    rows = np.arange(len(background))
    x = _tensor(_few(mine))
    if len(rows) > _CANDIDATES:
        whole = _tensor(background)
        rows = _most_alike(_tensor(background[:_GROUND]), x, whole, _CANDIDATES)
    parts = torch.split(_tensor(background[rows]), _AT_ONCE, dim=1)
    logits = torch.cat([net(side, part)[0] for part in parts]).numpy()
    if seen is not None:
        _, here, place = np.intersect1d(rows, seen, return_indices=True)
        for start in range(0, len(here), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            logits[here[some]] = net.left_out(side, torch.from_numpy(place[some]))[0].numpy()
    n = max(1, min(_MOST_AGAIN, len(background) // 4))
    hard = np.sort(np.argsort(-logits, kind="stable")[:n])
    usual = _tensor(background[rows[hard]])
    there = torch.ones(x.shape[:2], dtype=torch.bool)
    again = net.condition(x, there, usual, _tensor(_few(others)))
    return Look(again, float(logits[hard].min()), rows[hard])


def _most_alike(
    ground: torch.Tensor, mine: torch.Tensor, rest: torch.Tensor, n: int
) -> npt.NDArray[np.intp]:
    """Return the rows of the n records of a background nearest to an example, (n,)."""
    places = Ground.of(ground)
    company, nearest = Company(places.cells(mine), torch.ones(mine.shape[:2]).bool()), []
    even = torch.full((1, mine.shape[2], 1), 1 / mine.shape[2])
    for part in torch.split(rest, _PART, dim=1):
        close = Closeness.of(places.cells(part), company)
        nearest.append(close.distances(even)[0].mean(-1))
    return np.asarray(torch.cat(nearest, 1)[0].topk(n, largest=False).indices.numpy(), np.intp)


def _few(examples: FloatArray) -> FloatArray:
    """Return at most as many examples as the network looks at, spread over all of them."""
    if len(examples) <= MOST_EXAMPLES:
        return examples
    return examples[spread_points(examples, MOST_EXAMPLES)]
