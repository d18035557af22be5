"""Use case: fuzz a program or a Python function, and keep what ends badly.

All that a run needs lies in its folder: the request, the seeds, the fuzzer's corpus, the journal of
what the policy has learned, the findings. A run that was killed goes on from there.
"""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from inoculate.errors import InputError
from inoculate.fuzzing.crashes import Ending
from inoculate.fuzzing.engine import Engine
from inoculate.fuzzing.history import SPACE
from inoculate.fuzzing.journal import Journal
from inoculate.fuzzing.limits import Limits, end_all, network_cut
from inoculate.fuzzing.mutation_server import MutationServer
from inoculate.fuzzing.native import AflRun, NativeReplay, Program
from inoculate.fuzzing.operators import MAX_INPUT
from inoculate.fuzzing.python_run import AtherisRun, PythonReplay, PythonTarget
from inoculate.fuzzing.rounds import Rounds
from inoculate.fuzzing.triage import Triage
from inoculate.workflows.fuzz_policy import agent_named
from inoculate.workflows.fuzz_request import FuzzRequest, tokens_of
from inoculate.workflows.fuzz_seeds import SEEDS, copy_seeds, name_of, seeds_of

_POLL_S = 0.1
_SAVE_S = 1.0
_MORE_S = 3600
_LEAST_SIZE = 4096
_MOST_RESTARTS = 1000
_MOST_OFFERED = 1000
_END_TRIAGE_S = 60.0
_JOURNAL = "journal.safetensors"

Status = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """How a run, or its last part, ended.

    Attributes:
        out: its folder.
        executions: inputs run, over all starts.
        seconds: wall time of fuzzing, over all starts.
        corpus: inputs kept.
        new: findings of this part.
        stopped: whether it was asked to stop before its time.
    """

    out: Path
    executions: int
    seconds: float
    corpus: int
    new: int
    stopped: bool


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
    request = replace(request, agent=agent_named(request.agent)[0])
    if request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise InputError(
            f"{request.out}: exists and is not empty; go on with a run by inoculate fuzz resume"
        )
    out = request.out
    existed = out.exists()
    try:
        (out / SEEDS).mkdir(parents=True)
        notes = copy_seeds(request.seeds, out / SEEDS)
        if request.dictionary is not None:
            shutil.copyfile(request.dictionary, out / "dictionary")
        request.write()
        (out / "findings").mkdir()
        with _opened(request, Journal(notes=notes), status) as run:
            return run.go(stop)
    except InputError:
        if not existed and not (out / "findings" / "1").exists():
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
    request = FuzzRequest.read(out)
    if seconds is not None:
        request = replace(request, seconds=seconds)
        request.check()
        request.write()
    with _opened(request, Journal.read(out / _JOURNAL), status) as run:
        return run.go(stop)


@dataclass(eq=False)
class _Run:
    """A run at work."""

    request: FuzzRequest
    journal: Journal
    server: MutationServer
    engine: Engine
    triage: Triage
    status: Status
    new: int = 0
    _saved: float = field(default=0.0, init=False)

    def go(self, stop: Callable[[], bool]) -> Fuzzed:
        """Fuzz until the time is spent or we are stopped, then look at what is left."""
        journal, before = self.journal, self.journal.seconds
        journal.starts += 1
        self._seeds()
        self._fill()
        left = self.request.seconds - before
        if left <= 0:
            self.status("its time is spent; --time gives it more")
        began = time.monotonic()
        try:
            if left > 0 and not stop():
                self.engine.start()
            restarts = 0
            while time.monotonic() - began < left and not stop() and not self._enough():
                if self.server.failed is not None:
                    raise self.server.failed
                if (problem := self.engine.problem()) is not None:
                    restarts += 1
                    if problem or restarts > _MOST_RESTARTS:
                        raise InputError(problem or "the target ends each time it is started")
                    self.engine.start()
                self.engine.hold_memory()
                self._look(time.monotonic() + _SAVE_S)
                journal.seconds = before + time.monotonic() - began
                self._save()
                time.sleep(_POLL_S)
        finally:
            self.engine.stop()
            journal.seconds = before + time.monotonic() - began if left > 0 else before
            self._save(now=True)
        stopped = stop()
        self._look(time.monotonic() + _END_TRIAGE_S)
        self._save(now=True)
        return Fuzzed(
            self.request.out,
            self.server.rounds.history.executions,
            journal.seconds,
            self.engine.corpus_size(),
            self.new,
            stopped,
        )

    def _enough(self) -> bool:
        most = self.request.executions
        return most is not None and self.server.rounds.history.executions >= most

    def _look(self, deadline: float) -> None:
        """Look at inputs that ended badly, until the time is up."""
        for path in self.engine.candidates():
            name = path.name
            if name in self.journal.triaged or time.monotonic() > deadline:
                continue
            self._judge(path.read_bytes()[:MAX_INPUT], name)

    def _judge(self, data: bytes, name: str) -> None:
        executions = self.server.rounds.history.executions
        seconds = round(self.journal.seconds, 1)
        verdict = self.triage.look(data, name, executions=executions, seconds=seconds)
        if verdict == "new":
            self.new += 1
            self.status(f"finding {self.new}: see {self.request.out / 'findings'}")
        self.journal.triaged.add(name)

    def _seeds(self) -> None:
        """Look at the seeds: one that ends badly is no seed, and may be a finding."""
        if self.journal.starts > 1:
            return
        folder = self.request.out / SEEDS
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            if self.triage.replay(data) is None:
                continue
            note = f"seed {path.name} ends badly by itself"
            self.status(note)
            self.journal.notes.append(note)
            self._judge(data, f"seed {path.name}")
            path.unlink()
        if not any(folder.iterdir()):
            (folder / name_of(b"\n")).write_bytes(b"\n")

    def _fill(self) -> None:
        """Give the policy the inputs that are there already."""
        rounds, engine, seeds = self.server.rounds, self.engine, self.request.out / SEEDS
        rounds.fill(lambda name: bytes_at(engine.input_named(name), seeds / name))
        for path in sorted(seeds.iterdir())[:_MOST_OFFERED]:
            rounds.offer(path.name, path.read_bytes())

    def _save(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._saved < _SAVE_S:
            return
        with self.server.lock:
            self.journal.memory = self.server.rounds.memory()
            self.journal.attributes = self.server.rounds.attributes()
        self.journal.write(self.request.out / _JOURNAL)
        self._saved = time.monotonic()


@contextmanager
def _opened(request: FuzzRequest, journal: Journal, status: Status) -> Iterator[_Run]:
    """Open what a run needs, and leave nothing behind but its folder."""
    mark = uuid.uuid4().hex
    out = request.out.absolute()
    request = replace(request, out=out)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="inoculate-fuzz-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(end_all, mark)
        seeds = seeds_of(out / SEEDS)
        size = min(max(4 * max((len(s) for s in seeds), default=0), _LEAST_SIZE), MAX_INPUT)
        rounds = Rounds(
            agent_named(request.agent)[1].adapt(SPACE, seed=request.seed),
            seed=request.seed,
            dictionary=tokens_of(out / "dictionary" if request.dictionary else None),
            max_size=size,
        )
        if journal.memory:
            rounds.remember(journal.memory, journal.attributes)
        if not network_cut():
            status("the network could not be cut off: unshare is not permitted here")
        make = _native if request.target is not None else _python
        server = MutationServer(rounds)
        parts = make(request, folder, mark, stack, server.path, size)
        stack.enter_context(server)
        yield _Run(request, journal, server, parts[0], Triage(out, parts[1]), status)


Parts = tuple[Engine, Callable[[bytes], Ending | None]]


def _native(
    request: FuzzRequest, folder: Path, mark: str, stack: ExitStack, socket: Path, size: int
) -> Parts:
    del stack, size
    limits = Limits(request.memory_bytes, request.timeout_s)
    program = Program.open(request.target or Path(), request.arguments)
    program.check_instrumented()
    again = program
    if request.replay_with is not None:
        again = Program.open(request.replay_with, request.arguments)
    replays = folder / "replays"
    replays.mkdir()
    engine = AflRun(
        program,
        limits,
        request.out / SEEDS,
        request.out / "afl",
        socket,
        folder,
        mark,
        round(request.seconds) + _MORE_S,
    )
    return engine, NativeReplay(again, limits, replays, mark)


def _python(
    request: FuzzRequest, folder: Path, mark: str, stack: ExitStack, socket: Path, size: int
) -> Parts:
    limits = Limits(request.memory_bytes, request.timeout_s)
    target = PythonTarget(
        request.python or "", request.form, request.expected, (str(Path.cwd()),), limits
    )
    first = next(iter(seeds_of(request.out / SEEDS)), b"")
    replays, fuzzing = folder / "replays", folder / "fuzzing"
    for place in (replays, fuzzing):
        place.mkdir()
    replay = stack.enter_context(closing(PythonReplay(target, replays, mark, first=first)))
    engine = AtherisRun(
        replace(target, form=replay.form),
        request.out / SEEDS,
        request.out,
        socket,
        fuzzing,
        mark,
        round(request.seconds) + _MORE_S,
        size,
    )
    return engine, replay


def bytes_at(*places: Path | None) -> bytes | None:
    """Return what the first file that is there holds, None where none is."""
    for place in places:
        if place is not None and place.is_file():
            return place.read_bytes()[:MAX_INPUT]
    return None
