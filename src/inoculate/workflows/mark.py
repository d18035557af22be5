"""Use case: say of findings what they are, and adapt the detector again with that."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from inoculate.calibration import Float64
from inoculate.domain import Batch, Domain
from inoculate.errors import ArtifactError, InputError, LabelError
from inoculate.finding import NOVELTY, Finding
from inoculate.learner import Scores
from inoculate.store.detector import N_OWN, PLAIN, StoredDetector, load_detector, save_version
from inoculate.store.labels import MOST_LABELS, Label
from inoculate.store.manifest import Manifest
from inoculate.store.versions import next_number, version_path
from inoculate.task import Encoded, IntArray
from inoculate.workflows.fitting import LEFT_OUT, leave_out
from inoculate.workflows.intake import Intake
from inoculate.workflows.marked import Marked, find_again, sources_in_report
from inoculate.workflows.refitting import Marks, Refitted, Start, refit, rows_of, steps
from inoculate.workflows.scan import DEFAULT_FALSE_ALARMS, check_request, detector_scanner
from inoculate.workflows.scanner import Scanner

MARKS = "labels"
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRequest:
    """What to say of which findings.

    Attributes:
        findings: ids of findings, or origins of records that were none.
        label: what they are.
        detector: what found them, or should have; its next version is written.
        sources: where the records are, named as the scan named them.
        report: the scan's JSON Lines; tells the sources, and the place of each id.
        author, reason: who says so, and why.
        threat: name of the threat; None takes the finding's own.
        false_alarms: rate that the scan kept, in (0, 1).
        format: name of a domain; None tells it from the bytes.
        skip_bad_records: count bad records and go on.
        now: time of the label; None takes the clock's.
    """

    findings: tuple[str, ...]
    label: Literal["threat", "benign"]
    detector: Path
    sources: tuple[str, ...] = ()
    report: Path | None = None
    author: str
    reason: str = ""
    threat: str | None = None
    false_alarms: float = DEFAULT_FALSE_ALARMS
    format: str | None = None
    skip_bad_records: bool = False
    now: datetime | None = None


@dataclass(slots=True)
class Change:
    """What a new version finds otherwise in the sources, the marked records not counted.

    Attributes:
        before, after: findings of the old version and of the new one, all counted.
        n_gone, n_new: other records that are no finding any more, and that are one now.
        gone, new: the first few of them.
    """

    before: int = 0
    after: int = 0
    n_gone: int = 0
    n_new: int = 0
    gone: list[Finding] = field(default_factory=list)
    new: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class MarkReport:
    """What came of it.

    Attributes:
        version: the version now in force; None where nothing new was said.
        labels: the new labels.
        unit: what a record is.
        n_background: own background records that the marked ones joined.
        change: what else it changes in the sources.
        notes: lines the user must read.
        seconds_adapt: time to adapt, calibrate and check.
    """

    version: int | None
    labels: tuple[Label, ...]
    unit: str
    n_background: int
    change: Change
    notes: tuple[str, ...]
    seconds_adapt: float


def mark(request: MarkRequest) -> MarkReport:
    """Label records, adapt again, and write the next version unless it would do harm.

    Raises:
        InputError: no such finding in the sources, or arguments that do not fit together.
        LabelError: the labels contradict each other or the examples, weigh too much, or the
            detector would lose examples of its own. It stays as it was.
        ArtifactError: the detector is damaged.
        NotFoundError: there is no detector at this path.
    """
    sources = _checked(request)
    stored = load_detector(request.detector, whole=True)
    start, marks, notes = _start(stored)
    intake = Intake(request.format, request.skip_bad_records)
    old = detector_scanner(stored, request.false_alarms)
    found = find_again(request.findings, intake, sources, stored, old, request.report)
    found, more = _new_ones(request, found, start, stored, marks)
    notes += more
    unit, n_own = stored.manifest.unit, stored.own_background.n_records
    if not found:
        return MarkReport(None, (), unit, n_own, Change(), tuple(notes), 0.0)
    adapting = time.perf_counter()
    marks, refitted, more = _step(request, start, marks, found)
    notes += more
    left_out = _guard(stored, start, refitted)
    seconds = time.perf_counter() - adapting
    labels = tuple(
        _label(request, m, int(marks.copies[-1]), next_number(request.detector)) for m in found
    )
    new = _scanner(stored, refitted, request.false_alarms)
    again = Intake(request.format, request.skip_bad_records)
    change = _compare(again.read(sources, kind=stored.manifest.kind), found, old, new)
    manifest = _manifest(stored, refitted, (*stored.labels, *labels), left_out)
    extra = {f"{MARKS}/{name}": x for name, x in marks.x.items()}
    extra |= {N_OWN: np.array(refitted.n_own), PLAIN: refitted.plain}
    extra |= {name: np.asarray(a) for name, a in zip(LEFT_OUT, left_out, strict=True)}
    save_version(
        stored, manifest, refitted.support, refitted.calibration.scores.astype(np.float32),
        extra=extra, labels=(*stored.labels, *labels),
    )  # fmt: skip
    notes += [*intake.notes]
    return MarkReport(
        labels[0].version, labels, unit, refitted.n_own, change, tuple(notes), seconds
    )


def _checked(request: MarkRequest) -> tuple[str, ...]:
    if not request.findings:
        raise InputError("nothing to mark: name at least one finding by its id")
    if not request.author.strip():
        raise InputError("a label needs its author: give --author NAME")
    if request.label == "benign" and request.threat is not None:
        raise InputError("--threat names what a threat is; a benign record has none")
    if request.threat == NOVELTY:
        raise InputError(f"--threat {NOVELTY}: give the threat a name of its own")
    sources = request.sources
    if not sources and request.report is not None:
        sources = sources_in_report(request.report)
    if not sources:
        raise InputError("name what was scanned by --source, or its findings by --report")
    if "-" in sources:
        raise InputError("-: marking reads its sources twice; name files instead")
    check_request(sources, request.false_alarms)
    return sources


def _start(stored: StoredDetector) -> tuple[Start, Marks, list[str]]:
    """Return what the detector's line of versions began with, and the marks since."""
    manifest, notes = stored.manifest, []
    base = stored
    if manifest.base is not None:
        base = load_detector(version_path(stored.path, manifest.base), whole=True)
    n = base.support.usual().n_records
    if base.held_out is None and len(base.scores) != n:
        notes.append(
            f"this detector keeps none of the background that calibrated it; its promises now "
            f"rest on the {n:,} records that it was adapted on"
        )
    seed = base.manifest.learner.seed
    start = Start(base.learner, base.support, base.held_out, seed)
    prefix = f"{MARKS}/"
    x = {k[len(prefix) :]: v for k, v in stored.extra.items() if k.startswith(prefix)}
    marked = Encoded(x) if x else base.support.background.take(np.arange(0))
    widths = {k: v.shape[1] for k, v in base.support.background.items()}
    if marked.n_records != len(stored.labels) or {k: v.shape[1] for k, v in marked.items()} != (
        widths
    ):
        raise ArtifactError(f"{stored.path}: labels and marked records do not fit together")
    copies = np.array([label.copies for label in stored.labels], np.int64)
    return start, Marks(marked, tuple(label.threat for label in stored.labels), copies), notes


def _new_ones(
    request: MarkRequest,
    found: Sequence[Marked],
    start: Start,
    stored: StoredDetector,
    marks: Marks,
) -> tuple[list[Marked], list[str]]:
    """Return what was not known yet, each with its threat's name.

    Raises:
        LabelError: a record was marked otherwise, or is an example.
        InputError: a threat without a name, or too many labels.
    """
    known: dict[bytes, tuple[str | None, str]] = {}
    y, classes = start.support.examples.y, start.support.classes
    for row, c in zip(rows_of(start.support.examples.x), y.tolist(), strict=True):
        known[row] = (classes[c], f"an example of {classes[c]} that the detector was adapted on")
    for row, label in zip(rows_of(marks.x), stored.labels, strict=True):
        known[row] = (label.threat, f"{label.origin}, marked {_what(label)}")
    new, notes = [], []
    for m in found:
        threat = None
        if request.label == "threat":
            threat = request.threat or m.finding.threat
            if threat == NOVELTY:
                raise InputError(f"{m.finding.origin}: what is it? Give --threat NAME")
        x = start.seen(m.x)
        (row,) = rows_of(x)
        if row not in known:
            known[row] = (threat, f"{m.finding.origin}, named in the same command")
            new.append(replace(m, x=x, threat=threat))
        elif known[row][0] != threat:
            raise LabelError(
                f"{m.finding.origin} cannot be {threat or 'benign'}: it is the same in every "
                f"column as {known[row][1]}; the detector stays as it was"
            )
        else:
            notes.append(f"{m.finding.origin} changes nothing: the same as {known[row][1]}")
    if len(stored.labels) + len(new) > MOST_LABELS:
        raise InputError(f"over {MOST_LABELS:,} labels; adapt again with what they taught")
    return new, notes


def _what(label: Label) -> str:
    return f"{label.threat or 'benign'} by {label.author} at {label.time}"


def _step(
    request: MarkRequest, start: Start, marks: Marks, found: Sequence[Marked]
) -> tuple[Marks, Refitted, list[str]]:
    """Adapt with as few copies of the new marks as do what was asked."""
    x = Encoded.concat([m.x for m in found])
    n_own = start.support.usual().n_records
    last: tuple[Marks, Refitted] | None = None
    for copies in steps(n_own) if request.label == "benign" else [1]:
        tried = Marks(
            Encoded.concat([marks.x, x]),
            (*marks.threats, *(m.threat for m in found)),
            np.concatenate([marks.copies, np.full(len(found), copies, np.int64)]),
        )
        try:
            refitted = refit(start, tried)
        except LabelError:
            if last is None:
                raise
            break
        last = tried, refitted
        alarms = _alarms(refitted, x, request.false_alarms)
        if not (alarms.any() if request.label == "benign" else not alarms.all()):
            return tried, refitted, []
    assert last is not None  # noqa: S101 - the first step either returned, raised or is kept
    rate = 100 * request.false_alarms
    which = [m for m, a in zip(found, alarms, strict=True) if a == (request.label == "benign")]
    still = "still alarms" if request.label == "benign" else "still does not alarm"
    hint = (
        "one label may not weigh more; scan --exceptions hides a single record"
        if request.label == "benign"
        else "mark more records like it"
    )
    return *last, [f"{m.finding.origin} {still} at {rate:.3g} %: {hint}" for m in which[:_SHOWN]]


def _alarms(refitted: Refitted, x: Encoded, rate: float) -> np.ndarray:
    known = refitted.calibration
    alarm = refitted.detector.score(x).alarm().astype(np.float64)
    return np.asarray(alarm >= known.threshold(known.promise(rate)[0]))


def _guard(stored: StoredDetector, start: Start, refitted: Refitted) -> tuple[IntArray, Float64]:
    """Return the left-out original examples and their p-values, none lost.

    Raises:
        LabelError: an original example that alarmed at the detector's promised rate would not.
    """
    rate = promised_rate(stored.manifest)
    k, seed = start.n_examples, start.seed
    rows, p_old = _left_out_before(stored, start)
    told, p_new = leave_out(
        start.learner, refitted.support, refitted.calibration, seed=seed, first=k
    )
    was = dict(zip(rows.tolist(), p_old <= stored.calibration.promise(rate)[0], strict=True))
    kept = p_new <= refitted.calibration.promise(rate)[0]
    lost = [row for row, ok in zip(told, kept, strict=True) if was.get(row) and not ok]
    x = start.support.examples.x
    old = stored.detector.score(x).alarm().astype(np.float64)
    old_alarms = old >= stored.calibration.threshold(stored.calibration.promise(rate)[0])
    lost += np.flatnonzero(old_alarms & ~_alarms(refitted, x, rate)).tolist()
    if lost:
        numbers = ", ".join(str(row + 1) for row in sorted(set(lost))[:_SHOWN])
        raise LabelError(
            f"with this label the detector would lose {len(set(lost))} of its own {k} examples "
            f"(number {numbers}) at {100 * rate:.3g} % false alarms: the label was not taken, "
            "the detector stays as it was"
        )
    return np.array(told, np.int64), np.asarray(p_new, np.float64)


def _left_out_before(stored: StoredDetector, start: Start) -> tuple[IntArray, Float64]:
    rows, p_values = (stored.extra.get(name, np.empty((0, 0))) for name in LEFT_OUT)
    fits = rows.dtype == np.int64 and p_values.dtype == np.float64
    if fits and rows.ndim == 1 and rows.shape == p_values.shape:
        return rows, p_values
    told, p_values = leave_out(
        start.learner, stored.support, stored.calibration, seed=start.seed, first=start.n_examples
    )
    return np.array(told, np.int64), p_values


def promised_rate(manifest: Manifest) -> float:
    """Return the false-alarm rate that a detector was made for, 0.01 where it does not say."""
    rate = manifest.promises.get("false_alarms")
    return rate if isinstance(rate, float) and 0 < rate < 1 else 0.01


def _scanner(stored: StoredDetector, refitted: Refitted, rate: float) -> Scanner:
    manifest = stored.manifest
    return Scanner(
        manifest.name, refitted.detector, refitted.calibration, stored.views,
        classes=refitted.support.classes, background=refitted.support.usual(), rate=rate,
    )  # fmt: skip


def _compare(
    read: Iterable[tuple[Domain, Batch]], found: Sequence[Marked], old: Scanner, new: Scanner
) -> Change:
    """Score the sources with both versions."""
    change, marked = Change(), [m.finding.origin for m in found]
    for domain, batch in read:
        x = domain.encode(batch, old.views)
        scores = old.detector.score(x), new.detector.score(x)
        was, now = _over(old, scores[0]), _over(new, scores[1])
        change.before += int(was.sum())
        change.after += int(now.sum())
        other = ~batch.frame["origin"].is_in(marked).to_numpy()
        gone, here = np.flatnonzero(was & ~now & other), np.flatnonzero(now & ~was & other)
        change.n_gone += len(gone)
        change.n_new += len(here)
        change.gone += old.bare(domain, batch, scores[0], gone[: _SHOWN - len(change.gone)])
        change.new += new.bare(domain, batch, scores[1], here[: _SHOWN - len(change.new)])
    return change


def _over(scanner: Scanner, scores: Scores) -> np.ndarray:
    return np.asarray(scores.alarm().astype(np.float64) >= scanner.threshold)


def _label(request: MarkRequest, m: Marked, copies: int, version: int) -> Label:
    now = request.now or datetime.now(UTC)
    return Label(
        finding_id=m.finding.finding_id, origin=m.finding.origin[:4000], label=request.label,
        threat=m.threat, author=request.author, reason=request.reason, version=version,
        copies=copies, time=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip


def _manifest(
    stored: StoredDetector,
    refitted: Refitted,
    labels: Sequence[Label],
    left_out: tuple[IntArray, Float64],
) -> Manifest:
    old = stored.manifest
    rate = refitted.calibration.promise(promised_rate(old))[0]
    n_threats = sum(label.label == "threat" for label in labels)
    line = f"{n_threats} records marked as threats and {len(labels) - n_threats} as benign"
    kept = tuple(n for n in old.notes if not n.endswith(" as benign"))
    return old.model_copy(
        update={
            "classes": refitted.support.classes,
            "notes": (*kept, line),
            "promises": {
                **old.promises,
                "false_alarms": rate,
                "left_out": float(len(left_out[0])),
                "found": float((left_out[1] <= rate).sum()),
            },
        }
    )
