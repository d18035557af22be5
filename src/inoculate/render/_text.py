"""Words shared by the output formats: times, hosts, shares; and text made safe to show."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from inoculate.finding import Family, Finding, Report

# CSI and OSC sequences as a whole, then any lone control, bidirectional or invisible character
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_LINE = re.compile(r"^(?!.*:\d+:\d+\Z).*:\d+\Z", re.DOTALL)
_LAST_SECOND = 253402300799.0  # of year 9999
_MAX_KEYS = 12


def clean(value: Any, limit: int = 200) -> str:
    r"""Return text without control characters or terminal escapes, at most ``limit`` long.

    Example:
        >>> clean("a\x1b[31mred\x1b[0m\nb")
        'ared b'
    """
    text = str(value)[: 4 * limit]
    text = re.sub(r"[\t\n\r\v\f\u2028\u2029]+", " ", _ESCAPES.sub("", text))
    text = _INVISIBLE.sub("", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(value: Any) -> Any:
    """Return a value as JSON knows it; what is not finite becomes None."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def who(record: Mapping[str, Any], limit: int = 120) -> str:
    """Return the record's identity in one line.

    Example:
        >>> who({"orig_h": "10.0.0.5", "orig_p": 50022, "resp_h": "::1", "proto": "tcp"})
        '10.0.0.5:50022 -> ::1 tcp'
        >>> who({"user": "ann", "row": 3})
        'user=ann, row=3'
        >>> who({"text": "GET /?q=1", "client": None})
        'GET /?q=1'
        >>> who({"path": "a.py", "name": "A.f", "language": "python", "end_line": 9})
        'A.f (python)'
    """
    if {"name", "language"} <= set(record):  # of source code; its origin says where it is
        return clean(f"{record['name']} ({record['language']})", limit)
    if record.get("orig_h") is None and record.get("resp_h") is None:
        known = [value for value in record.values() if value is not None]
        if len(known) == 1:  # a line of text, say, which needs no name
            return clean(known[0], limit)
        some = list(record.items())[:_MAX_KEYS]
        shown = (f"{clean(k, 40)}={clean(v, 60)}" for k, v in some if v is not None)
        return clean(", ".join(shown), limit)
    ends = [
        _endpoint(record.get(f"{side}_h"), record.get(f"{side}_p")) for side in ("orig", "resp")
    ]
    return clean(f"{ends[0]} -> {ends[1]} {clean(record.get('proto') or '', 20)}".rstrip(), limit)


def _endpoint(host: Any, port: Any) -> str:
    text = clean("?" if host is None else host, 60)
    if plain(port) is None:
        return text
    return f"[{text}]:{clean(port, 12)}" if ":" in text else f"{text}:{clean(port, 12)}"


def whole(finding: Finding) -> str:
    """Return a finding's origin, with its last line where the record knows it: ``a.py:3-9``."""
    last = finding.record.get("end_line")
    return f"{finding.origin}-{last}" if last and _LINE.search(finding.origin) else finding.origin


def place(origin: str, limit: int) -> str:
    """Return an origin; of a long one the end, which tells more than the folders before it.

    Example:
        >>> place("/var/log/zeek/current/conn.log:17", 20)
        '…current/conn.log:17'
    """
    text = clean(origin, 4000)
    return text if len(text) <= limit else "…" + text[1 - limit :]


def moment(ts: float | None) -> datetime | None:
    """Return a time in UTC; None where there is none or no calendar holds it."""
    if ts is None or not 0 <= ts <= _LAST_SECOND:
        return None
    return datetime.fromtimestamp(ts, UTC)


def when(ts: float | None) -> str:
    """Return a time as ``2026-01-31 23:59:59``, in UTC; empty where there is none."""
    at = moment(ts)
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def share(x: float) -> str:
    """Return a share in per cent; only the whole is 100 %, only nothing is 0 %.

    Example:
        >>> share(0.001), share(0.02), share(0.00004), share(0.99998)
        ('0.1 %', '2 %', '0.004 %', '99.998 %')
    """
    for digits in (3, 4, 5, 6, 7):
        text = f"{100 * x:.{digits}g}"
        if x >= 1 or float(text) < 100:
            break
    return f"{text} %"


def score(x: float) -> str:
    """Return a score, or a p-value, with the digits that tell."""
    return f"{x:.3g}"


def counted(n: int, unit: str) -> str:
    """Return a count with its unit.

    Example:
        >>> counted(1, "flow"), counted(12345, "flow")
        ('1 flow', '12,345 flows')
    """
    return f"{n:,} {clean(unit, 40)}{'' if n == 1 else 's'}"


def strongest(findings: Iterable[Finding], n: int) -> list[Finding]:
    """Return the n findings with the highest scores; ties in order of reading."""
    return sorted(findings, key=lambda f: -f.score)[:n]


def speed(report: Report) -> str:
    """Return ``12,345 flows in 2.1 s (5,900 flows/s)``."""
    text = counted(report.n_records, report.unit)
    if report.seconds <= 0:
        return text
    rate = report.n_records / report.seconds
    return f"{text} in {report.seconds:.3g} s ({rate:,.0f} {clean(report.unit, 40)}s/s)"


def weight(finding: Finding, report: Report) -> str:
    """Return what tells findings apart: the p-value, how bad what was observed is, or points."""
    if report.triage:
        return f"{finding.score:.1f}"
    return f"{finding.score:.1f}" if report.observed else score(finding.p_value)


def weight_name(report: Report) -> str:
    """Return what ``weight`` is called."""
    return "points" if report.triage else "severity" if report.observed else "p"


def looked_for(report: Report) -> str:
    """Return the threats in one line."""
    if report.observed and not report.findings:
        return "crashes and hangs"
    if report.triage:
        return "known weaknesses"
    return clean(", ".join(clean(t, 60) for t in report.threats) or "novelty", 300)


def promise(report: Report) -> str:
    """Return what the threshold keeps, and how many false alarms that is here."""
    if report.triage:
        return "triage: not calibrated on your code, no promise of false alarms"
    if report.observed:
        return "each ended so in every replay" if report.n_findings else "nothing ended badly"
    expected = report.false_alarms * report.n_records
    about = f"about {expected:,.3g}" if expected < 1000 else f"about {expected:,.0f}"
    return (
        f"at most {share(report.false_alarms)} of benign {clean(report.unit, 40)}s alarm"
        f" ({about} of {report.n_records:,})"
    )


def found(report: Report) -> str:
    """Return how many findings there are, and how many an exception or a comment kept back."""
    text = counted(report.n_findings, "finding") if report.n_findings else "no finding"
    text += f", {report.n_excepted:,} excepted" if report.n_excepted else ""
    return text + (f", {report.n_silenced:,} silenced by comments" if report.n_silenced else "")


def skipped(report: Report) -> list[str]:
    """Return a line for each problem of records and then of files, the most frequent first."""
    records = sorted(report.skipped.items(), key=lambda item: -item[1])
    files = sorted(report.left_out.items(), key=lambda item: -item[1])
    lines = [f"{counted(n, report.unit)} skipped: {clean(problem)}" for problem, n in records]
    return lines + [f"{counted(n, 'file')} left out: {clean(problem)}" for problem, n in files]


def families(report: Report) -> tuple[Family, ...]:
    """Return the findings by threat where that says more than the findings: else nothing.

    So it is with more than one threat, and where one source held several files.
    """
    tells = len(report.threats) > 1 or report.n_files > len(report.sources)
    return report.families if tells else ()


def figure(name: str, value: float) -> str:
    """Return a figure held against the ground truth; rates in per cent.

    Example:
        >>> figure("recall", 0.98), figure("seconds", 0.2134), figure("flows", 12345.6)
        ('98 %', '0.2134', '12,346')
    """
    is_rate = any(word in name for word in ("recall", "alarm", "precision", "rate", "share"))
    if is_rate and 0 <= value <= 1:
        return share(value)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
