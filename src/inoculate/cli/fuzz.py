"""``inoculate fuzz``."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from inoculate.cli import terminal
from inoculate.render._text import counted

if TYPE_CHECKING:
    from inoculate.workflows.fuzz import Fuzzed

Form = Literal["auto", "bytes", "text"]

app = typer.Typer(
    name="fuzz",
    invoke_without_command=True,
    help="Fuzz a program or a Python function; what ends badly is replayed, made small and told.",
)
_ReportFormat = typer.Option(
    "table", "--format", "-f", help="table, jsonl, csv, ecs, html or sarif."
)
_Folder = typer.Argument(..., metavar="OUT", help="Folder of the run.")


@app.callback()
def fuzz_command(
    context: typer.Context,
    target: Path | None = typer.Option(None, "--target", help="Program, built for AFL++."),
    input_file: str | None = typer.Option(
        None, "--input-file", help="Its last argument; @@ is the file. Without: standard input."
    ),
    argument: list[str] = typer.Option([], "--argument", help="An argument before that."),
    python: str | None = typer.Option(None, "--python", help="MODULE.FUNCTION of one argument."),
    seeds: list[Path] = typer.Option([], "--seeds", help="First inputs: files or folders."),
    time: str = typer.Option("10m", "--time", help="How long, such as 30s, 10m or 2h."),
    out: Path = typer.Option(Path("fuzz-out"), "--output", "-o", help="Folder of the run."),
    agent: str | None = typer.Option(None, "--agent", help="What chooses mutations."),
    dictionary: Path | None = typer.Option(None, "--dictionary", help="Tokens, as AFL has them."),
    memory: str = typer.Option("512M", "--memory", help="Of each execution."),
    timeout: str = typer.Option("1s", "--timeout", help="Of each execution; longer is a hang."),
    executions: int | None = typer.Option(None, "--executions", min=1, help="End after so many."),
    replay_with: Path | None = typer.Option(
        None, "--replay-with", help="The same program with a sanitizer, to replay crashes on."
    ),
    expect: list[str] = typer.Option([], "--expect", help="An exception that is no finding."),
    input: Form = typer.Option("auto", "--input", help="What the function is called with."),
    format: str = _ReportFormat,
    seed: int = terminal.SeedOption,
    quiet: bool = terminal.QuietOption,
) -> int | None:
    """Fuzz a program or a Python function; what ends badly is replayed, made small and told.

    Exit code 0: nothing found; 1: findings. Ctrl-C ends it with the report.
    """
    if context.invoked_subcommand is not None:
        return None
    from inoculate.workflows.fuzz import fuzz
    from inoculate.workflows.fuzz_request import FuzzRequest, bytes_of, seconds_of

    request = FuzzRequest(
        out=out,
        target=target,
        python=python,
        arguments=(*argument, *([input_file] if input_file is not None else [])),
        seeds=tuple(seeds),
        seconds=seconds_of(time, "--time"),
        executions=executions,
        agent=agent,
        dictionary=dictionary,
        memory_bytes=bytes_of(memory, "--memory"),
        timeout_s=seconds_of(timeout, "--timeout"),
        replay_with=replay_with,
        expected=tuple(expect),
        form=input,
        path=(str(Path.cwd()),) if python else (),
        seed=seed,
    )
    terminal.renderer(format, None)
    with _stoppable() as stopping:
        fuzzed = fuzz(request, stop=stopping.is_set, status=_status(quiet))
    return _ended(fuzzed, format, quiet)


@app.command("resume")
def resume_command(
    out: Path = _Folder,
    time: str | None = typer.Option(None, "--time", help="In all, what was spent counted."),
    format: str = _ReportFormat,
    quiet: bool = terminal.QuietOption,
) -> int:
    """Go on with a run, however it ended."""
    from inoculate.workflows.fuzz import resume
    from inoculate.workflows.fuzz_request import seconds_of

    seconds = seconds_of(time, "--time") if time is not None else None
    terminal.renderer(format, None)
    with _stoppable() as stopping:
        fuzzed = resume(out, seconds=seconds, stop=stopping.is_set, status=_status(quiet))
    return _ended(fuzzed, format, quiet)


@app.command("report")
def report_command(
    out: Path = _Folder,
    format: str = _ReportFormat,
    output: Path | None = typer.Option(None, "--output", "-o", help="Write here, not to stdout."),
) -> int:
    """Tell what a run found so far."""
    return _report(out, format, output)


def _report(out: Path, format: str, output: Path | None) -> int:
    from inoculate.workflows.fuzz_report import report_of

    renderer = terminal.renderer(format, output)
    report = report_of(out)
    with terminal.output(output) as stream:
        stream.write(renderer.begin())
        stream.write(renderer.rows(report.findings))
        stream.write(renderer.end(report))
    return 1 if report.n_findings else 0


def _ended(fuzzed: "Fuzzed", format: str, quiet: bool) -> int:
    if not quiet:
        rate = fuzzed.executions / fuzzed.seconds if fuzzed.seconds else 0.0
        terminal.warn(
            f"{counted(fuzzed.executions, 'input')} in {fuzzed.seconds:,.0f} s ({rate:,.0f} a "
            f"second), {fuzzed.corpus:,} kept; all of it in {fuzzed.out}"
        )
    return _report(fuzzed.out, format, None)


def _status(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else terminal.warn


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM end the run cleanly, as long as it runs."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {n: signal.signal(n, lambda *_: stopping.set()) for n in _SIGNALS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
