"""What every execution of a target is held to: memory, time, files, and no network.

The limits are set by util-linux's ``prlimit`` and ``unshare``, which start the target in their
place; nothing runs between fork and exec in this process, which has threads.

References:
    prlimit(1), unshare(1), setrlimit(2), network_namespaces(7).
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from inoculate.errors import MissingExtraError

MARK = "INOCULATE_FUZZ_RUN"
"""Environment variable by which the processes of a run are known, wherever they went."""
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_FENCES = (
    ("unshare", "--net"),
    ("unshare", "--map-current-user", "--net"),
    ("unshare", "--map-root-user", "--net"),
)
_OPEN_FILES = 256
_FILE_BYTES = 64 << 20
_SAID_BYTES = 256 << 10
_GRACE_S = 2.0
_POLL_S = 0.002
_IDLE_S = 0.5
_MOST_FACTOR, _MOST_S = 20.0, 30.0
_REPORT_S = 60.0
_READS = 64
_REPORTS = (b"Sanitizer", b"runtime error:")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an execution may use.

    Attributes:
        memory_bytes: address space, or resident memory where a sanitizer needs the former.
        timeout_s: wall time of one input.
    """

    memory_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit status; negative for a signal.
        timed_out: it was ended because it took too long.
        said: the end of what it wrote to standard error.
        seconds: wall time.
    """

    code: int
    timed_out: bool
    said: str
    seconds: float


@cache
def network_cut() -> tuple[str, ...]:
    """Return the command that cuts a process off all networks, empty where none may do so."""
    for fence in _FENCES:
        if shutil.which(fence[0]) is None:
            break
        done = subprocess.run(  # noqa: S603 - our own list
            (*fence, "true"), capture_output=True, check=False, timeout=10
        )
        if done.returncode == 0:
            return fence
    return ()


def fenced(
    command: Sequence[str], *, address_space: int | None = None, cpu_s: int | None = None
) -> list[str]:
    """Return a command with our limits around it.

    Args:
        command: program and arguments.
        address_space: bytes it may map; None where a sanitizer maps terabytes.
        cpu_s: processor seconds, after which it is killed even if we are gone.

    Raises:
        MissingExtraError: ``prlimit`` is not installed.
    """
    if shutil.which("prlimit") is None:
        raise MissingExtraError("fuzzing needs prlimit, of the package util-linux, on the PATH")
    limits = ["--core=0", f"--fsize={_FILE_BYTES}", f"--nofile={_OPEN_FILES}"]
    limits += [f"--as={address_space}"] if address_space is not None else []
    limits += [f"--cpu={cpu_s}"] if cpu_s is not None else []
    return [*network_cut(), "prlimit", *limits, *command]


def environment(folder: Path, mark: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a target: few of ours, and homes in a temporary folder."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    place = str(folder)
    return kept | {"HOME": place, "TMPDIR": place, MARK: mark} | dict(more)


def run(
    command: Sequence[str],
    *,
    stdin: bytes | None,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    on_timeout: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run a command to its end, and all that it started.

    Args:
        command: from ``fenced``.
        stdin: what it reads; None for nothing.
        cwd: where it runs.
        env: from ``environment``.
        timeout_s: processor time, or time of waiting, after which it gets ``on_timeout``, and is
            killed a little later. What began to report a crash may finish its report.
        on_timeout: SIGABRT lets a sanitizer tell where it was.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as given:
        given.write(stdin or b"")
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - a list, of what the user named
            list(command),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    assert process.stderr is not None  # noqa: S101 - asked for above
    with process.stderr as stream:
        os.set_blocking(stream.fileno(), False)
        heard = _Heard(stream)
        timed_out = _attend(process, heard, timeout_s, on_timeout)
    end_group(process.pid)
    return Ended(process.wait(), timed_out, heard.text, time.monotonic() - began)


class _Heard:
    """The end of what a process writes to standard error."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._parts: deque[bytes] = deque()
        self._size = 0
        self.reports = False

    def listen(self) -> bool:
        """Take what there is, but not for ever; return whether there was anything."""
        for _ in range(_READS):
            part = self._stream.read(1 << 16)
            if not part:
                return False
            self._parts.append(part)
            self._size += len(part)
            self.reports = self.reports or any(word in part for word in _REPORTS)
            while self._size - len(self._parts[0]) >= _SAID_BYTES:
                self._size -= len(self._parts.popleft())
        return True

    @property
    def text(self) -> str:
        """What was heard, as text."""
        return b"".join(self._parts).decode("utf-8", "replace")


def _attend(
    process: subprocess.Popen[bytes], heard: _Heard, timeout_s: float, on_timeout: signal.Signals
) -> bool:
    """Listen until the process ends or is ended; return whether it took too long.

    A child of it that holds its output open is not waited for.
    """
    watch = Watch(process.pid, cpu_s=timeout_s, idle_s=timeout_s + _IDLE_S)
    deadline = time.monotonic() + _MOST_FACTOR * timeout_s + _MOST_S
    reported = killed_at = None
    while process.poll() is None:
        heard.listen()
        now = time.monotonic()
        if heard.reports and reported is None:
            reported = now
        if killed_at is None:
            over = watch.is_over() if reported is None else now - reported > _REPORT_S
            if over or now > deadline:
                end_group(process.pid, on_timeout)
                killed_at = now
        elif now - killed_at > (_GRACE_S if reported is None else _REPORT_S):
            end_group(process.pid)
        time.sleep(_POLL_S)
    heard.listen()
    return killed_at is not None


def end_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to all processes of a group, where there are any."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def processes_of(mark: str) -> Iterator[int]:
    """Yield the processes that carry a run's mark, ourselves left out."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def end_all(mark: str) -> None:
    """Kill what a run left behind, also what made itself a session of its own."""
    for _ in range(3):
        found = list(processes_of(mark))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.05)


class Watch:
    """Tells when a process will not end by itself, however busy the machine is.

    Wall time alone would take a slow machine for a slow program.

    Args:
        pid: of the process.
        cpu_s: processor time from now on after which it is over.
        idle_s: wall time without any processor time after which it is over: it waits.
    """

    def __init__(self, pid: int, *, cpu_s: float, idle_s: float) -> None:
        self._pid, self._cpu_s, self._idle_s = pid, cpu_s, idle_s
        self._first = self._last = cpu_seconds(pid)
        self._moved = time.monotonic()

    def is_over(self) -> bool:
        """Return whether it has used up its time; to be asked now and then."""
        state, used = _state(self._pid)
        now = time.monotonic()
        # one that could run and is not let to does not wait
        if used != self._last or state == "R":
            self._last, self._moved = used, now
        return used - self._first > self._cpu_s or now - self._moved > self._idle_s


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, 0 when it is gone."""
    return _state(pid)[1]


def _state(pid: int) -> tuple[str, float]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return "", 0.0


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
