"""``inoculate watch``."""

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from inoculate.cli import terminal
from inoculate.errors import InputError
from inoculate.finding import Finding
from inoculate.render._text import counted, skipped


def watch_command(
    logs: list[str] = typer.Argument(None, metavar="[LOG]...", help="Logs to follow."),
    detector: Path = typer.Option(..., "--detector", "-d", help="What to look for."),
    interface: str | None = typer.Option(None, "--interface", help="Read packets from here."),
    false_alarms: float = terminal.RateOption,
    format: str = typer.Option("jsonl", "--format", "-f", help="jsonl, csv or ecs."),
    output: Path | None = typer.Option(None, "--output", "-o", help="Write here, not to stdout."),
    positions: Path | None = typer.Option(
        None, "--positions", help="Folder that remembers how far each log was read."
    ),
    drop_to: str | None = typer.Option(
        None, "--drop-to", help="User to become after opening the interface (default: nobody)."
    ),
    exceptions: Path | None = terminal.ExceptionsOption,
    input_format: str | None = terminal.FormatOption,
    skip_bad_records: bool = typer.Option(
        True, "--skip-bad-records/--stop-at-bad-records", help="Count bad records and go on."
    ),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Follow logs through rotation, or an interface, and print findings as they come.

    Ends on Ctrl-C or SIGTERM with what was found so far.
    """
    renderer = terminal.renderer(format, output)
    if not renderer.streams:
        raise InputError(f"--format {format} cannot be written as findings come; take jsonl")
    from inoculate.workflows.watch import WatchRequest, watch

    request = WatchRequest(
        logs=tuple(logs or ()),
        interface=interface,
        detector=detector,
        false_alarms=false_alarms,
        format=input_format,
        skip_bad_records=skip_bad_records,
        positions=positions,
        drop_to=drop_to or ("nobody" if interface else None),
        exceptions=exceptions,
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with terminal.output(output) as out:
        out.write(renderer.begin())
        out.flush()

        def write(findings: Sequence[Finding]) -> None:
            try:
                out.write(renderer.rows(findings))
                out.flush()
            except BrokenPipeError:
                stopping.set()

        watched = watch(request, sink=write, stop=stopping.is_set, status=terminal.warn)
        out.write(renderer.end(watched.report))
    if not quiet:
        _say(watched)
    if watched.errors:
        return watched.errors[0].exit_code
    return 1 if watched.report.n_findings else 0


def _say(watched: Any) -> None:
    report = watched.report
    found = counted(report.n_findings, "finding")
    terminal.warn(f"{found} in {counted(report.n_records, report.unit)}")
    if report.n_excepted:
        terminal.warn(f"{report.n_excepted:,} more were excepted")
    for line in report.notes:
        terminal.warn(line)
    for line in skipped(report):
        terminal.warn(line)
    for name, count in watched.lost.items():
        terminal.warn(f"{name}: the kernel dropped {count:,} packets")
