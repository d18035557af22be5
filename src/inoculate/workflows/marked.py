"""Finds records again that a scan reported: in its sources, by their ids or origins."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inoculate.errors import InputError, RecordError
from inoculate.finding import Finding
from inoculate.store.detector import StoredDetector
from inoculate.task import Encoded
from inoculate.workflows.intake import Intake
from inoculate.workflows.scanner import Scanner

_MOST_LINE_BYTES = 1 << 20
_MOST_LINES = 1_000_000
_PLACE = re.compile(r"[:#]\d+$")


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A record to be labelled.

    Attributes:
        finding: what it is, without reasons.
        x: the record, encoded.
        threat: name of the threat it is to be an example of; None for benign.
    """

    finding: Finding
    x: Encoded
    threat: str | None = None


def find_again(
    wanted: Sequence[str],
    intake: Intake,
    sources: Sequence[str],
    stored: StoredDetector,
    scanner: Scanner,
    report: Path | None = None,
) -> list[Marked]:
    """Return the wanted records in the order of the sources, reading no further than needed.

    Args:
        wanted: ids of findings, or origins of records.
        intake: reads the sources.
        sources: named as the scan named them, since ids depend on that.
        stored: the detector.
        scanner: of that detector, at the scan's rate; tells which records are findings.
        report: the scan's JSON Lines; an id in it is looked for at its origin, whatever the rate.

    Raises:
        InputError: one of them is not in the sources.
    """
    origins = {label.finding_id: label.origin for label in stored.labels}
    if report is not None:
        origins |= _report_lines(report)
    ids = {name for name in wanted if name not in origins}
    at = {origins.get(name, name) for name in wanted}
    left, found = set(wanted), []
    for domain, batch in intake.read(sources, kind=stored.manifest.kind):
        x = domain.encode(batch, stored.views)
        scores = stored.detector.score(x)
        over = scores.alarm().astype(np.float64) >= scanner.threshold if ids else False
        rows = np.flatnonzero(over | batch.frame["origin"].is_in(list(at)).to_numpy())
        for row, finding in zip(rows, scanner.bare(domain, batch, scores, rows), strict=True):
            names = left & {finding.finding_id, finding.origin}
            if names:
                left -= names
                found.append(Marked(finding, x.take(np.array([row]))))
        if not left:
            return found
    raise InputError(
        f"{min(left)[:100]}: no such finding in {', '.join(sources)}; name the sources as the "
        "scan did, and give the --false-alarms that it had"
    )


def sources_in_report(report: Path) -> tuple[str, ...]:
    """Return the sources that a scan's findings come from, in order.

    Raises:
        InputError: the report cannot be read or holds no finding.
        RecordError: a line of it is no finding.
    """
    names = dict.fromkeys(_source_of(origin) for _, origin in _report_lines(report))
    if not names:
        raise InputError(f"{report}: holds no finding")
    return tuple(names)


def _source_of(origin: str) -> str:
    """Return what was scanned: ``a.zip`` for ``a.zip!x.csv:12``, ``x.csv`` for ``x.csv:12``."""
    for name in (origin, _PLACE.sub("", origin)):
        ends = [i for i, c in enumerate(name) if c == "!"]
        for end in (len(name), *ends):
            if _exists(name[:end]):
                return name[:end]
    return _PLACE.sub("", origin)


def _exists(name: str) -> bool:
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # too long, or with a null byte: no name of a file
        return False


def _report_lines(report: Path) -> Iterator[tuple[str, str]]:
    """Yield id and origin of each finding of a scan's JSON Lines."""
    try:
        with report.open("rb") as file:
            number = 0
            while line := file.readline(_MOST_LINE_BYTES):
                number += 1
                place = f"{report}:{number}"
                if number > _MOST_LINES or not line.endswith(b"\n"):
                    raise RecordError("too long, or cut in the middle", origin=place)
                yield _finding_in(line, place)
    except OSError as err:
        raise InputError(f"{report}: cannot be read: {err.strerror}") from err


def _finding_in(line: bytes, place: str) -> tuple[str, str]:
    try:
        content = json.loads(line)
        name, origin = content["finding_id"], content["origin"]
    except (ValueError, RecursionError, TypeError, KeyError) as err:
        raise RecordError("no finding as scan --format jsonl writes it", origin=place) from err
    if not isinstance(name, str) or not isinstance(origin, str):
        raise RecordError("finding_id and origin are not text", origin=place)
    return name, origin
