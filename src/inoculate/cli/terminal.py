"""What commands share at the terminal: errors, progress, the place results go to."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from inoculate.errors import InoculateError, InputError, PrivilegeError
from inoculate.finding import Renderer
from inoculate.registry import RENDERERS

SourcesArgument = typer.Argument(
    ..., metavar="SOURCE...", help="Files to read, or - for standard input."
)
FormatOption = typer.Option(
    None, "--input-format", help="How to read sources; told from the bytes by default."
)
SkipOption = typer.Option(
    False, "--skip-bad-records", help="Count and skip bad records instead of stopping."
)
QuietOption = typer.Option(
    False, "--quiet", "-q", help="Errors only: no progress, summary or notes."
)
SeedOption = typer.Option(
    0, "--seed", min=0, max=2**63 - 1, help="Draws whatever is drawn at random."
)
ExceptionsOption = typer.Option(
    None, "--exceptions", help="File of what shall not be reported: who, why, until when."
)
RateOption = typer.Option(
    0.001, "--false-alarms", help="Share of benign records that may alarm, between 0 and 1."
)


def plain(text: str) -> str:
    """Return text in one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def warn(err: InoculateError | str) -> None:
    """Print one line on standard error, without control characters."""
    line = plain(" ".join(str(err).split()))
    prefix = "error: " if isinstance(err, InoculateError) else ""
    typer.echo(f"inoculate: {prefix}{line}", err=True)


def renderer(name: str, output: Path | None) -> Renderer:
    """Return the renderer of a format; no colours where the output is a file.

    Raises:
        NotFoundError: no such format.
    """
    made = RENDERERS.load(name)
    if output is not None and "color" in inspect.signature(made).parameters:
        return made(color=False)  # type: ignore[call-arg]
    return made()


@contextmanager
def progress(quiet: bool, unit: str = "records") -> Iterator[Callable[[int], None]]:
    """Show a running count on standard error when it is a terminal; nothing otherwise."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading")
        yield lambda n: bar.update(task, description=f"{n:,} {unit}")


@contextmanager
def output(path: Path | None) -> Iterator[TextIO]:
    """Open the place results go to: a file, or standard output.

    Raises:
        PrivilegeError, InputError: the file cannot be written.
    """
    if path is None:
        if sys.stdout is None:
            raise InputError("standard output is closed")
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except PermissionError as err:
        raise PrivilegeError(f"{path}: no permission to write") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be written: {err.strerror}") from err
    with file:
        yield file
