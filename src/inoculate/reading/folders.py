"""Every file in a folder or an archive, in a fixed order, as a source to read records from.

Folders are walked by name; a link is never followed, neither to a file nor to a folder, since it
would lead out or count a file twice. Files that are archives are looked into. What is left out
is told through ``on_skip``, and nothing is written.
"""

import bz2
import contextlib
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from inoculate.domain import Source
from inoculate.errors import InputError, RecordError
from inoculate.reading.archives import COMPRESSED, ArchiveLimits, OnSkip, expand, kind_of
from inoculate.reading.sources import HEAD_BYTES, STDIN, open_source

_BLOCK = 512


def is_container(name: str) -> bool:
    """Return whether a name is a folder, or a file that is a zip, 7z or tar archive."""
    if name == STDIN:
        return False
    try:
        mode = Path(name).stat().st_mode
        if not stat.S_ISREG(mode):
            # a pipe can be read only once, so nobody may look into it here
            return stat.S_ISDIR(mode)
        with Path(name).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return False
    kind = kind_of(head)
    if kind in COMPRESSED:
        kind = kind_of(_start(kind, head))
    return kind is not None and kind not in COMPRESSED


def sources_in(
    name: str, *, on_skip: OnSkip, limits: ArchiveLimits | None = None
) -> Generator[Source, None, None]:
    """Yield each file of a folder or an archive; open until the next is asked for.

    Args:
        name: as the user wrote it; begins every source's name.
        on_skip: told of each thing that is left out.
        limits: for each archive.
    """
    for path in walk(name, on_skip) if Path(name).is_dir() else (name,):
        shown = _shown(path)
        try:
            with _opened(path) as source:
                size = Path(path).stat().st_size
                named = replace(source, name=shown)
                yield from expand(named, on_skip=on_skip, limits=limits, size_bytes=size)
        except RecordError as err:
            on_skip(RecordError(err.problem, origin=shown))
        except InputError as err:
            on_skip(RecordError(str(err).removeprefix(f"{path}: "), origin=shown))
        except OSError as err:
            on_skip(RecordError(f"cannot be opened: {err.strerror}", origin=shown))


def walk(folder: str, on_skip: OnSkip) -> Iterator[str]:
    """Yield the regular files below a folder, sorted by name in each folder."""
    waiting = [folder]
    while waiting:
        # no Path: it would make "-", which is standard input, of "./-"
        path = waiting.pop()
        try:
            mode = (Path(path).stat() if path == folder else os.lstat(path)).st_mode
            if stat.S_ISDIR(mode):
                waiting += sorted((entry.path for entry in os.scandir(path)), reverse=True)
            elif stat.S_ISREG(mode):
                yield path
            elif stat.S_ISLNK(mode):
                on_skip(RecordError("links are not followed", origin=_shown(path)))
            else:
                on_skip(RecordError("a pipe, socket or device", origin=_shown(path)))
        except OSError as err:
            problem = f"cannot be opened: {err.strerror}"
            on_skip(RecordError(problem, origin=_shown(path)))


def _shown(path: str) -> str:
    """Return a path as text; a name may be any bytes, and tables hold none but UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Source]:
    """Open a file as ``open_source`` does, and xz and bzip2 as they are."""
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES)
        if kind_of(head) in ("xz", "bzip2"):
            file.seek(0)
            yield Source(path, Path(path), head, cast(BinaryIO, file))
            return
    with open_source(path) as source:
        yield source


def _start(kind: str, head: bytes) -> bytes:
    """Return the first bytes that compressed data becomes, fewer where it is damaged."""
    openers: dict[str, Callable[[], bytes]] = {
        "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, _BLOCK),
        "xz": lambda: lzma.LZMADecompressor(memlimit=1 << 28).decompress(head, _BLOCK),
        "bzip2": lambda: bz2.BZ2Decompressor().decompress(head, _BLOCK),
    }
    try:
        return openers[kind]()
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return b""
