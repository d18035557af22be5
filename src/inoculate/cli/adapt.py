"""``inoculate adapt``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from inoculate.cli import terminal
from inoculate.render._text import counted

Context = Literal["auto", "yes", "no"]

if TYPE_CHECKING:
    from inoculate.workflows.adapt import AdaptReport


def adapt_command(
    examples: list[str] = typer.Option([], "--examples", "-e", help="Records of the threat."),
    background: list[str] = typer.Option(
        [], "--background", "-b", help="Mostly benign records of your own."
    ),
    pairs: list[str] = typer.Option(
        [], "--pairs", help="Folder of NAME.vuln.EXT and NAME.fixed.EXT, or JSON Lines."
    ),
    git: str | None = typer.Option(None, "--git", help="Repository whose --commits fixed it."),
    commits: list[str] = typer.Option(
        [], "--commits", help="Revision that fixed it, or a file of them."
    ),
    marked: list[str] = typer.Option(
        [], "--marked", metavar="PATH:LINE", help="A vulnerable function, or a file of places."
    ),
    safe: list[str] = typer.Option(
        [], "--safe", metavar="PATH:LINE", help="A harmless one beside it; as --marked."
    ),
    crash: list[Path] = typer.Option(
        [], "--crash", help="Finding of fuzz, OUT/findings/1: its function is the example."
    ),
    out: Path = typer.Option(..., "--output", "-o", help="The detector to write."),
    threat: list[str] = typer.Option([], "--threat", help="Name of the threat, or label to take."),
    label: str | None = typer.Option(None, "--label", help="Column that names the class."),
    shots: int | None = typer.Option(None, "--shots", help="Draw this many examples of a class."),
    seed: int = terminal.SeedOption,
    learner: str | None = typer.Option(None, "--learner", help="See: inoculate list."),
    prior: str | None = typer.Option(None, "--prior", help="A shipped prior's name, or a path."),
    context: Context = typer.Option(
        "auto", "--context", help="Whether what an example's host did just before counts too."
    ),
    false_alarms: float = typer.Option(
        0.01, "--false-alarms", help="Rate that the promises below are made for."
    ),
    input_format: str | None = terminal.FormatOption,
    skip_bad_records: bool = terminal.SkipOption,
    records: bool = typer.Option(
        True,
        "--records/--no-records",
        help="Keep the examples and some background in the detector, as inoculate rule needs.",
    ),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Make a detector from a handful of examples and your own background."""
    from inoculate.workflows.adapt import AdaptRequest, adapt

    report = adapt(
        AdaptRequest(
            examples=tuple(examples),
            background=tuple(background),
            pairs=tuple(pairs),
            git=git,
            commits=tuple(commits),
            crashes=tuple(crash),
            marked=tuple(marked),
            safe=tuple(safe),
            out=out,
            threats=tuple(threat),
            label=label,
            shots=shots,
            seed=seed,
            learner=learner,
            prior=prior,
            context=context,
            false_alarms=false_alarms,
            format=input_format,
            skip_bad_records=skip_bad_records,
            keep_records=records,
        )
    )
    if not quiet:
        typer.echo(f"{out}: ready")
        for name, text in promise_lines(report):
            typer.echo(f"  {name:<16}{text}")
    return 0


def promise_lines(report: "AdaptReport") -> Iterator[tuple[str, str]]:
    """Yield what a new detector promises, as pairs of a short name and words."""
    manifest, promises = report.manifest, report.promises
    classes = ", ".join(f"{name} ({n})" for name, n in report.shots.items())
    used, seen = report.n_background
    unit = manifest.unit
    yield ("pairs" if report.n_pairs else "examples"), classes
    kept = "" if used == seen else f", {used:,} of them kept"
    yield "background", f"{seen:,} {unit}s{kept}"
    origin = f" (prior {manifest.prior.name})" if manifest.prior else ""
    yield "learner", f"{manifest.learner.name}{origin}, {report.seconds_adapt:.2f} s to adapt"
    yield "false alarms", f"at most {100 * promises.rate:.3g} % of benign {unit}s"
    if promises.note:
        yield "", promises.note
    if promises.left_out:
        yield (
            "left out",
            f"{promises.found} of {promises.left_out} examples found by the others at that rate",
        )
    else:
        yield "left out", "one example a threat: nothing to leave out, recall unknown"
    if promises.findings_a_day is not None:
        yield "expected", f"{promises.findings_a_day:,.1f} false alarms a day on this background"
    else:
        yield "expected", f"{1000 * promises.rate:.3g} false alarms in 1,000 {unit}s"
    for title, lines in (
        ("contradiction", promises.contradictions),
        ("lookalike", promises.lookalikes),
    ):
        for line in lines:
            yield title, line
    if promises.nearest and promises.nearest[1] > 0:
        name, share = promises.nearest
        yield "nearest known", f"{name} finds {100 * share:.0f} % of these examples"
    for line in report.notes:
        yield "note", line
    for problem, count in report.skipped.items():
        yield "skipped", f"{counted(count, unit)}: {problem}"
    for problem, count in report.left_out.items():
        yield "files", f"{counted(count, 'file')} left out: {problem}"
