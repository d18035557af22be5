"""Meta-interpreter: kin of the examples, before or after a fix, and a rule that says why.

Three parts, each with what is meta-learned over many weaknesses, judge a function:

* *kinship*: is it such a function as the examples are? In a metric where fixes do not move it,
  and by the rare words it shares with them (``features.kinship``).
* *direction*: is it like one before or after its fix? A common direction of fixes, moved by
  the pairs at hand (``features.ranking``).
* *rule*: the cheapest clauses of facts that cover every example, none of the twins and next to
  nothing of the background (``features.clauses``), under meta-learned costs of facts.

With twins, kinship says which records are looked at, those well beyond 97 % of the background, and
how closely, in steps of standard deviations; the direction orders what is on one step. Neither
alone does: kin are found equally before and after the fix, and the direction says little of two
functions. Without twins kinship scores. A rule is believed where rules made without one example
find that one; what it covers comes first.

Where twins are not the examples' own, but functions marked as harmless (``marked``), a boundary of
bad and good records takes the place of direction and steps (``features.boundary``).

References:
    Muggleton et al., Machine Learning 100, 2015; Rajeswaran et al., NeurIPS 2019: see the modules
    for departures. A network was measured and lost (docs/decisions/0007-meta-interpreter.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.boundary import STRENGTH, learn_boundary, moved_boundary
from inoculate.features.clauses import Bounds, Learned, costs, learn_clauses
from inoculate.features.kinship import Kin, Metric
from inoculate.features.ranking import bounded, choose, common_direction, moved_direction
from inoculate.learner import Learner, Scores, State
from inoculate.task import Encoded, FloatArray, Support, Task

Float64 = npt.NDArray[np.float64]
Sides = list[tuple[Float64, Float64]]

_FLOOR = 0.05  # of a column's scale
_FURTHEST = 1e4  # scales; more says no more
_LOOKED_AT = 0.97
_CLOSER = np.array([1.0, 2, 3, 4, 6, 8, 12, 16, 24])  # steps above it, in standard deviations
_ALARMS = 0.01
_BELIEVED = 0.6  # share of left-out examples that rules made without them have to find
_MOST_LEFT_OUT = 8
_SHAPES = {"scale": 1, "direction": 1, "strength": 0, "offset": 0}
_SHAPES |= dict.fromkeys(("spread", "fixes", "cost"), 2)


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """One class's parts, adapted.

    Attributes:
        kinship: likeness to the examples.
        steps: (s,) kinship from which on a record is looked at, and closer; none without twins.
        direction: (d,) weights.
        centre: mean and standard deviation of the background's direction.
        rule: clauses over the columns that are not 0, where one is believed.
    """

    kinship: Kin
    steps: Float64
    direction: Float64
    centre: tuple[float, float]
    rule: Learned | None

    def score(self, rows: Float64, facts: npt.NDArray[np.bool_]) -> Float64:
        """Return the class's score of each record, (n,)."""
        kinship = self.kinship.score(rows)
        covered = self.rule.covers(facts) if self.rule else np.zeros(len(rows), bool)
        step = np.searchsorted(self.steps, kinship) + covered * (len(self.steps) + 1)
        mean, spread = self.centre
        order = (rows @ self.direction - mean) / spread if len(self.steps) else kinship
        # within 0 and 1 in the same order, far ones still apart
        return np.asarray(step + 0.5 + np.arctan(order / 2) / np.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A detector.

    Attributes:
        scale, metric: of the columns (d,), of the background.
        judges: one a class.
    """

    scale: Float64
    metric: Metric
    judges: tuple[Judge, ...]

    def score(self, x: Encoded) -> Scores:
        """Return each class's score, and the distance to the background as novelty.

        Raises:
            TaskError: the records have another number of columns.
        """
        table = x.stacked()
        if table.shape[1] != len(self.scale):
            raise TaskError(f"{table.shape[1]} columns, adapted to {len(self.scale)}")
        rows = _rows(table, self.scale, self.metric.mean)
        facts = _facts(table)
        threat = np.array([judge.score(rows, facts) for judge in self.judges])
        return Scores(
            threat.reshape(len(self.judges), len(rows)).T.astype(np.float32),
            self.metric.distance(rows).astype(np.float32),
        )


def _rows(table: FloatArray, scale: Float64, usual: Float64) -> Float64:
    """Return records in scales, none beyond ``_FURTHEST``; what is unknown is as usual."""
    rows = np.clip(table / scale, -_FURTHEST, _FURTHEST)
    return np.asarray(np.where(np.isnan(rows), usual, rows), np.float64)


def _facts(table: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    return np.asarray(np.greater(np.nan_to_num(table), 0))


class MetaInterpreter(Learner):
    """Kinship, direction of fixes and a rule; needs a prior, best with twins.

    Adapting costs O(d^3) and a bounded search for a rule, about 0.5 s of 600 columns; scoring
    some 10 us a record.

    Args:
        fixes: how often the spread of fixes counts in the metric.
        most_steps: clauses that are looked at for a class's rule; 0 for no rule.
        penalty: of the common direction; 0 chooses on held-out meta-training weaknesses.
        strength: how hard pairs move it; 0 chooses likewise, or takes that of marked functions.
        marked: whether twins are other functions, known to be harmless.
    """

    meta_trained = True
    paired = True
    meta_fit_only = frozenset({"penalty"})

    def __init__(
        self,
        *,
        fixes: float = 100.0,
        most_steps: int = 10_000,
        penalty: float = 0.0,
        strength: float = 0.0,
        marked: bool = False,
    ) -> None:
        self.fixes = fixes
        self.most_steps = most_steps
        self.penalty = penalty
        self.strength = strength
        self.marked = marked
        self.learned_: dict[str, npt.NDArray[np.float32]] = {}

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn scales, spreads, direction and costs of facts; a task is a weakness.

        Raises:
            TaskError: there is no task, or they have different columns.
        """
        seen = list(tasks)
        widths = {task.support.background.stacked().shape[1] for task in seen}
        if len(widths) != 1:
            raise TaskError(f"tasks have {sorted(widths)} columns, expected one number of them")
        known = [np.nan_to_num(np.array(task.support.pairs(), np.float64)) for task in seen]
        sides: Sides = [(a, b) for a, b in known if len(a)]
        background = np.concatenate([task.support.background.stacked() for task in seen])
        records = np.nan_to_num(background.astype(np.float64))
        if self.marked and sides:
            found = learn_boundary(sides) | {"strength": np.array(self.strength or STRENGTH)}
        else:
            found = self._of_fixes(sides, records, seed)
        width = len(found["scale"])
        found["spread"] = np.cov((records / found["scale"]).T).reshape(width, width)
        found["cost"] = costs([(_facts(a), _facts(b)) for a, b in sides], width)
        self.learned_ = {k: np.asarray(found[k], np.float32) for k in _SHAPES}
        return self

    def _of_fixes(self, sides: Sides, records: Float64, seed: int) -> dict[str, Float64]:
        changed = [a - b for a, b in sides] or [records - records.mean(axis=0)]
        together = np.concatenate(changed)
        scale = np.asarray(together.std(axis=0) + _FLOOR, np.float64)
        penalty, strength = self.penalty, self.strength
        if sides and not (penalty and strength):
            chosen = choose([c / scale for c in changed], seed=seed)
            penalty, strength = penalty or chosen[0], strength or chosen[1]
        fixes = bounded(together / scale)
        return {
            "scale": scale,
            "direction": common_direction(together / scale, penalty) if sides else 0 * scale,
            "fixes": fixes.T @ fixes / len(fixes) * bool(sides),
            "strength": np.array(strength or 100.0),
            "offset": np.array(0.0),
        }

    def adapt(self, support: Support, *, seed: int = 0) -> Adapted:
        """Return the detector of a support set.

        Raises:
            TaskError: the learner was not meta-trained, or on other columns.
        """
        if not self.learned_:
            raise TaskError("meta_interpreter needs meta-training first: give a prior")
        told = {k: v.astype(np.float64) for k, v in self.learned_.items()}
        scale, table = told["scale"], support.usual().stacked()
        if table.shape[1] != len(scale):
            raise TaskError(f"{table.shape[1]} columns, the prior has {len(scale)}")
        table = table if len(table) else support.background.stacked()
        known = np.isfinite(table)
        usual = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1) / scale
        background = _rows(table, scale, usual)
        often = 0.0 if self.marked else self.fixes
        metric = Metric.of(background, told["spread"], told["fixes"], often)
        judges = [self._judge(support, c, told, metric, background) for c in range(support.n_way)]
        return Adapted(scale, metric, tuple(judges))

    def _judge(
        self, support: Support, c: int, told: State, metric: Metric, background: Float64
    ) -> Judge:
        mine = support.examples.y == c
        paired = np.flatnonzero(mine[: support.n_twins])
        examples = support.examples.x.stacked()[mine]
        before, after = (side[paired] for side in support.pairs())
        scale, strength = told["scale"], float(told["strength"])
        bad, good = (_rows(side, scale, metric.mean) for side in (examples, after))
        kinship = metric.kin(background, bad, good)
        steps, usual = np.zeros(0), kinship.score(background)
        if self.marked and len(paired):
            steps = np.full(1, np.inf)  # nothing is looked at closer: 0.5 is the boundary
            given = (told["direction"], float(told["offset"])), bad, good, told["fixes"]
            direction, offset = moved_boundary(*given, strength)
            centre = -offset, 1.0
        else:
            differences = (np.nan_to_num(before) - np.nan_to_num(after)) / scale
            direction = moved_direction(told["direction"], differences, strength)
            order = background @ direction
            centre = float(order.mean()), max(float(order.std()), 1e-6)
            if len(paired):
                steps = np.quantile(usual, _LOOKED_AT) + _CLOSER * usual.std()
        rule = self._rule(examples, after, support.usual().stacked(), told["cost"])
        return Judge(kinship, steps, direction, centre, rule)

    def _rule(
        self, examples: FloatArray, twins: FloatArray, usual: FloatArray, cost: Float64
    ) -> Learned | None:
        """Return the rule, where one is found and believed; twins are of the first examples."""
        if not self.most_steps or len(examples) < 2:
            return None
        alarms = int(_ALARMS * len(usual))
        bounds = Bounds(alarms=alarms, steps=self.most_steps, seconds=float("inf"))
        mine, contrary, background = _facts(examples), _facts(twins), _facts(usual)
        found = 0
        left_out = range(min(len(mine), _MOST_LEFT_OUT))
        for i in left_out:
            others, rest = (
                np.delete(mine, i, 0),
                np.delete(contrary, i, 0) if i < len(contrary) else contrary,
            )
            rule = learn_clauses(others, rest, background, cost, bounds)
            twin = contrary[i : i + 1]
            found += bool(rule and rule.covers(mine[i : i + 1])[0] and not rule.covers(twin).any())
        if found < _BELIEVED * len(left_out):
            return None
        return learn_clauses(mine, contrary, background, cost, bounds)

    def state(self) -> State:
        """Return what was learned, by name."""
        return dict(self.learned_)

    def load_state(self, state: State) -> Self:
        """Take what was learned.

        Raises:
            ArtifactError: an array is missing, does not fit the others, or holds what it cannot.
        """
        missing = _SHAPES.keys() - state.keys()
        if missing:
            raise ArtifactError(f"array {', '.join(sorted(missing))} is missing")
        found = {k: np.asarray(state[k], np.float32) for k in _SHAPES}
        width = found["scale"].size
        shapes = {k: (width,) * n for k, n in _SHAPES.items()} | {"cost": (width, 2)}
        wrong = [k for k, a in found.items() if a.shape != shapes[k] or not np.isfinite(a).all()]
        wrong += [k for k in ("scale", "cost", "strength") if not (found[k] > 0).all()]
        for name in wrong[:1]:
            raise ArtifactError(f"{name} is {found[name].shape}, or not finite, or not > 0")
        try:
            for name in ("spread", "fixes"):
                np.linalg.cholesky(found[name].astype(np.float64) + 1e-3 * np.eye(width))
        except np.linalg.LinAlgError as err:
            raise ArtifactError(f"{name} is no covariance") from err
        self.learned_ = found
        return self
