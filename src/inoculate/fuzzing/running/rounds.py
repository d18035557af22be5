"""A policy at work inside a fuzzer that runs the inputs itself: AFL++ or libFuzzer.

The fuzzer offers a seed and says which mutants it kept. The policy chooses how a seed is mutated,
and by what rule the next one is chosen among those that were kept. One rule is left to the fuzzer:
``rarest``, since it alone counts every input that touched an edge; AFL++'s favoured seeds and
libFuzzer's entropic schedule both prefer rare ones. What a taste sees of a seed's cost and rarity
is of ``Passed``, an estimate.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Policy
from inoculate.errors import ArtifactError
from inoculate.fuzzing.corpus import SEED_RULES, Corpus, Seed
from inoculate.fuzzing.history import BUG_WORTH, ROUND, History, Round, worth
from inoculate.fuzzing.operators import Material, Mutator
from inoculate.fuzzing.running.afl_module import NEW_CRASH
from inoculate.fuzzing.running.passed import Passed

_MAX_SEEDS = 2048
_MAX_SEED_BYTES = 64 << 20
_LEAST = b"\0"
_THEIRS = SEED_RULES.index("rarest")
_NUMBERS = ("born", "depth", "near", "chosen", "finds", "steps", "rarest", "breadth", "path")


@dataclass(frozen=True, slots=True)
class Kept:
    """A mutant of the last round that the fuzzer kept.

    Attributes:
        index: which of the round.
        name: what the fuzzer calls it.
        what: it did, ``NEW_COUNTS``, ``NEW_EDGES`` or ``NEW_CRASH``, which is not kept to mutate.
    """

    index: int
    name: str
    what: int

    @property
    def worth(self) -> float:
        """What it is worth, as in training."""
        return (worth(0, 1), worth(1, 0), BUG_WORTH)[self.what]


class Rounds:
    """Makes rounds of mutants, and lets the policy learn from what became of them.

    Args:
        policy: what chooses; changes with every round.
        seed: of all that is drawn here.
        dictionary: tokens worth inserting.
        max_size: no mutant is longer, in bytes.

    Attributes:
        known: edges touched so far, as far as the fuzzer tells.
        passed: what seeds and mutants pass, as far as they are traced.
    """

    def __init__(
        self, policy: Policy, *, seed: int, dictionary: Sequence[bytes] = (), max_size: int = 4096
    ) -> None:
        self.policy = policy
        self.history = History()
        self.known = 0
        self.passed = Passed(f"{seed}/passed")
        self._seed = seed
        self._dictionary = list(dictionary)
        self._max_size = max_size
        self._named: dict[str, Seed] = {}
        self._bytes = 0
        self._action: Action | None = None
        self._rule = _THEIRS
        self._parent = Seed(b"")
        self._made: list[tuple[bytes, list[int]]] = []
        self._begin()

    def _begin(self) -> None:
        # not a state to restore, yet no draw comes twice: what was run has moved on
        rng = random.Random(f"{self._seed}/{self.history.executions}")  # noqa: S311
        self.corpus = Corpus(rng, self.passed.hits)
        self.corpus.taste = self.policy.taste
        self.corpus.seeds = list(self._named.values())
        self.mutator = Mutator(rng, self._dictionary, max_size=self._max_size)

    def settle(self, ran: int, kept: Sequence[Kept]) -> None:
        """Take what became of the last round.

        Args:
            ran: mutants of it that were run.
            kept: those that the fuzzer kept.
        """
        if self._action is None:
            return
        self.passed.ran([data for data, _ in self._made[:ran]])
        gain = sum(one.worth for one in kept)
        for one in kept:
            if 0 <= one.index < len(self._made) and one.what != NEW_CRASH:
                self._keep(one)
        reward = self.history.note(self._action, Round(min(ran, ROUND), gain))
        self.policy.learn(self._action, reward)
        self._rule, self._action = self._action.seed, None

    def make(self, name: str, data: bytes, *, max_size: int | None = None) -> list[bytes]:
        """Return a round of mutants of a seed.

        Args:
            name: what the fuzzer calls the seed that it offers.
            data: its bytes, which the fuzzer may have shortened.
            max_size: no mutant is longer, where that is less than ours.
        """
        seed = self._seen(name, data)
        if self._rule != _THEIRS:
            seed = self.corpus.choose(self._rule, self.history.executions)
        seen = self.history.observe(seed, self.corpus, known=self.known)
        self._action = action = self.policy.act(seen)
        self._parent = seed
        self.mutator.max_size = min(max_size or self._max_size, self._max_size)
        of = Material(seed.data, self.corpus.other(seed), seed.hot, seed.near)
        seed.chosen += 1
        self._made = []
        for _ in range(ROUND):
            mutant = self.mutator.mutate(
                of, operator=action.operator, intensity=action.intensity, region=action.region
            )
            # AFL++ gives up where a mutant is empty
            self._made.append((mutant or _LEAST, self.mutator.struck))
        return [mutant for mutant, _ in self._made]

    def _keep(self, one: Kept) -> None:
        data, struck = self._made[one.index]
        parent, action = self._parent, self._action
        if action is not None and action.intensity == 0:
            parent.heat(struck)
        parent.finds += 1
        self._add(one.name, Seed(
            data, born=self.history.executions, depth=parent.depth + 1,
            near=struck[-1] if struck else -1, hot=[at for at in parent.hot if at < len(data)],
            # likely, until it was traced
            steps=parent.steps, rarest=parent.rarest, breadth=parent.breadth,
        ))  # fmt: skip

    def offer(self, name: str, data: bytes) -> None:
        """Take a first seed, before the fuzzer offers it."""
        self._seen(name, data)

    def fill(self, bytes_of: Callable[[str], bytes | None]) -> None:
        """Find the bytes of remembered seeds again; forget those that are gone.

        Args:
            bytes_of: returns what the fuzzer holds under a name, None for nothing.
        """
        for name, seed in list(self._named.items()):
            data = bytes_of(name)
            if data is None:
                self._forget(name)
            else:
                self._seen(name, data).born = seed.born

    def _seen(self, name: str, data: bytes) -> Seed:
        known = self._named.get(name)
        if known is not None and known.data == data:
            return known
        fresh = Seed(data, born=self.history.executions)
        if known is not None:
            self._forget(name)
            for number in _NUMBERS:
                setattr(fresh, number, getattr(known, number))
            fresh.hot = [at for at in known.hot if at < len(data)]
            if known.data:
                fresh.path = 0
        self._add(name, fresh)
        return fresh

    def _add(self, name: str, seed: Seed) -> None:
        self._forget(name)
        self._named[name] = seed
        self.corpus.seeds.append(seed)
        self._bytes += len(seed.data)
        if not seed.path:
            self.passed.enter(seed)
        while len(self._named) > 1 and (
            len(self._named) > _MAX_SEEDS or self._bytes > _MAX_SEED_BYTES
        ):
            self._forget(next(iter(self._named)))

    def _forget(self, name: str) -> None:
        gone = self._named.pop(name, None)
        if gone is not None:
            self.corpus.seeds.remove(gone)
            self._bytes -= len(gone.data)

    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that policy and history have learned."""
        parts = {
            "history": self.history.memory(),
            "passed": self.passed.memory(),
            "policy": self.policy.memory(),
        }
        return {
            f"{kind}/{name}": np.asarray(array)
            for kind, arrays in parts.items()
            for name, array in arrays.items()
        }

    def attributes(self) -> dict[str, list[Any]]:
        """Return what is known of the seeds, without their bytes, as JSON holds it."""
        return {
            name: [*(getattr(seed, number) for number in _NUMBERS), seed.hot]
            for name, seed in self._named.items()
        }

    def remember(
        self, memory: Mapping[str, npt.NDArray[Any]], attributes: Mapping[str, list[Any]]
    ) -> None:
        """Take what ``memory`` and ``attributes`` returned.

        Raises:
            ArtifactError: they are not of that form.
        """
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {"history": {}, "passed": {}, "policy": {}}
        for name, array in memory.items():
            kind, _, rest = name.partition("/")
            parts.setdefault(kind, {})[rest] = array
        try:
            self.history.remember(parts["history"])
            self.passed.remember(parts["passed"])
            for name, (*numbers, hot) in attributes.items():
                self._named[name] = seed = Seed(b"", hot=[int(at) for at in hot])
                for number, value in zip(_NUMBERS, numbers, strict=True):
                    setattr(seed, number, int(value))
                if seed.steps < 1:
                    raise ValueError(f"{name} passes {seed.steps} places")
        except (KeyError, ValueError, TypeError) as err:
            raise ArtifactError(f"what the policy remembered is damaged: {err}") from err
        self.policy.remember(parts["policy"])
        self._begin()
