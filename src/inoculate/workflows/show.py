"""Use case: what an artifact says of itself, after checking that it is whole."""

from pathlib import Path

from inoculate.store.artifact import load, open_prior
from inoculate.store.manifest import RECORDS_FILE, Manifest
from inoculate.store.records import count_roles
from inoculate.workflows.keeping import kept_records, told


def show(name_or_path: str | Path) -> Manifest:
    """Return the manifest of an artifact on disk, or of a shipped prior by its name.

    Raises:
        ArtifactError: damaged, foreign or of an unknown version.
        NotFoundError: there is neither such a path nor such a prior.
    """
    artifact = load(name_or_path) if isinstance(name_or_path, Path) else open_prior(name_or_path)
    return artifact.manifest


def kept(path: Path) -> str:
    """Return what records a detector keeps, and in how many bytes, in words; "" for none.

    Raises:
        ArtifactError: damaged, or no artifact.
    """
    artifact = load(path, beside=(RECORDS_FILE,))
    records = kept_records(artifact)
    size_kb = len(artifact.beside.get(RECORDS_FILE, b"")) / 1000
    return f"{told(count_roles(records))} ({size_kb:,.0f} kB)" if records else ""
