"""Traces seeds and some mutants beside a fuzzer, in a thread, for a small share of the time."""

import threading
import time
from dataclasses import dataclass
from typing import Self

from inoculate.errors import InoculateError
from inoculate.fuzzing.running.mutation_server import MutationServer
from inoculate.fuzzing.running.passed import Tracer

SEEDS_SHARE, MUTANTS_SHARE = 0.1, 0.03
"""Most of the time that seeds and mutants are traced in, the first second of seeds aside."""
_PAUSE_S = 0.5
_MOST = 64
_FIRST_S = 1.0
_GUESS_S, _LEAST_S, _PACE = 0.05, 1e-4, 0.3


@dataclass(slots=True)
class Spent:
    """What tracing took.

    Attributes:
        seconds: taken so far.
        inputs: traced so far.
    """

    seconds: float = 0.0
    inputs: int = 0

    def add(self, seconds: float, inputs: int) -> None:
        """Take what a few inputs took."""
        self.seconds += seconds
        self.inputs += inputs


class Tracing:
    """One thread that traces what a server's rounds want to know; a context manager.

    What cannot be traced is left as it is, and ends no run.

    Args:
        tracer: closed at the end.
        server: its lock is held while rounds are asked or told, not while inputs run.

    Attributes:
        seeds: what tracing seeds took.
        mutants: what tracing mutants took.
        problem: why nothing is traced any more, None while all is well.
    """

    def __init__(self, tracer: Tracer, server: MutationServer) -> None:
        self._tracer, self._server = tracer, server
        self.seeds, self.mutants = Spent(), Spent()
        self.problem: str | None = None
        self._each = _GUESS_S
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracing", daemon=True)

    @property
    def seconds(self) -> float:
        """What tracing took, of both."""
        return self.seeds.seconds + self.mutants.seconds

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        while self._thread.is_alive():  # what it starts just now is ended the next time
            self._tracer.interrupt()
            self._thread.join(_PAUSE_S)
        self._tracer.close()

    def _work(self) -> None:
        try:
            self._tracer.start()
            began = time.monotonic()
            while not self._stopping.wait(_PAUSE_S):
                self._step(time.monotonic() - began)
        except (InoculateError, OSError) as err:
            if not self._stopping.is_set():
                self.problem = str(err)

    def _step(self, elapsed_s: float) -> None:
        passed, lock = self._server.rounds.passed, self._server.lock
        seeds = self._allowed(SEEDS_SHARE * elapsed_s + _FIRST_S - self.seeds.seconds)
        mutants = self._allowed(MUTANTS_SHARE * elapsed_s - self.mutants.seconds)
        with lock:
            wanted = passed.wanted(seeds, mutants if mutants >= self._tracer.fewest else 0)
        if not wanted:
            return
        began = time.monotonic()
        told = self._tracer([one.data for one in wanted])
        each = (time.monotonic() - began) / len(wanted)
        self._each += _PACE * (each - self._each)
        n_seeds = sum(one.seed is not None for one in wanted)
        self.seeds.add(each * n_seeds, n_seeds)
        self.mutants.add(each * (len(wanted) - n_seeds), len(wanted) - n_seeds)
        with lock:
            passed.note(wanted, told)

    def _allowed(self, seconds: float) -> int:
        """Return how many inputs may be traced in a time, by what one took lately."""
        return max(min(int(seconds / max(self._each, _LEAST_S)), _MOST), 0)
