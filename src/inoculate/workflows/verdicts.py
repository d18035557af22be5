"""Verdicts on whole traces: a trace is as suspicious as its most suspicious window.

A trace of n windows has n chances to alarm, so the largest score is not held against windows.
It is held against the largest scores of the background's own traces, which had their chances as
well; where the background has too few traces for the promised rate, the window's p-value times
n is taken, which is right however windows depend on each other, and cautious.

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 4.1.
    Dunn, "Multiple Comparisons Among Means", JASA 56, 1961 (the factor n, after Bonferroni).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inoculate.calibration import Calibration, Float64
from inoculate.domain import Batch, Domain
from inoculate.finding import NOVELTY, Verdict
from inoculate.reading.origins import place_of
from inoculate.task import IntArray

MOST_WHOLES = 100_000
"""Traces remembered at once; the one whose windows came first is judged to make room."""
MOST_VERDICTS = 20_000

_Row = tuple[float, int, str, int]  # largest score, windows, its origin, its class
_TOLERANCE = 1 + 1e-9  # p-values are quotients, the rate a decimal


class Verdicts:
    """Takes scored windows batch by batch, and judges what they are windows of.

    Args:
        calibration: the background's scores, and its largest a trace where they are known.
        rate: share of benign traces that may alarm.
        classes: names of the threats; empty for novelty only.
    """

    def __init__(self, calibration: Calibration, rate: float, classes: Sequence[str]) -> None:
        self.n_wholes = 0
        self.noun = ""
        self._calibration = calibration
        self._rate = rate
        self._classes = tuple(classes)
        enough = (len(calibration.maxima) + 1) * rate * _TOLERANCE >= 1
        self._maxima = Calibration(calibration.maxima) if enough else None
        self._open: dict[tuple[str, str], _Row] = {}
        self._alarming: list[Verdict] = []
        self._beyond = 0

    def add(
        self,
        domain: Domain,
        batch: Batch,
        alarm: Float64,
        best: IntArray,
        excepted: npt.NDArray[np.intp],
    ) -> None:
        """Take the windows of a batch.

        Args:
            domain: whose they are; nothing is done where its records stand alone.
            batch: n windows.
            alarm: (n,) their scores.
            best: (n,) the class each looks like most.
            excepted: rows that count as no window.
        """
        if not domain.part_of or domain.part_of not in batch.frame.columns:
            return
        self.noun = domain.part_of
        left_out = set(excepted.tolist())
        names = batch.frame[domain.part_of].to_list()
        origins = batch.frame["origin"].to_list()
        rows = zip(names, origins, alarm.tolist(), best.tolist(), strict=True)
        for i, (name, origin, score, cls) in enumerate(rows):
            if name is None or i in left_out:
                continue
            key = (source_of(origin), str(name))
            old = self._open.pop(key, (-np.inf, 0, "", -1))
            best_of = (score, origin, cls) if score > old[0] else (old[0], old[2], old[3])
            self._open[key] = (best_of[0], old[1] + 1, best_of[1], best_of[2])
            if len(self._open) > MOST_WHOLES:
                self._judge(next(iter(self._open)))

    def finish(self) -> tuple[Verdict, ...]:
        """Judge what is left, and return all that alarm, the most suspicious first."""
        for key in list(self._open):
            self._judge(key)
        return tuple(sorted(self._alarming, key=lambda v: (v.p_value, -v.score, v.origin)))

    def notes(self) -> tuple[str, ...]:
        """Return what the user must know of the verdicts."""
        if not self.n_wholes:
            return ()
        lines = []
        if self._maxima is None:
            n = len(self._calibration.maxima)
            lines.append(
                f"verdicts on {self.noun}s: the background's {n} {self.noun}s are too few for "
                f"{100 * self._rate:.4g} %, so a {self.noun}'s p-value is its strongest window's "
                "times its windows (Bonferroni)"
            )
            if self._beyond:
                lines.append(
                    f"{self._beyond:,} of {self.n_wholes:,} {self.noun}s have too many windows to "
                    "alarm in this way: more background is needed"
                )
        if len(self._alarming) == MOST_VERDICTS:
            lines.append(f"only the first {MOST_VERDICTS:,} {self.noun}s that alarm are kept")
        return tuple(lines)

    def _judge(self, key: tuple[str, str]) -> None:
        score, n, origin, cls = self._open.pop(key)
        self.n_wholes += 1
        known = self._maxima or self._calibration
        p = float(known.p_values(np.array([score]))[0])
        if self._maxima is None:
            p = min(1.0, n * p)
            self._beyond += n * self._calibration.smallest_rate > self._rate * _TOLERANCE
        if p <= self._rate * _TOLERANCE and len(self._alarming) < MOST_VERDICTS:
            threat = self._classes[cls] if cls >= 0 else NOVELTY
            self._alarming.append(Verdict(self.noun, key[1], key[0], threat, score, p, n, origin))


def source_of(origin: str) -> str:
    """Return the file that an origin is in, with its place in an archive.

    Example:
        >>> source_of("a/t.txt:3@100"), source_of("b.zip!c.log:7")
        ('a/t.txt', 'b.zip!c.log')
    """
    place = place_of(origin)
    return f"{place.path}!{place.inside}" if place.inside else place.path


def wholes_of(domain: Domain, batch: Batch) -> IntArray | None:
    """Return which whole thing each record of a batch is a window of, None where it is alone."""
    if not domain.part_of or domain.part_of not in batch.frame.columns:
        return None
    names = batch.frame[domain.part_of].to_list()
    keys = [(source_of(o), n) for o, n in zip(batch.frame["origin"], names, strict=True)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)
