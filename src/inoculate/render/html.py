"""One page to read, keep and send: what was found, when, and why."""

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Any, ClassVar

from inoculate import __version__
from inoculate.finding import Finding, Reason, Renderer, Report
from inoculate.render._charts import N_COLORS, bar, colour, distribution, timeline
from inoculate.render._text import (
    clean,
    counted,
    families,
    figure,
    looked_for,
    place,
    promise,
    score,
    share,
    skipped,
    strongest,
    weight,
    weight_name,
    when,
    who,
    whole,
)
from inoculate.render._verdicts import judged, told

_MAX_LINES = 50


class Html(Renderer):
    """A self-contained page, light or dark as the reader's system is; no script, no network.

    The pictures show all kept findings, the table the strongest. All text is escaped, and the
    page's content security policy lets nothing load or run but its own style sheet.

    Args:
        n_shown: rows of the table.
        n_reasons: reasons shown of each finding.
        n_columns: columns in the picture of what spoke.

    References:
        W3C, "Content Security Policy Level 3", section 3.3 (the meta element).
    """

    suffix: ClassVar[str] = ".html"

    def __init__(self, *, n_shown: int = 200, n_reasons: int = 5, n_columns: int = 6) -> None:
        self.n_shown = n_shown
        self.n_reasons = n_reasons
        self.n_columns = n_columns

    def end(self, report: Report) -> str:
        """Return the whole page."""
        css = resources.files("inoculate.render").joinpath("report.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
        body = "\n".join(part for part in self._parts(report) if part)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="referrer" content="no-referrer">\n'
            f"<title>{_e(report.detector)}: {counted(report.n_findings, 'finding')}</title>\n"
            f"<style>{css}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
        )

    def _parts(self, report: Report) -> Iterable[str]:
        # the most frequent threats get the colours, and keep them in every picture
        ranked = [name for name, _ in Counter(f.threat for f in report.findings).most_common()]
        yield _head(report)
        yield _figures(report)
        yield _truth(report)
        yield _notes(report)
        yield _families(report, ranked)
        yield _verdicts(report)
        yield _timeline(report, ranked)
        columns = self._columns(report)
        pictures = _distribution(report, width=520 if columns else 1040) + columns
        yield f'<div class="two">{pictures}</div>' if pictures else ""
        yield self._table(report, ranked)
        yield _sources(report)
        yield (
            f"<footer>Made by Inoculate {_e(__version__)}. This page is complete in itself and "
            "loads nothing. Times are in UTC.</footer>"
        )

    def _columns(self, report: Report) -> str:
        weights: defaultdict[str, float] = defaultdict(float)
        loudest: dict[str, Reason] = {}
        for reason in (r for f in report.findings for r in f.reasons if r.weight > 0):
            weights[reason.column] += reason.weight
            known = loudest.setdefault(reason.column, reason)
            if reason.weight > known.weight:
                loudest[reason.column] = reason
        total = sum(weights.values())
        top = sorted(weights.items(), key=lambda item: -item[1])[: self.n_columns]
        top = [(name, weight) for name, weight in top if weight >= 0.005 * total]
        if not top:
            return ""
        rows = "".join(
            f'<tr><td>{_e(name, 80)}<br><span class="soft">{_e(loudest[name].text)}</span></td>'
            f"<td>{bar(weight / top[0][1], 'scan-bar')}</td>"
            f'<td class="soft">{100 * weight / total:.0f} %</td></tr>'
            for name, weight in top
        )
        return _card(
            "The columns that spoke",
            "share of what the reasons explain over all findings kept, each with an example",
            f'<table class="columns">{rows}</table>',
        )

    def _table(self, report: Report, ranked: list[str]) -> str:
        shown = strongest(report.findings, self.n_shown)
        if not shown:
            return _card("Findings", "", f"<p>No {_e(report.unit)} scored that high.</p>")
        rows = "".join(self._row(i, f, ranked, report) for i, f in enumerate(shown, 1))
        says = counted(report.n_findings, "finding")
        if report.n_findings > len(shown):
            says = f"the {len(shown)} strongest of {says}"
        column = weight_name(report)
        meaning = "p is the share of background expected to score as high"
        if report.observed:
            meaning = "severity is that of the weakness, 0.1 to 10"
        if report.triage:
            meaning = "points order the list, they are no probability"
        return _card(
            "Findings",
            f"{says}; {meaning}",
            f'<table class="findings list"><thead><tr><th class="number">#</th>'
            f'<th>threat</th><th class="number">{column}</th><th>{_e(report.unit, 40)}</th>'
            f"<th>why</th></tr></thead><tbody>{rows}</tbody></table>",
            css="findings-card",
        )

    def _row(self, i: int, finding: Finding, ranked: list[str], report: Report) -> str:
        reasons = "".join(f"<li>{_e(r.text)}</li>" for r in finding.reasons[: self.n_reasons])
        key = _key(colour(finding.threat, ranked))
        below = "  ".join(t for t in (when(finding.ts), place(whole(finding), 60)) if t)
        return (
            f'<tr><td class="number soft">{i}</td>'
            f'<td class="threat">{key}{_e(finding.threat, 40)}</td>'
            f'<td class="number" title="score {score(finding.score)}">'
            f'<span class="p">{weight_name(report)} </span>{weight(finding, report)}</td>'
            f'<td class="who">{escape(who(finding.record))}<br>'
            f'<span class="soft">{escape(below)}</span></td>'
            f"<td>{f'<ul>{reasons}</ul>' if reasons else ''}</td></tr>\n"
        )


def _e(value: Any, limit: int = 200) -> str:
    """Return cleaned and escaped text."""
    return escape(clean(value, limit))


def _key(index: int) -> str:
    return f'<span class="key k{index}"></span>'


def _card(title: str, below: str, content: str, css: str = "") -> str:
    small = f'<p class="soft">{below}</p>' if below else ""
    return f'<section class="card {css}"><h2>{title}</h2>{small}{content}</section>'


def _head(report: Report) -> str:
    what = "run of fuzz" if report.observed else "scan"
    return (
        f'<p class="soft">Inoculate, report of a {what}</p><h1>{_e(report.detector)}</h1>'
        f'<p class="soft lead">looked for '
        f"{escape(looked_for(report))} in {counted(len(report.sources), 'source')}</p>"
    )


def _figures(report: Report) -> str:
    rate = f"{report.n_records / report.seconds:,.0f} a second" if report.seconds > 0 else ""
    css = "alarm" if report.n_findings else "calm"
    what = "finding" if report.n_findings == 1 else "findings"
    what += f", {report.n_excepted:,} excepted" if report.n_excepted else ""
    what += f", {report.n_silenced:,} silenced by comments" if report.n_silenced else ""
    boxes = [
        (f"{report.n_findings:,}", what, css),
        (f"{report.n_records:,}", f"{report.unit}s {'run' if report.observed else 'scanned'}", ""),
        (_rate(report), promise(report), ""),
        (f"{report.seconds:,.3g} s", rate, "") if rate else ("", "", ""),
    ]
    return _boxes(boxes, "")


def _rate(report: Report) -> str:
    return "" if report.observed or report.triage else share(report.false_alarms)


def _truth(report: Report) -> str:
    items = list(report.truth.items())[:12]
    boxes = [(figure(k, v), k.replace("_", " "), "") for k, v in items]
    if not boxes:
        return ""
    return '<p class="soft caption">Against the ground truth</p>' + _boxes(boxes, "truth")


def _boxes(boxes: list[tuple[str, str, str]], css: str) -> str:
    cards = "".join(
        f'<div class="card {css}"><p class="figure {own}">{_e(big, 40)}</p>'
        f'<p class="soft">{_e(small)}</p></div>'
        for big, small, own in boxes
        if big
    )
    return f'<div class="figures">{cards}</div>'


def _notes(report: Report) -> str:
    lines = [*skipped(report), *report.notes]
    if not lines:
        return ""
    items = "".join(f"<li>{_e(line, 1000)}</li>" for line in lines[:_MAX_LINES])
    more = f"<li>and {len(lines) - _MAX_LINES} more</li>" if len(lines) > _MAX_LINES else ""
    return _card("To know", "", f"<ul>{items}{more}</ul>", css="notes")


def _families(report: Report, ranked: list[str]) -> str:
    known = families(report)
    if not known:
        return ""
    rows = "".join(
        f'<tr><td class="threat">{_key(colour(f.threat, ranked))}{_e(f.threat, 60)}</td>'
        f'<td class="number">{f.n_findings:,}</td><td class="number">{f.n_files:,}</td></tr>'
        for f in known[:_MAX_LINES]
    )
    left = len(known) - _MAX_LINES
    more = f'<p class="soft">and {counted(left, "threat")} more</p>' if left > 0 else ""
    return _card(
        "Threats",
        "what was found of each, and in how many files",
        '<table class="findings"><thead><tr><th>threat</th><th class="number">findings</th>'
        f'<th class="number">files</th></tr></thead><tbody>{rows}</tbody></table>{more}',
    )


def _verdicts(report: Report) -> str:
    if not report.n_wholes:
        return ""
    items = "".join(f"<li>{_e(told(v), 400)}</li>" for v in report.verdicts[:_MAX_LINES])
    left = len(report.verdicts) - _MAX_LINES
    more = f"<li>and {left} more</li>" if left > 0 else ""
    return _card(f"Whole {_e(report.whole)}s", _e(judged(report)), f"<ul>{items}{more}</ul>")


def _timeline(report: Report, ranked: list[str]) -> str:
    picture = timeline(report.findings, ranked)
    if not picture:
        return ""
    counts = Counter(colour(f.threat, ranked) for f in report.findings)
    names = ranked[:N_COLORS] if len(ranked) <= N_COLORS else [*ranked[: N_COLORS - 1], "others"]
    keys = "".join(
        f"<span>{_key(i)}{_e(name, 60)} <span class='soft'>{counts[i]:,}</span></span>"
        for i, name in enumerate(names)
    )
    kept = len(report.findings)
    times = [f.ts for f in report.findings if f.ts is not None and when(f.ts)]
    below = f"{when(min(times))} to {when(max(times))} UTC"
    if kept < report.n_findings:
        below += f"; the {kept:,} findings kept of {report.n_findings:,}"
    return _card(
        "When", below, f'<div class="legend">{keys}</div><div class="wide">{picture}</div>'
    )


def _distribution(report: Report, *, width: int) -> str:
    histogram = report.histogram
    if histogram is None or len(histogram.edges) < 2:
        return ""
    legend = (
        '<div class="legend"><span><span class="key k-scan"></span>scanned '
        f'<span class="soft">{sum(histogram.scanned):,}</span></span>'
        '<span><span class="key k-back"></span>background '
        f'<span class="soft">{sum(histogram.background):,}</span></span></div>'
    )
    picture = distribution(histogram, report.threshold, width=width)
    return _card("Scores", "share of records by score, logarithmic", legend + picture)


def _sources(report: Report) -> str:
    rows = "".join(
        f'<tr><td class="mono">{_e(name)}</td><td class="number">{n:,}</td></tr>'
        for name, n in report.sources[:_MAX_LINES]
    )
    left = len(report.sources) - _MAX_LINES
    more = f'<p class="soft">and {left} more</p>' if left > 0 else ""
    unit = f"{_e(report.unit, 40)}s"
    return _card(
        "Sources",
        "",
        f'<table class="findings"><thead><tr><th>name</th><th class="number">{unit}</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>{more}",
    )
