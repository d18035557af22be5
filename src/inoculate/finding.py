"""What a scan returns, for every renderer."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

SCHEMA_VERSION = 1
NOVELTY = "novelty"
"""Threat name of a finding made without any example (K = 0)."""

_NO_IDENTITY = ("end_line",)


@dataclass(frozen=True, slots=True)
class Reason:
    """One column that moved a finding's score.

    Attributes:
        column: the column's name.
        value: the record's value in the column's unit; None when unknown.
        unit: the column's unit.
        quantile: share of background below the value (ties count half), 0 to 1.
        weight: how much of the score it explains, at most 1 over all reasons of a finding.
        text: the whole in words, ``bytes sent 1.2 MB: above 99.8 % of background``.
    """

    column: str
    value: float | None
    unit: str
    quantile: float | None
    weight: float
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A scored record shown to an analyst.

    Attributes:
        finding_id: stable over runs: a hash of detector, origin and record.
        origin: where the record came from, ``traffic.pcap#1234`` or ``conn.log:17``.
        threat: name of the class, or ``novelty``.
        score: the detector's alarm score; higher is more suspicious.
        p_value: share of benign records expected to score as high, from calibration.
        ts: seconds since 1970 UTC, or None.
        record: the identity columns (hosts, ports, protocol ...), for showing only.
        reasons: strongest first; empty when reasons were not asked for.
    """

    finding_id: str
    origin: str
    threat: str
    score: float
    p_value: float
    ts: float | None
    record: dict[str, Any]
    reasons: tuple[Reason, ...] = ()


def finding_id(detector: str, origin: object, ts: object, record: Mapping[str, Any]) -> str:
    """Return a finding's id: the same wherever and whenever the same record is found again.

    Args:
        detector: its name.
        origin: where the record came from, as the frame has it.
        ts: its time, as the frame has it.
        record: its identity columns, those that are known; where it ends does not count.
    """
    its = {name: value for name, value in record.items() if name not in _NO_IDENTITY}
    key = json.dumps([detector, origin, ts, its], default=str)
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """How alarm scores are spread, for a picture.

    Attributes:
        edges: n + 1 bin edges, increasing.
        scanned: n counts over all records scanned.
        background: n counts over the calibration background.
    """

    edges: tuple[float, ...]
    scanned: tuple[int, ...]
    background: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """The findings of one threat.

    Attributes:
        threat: its name.
        n_findings: all of them, also those not kept.
        n_files: files they were found in.
    """

    threat: str
    n_findings: int
    n_files: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A whole thing that alarms, a trace of system calls say, by its most suspicious window.

    Attributes:
        noun: what it is ("trace").
        name: which one of its source.
        source: file it is in.
        threat: the class its strongest window looks like, or ``novelty``.
        score: of that window.
        p_value: share of benign ones expected to score as high, however many windows they have.
        n_windows: windows it has.
        origin: of that window.
    """

    noun: str
    name: str
    source: str
    threat: str
    score: float
    p_value: float
    n_windows: int
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole scan.

    Attributes:
        detector: name of the detector, or of the prior when there was none.
        threats: names of the classes it looks for.
        false_alarms: the promised rate that the threshold keeps.
        threshold: alarm scores at or above it are findings.
        sources: name of each source, with records read.
        n_records: records scanned.
        n_findings: findings, also those not kept in ``findings``, less the excepted, the
            silenced and the baseline's.
        findings: kept findings, in order of time of reading.
        skipped: problem -> count of records that were skipped.
        left_out: problem -> count of files of a folder or archive that were left out.
        notes: lines the user must read (a cut capture, a promise that cannot be kept ...).
        histogram: spread of scores, where it was kept.
        seconds: wall time of reading and scoring.
        truth: for a demo: recall, realised false alarms and the like, by name.
        unit: what a record is.
        n_excepted: records over the threshold that an exception kept from being findings.
        families: the findings by threat, most first.
        n_files: files that were read, those in folders and archives too.
        n_baseline: findings left out because a baseline holds them.
        n_silenced: findings left out because a comment in the source says so.
        silenced: kept ones of them, each with the comment's reason.
        observed: True when findings are ends of executions that were seen again and again, not
            records that scored high: then rate, threshold and p-values say nothing.
        triage: True when findings are a list to begin with, made without example and calibration:
            then rate, threshold and p-values say nothing, and scores are points.
        errors: a line for each source that could not be read to its end.
        verdicts: where records are windows of something longer, each of these that alarms at
            ``false_alarms`` of benign ones, the most suspicious first.
        n_wholes: how many of these there were.
        whole: what they are ("trace").
    """

    detector: str
    threats: tuple[str, ...]
    false_alarms: float
    threshold: float
    sources: tuple[tuple[str, int], ...]
    n_records: int
    n_findings: int
    findings: tuple[Finding, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    histogram: ScoreHistogram | None = None
    seconds: float = 0.0
    truth: dict[str, float] = field(default_factory=dict)
    unit: str = "record"
    n_excepted: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    families: tuple[Family, ...] = ()
    n_files: int = 0
    n_baseline: int = 0
    errors: tuple[str, ...] = ()
    n_silenced: int = 0
    silenced: tuple[tuple[Finding, str], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    n_wholes: int = 0
    whole: str = ""
    observed: bool = False
    triage: bool = False


class Renderer(ABC):
    """Base of all output formats: one file a format.

    The workflow calls ``begin`` once, ``rows`` for each batch of findings as they come, and
    ``end`` once with the whole report; each returns text (with its newlines) for the output.

    Attributes:
        streams: True when ``rows`` writes findings at once; False when all is written by
            ``end``, from ``Report.findings``.
        suffix: usual file ending, with the dot.
    """

    streams: ClassVar[bool] = False
    suffix: ClassVar[str] = ".txt"

    def begin(self) -> str:
        """Return what comes before the first finding."""
        return ""

    def rows(self, findings: Sequence[Finding]) -> str:
        """Return some findings."""
        return ""

    @abstractmethod
    def end(self, report: Report) -> str:
        """Return what comes after the last finding."""
