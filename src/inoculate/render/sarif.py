"""SARIF 2.1.0, for GitHub code scanning and every other tool that takes it."""

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

from inoculate import __version__
from inoculate.finding import NOVELTY, Finding, Renderer, Report
from inoculate.reading.origins import Place, Root, fingerprint, place_of, uri, without_place
from inoculate.render._severity import level, severity, weaknesses
from inoculate.render._text import clean, counted, plain, promise, share, skipped, strongest, who
from inoculate.render._verdicts import in_json

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_RESULTS = 25_000
_MOST_RELATED = 20
_MOST_REASONS = 10
_BASE = "%SRCROOT%"
_WAY = re.compile(r"\bline (\d{1,9}) to line (\d{1,9})\b")
_LINE = re.compile(r"\bline (\d{1,9})\b")
# a link, and a placeholder: a record's own text must make neither
_LINK, _PLACEHOLDER = re.compile(r"\]\("), re.compile(r"\{(?=\d+\})")


class Sarif(Renderer):
    """SARIF 2.1.0: one run, a rule a threat, a result a finding, one result a line.

    URIs are relative to the repository that the working folder lies in, else to that folder;
    of what lies elsewhere they are the whole path without its first ``/``. A result has a
    region where its origin says lines (the last one may come as ``end_line`` of the record);
    the number of a record and the place in an archive are in its message and logical location.
    Where a reason names lines of the record itself (``line 12``), they become related
    locations: ``line 3 to line 12`` a code flow, from where data comes to where it goes, and
    else two or more in one reason.
    A finding that a comment in the source silences is written with that as its suppression.

    ``partialFingerprints`` hold ``fingerprint`` of the record and, after ``:``, which of those
    alike it is, in the order of reading. ``precision`` is what the promise says of this scan:
    high where at most a tenth of the findings are expected to be false alarms, medium for at
    most half, else low. Of more than 25,000 findings the strongest are written.

    Args:
        root: what URIs are relative to; that of the working folder if not given.

    References:
        OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", Errata 01.
        Departure from 3.11.5: braces in messages are not doubled, since what shows messages
        does not halve them. GitHub, "SARIF support for code scanning", for the limits.
    """

    suffix: ClassVar[str] = ".sarif"

    def __init__(self, *, root: Root | None = None) -> None:
        self.root = root

    def end(self, report: Report) -> str:
        """Return the whole log."""
        root = self.root or Root.here()
        silenced = {id(f): reason for f, reason in report.silenced}
        shown = (*report.findings, *(f for f, _ in report.silenced))
        if len(shown) > MOST_RESULTS:
            # the silenced fill what room the others leave
            first = strongest(report.findings, MOST_RESULTS)
            rest = strongest((f for f, _ in report.silenced), MOST_RESULTS - len(first))
            kept = {id(f) for f in (*first, *rest)}
            shown = tuple(f for f in shown if id(f) in kept)
        ids = [_rule_id(f.threat) for f in shown]
        rules = list(dict.fromkeys([_rule_id(t) for t in report.threats or (NOVELTY,)] + ids))
        seen: Counter[str] = Counter()
        results = []
        for finding, rule in zip(shown, ids, strict=True):
            mark = fingerprint(finding, root)
            seen[mark] += 1
            results.append(_result(finding, rule, rules.index(rule), root, report))
            key = f"{mark}:{seen[mark]}"
            if id(finding) in silenced:
                results[-1]["suppressions"] = [_suppression(silenced[id(finding)])]
            results[-1]["partialFingerprints"] = {"primaryLocationLineHash": key, "record/v1": key}
        n_written = sum(id(f) not in silenced for f in shown)
        log = {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [_run(report, rules, n_written) | {"results": []}],
        }
        lines = ",\n".join(json.dumps(result, allow_nan=False) for result in results)
        return json.dumps(log, allow_nan=False).removesuffix("]}]}") + f"\n{lines}\n]}}]}}\n"


def _run(report: Report, rules: list[str], n_written: int) -> dict[str, Any]:
    sure = _precision(report)
    driver = {
        "name": "inoculate",
        "version": __version__,
        "rules": [_rule(rule, sure, report) for rule in rules],
    }
    properties = {
        "detector": clean(report.detector),
        "falseAlarms": plain(report.false_alarms),
        "threshold": plain(report.threshold),
        "records": report.n_records,
        "unit": clean(report.unit, 40),
        "findings": report.n_findings,
        "excepted": report.n_excepted,
        "inBaseline": report.n_baseline,
        "silenced": report.n_silenced,
        "skipped": sum(report.skipped.values()),
        "filesLeftOut": sum(report.left_out.values()),
    }
    properties |= in_json(report)
    return {
        "tool": {"driver": driver},
        # tells two detectors' uploads for one commit apart
        "automationDetails": {"id": f"inoculate/{_slug(report.detector)}/"},
        "invocations": [_invocation(report, n_written)],
        "originalUriBaseIds": {_BASE: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "properties": properties,
    }


def _invocation(report: Report, n_written: int) -> dict[str, Any]:
    told = [("error", line) for line in report.errors]
    told += [("note", line) for line in report.notes]
    told += [("warning", line) for line in skipped(report)]
    if missing := report.n_findings - n_written:
        told.append(("warning", f"{counted(missing, 'finding')} more are not in this file"))
    notifications = [
        {"level": kind, "message": {"text": text}}
        for kind, line in told
        if (text := clean(line, 1000))
    ]
    return {
        "executionSuccessful": not report.errors,
        "toolExecutionNotifications": notifications,
    }


def _rule(rule: str, sure: str, report: Report) -> dict[str, Any]:
    how_bad = severity(rule)
    numbers = weaknesses(rule)
    unit = clean(report.unit, 40)
    short = "New to this detector" if rule == NOVELTY else f"Looks like {rule}"
    full = (
        f"The detector knows no {unit} like this from its background; it has seen no example."
        if rule == NOVELTY
        else f"The detector takes this {unit} for {rule}, which it learned from a few examples."
    )
    text = (
        f"{full} At most {share(report.false_alarms)} of benign {unit}s alarm, as long as they "
        "look like the detector's background. The message tells what moved the score. If it is a "
        "false alarm, tell the detector with inoculate mark, except it with --exceptions, or "
        "keep what is known in a --baseline."
    )
    tags = ["security", *(f"external/cwe/cwe-{n:03d}" for n in numbers)]
    if report.observed:
        short = f"Ends in {rule}"
        full = f"An {unit} was found on which the program ends so, in every one of its replays."
        text = f"{full} The message tells how to run it again. The weakness is the closest one."
    if report.triage:
        full = f"This {unit} has something that {rule} often has. {promise(report).capitalize()}."
        text = f"{full} The message tells what, and how it ranks. Adapt a detector for a promise."
    made = {
        "id": rule,
        "name": rule,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": text},
        "defaultConfiguration": {"level": "note" if report.triage else level(how_bad)},
        "properties": {"tags": tags, "precision": sure, "security-severity": f"{how_bad:.1f}"},
    }
    if numbers:
        made["helpUri"] = f"https://cwe.mitre.org/data/definitions/{numbers[0]}.html"
    return made


def _precision(report: Report) -> str:
    if report.observed:
        return "very-high"
    if report.triage:
        return "low"
    alarms = report.n_findings + report.n_excepted + report.n_silenced + report.n_baseline
    if not alarms:
        return "medium"
    false = report.false_alarms * report.n_records / alarms
    return "high" if false <= 0.1 else "medium" if false <= 0.5 else "low"


def _result(finding: Finding, rule: str, index: int, root: Root, report: Report) -> dict[str, Any]:
    place = _placed(finding)
    related, flows = _steps(finding, place, root)
    made = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": "note" if report.triage else level(severity(rule)),
        "message": {"text": _message(finding, rule, place, report)},
        "locations": [_location(place, root) | _logical(finding, place)],
        "rank": round(100 * (1 - min(max(finding.p_value, 0.0), 1.0)), 4),
        "properties": {
            "finding": clean(finding.finding_id),
            "score": plain(finding.score),
            "pValue": plain(finding.p_value),
        },
    }
    if related:
        made["relatedLocations"] = related
    if flows:
        made["codeFlows"] = flows
    return made


def _suppression(reason: str) -> dict[str, str]:
    return {"kind": "inSource", "justification": clean(reason, 1000)}


def _message(finding: Finding, rule: str, place: Place, report: Report) -> str:
    unit = report.unit
    which = f" ({unit} {place.number:,})" if place.number is not None else ""
    inside = f" in {place.inside}" if place.inside else ""
    parts = [f"{rule}: {_about(finding, place)}{inside}{which}"]
    if finding.reasons:
        why = "; ".join(clean(r.text, 300) for r in finding.reasons[:_MOST_REASONS])
        parts.append(f"Because: {why}")
    if report.triage:
        parts.append(f"{promise(report).capitalize()}.")
    elif not report.observed:
        parts.append(f"At most {share(finding.p_value)} of benign {unit}s score as high.")
    return _defused(". ".join(parts), 4000)


def _about(finding: Finding, place: Place) -> str:
    record = without_place(finding, place)
    if {"name", "language"} <= set(record):
        return clean(record["name"], 200)
    return who(record, 200) or clean(place.path.rpartition("/")[2], 200)


def _location(place: Place, root: Root, line: int | None = None) -> dict[str, Any]:
    path, is_below = root.relative(place.path)
    artifact = {"uri": uri(path)} | ({"uriBaseId": _BASE} if is_below else {})
    physical: dict[str, Any] = {"artifactLocation": artifact}
    if line is not None:
        physical["region"] = {"startLine": line}
    elif place.line is not None and not place.inside:
        region = {"startLine": place.line}
        region |= {"startColumn": place.column} if place.column else {}
        physical["region"] = region | ({"endLine": place.last_line} if place.last_line else {})
    return {"physicalLocation": physical}


def _logical(finding: Finding, place: Place) -> dict[str, Any]:
    names = []
    if place.inside:
        line = f":{place.line}" if place.line is not None else ""
        names.append((place.inside + line, "resource"))
    if {"name", "language"} <= set(finding.record):  # of source code
        names.append((str(finding.record["name"]), "function"))
    found = [{"fullyQualifiedName": t, "kind": k} for name, k in names if (t := clean(name, 500))]
    return {"logicalLocations": found} if found else {}


def _steps(
    finding: Finding, place: Place, root: Root
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what lines the reasons name, as related locations and as code flows."""
    related: list[dict[str, Any]] = []
    flows: list[dict[str, Any]] = []
    if place.line is None or place.inside:
        return related, flows
    last = place.last_line or place.line
    for reason in finding.reasons:
        lines = [int(n) for n in _LINE.findall(reason.text) if place.line <= int(n) <= last]
        text = {"message": {"text": _defused(reason.text, 300) or "reason"}}
        steps = [_location(place, root, line) | text for line in lines[:_MOST_RELATED]]
        related += steps[: _MOST_RELATED - len(related)]
        ways = [(int(a), int(b)) for a, b in _WAY.findall(reason.text)]
        ways = [w for w in ways if all(place.line <= n <= last for n in w)]
        told = [[_location(place, root, n) | text for n in way] for way in ways] or [steps]
        flows += [_flow(way) for way in told if len(way) > 1]
    return [step | {"id": i} for i, step in enumerate(related, start=1)], flows


def _flow(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"threadFlows": [{"locations": [{"location": step} for step in steps]}]}


def _defused(text: str, limit: int) -> str:
    return _PLACEHOLDER.sub("{ ", _LINK.sub("] (", clean(text, limit)))


def _placed(finding: Finding) -> Place:
    """Return a finding's place, with the last line where only the record tells it."""
    place, last = place_of(finding.origin), finding.record.get("end_line")
    if place.line is None or not isinstance(last, int) or last < place.line:
        return place
    return replace(place, last_line=last)


def _rule_id(threat: str) -> str:
    return clean(threat) or "unnamed"


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", clean(text, 100), flags=re.ASCII).strip("-") or "detector"
