"""Which agent fuzzes."""

from inoculate.agent import Agent
from inoculate.errors import InputError
from inoculate.registry import AGENTS

_PLAIN = "uniform"


def default_agent() -> tuple[str, Agent]:
    """Return the agent that fuzzes when none was named, and its name."""
    return _PLAIN, AGENTS.load(_PLAIN)()


def agent_named(name: str | None) -> tuple[str, Agent]:
    """Return an agent and its name; None is for the default.

    Raises:
        NotFoundError: there is no such agent.
        InputError: it needs meta-training, and no prior of it is shipped.
    """
    if name is None:
        return default_agent()
    usual, agent = default_agent()
    if name == usual:
        return name, agent
    kind = AGENTS.load(name)
    if kind.meta_trained:
        raise InputError(f"--agent {name} is meta-trained, and no prior of it is shipped")
    return name, kind()
