"""``inoculate demo``."""

import time
from pathlib import Path

import typer

from inoculate.cli import terminal
from inoculate.cli.adapt import promise_lines
from inoculate.registry import RENDERERS


def demo_command(
    attack: str = typer.Option("slow_http", "--attack", help="The attack to learn and find."),
    shots: int = typer.Option(5, "--shots", min=1, help="Examples to adapt with."),
    seed: int = terminal.SeedOption,
    false_alarms: float = typer.Option(0.01, "--false-alarms", help="The promise to keep."),
    out: Path = typer.Option(Path(), "--output", "-o", help="Folder for what it writes."),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Run the main job on the bundled captures: from five flows to findings, with the truth."""
    start = time.perf_counter()
    from inoculate.workflows.demo import DemoRequest, demo

    request = DemoRequest(attack=attack, shots=shots, seed=seed, false_alarms=false_alarms, out=out)
    with terminal.progress(quiet, "flows") as progress:
        result = demo(request, progress=progress)
    typer.echo(f"Adapted on {shots} flows of {attack} that nothing here has seen before:")
    for name, text in promise_lines(result.adapted):
        typer.echo(f"  {name:<16}{text}")
    typer.echo("")
    typer.echo(RENDERERS.load("table")().end(result.scan))
    truth = result.scan.truth
    typer.echo(
        f"Truth: {truth['attack flows found']:.0f} of {truth['attack flows']:.0f} {attack} flows "
        f"found (recall {truth['recall']:.3f}); {truth['false alarms']:.0f} false alarms in "
        f"{truth['benign flows']:,.0f} benign flows ({100 * truth['false-alarm rate']:.2f} %, "
        f"promised {100 * result.scan.false_alarms:.3g} %); "
        f"{truth['flows of other attacks found']:.0f} flows of other attacks found too."
    )
    typer.echo(
        f"Speed: {result.adapted.seconds_adapt:.2f} s to adapt, "
        f"{truth['flows a second']:,.0f} flows a second from packets to findings, "
        f"{time.perf_counter() - start:.1f} s in all."
    )
    typer.echo("Wrote " + ", ".join(str(path) for path in result.written))
    return 0
