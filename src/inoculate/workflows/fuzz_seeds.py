"""The first inputs of a run, copied into its folder."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from inoculate.errors import InputError
from inoculate.fuzzing.operators import MAX_INPUT
from inoculate.render._text import counted

SEEDS = "seeds"
_MOST_SEEDS = 10_000


def copy_seeds(sources: Sequence[Path], folder: Path) -> list[str]:
    """Copy files, and those of folders, under the hash of what they hold; return notes.

    Raises:
        InputError: one cannot be read, or there is none at all.
    """
    notes: dict[str, int] = {}
    n = 0
    for path in _files(sources):
        try:
            with path.open("rb") as file:
                data = file.read(MAX_INPUT + 1)
        except OSError as err:
            raise InputError(f"{path}: cannot be read: {err.strerror}") from err
        problem = "empty" if not data else "more than 1 MB" if len(data) > MAX_INPUT else None
        problem = f"more than {_MOST_SEEDS:,} of them" if n >= _MOST_SEEDS else problem
        if problem is not None:
            notes[problem] = notes.get(problem, 0) + 1
            continue
        (folder / name_of(data)).write_bytes(data)
        n += 1
    if sources and not n:
        raise InputError(f"{', '.join(map(str, sources))}: no seed; expected files of 1 B to 1 MB")
    return [f"{counted(count, 'seed')} left out: {problem}" for problem, count in notes.items()]


def name_of(data: bytes) -> str:
    """Return a seed's name: SHA-1, which libFuzzer names what it keeps by."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def seeds_of(folder: Path) -> list[bytes]:
    """Return the seeds of a run."""
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        if not source.exists():
            raise InputError(f"{source}: no such file or folder")
        yield from (
            sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
        )
