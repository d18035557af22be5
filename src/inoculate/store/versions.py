"""Versions of a detector: each is kept whole, in ``versions/N`` of the artifact's directory.

The directory itself always holds the version in force, so whoever reads it needs to know
nothing of versions. Files of kept versions are hard links where the system has them, so that
what two versions have in common lies on the disk once.
"""

from pathlib import Path

from inoculate.errors import InoculateError, InputError, NotFoundError
from inoculate.store.artifact import MANIFEST_FILE, VERSIONS_FOLDER, Artifact, load, put
from inoculate.store.manifest import (
    ARRAYS_FILE,
    HELD_OUT_FILE,
    LABELS_FILE,
    RECORDS_FILE,
    Manifest,
)
from inoculate.store.placing import Content

MOST_KEPT = 50
"""Versions kept beside the one in force and those that others were made from by labels alone."""

_FILES = (MANIFEST_FILE, ARRAYS_FILE, LABELS_FILE, HELD_OUT_FILE, RECORDS_FILE)


def version_numbers(path: Path) -> list[int]:
    """Return the numbers of the versions that are there, the one in force too, increasing."""
    return sorted({*_kept(path), load(path).manifest.version})


def version_path(path: Path, number: int) -> Path:
    """Return where a version lies.

    Raises:
        NotFoundError: there is no such version; the message says which there are.
    """
    if load(path).manifest.version == number:
        return path
    if number not in _kept(path):
        have = ", ".join(map(str, version_numbers(path)))
        raise NotFoundError(f"{path}: no version {number}; there are {have}")
    return _folder(path, number)


def open_version(path: Path, number: int) -> Artifact:
    """Load one version with its labels.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: it is damaged.
    """
    return load(version_path(path, number), beside=(LABELS_FILE,))


def labelled(path: Path) -> Manifest | None:
    """Return what is in force at a place, if it has versions or labels that must not be lost."""
    try:
        manifest = load(path).manifest
    except InoculateError:
        return None
    return manifest if _kept(path) or LABELS_FILE in manifest.files else None


def next_number(path: Path) -> int:
    """Return the number of the version to come."""
    return version_numbers(path)[-1] + 1


def history(path: Path, current: Manifest) -> Content:
    """Return the files that the next version takes over, the one in force among them.

    Args:
        path: the artifact.
        current: of the version in force.
    """
    old = [n for n in _kept(path) if n != current.version]
    wanted = set(old[-(MOST_KEPT - 1) :])
    if len(old) >= MOST_KEPT:
        told = [load(_folder(path, n)).manifest for n in wanted]
        wanted |= {m.base for m in (*told, current) if m.base} & set(old)
    files = _files_of(path, current.version)
    for number in sorted(wanted):
        files |= _files_of(_folder(path, number), number)
    return files


def restore(path: Path, number: int) -> Manifest:
    """Put a version in force again, byte for byte; all others stay.

    Raises:
        InputError: it is in force already.
        NotFoundError: there is no such version.
    """
    path = path.resolve()
    current = load(path).manifest
    if number == current.version:
        raise InputError(f"{path}: version {number} is in force already")
    place = version_path(path, number)
    wanted = load(place, beside=(LABELS_FILE, HELD_OUT_FILE, RECORDS_FILE)).manifest
    files = dict(history(path, current))
    files |= {name: place / name for name in _FILES if (place / name).exists()}
    put(path, files, replaces=current)
    return wanted


def _folder(path: Path, number: int) -> Path:
    return path / VERSIONS_FOLDER / str(number)


def _kept(path: Path) -> list[int]:
    folder = path / VERSIONS_FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return []
    names = [p.name for p in folder.iterdir() if p.is_dir() and not p.is_symlink()]
    return sorted(int(n) for n in names if n.isascii() and n.isdigit() and 0 < len(n) < 8)


def _files_of(place: Path, number: int) -> dict[str, bytes | Path]:
    names = [name for name in _FILES if (place / name).is_file()]
    return {f"{VERSIONS_FOLDER}/{number}/{name}": place / name for name in names}
