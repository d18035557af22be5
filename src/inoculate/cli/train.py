"""``inoculate train``."""

from pathlib import Path

import typer

from inoculate.cli import terminal


def train_command(
    recipe: Path = typer.Argument(..., help="A recipe, such as recipes/flows.toml."),
    out: Path = typer.Option(..., "--output", "-o", help="The prior to write."),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Meta-train a prior by a recipe; the same recipe gives the same prior."""
    from inoculate.workflows.train import train

    manifest = train(recipe, out)
    if not quiet:
        typer.echo(f"{out}: ready")
        for figure in manifest.measured:
            typer.echo(f"  {figure.metric} {figure.value:.3f} on {figure.data}")
    return 0
