"""Which agent fuzzes."""

from inoculate.agent import Agent
from inoculate.errors import InputError, TaskError
from inoculate.fuzzing.history import SPACE
from inoculate.store.agent import load_agent, usual_agent


def default_agent() -> tuple[str, Agent]:
    """Return the agent that fuzzes when none was named, and its name."""
    name = usual_agent()
    return name, load_agent(name)


def agent_named(name: str | None) -> tuple[str, Agent]:
    """Return an agent and its name: a shipped one, any by path, or one that needs no training.

    Args:
        name: None for the default.

    Raises:
        NotFoundError: there is no such agent.
        ArtifactError: what is there is damaged, or no agent.
        InputError: it needs meta-training and had none, or other observations than these.
    """
    if name is None:
        return default_agent()
    agent = load_agent(name)
    try:
        agent.adapt(SPACE, seed=0)
    except TaskError as err:
        raise InputError(f"--agent {name}: {err}") from err
    return name, agent
