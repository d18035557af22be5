"""``inoculate train``."""

from pathlib import Path

import typer

from inoculate.cli import terminal


def train_command(
    recipe: Path = typer.Argument(..., help="A recipe, such as recipes/flows.toml."),
    out: Path = typer.Option(..., "--output", "-o", help="The prior or agent to write."),
    quiet: bool = terminal.QuietOption,
) -> int:
    """Meta-train a prior, or an agent of fuzzing, by a recipe; the same recipe gives the same."""
    from inoculate.workflows.train import train
    from inoculate.workflows.train_agent import is_agent_recipe, train_agent

    manifest = train_agent(recipe, out).manifest if is_agent_recipe(recipe) else train(recipe, out)
    if not quiet:
        typer.echo(f"{out}: ready")
        for figure in manifest.measured:
            typer.echo(f"  {figure.metric} {figure.value:.3f} on {figure.data}")
    return 0
