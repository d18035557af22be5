"""AFL++'s side of our mutator, run by the Python that afl-fuzz was built with.

A copy of this file alone is what that Python sees: the standard library only, and nothing newer
than Python 3.9. What to mutate and how is decided by the process at the other end of a socket,
whose path is in the file ``socket`` beside this one.

References:
    AFL++ 4.04c, docs/custom_mutators.md.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from pathlib import Path

MUTANTS = 128
"""Mutants of one seed before AFL++ chooses the next one: a few rounds."""
NEW_COUNTS, NEW_EDGES, NEW_CRASH = range(3)
"""What a mutant did that was told of: edges more often than ever, new ones, a crash not seen."""
_MOST_PARTS = 4096
_MOST_BYTES = 1 << 26


class Line:
    """A connection that carries lists of byte strings.

    Args:
        connection: an open socket; closed by ``close``.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def send(self, parts: list[bytes]) -> None:
        """Send a list of byte strings."""
        sizes = struct.pack(f"!{len(parts) + 1}I", len(parts), *map(len, parts))
        self._socket.sendall(sizes + b"".join(parts))

    def take(self) -> list[bytes]:
        """Return the next list.

        Raises:
            ConnectionError: the other end is gone, or sends what is no such list.
        """
        (n,) = struct.unpack("!I", self._read(4))
        if n > _MOST_PARTS:
            raise ConnectionError("too many parts")
        sizes = struct.unpack(f"!{n}I", self._read(4 * n))
        if sum(sizes) > _MOST_BYTES:
            raise ConnectionError("too many bytes")
        return [self._read(size) for size in sizes]

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise ConnectionError("the other end is gone")
        return data


class Asker:
    """Asks for mutants a round at a time, and tells which of the last round were kept.

    Args:
        path: of the socket.

    Attributes:
        name: of the seed that is mutated.
        known: edges touched so far, 0 where that is not known.
    """

    def __init__(self, path: str) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        self._line = Line(connection)
        self.name = b""
        self.known = 0
        self._mutants: list[bytes] = []
        self._given = 0
        self._kept: list[bytes] = []

    @property
    def at_end(self) -> bool:
        """Whether the next mutant begins a round, so that its seed counts."""
        return self._given == len(self._mutants)

    def fuzz(self, seed: bytes | bytearray, max_size: int) -> bytes:
        """Return the next mutant; ``seed`` is heeded where a round begins."""
        if self.at_end:
            numbers = [str(n).encode() for n in (max_size, self._given, self.known)]
            self._line.send([self.name, bytes(seed), *numbers, *self._kept])
            self._mutants = self._line.take()
            self._given, self._kept = 0, []
        self._given += 1
        return self._mutants[self._given - 1]

    def keep(self, name: bytes, what: int) -> None:
        """Note that the last mutant was kept, and what it did."""
        if self._given:
            self._kept.append(f"{self._given - 1} {what:d} ".encode() + name)

    def close(self) -> None:
        """Hang up."""
        self._line.close()


_ours: list[Asker] = []
_crashes: dict[str, int] = {}


def _number(path: str) -> bytes:
    """Return ``id:000012`` of an entry of AFL++'s queue; of a first seed, its file's name."""
    name = Path(path).name
    first = name.split(",orig:")[1:]
    return (first[0] if first else name.split(",")[0]).split(",")[0].encode()


def init(seed: int) -> None:
    """Begin; the seed of chance is the other end's affair."""
    del seed
    _ours.append(Asker(Path(__file__).with_name("socket").read_text(encoding="utf-8")))


def queue_get(filename: str) -> bool:
    """Note which seed is next, and whether the last one's mutants crashed in a new way."""
    folder = Path(filename).parent.parent / "crashes"
    before, now = _crashes.get(str(folder)), sum(1 for _ in folder.iterdir())
    _crashes[str(folder)] = now
    if before is not None and now > before:
        _ours[0].keep(b"crash", NEW_CRASH)
    _ours[0].name = _number(filename)
    return True


def fuzz_count(buf: bytearray) -> int:
    """Return how many mutants of the seed shall be run."""
    del buf
    return MUTANTS


def fuzz(buf: bytearray, add_buf: bytearray, max_size: int) -> bytearray:
    """Return a mutant; where nobody is left to make one, end the run."""
    del add_buf
    try:
        return bytearray(_ours[0].fuzz(buf, max_size))
    except OSError:
        os.kill(os.getpid(), signal.SIGTERM)
        return buf


def queue_new_entry(new: str, old: str | None) -> bool:
    """Note that the last mutant was kept; its name says whether it has new edges."""
    if old is not None:
        _ours[0].keep(_number(new), NEW_EDGES if new.endswith("+cov") else NEW_COUNTS)
    return False


def deinit() -> None:
    """End."""
    _ours.pop().close()
