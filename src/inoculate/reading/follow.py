"""Follows a log file that another program writes, through rotation and truncation.

What a reader gets is whole lines only, so a record is never cut. Together with a saved
position, and findings written before the position is saved, every line is read at least once.

Out of scope: an old file that was compressed or moved to another folder before it was read to
its end, and files that came and went between two looks (two rotations within ``poll_s``, or
while nobody was reading); only the file that was being read is searched for and finished.
"""

import contextlib
import io
import json
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

from inoculate.errors import InputError

MAX_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 256
_HEADER_BYTES = 64 * 1024
_MAX_POSITION_BYTES = 64 * 1024
_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read.

    Attributes:
        device: of the file system.
        inode: of the file; it keeps it when it is renamed.
        offset: end of the last whole line that was returned, in bytes.
        head_bytes: length of the file's beginning that ``head_sha256`` covers; it tells a
            file from a new one with the same inode, or from its own new content.
        head_sha256: of that beginning.
    """

    device: int
    inode: int
    offset: int
    head_bytes: int
    head_sha256: str


@dataclass(slots=True)
class _Open:
    """The file being read."""

    fd: int
    device: int
    inode: int
    offset: int = 0
    head: bytes = b""

    def position(self, offset: int) -> Position:
        head = self.head[:offset]
        return Position(self.device, self.inode, offset, len(head), sha256(head).hexdigest())


@dataclass(slots=True)
class _Lines:
    """Whole lines that wait to be returned, and where they end in their file."""

    data: bytes
    file: _Open
    start: int
    end: int


class FollowedFile(io.RawIOBase):
    """A log file as a stream that ends only when ``stop`` says so.

    Args:
        path: the log; it may not exist yet.
        stop: asked before each wait; once it returns True, ``read`` returns b"".
        position_file: where ``save`` writes, and where an earlier run's position is
            taken from; None keeps none.
        at_end: without a saved position, begin at the end of what is there.
        poll_s: time between two looks at a file that does not grow.
        grace_s: how long an old file must be silent before the new one is opened; writers
            take a moment to notice that they were rotated.

    Attributes:
        position: end of what was returned; None before the first line.
        n_dropped_lines: lines over 1 MiB, which were not returned.

    Raises:
        InputError: not a regular file, not readable, or a damaged position file.
    """

    def __init__(
        self,
        path: Path,
        *,
        stop: Callable[[], bool],
        position_file: Path | None = None,
        at_end: bool = False,
        poll_s: float = 0.25,
        grace_s: float = 1.0,
    ) -> None:
        super().__init__()
        self.path = path
        self.position_file = position_file
        self.position: Position | None = _restore(position_file)
        self.n_dropped_lines = 0
        self._stop = stop
        self._poll_s, self._grace_s = poll_s, grace_s
        self._at_end = at_end
        self._file: _Open | None = None
        self._partial = b""
        self._overlong = False
        self._ready: deque[_Lines] = deque()
        self._notes: deque[str] = deque(maxlen=100)
        self._silent_since = time.monotonic()
        self._first_open()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return whole lines of up to ``size`` bytes, waiting for one; b"" once stopped.

        A line longer than ``size`` comes in pieces. A negative size means what is there.
        """
        if size == 0:
            return b""
        while not (self.closed or self._stop()):
            if self._ready:
                return self._take(size if size and size > 0 else _CHUNK_BYTES)
            if not self._fill():
                time.sleep(self._poll_s)
        return b""

    def read1(self, size: int = -1) -> bytes:
        """Return what ``read`` returns."""
        return self.read(size)

    def readinto(self, buffer: object) -> int:
        """Fill a buffer with what ``read`` returns (for ``io`` wrappers)."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self) -> bytes:
        """Return the first lines that ``read`` will return, waiting for one; b"" once stopped."""
        while not (self._ready or self.closed or self._stop()):
            if not self._fill():
                time.sleep(self._poll_s)
        return self._ready[0].data[:_HEADER_BYTES] if self._ready else b""

    def take_notes(self) -> list[str]:
        """Return what happened to the file since the last call, oldest first."""
        notes = list(self._notes)
        self._notes.clear()
        return notes

    def save(self) -> None:
        """Write the position so that it is the old or the new one, whatever happens.

        Call it after everything that was made from the lines returned so far is safe.

        Raises:
            InputError: the file cannot be written.
        """
        if self.position_file is None or self.position is None:
            return
        content = {"format_version": _FORMAT_VERSION, **asdict(self.position)}
        new = self.position_file.with_name(f".{self.position_file.name}.new")
        try:
            with new.open("w") as stream:
                json.dump(content, stream)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self.position_file)
        except OSError as err:
            raise InputError(f"{self.position_file}: cannot be written: {err.strerror}") from err

    def close(self) -> None:
        """Close the file; the position stays."""
        if not self.closed:
            self._close_file()
        super().close()

    def _take(self, size: int) -> bytes:
        lines = self._ready[0]
        if len(lines.data) <= size:
            self._ready.popleft()
            self.position = lines.file.position(lines.end)
            return lines.data
        cut = lines.data.rfind(b"\n", 0, size) + 1
        data = lines.data[: cut or size]
        lines.data = lines.data[len(data) :]
        lines.start += len(data)
        if cut and lines.start > 0:
            self.position = lines.file.position(lines.start)
        return data

    def _fill(self) -> bool:
        """Read some of the file; return False where there is nothing to do but wait."""
        if self._file is None:
            return self._open(self.path)
        try:
            return self._read_more(self._file)
        except OSError as err:
            raise InputError(f"{self.path}: cannot be read: {err.strerror}") from err

    def _read_more(self, file: _Open) -> bool:
        if self._began_anew(file):
            self._notes.append(f"{self.path}: was truncated; reading it from its start")
            self._partial, self._overlong = b"", False
            self._file = file = _Open(file.fd, file.device, file.inode)
        chunk = os.pread(file.fd, _CHUNK_BYTES, file.offset)
        if chunk:
            self._silent_since = time.monotonic()
            self._accept(chunk, file)
            return True
        return self._rotate(file)

    def _began_anew(self, file: _Open) -> bool:
        if os.fstat(file.fd).st_size < file.offset:
            return True
        return os.pread(file.fd, len(file.head), 0) != file.head

    def _accept(self, chunk: bytes, file: _Open) -> None:
        file.offset += len(chunk)
        if len(file.head) < _HEAD_BYTES:
            file.head = os.pread(file.fd, min(_HEAD_BYTES, file.offset), 0)
        if self._overlong:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return
            self._overlong = False
        start = file.offset - len(chunk) - len(self._partial)
        whole, newline, rest = (self._partial + chunk).rpartition(b"\n")
        if newline:
            self._queue(whole + newline, file, start)
        self._partial = rest
        if len(rest) > MAX_LINE_BYTES:
            self._drop_line()
            self._partial, self._overlong = b"", True

    def _queue(self, data: bytes, file: _Open, start: int) -> None:
        end = start + len(data)
        first = data.find(b"\n") + 1
        if first > MAX_LINE_BYTES:  # only the first can be: the others are within one chunk
            self._drop_line()
            data, start = data[first:], start + first
        if data:
            self._ready.append(_Lines(data, file, start, end))

    def _drop_line(self) -> None:
        self.n_dropped_lines += 1
        self._notes.append(f"{self.path}: a line over {MAX_LINE_BYTES} bytes was left out")

    def _rotate(self, file: _Open) -> bool:
        """At a file's end: go on to the new one if there is one and the old one is silent."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        if (now.st_dev, now.st_ino) == (file.device, file.inode):
            return False
        if time.monotonic() - self._silent_since < self._grace_s:
            return False
        if self._partial:  # its writer has gone without ending the line
            data = self._partial + b"\n"
            self._ready.append(_Lines(data, file, file.offset - len(data) + 1, file.offset))
        self._partial, self._overlong = b"", False
        self._close_file()
        self._notes.append(f"{self.path}: was rotated; reading the new file")
        self._open(self.path)
        return True

    def _first_open(self) -> None:
        saved = self.position
        if saved is None:
            if self._open(self.path, strict=True) and self._at_end and self._file is not None:
                self._skip_to_end(self._file)
            return
        for candidate in _by_inode(self.path, saved):
            if self._open(candidate) and self._file is not None:
                file = self._file
                head = os.pread(file.fd, saved.head_bytes, 0)
                size = os.fstat(file.fd).st_size
                if sha256(head).hexdigest() == saved.head_sha256 and size >= saved.offset:
                    self._resume(file, saved.offset)
                    return
                self._close_file()
        self._notes.append(f"{self.path}: the file read before is gone; starting anew")
        self.position = None
        self._open(self.path, strict=True)

    def _skip_to_end(self, file: _Open) -> None:
        size = os.fstat(file.fd).st_size
        tail = os.pread(file.fd, MAX_LINE_BYTES, max(0, size - MAX_LINE_BYTES))
        self._resume(file, size - len(tail) + tail.rfind(b"\n") + 1)

    def _resume(self, file: _Open, offset: int) -> None:
        """Go on at ``offset``, but give the reader the header lines of the file again."""
        file.offset = offset
        file.head = os.pread(file.fd, min(_HEAD_BYTES, offset), 0)
        header = b""
        for line in os.pread(file.fd, min(_HEADER_BYTES, offset), 0).splitlines(keepends=True):
            if not line.startswith(b"#") or not line.endswith(b"\n"):
                break
            header += line
        if header:
            self._ready.append(_Lines(header, file, -len(header), offset))

    def _open(self, path: Path, *, strict: bool = False) -> bool:
        """Open a file; return False where there is none (yet), or none that we may read."""
        try:
            # O_NONBLOCK: a named pipe must not stop us for ever
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as err:
            if strict:
                raise InputError(f"{path}: cannot be opened: {err.strerror}") from err
            return False
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            os.close(fd)
            raise InputError(f"{path}: not a regular file; only those can be followed")
        self._file = _Open(fd, info.st_dev, info.st_ino)
        self._silent_since = time.monotonic()
        return True

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file.fd)
            self._file = None


def _restore(file: Path | None) -> Position | None:
    if file is None:
        return None
    try:
        with file.open("rb") as stream:
            content = json.loads(stream.read(_MAX_POSITION_BYTES))
        if content.pop("format_version") != _FORMAT_VERSION:
            raise ValueError("unknown format_version")
        position = Position(**content)
        kinds = {f.name: str if f.name == "head_sha256" else int for f in fields(Position)}
        if not all(type(getattr(position, name)) is kind for name, kind in kinds.items()):
            raise ValueError("a field of the wrong type")
        if position.offset < 0 or not 0 <= position.head_bytes <= _HEAD_BYTES:
            raise ValueError("a number out of range")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise InputError(
            f"{file}: not a saved position ({str(err)[:80]}); delete it to begin anew"
        ) from err
    except OSError as err:
        raise InputError(f"{file}: cannot be read: {err.strerror}") from err
    return position


def _by_inode(path: Path, saved: Position) -> list[Path]:
    """Return the log if it is still the saved file, else what it was renamed to in its folder."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.absolute().parent):
            with contextlib.suppress(OSError):
                info = entry.stat()
                same = (info.st_dev, info.st_ino) == (saved.device, saved.inode)
                if same and stat.S_ISREG(info.st_mode):
                    found.append(Path(entry.path))
    return found
