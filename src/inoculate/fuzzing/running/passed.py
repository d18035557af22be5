"""What inputs pass, beside a fuzzer that does not tell: the cost of seeds, and how rare they are.

Seeds and a sample of the mutants are run once more by a ``Tracer``, apart from the fuzzer.
"""

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inoculate.fuzzing.corpus import Seed

_MOST_EDGES = 1 << 16
_MOST_WAITING = 4096
_SAMPLE = 64


class Tracer(ABC):
    """Runs inputs under the limits of a run, and tells what they pass.

    Attributes:
        fewest: mutants at a time, where fewer cost as much.
    """

    fewest: ClassVar[int] = 1

    @abstractmethod
    def start(self) -> None:
        """Make it ready, which may take its time.

        Raises:
            InoculateError: nothing can be traced.
            OSError: the same.
        """

    @abstractmethod
    def __call__(self, inputs: Sequence[bytes]) -> list[Mapping[int, int] | None]:
        """Return for each input its edges and how often it passed them, None where not known.

        Raises:
            InoculateError: nothing can be traced any more.
            OSError: the same.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End what is running, from another thread; the call under way returns or raises."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An input to be traced.

    Attributes:
        data: its bytes.
        stands: how many inputs that were run it stands for.
        seed: that it is, None for a mutant.
    """

    data: bytes
    stands: float
    seed: Seed | None = None


class Passed:
    """How many inputs touched each edge, estimated; and what shall be traced for that.

    A seed that was traced counts as one input. Mutants are drawn from all that were run since
    the last sample, one of a round at most, each round as likely as any other; each stands for as
    many as were run by the size of the sample (Horvitz and Thompson 1952). So the sum over what
    touched an edge estimates, without bias, how many inputs did. What fewer than one sample
    touches is known by its seeds alone: the estimate tells rare from common, not rare from
    rarer. When more than 65,536 edges are known, others are not counted.

    Args:
        seed: of the draws.
    """

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._hits: dict[int, float] = {}
        self._seeds: deque[Seed] = deque(maxlen=_MOST_WAITING)
        self._sample: list[bytes] = []
        self._rounds = 0
        self._since = 0

    def hits(self, edge: int) -> int:
        """Return how many inputs touched an edge, as far as is known."""
        return round(self._hits.get(edge, 0.0))

    def enter(self, seed: Seed) -> None:
        """Take a seed to be traced."""
        self._seeds.append(seed)

    def ran(self, mutants: Sequence[bytes]) -> None:
        """Take a round of mutants that were run; one of them may be traced."""
        if not mutants:
            return
        self._since += len(mutants)
        self._rounds += 1
        at = int(self._rng.random() * self._rounds)  # Vitter's algorithm R, over rounds
        if self._rounds <= _SAMPLE:
            at = len(self._sample)
            self._sample.append(b"")
        if at < _SAMPLE:
            self._sample[at] = mutants[int(self._rng.random() * len(mutants))]

    def wanted(self, seeds: int, mutants: int) -> list[Wanted]:
        """Return what to trace next.

        Args:
            seeds: most of them, those that wait longest first.
            mutants: most of them; with 0 the sample is drawn from more rounds, the next time.
        """
        first = [self._seeds.popleft() for _ in range(min(seeds, len(self._seeds)))]
        found = [Wanted(seed.data, 1.0, seed) for seed in first]
        n = min(mutants, len(self._sample))
        if n:
            stands = self._since / n
            found += [Wanted(data, stands) for data in self._rng.sample(self._sample, n)]
            self._sample, self._rounds, self._since = [], 0, 0
        return found

    def note(self, wanted: Sequence[Wanted], told: Sequence[Mapping[int, int] | None]) -> None:
        """Take what inputs of ``wanted`` passed; seeds know their cost and rarest edge then."""
        known = [(one, edges) for one, edges in zip(wanted, told, strict=True) if edges]
        hits = self._hits
        for one, edges in known:
            for edge in edges:
                if edge in hits or len(hits) < _MOST_EDGES:
                    hits[edge] = hits.get(edge, 0.0) + one.stands
        for one, edges in known:
            if (seed := one.seed) is not None:
                seed.steps, seed.breadth = max(sum(edges.values()), 1), len(edges)
                seed.rarest = min(edges, key=lambda edge: hits.get(edge, 0.0))
                seed.path = hash(frozenset(edges.items())) or 1
                seed.liked = None

    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """Return the edges and how many touched them."""
        n = len(self._hits)
        return {
            "edges": np.fromiter(self._hits.keys(), np.int64, n),
            "hits": np.fromiter(self._hits.values(), np.float64, n),
        }

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what ``memory`` returned.

        Raises:
            KeyError: a part of it is missing.
            ValueError: it is not of that form.
        """
        edges, hits = memory["edges"], memory["hits"]
        if edges.shape != hits.shape or edges.ndim != 1 or not (hits >= 0).all():
            raise ValueError("edges and how many inputs touched them do not fit together")
        self._hits = dict(zip(map(int, edges), map(float, hits), strict=True))
