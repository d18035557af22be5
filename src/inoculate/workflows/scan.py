"""Use case: scan sources with a detector, or for what is new without one."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from inoculate.errors import InoculateError, InputError
from inoculate.finding import Finding, Report
from inoculate.store.detector import StoredDetector, load_detector
from inoculate.store.manifest import HELD_OUT_FILE
from inoculate.workflows.baseline import Baseline, read_baseline
from inoculate.workflows.comments import Comments
from inoculate.workflows.drift import Drift
from inoculate.workflows.exceptions import Exceptions, read_exceptions
from inoculate.workflows.intake import Intake
from inoculate.workflows.novelty import NoveltyScan
from inoculate.workflows.scanner import Scanner

Sink = Callable[[Sequence[Finding]], None]
Progress = Callable[[int], None]

DEFAULT_FALSE_ALARMS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan and how.

    Attributes:
        sources: paths, or ``-`` for standard input.
        detector: artifact to scan with; None looks for what is new in the traffic itself.
        false_alarms: rate of benign records that may alarm, in (0, 1).
        format: name of a domain; None tells it from the bytes.
        skip_bad_records: count bad records and go on.
        most_kept: findings kept in the report; all are counted and sent to the sink.
        seed: for the sample that a scan without detector takes as background.
        exceptions: file of what shall not be reported.
        today: what expiry is held against; None takes the clock's day, in UTC.
        baseline: file of findings that are known and not to be reported.
        write_baseline: file to write all findings to, those of ``baseline`` too.
        fail_on: false-alarm rate, in (0, ``false_alarms``]: findings that alarm at it as well
            are counted as failing; None counts every finding.
        suppress: keep findings back that a comment in the source is for.
    """

    sources: tuple[str, ...]
    detector: Path | None = None
    false_alarms: float = DEFAULT_FALSE_ALARMS
    format: str | None = None
    skip_bad_records: bool = False
    most_kept: int = 20_000
    seed: int = 0
    exceptions: Path | None = None
    today: date | None = None
    baseline: Path | None = None
    write_baseline: Path | None = None
    fail_on: float | None = None
    suppress: bool = True


def ignore(_: object) -> None:
    """Do nothing: the default sink and progress."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scan ended.

    Attributes:
        report: what was found, also when it ended early.
        errors: one for each source that could not be read to its end.
        interrupted: True when the user stopped it.
        n_failing: findings that count for ``fail_on``.
    """

    report: Report
    errors: tuple[InoculateError, ...] = ()
    interrupted: bool = False
    n_failing: int = 0


def scan(request: ScanRequest, *, sink: Sink = ignore, progress: Progress = ignore) -> Outcome:
    """Scan every source; findings go to ``sink`` batch by batch as they come.

    A source that cannot be read to its end does not stop the others, and what was found in it
    before is kept. ``KeyboardInterrupt`` ends the reading in the same way.

    Raises:
        InputError: no source, a rate outside (0, 1), no background to be had, or a baseline
            that cannot be read or written.
        RecordError: an exception that is incomplete.
        ArtifactError: the detector on disk is damaged or foreign.
    """
    check_request(request.sources, request.false_alarms)
    _check_fail_on(request)
    start = time.perf_counter()
    baseline = _open_baseline(request)
    intake = Intake(request.format, request.skip_bad_records)
    if request.detector is None:
        novelty = NoveltyScan(intake, request.sources, request.false_alarms, seed=request.seed)
        scanner, unit, read = novelty.scanner, novelty.unit, novelty.findings
    else:
        stored = load_detector(request.detector)
        scanner, unit = detector_scanner(stored, request.false_alarms), stored.manifest.unit
        read = partial(_findings, scanner, intake, stored.manifest.kind)
    scanner.exceptions = open_exceptions(request.exceptions, request.today)
    scanner.baseline = baseline
    if request.suppress:
        scanner.comments = Comments(scanner.name, scanner.classes, request.most_kept)
    state = _State(request, scanner, sink, progress)
    interrupted = False
    try:
        for name in request.sources:
            state.take(read(name))
    except KeyboardInterrupt:
        interrupted = True
        intake.note(f"stopped by the user after {scanner.n_records:,} {unit}s")
    seconds = time.perf_counter() - start
    told = report(scanner, intake, state.kept, unit=unit, seconds=seconds)
    told = replace(told, errors=tuple(str(e) for e in state.errors))
    if baseline is not None:
        told = _with_baseline(told, baseline, request, whole=not (state.errors or interrupted))
    if state.note:
        told = replace(told, notes=(*told.notes, state.note))
    return Outcome(told, tuple(state.errors), interrupted, state.n_failing)


@dataclass(eq=False)
class _State:
    """What a scan has found so far, and what went wrong."""

    request: ScanRequest
    scanner: Scanner
    sink: Sink
    progress: Progress
    kept: list[Finding] = field(default_factory=list)
    errors: list[InoculateError] = field(default_factory=list)
    n_failing: int = 0
    note: str | None = None

    def __post_init__(self) -> None:
        self.rate = 1.0
        if self.request.fail_on is not None:
            self.rate, note = self.scanner.promise(self.request.fail_on)
            self.note = f"--fail-on: {note}" if note else None

    def take(self, batches: Iterator[list[Finding]]) -> None:
        """Take the findings of one source; its error is kept, and what was found before it."""
        limit = self.rate * (1 + 1e-9)  # p-values are quotients, the rate a decimal
        try:
            for findings in batches:
                self.sink(findings)
                self.kept += findings[: self.request.most_kept - len(self.kept)]
                self.n_failing += sum(f.p_value <= limit for f in findings)
                self.progress(self.scanner.n_records)
        except InoculateError as err:
            self.errors.append(err)


def _check_fail_on(request: ScanRequest) -> None:
    if request.fail_on is not None and not 0 < request.fail_on <= request.false_alarms:
        raise InputError(
            f"--fail-on is {request.fail_on}; expected a rate above 0 and at most that of "
            f"--false-alarms, {request.false_alarms}, since nothing else is reported"
        )


def _open_baseline(request: ScanRequest) -> Baseline | None:
    if request.baseline is None and request.write_baseline is None:
        return None
    known = read_baseline(request.baseline) if request.baseline else None
    return Baseline(known, request.write_baseline)


def _with_baseline(
    told: Report, baseline: Baseline, request: ScanRequest, *, whole: bool
) -> Report:
    """Write the baseline that was asked for, and return the report with what there is to say."""
    notes = list(baseline.notes(told.detector, whole=whole))
    if whole:
        baseline.write(told.detector)
    elif request.write_baseline is not None:
        notes.append(f"{request.write_baseline} was not written: not everything was read")
    return replace(told, notes=(*told.notes, *notes), n_baseline=baseline.n_hidden)


def _findings(scanner: Scanner, intake: Intake, kind: str, name: str) -> Iterator[list[Finding]]:
    for domain, batch in intake.read([name], kind=kind):
        yield scanner.scan(domain, batch)


def detector_scanner(stored: StoredDetector, rate: float) -> Scanner:
    """Return a scanner for a stored detector."""
    manifest, background = stored.manifest, stored.own_background
    scanner = Scanner(
        manifest.name,
        stored.detector,
        stored.calibration,
        stored.views,
        classes=manifest.classes,
        background=background,
        rate=rate,
    )
    scanner.drift = Drift(
        background,
        stored.plain_scores if HELD_OUT_FILE in manifest.files else None,
        stored.views,
        threshold=scanner.threshold,
        rate=scanner.rate,
    )
    return scanner


def open_exceptions(path: Path | None, today: date | None = None) -> Exceptions | None:
    """Return the exceptions of a file; the clock's day in UTC counts unless one is given."""
    if path is None:
        return None
    return read_exceptions(path, lambda: today or datetime.now(UTC).date())


def report(
    scanner: Scanner, intake: Intake, kept: Sequence[Finding], *, unit: str, seconds: float
) -> Report:
    """Return what a scanner has found so far."""
    drift = scanner.drift.note(unit) if scanner.drift else None
    notes = [line for line in (scanner.note, *scanner.notes, drift) if line]
    notes += scanner.exceptions.notes() if scanner.exceptions else ()
    notes += scanner.comments.notes() if scanner.comments else ()
    verdicts = scanner.verdicts.finish()
    notes += scanner.verdicts.notes()
    return Report(
        detector=scanner.name,
        threats=scanner.classes,
        false_alarms=scanner.rate,
        threshold=scanner.threshold,
        sources=tuple(intake.counts.items()),
        n_records=scanner.n_records,
        n_findings=scanner.n_findings,
        findings=tuple(kept),
        skipped=dict(intake.skipped),
        left_out=dict(intake.left_out),
        notes=(*notes, *intake.notes),
        histogram=scanner.histogram(),
        seconds=seconds,
        unit=unit,
        n_excepted=scanner.exceptions.n_excepted if scanner.exceptions else 0,
        families=scanner.families.ranked(),
        n_files=intake.n_files,
        n_silenced=scanner.comments.n_silenced if scanner.comments else 0,
        silenced=tuple(scanner.comments.kept) if scanner.comments else (),
        verdicts=verdicts,
        n_wholes=scanner.verdicts.n_wholes,
        whole=scanner.verdicts.noun,
    )


def check_request(sources: Sequence[str], false_alarms: float) -> None:
    """Refuse what no scan can do.

    Raises:
        InputError: no source, or a rate outside (0, 1).
    """
    if not sources:
        raise InputError("nothing to scan: name at least one file, or - for standard input")
    if not 0 < false_alarms < 1:
        raise InputError(f"--false-alarms is {false_alarms}; expected a share between 0 and 1")
