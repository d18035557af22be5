"""``inoculate list``."""

import typer

from inoculate.errors import MissingExtraError
from inoculate.registry import AGENTS, DOMAINS, LEARNERS, RENDERERS, Registry


def list_command() -> int:
    """List the formats that can be read, the learners, priors and output formats."""
    _plugins("Input formats", DOMAINS)
    _plugins("Learners", LEARNERS)
    _plugins("Agents of fuzzing", AGENTS)
    _plugins("Output formats", RENDERERS)
    from inoculate.store.agent import shipped_agents
    from inoculate.store.artifact import shipped

    typer.echo("Shipped priors")
    for name in shipped():
        typer.echo(f"  {name:<16}inoculate show {name}")
    typer.echo("Shipped agents")
    for name in shipped_agents():
        typer.echo(f"  {name:<16}inoculate fuzz --agent {name}")
    return 0


def _plugins(title: str, registry: Registry) -> None:  # type: ignore[type-arg]
    typer.echo(title)
    for name in registry.names():
        try:
            about = (registry.load(name).__doc__ or "").splitlines()[0]
        except MissingExtraError as err:
            about = str(err)
        typer.echo(f"  {name:<16}{about}")
