"""Verdicts on what records are windows of, in words and as plain values."""

from typing import Any

from inoculate.finding import SCHEMA_VERSION, Report, Verdict
from inoculate.render._text import clean, counted, plain, score, share

_MOST = 1_000


def judged(report: Report) -> str:
    """Return how many whole things alarm, "" where records stand alone.

    Example:
        >>> report = Report("d", (), 0.01, 1.0, (), 9, 0, (), n_wholes=40, whole="trace")
        >>> judged(report)
        'no trace of 40 alarms as a whole; at most 1 % of benign traces do'
    """
    if not report.n_wholes:
        return ""
    noun, n = clean(report.whole, 40), len(report.verdicts)
    some = f"{counted(n, noun)} of {report.n_wholes:,} alarm{'s' if n == 1 else ''}"
    which = some if n else f"no {noun} of {report.n_wholes:,} alarms"
    return f"{which} as a whole; at most {share(report.false_alarms)} of benign {noun}s do"


def told(verdict: Verdict) -> str:
    """Return one verdict in a line.

    Example:
        >>> told(Verdict("trace", "pid 7", "a.log", "shell", 3.0, 0.004, 12, "a.log:9"))
        'pid 7 in a.log: shell, p 0.004, 12 windows, strongest at a.log:9'
    """
    return (
        f"{clean(verdict.name, 60)} in {clean(verdict.source, 80)}: {clean(verdict.threat, 40)}, "
        f"p {score(verdict.p_value)}, {counted(verdict.n_windows, 'window')}, "
        f"strongest at {clean(verdict.origin, 100)}"
    )


def in_json(report: Report) -> dict[str, Any]:
    """Return the verdicts as properties of a run; nothing where records stand alone."""
    if not report.n_wholes:
        return {}
    verdicts = [as_json(v) for v in report.verdicts[:_MOST]]
    return {"wholes": report.n_wholes, "verdicts": verdicts}


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return one verdict as plain values, under a key that no finding has."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict_on": verdict.noun,
        "name": verdict.name,
        "source": verdict.source,
        "threat": verdict.threat,
        "score": plain(verdict.score),
        "p_value": plain(verdict.p_value),
        "n_windows": verdict.n_windows,
        "origin": verdict.origin,
    }
