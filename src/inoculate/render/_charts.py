"""Small pictures as inline SVG: a timeline, two histograms, bars. Colours come from the page."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from inoculate.finding import Finding, ScoreHistogram
from inoculate.render._text import clean, counted, moment, score, share, when

N_COLORS = 6
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY_S = 86400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 22, 26


def timeline(findings: Sequence[Finding], threats: Sequence[str], *, width: int = 1040) -> str:
    """Return bars of findings over time, stacked by threat; empty where no finding has a time.

    Args:
        findings: in any order; those without a time are left out.
        threats: names in the order of their colours; the last colour is for all others.
        width: of the picture, in its own pixels.
    """
    timed = [(f.ts, colour(f.threat, threats)) for f in findings if f.ts is not None]
    timed = [(ts, c) for ts, c in timed if moment(ts)]
    if not timed:
        return ""
    first, last = min(ts for ts, _ in timed), max(ts for ts, _ in timed)
    step = _step((last - first) / 70)
    start = math.floor(first / step) * step
    n_bins = int((last - start) // step) + 1
    if n_bins < 12:  # a few bars would be walls
        start, n_bins = start - step * ((12 - n_bins) // 2), 12
    counts = Counter((min(int((ts - start) // step), n_bins - 1), c) for ts, c in timed)
    tallest = max(sum(counts[i, c] for c in range(N_COLORS)) for i in range(n_bins))
    frame = _Frame(width, 190, start, start + n_bins * step, _nice_top(tallest))
    parts = [frame.grid_y([f"{y:,.0f}" for y in frame.ticks_y()])]
    parts += [_bar(frame, counts, i, step) for i in range(n_bins)]
    parts += [_ticks_x(frame, start, n_bins * step)]
    about = f"{counted(len(timed), 'finding')} from {when(first)} to {when(last)} UTC"
    return frame.svg(about, parts)


def colour(threat: str, threats: Sequence[str]) -> int:
    """Return a threat's colour, 0 to ``N_COLORS`` - 1."""
    return min(list(threats).index(threat), N_COLORS - 1) if threat in threats else N_COLORS - 1


def distribution(histogram: ScoreHistogram, threshold: float, *, width: int = 520) -> str:
    """Return how scores of scanned records and of background are spread, and the threshold.

    The height is the share of records in a bin, on a logarithmic scale: alarms are rare.
    """
    edges = histogram.edges
    sets = [(histogram.background, "back"), (histogram.scanned, "scan")]
    shares = [([n / max(sum(c), 1) for n in c], css) for c, css in sets]
    low = min((s for values, _ in shares for s in values if s > 0), default=0.1)
    bottom = math.floor(math.log10(low) - 0.01)
    frame = _Frame(width, 290, edges[0], edges[-1], float(-bottom))
    labels = [share(10.0 ** (bottom + k)) for k in range(-bottom + 1)]
    every = max(1, math.ceil(len(labels) / 6))
    labels = [t if i % every == 0 else "" for i, t in enumerate(labels)]
    parts = [frame.grid_y(labels)]
    for values, css in shares:
        heights = [math.log10(s) - bottom if s > 0 else 0.0 for s in values]
        parts.append(f'<path class="{css}" d="{_outline(frame, edges, heights)}"/>')
    parts.append(_threshold(frame, threshold))
    parts += [frame.label_x(x, score(x)) for x in _round_ticks(edges[0], edges[-1])]
    above = sum(n for n, e in zip(histogram.scanned, edges, strict=False) if e >= threshold)
    about = f"scores; {counted(above, 'record')} in bins above the threshold {score(threshold)}"
    return frame.svg(about, parts)


def bar(part: float, css: str) -> str:
    """Return one bar that fills ``part`` (0 to 1) of its room."""
    filled = 200 * min(max(part, 0.0), 1.0)
    return (
        '<svg viewBox="0 0 200 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{css}" width="{filled:.1f}" height="10" rx="1.5"/></svg>'
    )


class _Frame:
    """Maps values to the pixels of one picture."""

    def __init__(self, width: int, height: int, x0: float, x1: float, top: float) -> None:
        self.width, self.height = width, height
        self.x0, self.x1, self.top = x0, x1 if x1 > x0 else x0 + 1, top or 1.0

    def x(self, value: float) -> float:
        part = (value - self.x0) / (self.x1 - self.x0)
        return _LEFT + (self.width - _LEFT - _RIGHT) * min(max(part, 0.0), 1.0)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * value / self.top

    def ticks_y(self) -> list[float]:
        n = 4 if self.top % 4 == 0 else 2 if self.top % 2 == 0 else 1
        return [self.top * k / n for k in range(n + 1)]

    def grid_y(self, labels: Sequence[str]) -> str:
        parts = []
        for k, label in enumerate(labels):
            y = self.y(self.top * k / max(len(labels) - 1, 1))
            right = self.width - _RIGHT
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
            if label:
                parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>')
        return "".join(parts)

    def label_x(self, value: float, label: str) -> str:
        place = self.x(value)
        css = "end" if place > self.width - 40 else "mid"
        place = self.width - _RIGHT if css == "end" else place
        return f'<text class="{css}" x="{place:.1f}" y="{self.height - 7}">{escape(label)}</text>'

    def svg(self, about: str, parts: Sequence[str]) -> str:
        label = escape(clean(about))
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{label}">'
            f"{''.join(parts)}</svg>"
        )


def _bar(frame: _Frame, counts: Counter[tuple[int, int]], i: int, step: float) -> str:
    left, right = frame.x(frame.x0 + i * step), frame.x(frame.x0 + (i + 1) * step)
    gap = min(2.0, (right - left) / 5)
    done, parts = 0, []
    for c in range(N_COLORS):
        n = counts[i, c]
        if n:
            y = frame.y(done + n)
            height = frame.y(done) - y
            done += n
            parts.append(
                f'<rect class="t{c}" x="{left + gap / 2:.1f}" y="{y:.1f}" '
                f'width="{right - left - gap:.1f}" height="{height:.1f}"/>'
            )
    if not parts:
        return ""
    title = f"{when(frame.x0 + i * step)} UTC: {counted(done, 'finding')}"
    return f"<g><title>{title}</title>{''.join(parts)}</g>"


def _step(least: float) -> float:
    """Return the first round number of seconds that is not below ``least``."""
    for step in _STEPS_S:
        if step >= least:
            return step
    return math.ceil(least / _DAY_S) * _DAY_S


def _nice_top(n: int) -> int:
    """Return a round axis end, at least n, that the ticks divide."""
    if n <= 12:
        return next(top for top in (1, 2, 4, 6, 8, 12) if top >= n)
    unit = int(10 ** (math.floor(math.log10(n)) - 1))
    return next(m * unit for m in (12, 16, 20, 24, 32, 40, 60, 80, 100) if m * unit >= n)


def _round_ticks(low: float, high: float) -> list[float]:
    """Return up to seven round numbers from low to high."""
    span = high - low
    if not 0 < span < math.inf:
        return [low]
    unit = 10.0 ** math.floor(math.log10(span / 6))
    step = next(m * unit for m in (1, 2, 5, 10, 20) if m * unit >= span / 6)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _ticks_x(frame: _Frame, start: float, span: float) -> str:
    step = _step(span / 9)
    first = math.ceil(start / step) * step
    form = "%H:%M:%S" if step < 60 else "%H:%M" if span < 2 * _DAY_S else "%b %d"
    form = "%Y-%m-%d" if span > 300 * _DAY_S else form
    ticks = [first + k * step for k in range(int((start + span - first) // step) + 1)]
    return "".join(
        frame.label_x(t, f"{datetime.fromtimestamp(t, UTC):{form}}") for t in ticks if moment(t)
    )


def _outline(frame: _Frame, edges: Sequence[float], heights: Sequence[float]) -> str:
    points = [f"M{frame.x(edges[0]):.1f} {frame.y(0):.1f}"]
    for left, right, height in zip(edges, edges[1:], heights, strict=False):
        y = frame.y(height)
        points.append(f"L{frame.x(left):.1f} {y:.1f}H{frame.x(right):.1f}")
    return "".join(points) + f"V{frame.y(0):.1f}Z"


def _threshold(frame: _Frame, threshold: float) -> str:
    if not frame.x0 <= threshold <= frame.x1:
        return ""
    x, y = frame.x(threshold), frame.y(0)
    css, dx = ("limit-text end", -6) if x > frame.width / 2 else ("limit-text", 6)
    return (
        f'<path class="limit" d="M{x:.1f} {_TOP - 16}V{y:.1f}"/>'
        f'<text class="{css}" x="{x + dx:.1f}" y="{_TOP - 8}">threshold {score(threshold)}</text>'
    )
