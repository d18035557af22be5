"""``inoculate bench``."""

from enum import StrEnum
from pathlib import Path

import typer

from inoculate.cli import terminal
from inoculate.errors import InputError


class Size(StrEnum):
    """How much is measured."""

    SMOKE = "smoke"
    FULL = "full"


def bench_command(
    file: str | None = typer.Argument(
        None, help="Your own labelled table; without one, the scenarios of the plan."
    ),
    size: Size = typer.Option(Size.SMOKE, "--size", help="Seconds, or all of it."),
    learners: str | None = typer.Option(
        None, "--learners", help="Names with commas; all learners and priors by default."
    ),
    priors: list[str] = typer.Option(
        [], "--prior", metavar="NAME=PATH", help="One more prior, under a name. Repeatable."
    ),
    label: str | None = typer.Option(None, "--label", help="Column of FILE with the class."),
    benign: list[str] = typer.Option([], "--benign", help="Class that is no threat. Repeatable."),
    input_format: str | None = terminal.FormatOption,
    only: list[str] = typer.Option(
        [], "--only", help="Dataset, or pattern of scenario ids such as '*/detect/5'. Repeatable."
    ),
    draws: int | None = typer.Option(None, "--draws", min=1, help="Support draws a class."),
    data: Path | None = typer.Option(None, "--data", help="Folder of the plan's datasets."),
    out: Path = typer.Option(
        Path("benchmark"), "--output", "-o", help="Folder of report and results; goes on there."
    ),
    classes: int | None = typer.Option(None, "--classes", min=1, help="Most a scenario."),
    seed: int | None = typer.Option(None, "--seed", min=0, max=2**63 - 1, help="Of all draws."),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Measure learners and priors on threats they have not seen, and say who loses."""
    from inoculate.workflows.bench import Request, bench

    request = Request(
        output=out,
        file=file,
        label=label,
        benign=tuple(benign),
        input_format=input_format,
        full=size is Size.FULL,
        learners=tuple(n.strip() for n in (learners or "").split(",") if n.strip()),
        priors=dict(_named(p) for p in priors),
        only=tuple(only),
        draws=draws,
        classes=classes,
        seed=seed,
        folder=data,
    )
    with terminal.progress(quiet, "results") as show:
        n = 0

        def on_result(_: object) -> None:
            nonlocal n
            n += 1
            show(n)

        outcome = bench(request, on_result=on_result)
    for table in outcome.tables:
        ranked = (f"{r.learner} {r.figures[table.headline].mean:.3f}" for r in table.rows)
        typer.echo(f"{table.group} {table.headline}: {', '.join(ranked)}")
    for line in outcome.notes if not quiet else ():
        terminal.warn(line)
    for line in outcome.regressions:
        terminal.warn(f"worse than its committed figure: {line}")
    typer.echo(f"{out}: report.md, report.html, report.json")
    return 1 if outcome.regressions else 0


def _named(text: str) -> tuple[str, Path]:
    """Return name and path of ``NAME=PATH``.

    Raises:
        InputError: it is not of that form.
    """
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise InputError(f"--prior {text!r}: expected NAME=PATH")
    return name, Path(path)
