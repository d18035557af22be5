"""``inoculate mark``."""

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from inoculate.cli import terminal
from inoculate.errors import InputError

if TYPE_CHECKING:
    from inoculate.workflows.mark import MarkReport

Said = Literal["threat", "benign"]


def mark_command(
    findings: list[str] = typer.Argument(
        ..., metavar="FINDING...", help="Ids of findings; or origins, of records that were missed."
    ),
    label: Said = typer.Option(..., "--as", help="What they are."),
    detector: Path = typer.Option(..., "--detector", "-d", help="What found them."),
    source: list[str] = typer.Option(
        [], "--source", "-s", help="Where they are, named as in the scan; several times."
    ),
    report: Path | None = typer.Option(
        None, "--report", help="The scan's findings as jsonl: tells where they are."
    ),
    reason: str = typer.Option("", "--reason", help="Why, in words."),
    author: str | None = typer.Option(None, "--author", help="Who says so; by default the user."),
    threat: str | None = typer.Option(
        None, "--threat", help="Name of the threat; by default the one it was found as."
    ),
    false_alarms: float = terminal.RateOption,
    input_format: str | None = terminal.FormatOption,
    skip_bad_records: bool = terminal.SkipOption,
    quiet: bool = terminal.QuietOption,
) -> int:
    """Say what findings are; the detector adapts again, and what else changes is told.

    Exit code 7: refused, because it contradicts other labels or would cost the detector some of
    its own examples. The detector then stays as it was. Undo with: inoculate rollback.
    """
    from inoculate.workflows.mark import MarkRequest, mark

    done = mark(
        MarkRequest(
            findings=tuple(findings),
            label=label,
            detector=detector,
            sources=tuple(source),
            report=report,
            author=author or _user(),
            reason=reason,
            threat=threat,
            false_alarms=false_alarms,
            format=input_format,
            skip_bad_records=skip_bad_records,
        )
    )
    if not quiet:
        version = f"version {done.version}" if done.version else "as it was"
        typer.echo(f"{detector}: {version}")
        for name, text in lines(done):
            typer.echo(terminal.plain(f"  {name:<16}{text}"))
    return 0


def lines(report: "MarkReport") -> Iterator[tuple[str, str]]:
    """Yield what a label changed, as pairs of a short name and words."""
    change = report.change
    for label in report.labels:
        yield "marked", f"{label.origin} as {label.threat or 'benign'}, {label.author}"
    if report.labels:
        copies = report.labels[0].copies
        if report.labels[0].label == "benign":
            yield "weighs", f"{copies:,} among {report.n_background:,} {report.unit}s of background"
        yield "adapted", f"in {report.seconds_adapt:.2f} s"
        yield "findings", f"{change.before:,} before, {change.after:,} now in these sources"
        yield "otherwise", f"{change.n_gone:,} other findings go, {change.n_new:,} appear"
    for title, findings in (("goes", change.gone), ("appears", change.new)):
        for finding in findings:
            yield title, f"{finding.origin} {finding.finding_id}"
    for note in report.notes:
        yield "note", note


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as err:
        raise InputError("no user name here: give --author NAME") from err
