"""The members of a 7z archive, for a worker process; see ``reading.archives``."""

import codecs
import io
import json
from collections.abc import Iterator

import py7zr
from py7zr.exceptions import DecompressionBombError, PasswordRequired
from py7zr.io import MemIO, Py7zIO, WriterFactory
from py7zr.properties import get_memory_limit

# what py7zr loads when first needed, while a worker may still open files
codecs.lookup("utf-16le")
get_memory_limit()  # type: ignore[no-untyped-call]


class _FullError(Exception):
    """More was unpacked than may be."""


class _Kept(Py7zIO):
    """One member's bytes."""

    def __init__(self, shared: "_Members") -> None:
        self.data = bytearray()
        self._shared = shared

    def write(self, s: bytes | bytearray) -> int:
        self._shared.left -= len(s)
        if self._shared.left < 0:
            raise _FullError
        self.data += s
        return len(s)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return len(self.data)


class _Members(WriterFactory):
    """All members, by their place in the archive."""

    def __init__(self, most_bytes: int) -> None:
        self.left = most_bytes
        self.kept: dict[str, _Kept] = {}

    def create(self, filename: str) -> Py7zIO:
        self.kept[filename] = kept = _Kept(self)
        return kept


def members(most_mib: int, data: bytearray) -> Iterator[bytes]:
    """Yield for each member a JSON object, ``name`` and ``problem``, and then its bytes.

    Args:
        most_mib: unpacked size after which no more is unpacked; what came before is kept.
        data: the archive.
    """
    found, names = _Members(most_mib << 20), dict[str, str]()
    problem = None
    try:
        with py7zr.SevenZipFile(io.BytesIO(data)) as archive:
            if archive.needs_password():
                raise PasswordRequired
            yield from _register(archive, found, names)
            # not ``extractall``: that refuses an archive for a name which could only be
            # harmful as a path, and here none becomes one
            archive.worker.max_extract_size = most_mib << 20
            archive.worker.extract(archive.fp, None, parallel=False)
    except PasswordRequired:
        problem = "encrypted 7z"
    except (_FullError, DecompressionBombError):
        problem = f"7z of more than {most_mib} MiB: the rest is not unpacked"
    except Exception as err:  # hostile bytes, in a parser that raises a dozen kinds
        problem = f"damaged 7z: {type(err).__name__}"
    for place, kept in found.kept.items():
        yield from _told(names[place], None, bytes(kept.data))
    if problem is not None:
        yield from _told("", problem)


def _register(
    archive: py7zr.SevenZipFile, found: _Members, names: dict[str, str]
) -> Iterator[bytes]:
    """Say of each member where its bytes go; yield those that are no plain files."""
    for file in archive.files:
        if file.is_symlink or file.is_junction or file.is_socket:
            archive.worker.register_filelike(file.id, None)
            yield from _told(file.filename, "a link in an archive")
        elif file.is_directory:
            archive.worker.register_filelike(file.id, None)
        else:
            names[str(file.id)] = file.filename
            archive.worker.register_filelike(file.id, MemIO(str(file.id), found))


def _told(name: str, problem: str | None, data: bytes = b"") -> Iterator[bytes]:
    yield json.dumps({"name": name, "problem": problem}).encode()
    yield data
