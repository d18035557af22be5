"""``inoculate scan``."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import typer

from inoculate.cli import terminal
from inoculate.errors import InputError
from inoculate.finding import Finding, Report
from inoculate.render._text import counted, skipped
from inoculate.render._verdicts import judged


def scan_command(
    sources: list[str] = terminal.SourcesArgument,
    detector: Path | None = typer.Option(
        None, "--detector", "-d", help="What to look for; without it, see above."
    ),
    false_alarms: float = terminal.RateOption,
    format: str = typer.Option(
        "table", "--format", "-f", help="table, jsonl, csv, ecs, html or sarif."
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="Write here, not to stdout."),
    exceptions: Path | None = terminal.ExceptionsOption,
    baseline: Path | None = typer.Option(
        None, "--baseline", help="Do not report the findings that this file holds."
    ),
    write_baseline: Path | None = typer.Option(
        None, "--write-baseline", help="Write all findings to a baseline file."
    ),
    fail_on: str | None = typer.Option(
        None,
        "--fail-on",
        metavar="never|any|RATE",
        help="When findings make the exit code 1; RATE: where one would alarm at that rate too. "
        "any, and never for a triage list.",
    ),
    triage: bool | None = typer.Option(
        None, "--triage/--no-triage", help="List what looks like a known weakness; for code only."
    ),
    most: int = typer.Option(20, "--most", min=1, help="Functions in a triage list."),
    suppress: bool = typer.Option(
        True,
        "--suppress/--no-suppress",
        help="Heed comments in code: inoculate: ignore[RULE] REASON.",
    ),
    input_format: str | None = terminal.FormatOption,
    skip_bad_records: bool = terminal.SkipOption,
    seed: int = terminal.SeedOption,
    quiet: bool = terminal.QuietOption,
) -> int:
    """Scan files for what a detector knows, or, without one, for what is new.

    Of code without a detector, list the functions that look most like a known weakness. That is
    triage: not calibrated on your code, no promise of false alarms. --no-triage for what is new.

    Exit code 0: no findings; 1: findings, see --fail-on; 2: something could not be read.
    """
    rate = _fail_rate(fail_on)
    renderer = terminal.renderer(format, output)
    from inoculate.workflows import triage as listing
    from inoculate.workflows.scan import ScanRequest, scan

    request = ScanRequest(
        sources=tuple(sources),
        detector=detector,
        false_alarms=false_alarms,
        format=input_format,
        skip_bad_records=skip_bad_records,
        seed=seed,
        exceptions=exceptions,
        baseline=baseline,
        write_baseline=write_baseline,
        fail_on=rate,
        suppress=suppress,
    )
    run = partial(scan, request)
    is_triage = listing.is_for(request, asked=triage)
    if is_triage:
        run = partial(listing.triage, request, most=most)
        if hasattr(renderer, "n_shown"):
            renderer.n_shown = most
    with terminal.output(output) as out, terminal.progress(quiet) as progress:
        out.write(renderer.begin())

        def write(findings: Sequence[Finding]) -> None:
            if findings:
                out.write(renderer.rows(findings))
                out.flush()

        outcome = run(sink=write, progress=progress)
        out.write(renderer.end(outcome.report))
    for error in outcome.errors:
        terminal.warn(error)
    if renderer.streams and not quiet:
        for line in _summary(outcome.report):
            terminal.warn(line)
    if outcome.interrupted:
        return 130
    if outcome.errors:
        return outcome.errors[0].exit_code
    fails = fail_on != "never" and not (is_triage and fail_on is None)
    return 1 if outcome.n_failing and fails else 0


def _fail_rate(text: str | None) -> float | None:
    if text in (None, "never", "any"):
        return None
    try:
        return float(text)
    except ValueError as err:
        raise InputError(f"--fail-on is {text!r}; expected never, any or a rate") from err


def _summary(report: Report) -> Iterator[str]:
    found = counted(report.n_findings, "finding")
    seen = counted(report.n_records, report.unit)
    if report.triage:
        yield f"{found} in {seen}"
    else:
        yield f"{found} in {seen} at a promised false-alarm rate of {report.false_alarms:.4g}"
    if report.n_excepted:
        yield f"{report.n_excepted:,} more were excepted"
    if report.n_silenced:
        yield f"{report.n_silenced:,} more were silenced by comments"
    if report.n_wholes:
        yield judged(report)
    yield from report.notes
    yield from skipped(report)
