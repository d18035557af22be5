"""Use case: a list of functions to look at first, of code, without any detector.

No example is known and nothing is calibrated: what is held against a function is knowledge of
calls and weaknesses (``features.code.code_triage``). So the list keeps no rate of false alarms,
and says so; it is cut at a number, and fails no build unless that is asked for.
"""

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from inoculate.domain import Batch, Domain
from inoculate.errors import InoculateError, InputError
from inoculate.features.code.code_triage import Hit
from inoculate.features.code.code_triage_form import hits_in
from inoculate.features.code.code_weaknesses import NAMES
from inoculate.finding import Finding, Reason, Report, finding_id
from inoculate.reading.folders import is_container
from inoculate.reading.workers import WorkerLimits, shared_workers
from inoculate.registry import DOMAINS
from inoculate.render._text import counted
from inoculate.workflows.baseline import Baseline, read_baseline
from inoculate.workflows.comments import Comments
from inoculate.workflows.containers import Sniffer
from inoculate.workflows.exceptions import Exceptions
from inoculate.workflows.families import Families
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import (
    Outcome,
    Progress,
    ScanRequest,
    Sink,
    ignore,
    open_exceptions,
)

NAME = "triage"
KIND = "code"
DEFAULT_MOST = 20
WARNING = (
    "triage: not calibrated on your code, no promise of false alarms; most of these functions may "
    "be harmless. inoculate adapt makes a detector of an example of your own, with a promise"
)

_ANSWER = "inoculate.features.code.code_triage_answer:answer"
_LIMITS = WorkerLimits(wall_s=60.0, cpu_s=20, answer_bytes=32 << 20)
_MOST_KEPT = 100_000
_MOST_REASONS = 5


def is_for(request: ScanRequest, *, asked: bool | None = None) -> bool:
    """Return whether there is a list to be made: of code, and without a detector.

    Args:
        request: what to scan.
        asked: True or False where the user said so.

    Raises:
        InputError: a list is asked for beside a detector.
    """
    if request.detector is not None and asked:
        raise InputError("--triage is for code without a detector; leave out one of them")
    if asked is not None or request.detector is not None:
        return bool(asked)
    if request.format is not None:
        return DOMAINS.load(request.format).kind == KIND
    for name in request.sources:
        if name == "-":
            return False  # it can be read once only
        kind = _kind_of(name)
        if kind is not None:
            return kind == KIND
    return False


def _kind_of(name: str) -> str | None:
    try:
        if is_container(name):
            return Sniffer().likely_kind(name)
        if not Path(name).is_file():
            return None
        with Intake().open(name) as (_, domain):
            return domain.kind
    except InoculateError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class _Function:
    """A function that something is held against."""

    points: float
    order: int
    finding: Finding

    def __lt__(self, other: "_Function") -> bool:
        """Order by what is held against them, those read first before others."""
        return (self.points, -self.order) < (other.points, -other.order)


@dataclass(eq=False)
class _Listing:
    """What was found so far."""

    exceptions: Exceptions | None
    baseline: Baseline | None
    comments: Comments | None
    kept: list[_Function] = field(default_factory=list)
    weaknesses: Counter[str] = field(default_factory=Counter)
    n_read: int = 0
    n_found: int = 0
    n_unread: int = 0

    def take(self, domain: Domain, batch: Batch) -> None:
        """Look at the functions of a batch."""
        hits = hits_in(batch.frame, shared_workers(_ANSWER, _LIMITS).ask_all)
        self.n_read += len(batch)
        self.n_unread += sum(its is None for its in hits)
        rows = np.array([i for i, its in enumerate(hits) if its], np.intp)
        shown = [c for c in domain.identity if c in batch.frame.columns]
        frame = batch.frame.select("origin", "start_line", *shown)[rows]
        findings = [
            _finding(row, shown, hits[int(i)] or [])
            for i, row in zip(rows, frame.iter_rows(named=True), strict=True)
        ]
        if self.exceptions is not None and findings:
            left = self.exceptions.left(findings)
            findings, rows = [f for f, keep in zip(findings, left, strict=True) if keep], rows[left]
        if self.comments is not None:
            findings = self.comments.left(findings, batch, rows)
        if self.baseline is not None:
            findings = self.baseline.new(findings)
        for finding in findings:
            self._keep(finding)

    def _keep(self, finding: Finding) -> None:
        one = _Function(finding.score, self.n_found, finding)
        self.n_found += 1
        self.weaknesses[finding.threat] += 1
        if len(self.kept) < _MOST_KEPT:
            heapq.heappush(self.kept, one)
        else:
            heapq.heappushpop(self.kept, one)

    def ranked(self, most: int) -> list[Finding]:
        """Return the first functions, each with its rank among those of its weakness."""
        seen: Counter[str] = Counter()
        out = []
        for one in sorted(self.kept, reverse=True)[:most]:
            threat = one.finding.threat
            seen[threat] += 1
            of = f"{seen[threat]} of {counted(self.weaknesses[threat], 'function')}"
            name = NAMES[int(threat.removeprefix("cwe-"))]
            rank = _said("rank", f"rank {of} for {threat} ({name})", float(seen[threat]))
            out.append(replace(one.finding, reasons=(rank, *one.finding.reasons)))
        return out


def _finding(row: dict[str, Any], shown: Sequence[str], hits: list[Hit]) -> Finding:
    """Return a function as a finding: its weakness is that of its strongest hit."""
    record = {name: row[name] for name in shown if row[name] is not None}
    reasons = [_said("hit", hit.said(int(row["start_line"])), hit.points) for hit in hits]
    return Finding(
        finding_id=finding_id(NAME, row["origin"], None, record),
        origin=str(row["origin"]),
        threat=f"cwe-{hits[0].cwe}",
        score=hits[0].points,
        p_value=1.0,
        ts=None,
        record=record,
        reasons=tuple(reasons[:_MOST_REASONS]),
    )


def _said(column: str, text: str, value: float) -> Reason:
    return Reason(column, value, "points" if column == "hit" else "", None, 0.0, text)


def triage(
    request: ScanRequest,
    *,
    most: int = DEFAULT_MOST,
    sink: Sink = ignore,
    progress: Progress = ignore,
) -> Outcome:
    """List the functions that look most like a weakness; they go to ``sink`` all at once.

    A source that cannot be read to its end does not stop the others.

    Args:
        request: what to read; rates say nothing here.
        most: functions listed.
        sink: takes the list.
        progress: told of functions read.

    Raises:
        InputError: no source, a rate to fail on, or a baseline that cannot be read or written.
        RecordError: an exception that is incomplete.
    """
    _check(request, most)
    start = time.perf_counter()
    intake = Intake(request.format, request.skip_bad_records)
    wants_baseline = request.baseline is not None or request.write_baseline is not None
    known = read_baseline(request.baseline) if request.baseline else None
    threats = [f"cwe-{cwe}" for cwe in NAMES]
    listing = _Listing(
        open_exceptions(request.exceptions, request.today),
        Baseline(known, request.write_baseline) if wants_baseline else None,
        Comments(NAME, threats, request.most_kept) if request.suppress else None,
    )
    errors: list[InoculateError] = []
    interrupted = False
    try:
        for name in request.sources:
            _read(intake, name, listing, errors, progress)
    except KeyboardInterrupt:
        interrupted = True
        intake.note(f"stopped by the user after {counted(listing.n_read, 'function')}")
    findings = listing.ranked(most)
    sink(findings)
    whole = not (errors or interrupted)
    notes = (*_notes(listing, len(findings)), *_baseline_notes(listing, whole=whole), *intake.notes)
    told = _report(listing, intake, findings)
    told = replace(told, seconds=time.perf_counter() - start)
    told = replace(told, notes=notes, errors=tuple(map(str, errors)))
    return Outcome(told, tuple(errors), interrupted, len(findings))


def _check(request: ScanRequest, most: int) -> None:
    if not request.sources:
        raise InputError("nothing to scan: name at least one file or folder of code")
    if most < 1:
        raise InputError(f"--most is {most}; expected at least 1")
    if request.fail_on is not None:
        raise InputError("--fail-on is a rate; a triage list keeps none: give any or never")


def _read(
    intake: Intake,
    name: str,
    listing: _Listing,
    errors: list[InoculateError],
    progress: Progress,
) -> None:
    try:
        for domain, batch in intake.read([name], kind=KIND):
            listing.take(domain, batch)
            progress(listing.n_read)
    except InoculateError as err:
        errors.append(err)


def _notes(listing: _Listing, n_shown: int) -> Iterator[str]:
    yield WARNING
    if left := listing.n_found - n_shown:
        yield f"{counted(left, 'more function')} with weaker hits, not listed; --most lists more"
    if listing.n_unread:
        yield f"{counted(listing.n_unread, 'function')} could not be looked at"
    yield from listing.exceptions.notes() if listing.exceptions else ()
    yield from listing.comments.notes() if listing.comments else ()


def _baseline_notes(listing: _Listing, *, whole: bool) -> Iterator[str]:
    if listing.baseline is None:
        return
    yield from listing.baseline.notes(NAME, whole=whole)
    if whole:
        listing.baseline.write(NAME)
    else:
        yield "no baseline was written: not everything was read"


def _report(listing: _Listing, intake: Intake, findings: Sequence[Finding]) -> Report:
    families = Families()
    families.add(findings, whole_files=False)
    comments = listing.comments
    return Report(
        detector=NAME,
        threats=tuple(dict.fromkeys(f.threat for f in findings)),
        false_alarms=1.0,
        threshold=0.0,
        sources=tuple(intake.counts.items()),
        n_records=listing.n_read,
        n_findings=len(findings),
        findings=tuple(findings),
        skipped=dict(intake.skipped),
        left_out=dict(intake.left_out),
        unit="function",
        n_excepted=listing.exceptions.n_excepted if listing.exceptions else 0,
        families=families.ranked(),
        n_files=intake.n_files,
        n_baseline=listing.baseline.n_hidden if listing.baseline else 0,
        n_silenced=comments.n_silenced if comments else 0,
        silenced=tuple(comments.kept) if comments else (),
        triage=True,
    )
