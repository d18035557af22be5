"""Findings that a comment in the source says are known: ``inoculate: ignore[rule] reason``.

``rule`` is the detector's name, that of a threat, several of them with commas, or ``*``. A
comment without a reason silences nothing, and is told of; so is one that was not needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Batch
from inoculate.finding import Finding

COLUMN = "ignores"
"""Of a batch's frame: lists of ``place``, ``rule``, ``reason``, and whether it ``covers``."""

_MOST = 10_000
_SHOWN = 10
_SHOWN_CHARS = 80


@dataclass(slots=True)
class _Comment:
    rule: str
    reason: str
    is_used: bool = False


class Comments:
    """Keeps findings back that a comment is for, and remembers what the user must be told.

    Args:
        detector: its name.
        threats: names of its classes.
        most_kept: findings kept in ``kept``; all are counted.

    Attributes:
        n_silenced: findings kept back so far.
        kept: the first of them, each with the comment's reason.
    """

    def __init__(self, detector: str, threats: Sequence[str], most_kept: int) -> None:
        self._names = {"*", detector, *threats}
        self._detector = detector
        self._most_kept = most_kept
        self._seen: dict[str, _Comment] = {}
        self.n_silenced = 0
        self.kept: list[tuple[Finding, str]] = []

    def left(
        self, findings: Sequence[Finding], batch: Batch, rows: npt.NDArray[np.intp]
    ) -> list[Finding]:
        """Return the findings that no comment is for.

        Args:
            findings: made of some records of a batch.
            batch: whose comments are noted, those of other records too.
            rows: (n,) the record of each finding.
        """
        if COLUMN not in batch.frame.columns:
            return list(findings)
        self._note(batch.frame[COLUMN])
        left = []
        for finding, told in zip(findings, batch.frame[COLUMN][rows].to_list(), strict=True):
            reason = self._reason(finding, told or ())
            if reason is None:
                left.append(finding)
                continue
            self.n_silenced += 1
            if len(self.kept) < self._most_kept:
                self.kept.append((finding, reason))
        return left

    def _note(self, comments: pl.Series) -> None:
        for told in comments.filter(comments.list.len() > 0).to_list():
            for its in told:
                if len(self._seen) < _MOST:
                    self._seen.setdefault(its["place"], _Comment(its["rule"], its["reason"]))

    def _reason(self, finding: Finding, told: Sequence[Mapping[str, Any]]) -> str | None:
        for its in told:
            wanted = {"*", self._detector, finding.threat}
            if its["covers"] and its["reason"] and wanted & _rules(its["rule"]):
                if its["place"] in self._seen:
                    self._seen[its["place"]].is_used = True
                return str(its["reason"])
        return None

    def notes(self) -> Iterator[str]:
        """Yield what is wrong with comments, and which were not needed, a line each."""
        incomplete: list[str] = []
        unneeded: list[str] = []
        for place, its in self._seen.items():
            rule = its.rule[:_SHOWN_CHARS]
            if not its.rule:
                incomplete.append(f"{place}: names no rule, as in ignore[*], and silences nothing")
            elif not its.reason:
                incomplete.append(f"{place}: ignore[{rule}] has no reason and silences nothing")
            elif not its.is_used and self._names & _rules(its.rule):
                unneeded.append(f"{place}: ignore[{rule}] was not needed")
        yield from _some(incomplete)
        yield from _some(unneeded)


def _rules(text: str) -> set[str]:
    return {name.strip() for name in text.split(",")}


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"and {len(lines) - _SHOWN:,} comments more like that"
