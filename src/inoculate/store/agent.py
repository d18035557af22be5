"""Agents of fuzzing on disk: what meta-training left, as an artifact like any prior."""

from importlib import resources
from pathlib import Path

from inoculate.agent import Agent
from inoculate.errors import ArtifactError, NotFoundError
from inoculate.registry import AGENTS
from inoculate.store.artifact import MANIFEST_FILE, Artifact, load, save
from inoculate.store.detector import check_hyperparameters
from inoculate.store.manifest import Manifest


def shipped_agents() -> dict[str, Path]:
    """Return the trained agents inside the package, by name."""
    folder = Path(str(resources.files("inoculate.store"))) / "agents"
    return {p.parent.name: p.parent for p in sorted(folder.glob(f"*/{MANIFEST_FILE}"))}


def usual_agent() -> str:
    """Return the name of the agent to take when nothing is asked for.

    A shipped one that says so (docs/decisions/0010), else the bandit that learns each program
    from nothing.
    """
    found = [name for name, path in shipped_agents().items() if load(path).manifest.usual]
    return found[0] if found else "ucb_bandit"


def load_agent(name_or_path: str | Path) -> Agent:
    """Return an agent: a shipped one by name, any by path, else one that needs no training.

    Raises:
        NotFoundError: there is no agent of that name.
        ArtifactError: it is damaged, or is no agent.
    """
    have = shipped_agents()
    path = have.get(str(name_or_path), Path(name_or_path))
    if not path.exists():
        return AGENTS.load(str(name_or_path))()
    artifact = load(path)
    if artifact.manifest.artifact != "agent":
        raise ArtifactError(f"{path}: a {artifact.manifest.artifact}, expected an agent")
    return _built(artifact)


def save_agent(path: Path, manifest: Manifest, agent: Agent, *, overwrite: bool = True) -> None:
    """Write an agent's state.

    Raises:
        InputError: see ``store.artifact.save``.
    """
    arrays = {f"agent/{name}": array for name, array in agent.state().items()}
    save(path, manifest, arrays, overwrite=overwrite)


def _built(artifact: Artifact) -> Agent:
    entry = artifact.manifest.learner
    try:
        cls = AGENTS.load(entry.name)
        check_hyperparameters(cls().hyperparameters(), entry.hyperparameters, frozenset())
        return cls(**entry.hyperparameters).load_state(artifact.group("agent"))
    except (NotFoundError, ArtifactError) as err:
        raise ArtifactError(f"{artifact.path}: {entry.name}: {err}") from err
    except (TypeError, ValueError) as err:
        raise ArtifactError(
            f"{artifact.path}: agent {entry.name} refuses its hyperparameters: {str(err)[:200]}"
        ) from err
