"""What runs inputs: the contract, and the C programs run in this very process."""

import ctypes
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inoculate.errors import InputError, MissingExtraError

ENDED, PLANTED, SIGNAL, ENDLESS = range(4)
NEW, OTHER_PATH, BAD_END = 1, 2, 4
COMPILERS = ("gcc", "clang")
_COMPILE_SECONDS = 60
_MAX_WORDS = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one input did.

    Attributes:
        status: ``ENDED``, ``PLANTED``, ``SIGNAL`` or ``ENDLESS``.
        number: of the planted bug or the signal.
        new_edges: edges that no input had touched before.
        new_counts: edges known before, more or less often than ever.
        touched: edges of this input.
        steps: places passed, the cost of the input.
        rarest: the edge of this input that the fewest inputs touched.
        known: edges that any input has touched.
        path: hash of the edges touched and how often.
    """

    status: int
    number: int
    new_edges: int
    new_counts: int
    touched: int
    steps: int
    rarest: int
    known: int
    path: int


class Target(ABC):
    """A program that is run on one input after another, with its coverage."""

    @abstractmethod
    def start(self) -> None:
        """Forget all coverage."""

    @abstractmethod
    def run(self, data: bytes, path: int) -> int:
        """Run one input; return bits of ``NEW``, ``OTHER_PATH`` (than ``path``), ``BAD_END``."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return what the last input did."""

    @abstractmethod
    def hits(self, edge: int) -> int:
        """Return how many inputs touched an edge."""

    def words(self) -> list[bytes]:
        """Return constants that the program compared its input with, as far as they are known."""
        return []


class _Result(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("new_edges", ctypes.c_uint32),
        ("new_counts", ctypes.c_uint32),
        ("touched", ctypes.c_uint32),
        ("steps", ctypes.c_uint32),
        ("rarest", ctypes.c_uint32),
        ("known", ctypes.c_uint32),
        ("path", ctypes.c_uint64),
    )


class InProcess(Target):
    """A compiled program, loaded here. Only for programs that cannot harm this process.

    Its memory is this process's memory: programs made for training tell of a bug before any
    memory is damaged. What users name runs in a process of its own.

    Args:
        library: what ``compile_program`` made.
        max_steps: an input that passes more places has no end.
    """

    def __init__(self, library: Path, *, max_steps: int = 200_000) -> None:
        self._library = ctypes.CDLL(str(library))
        self._max_steps = max_steps
        self._result = _Result()
        self._into = ctypes.byref(self._result)
        self._run = self._library.inoculate_run
        self._run.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_void_p)
        self._run.restype = ctypes.c_int
        self._hits = self._library.inoculate_hits
        self._hits.argtypes = (ctypes.c_uint32,)
        self._hits.restype = ctypes.c_uint32

    def start(self) -> None:
        """Forget all coverage, and take over the signals of this process."""
        self._library.inoculate_start(ctypes.c_uint32(self._max_steps))

    def run(self, data: bytes, path: int) -> int:
        """Run one input, in microseconds."""
        return int(self._run(data, len(data), path, self._into))

    def outcome(self) -> Outcome:
        """Return what the last input did."""
        r = self._result
        return Outcome(
            status=r.status, number=r.number, new_edges=r.new_edges, new_counts=r.new_counts,
            touched=r.touched, steps=r.steps, rarest=r.rarest, known=r.known, path=r.path,
        )  # fmt: skip

    def hits(self, edge: int) -> int:
        """Return how many inputs touched an edge."""
        return int(self._hits(edge))

    def words(self) -> list[bytes]:
        """Return whole numbers the program compared something with, in both byte orders."""
        into = (ctypes.c_uint64 * _MAX_WORDS)()
        found = into[: self._library.inoculate_words(into)]
        made: dict[bytes, None] = {}
        for key in found:
            value, width = key & ((1 << 61) - 1), 1 << (key >> 61)
            for order in ("little", "big"):
                made[value.to_bytes(width, order)] = None
        return list(made)


def compile_program(
    source: Path, library: Path, *, more: Sequence[Path] = (), flags: Sequence[str] = ()
) -> Path:
    """Compile a program with ``LLVMFuzzerTestOneInput`` into a library for ``InProcess``.

    Args:
        source: the C file that has it.
        library: to be written.
        more: other C files of the program, with coverage as well.
        flags: more of the compiler's arguments, ``-DPLANTED``.

    Raises:
        MissingExtraError: there is no C compiler.
        InputError: a file does not compile.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        raise MissingExtraError(f"no C compiler on PATH; one of {', '.join(COMPILERS)} is needed")
    harness = Path(__file__).with_name("inprocess.c")
    traced = ("-O1", "-fsanitize-coverage=trace-pc,trace-cmp", "-fno-builtin", "-w", *flags)
    objects = []
    for n, (file, how) in enumerate([(harness, ("-O2",)), *((f, traced) for f in (source, *more))]):
        objects.append(str(library.with_suffix(f".{n}.o")))
        _compile((compiler, *how, "-fPIC", "-c", str(file), "-o", objects[-1]), file)
    shared = ("-shared", "-Wl,-Bsymbolic", *objects, "-o", str(library))
    _compile((compiler, *shared), source)
    return library


def _compile(command: Sequence[str], source: Path) -> None:
    done = subprocess.run(  # noqa: S603 - a list, and a program found on the PATH
        command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        said = next((line for line in lines if "error:" in line), lines[0])
        raise InputError(f"{source.name} does not compile: {said}")
