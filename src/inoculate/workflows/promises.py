"""What a new detector promises before anyone trusts it, measured on its own support set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inoculate.calibration import Calibration
from inoculate.errors import InoculateError
from inoculate.store.artifact import load
from inoculate.store.detector import load_detector
from inoculate.task import Support
from inoculate.workflows.examples import Examples
from inoculate.workflows.fitting import Fitted
from inoculate.workflows.refitting import rows_of

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


def make_promises(
    fitted: Fitted,
    examples: Examples,
    *,
    rate: float,
    records_a_day: float | None,
    out: Path,
) -> Promises:
    """Say what a fitted detector promises, and compare its examples with all there is.

    Args:
        fitted: the detector with its left-out examples.
        examples: their records and origins.
        rate: false-alarm rate asked for.
        records_a_day: background records a day; None without times.
        out: the detector's place; others beside it are known detectors.
    """
    kept, note = fitted.calibration.promise(rate)
    return Promises(
        rate=kept,
        note=note,
        left_out=len(fitted.left_out),
        found=fitted.found(rate),
        findings_a_day=None if records_a_day is None else kept * records_a_day,
        contradictions=_contradictions(fitted.support, examples.origins),
        lookalikes=_lookalikes(fitted, examples.origins),
        nearest=_nearest(examples, out, kept),
    )


def _contradictions(support: Support, origins: Sequence[str]) -> tuple[str, ...]:
    first: dict[bytes, int] = {}
    lines = []
    y = support.examples.y
    for i, row in enumerate(rows_of(support.examples.x)):
        j = first.setdefault(row, i)
        if y[i] != y[j]:
            a, b = support.classes[y[j]], support.classes[y[i]]
            lines.append(f"{origins[j]} ({a}) and {origins[i]} ({b}) are the same in every column")
    return _shortened(lines)


def _lookalikes(fitted: Fitted, origins: Sequence[str]) -> tuple[str, ...]:
    usual = set(rows_of(fitted.support.usual()))
    lines = [
        f"{origins[i]} is the same as a background record in every column"
        for i, row in enumerate(rows_of(fitted.support.examples.x))
        if row in usual
    ]
    lines += [
        f"{origins[i]}: without it, {100 * p:.0f} % of background looks as suspicious"
        for i, p in zip(fitted.left_out, fitted.p_values, strict=True)
        if p > _LOOKS_LIKE_BACKGROUND
    ]
    return _shortened(lines)


def _shortened(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    return tuple(lines[:_MOST_LINES]) + ((f"and {more} more",) if more > 0 else ())


def _nearest(examples: Examples, out: Path, rate: float) -> tuple[str, float] | None:
    """Return the detector beside the new one that finds most of its examples."""
    best: tuple[str, float] | None = None
    for path in sorted(out.absolute().parent.glob("*.detector")):
        if path.name == out.name:
            continue
        try:
            if load(path).manifest.kind != examples.domains[0].kind:
                continue
            known = load_detector(path)
            x = examples.encode(known.views).x
        except (InoculateError, OSError):
            continue  # a neighbour that cannot be read is no reason to stop
        alarm = known.detector.score(x).alarm().astype(np.float64)
        share = float((Calibration.of(known.scores).p_values(alarm) <= rate).mean())
        if best is None or share > best[1]:
            best = (known.manifest.name, share)
    return best
