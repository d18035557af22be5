"""What a new detector promises before anyone trusts it, measured on its own support set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inoculate.calibration import Calibration, Float64
from inoculate.domain import View
from inoculate.errors import InoculateError
from inoculate.learner import Learner
from inoculate.store.detector import load_detector
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.examples import Examples

_MOST_LEFT_OUT = 20
_MOST_LINES = 5
_LOOKS_LIKE_BACKGROUND = 0.1


@dataclass(frozen=True, slots=True)
class Promises:
    """What the user may expect of a detector.

    Attributes:
        rate: false-alarm rate kept; larger than asked where the background is too small.
        note: one line about that, or None.
        left_out: examples left out one at a time, and
        found: how many of them the others found at that rate.
        findings_a_day: false alarms expected a day on the background; None without times.
        contradictions: examples of different threats that cannot be told apart.
        lookalikes: examples that look like background.
        nearest: name of the known detector that finds most of the examples, with the share
            it finds; None when no detector lies beside.
    """

    rate: float
    note: str | None
    left_out: int
    found: int
    findings_a_day: float | None
    contradictions: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()
    nearest: tuple[str, float] | None = None

    def stored(self) -> dict[str, float | str | None]:
        """Return what the manifest keeps."""
        return {
            "false_alarms": self.rate,
            "left_out": float(self.left_out),
            "found": float(self.found),
            "findings_a_day": self.findings_a_day,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What promises are made from.

    Attributes:
        learner: what was adapted.
        support: what it was adapted on (examples, and background kept for reference).
        calibration: scores of the background.
        rate: false-alarm rate asked for.
        origins: where each example came from.
        records_a_day: background records a day; None without times.
        seed: of the adaptation.
        out: the detector's place; others beside it are known detectors.
        views: the columns.
        examples: the examples' records, for known detectors that look at other columns.
    """

    learner: Learner
    support: Support
    calibration: Calibration
    rate: float
    origins: tuple[str, ...]
    records_a_day: float | None
    seed: int
    out: Path
    views: tuple[View, ...]
    examples: Examples


def make_promises(grounds: Grounds) -> Promises:
    """Leave examples out one at a time, and compare them with background and each other."""
    rate, note = grounds.calibration.promise(grounds.rate)
    rows, p_values = _left_out(grounds)
    a_day = None if grounds.records_a_day is None else rate * grounds.records_a_day
    return Promises(
        rate=rate,
        note=note,
        left_out=len(rows),
        found=int((p_values <= rate).sum()),
        findings_a_day=a_day,
        contradictions=_contradictions(grounds.support, grounds.origins),
        lookalikes=_lookalikes(grounds, rows, p_values),
        nearest=_nearest(grounds, rate),
    )


def _left_out(grounds: Grounds) -> tuple[list[int], Float64]:
    """Return which examples were left out, and the p-value of each without itself."""
    y = grounds.support.examples.y
    alone = np.bincount(y, minlength=grounds.support.n_way) < 2
    rows = [i for i in range(len(y)) if not alone[y[i]]]
    if len(rows) > _MOST_LEFT_OUT:
        rows = [rows[int(i)] for i in np.linspace(0, len(rows) - 1, _MOST_LEFT_OUT)]
    scores = np.empty(len(rows), np.float32)
    for k, row in enumerate(rows):
        rest = np.arange(len(y)) != row
        support = Support(
            Labelled(grounds.support.examples.x.take(rest), y[rest]),
            grounds.support.background,
            grounds.support.classes,
        )
        detector = grounds.learner.adapt(support, seed=grounds.seed)
        scores[k] = detector.score(grounds.support.examples.x.take(np.array([row]))).alarm()[0]
    return rows, grounds.calibration.p_values(scores)


def _rows_of(x: Encoded) -> list[bytes]:
    table = np.ascontiguousarray(x.stacked()) + np.float32(0)  # minus zero is zero
    return [row.tobytes() for row in table]


def _contradictions(support: Support, origins: Sequence[str]) -> tuple[str, ...]:
    first: dict[bytes, int] = {}
    lines = []
    y = support.examples.y
    for i, row in enumerate(_rows_of(support.examples.x)):
        j = first.setdefault(row, i)
        if y[i] != y[j]:
            a, b = support.classes[y[j]], support.classes[y[i]]
            lines.append(f"{origins[j]} ({a}) and {origins[i]} ({b}) are the same in every column")
    return _shortened(lines)


def _lookalikes(grounds: Grounds, rows: Sequence[int], p_values: Float64) -> tuple[str, ...]:
    usual = set(_rows_of(grounds.support.background))
    lines = [
        f"{grounds.origins[i]} is the same as a background record in every column"
        for i, row in enumerate(_rows_of(grounds.support.examples.x))
        if row in usual
    ]
    lines += [
        f"{grounds.origins[i]}: without it, {100 * p:.0f} % of background looks as suspicious"
        for i, p in zip(rows, p_values, strict=True)
        if p > _LOOKS_LIKE_BACKGROUND
    ]
    return _shortened(lines)


def _shortened(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    return tuple(lines[:_MOST_LINES]) + ((f"and {more} more",) if more > 0 else ())


def _nearest(grounds: Grounds, rate: float) -> tuple[str, float] | None:
    """Return the detector beside the new one that finds most of its examples."""
    best: tuple[str, float] | None = None
    for path in sorted(grounds.out.absolute().parent.glob("*.detector")):
        if path.name == grounds.out.name:
            continue
        try:
            known = load_detector(path)
            x = grounds.examples.encode(known.views).x
        except (InoculateError, OSError):
            continue  # a neighbour that cannot be read, or of another kind, is no reason to stop
        alarm = known.detector.score(x).alarm().astype(np.float64)
        share = float((Calibration.of(known.scores).p_values(alarm) <= rate).mean())
        if best is None or share > best[1]:
            best = (known.manifest.name, share)
    return best
