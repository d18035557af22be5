"""Use case: what an artifact says of itself, after checking that it is whole."""

from pathlib import Path

from inoculate.store.artifact import load, open_prior
from inoculate.store.manifest import Manifest


def show(name_or_path: str | Path) -> Manifest:
    """Return the manifest of an artifact on disk, or of a shipped prior by its name.

    Raises:
        ArtifactError: damaged, foreign or of an unknown version.
        NotFoundError: there is neither such a path nor such a prior.
    """
    artifact = load(name_or_path) if isinstance(name_or_path, Path) else open_prior(name_or_path)
    return artifact.manifest
