"""Rules from a handful of examples: clauses of facts that hold, or do not, found by proof.

A *fact* is true or false of a record. A clause is a conjunction of facts and absences; a rule is
a disjunction of clauses. Looked for is the cheapest rule that every example satisfies, no
contrary record (the fixed twin of an example, say) and few of the background. What a fact costs
says how little it is believed beforehand to tell a threat, in bits: such a prior is what can be
meta-learned, and it is the order of search.

Clauses are enumerated in order of cost. What fails teaches: a clause that too few examples
satisfy is never made narrower, one that excludes all it must is not either, and a literal that
excludes nothing more is left out of all that would follow. Where steps or time run out, a beam
search takes the steepest way down instead.

References:
    Muggleton, Lin and Tamaddoni-Nezhad, "Meta-interpretive learning of higher-order dyadic
    datalog", Machine Learning 100, 2015, section 3: proofs by a few metarules, cheapest first.
    Departure: facts are about one record, so the metarules are conjunctions with absence as
    negation; chains from source to sink are facts themselves.

    Cropper and Morel, "Learning programs by learning from failures", Machine Learning 110, 2021,
    section 3.3, for pruning by failed hypotheses. Departures: no clause needs another; rules of
    several clauses by sequential covering instead of an answer-set solver.
"""

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

_BEAM = 24
_LOOK_AT_CLOCK = 256
_FEWEST_COUNTS = 0.5  # pairs that "a fact never comes or goes" counts as


@dataclass(frozen=True, slots=True, order=True)
class Literal:
    """A fact that holds, or one that is absent.

    Attributes:
        fact: its column.
        holds: False where its absence is meant.
    """

    fact: int
    holds: bool = True


Clause = tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far to look, and what is small enough.

    Attributes:
        alarms: background records that a rule may cover.
        literals: of a clause.
        clauses: of a rule.
        steps: clauses looked at, in order of cost.
        seconds: wall time for them.
    """

    alarms: int
    literals: int = 5
    clauses: int = 3
    steps: int = 200_000
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A rule.

    Attributes:
        clauses: one of them has to hold; cheapest first found.
        cost: of all literals together, in bits.
        steps: clauses that were looked at.
        alarms: background records that it covers.
        complete: True where no cheaper rule was left out for want of steps or time.
    """

    clauses: tuple[Clause, ...]
    cost: float
    steps: int
    alarms: int
    complete: bool

    def covers(self, facts: BoolArray) -> BoolArray:
        """Return which records satisfy the rule, (n,), from their facts (n, m)."""
        found = np.zeros(len(facts), bool)
        for clause in self.clauses:
            found |= satisfied(clause, facts)
        return found


def costs(pairs: Sequence[tuple[BoolArray, BoolArray]], width: int) -> Float64:
    """Return the bits of each fact and of each absence, (width, 2): how seldom fixes undid it.

    Args:
        pairs: (n, width) facts before and after fixes of each weakness.
        width: facts.
    """
    counts = np.full((width, 2), _FEWEST_COUNTS)
    for before, after in pairs:
        counts[:, 0] += (before & ~after).mean(axis=0)
        counts[:, 1] += (~before & after).mean(axis=0)
    return np.asarray(-np.log2(counts / counts.sum()))


def satisfied(clause: Clause, facts: BoolArray) -> BoolArray:
    """Return which records satisfy a clause, (n,), from their facts (n, m)."""
    found = np.ones(len(facts), bool)
    for literal in clause:
        found &= facts[:, literal.fact] == literal.holds
    return found


@dataclass(slots=True)
class _Node:
    """A clause as it is enumerated: literals by rank, and the bits of what satisfies it."""

    ranks: tuple[int, ...]
    cost: float
    examples: int
    contrary: int
    background: int


@dataclass(slots=True, eq=False)
class Search:
    """What is to be told apart, ready to be searched.

    Literals that say the same of all records are one, the cheapest of them.

    Args:
        examples: (k, m) facts of the examples.
        contrary: (f, m) facts of records that no clause may cover.
        background: (b, m) facts of records that few may be covered of.
        cost: (m, 2) positive bits, of a fact and of its absence; infinite for never.
        bounds: how far to look.

    Raises:
        ValueError: the widths differ, there is no example, or a cost is not positive.
    """

    examples: BoolArray
    contrary: BoolArray
    background: BoolArray
    cost: Float64
    bounds: Bounds
    steps: int = 0
    stopped: bool = False
    _literals: list[Literal] = field(default_factory=list)
    _costs: list[float] = field(default_factory=list)
    _bits: list[tuple[int, int, int]] = field(default_factory=list)
    _until: float = 0.0

    def __post_init__(self) -> None:
        """Order the literals by cost."""
        width = self.examples.shape[1]
        tables = (self.examples, self.contrary, self.background)
        if not len(self.examples) or any(t.shape[1] != width for t in tables):
            raise ValueError(f"facts are {[t.shape for t in tables]}, with one example at least")
        if self.cost.shape != (width, 2) or not (self.cost > 0).all():
            raise ValueError(f"costs are {self.cost.shape}, expected positive ({width}, 2)")
        known: dict[tuple[int, int, int], None] = {}
        order = np.argsort(self.cost.T.ravel(), kind="stable")
        packed = [_packed(t) for t in tables]
        for place in order.tolist():
            fact, holds = place % width, place < width
            bits = (packed[0][fact], packed[1][fact], packed[2][fact])
            if not holds:
                bits = tuple((1 << len(t)) - 1 - b for t, b in zip(tables, bits, strict=True))
            cost = float(self.cost[fact, int(not holds)])
            if bits in known or not bits[0] or cost == np.inf:
                continue
            known[bits] = None
            self._literals.append(Literal(fact, holds))
            self._costs.append(cost)
            self._bits.append(bits)
        self._until = time.monotonic() + self.bounds.seconds

    def clauses(self, among: int, fewest: int, most_alarms: int) -> Iterator[_Node]:
        """Yield the clauses that exclude what they must, cheapest first.

        Args:
            among: bits of the examples to cover.
            fewest: examples that a clause has to cover.
            most_alarms: background records that it may cover.
        """
        everything = (1 << len(self.contrary)) - 1, (1 << len(self.background)) - 1
        root = _Node((), 0.0, among, *everything)
        heap: list[tuple[float, tuple[int, ...], _Node]] = []
        self._push(heap, root, 0)
        while heap and not self._spent():
            _, ranks, above = heapq.heappop(heap)
            self._push(heap, above, ranks[-1] + 1)
            node = self._narrow(above, ranks[-1])
            if node.examples.bit_count() < fewest or _excludes_nothing(node, above):
                continue
            if not node.contrary and node.background.bit_count() <= most_alarms:
                yield node
            elif len(ranks) < self.bounds.literals:
                self._push(heap, node, ranks[-1] + 1)

    def _push(
        self, heap: list[tuple[float, tuple[int, ...], _Node]], above: _Node, rank: int
    ) -> None:
        if rank < len(self._literals):
            heapq.heappush(heap, (above.cost + self._costs[rank], (*above.ranks, rank), above))

    def _narrow(self, above: _Node, rank: int) -> _Node:
        self.steps += 1
        examples, contrary, background = self._bits[rank]
        return _Node(
            (*above.ranks, rank),
            above.cost + self._costs[rank],
            above.examples & examples,
            above.contrary & contrary,
            above.background & background,
        )

    def _spent(self) -> bool:
        late = self.steps % _LOOK_AT_CLOCK == 0 and time.monotonic() > self._until
        self.stopped = self.stopped or late or self.steps >= self.bounds.steps
        return self.stopped

    def beam(self, among: int, fewest: int, most_alarms: int) -> _Node | None:
        """Return a clause that excludes what it must, by the steepest way down; maybe none."""
        everything = (1 << len(self.contrary)) - 1, (1 << len(self.background)) - 1
        level = [_Node((), 0.0, among, *everything)]
        best: _Node | None = None
        for _ in range(self.bounds.literals):
            found: dict[tuple[int, int, int], _Node] = {}
            for above in level:
                for rank in range(len(self._literals)):
                    node = self._narrow(above, rank)
                    if node.examples.bit_count() < fewest or _excludes_nothing(node, above):
                        continue
                    key = (node.examples, node.contrary, node.background)
                    if key not in found or node.cost < found[key].cost:
                        found[key] = node
            done = [n for n in found.values() if _is_done(n, most_alarms)]
            best = min([*done, *([best] if best else [])], key=lambda n: n.cost, default=None)
            left = sorted(found.values(), key=_steepness)
            level = [n for n in left if not _is_done(n, most_alarms)][:_BEAM]
            if best is not None or not level:
                break
        return best

    def clause_of(self, node: _Node) -> Clause:
        """Return a node's literals, facts in order."""
        return tuple(sorted(self._literals[r] for r in node.ranks))


def _packed(table: BoolArray) -> list[int]:
    """Return each column's bits as one number, row 0 the lowest."""
    rows = np.packbits(table.T, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def _excludes_nothing(node: _Node, above: _Node) -> bool:
    return node.contrary == above.contrary and node.background == above.background


def _is_done(node: _Node, most_alarms: int) -> bool:
    return not node.contrary and node.background.bit_count() <= most_alarms


def _steepness(node: _Node) -> tuple[float, float]:
    """Return what a beam prefers less: records still to exclude, contrary ones above all."""
    left = 4 * node.contrary.bit_count() + node.background.bit_count()
    return np.log2(1 + left) + 0.1 * node.cost, node.cost


def learn_clauses(
    examples: BoolArray,
    contrary: BoolArray,
    background: BoolArray,
    cost: Float64,
    bounds: Bounds,
) -> Learned | None:
    """Return the cheapest rule found that covers every example; None where there is none.

    Fewer clauses are preferred to cheaper ones. The same arguments give the same rule as long
    as time does not run out; a bound on steps does so alike everywhere.

    Args:
        examples: (k, m) facts of the examples, k at least 1.
        contrary: (f, m) facts of what no clause may cover.
        background: (b, m) facts of the background.
        cost: (m, 2) bits of each fact, and of its absence; positive, infinite for never.
        bounds: how far to look.

    Raises:
        ValueError: see ``Search``.

    Example:
        >>> facts = np.array([[1, 1, 0], [1, 0, 1]], bool)
        >>> rule = learn_clauses(facts[:1], facts[1:], facts[1:], np.ones((3, 2)), Bounds(alarms=0))
        >>> rule.clauses if rule else None
        ((Literal(fact=1, holds=True),),)
    """
    search = Search(examples, contrary, background, cost, bounds)
    everyone = (1 << len(examples)) - 1
    for n_clauses in range(1, bounds.clauses + 1):
        found = _cover(search, everyone, n_clauses, bounds.alarms)
        if found is not None:
            alarms = 0
            for node in found:
                alarms |= node.background
            clauses = tuple(search.clause_of(node) for node in found)
            cost_of_all = sum(node.cost for node in found)
            n_alarms = alarms.bit_count()
            return Learned(clauses, cost_of_all, search.steps, n_alarms, not search.stopped)
    return None


def _cover(search: Search, left: int, n_clauses: int, most_alarms: int) -> list[_Node] | None:
    """Return so many clauses that cover the examples left, the first the widest; maybe none."""
    fewest = -(-left.bit_count() // n_clauses)
    first = next(search.clauses(left, fewest, most_alarms), None)
    if first is None and search.stopped:
        first = search.beam(left, fewest, most_alarms)
    if first is None:
        return None
    rest = left & ~first.examples
    if not rest:
        return [first]
    if n_clauses == 1:
        return None
    alarms = most_alarms - first.background.bit_count()
    more = _cover(search, rest, n_clauses - 1, alarms)
    return None if more is None else [first, *more]
