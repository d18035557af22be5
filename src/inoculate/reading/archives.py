"""What lies in archives: zip, 7z and tar, plain or compressed, one member after another.

Nothing is ever written to disk and no name is ever used as one: members are streams, named
``a.zip!inner/b.exe`` for showing. An archive within an archive is opened too. Everything is
bounded, see ``ArchiveLimits``; what is encrypted, a link or over a limit is skipped and told.

References:
    PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3.10 (read by ``zipfile``).
    IEEE Std 1003.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". Departures:
    read forward only; sparse files are skipped; archives older than 1988, without the ``ustar``
    mark, are not known as such.
    Fifield, "A better zip bomb", WOOT 2019: why output is counted, not what headers announce.
"""

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from inoculate.domain import Source
from inoculate.errors import RecordError, TruncatedError
from inoculate.reading.sources import HEAD_BYTES
from inoculate.reading.workers import WorkerError, WorkerLimits, shared_workers

OnSkip = Callable[[RecordError], None]
"""Called with each thing that is left out."""

_PIECE_BYTES = 1 << 20
_DIRECTORY_BYTES = 8 << 20
_XZ_MEMORY_BYTES = 256 << 20
_LONGEST_NAME = 400
_BLOCK = 512
_SEVEN_ZIP = "inoculate.reading.seven_zip:members"
_MAGIC = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\x00": "xz",
}  # fmt: skip
_NOT_READ = {b"Rar!\x1a\x07": "rar", b"MSCF\0\0\0\0": "cab", b"\x28\xb5\x2f\xfd": "zstd"}
COMPRESSED = ("gzip", "xz", "bzip2")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What one archive, with all that is nested in it, may cost.

    Attributes:
        depth: archives within archives; a compressed tar counts as one.
        members: files in it.
        member_bytes: of what must be held in memory: a zip or 7z within another archive, and
            all members of a 7z together.
        total_bytes: unpacked, over all members.
        ratio: largest unpacked : packed size, judged after ``free_bytes``.
        free_bytes: see ``ratio``.
    """

    depth: int = 3
    members: int = 50_000
    member_bytes: int = 256 << 20
    total_bytes: int = 16 << 30
    ratio: float = 250.0
    free_bytes: int = 256 << 20


@dataclass(eq=False)
class _Budget:
    """What is left of the limits of the outermost archive."""

    limits: ArchiveLimits
    name: str
    n_out: int = 0
    n_in: int = 0
    n_members: int = 0
    names: Counter[str] = field(default_factory=Counter)

    def take(self, n: int) -> None:
        self.n_out += n
        limits = self.limits
        if self.n_out > limits.total_bytes:
            raise ArchiveBombError(f"over {limits.total_bytes} bytes unpacked", origin=self.name)
        if self.n_out > limits.free_bytes and self.n_out > limits.ratio * max(1, self.n_in):
            raise ArchiveBombError(
                f"a decompression bomb: {self.n_in} bytes became more than {self.n_out}, the limit"
                f" is {limits.ratio:g} to 1",
                origin=self.name,
            )

    def member(self, outer: str, name: str) -> str:
        """Count a member and return its name for showing, unique in the archive."""
        self.n_members += 1
        if self.n_members > self.limits.members:
            raise ArchiveBombError(f"over {self.limits.members} members", origin=self.name)
        clean = name.encode("utf-8", "replace").decode()[:_LONGEST_NAME]
        full = f"{outer}!{clean}"
        self.names[full] += 1
        return full if self.names[full] == 1 else f"{full} ({self.names[full]})"


class ArchiveBombError(RecordError):
    """A limit of the whole archive is reached: nothing more of it is read."""


def kind_of(head: bytes) -> str | None:
    """Return zip, 7z, tar, gzip, xz or bzip2 by the first bytes; None for anything else."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    return "tar" if head[257:262] == b"ustar" else None


def expand(
    source: Source, *, on_skip: OnSkip, limits: ArchiveLimits | None = None, size_bytes: int = 0
) -> Iterator[Source]:
    """Yield the source itself or, where it is an archive, each file in it.

    A yielded source is open until the next is asked for. An error in one member ends that
    member; one in the archive's own structure ends the archive, through ``on_skip``.

    Args:
        source: what to look into.
        on_skip: told of what is left out.
        limits: of what it may cost.
        size_bytes: packed size, for the ratio; 0 where only ``total_bytes`` shall count.
    """
    limits = limits or ArchiveLimits()
    budget = _Budget(limits, source.name, n_in=size_bytes or limits.total_bytes)
    try:
        yield from _expand(source, budget, 0, on_skip)
    except ArchiveBombError as err:
        on_skip(err)


def _expand(source: Source, budget: _Budget, depth: int, on_skip: OnSkip) -> Iterator[Source]:
    kind = kind_of(source.head)
    for magic, name in _NOT_READ.items():
        if source.head.startswith(magic):
            on_skip(RecordError(f"{name} archives are not read", origin=source.name))
            return
    if kind is None:
        yield source
        return
    if kind in COMPRESSED:
        inner = _inner(source.name, _decompressor(kind, source.stream), budget)
        yield from _expand(inner, budget, depth, on_skip) if _is_new(inner, on_skip) else ()
        return
    if depth >= budget.limits.depth:
        on_skip(RecordError("archives nested too deeply", origin=source.name))
        return
    try:
        for member in _OPENERS[kind](source, budget, on_skip):
            yield from _expand(member, budget, depth + 1, on_skip)
    except ArchiveBombError:
        raise
    except RecordError as err:
        on_skip(err)


def _is_new(inner: Source, on_skip: OnSkip) -> bool:
    """Return False for compressed data in compressed data, which only a bomb needs."""
    if kind_of(inner.head) in COMPRESSED:
        on_skip(RecordError("compressed more than once", origin=inner.name))
        return False
    return True


class Inner(io.RawIOBase):
    """A member as a stream, counted against the limits.

    As for any source: what comes before a fault is delivered, the fault raised once, then it
    is at its end.
    """

    def __init__(self, more: Callable[[int], bytes], name: str, budget: _Budget) -> None:
        super().__init__()
        self._more, self._name, self._budget = more, name, budget
        self._front = b""
        self._failure: RecordError | None = None
        self._ended = False

    def head(self) -> bytes:
        """Return the first bytes; they are still to be read."""
        while len(self._front) < HEAD_BYTES and not self._ended and self._failure is None:
            try:
                self._front += self._pull(HEAD_BYTES - len(self._front))
            except RecordError as err:
                self._failure = err
        return self._front

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer with what one read gives (for ``io`` wrappers)."""
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, b"" at the end; all that is left when negative."""
        if size is None or size < 0:
            return self.readall()
        if self._front:
            data, self._front = self._front[:size], self._front[size:]
            return data
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return b"" if self._ended or not size else self._pull(size)

    def _pull(self, size: int) -> bytes:
        try:
            data = self._more(min(size, _PIECE_BYTES))
            self._budget.take(len(data))
        except RecordError:
            self._ended = True
            raise
        except EOFError as err:
            self._ended = True
            raise TruncatedError("its archive is cut off", origin=self._name) from err
        except Exception as err:  # whatever a decompressor raises of hostile bytes
            self._ended = True
            raise RecordError(f"damaged archive: {err}"[:200], origin=self._name) from err
        self._ended = not data
        return data


def _inner(name: str, more: Callable[[int], bytes], budget: _Budget) -> Source:
    stream = Inner(more, name, budget)
    return Source(name, None, stream.head(), cast(BinaryIO, stream))


def _decompressor(kind: str, stream: BinaryIO) -> Callable[[int], bytes]:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream).read
    if kind == "bzip2":
        return bz2.BZ2File(stream).read
    return _Xz(stream).read


class _Xz:
    """Decompressed xz, stream after stream, with a bound on memory that ``LZMAFile`` lacks."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._part: lzma.LZMADecompressor | None = None
        self._left = b""

    def read(self, size: int) -> bytes:
        while True:
            if self._part is None or self._part.eof:
                left = self._part.unused_data if self._part else b""
                left = (left or self._stream.read(_PIECE_BYTES)).lstrip(b"\0")
                if not left:
                    return b""
                self._part, self._left = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), left
            if self._part.needs_input and not self._left:
                self._left = self._stream.read(_PIECE_BYTES)
                if not self._left:
                    raise EOFError
            data, self._left = self._part.decompress(self._left, size), b""
            if data:
                return data


def _in_memory(source: Source, budget: _Budget) -> bytes:
    """Return all bytes of an archive that must be held.

    Raises:
        RecordError: there are too many.
    """
    pieces, have = [], 0
    while piece := source.stream.read(_PIECE_BYTES):
        have += len(piece)
        if have > budget.limits.member_bytes:
            raise RecordError(
                f"an archive over {budget.limits.member_bytes} bytes in memory", origin=source.name
            )
        pieces.append(piece)
    return b"".join(pieces)


class _Careful(io.BufferedReader):
    """A seekable file that refuses to read absurdly much at once, as a directory of millions."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes as any file does, but never over ``_DIRECTORY_BYTES``."""
        most = _DIRECTORY_BYTES + 1
        data = super().read(most if size is None or size < 0 else min(most, size))
        if len(data) == most:
            raise zipfile.BadZipFile(f"a directory of over {_DIRECTORY_BYTES} bytes")
        return data


def _zip(source: Source, budget: _Budget, on_skip: OnSkip) -> Iterator[Source]:
    with _seekable(source, budget) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as err:  # hostile bytes, in a parser that raises a dozen kinds
            raise RecordError(f"damaged zip: {err}"[:200], origin=source.name) from err
        for info in archive.infolist():
            if info.filename.endswith("/"):  # is_dir() fails where there is no name
                continue
            name = budget.member(source.name, info.filename)
            if info.flag_bits & 1:
                on_skip(RecordError("encrypted in its archive", origin=name))
            elif info.external_attr >> 28 == 0o12:
                on_skip(RecordError("a link in an archive", origin=name))
            elif _dictionary_bytes(file, info) > _XZ_MEMORY_BYTES:
                problem = f"unpacking needs over {_XZ_MEMORY_BYTES >> 20} MiB of memory"
                on_skip(RecordError(problem, origin=name))
            else:
                try:
                    member = archive.open(info)
                except Exception as err:  # as above
                    problem = f"damaged zip member: {type(err).__name__}"
                    on_skip(RecordError(problem, origin=name))
                    continue
                with member:
                    yield _inner(name, member.read, budget)


def _dictionary_bytes(file: io.BufferedReader, info: zipfile.ZipInfo) -> int:
    """Return the memory that LZMA asks for a member, which ``zipfile`` does not bound."""
    if info.compress_type != zipfile.ZIP_LZMA:
        return 0
    try:
        file.seek(info.header_offset)
        local = file.read(30)
        file.seek(sum(struct.unpack_from("<HH", local, 26)), io.SEEK_CUR)
        return int.from_bytes(file.read(9)[5:], "little")
    except (OSError, ValueError, struct.error):
        return 0  # damaged, as opening it will tell


def _seekable(source: Source, budget: _Budget) -> io.BufferedReader:
    if source.path is not None:
        file = io.FileIO(source.path)
        if file.read(6) == source.head[:6]:  # else it is compressed around the archive
            file.seek(0)
            return _Careful(file)
        file.close()
    return _Careful(cast(io.RawIOBase, io.BytesIO(_in_memory(source, budget))))


def _seven_zip(source: Source, budget: _Budget, on_skip: OnSkip) -> Iterator[Source]:
    data = _in_memory(source, budget)
    most = budget.limits.member_bytes
    limits = WorkerLimits(
        wall_s=120.0, cpu_s=100, memory_bytes=4 * most + (1 << 30), answer_bytes=most + (64 << 20)
    )
    try:
        parts = shared_workers(_SEVEN_ZIP, limits).ask(most >> 20, data)
        if len(parts) % 2:
            raise ValueError("half a member")
        for i in range(0, len(parts), 2):
            told = json.loads(parts[i])
            name, problem = str(told["name"]), told.get("problem")
            full = budget.member(source.name, name) if name else source.name
            if problem is not None:
                on_skip(RecordError(str(problem)[:200], origin=full))
            else:
                yield _inner(full, io.BytesIO(parts[i + 1]).read, budget)
    except WorkerError as err:
        raise RecordError(f"unreadable 7z: {err}", origin=source.name) from err
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise RecordError(
            "unreadable 7z: a worker's answer makes no sense", origin=source.name
        ) from err


def _tar(source: Source, budget: _Budget, on_skip: OnSkip) -> Iterator[Source]:
    from inoculate.reading.tar import read_tar

    for name, problem, more in read_tar(source):
        full = budget.member(source.name, name)
        if problem:
            on_skip(RecordError(problem, origin=full))
        else:
            yield _inner(full, more, budget)


_OPENERS = {"zip": _zip, "7z": _seven_zip, "tar": _tar}
