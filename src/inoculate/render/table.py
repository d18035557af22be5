"""A table for the terminal: the strongest findings, each with its reasons in words."""

import io
import os
import shutil
import sys
from collections.abc import Iterable
from typing import ClassVar

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from inoculate.finding import Finding, Renderer, Report
from inoculate.render._text import (
    clean,
    counted,
    families,
    figure,
    found,
    looked_for,
    place,
    promise,
    score,
    skipped,
    speed,
    strongest,
    weight,
    weight_name,
    when,
    who,
    whole,
)
from inoculate.render._verdicts import judged, told

_STYLES = ("red", "cyan", "magenta", "yellow", "green", "blue")
_MAX_LINES = 20


class Table(Renderer):
    """Text for people, written by ``end``; at its best from 80 columns on.

    Args:
        n_shown: findings shown, the strongest first.
        n_reasons: reasons shown of each.
        width: columns; None asks the terminal (80 where there is none).
        color: None uses colour on a terminal, unless NO_COLOR is set or TERM is dumb. Give
            False where the text goes to a file.
    """

    suffix: ClassVar[str] = ".txt"

    def __init__(
        self,
        *,
        n_shown: int = 20,
        n_reasons: int = 3,
        width: int | None = None,
        color: bool | None = None,
    ) -> None:
        self.n_shown = n_shown
        self.n_reasons = n_reasons
        self.width = width
        self.color = color

    def end(self, report: Report) -> str:
        """Return the whole table."""
        out = io.StringIO()
        color = _wants_color() if self.color is None else self.color
        console = Console(
            file=out,
            width=self.width or min(max(shutil.get_terminal_size((80, 24)).columns, 60), 160),
            force_terminal=color,
            color_system="standard" if color else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        for part in self._parts(report):
            console.print(part)
        # Rich pads cells with blanks; in a file or a mail they are only in the way
        return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").split("\n")) + "\n"

    def _parts(self, report: Report) -> Iterable[RenderableType]:
        yield from _head(report)
        yield from self._families(report)
        yield from _verdicts(report)
        shown = strongest(report.findings, self.n_shown)
        if shown:
            yield self._grid(report, shown)
            yield from _more(report, len(shown))
        yield from _foot(report)

    def _families(self, report: Report) -> Iterable[RenderableType]:
        ranked = families(report)
        if not ranked:
            return
        grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        for justify in ("left", "right", "left"):
            grid.add_column(justify=justify)
        for family in ranked[:_MAX_LINES]:
            found = Text(counted(family.n_findings, "finding"))
            files = f"in {counted(family.n_files, 'file')}" if report.n_files > 1 else ""
            name = Text(f"  {clean(family.threat, 40)}", style=_style(report, family.threat))
            grid.add_row(name, found, Text(files))
        yield grid
        if len(ranked) > _MAX_LINES:
            yield Text(f"  and {counted(len(ranked) - _MAX_LINES, 'threat')} more")

    def _grid(self, report: Report, shown: list[Finding]) -> Grid:
        width = min(max(len("threat"), *(len(clean(f.threat, 24)) for f in shown)), 24)
        title = _line(
            Text("threat"), width, Text(clean(report.unit, 40)), Text(weight_name(report))
        )
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
        grid.add_column("#", justify="right", style="dim", no_wrap=True)
        grid.add_column(title, ratio=1)
        for i, finding in enumerate(shown, 1):
            threat = Text(clean(finding.threat, 24), style=_style(report, finding.threat))
            ranked = Text(weight(finding, report))
            grid.add_row(str(i), Group(*self._cell(finding, threat, width, ranked)))
        return grid

    def _cell(
        self, finding: Finding, threat: Text, width: int, ranked: Text
    ) -> Iterable[RenderableType]:
        name, origin = who(finding.record), place(whole(finding), 50)
        yield _line(threat, width, Text(name or origin, style="bold"), ranked)
        below = "  ".join(b for b in (when(finding.ts), origin if name else "") if b)
        if below:
            yield Text(below, style="dim")
        reasons = Grid.grid(padding=(0, 1, 0, 0))
        for reason in finding.reasons[: self.n_reasons]:
            reasons.add_row("·", Text(clean(reason.text)))
        if finding.reasons:
            yield reasons


def _style(report: Report, threat: str) -> str:
    index = report.threats.index(threat) if threat in report.threats else 0
    return f"bold {_STYLES[index % len(_STYLES)]}"


def _line(threat: Text, width: int, name: Text, p: Text) -> Grid:
    line = Grid.grid(padding=(0, 2, 0, 0), expand=True)
    line.add_column(width=width, overflow="fold")
    line.add_column(ratio=1, overflow="fold")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(threat, name, p)
    return line


def _head(report: Report) -> Iterable[Text]:
    yield Text.assemble(
        (clean(report.detector, 120), "bold"), " looks for ", (looked_for(report), "bold")
    )
    for name, n in report.sources[:_MAX_LINES]:
        yield Text(f"  {clean(name, 160)}: {counted(n, report.unit)}")
    if len(report.sources) > _MAX_LINES:
        yield Text(f"  and {counted(len(report.sources) - _MAX_LINES, 'source')} more")
    if report.observed:
        yield Text(f"ran {speed(report)}")
    elif report.triage:
        yield Text(f"looked at {speed(report)}")
    else:
        yield Text(f"scanned {speed(report)}; the threshold is {score(report.threshold)}")
    style = "bold red" if report.n_findings else "bold green"
    yield Text.assemble((found(report), style), f"; {promise(report)}")


def _verdicts(report: Report) -> Iterable[Text]:
    if not report.n_wholes:
        return
    yield Text(judged(report), style="bold red" if report.verdicts else "bold green")
    for verdict in report.verdicts[:_MAX_LINES]:
        yield Text(f"  {told(verdict)}")
    if len(report.verdicts) > _MAX_LINES:
        yield Text(f"  and {len(report.verdicts) - _MAX_LINES} more")


def _more(report: Report, n_shown: int) -> Iterable[Text]:
    left = report.n_findings - n_shown
    if left > 0:
        yield Text(
            f"{counted(left, 'weaker finding')} not shown; --format jsonl or html has more",
            style="dim",
        )


def _foot(report: Report) -> Iterable[Text]:
    if report.truth:
        yield Text()
        yield Text("against the ground truth", style="bold")
        for name, value in report.truth.items():
            yield Text(f"  {clean(name, 60).replace('_', ' ')}: {figure(name, value)}")
    lines = [*skipped(report), *(clean(note, 1000) for note in report.notes)]
    if lines:
        yield Text()
    for line in lines[:_MAX_LINES]:
        yield Text(f"note: {line}", style="yellow")
    if len(lines) > _MAX_LINES:
        yield Text(f"note: and {len(lines) - _MAX_LINES} more", style="yellow")


def _wants_color() -> bool:
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
