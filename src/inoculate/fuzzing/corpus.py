"""The inputs worth keeping, and the rules by which the next one is chosen."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SEED_RULES = ("any", "newest", "rarest", "fresh", "cheapest")
SEED_SEEN = ("first", "breadth", "age", "rarity")
"""What a taste weighs of a seed: whether it was given; edges, age and rarity as logarithms."""
_TOURNAMENT = 4
_CANDIDATES = 32
_STILL = 2  # of ``SEED_SEEN``: what does not change
_MAX_HOT = 128


@dataclass(slots=True, eq=False)
class Seed:
    """An input worth mutating.

    Attributes:
        data: its bytes.
        path: hash of what it touches.
        steps: its cost.
        rarest: its rarest edge when it was found.
        breadth: how many edges it touches.
        born: executions before it.
        depth: mutants from a first seed to this one.
        near: the place whose change made it new, -1 when not known.
        chosen: times it was mutated.
        finds: mutants of it that were kept.
        hot: places whose change has changed what the program did, oldest first.
        entropy: of its bytes, in bits, 0 to 8.
        text: share of its bytes that are printable.
        parent: the seed it is a mutant of.
        step: the step it was made in, from 0; -1 for a first seed.
        liked: what a taste says of what does not change, None before it was asked.
    """

    data: bytes
    path: int = 0
    steps: int = 1
    rarest: int = 0
    breadth: int = 0
    born: int = 0
    depth: int = 0
    near: int = -1
    chosen: int = 0
    finds: int = 0
    hot: list[int] = field(default_factory=list)
    entropy: float = 0.0
    text: float = 0.0
    parent: "Seed | None" = None
    step: int = -1
    liked: float | None = None

    def __post_init__(self) -> None:
        n = max(len(self.data), 1)
        counted = Counter(self.data)
        self.entropy = -sum(c / n * math.log2(c / n) for c in counted.values())
        self.text = sum(c for byte, c in counted.items() if 32 <= byte < 127 or 9 <= byte <= 13) / n

    def lineage(self) -> tuple[int, ...]:
        """Return the steps that made it and its ancestors, oldest first."""
        steps, seed = [], self
        while seed.parent is not None:
            steps.append(seed.step)
            seed = seed.parent
        return tuple(reversed(steps))

    def heat(self, places: list[int]) -> None:
        """Note places whose change changed what the program did."""
        for at in places:
            if at not in self.hot:
                self.hot.append(at)
        if len(self.hot) > _MAX_HOT:
            del self.hot[: len(self.hot) - _MAX_HOT]


class Corpus:
    """Seeds of one program.

    Args:
        rng: the only source of chance.
        hits: how many inputs touched an edge, for ``rarest``.

    Attributes:
        taste: weights over ``SEED_SEEN`` by which ``any`` chooses; None: it chooses blindly.
    """

    def __init__(self, rng: random.Random, hits: Callable[[int], int] | None = None) -> None:
        self.seeds: list[Seed] = []
        self._rng = rng
        self._hits = hits or (lambda edge: 1)
        self.taste: Sequence[float] | None = None

    def choose(self, rule: int, now: int = 0) -> Seed:
        """Return the next seed by a rule of ``SEED_RULES``.

        ``newest`` prefers late seeds geometrically; the last three hold a tournament of four.
        ``any`` is by taste where there is one.

        Args:
            rule: index of the rule.
            now: executions so far.
        """
        seeds, draw = self.seeds, self._rng.random
        n = len(seeds)
        if rule == 0 and n > 1 and self.taste is not None:
            return self._by_taste(self.taste, now)
        if rule == 0 or n == 1:
            return seeds[int(draw() * n)]
        if rule == 1:
            return seeds[-1 - int(math.log(1 - draw()) * -2) % n]
        some = [seeds[int(draw() * n)] for _ in range(_TOURNAMENT)]
        if rule == 2:
            return min(some, key=lambda s: self._hits(s.rarest))
        if rule == 3:
            return min(some, key=lambda s: s.chosen)
        return min(some, key=lambda s: len(s.data) * s.steps)

    def _by_taste(self, taste: Sequence[float], now: int) -> Seed:
        """Draw some seeds; return one of them, the likelier the more it is to the taste.

        Likely as ``exp`` of the weighed sum is; by the greatest of sums with Gumbel noise.
        """
        seeds, draw = self.seeds, self._rng.random
        age, rarity = taste[_STILL:]
        n, best, most = len(seeds), seeds[0], -math.inf
        few = n <= _CANDIDATES
        for seed in seeds if few else [seeds[int(draw() * n)] for _ in range(_CANDIDATES)]:
            if seed.liked is None:
                still = _still(seed)
                seed.liked = sum(w * x for w, x in zip(taste, still, strict=False))
            worth = seed.liked - math.log(-math.log(draw() or 0.5))
            worth += age * math.log10(now - seed.born + 1)
            worth += rarity * math.log10(self._hits(seed.rarest) + 1)
            if worth > most:
                best, most = seed, worth
        return best

    def seen_of(self, seed: Seed, now: int) -> tuple[float, ...]:
        """Return the numbers of ``SEED_SEEN``.

        Args:
            seed: one of the corpus.
            now: executions so far.
        """
        return (
            *_still(seed),
            math.log10(now - seed.born + 1),
            math.log10(self._hits(seed.rarest) + 1),
        )

    def other(self, than: Seed) -> bytes:
        """Return another seed's bytes, empty when there is none."""
        if len(self.seeds) < 2:
            return b""
        found = self.seeds[int(self._rng.random() * len(self.seeds))]
        return b"" if found is than else found.data

    def rarity(self, seed: Seed) -> int:
        """Return how many inputs touched the seed's rarest edge."""
        return self._hits(seed.rarest)


def _still(seed: Seed) -> tuple[float, ...]:
    """Return those numbers of ``SEED_SEEN`` that stay as they are."""
    return float(seed.depth == 0), math.log2(seed.breadth + 1)
