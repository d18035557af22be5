"""Answers a fuzzer in another process that asks for mutants, over a Unix socket."""

import contextlib
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from inoculate.fuzzing.running.afl_module import NEW_CRASH, Line
from inoculate.fuzzing.running.rounds import Kept, Rounds

_WAIT_S = 0.2


class MutationServer:
    """One thread that answers one fuzzer at a time; a context manager.

    Args:
        rounds: what makes the mutants; not to be touched without ``lock`` meanwhile.

    Attributes:
        path: of the socket, in a folder of its own that only this user may enter.
        lock: held while a request is answered.
        failed: what ended the thread, None while all is well.
    """

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds
        self.lock = threading.Lock()
        self.failed: BaseException | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="inoculate-"))
        self.path = self._folder / "socket"
        self._stopping = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="mutations", daemon=True)

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.listen(1)
        self._socket.settimeout(_WAIT_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)
        self.clear()

    def clear(self) -> None:
        """Give up the socket, also where it was never served."""
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    connection, _ = self._socket.accept()
                except TimeoutError:
                    continue
                with connection:
                    self._answer(connection)
        except BaseException as err:
            self.failed = err

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        watcher = threading.Thread(target=self._hang_up, args=(connection,), daemon=True)
        watcher.start()
        line = Line(connection)
        with contextlib.closing(line), contextlib.suppress(OSError):
            while not self._stopping.is_set():
                line.send(self._mutants(_Request.of(line.take())))

    def _hang_up(self, connection: socket.socket) -> None:
        self._stopping.wait()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _mutants(self, asked: "_Request") -> list[bytes]:
        with self.lock:
            self.rounds.settle(asked.ran, asked.kept)
            self.rounds.known = asked.known or self.rounds.known
            return self.rounds.make(asked.name, asked.data, max_size=asked.max_size)


@dataclass(frozen=True, slots=True)
class _Request:
    """What a fuzzer asks: mutants of a seed; and tells: what became of the last ones."""

    name: str
    data: bytes
    max_size: int
    ran: int
    known: int
    kept: tuple[Kept, ...]

    @classmethod
    def of(cls, parts: list[bytes]) -> "_Request":
        """Read it.

        Raises:
            ConnectionError: it is none; who sends that is no fuzzer of ours.
        """
        try:
            name, data, max_size, ran, known, *kept = parts
            told = tuple(Kept(*_kept(one)) for one in kept)
            return cls(name.decode("ascii"), data, int(max_size), int(ran), int(known), told)
        except ValueError as err:
            raise ConnectionError("no request for mutants") from err


def _kept(part: bytes) -> tuple[int, str, int]:
    index, what, name = part.split(b" ")
    if not 0 <= int(what) <= NEW_CRASH:
        raise ValueError("a mutant did what none can do")
    return int(index), name.decode("ascii"), int(what)
