"""A run of fuzz at work: the fuzzer beside, the journal, and inputs that ended badly."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from inoculate.errors import InputError
from inoculate.fuzzing.endings.triage import Triage, Verdict
from inoculate.fuzzing.operators import MAX_INPUT
from inoculate.fuzzing.running.engine import Engine
from inoculate.fuzzing.running.journal import Journal
from inoculate.fuzzing.running.mutation_server import MutationServer
from inoculate.fuzzing.running.tracing import Tracing
from inoculate.workflows.fuzz_request import JOURNAL, FuzzRequest
from inoculate.workflows.fuzz_seeds import SEEDS, name_of

_POLL_S = 0.1
_SAVE_S = 1.0
_MOST_RESTARTS = 1000
_MOST_OFFERED = 1000
_END_TRIAGE_S = 60.0
_STOP_TRIAGE_S = 5.0
_NOTHING = b"\n"

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


@dataclass(eq=False)
class Run:
    """A run at work.

    Args:
        request: what it does; its folder's path is absolute.
        journal: what is known from before; written every second.
        server: makes the mutants.
        engine: runs them.
        tracing: tells the server's rounds what seeds pass; not begun.
        triage: replays what ended badly.
        status: takes lines for the user.
    """

    request: FuzzRequest
    journal: Journal
    server: MutationServer
    engine: Engine
    tracing: Tracing
    triage: Triage
    status: Status
    new: int = field(default=0, init=False)
    _saved: float = field(default=0.0, init=False)
    _judging: "tuple[str, Future[Verdict]] | None" = field(default=None, init=False)

    def go(self, stop: Callable[[], bool]) -> Fuzzed:
        """Fuzz until the time is spent or we are stopped, then look at what is left."""
        self.journal.starts += 1
        with ThreadPoolExecutor(1, "triage") as pool:
            if self.journal.starts == 1:
                self._judge_seeds(stop)
            self._fill()
            self._fuzz(pool, stop)
            stopped = stop()
            deadline = time.monotonic() + (_STOP_TRIAGE_S if stopped else _END_TRIAGE_S)
            while self._judge_next(pool) and time.monotonic() < deadline:
                time.sleep(_POLL_S / 10)
            if self._judging is not None:
                self.status("looking at one more input that ended badly")
                self._judging[1].result()
                self._judge_next(None)
        self._save(now=True)
        executions = self.server.rounds.history.executions
        size, seconds = self.engine.corpus_size(), self.journal.seconds
        return Fuzzed(self.request.out, executions, seconds, size, self.new, stopped)

    def _fuzz(self, pool: ThreadPoolExecutor, stop: Callable[[], bool]) -> None:
        before = self.journal.seconds
        left = self.request.seconds - before
        if left <= 0 or stop():
            self.status("its time is spent; --time gives it more" if left <= 0 else "stopped")
            return
        began = time.monotonic()
        with self.tracing:
            try:
                self.engine.start()
                restarts = 0
                while time.monotonic() - began < left and not stop() and not self._enough():
                    restarts += self._kept_at_work(restarts)
                    self.engine.hold_memory()
                    self._judge_next(pool)
                    self.journal.seconds = before + time.monotonic() - began
                    self._save()
                    time.sleep(_POLL_S)
            finally:
                self.engine.stop()
                self.journal.seconds = before + time.monotonic() - began
                self._save(now=True)
        if self.tracing.problem is not None:
            self.status(f"what seeds cost is not known: {self.tracing.problem}")

    def _kept_at_work(self, restarts: int) -> bool:
        """Start the fuzzer again where it may be; return whether it was.

        Raises:
            InputError: it may not be.
        """
        if self.server.failed is not None:
            raise self.server.failed
        if (problem := self.engine.problem()) is None:
            return False
        if problem or restarts >= _MOST_RESTARTS:
            raise InputError(problem or "the target ends each time it is started")
        self.engine.start()
        return True

    def _enough(self) -> bool:
        most = self.request.executions
        return most is not None and self.server.rounds.history.executions >= most

    def _judge_next(self, pool: ThreadPoolExecutor | None) -> bool:
        """Take what became of one input that ended badly, begin with the next; say if there is."""
        if self._judging is not None:
            name, future = self._judging
            if not future.done():
                return True
            self._judged(name, future.result())
            self._judging = None
        left = (p for p in self.engine.candidates() if p.name not in self.journal.triaged)
        path = next(left, None) if pool is not None else None
        if path is None or pool is None:
            return False
        data = path.read_bytes()[:MAX_INPUT]
        self._judging = path.name, pool.submit(self._judge, data, path.name)
        return True

    def _judge(self, data: bytes, name: str) -> Verdict:
        executions = self.server.rounds.history.executions
        seconds = round(self.journal.seconds, 1)
        return self.triage.look(data, name, executions=executions, seconds=seconds)

    def _judged(self, name: str, verdict: Verdict) -> None:
        self.journal.triaged.add(name)
        if verdict == "new":
            self.new += 1
            self.status(f"finding {self.new}: see {self.request.out / 'findings'}")

    def _judge_seeds(self, stop: Callable[[], bool]) -> None:
        """Look at the seeds: one that ends badly is no seed, and may be a finding."""
        folder = self.request.out / SEEDS
        for path in sorted(folder.iterdir()):
            if stop():
                return
            data = path.read_bytes()
            if self.triage.replay(data) is None:
                continue
            note = f"seed {path.name} ends badly by itself, and is not used"
            self.status(note)
            self.journal.notes.append(note)
            self._judged(f"seed {path.name}", self._judge(data, f"seed {path.name}"))
            path.unlink()
        if not any(folder.iterdir()):
            (folder / name_of(_NOTHING)).write_bytes(_NOTHING)

    def _fill(self) -> None:
        """Give the policy the inputs that are there already."""
        rounds, engine, seeds = self.server.rounds, self.engine, self.request.out / SEEDS
        rounds.fill(lambda name: _bytes_at(engine.input_named(name), seeds / name))
        for path in sorted(seeds.iterdir())[:_MOST_OFFERED]:
            rounds.offer(path.name, path.read_bytes())

    def _save(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._saved < _SAVE_S:
            return
        with self.server.lock:
            self.journal.memory = self.server.rounds.memory()
            self.journal.attributes = self.server.rounds.attributes()
        self.journal.write(self.request.out / JOURNAL)
        self._saved = time.monotonic()


def _bytes_at(*places: Path | None) -> bytes | None:
    """Return what the first file that is there holds, None where none is."""
    found: Iterator[Path] = (p for p in places if p is not None and p.is_file())
    path = next(found, None)
    return None if path is None else path.read_bytes()[:MAX_INPUT]
