"""Holds batches of records against one detector's threshold and makes findings of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.calibration import Calibration, Float64
from inoculate.domain import Batch, Domain, View
from inoculate.finding import NOVELTY, Finding, Reason, ScoreHistogram, finding_id
from inoculate.learner import Detector, Scores
from inoculate.reasons import Explainer
from inoculate.task import Encoded
from inoculate.workflows.baseline import Baseline
from inoculate.workflows.comments import Comments
from inoculate.workflows.drift import Drift
from inoculate.workflows.exceptions import Exceptions
from inoculate.workflows.families import Families
from inoculate.workflows.verdicts import Verdicts

_BINS = 60


class Scanner:
    """One detector at one promised false-alarm rate, scoring batch after batch.

    Args:
        name: the detector's name, shown with its findings.
        detector: scores records.
        calibration: the background's scores; gives threshold and p-values.
        views: the columns to encode to.
        classes: names of the threats; empty for novelty only.
        background: what reasons compare with.
        rate: the false-alarm rate to keep, in (0, 1).
        most_explained: findings that get reasons; later ones come without, so that a flood
            of findings cannot stall the scan.

    Attributes:
        rate: the rate that is kept, which is larger where the background is too small.
        note: one line about that, or None.
        threshold: alarm scores at or above it are findings.
        n_records, n_findings: counted so far.
        exceptions: keep some records from being findings; None keeps none.
        comments: keep findings back that a comment in the source is for; None keeps none.
        baseline: holds findings that are known already; None holds none.
        drift: compares the records with the background; None does not.
        detector, views: as given.
        families: the findings so far by threat.
        verdicts: on what the records are windows of.
        notes: one line for each format that does not know much of what the background knew.
    """

    def __init__(
        self,
        name: str,
        detector: Detector,
        calibration: Calibration,
        views: Sequence[View],
        *,
        classes: Sequence[str],
        background: Encoded,
        rate: float,
        most_explained: int = 10_000,
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.rate, self.note = calibration.promise(rate)
        self.threshold = calibration.threshold(self.rate)
        self.n_records = self.n_findings = 0
        self.notes: list[str] = []
        self.families = Families()
        self.exceptions: Exceptions | None = None
        self.comments: Comments | None = None
        self.baseline: Baseline | None = None
        self.drift: Drift | None = None
        self.verdicts = Verdicts(calibration, self.rate, self.classes)
        self._told: set[type[Domain]] = set()
        known = ~np.isnan(background.stacked())
        self._expected = known.mean(axis=0) > 0.5 if len(known) else np.zeros(0, bool)
        self.detector = detector
        self._calibration = calibration
        self.views = tuple(views)
        self._explainer = Explainer(detector, views, background)
        self._unexplained = most_explained
        self._edges: Float64 | None = None
        self._counts = np.zeros(_BINS, np.int64)

    def scan(self, domain: Domain, batch: Batch) -> list[Finding]:
        """Return the findings in one batch, in its order."""
        x = domain.encode(batch, self.views)
        self._tell_unknown(domain, x)
        return self.scan_scored(domain, batch, x, self.detector.score(x))

    def scan_scored(
        self, domain: Domain, batch: Batch, x: Encoded, scores: Scores
    ) -> list[Finding]:
        """Return the findings in one batch that was encoded and scored already."""
        # float64, as the calibration is: in float32 a tie would pass for a score above
        alarm = scores.alarm().astype(np.float64)
        self._count(alarm)
        hits = np.flatnonzero(alarm >= self.threshold)
        if self.drift is not None:
            self.drift.add(x, alarm)
        over = hits
        if self.exceptions is not None:
            hits = hits[self.exceptions.left(self.bare(domain, batch, scores, hits))]
        self.verdicts.add(domain, batch, alarm, scores.best(), np.setdiff1d(over, hits))
        if not len(hits):
            return self.comments.left((), batch, hits) if self.comments is not None else []
        best = scores.best()[hits]
        p_values = self._calibration.p_values(alarm[hits])
        explained = hits[: self._unexplained]
        self._unexplained -= len(explained)
        reasons: list[tuple[Reason, ...]] = [()] * len(hits)
        if len(explained):
            reasons[: len(explained)] = _quoted(
                domain,
                batch.frame[explained],
                self._explainer.explain(x.take(explained), best[: len(explained)]),
            )
        shown, rows = _identified(domain, batch, hits)
        findings = [
            self._finding(row, shown, float(alarm[hit]), float(p), int(cls), why)
            for row, hit, p, cls, why in zip(rows, hits, p_values, best, reasons, strict=True)
        ]
        if self.comments is not None:
            findings = self.comments.left(findings, batch, hits)
        if self.baseline is not None:
            findings = self.baseline.new(findings)
        self.n_findings += len(findings)
        self.families.add(findings, whole_files=domain.unit == "file")
        return findings

    def promise(self, rate: float) -> tuple[float, str | None]:
        """Return the rate that can be kept, and a line where it is not the one asked for."""
        return self._calibration.promise(rate)

    def bare(
        self, domain: Domain, batch: Batch, scores: Scores, rows: npt.NDArray[np.intp]
    ) -> list[Finding]:
        """Return some records of a batch as findings without reasons, over the threshold or not."""
        alarm = scores.alarm().astype(np.float64)[rows]
        shown, identified = _identified(domain, batch, rows)
        p_values = self._calibration.p_values(alarm)
        return [
            self._finding(row, shown, float(score), float(p), int(cls), ())
            for row, score, p, cls in zip(
                identified, alarm, p_values, scores.best()[rows], strict=True
            )
        ]

    def histogram(self) -> ScoreHistogram | None:
        """Return how the scores were spread so far, beside the background's; None at first."""
        if self._edges is None:
            return None
        known = np.clip(self._calibration.scores, self._edges[0], self._edges[-1])
        background = np.histogram(known, self._edges)[0]
        return ScoreHistogram(
            tuple(self._edges.tolist()),
            tuple(self._counts.tolist()),
            tuple(background.tolist()),
        )

    def _tell_unknown(self, domain: Domain, x: Encoded) -> None:
        """Note, once, a format that cannot know a quarter of the columns that count."""
        if not x.n_records or type(domain) in self._told:
            return
        self._told.add(type(domain))
        lacking = int((self._expected & np.isnan(x.stacked()).all(axis=0)).sum())
        if lacking > self._expected.sum() / 4:
            self.notes.append(
                f"{lacking} of the {int(self._expected.sum())} columns that the detector looks at "
                f"are unknown in {type(domain).__name__} sources; adapt on background of that "
                "format for a promise that holds there"
            )

    def _count(self, alarm: Float64) -> None:
        self.n_records += len(alarm)
        if self._edges is None and len(alarm):
            every = np.concatenate([alarm, self._calibration.scores])
            low, high = float(every.min()), float(every.max())
            margin = 0.02 * (high - low) or 1.0
            self._edges = np.linspace(low - margin, high + margin, _BINS + 1)
        if self._edges is not None:
            inside = np.clip(alarm, self._edges[0], self._edges[-1])
            self._counts += np.histogram(inside, self._edges)[0]

    def _finding(
        self,
        row: dict[str, object],
        shown: list[str],
        score: float,
        p_value: float,
        cls: int,
        why: tuple[Reason, ...],
    ) -> Finding:
        record = {name: row[name] for name in shown if row[name] is not None}
        ts = row.get("ts")
        threat = self.classes[cls] if cls >= 0 else NOVELTY
        return Finding(
            finding_id=finding_id(self.name, row["origin"], ts, record),
            origin=str(row["origin"]),
            threat=threat,
            score=score,
            p_value=p_value,
            ts=float(ts) if isinstance(ts, int | float) else None,
            record=record,
            reasons=why,
        )


def _quoted(
    domain: Domain, frame: pl.DataFrame, reasons: Sequence[tuple[Reason, ...]]
) -> list[tuple[Reason, ...]]:
    """Return reasons with what a hashed column counted, in the record's own words."""
    if type(domain).quote is Domain.quote:
        return list(reasons)
    return [
        tuple(_with_quote(reason, domain.quote(row, reason.column)) for reason in why)
        for row, why in zip(frame.iter_rows(named=True), reasons, strict=True)
    ]


def _with_quote(reason: Reason, quote: str) -> Reason:
    if not quote:
        return reason
    about, _, position = reason.text.partition(": ")
    words = about.rpartition(" ")[0] or about  # the count itself says nothing to a reader
    return replace(reason, text=f"{words} {quote}: {position}" if position else f"{words} {quote}")


def _identified(
    domain: Domain, batch: Batch, rows: npt.NDArray[np.intp]
) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Return the identity columns a batch has, and of some rows those, the origin and the time."""
    shown = [c for c in domain.identity if c in batch.frame.columns]
    time = ["ts"] if "ts" in batch.frame.columns else []
    return shown, batch.frame.select("origin", *shown, *time)[rows].iter_rows(named=True)
