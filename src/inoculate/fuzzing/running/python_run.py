"""Python functions: atheris with our mutations, and single inputs called again.

Both run in processes of their own (``python_child``), under limits and without network.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import inoculate
from inoculate.errors import InputError, MissingExtraError
from inoculate.fuzzing.endings.crashes import Ending, Frame
from inoculate.fuzzing.running.afl_module import Line
from inoculate.fuzzing.running.engine import Engine
from inoculate.fuzzing.running.journal import write_whole
from inoculate.fuzzing.running.limits import Limits, Watch, end_all, end_group, environment, fenced
from inoculate.fuzzing.running.python_child import HEAD, IDLE

_CHILD = "inoculate.fuzzing.running.python_child"
_FAULT = re.compile(r'(?m)^  File "([^"\n]*)", line (\d{1,9}) in ([^\n]*)$')
_NAME = re.compile(r"[0-9a-f]{40}")
_START_S = 60.0
_UNCAUGHT = 248
_UNSTOPPED, _IDLE_S = 4.0, 1.0
_UNCOVERED = "no interesting inputs were found"


@dataclass(frozen=True, slots=True)
class PythonTarget:
    """A function to fuzz.

    Attributes:
        function: dotted name.
        form: ``bytes``, ``text`` or, until that is found out, ``auto``.
        expected: names of exceptions that are no findings.
        path: folders to look for its module in, before the others.
        limits: of each call.
    """

    function: str
    form: str
    expected: tuple[str, ...]
    path: tuple[str, ...]
    limits: Limits

    @property
    def top(self) -> str:
        """Its top package."""
        return self.function.replace(":", ".").split(".")[0]

    def config(self) -> dict[str, Any]:
        """Return what the child needs to know of it."""
        return {
            "function": self.function,
            "form": self.form,
            "expected": list(self.expected),
            "path": list(self.path),
            "timeout_s": self.limits.timeout_s,
            "memory_bytes": self.limits.memory_bytes,
        }


def _start(
    config: dict[str, Any], folder: Path, mark: str, *, descriptors: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start the child in a temporary folder of its own."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    ours = str(Path(inoculate.__file__).parent.parent)
    theirs = [str(Path(p).absolute()) for p in os.environ.get("PYTHONPATH", "").split(":") if p]
    more = {"PYTHONPATH": ":".join([ours, *theirs]), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(  # noqa: S603 - a list: our own child
        fenced([sys.executable, "-m", _CHILD, str(file)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=work,
        env=environment(work, mark, more),
        pass_fds=descriptors,
        start_new_session=True,
    )


class Caller:
    """The child that calls a function with one input after another, and the line to it.

    Args:
        target: the function.
        folder: temporary, of its own.
        mark: of the run.
        first: a seed, to find out what the function takes.
        trace: it answers with what inputs pass, in place of how they end.

    Attributes:
        form: what the function is called with.

    Raises:
        InputError: there is no such function.
    """

    def __init__(
        self, target: PythonTarget, folder: Path, mark: str, *, first: bytes, trace: bool = False
    ) -> None:
        ours, theirs = socket.socketpair()
        more = {"line": theirs.fileno(), "first": first.hex(), "trace": trace}
        descriptors = (theirs.fileno(),)
        self._process = _start(target.config() | more, folder, mark, descriptors=descriptors)
        theirs.close()
        ours.settimeout(_START_S)
        self._line = Line(ours)
        try:
            state, told = self._line.take()
        except OSError as err:
            self.close()
            raise InputError(f"{target.function}: its module does not finish importing") from err
        if state != b"ready":
            self.close()
            raise InputError(told.decode("utf-8", "replace"))
        self.form = told.decode()
        ours.settimeout(None)

    def ask(self, data: bytes) -> dict[str, Any]:
        """Return what the child tells of an input.

        Raises:
            OSError: the target ended what asked it, too.
        """
        self._line.send([data])
        (packed,) = self._line.take()
        return dict(json.loads(packed))

    def close(self) -> None:
        """End it."""
        self._line.close()
        end_group(self._process.pid)
        self._process.wait()


class PythonReplay:
    """Calls a function with one input after another, each in a process of its own.

    Args:
        target: the function.
        folder: temporary.
        mark: of the run.
        first: a seed, to find out what the function takes.

    Attributes:
        form: what the function is called with.

    Raises:
        InputError: there is no such function.
    """

    def __init__(
        self, target: PythonTarget, folder: Path, mark: str, *, first: bytes = b""
    ) -> None:
        self._target, self._folder, self._mark, self._first = target, folder, mark, first
        self._open()

    def _open(self) -> None:
        self._caller = Caller(self._target, self._folder, self._mark, first=self._first)
        self.form = self._caller.form

    def __call__(self, data: bytes) -> Ending | None:
        """Return how an input ended, None where it ended well."""
        try:
            return self._ending(self._caller.ask(data))
        except OSError:
            self.close()
            self._open()
            return Ending("exit", "the process that called it was ended as well", (), "", _UNCAUGHT)

    def _ending(self, told: dict[str, Any]) -> Ending | None:
        ending = told.get("ending")
        if ending is not None:
            ending["frames"] = tuple(Frame(**frame) for frame in ending["frames"])
            return Ending(**ending)
        code, said = int(told["code"]), str(told["said"])
        if code == 0:
            return None
        frames = tuple(self._frame(*match) for match in _FAULT.findall(said))
        if told["timed_out"] or -code == signal.SIGXCPU:
            return Ending(
                "hang", "ran into the time limit, and could not be stopped", frames, said, 400
            )
        if code > 0:
            return Ending(
                "exit", f"the interpreter was ended with status {code}", frames, said, _UNCAUGHT
            )
        name = signal.Signals(-code).name
        kind = {"SIGSEGV": "SEGV", "SIGABRT": "ABRT", "SIGFPE": "FPE"}.get(name, name)
        cwe = {"SEGV": 119, "ABRT": 617, "FPE": 369}.get(kind)
        return Ending(kind, f"the interpreter was ended by {name}", frames, said, cwe)

    def _frame(self, file: str, line: str, function: str) -> Frame:
        own = f"/{self._target.top}/" in file or Path(file).stem == self._target.top
        return Frame(function, file, int(line), own)

    def close(self) -> None:
        """End it."""
        self._caller.close()


@dataclass(eq=False)
class AtherisRun(Engine):
    """Atheris at work, with its mutants from a ``MutationServer``.

    Args:
        target: to fuzz; its form is known.
        seeds: folder of the first inputs.
        out: folder of the run.
        socket: of the server.
        folder: temporary, where it runs.
        mark: of the run.
        seconds: it ends by itself after so many, even if we are gone.
        max_size: no input is longer.
    """

    target: PythonTarget
    seeds: Path
    out: Path
    socket: Path
    folder: Path
    mark: str
    seconds: int
    max_size: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _watched: tuple[bytes, Watch] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, or start it again.

        Raises:
            MissingExtraError: atheris is not installed.
        """
        if find_spec("atheris") is None:
            raise MissingExtraError("--python needs atheris: pip install 'inoculate[fuzz]'")
        for name in ("corpus", "crashes"):
            (self.out / name).mkdir(exist_ok=True)
        self._last.write_bytes(HEAD.pack(0, IDLE) + bytes(self.max_size))
        told = {
            "socket": str(self.socket),
            "seeds": str(self.seeds),
            "corpus": str(self.out / "corpus"),
            "crashes": str(self.out / "crashes"),
            "log": str(self.out / "atheris.log"),
            "last": str(self._last),
            "max_len": self.max_size,
            "seconds": self.seconds,
        }
        self._process = _start(self.target.config() | told, self.folder, self.mark)
        self._watched = None

    @property
    def _last(self) -> Path:
        return self.out / "last"

    def problem(self) -> str | None:
        """Return why it is no longer at work; None while it is.

        An input that ended or stopped the interpreter is kept among the crashes.
        """
        if self._process is None:
            return None
        if self._process.poll() is None and not self._is_stuck():
            return None
        end_group(self._process.pid)
        self._process.wait()
        number, size = HEAD.unpack(self._last.read_bytes()[: HEAD.size])
        if size != IDLE and size <= self.max_size:
            data = self._last.read_bytes()[HEAD.size : HEAD.size + size]
            name = f"native-{hashlib.sha256(data).hexdigest()[:16]}"
            write_whole(self.out / "crashes" / name, data)
            return ""
        with contextlib.suppress(OSError):
            if _UNCOVERED in (self.out / "atheris.log").read_text("utf-8", "replace")[-8000:]:
                return f"nothing of {self.target.top} is Python that can be instrumented"
        return "" if number else f"{self.target.function}: atheris ended at once; see atheris.log"

    def _is_stuck(self) -> bool:
        head = self._last.read_bytes()[: HEAD.size]
        if self._process is None or HEAD.unpack(head)[1] == IDLE:
            return False
        if self._watched is None or head != self._watched[0]:
            limit = self.target.limits.timeout_s
            watch = Watch(self._process.pid, cpu_s=_UNSTOPPED * (limit + 1), idle_s=limit + _IDLE_S)
            self._watched = head, watch
        return self._watched[1].is_over()

    def stop(self) -> None:
        """End it, and all that it left."""
        process, self._process = self._process, None
        if process is not None:
            end_group(process.pid)
            process.wait()
        end_all(self.mark)

    def candidates(self) -> Iterator[Path]:
        """Yield the inputs that ended badly."""
        yield from sorted(p for p in (self.out / "crashes").glob("*") if not p.name.startswith("."))

    def corpus_size(self) -> int:
        """Return how many inputs are kept, beside the seeds."""
        return sum(1 for _ in (self.out / "corpus").iterdir())

    def input_named(self, name: str) -> Path | None:
        """Return the file of a kept input."""
        return self.out / "corpus" / name if _NAME.fullmatch(name) else None
