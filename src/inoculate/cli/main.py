"""The command ``inoculate``: one subcommand a workflow, one line an expected error."""

import os
import sys
import traceback

import typer
from typer.exceptions import TyperException

from inoculate.cli import (
    adapt,
    bench,
    demo,
    fuzz,
    listing,
    mark,
    rollback,
    rule,
    scan,
    show,
    terminal,
    train,
    watch,
)
from inoculate.errors import InoculateError

app = typer.Typer(
    name="inoculate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From a handful of examples of a new threat to a detector that keeps its promise.",
    epilog="Exit codes: 0 no findings, 1 findings, 2 bad usage or input, 3 internal error, "
    "4 not found, 5 missing package, 6 not permitted, "
    "7 label refused, 130 stopped by Ctrl-C.",
)
app.command("adapt")(adapt.adapt_command)
app.command("scan")(scan.scan_command)
app.command("watch")(watch.watch_command)
app.command("mark")(mark.mark_command)
app.command("rollback")(rollback.rollback_command)
app.command("rule")(rule.rule_command)
app.add_typer(fuzz.app)
app.command("show")(show.show_command)
app.command("demo")(demo.demo_command)
app.command("train")(train.train_command)
app.command("bench")(bench.bench_command)
app.command("list")(listing.list_command)


def version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        from inoculate import __version__

        typer.echo(f"inoculate {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version."
    ),
) -> None:
    """From a handful of examples of a new threat to a detector that keeps its promise."""


def main() -> None:
    """Run; an expected error is one line on standard error and its own exit code."""
    try:
        result = app(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except TyperException as err:
        show_usage = getattr(err, "show", None)
        if show_usage is not None:
            show_usage()
        sys.exit(err.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # the reader of our output went away: nobody is left to tell
        _drop_output()
        sys.exit(1)
    except InoculateError as err:
        terminal.warn(err)
        sys.exit(err.exit_code)
    except OSError as err:
        _drop_output()
        terminal.warn(InoculateError(f"{err.filename or 'output'}: {err.strerror or err}"))
        sys.exit(InoculateError.exit_code)
    except Exception:
        traceback.print_exc()  # Python's own exit code would say that there are findings
        sys.exit(InoculateError.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def _drop_output() -> None:
    """Send what is still buffered nowhere, or leaving would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
