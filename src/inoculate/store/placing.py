"""Puts a directory in place whole: who looks sees the one before or the new one, never a part."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Content = Mapping[str, bytes | Path]
"""Files of a directory by name, ``versions/2/x`` too; a path is linked, or copied."""


def place(path: Path, files: Content, check: Callable[[], None]) -> None:
    """Write a directory beside ``path`` and rename it there; what was there goes.

    Args:
        path: absolute; its folder is made where there is none.
        files: all that the directory will hold.
        check: called while no other writer can be at work; raises to write nothing.

    Raises:
        OSError: the system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        check()
        _write(path, files)


def interrupted(path: Path) -> Path | None:
    """Return what a writer that was killed between its renames had put aside, if there is any."""
    return next(iter(_leftovers(path, "old")), None)


def _write(path: Path, files: Content) -> None:
    new = _sibling(path, "new")
    new.mkdir()
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                _link(content, new / name)
                continue
            with (new / name).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        with _open_folder(new) as fd:
            os.fsync(fd)
        _put_in_place(new, path)
        with _open_folder(path.parent) as fd:
            os.fsync(fd)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _link(file: Path, to: Path) -> None:
    """Give a file another name; a copy where the file system has no hard links."""
    try:
        os.link(file, to, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, to, follow_symlinks=False)


def _put_in_place(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; what is there steps aside first, since no rename replaces it."""
    if not path.exists():
        new.rename(path)
        return
    old = _sibling(path, "old")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, what: str) -> Path:
    return path.parent / f".{path.name}.{what}-{secrets.token_hex(6)}"


def _leftovers(path: Path, what: str) -> list[Path]:
    start = f".{path.name}.{what}-"
    with contextlib.suppress(OSError):
        return [p for p in path.parent.iterdir() if p.name.startswith(start) and p.is_dir()]
    return []


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other saves out of this folder, and clear away what killed ones left of ``path``."""
    with _open_folder(path.parent) as fd:
        with contextlib.suppress(OSError):  # some network file systems lock no directory
            fcntl.flock(fd, fcntl.LOCK_EX)
        # where the artifact itself is gone, what stepped aside is the only copy: keep it
        for left in _leftovers(path, "new") + (_leftovers(path, "old") if path.exists() else []):
            shutil.rmtree(left, ignore_errors=True)
        yield


@contextlib.contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)
