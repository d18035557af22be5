"""Native programs: AFL++ with our mutations, and single inputs run again under the same limits.

References:
    Fioraldi et al., "AFL++: Combining Incremental Steps of Fuzzing Research", WOOT 2020.
    AFL++ 4.04c, docs/env_variables.md and docs/custom_mutators.md.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inoculate.errors import InputError, MissingExtraError
from inoculate.fuzzing.endings.crashes import Ending
from inoculate.fuzzing.endings.sanitizers import SYMBOLS, ending_of
from inoculate.fuzzing.running import afl_module
from inoculate.fuzzing.running.engine import Engine
from inoculate.fuzzing.running.journal import write_whole
from inoculate.fuzzing.running.limits import (
    Limits,
    end_all,
    end_group,
    environment,
    fenced,
    processes_of,
    resident_bytes,
    run,
)

PLACEHOLDER = "@@"
_INSTRUMENTED = b"__AFL_SHM_ID"
_SANITIZED = (b"__asan_init", b"__msan_init", b"__hwasan_init")
_UNDEFINED = b"__ubsan_handle"
_ELF = b"\x7fELF"
_MODULE = "inoculate_mutations"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NAME = re.compile(r"id:\d{6}|[0-9a-f]{40}")
_ABORT = "PROGRAM ABORT"
_STATS = re.compile(rb"start_time +: \d+\nlast_update +: \d+\n")
_STOP_S = 10.0
_CPU_FACTOR = 2
_LEAST_CPU_S = 2


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled program.

    Attributes:
        path: of the file.
        arguments: of its command line; ``@@`` stands for the input's file, and without it the
            input is its standard input.
        instrumented: whether AFL++ sees what it does.
        sanitized: whether it has a sanitizer that maps more memory than a limit may allow.
    """

    path: Path
    arguments: tuple[str, ...]
    instrumented: bool
    sanitized: bool

    @classmethod
    def open(cls, path: Path, arguments: Sequence[str]) -> "Program":
        """Look at a file.

        Raises:
            InputError: it is no ELF program that may be run.
        """
        try:
            data = path.read_bytes()
        except OSError as err:
            raise InputError(f"{path}: cannot be read: {err.strerror}") from err
        if not data.startswith(_ELF) or not os.access(path, os.X_OK):
            raise InputError(
                f"{path}: no ELF program that may be run; name the program itself, not a script"
            )
        sanitized = any(mark in data for mark in _SANITIZED)
        return cls(path.absolute(), tuple(arguments), _INSTRUMENTED in data, sanitized)

    def check_instrumented(self) -> None:
        """Refuse a program whose coverage nobody can see.

        Raises:
            InputError: with what to do about it.
        """
        if not self.instrumented:
            raise InputError(
                f"{self.path}: not instrumented for AFL++; build it with "
                "CC=afl-clang-fast, or afl-clang-fast -g -o PROGRAM FILES"
            )

    def command(self, file: str) -> list[str]:
        """Return its command line with an input's file."""
        return [str(self.path), *(a.replace(PLACEHOLDER, file) for a in self.arguments)]

    @property
    def reads_file(self) -> bool:
        """Whether the input is a file, not standard input."""
        return any(PLACEHOLDER in argument for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class NativeReplay:
    """Runs a program on one input.

    Attributes:
        program: to run.
        limits: of each execution.
        folder: temporary, where it runs.
        mark: of the run.
    """

    program: Program
    limits: Limits
    folder: Path
    mark: str

    def __call__(self, data: bytes) -> Ending | None:
        """Return how an input ended, None where it ended well."""
        file = self.folder / "input"
        file.write_bytes(data)
        sanitized, megabytes = self.program.sanitized, max(self.limits.memory_bytes >> 20, 1)
        told = dict(SYMBOLS)
        told["ASAN_OPTIONS"] += f":hard_rss_limit_mb={megabytes}"
        told["ASAN_OPTIONS"] += f":max_allocation_size_mb={megabytes}"
        if symbolizer := shutil.which("llvm-symbolizer"):
            told |= {f"{name}_SYMBOLIZER_PATH": symbolizer for name in ("ASAN", "UBSAN", "MSAN")}
        command = fenced(
            self.program.command(str(file)),
            address_space=None if sanitized else self.limits.memory_bytes,
            cpu_s=_LEAST_CPU_S + round(_CPU_FACTOR * self.limits.timeout_s),
        )
        ended = run(
            command,
            stdin=None if self.program.reads_file else data,
            cwd=self.folder,
            env=environment(self.folder, self.mark, told),
            timeout_s=self.limits.timeout_s,
            on_timeout=signal.SIGABRT if sanitized else signal.SIGKILL,
        )
        own = {self.program.path.name, str(self.program.path)}
        return ending_of(
            ended.code,
            ended.said,
            timed_out=ended.timed_out,
            own=lambda module: module in own or Path(module).name == self.program.path.name,
        )


def afl_limits(program: Program, limits: Limits) -> list[str]:
    """Return the arguments by which AFL++'s tools hold an execution of a program to limits."""
    memory = "none" if program.sanitized else str(limits.memory_bytes >> 20)
    return ["-m", memory, "-t", str(round(1000 * limits.timeout_s))]


def asan_options(limits: Limits) -> str:
    """Return the options of AddressSanitizer that AFL++'s tools ask for, and a limit."""
    megabytes = max(limits.memory_bytes >> 20, 1)
    return (
        "abort_on_error=1:symbolize=0:detect_leaks=0:"
        f"allocator_may_return_null=0:max_allocation_size_mb={megabytes}"
    )


@dataclass(eq=False)
class AflRun(Engine):
    """AFL++ at work, with its mutants from a ``MutationServer``.

    Args:
        program: to fuzz.
        limits: of each execution.
        seeds: folder of the first inputs.
        out: its own folder; what it holds from before is gone on from.
        socket: of the server.
        folder: temporary, where it runs.
        mark: of the run.
        seconds: it ends by itself after so many, even if we are gone.
    """

    program: Program
    limits: Limits
    seeds: Path
    out: Path
    socket: Path
    folder: Path
    mark: str
    seconds: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it.

        Raises:
            MissingExtraError: AFL++ is not installed.
        """
        afl = shutil.which("afl-fuzz")
        if afl is None:
            raise MissingExtraError("a native target needs AFL++: afl-fuzz is not on the PATH")
        self._mend()
        modules = self.folder / "module"
        modules.mkdir(exist_ok=True)
        shutil.copyfile(str(afl_module.__file__), modules / f"{_MODULE}.py")
        (modules / "socket").write_text(str(self.socket), encoding="utf-8")
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        command = [afl, "-i", str(self.seeds), "-o", str(self.out), "-V", str(self.seconds)]
        command += afl_limits(self.program, self.limits)
        log = (self.out.parent / "afl.log").open("wb")
        with log:
            self._process = subprocess.Popen(  # noqa: S603 - a list, of what the user named
                fenced([*command, "--", *self.program.command(PLACEHOLDER)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=work,
                env=environment(work, self.mark, self._settings(modules)),
                start_new_session=True,
            )

    def _mend(self) -> None:
        """Let it go on where it was killed while it wrote about itself.

        By ``fuzzer_stats`` it knows what it may go on with: where the file is empty it refuses,
        where there is none it forgets what it kept.
        """
        place = self.out / "default"
        file = place / "fuzzer_stats"
        if _STATS.match(file.read_bytes() if file.exists() else b""):
            return
        if any(next((place / name).glob("id:*"), None) for name in ("queue", "_resume")):
            write_whole(file, b"start_time        : 1\nlast_update       : 1\n")
        else:
            file.unlink(missing_ok=True)

    def _settings(self, modules: Path) -> dict[str, str]:
        return {
            "AFL_PYTHON_MODULE": _MODULE,
            "PYTHONPATH": str(modules),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AFL_CUSTOM_MUTATOR_ONLY": "1",
            "AFL_AUTORESUME": "1",
            "AFL_NO_UI": "1",
            "AFL_NO_AFFINITY": "1",
            "AFL_SKIP_CPUFREQ": "1",
            "AFL_SKIP_CRASHES": "1",
            "AFL_HANG_TMOUT": str(round(1000 * self.limits.timeout_s)),
            "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
            "ASAN_OPTIONS": asan_options(self.limits),
        }

    def problem(self) -> str | None:
        """Return why it is no longer at work; None while it is."""
        if self._process is None or self._process.poll() is None:
            return None
        log = self.out.parent / "afl.log"
        said = log.read_text("utf-8", "replace")[-8000:] if log.exists() else ""
        lines = [line for line in _COLOUR.sub("", said).splitlines() if _ABORT in line]
        return f"AFL++: {lines[-1].partition(_ABORT)[2].strip(' :')}" if lines else ""

    def stop(self) -> None:
        """End it, so that it writes down where it is; then end all that it left."""
        process, self._process = self._process, None
        if process is not None:
            end_group(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            end_group(process.pid)
            process.wait()
        end_all(self.mark)

    def candidates(self) -> Iterator[Path]:
        """Yield the inputs that ended badly, also those of before it was last started."""
        for folder in sorted((self.out / "default").glob("crashes*")):
            yield from sorted(folder.glob("id:*"))
        for folder in sorted((self.out / "default").glob("hangs*")):
            yield from sorted(folder.glob("id:*"))

    def corpus_size(self) -> int:
        """Return how many inputs are kept."""
        return sum(1 for _ in (self.out / "default" / "queue").glob("id:*"))

    def input_named(self, name: str) -> Path | None:
        """Return the file of a kept input, by the name that the mutator knows it by."""
        if not _NAME.fullmatch(name):
            return None
        queue = self.out / "default" / "queue"
        pattern = f"{name},*" if name.startswith("id:") else f"id:*,orig:{name}*"
        return next(queue.glob(pattern), None)

    def progress(self) -> tuple[int, int] | None:
        """Return executions since it was last started and edges, as it writes every 5 seconds."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (self.out / "default" / "plot_data").read_text("ascii", "replace").split("\n")
            *_, executions, edges = lines[-2].split(",")
            return int(executions), int(edges)
        return None

    def hold_memory(self) -> None:
        """Kill executions that hold too much memory, which a sanitizer's build may."""
        if self.program.sanitized and self._process is not None:
            for pid in processes_of(self.mark):
                if pid != self._process.pid and resident_bytes(pid) > self.limits.memory_bytes:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
