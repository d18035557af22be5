"""Use case: put an earlier version of a detector in force again."""

from dataclasses import dataclass
from pathlib import Path

from inoculate.errors import InputError
from inoculate.store.artifact import load
from inoculate.store.labels import Label, read_labels
from inoculate.store.manifest import LABELS_FILE
from inoculate.store.versions import open_version, restore, version_numbers


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What is in force now.

    Attributes:
        version: the version in force, and before: the one that was.
        versions: all that are kept.
        dropped: labels that do not count any more.
        regained: labels that count again.
    """

    version: int
    before: int
    versions: tuple[int, ...]
    dropped: tuple[Label, ...]
    regained: tuple[Label, ...]


def rollback(detector: Path, to: int | None = None) -> RollbackReport:
    """Put a version in force; what it finds is what it found then.

    Args:
        detector: the artifact.
        to: number of the version; None takes the one that the version in force was made from.

    Raises:
        InputError: there is none before it, or it is in force already.
        NotFoundError: no such version, or nothing at this path.
        ArtifactError: the detector is damaged.
    """
    old = load(detector).manifest
    if to is None:
        to = old.parent
        if to is None:
            earlier = [n for n in version_numbers(detector) if n < old.version]
            to = earlier[-1] if earlier else None
    if to is None:
        raise InputError(f"{detector}: version {old.version} is the first; nothing lies before it")
    before = _labels(detector, old.version)
    now = restore(detector, to)
    after = _labels(detector, now.version)
    return RollbackReport(
        now.version,
        old.version,
        tuple(version_numbers(detector)),
        tuple(label for label in before if label not in after),
        tuple(label for label in after if label not in before),
    )


def _labels(detector: Path, number: int) -> tuple[Label, ...]:
    content = open_version(detector, number).beside.get(LABELS_FILE, b"")
    return read_labels(content, detector / LABELS_FILE)
