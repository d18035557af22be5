"""``inoculate rule``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from inoculate.cli import terminal

if TYPE_CHECKING:
    from inoculate.workflows.rule import RuleReport


def rule_command(
    detector: Path = typer.Argument(..., help="The detector, as adapt wrote it."),
    format: str = typer.Option(
        ..., "--format", "-f", help="semgrep, sigma, suricata, yara or json."
    ),
    examples: list[str] = typer.Option(
        [], "--examples", "-e", help="Other examples than those kept in the detector."
    ),
    background: list[str] = typer.Option(
        [], "--background", "-b", help="Other background than what was kept in the detector."
    ),
    contrary: list[str] = typer.Option(
        [], "--contrary", help="Records that the rule must not match, such as fixed code."
    ),
    pairs: list[str] = typer.Option(
        [], "--pairs", help="Code before and after its fix, as for adapt, in place of examples."
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="Write here, not to stdout."),
    threat: str | None = typer.Option(None, "--threat", help="Which of the detector's threats."),
    label: str | None = typer.Option(None, "--label", help="Column that names the class."),
    shots: int | None = typer.Option(None, "--shots", min=1, help="Draw this many examples."),
    false_alarms: float = typer.Option(
        0.001, "--false-alarms", help="Share of the background that the rule may match."
    ),
    seconds: float = typer.Option(
        10.0, "--seconds", min=0.1, max=600.0, help="Longest time of the search."
    ),
    input_format: str | None = terminal.FormatOption,
    skip_bad_records: bool = terminal.SkipOption,
    seed: int = terminal.SeedOption,
    quiet: bool = terminal.QuietOption,
) -> int:
    """Write what a detector learned as a rule that runs elsewhere, once its own tool agrees."""
    from inoculate.workflows.rule import make_rule
    from inoculate.workflows.rule_request import RuleRequest

    report = make_rule(
        RuleRequest(
            detector=detector,
            format=format,
            examples=tuple(examples),
            background=tuple(background),
            contrary=tuple(contrary),
            pairs=tuple(pairs),
            threat=threat,
            label=label,
            shots=shots,
            seed=seed,
            false_alarms=false_alarms,
            seconds=seconds,
            input_format=input_format,
            skip_bad_records=skip_bad_records,
        )
    )
    with terminal.output(output) as out:
        out.write(report.text)
    if not quiet:
        for line in report_lines(report):
            terminal.warn(line)
    return 0


def report_lines(report: "RuleReport") -> Iterator[str]:
    """Yield what was measured of a rule."""
    yield f"examples: {report.examples} of {report.examples} match"
    n, total = report.alarms
    share = f"{100 * n / total:.3g} %"
    seen = f"; of {report.unseen[1]:,} that the search did not see, {report.unseen[0]}" if (
        report.unseen
    ) else "; the search saw them all"  # fmt: skip
    yield f"background: {n} of {total:,} match ({share}){seen}"
    out = report.left_out
    if out.n:
        contrary = f", {out.wrong} of {out.n_contrary} contrary" if out.n_contrary else ""
        yield (
            f"left out: rules learned from the others match {out.found} of {out.n} "
            f"examples{contrary}"
        )
    if report.tool:
        yield f"validated and replayed with {report.tool}"
    else:
        yield "NOT replayed: the tool is not installed; checked by inoculate's own reading only"
    yield from report.notes
