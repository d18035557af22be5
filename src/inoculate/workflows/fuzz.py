"""Use case: fuzz a program or a Python function, and keep what ends badly.

All that a run needs lies in its folder: the request, the seeds, the fuzzer's corpus, the journal of
what the policy has learned, the findings. A run that was killed goes on from there.
"""

import fcntl
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from inoculate.errors import InputError
from inoculate.fuzzing.endings.crashes import Ending
from inoculate.fuzzing.endings.triage import Triage
from inoculate.fuzzing.history import SPACE
from inoculate.fuzzing.operators import MAX_INPUT
from inoculate.fuzzing.running.engine import Engine
from inoculate.fuzzing.running.journal import Journal
from inoculate.fuzzing.running.limits import Limits, end_all, network_cut
from inoculate.fuzzing.running.mutation_server import MutationServer
from inoculate.fuzzing.running.native import AflRun, NativeReplay, Program
from inoculate.fuzzing.running.native_tracer import NativeTracer
from inoculate.fuzzing.running.passed import Tracer
from inoculate.fuzzing.running.python_run import AtherisRun, PythonReplay, PythonTarget
from inoculate.fuzzing.running.python_tracer import PythonTracer
from inoculate.fuzzing.running.rounds import Rounds
from inoculate.fuzzing.running.tracing import Tracing
from inoculate.workflows.fuzz_policy import agent_named
from inoculate.workflows.fuzz_request import DICTIONARY, JOURNAL, Form, FuzzRequest, tokens_of
from inoculate.workflows.fuzz_run import Fuzzed as Fuzzed
from inoculate.workflows.fuzz_run import Run, Status
from inoculate.workflows.fuzz_seeds import SEEDS, copy_seeds, seeds_of

_MORE_S = 3600
_LEAST_SIZE = 4096
_LOCK = "lock"
# the fuzzer is ended while replays go on
_FUZZER, _REPLAY = "-fuzzer", "-replay"


def fuzz(
    request: FuzzRequest,
    *,
    stop: Callable[[], bool] = lambda: False,
    status: Status = lambda _: None,
) -> Fuzzed:
    """Begin a run in a new folder.

    Args:
        request: what to fuzz.
        stop: asked several times a second; ends the run cleanly.
        status: takes lines about what is found, and what the user must know.

    Raises:
        InputError: arguments that do not fit together, a target that cannot be fuzzed.
        MissingExtraError: AFL++ or atheris is not installed.
        NotFoundError: no such agent.
    """
    request.check()
    tokens_of(request.dictionary)
    agent, _ = agent_named(request.agent)
    agent = str(Path(agent).resolve()) if Path(agent).is_dir() else agent
    out = request.out.resolve()
    request = replace(request, agent=agent, out=out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: exists and is not empty; go on with a run by inoculate fuzz resume"
        )
    try:
        for name in (SEEDS, "findings"):
            (out / name).mkdir(parents=True)
        notes = copy_seeds(request.seeds, out / SEEDS)
        if request.dictionary is not None:
            shutil.copyfile(request.dictionary, out / DICTIONARY)
        request.write()
        with _opened(request, Journal(notes=notes), status) as run:
            return run.go(stop)
    except InputError:
        if not (out / JOURNAL).exists():
            shutil.rmtree(out, ignore_errors=True)
        raise


def resume(
    out: Path,
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    status: Status = lambda _: None,
) -> Fuzzed:
    """Go on with a run, however it ended.

    Args:
        out: its folder.
        seconds: wall time over all starts, in place of what it began with.
        stop: as for ``fuzz``.
        status: as for ``fuzz``.

    Raises:
        ArtifactError: the folder holds no run, or a damaged one.
    """
    request = FuzzRequest.read(out.resolve())
    if seconds is not None:
        request = replace(request, seconds=seconds)
        request.check()
        request.write()
    with _opened(request, Journal.read(request.out / JOURNAL), status) as run:
        return run.go(stop)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run works: its temporary folder, its mark, the server's socket, its inputs' size."""

    folder: Path
    mark: str
    socket: Path
    size: int
    stack: ExitStack


@contextmanager
def _opened(request: FuzzRequest, journal: Journal, status: Status) -> Iterator[Run]:
    """Open what a run needs, and leave nothing behind but its folder."""
    with ExitStack() as stack:
        stack.enter_context(_alone(request.out))
        if journal.mark:  # what a killed run left behind still writes into its folder
            _end_all(journal.mark)
        journal.mark = mark = uuid.uuid4().hex
        folder = Path(tempfile.mkdtemp(prefix="inoculate-fuzz-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_end_all, mark)
        largest = max((len(s) for s in seeds_of(request.out / SEEDS)), default=0)
        size = min(max(4 * largest, _LEAST_SIZE), MAX_INPUT)
        rounds = Rounds(
            agent_named(request.agent)[1].adapt(SPACE, seed=request.seed),
            seed=request.seed,
            dictionary=tokens_of(request.out / DICTIONARY if request.dictionary else None),
            max_size=size,
        )
        if journal.memory:
            rounds.remember(journal.memory, journal.attributes)
        if (piped := _core_pipe()) and request.target is not None:
            status(f"crashes are piped to {piped}, so they are slow and may be taken for hangs")
        if not network_cut():
            status("the network could not be cut off: unshare is not permitted here")
        make = _native if request.target is not None else _python
        server = MutationServer(rounds)
        stack.callback(server.clear)
        place = _Place(folder, mark, server.path, size, stack)
        request, engine, replay, tracer = make(request, place)
        stack.enter_context(server)
        tracing, triage = Tracing(tracer, server), Triage(request.out, replay)
        yield Run(request, journal, server, engine, tracing, triage, status)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold a run's folder for this process.

    Raises:
        InputError: another process is at work in it.
    """
    with (out / _LOCK).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise InputError(f"{out}: a run is at work there already") from err
        yield


def _core_pipe() -> str | None:
    """Return what the system pipes cores to: that runs at every crash, whatever the limits."""
    try:
        pattern = Path("/proc/sys/kernel/core_pattern").read_text("utf-8", "replace").strip()
    except OSError:
        return None
    return pattern[1:].split(" ")[0] if pattern.startswith("|") else None


def _end_all(mark: str) -> None:
    for who in (_FUZZER, _REPLAY):
        end_all(mark + who)


_Made = tuple[FuzzRequest, Engine, Callable[[bytes], Ending | None], Tracer]


def _native(request: FuzzRequest, place: _Place) -> _Made:
    limits = Limits(request.memory_bytes, request.timeout_s)
    program = Program.open(request.target or Path(), request.arguments)
    program.check_instrumented()
    again = program
    if request.replay_with is not None:
        again = Program.open(request.replay_with, request.arguments)
    replays, traces = place.folder / "replays", place.folder / "traces"
    for folder in (replays, traces):
        folder.mkdir()
    mark = place.mark + _FUZZER
    engine = AflRun(
        program,
        limits,
        seeds=request.out / SEEDS,
        out=request.out / "afl",
        socket=place.socket,
        folder=place.folder,
        mark=mark,
        seconds=round(request.seconds) + _MORE_S,
    )
    replay = NativeReplay(again, limits, replays, place.mark + _REPLAY)
    return request, engine, replay, NativeTracer(program, limits, traces, mark)


def _python(request: FuzzRequest, place: _Place) -> _Made:
    limits = Limits(request.memory_bytes, request.timeout_s)
    target = PythonTarget(
        request.python or "", request.form, request.expected, request.path, limits
    )
    first = next(iter(seeds_of(request.out / SEEDS)), b"")
    replays, fuzzing, traces = (place.folder / n for n in ("replays", "fuzzing", "traces"))
    for folder in (replays, fuzzing, traces):
        folder.mkdir()
    replay = PythonReplay(target, replays, place.mark + _REPLAY, first=first)
    place.stack.enter_context(closing(replay))
    if request.form == "auto":
        request = replace(request, form=cast(Form, replay.form))
        request.write()
    target, mark = replace(target, form=replay.form), place.mark + _FUZZER
    engine = AtherisRun(
        target,
        seeds=request.out / SEEDS,
        out=request.out,
        socket=place.socket,
        folder=fuzzing,
        mark=mark,
        seconds=round(request.seconds) + _MORE_S,
        max_size=place.size,
    )
    return request, engine, replay, PythonTracer(target, traces, mark)
