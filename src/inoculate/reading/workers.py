"""Processes that look at hostile bytes in our place, limited in memory, time and rights.

A worker imports one function, gives up the right to open or write files, and answers one
request after another. What it sends back is bytes with their length, never pickle: a worker
that parsed hostile bytes may be theirs by then. A request that crashes its worker, runs out of
time or answers too much is a ``WorkerError``, and the next request has a new worker.

    python -m inoculate.reading.workers MODULE:FUNCTION MEMORY_BYTES CPU_S

``FUNCTION(mode: int, data: bytes) -> Iterator[bytes]``. Request: mode (4 bytes), length (8 bytes
little endian), data. Answer: each part's length (8 bytes) and bytes, then a length of 2^64 - 1.
"""

import atexit
import contextlib
import fcntl
import importlib
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

_REQUEST = struct.Struct("<IQ")
_LENGTH = struct.Struct("<Q")
_END = (1 << 64) - 1
_PIECE_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20
_START_S = 30.0
_WAITING = 8
_MOST_WAITING_BYTES = 128 << 20


class WorkerError(Exception):
    """A request without an answer; the text says why, in a reader's words."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one request may cost.

    Attributes:
        wall_s: seconds from request to answer; then the worker is killed.
        cpu_s: seconds of processor time.
        memory_bytes: address space of the worker, its libraries (some 300 MB) included.
        answer_bytes: of all parts of an answer together.
    """

    wall_s: float = 20.0
    cpu_s: int = 10
    memory_bytes: int = 2 << 30
    answer_bytes: int = 8 << 20


class Workers:
    """A few workers for one function; safe to share between threads.

    Args:
        function: ``module:function``, imported by each worker.
        n_workers: processes, started when first needed.
        limits: of each request.
    """

    def __init__(
        self, function: str, *, n_workers: int = 2, limits: WorkerLimits | None = None
    ) -> None:
        self._function = function
        self._limits = limits or WorkerLimits()
        self._n = max(1, n_workers)
        self._idle: deque[_Worker] = deque()
        self._threads = ThreadPoolExecutor(self._n, thread_name_prefix="worker")

    def ask(self, mode: int, data: bytes | memoryview) -> list[bytes]:
        """Return the parts of one answer.

        Raises:
            WorkerError: no answer: a crash, a limit, or an answer that breaks the protocol.
        """
        try:
            worker = self._idle.popleft()
        except IndexError:
            worker = _Worker(self._function, self._limits)
        try:
            parts = worker.ask(mode, data)
        except BaseException:
            worker.close()
            raise
        self._idle.append(worker)
        return parts

    def ask_all(
        self, requests: Iterable[tuple[int, bytes]]
    ) -> Iterator[tuple[list[bytes] | None, str]]:
        """Yield the answer to each request in order, or None and why there is none.

        Some requests wait beside those being looked at, so that no worker is idle while the
        caller thinks: at most eight a worker, and of ``_MOST_WAITING_BYTES`` together.
        """
        waiting: deque[tuple[int, Future[list[bytes]]]] = deque()
        held = 0
        try:
            for mode, data in requests:
                waiting.append((len(data), self._threads.submit(self.ask, mode, data)))
                held += len(data)
                while len(waiting) >= _WAITING * self._n or held > _MOST_WAITING_BYTES:
                    size, future = waiting.popleft()
                    yield _result(future)
                    held -= size
            for _, future in waiting:
                yield _result(future)
        finally:
            for _, future in waiting:
                future.cancel()

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._idle.popleft().close()


def shared_workers(function: str, limits: WorkerLimits | None = None) -> Workers:
    """Return the two workers for a function that live as long as this process."""
    return _shared(function, limits, os.getpid())


@cache
def _shared(function: str, limits: WorkerLimits | None, _pid: int) -> Workers:
    workers = Workers(function, limits=limits)
    atexit.register(workers.close)
    return workers


def _result(future: Future[list[bytes]]) -> tuple[list[bytes] | None, str]:
    try:
        return future.result(), ""
    except WorkerError as err:
        return None, str(err)


class _Worker:
    """One process and the two pipes to it."""

    def __init__(self, function: str, limits: WorkerLimits) -> None:
        self._limits = limits
        given = (function, str(limits.memory_bytes), str(limits.cpu_s))
        # -P: a folder that is scanned may hold a numpy.py of its own
        command = [sys.executable, "-P", "-m", __name__, *given]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, **quiet},
        )
        assert self._process.stdin and self._process.stdout  # noqa: S101 - for the type checker
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for fd in (self._in, self._out):
            os.set_blocking(fd, False)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._until = time.monotonic() + _START_S
        try:
            self._read(1)
        except WorkerError as err:
            self.close()
            raise WorkerError(f"the worker for {function} does not start") from err

    def ask(self, mode: int, data: bytes | memoryview) -> list[bytes]:
        self._until = time.monotonic() + self._limits.wall_s
        self._write(_REQUEST.pack(mode, len(data)))
        self._write(data)
        parts: list[bytes] = []
        left = self._limits.answer_bytes
        while (size := _LENGTH.unpack(self._read(_LENGTH.size))[0]) != _END:
            left -= size + _LENGTH.size
            if left < 0:
                raise WorkerError(f"its answer is over {self._limits.answer_bytes} bytes")
            parts.append(self._read(size))
        return parts

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            self._wait(self._in, select.POLLOUT)
            try:
                rest = rest[os.write(self._in, rest[:_PIECE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as err:
                raise WorkerError(f"the parser ended early{self._death()}") from err

    def _read(self, size: int) -> bytes:
        pieces, have = [], 0
        while have < size:
            self._wait(self._out, select.POLLIN)
            try:
                piece = os.read(self._out, min(_PIECE_BYTES, size - have))
            except BlockingIOError:
                continue
            if not piece:
                raise WorkerError(f"the parser ended early{self._death()}")
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)

    def _wait(self, fd: int, event: int) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = self._until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise WorkerError(f"the parser took over {self._limits.wall_s:g} s")

    def _death(self) -> str:
        """Return how the process ended, in words."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return ""
        if code == -signal.SIGXCPU:
            return f": over {self._limits.cpu_s} s of processor time"
        return f": signal {-code}" if code < 0 else f": exit code {code}"


def _serve(function: str, memory_bytes: int, cpu_s: int) -> None:
    """Answer requests from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    module, _, name = function.partition(":")
    answer: Callable[[int, bytearray], Iterator[bytes]] = getattr(
        importlib.import_module(module), name
    )
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # what a library prints must not look like an answer
    os.close(null)
    _limit(memory_bytes)
    os.write(out, b"+")
    while head := _exactly(_REQUEST.size):
        mode, size = _REQUEST.unpack(head)
        _limit_cpu(cpu_s)
        for part in answer(mode, _exactly(size)):
            _send(out, part)
        _all(out, _LENGTH.pack(_END))


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # the next free descriptor is the limit: nothing more can be opened, no file and no socket
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, first_free))


def _limit_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _exactly(size: int) -> bytearray:
    """Return so many bytes of standard input, none at its end."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        n = os.readv(0, [view[have : have + _PIECE_BYTES]])
        if not n:
            return bytearray()
        have += n
    return data


def _send(out: int, part: bytes) -> None:
    _all(out, _LENGTH.pack(len(part)))
    _all(out, part)


def _all(out: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(out, rest) :]


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
