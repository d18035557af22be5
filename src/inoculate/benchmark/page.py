"""The report as one HTML page that needs nothing else: plots as SVG, then the tables."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from inoculate.benchmark.report import NAMES, figure
from inoculate.benchmark.statistics import Table, over_shots

_COLORS = (
    *("#0b6e99", "#d9480f", "#2b8a3e", "#9c36b5", "#e6a700", "#5f3dc4", "#c2255c", "#495057"),
    *("#12b5c9", "#8a5a2b", "#84a98c", "#f28482"),
)
_WIDTH, _BAR, _LEFT, _RIGHT = 640, 24, 190, 60
_HEIGHT = 300
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;
color:#1b1f24;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:.6rem 0}
td,th{border-bottom:1px solid #d0d7de;padding:.2rem .5rem;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:1rem}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.scroll{overflow-x:auto}.axis{stroke:#8c959f}.worse{color:#b42318}.better{color:#1a7f37}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}td,th{border-color:#30363d}}
"""

Series = Mapping[str, Sequence[tuple[float, float]]]


def page(tables: Sequence[Table], facts: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        tables: what was measured.
        facts: lines about the run.
    """
    colors = _colors(tables)
    parts = [f"<li>{escape(k)}: {escape(v)}</li>" for k, v in facts.items()]
    losses = [f"<li>{escape(t.group)}: {escape(x)}</li>" for t in tables for x in t.losses()]
    body = ["<h1>Benchmark</h1><ul>", *parts, "</ul>"]
    took_part = any(not r.baseline for t in tables for r in t.rows)
    none = "<li>On no dataset</li>" if took_part else "<li>No prior took part</li>"
    body += ["<h2>Where priors lose</h2><ul>", *(losses or [none])]
    body += ["</ul>", *_plots(tables, colors), "<h2>Tables</h2>", *map(_table, tables)]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Benchmark</title>'
        f"<style>{_STYLE}</style><body>{''.join(body)}</body></html>\n"
    )


def _colors(tables: Sequence[Table]) -> dict[str, str]:
    names = sorted({r.learner for t in tables for r in t.rows})
    return {n: _COLORS[i % len(_COLORS)] for i, n in enumerate(names)}


def _plots(tables: Sequence[Table], colors: Mapping[str, str]) -> list[str]:
    """Return for each split: rank, quality against K, worst class, seconds to adapt."""
    parts = []
    for split in dict.fromkeys(_split(t) for t in tables):
        mine = [t for t in tables if _split(t) == split and t.rows]
        detect = {t.group: t for t in mine if t.kind == "detect"}
        main = detect.get(f"{split}/detect/5") or next(iter(detect.values()), None)
        if main is None:
            continue
        name = NAMES[main.headline]
        pictures = {
            f"Mean rank over datasets ({main.group}; 1 is best)": bars(
                {r.learner: r.rank for r in main.rows}, colors
            ),
            f"{name} against examples (classes that all have)": lines(
                _by_shots(split, list(detect.values())), colors
            ),
            f"Worst class, {name} ({main.group})": bars(
                {r.learner: r.worst for r in main.rows}, colors
            ),
            "Milliseconds to adapt": bars(
                {r.learner: 1000 * r.figures["adapt_s"].mean for r in main.rows}, colors
            ),
        }
        parts += [f"<h2>{escape(split)}</h2>", '<div class="plots">']
        parts += [
            f"<figure><figcaption>{escape(title)}</figcaption>{picture}</figure>"
            for title, picture in pictures.items()
        ]
        parts += ["</div>"]
    return parts


def _split(table: Table) -> str:
    """Return kind of record and split, ``flows/never-seen``."""
    return "/".join(table.group.split("/")[:2])


def _by_shots(split: str, tables: Sequence[Table]) -> Series:
    shots = {
        int(match[1]): t
        for t in tables
        if (match := re.fullmatch(re.escape(split) + r"/detect/(\d+)", t.group))
    }
    numbers = sorted(shots)
    found = over_shots([shots[k] for k in numbers])
    return {n: [(float(k), v) for k, v in zip(numbers, vs, strict=True)] for n, vs in found.items()}


def bars(values: Mapping[str, float], colors: Mapping[str, str]) -> str:
    """Return one bar a learner, in the order given; what is not finite has none."""
    longest = max((v for v in values.values() if math.isfinite(v)), default=0.0) or 1.0
    room = _WIDTH - _LEFT - _RIGHT
    parts = []
    for i, (name, value) in enumerate(values.items()):
        y = i * _BAR
        size = max(0.0, value / longest * room) if math.isfinite(value) else 0.0
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y + 4}" width="{size:.1f}" height="{_BAR - 8}" '
            f'fill="{colors[name]}"/>'
            f'<text x="{_LEFT + size + 6:.1f}" y="{y + 16}">{value:.3g}</text>'
        )
    return _svg(len(values) * _BAR + 4, parts)


def lines(series: Series, colors: Mapping[str, str]) -> str:
    """Return one line a learner over the number of examples, and a legend."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    if not xs:
        return ""
    low, high = min(ys), max(ys)
    span = (high - low) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        # steps of equal width: 1, 5, 10, 20 examples would crowd on the left
        across = xs.index(x) / max(len(xs) - 1, 1)
        return 60 + across * 380, _HEIGHT - 30 - (y - low) / span * (_HEIGHT - 50)

    parts = [f'<line class="axis" x1="60" x2="440" y1="{_HEIGHT - 30}" y2="{_HEIGHT - 30}"/>']
    for value in (low, (low + high) / 2, high):
        parts.append(f'<text x="8" y="{place(xs[0], value)[1] + 4:.1f}">{value:.3f}</text>')
    for x in xs:
        parts.append(f'<text x="{place(x, low)[0] - 4:.1f}" y="{_HEIGHT - 10}">{x:.0f}</text>')
    for i, (name, points) in enumerate(series.items()):
        spots = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colors[name]}" stroke-width="2"/>'
        )
        dots = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" ' for x, y in spots)
        parts += [f'{dot}fill="{colors[name]}"/>' for dot in dots]
        y = 16 + 18 * i
        parts.append(
            f'<rect x="456" y="{y - 9}" width="10" height="10" fill="{colors[name]}"/>'
            f'<text x="472" y="{y}">{escape(name)}</text>'
        )
    return _svg(max(_HEIGHT, 18 * len(series) + 20), parts)


def _svg(height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _table(table: Table) -> str:
    hidden = {"near_duplicates", "over_chance"} - {table.headline}
    shown = [f for f in NAMES if f not in hidden and any(f in r.figures for r in table.rows)]
    head = ["learner", "rank", *(NAMES[f] for f in shown), "worst class", ""]
    rows = [f"<tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>"]
    for row in table.rows:
        cells = [row.learner, f"{row.rank:.1f}", *(figure(row, f) for f in shown)]
        verdict = row.gaps[table.headline].verdict if table.headline in row.gaps else ""
        cells += [f"{row.worst:.3f} ({row.worst_class})", verdict]
        css = f' class="{verdict}"' if verdict in ("better", "worse") else ""
        rows.append(f"<tr{css}>{''.join(f'<td>{escape(c)}</td>' for c in cells)}</tr>")
    about = f"{', '.join(table.datasets)}; best single baseline: {table.best or 'none'}"
    return (
        f"<h3>{escape(table.group)}</h3><p>{escape(about)}</p>"
        f'<div class="scroll"><table>{"".join(rows)}</table></div>'
    )
