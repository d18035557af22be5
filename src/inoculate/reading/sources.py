"""Opens what a user names: a file, a pipe or standard input, plain or gzip, in bounded memory.

How a reader learns of an early end: ``stream.read`` first delivers what comes before, then raises
once, then is at its end. It raises ``TruncatedError`` where the gzip data stops too early, and
``RecordError`` where it is damaged (the last 64 KiB before the damage may be lost) or a
decompression bomb. A reader uses the whole records it has and passes the error to ``on_bad``.

References:
    RFC 1952, "GZIP file format specification version 4.3", section 2.2 (several members one
    after another). Departure: zero bytes after the last member are padding, as for gzip(1).
"""

import io
import os
import select
import stat
import sys
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from inoculate.domain import Source
from inoculate.errors import InputError, RecordError, TruncatedError

HEAD_BYTES = 64 * 1024
STDIN = "-"

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 64 * 1024
_PATIENCE_S = 0.5
_OTHER_COMPRESSION = {
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"),
    b"\xfd7zXZ\x00": ("xz", "xz -d"),
    b"BZh": ("bzip2", "bzip2 -d"),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What decompression may cost.

    Attributes:
        ratio: largest decompressed : compressed size (text logs reach 30, deflate 1032).
        free_bytes: the ratio is judged only after this much came out.
        gather_s: how long a read from a pipe may wait for more than its first bytes.
    """

    ratio: float = 250.0
    free_bytes: int = 256 * 1024 * 1024
    gather_s: float = 0.05


@contextmanager
def open_source(path: str | Path, *, limits: Limits | None = None) -> Iterator[Source]:
    """Open a file, a pipe or standard input ("-") for reading; close it at the end.

    Reads from a regular file return as much as was asked for; reads from a pipe return what
    is there. ``Source.path`` is set for regular files only.

    Raises:
        InputError: no such file, a directory, or the system refuses to open or read it.
        RecordError: an empty file, or a compression other than gzip.
    """
    limits = limits or Limits()
    name = "stdin" if str(path) == STDIN else str(path)
    with _open(path, name) as file:
        raw = _Raw(file, name, limits)
        start = raw.read_at_least(2)
        if not start:
            raise RecordError("the file is empty", origin=name)
        for magic, (kind, command) in _OTHER_COMPRESSION.items():
            if start.startswith(magic):
                raise RecordError(f"{kind} is not read; unpack it with {command}", origin=name)
        raw.put_back(start)
        stream = _Gunzip(raw, limits) if start.startswith(_GZIP_MAGIC) else raw
        head = _take_head(stream)
        if not head and isinstance(stream, _Gunzip):
            raise stream.failure or RecordError("the file is empty", origin=name)
        stream.put_back(head)
        where = Path(path) if raw.regular and str(path) != STDIN else None
        yield Source(name, where, head, cast(BinaryIO, stream))


@contextmanager
def _open(path: str | Path, name: str) -> Iterator[BinaryIO]:
    if str(path) == STDIN:
        if sys.stdin is None:
            raise InputError(f"{name}: is closed")
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb", buffering=0, opener=_at_once)  # noqa: SIM115 - opener
    except FileNotFoundError as err:
        raise InputError(f"{name}: no such file") from err
    except IsADirectoryError as err:
        raise InputError(f"{name}: is a directory, expected a file") from err
    except (OSError, ValueError) as err:
        raise InputError(f"{name}: cannot be opened: {_reason(err)}") from err
    with file:
        yield cast(BinaryIO, file)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe that nobody writes to would wait for ever, deaf to Ctrl-C."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return fd


def _reason(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or str(err)


def _take_head(stream: "_Raw | _Gunzip") -> bytes:
    head = bytearray(stream.read(HEAD_BYTES))
    while head and len(head) < HEAD_BYTES and stream.ready():
        try:
            piece = stream.read(HEAD_BYTES - len(head))
        except RecordError as err:
            stream.failure = err
            break
        if not piece:
            break
        head += piece
    return bytes(head)


class _Stream(io.RawIOBase, ABC):
    """A stream with bytes put back at its front."""

    def __init__(self) -> None:
        super().__init__()
        self._front = b""
        self.failure: RecordError | None = None  # met while looking ahead; raised in its place

    def put_back(self, data: bytes) -> None:
        """Deliver these bytes before all others."""
        self._front = data + self._front

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
            return data + self._at_once(size - len(data))
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return self._more(size) if size else b""

    def _at_once(self, size: int) -> bytes:
        """Return more bytes where they need no waiting."""
        if not size or self.failure is not None or not self.at_once():
            return b""
        try:
            return self._more(size)
        except RecordError as err:
            self.failure = err
            return b""

    @abstractmethod
    def at_once(self) -> bool:
        """Return True when a read never waits, as for a regular file."""

    @abstractmethod
    def _more(self, size: int) -> bytes: ...


class _Raw(_Stream):
    """The bytes of a file or pipe as they are."""

    def __init__(self, file: BinaryIO, name: str, limits: Limits) -> None:
        super().__init__()
        self.name = name
        self.n_read = 0
        self._file = file
        self._gather_s = limits.gather_s
        self._ended = False
        try:
            self._fd = file.fileno()
            self.regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError):
            self._fd, self.regular = -1, True  # a stand-in for stdin that is no real file

    def ready(self) -> bool:
        """Return True when a read would not wait long."""
        if self._front or self.regular or self._ended:
            return True
        return bool(select.select([self._fd], [], [], self._gather_s)[0])

    def at_once(self) -> bool:
        """Return True for a regular file."""
        return self.regular

    def read_at_least(self, size: int) -> bytes:
        """Return ``size`` bytes or a few more, fewer only at the end."""
        data = self.read(HEAD_BYTES)
        while data and len(data) < size:
            piece = self.read(HEAD_BYTES)
            if not piece:
                break
            data += piece
        return data

    def _more(self, size: int) -> bytes:
        """Return one read of a file; of a pipe what comes within ``gather_s``."""
        data = self._once(size)
        if self.regular or not data:
            return data
        pieces, have, until = [data], len(data), time.monotonic() + self._gather_s
        while have < size and (wait := until - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], wait)[0]:
                break
            piece = self._once(size - have)
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)

    def _once(self, size: int) -> bytes:
        if self._ended:
            return b""
        try:
            # Polars makes Ctrl-C restart a blocked read; a select is never restarted
            while not self.regular and not select.select([self._fd], [], [], _PATIENCE_S)[0]:
                pass
            data = os.read(self._fd, size) if self._fd >= 0 else self._file.read(size)
        except OSError as err:
            raise InputError(f"{self.name}: cannot be read: {_reason(err)}") from err
        self._ended = not data and not self.regular
        self.n_read += len(data)
        return data


class _Gunzip(_Stream):
    """Decompressed gzip, member after member."""

    def __init__(self, raw: _Raw, limits: Limits) -> None:
        super().__init__()
        self._raw = raw
        self._limits = limits
        self._member: zlib._Decompress | None = None
        self._packed = b""
        self._n_out = 0
        self._n_members = 0
        self._dead = False

    def ready(self) -> bool:
        """Return True when a read would not wait long."""
        return bool(self._packed) or self._raw.ready()

    def at_once(self) -> bool:
        """Return True for a regular file."""
        return self._raw.regular

    def _more(self, size: int) -> bytes:
        """Return ``size`` bytes of a file; of a pipe what its last read held."""
        pieces: list[bytes] = []
        have = 0
        while have < size and not self._dead:
            try:
                out = self._piece(size - have)
            except RecordError as err:
                self._dead = True
                if not pieces:
                    raise
                self.failure = err
                break
            if out:
                pieces.append(out)
                have += len(out)
            if self._dead or (have and not self._packed and not self._raw.regular):
                break
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        """Return some bytes, none at the end of a member or of the source."""
        if not self._packed:
            self._packed = self._raw.read(_PIECE_BYTES)
        if not self._packed or (self._member is None and not self._next_member()):
            self._dead = True
            if self._member is not None:
                raise TruncatedError("the gzip data is cut off", origin=self._raw.name)
            return b""
        return self._unpack(size)

    def _unpack(self, size: int) -> bytes:
        member = self._member
        assert member is not None  # noqa: S101 - for the type checker
        try:
            out = member.decompress(self._packed, size)
        except zlib.error as err:
            where = f"{self._raw.name}@{self._raw.n_read - len(self._packed)}"
            raise RecordError(f"damaged gzip data: {err}", origin=where) from err
        self._packed = member.unused_data if member.eof else member.unconsumed_tail
        self._n_out += len(out)
        if member.eof:
            self._member = None
        used = max(1, self._raw.n_read - len(self._packed))
        if self._n_out > self._limits.free_bytes and self._n_out > self._limits.ratio * used:
            raise RecordError(
                f"a decompression bomb: {used} bytes became more than {self._n_out},"
                f" the limit is {self._limits.ratio:g} to 1",
                origin=self._raw.name,
            )
        return out

    def _next_member(self) -> bool:
        """Begin a member; return False where only padding is left."""
        if self._n_members:
            while not self._packed.strip(b"\0"):
                self._packed = self._raw.read(_PIECE_BYTES)
                if not self._packed:
                    return False
            self._packed = self._packed.lstrip(b"\0")
            if len(self._packed) == 1:
                self._packed += self._raw.read(_PIECE_BYTES)
            if not self._packed.startswith(_GZIP_MAGIC):
                where = f"{self._raw.name}@{self._raw.n_read - len(self._packed)}"
                self._packed = b""
                raise RecordError("bytes after the gzip data are not gzip", origin=where)
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._n_members += 1
        return True
