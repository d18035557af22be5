"""What a run of fuzz found, for every renderer."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inoculate.finding import Finding, Reason, Report, finding_id
from inoculate.fuzzing.endings.sanitizers import language_of
from inoculate.fuzzing.endings.triage import folders, read_finding
from inoculate.fuzzing.running.journal import Journal
from inoculate.fuzzing.running.limits import network_cut
from inoculate.fuzzing.running.native import PLACEHOLDER, Program
from inoculate.render._severity import severity
from inoculate.render._text import counted
from inoculate.workflows.fuzz_request import JOURNAL, FuzzRequest

UNIT = "input"
_SHOWN_CALLS = 5


def report_of(out: Path) -> Report:
    """Return what a run found so far.

    Raises:
        ArtifactError: the folder holds no run, or a damaged one.
    """
    request, journal = FuzzRequest.read(out), Journal.read(out / JOURNAL)
    findings = tuple(_finding(place, request) for place in folders(out / "findings"))
    executions = executions_of(journal)
    threats = tuple(sorted({finding.threat for finding in findings}))
    target = str(request.target or request.python)
    return Report(
        detector=f"fuzz {target} ({request.agent})",
        threats=threats,
        false_alarms=0.0,
        threshold=0.0,
        sources=((target, executions),),
        n_records=executions,
        n_findings=len(findings),
        findings=findings,
        notes=(*journal.notes, *_notes(request, out)),
        seconds=journal.seconds,
        unit=UNIT,
        observed=True,
    )


def executions_of(journal: Journal) -> int:
    """Return how many inputs a run has run."""
    rest = journal.memory.get("history/rest")
    return int(rest[0]) if rest is not None and len(rest) else 0


def _notes(request: FuzzRequest, out: Path) -> Iterator[str]:
    for place in folders(out / "unreplayed"):
        about = read_finding(place)
        what = ", ".join(map(str, about["kinds"])) or "nothing"
        yield (
            f"does not replay: {place}: {about['ended_badly']} of {about['of']} replays ended "
            f"badly ({what}); not counted as a finding"
        )
    if not network_cut():
        yield "the network could not be cut off: unshare is not permitted here"
    if request.target is not None and request.target.exists():
        again = request.replay_with or request.target
        if again.exists() and not Program.open(again, ()).sanitized:
            yield (
                f"{again}: no sanitizer: a crash is told by its signal alone, without its place; "
                "build with AFL_USE_ASAN=1 and -g, or name such a build by --replay-with"
            )


def _finding(place: Path, request: FuzzRequest) -> Finding:
    about = read_finding(place)
    cwe, kind = about.get("cwe"), str(about["kind"])
    threat = f"cwe-{cwe}" if cwe else kind
    file, line = about.get("file"), about.get("line")
    target = str(request.target or request.python)
    origin = f"{file}:{line}" if file and line else str(file or target)
    language = "python" if request.python is not None else language_of(str(file or ""))
    record = {
        "name": about.get("function") or target,
        "language": language,
        "kind": kind,
        "input": str(place / "input"),
        "size": about["size"],
        "sha256": about["sha256"],
        "cwe": cwe,
    }
    return Finding(
        finding_id=finding_id("fuzz", origin, None, {"key": about["key"], "target": target}),
        origin=origin,
        threat=threat,
        score=severity(threat),
        p_value=0.0,
        ts=None,
        record=record,
        reasons=tuple(_reasons(about, place, request)),
    )


def _reasons(about: dict[str, Any], place: Path, request: FuzzRequest) -> Iterator[Reason]:
    detail = f": {about['detail']}" if about["detail"] else ""
    yield _said("kind", f"{about['kind']}{detail}")
    size = int(about["size"])
    yield _said(
        "input",
        f"{counted(size, 'byte')} in {place / 'input'}; ended so in {about['replayed']} of "
        f"{about['replayed']} replays",
        float(size),
        "bytes",
    )
    calls = [str(frame["function"]) for frame in about["stack"][:_SHOWN_CALLS]]
    if calls:
        yield _said("stack", " < ".join(calls))
    yield _said("again", f"run again: {command_of(request, place / 'input')}")
    seen, executions = int(about["seen"]), int(about.get("executions", 0))
    yield _said(
        "seen",
        f"found after {counted(executions, 'input')}, {about.get('seconds', 0):g} s; "
        f"{counted(seen, 'input')} with this stack",
        float(seen),
        "inputs",
    )


def _said(column: str, text: str, value: float | None = None, unit: str = "") -> Reason:
    return Reason(column, value, unit, None, 0.0, text)


def command_of(request: FuzzRequest, file: Path) -> str:
    """Return a command for a shell that runs a finding's input again."""
    if request.python is not None:
        form = ".decode('utf-8', 'replace')" if request.form == "text" else ""
        module, _, function = request.python.replace(":", ".").rpartition(".")
        code = f"import {module}; {module}.{function}(open({str(file)!r}, 'rb').read(){form})"
        return f"python -c {shlex.quote(code)}"
    program = request.replay_with or request.target
    words = [str(program), *(a.replace(PLACEHOLDER, str(file)) for a in request.arguments)]
    reads_file = any(PLACEHOLDER in argument for argument in request.arguments)
    return shlex.join(words) + ("" if reads_file else f" < {shlex.quote(str(file))}")
