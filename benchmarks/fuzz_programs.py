"""The programs that agents are measured on: generated, written by hand, real packages.

No agent was trained or chosen on those taken by default: generated ones are of settings that
meta-training never draws from, see ``inoculate.fuzzing.made.program_maker``, and parsers those in
``UNSEEN``.
"""

import importlib
import sys
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from inoculate.agent import Environment
from inoculate.fuzzing.made.program_maker import META_TEST, META_TRAIN, META_UNSEEN, make_program
from inoculate.fuzzing.program import ProgramEnvironment
from inoculate.fuzzing.target import (
    BAD_END,
    ENDED,
    ENDLESS,
    NEW,
    OTHER_PATH,
    PLANTED,
    InProcess,
    Outcome,
    Target,
    compile_program,
)

PARSERS = Path(__file__).with_name("parsers")
RECIPE = Path(__file__).parents[1] / "recipes" / "hierarchical_bandit.toml"
# Written after the agents were last looked at on the others, and without reading the agents: none,
# nor an operator or a setting, may be chosen by how it does on these.
UNSEEN = (
    "bencode",
    "dates",
    "gif",
    "gitindex",
    "glob",
    "huffman",
    "id3",
    "ldap",
    "msgpack",
    "pcap",
    "redis",
    "smtp",
    "toml",
    "ttf",
)
PARSER_SETS = ("unseen", "held-out", "trained", "none")


@dataclass(frozen=True, slots=True)
class Case:
    """A program to be fuzzed.

    Attributes:
        name: unique.
        kind: ``generated``, ``parser`` or ``package``.
        make: builds it within a folder, with a budget of executions.
    """

    name: str
    kind: str
    make: Callable[[Path, int], Environment]


def generated(
    n: int, *, train: bool = False, unseen: bool = False, first_seed: int = 0
) -> list[Case]:
    """Return ``n`` generated programs, of settings held out from meta-training or of its own.

    ``unseen``: of grammars that no agent was chosen by either.
    """
    settings = META_TRAIN if train else META_UNSEEN if unseen else META_TEST
    return [_generated(settings[i % len(settings)], first_seed + i) for i in range(n)]


def _generated(setting: Any, seed: int) -> Case:
    program = make_program(setting, seed)

    def make(folder: Path, executions: int) -> Environment:
        source = folder / f"{program.name}.c"
        source.write_text(program.source)
        library = compile_program(source, folder / f"{program.name}.so", flags=("-DPLANTED",))
        return ProgramEnvironment(
            InProcess(library),
            program.seeds,
            name=program.name,
            dictionary=program.dictionary,
            executions=executions,
        )

    return Case(program.name, "generated", make)


def parsers(sets: Collection[str] = ("unseen",)) -> list[Case]:
    """Return parsers written by hand, in order of their names.

    Args:
        sets: of ``PARSER_SETS``; ``held-out`` are those not trained on that are not unseen: what
            agents do on them was looked at before.
    """
    return [_parser(PARSERS / f"{name}.c") for name in parser_names(sets)]


def parser_names(sets: Collection[str]) -> list[str]:
    """Return the names of the parsers in any of the sets."""
    with RECIPE.open("rb") as file:
        trained = set(tomllib.load(file)["parsers"]["names"])
    names = sorted(path.stem for path in PARSERS.glob("*.c"))
    return [name for name in names if _set_of(name, trained) in sets]


def _set_of(name: str, trained: Collection[str]) -> str:
    if name in UNSEEN:
        return "unseen"
    return "trained" if name in trained else "held-out"


def _parser(source: Path) -> Case:
    seeds = [p.read_bytes() for p in sorted((PARSERS / "seeds" / source.stem).iterdir())]

    def make(folder: Path, executions: int) -> Environment:
        flags = ("-DPLANTED", f"-I{PARSERS}")
        library = compile_program(source, folder / f"{source.stem}.so", flags=flags)
        return ProgramEnvironment(
            InProcess(library), seeds, name=source.stem, executions=executions
        )

    return Case(source.stem, "parser", make)


@dataclass(frozen=True, slots=True)
class Package:
    """A release of a real package with a known bug.

    Attributes:
        requirement: to be installed into the folder named by ``--packages``.
        call: ``module.function``.
        text: whether it takes text.
        bug: names of exceptions that are the bug; ``steps`` for an input that does not end.
        seeds: valid inputs.
        trigger: a published input that shows the bug.
        source: where it was published.
        share: of the budget of executions, for packages are slow.
    """

    requirement: str
    call: str
    text: bool
    bug: tuple[str, ...]
    seeds: tuple[bytes, ...]
    trigger: bytes
    source: str
    share: float


PACKAGES = (
    Package(
        "toml==0.10.2",
        "toml.loads",
        True,
        ("IndexError", "TypeError", "KeyError", "AttributeError"),
        (b'a = 1\n[b]\nc = "x"\nd = [1, 2]\n', b"e = 2020-01-01T00:00:00Z\nf = 0.5\n"),
        b'ping = ["a", ["b", "c"] ]',
        "uiri/toml issue 444",
        0.1,
    ),
    Package(
        "ecdsa==0.13.2",
        "ecdsa.der.remove_sequence",
        False,
        ("IndexError", "AssertionError", "TypeError"),
        (b"\x30\x06\x02\x01\x05\x02\x01\x07", b"\x30\x03\x02\x01\x01"),
        b"\x30",
        "CVE-2019-14853",
        0.1,
    ),
    Package(
        "idna==3.6",
        "idna.encode",
        True,
        ("steps",),
        ("münchen.de".encode(), b"example.com", "пример.рф".encode()),
        "\u0660".encode() * 400 + "\u30fb".encode(),
        "CVE-2024-3651",
        0.1,
    ),
    Package(
        "sqlparse==0.4.3",
        "sqlparse.parse",
        True,
        ("RecursionError",),
        (b"select * from t where a = (1 + 2)", b"insert into t values ('x', [1])"),
        b"[" * 1000 + b"]" * 1000,
        "CVE-2024-4340",
        0.01,
    ),
)


class PythonTarget(Target):
    """A function of a package, run here under ``sys.settrace``: edges are pairs of lines.

    Args:
        package: what to run.
        max_steps: lines after which an input has no end.
    """

    def __init__(self, package: Package, *, max_steps: int = 60_000) -> None:
        module, _, function = package.call.rpartition(".")
        self._call = getattr(importlib.import_module(module), function)
        self._folder = str(
            Path(importlib.import_module(module.split(".")[0]).__file__ or "").parent
        )
        self._package, self._max = package, max_steps
        self.start()

    def start(self) -> None:
        self._seen: dict[int, int] = {}
        self._hits: dict[int, int] = {}
        self._did = Outcome(ENDED, 0, 0, 0, 0, 0, 0, 0, 0)

    def run(self, data: bytes, path: int) -> int:
        self._counts: dict[int, int] = {}
        self._steps, self._last = 0, 0
        given: Any = data.decode("utf-8", "ignore") if self._package.text else data
        status = ENDED
        sys.settrace(self._enter)
        try:
            self._call(given)
        except _Endless:
            status = PLANTED if "steps" in self._package.bug else ENDLESS
        except Exception as err:
            if type(err).__name__ in self._package.bug:
                status = PLANTED
        finally:
            sys.settrace(None)
        self._did = self._judge(status)
        new = bool(self._did.new_edges or self._did.new_counts)
        return NEW * new + OTHER_PATH * (self._did.path != path) + BAD_END * (status != ENDED)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        return self._line if frame.f_code.co_filename.startswith(self._folder) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        code = frame.f_code
        here = hash((len(code.co_filename), code.co_firstlineno, frame.f_lineno)) & 0xFFFFFF
        edge = here ^ self._last >> 1
        self._last = here
        self._counts[edge] = self._counts.get(edge, 0) + 1
        self._steps += 1
        if self._steps > self._max:
            raise _Endless
        return self._line

    def _judge(self, status: int) -> Outcome:
        edges = counts = path = 0
        rarest, fewest = 0, sys.maxsize
        for edge, n in self._counts.items():
            bucket = 1 << min(n.bit_length(), 8)
            path = path + hash((edge, bucket)) & (1 << 63) - 1
            seen = self._seen.get(edge, 0)
            edges += not seen
            counts += bool(seen and not seen & bucket)
            self._seen[edge] = seen | bucket
            self._hits[edge] = hits = self._hits.get(edge, 0) + 1
            if hits < fewest:
                rarest, fewest = edge, hits
        touched, known = len(self._counts), len(self._seen)
        return Outcome(status, 1, edges, counts, touched, self._steps, rarest, known, path)

    def outcome(self) -> Outcome:
        return self._did

    def hits(self, edge: int) -> int:
        return self._hits.get(edge, 0)


class _Endless(BaseException):
    """Too many lines; not an Exception, so that the package does not swallow it."""


def packages(folder: Path) -> list[Case]:
    """Return the packages installed in a folder."""
    sys.path.insert(0, str(folder))

    def case(package: Package) -> Case:
        def make(scratch: Path, executions: int) -> Environment:
            del scratch
            target = PythonTarget(package)
            return ProgramEnvironment(
                target,
                package.seeds,
                name=package.requirement,
                executions=int(executions * package.share),
            )

        return Case(package.requirement, "package", make)

    return [case(package) for package in PACKAGES]
