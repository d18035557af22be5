"""The process that runs a Python target: fuzzed by atheris, or called again one input at a time.

Started as ``python -m inoculate.fuzzing.running.python_child CONFIG``, a JSON file; not for users.

References:
    Google, Atheris 3, README, "Custom mutators". LLVM, libFuzzer, "Options".
"""

import contextlib
import ctypes
import faulthandler
import hashlib
import json
import math
import mmap
import os
import re
import resource
import signal
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inoculate.fuzzing.endings.crashes import Ending
from inoculate.fuzzing.running.afl_module import NEW_COUNTS, NEW_CRASH, NEW_EDGES, Asker, Line
from inoculate.fuzzing.running.limits import Watch
from inoculate.fuzzing.running.python_calls import (
    HANG,
    Form,
    Function,
    Lines,
    forget,
    form_of,
    found,
)

HEAD = struct.Struct("=QQ")
"""What stands before the input in the file of the last one: number of the call, size or -1."""
IDLE = (1 << 64) - 1
_REJECTED = -1
_KEPT_OF_ONE = 3
_KEPT_OF_ALL = 500
_LOG_BYTES = 4 << 20
_COVERED = re.compile(rb"\bcov: (\d+)")
_UNSTOPPED, _IDLE_S = 4.0, 1.0


class Fuzzed:
    """What atheris calls: makes inputs, runs them and notes what ended badly.

    Args:
        config: see ``main``.
        function: the target.
        log: descriptor of the file that libFuzzer writes to.
    """

    def __init__(self, config: dict[str, Any], function: Function, log: int) -> None:
        self._function = function
        self._log = log
        self._corpus = Path(config["corpus"])
        self._crashes = Path(config["crashes"])
        self._asker = Asker(config["socket"])
        self._known = {path.name for path in self._corpus.iterdir()}
        names = [path.name.split("-")[0] for path in self._crashes.iterdir()]
        self._seen, self._kept = Counter(names), len(names)
        self._last: bytes | None = None
        self._bad: list[str] = []
        self._refused: set[str] = set()
        self._offered = b"", b""
        self._calls = 0
        with Path(config["last"]).open("r+b") as file:
            self._shown = mmap.mmap(file.fileno(), 0)

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Return the next mutant; libFuzzer's seed counts where a round begins."""
        del seed
        self._refuse()
        if self._last is not None:
            name = _name(self._last)
            if name not in self._known and (self._corpus / name).exists():
                self._known.add(name)
                more = self._more_covered()
                self._asker.keep(name.encode(), NEW_EDGES if more else NEW_COUNTS)
        if self._asker.at_end:
            if (name := _name(data)) not in self._refused or not self._offered[0]:
                self._offered = name.encode(), bytes(data)
            self._asker.name = self._offered[0]
        try:
            self._last = self._asker.fuzz(self._offered[1], max_size)
        except OSError:
            os._exit(0)  # the run is over
        return self._last

    def run(self, data: bytes) -> int:
        """Run one input; return -1 where it ended badly, so that it is not mutated further."""
        self._calls += 1
        HEAD.pack_into(self._shown, 0, self._calls, len(data))
        self._shown[HEAD.size : HEAD.size + len(data)] = data
        ending = self._function(data)
        HEAD.pack_into(self._shown, 0, self._calls, IDLE)
        if ending is None:
            return 0
        self._note(ending, data)
        self._bad.append(_name(data))
        return _REJECTED

    def _refuse(self) -> None:
        """Take what ended badly out of the corpus.

        Atheris 3.0.0 keeps what covers more even where it was rejected.
        """
        for name in self._bad:
            kept = self._corpus / name
            if name not in self._refused and kept.exists():
                kept.unlink()
                self._refused.add(name)
                self._last = None
        self._bad.clear()

    def _note(self, ending: Ending, data: bytes) -> None:
        key = ending.key
        self._seen[key] += 1
        if self._seen[key] == 1:
            self._asker.keep(b"crash", NEW_CRASH)
        if self._seen[key] > _KEPT_OF_ONE or self._kept >= _KEPT_OF_ALL:
            return
        self._kept += 1
        name = f"{key}-{hashlib.sha256(data).hexdigest()[:16]}"
        fresh = self._crashes.with_name(f".{name}.new")
        fresh.write_bytes(data)
        fresh.replace(self._crashes / name)

    def _more_covered(self) -> bool:
        """Return whether libFuzzer tells of more edges than it did when last asked."""
        size = os.fstat(self._log).st_size
        tail = os.pread(self._log, 1 << 12, max(size - (1 << 12), 0))
        if size > _LOG_BYTES:
            os.ftruncate(self._log, 0)
        told = _COVERED.findall(tail)
        before, now = self._asker.known, int(told[-1]) if told else 0
        self._asker.known = max(before, now)
        return now > before


def _name(data: bytes) -> str:
    """Return what libFuzzer calls an input."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def main() -> None:
    """Read the configuration and do what it says.

    It holds ``function``, ``form``, ``timeout_s``, ``memory_bytes``, ``expected``, ``path`` (more
    places of modules); to fuzz also ``socket``, ``corpus``, ``seeds``, ``crashes``, ``last``,
    ``log``, ``max_len``, ``seconds``; to replay ``line``, a descriptor, and ``trace``, whether
    what inputs pass is asked for.
    """
    config = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path[:0] = config["path"]
    if "line" in config:
        _replay(config)
    else:
        _fuzz(config)


def _function(config: dict[str, Any]) -> Function:
    form: Form = config["form"]
    return Function(
        config["function"],
        form=form,
        timeout_s=config["timeout_s"],
        expected=config["expected"],
    )


def _fuzz(config: dict[str, Any]) -> None:
    import atheris

    log = os.open(config["log"], os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    top = config["function"].replace(":", ".").split(".")[0]
    forget(top)
    with atheris.instrument_imports(include=[top]):
        function = _function(config)
    fuzzed = Fuzzed(config, function, log)
    arguments = [
        sys.argv[0], "-mutate_depth=1", "-reduce_inputs=0", "-reload=0", "-len_control=0",
        "-timeout=1000000", "-rss_limit_mb=0", "-malloc_limit_mb=0", "-print_final_stats=0",
        f"-max_len={config['max_len']}", f"-max_total_time={config['seconds']}",
        "-artifact_prefix=./", config["corpus"], config["seeds"],
    ]  # fmt: skip
    atheris.Setup(arguments, fuzzed.run, custom_mutator=fuzzed.mutate)
    _hold_memory(config)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    atheris.Fuzz()


def _hold_memory(config: dict[str, Any]) -> None:
    """Allow so much more memory than what is mapped now; then Python raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * mmap.PAGESIZE + config["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _replay(config: dict[str, Any]) -> None:
    """Answer inputs with how they end, each in a process of its own."""
    line = Line(socket.socket(fileno=config["line"]))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    try:
        call = found(config["function"])
        if config["form"] == "auto":
            config["form"] = form_of(call, bytes.fromhex(config["first"]))
        function = _function(config)
    except BaseException as err:
        line.send([b"", f"{type(err).__name__}: {err}".encode(errors="replace")])
        return
    line.send([b"ready", config["form"].encode()])
    os.dup2(nowhere, 2)
    while True:
        try:
            (data,) = line.take()
        except OSError:
            return
        line.send([_answer(config, function, data)])


def _answer(config: dict[str, Any], function: Function, data: bytes) -> bytes:
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as fault:
        child = os.fork()
        if child == 0:
            _in_child(config, function, data, told.fileno(), fault.fileno())
        code, timed_out = _wait(child, config["timeout_s"])
        told.seek(0)
        fault.seek(0)
        said = fault.read(1 << 16).decode("utf-8", "replace")
        answer = {"code": code, "timed_out": timed_out, "said": said}
        if code == 0:
            answer["passed" if config["trace"] else "ending"] = json.loads(told.read() or b"null")
        return json.dumps(answer).encode()


def _in_child(
    config: dict[str, Any], function: Function, data: bytes, into: int, fault: int
) -> None:
    """Call the function, write down how it ended, and end."""
    try:
        os.close(config["line"])  # or what the target leaves behind holds it open
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: die with who asked
        _hold_memory(config)
        faulthandler.enable(fault)
        # what no signal handler in Python can interrupt still ends, and tells where
        faulthandler.register(signal.SIGXCPU, fault, chain=True)
        most = 2 + math.ceil(2 * config["timeout_s"])
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        with Lines(function.top) if config["trace"] else contextlib.nullcontext() as lines:
            ending = function(data)
        resource.setrlimit(resource.RLIMIT_AS, resource.getrlimit(resource.RLIMIT_AS)[1:] * 2)
        told: Any = asdict(ending) if ending else None
        if lines is not None:  # of one without an end, what it passed says nothing
            told = None if ending and ending.kind == HANG else lines.passed
        written = json.dumps(told)
        os.write(into, written.encode("utf-8", "replace"))
        os._exit(0)
    finally:
        os._exit(111)


def _wait(child: int, timeout_s: float) -> tuple[int, bool]:
    """Return how a child ended, and whether it had to be killed."""
    watch = Watch(child, cpu_s=_UNSTOPPED * (timeout_s + 1), idle_s=timeout_s + _IDLE_S)
    timed_out = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), timed_out
        if not timed_out and watch.is_over():
            timed_out = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


if __name__ == "__main__":
    main()
