"""``inoculate rollback``."""

from pathlib import Path

import typer

from inoculate.cli import terminal


def rollback_command(
    detector: Path = typer.Argument(..., help="A detector that was marked."),
    to: int | None = typer.Option(
        None, "--to", min=1, help="Number of the version; by default the one before."
    ),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Put an earlier version of a detector in force again; every version is kept."""
    from inoculate.workflows.rollback import rollback

    report = rollback(detector, to)
    if not quiet:
        have = ", ".join(map(str, report.versions))
        typer.echo(f"{detector}: version {report.version} again, was {report.before}; have {have}")
        for title, labels in (("dropped", report.dropped), ("regained", report.regained)):
            for label in labels:
                typer.echo(
                    terminal.plain(
                        f"  {title:<16}{label.origin} as {label.threat or 'benign'}, "
                        f"{label.author}, {label.time}"
                    )
                )
    return 0
