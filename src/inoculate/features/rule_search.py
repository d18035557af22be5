"""From records to the clauses of a rule: which conditions to try, what each costs, what is found.

Conditions are those that examples fulfil, and, for absence, those that contrary and background
records do. Which records fulfil them is asked of the rule language, so that what is learned is
what its tool will run. A condition that tells one host, user, file or moment is never tried.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import numpy as np

from inoculate.domain import Fact
from inoculate.features.clauses import Bounds, Float64, Learned, learn_clauses
from inoculate.features.rule_costs import CODE_BITS
from inoculate.features.rule_margin import with_margin
from inoculate.rule import BoolArray, Described, RuleLanguage, Term, identity_in, masked

MOST_CONDITIONS = 1_200
"""Conditions that are searched."""
_MOST_TRIED = 4_000
_MOST_ABSENT = 300
_LOOKED_AT = 500
_LONG = 40
_BITS = {
    **{"is": 2.0, "ends": 2.5, "has": 3.0, "import": 2.5, "symbol": 2.5, "string": 3.5},
    **{"section": 4.0, "elf_section": 4.0},
    **{"setting": 2.5, "block": 2.5},
}
_USUAL_BITS = 3.0
_ABSENT_BITS = 2.5
_TIE = 0.001  # a character: of two that cost the same, the shorter comes first
_STEPS = 20_000
_SPARE = 2  # conditions of a clause that are kept for its margin
_LEAST_LEFT_OUT = 3
_FEW_CONTRARY = 4


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Conditions, and which records fulfil them.

    Attributes:
        conditions: m of them.
        examples, contrary, background: (k, m), (f, m) and (b, m).
        cost: (m, 2) bits of each, and of its absence.
        left_out: what conditions told that were not tried, with how many.
    """

    conditions: tuple[Fact, ...]
    examples: BoolArray
    contrary: BoolArray
    background: BoolArray
    cost: Float64
    left_out: Counter[str] = field(default_factory=Counter)

    def without(self, banned: Iterable[Fact]) -> "Facts":
        """Return the same less some conditions."""
        out = set(banned)
        keep = np.array([c not in out for c in self.conditions], bool)
        conditions = tuple(c for c in self.conditions if c not in out)
        tables = (self.examples[:, keep], self.contrary[:, keep], self.background[:, keep])
        return Facts(conditions, *tables, self.cost[keep], self.left_out)


def gather(
    language: RuleLanguage,
    examples: Sequence[Described],
    contrary: Sequence[Described],
    background: Sequence[Described],
    *,
    clauses: int = 3,
    identities: bool = False,
) -> Facts:
    """Return the conditions worth a search, and which records fulfil them.

    Args:
        language: what can be tested.
        examples: what a rule is to find.
        contrary: what it must not.
        background: what it may find little of.
        clauses: of the rule to be; a condition of fewer than its share of examples is not tried.
        identities: also try what tells one host, user, file or moment.
    """
    names = _names(chain(examples, contrary))
    counts: Counter[Fact] = Counter()
    left_out: Counter[str] = Counter()
    for record in examples:
        own = set(language.conditions(record))
        safe = own if identities else own & set(language.conditions(_masked(record, names)))
        counts.update(safe)
        left_out.update(_told(c.value, names) for c in own - safe)
    # one less, so that leaving an example out does not know what it would have brought
    fewest = max(1, -(-(len(examples) - 1) // clauses))
    shared = sorted(counts.items(), key=lambda p: (-p[1], bits(p[0]), p[0]))
    tried = [c for c, n in shared if n >= fewest][:_MOST_TRIED]
    elsewhere: Counter[Fact] = Counter()
    for weight, records in ((_LOOKED_AT, contrary), (1, background[:_LOOKED_AT])):
        for record in records:
            safe = set(language.conditions(_masked(record, names)))
            elsewhere.update(dict.fromkeys(safe, weight))
    often = sorted(elsewhere.items(), key=lambda p: (-p[1], bits(p[0]), p[0]))
    tried += islice((c for c, _ in often if c not in counts), _MOST_ABSENT)
    if not tried:
        nothing = [np.zeros((len(r), 0), bool) for r in (examples, contrary, background)]
        return Facts((), nothing[0], nothing[1], nothing[2], np.ones((0, 2)), left_out)
    tables = [language.holds(tried, records) for records in (examples, contrary, background)]
    return _distinct(language, tried, tables, left_out)


def _distinct(
    language: RuleLanguage, tried: list[Fact], tables: list[BoolArray], left_out: Counter[str]
) -> Facts:
    """Return of conditions that say the same of all records the cheapest, of many the rarest."""
    order = sorted(range(len(tried)), key=lambda i: (bits(tried[i]), tried[i]))
    whole = np.vstack(tables)
    packed = np.packbits(whole, axis=0)
    known: dict[bytes, int] = {}
    for i in order:
        known.setdefault(packed[:, i].tobytes(), i)
    kept = list(known.values())
    if len(kept) > MOST_CONDITIONS:
        share = tables[0].mean(0) - np.vstack(tables[1:]).mean(0)
        best = np.argsort(-np.abs(share[kept]), kind="stable")[:MOST_CONDITIONS]
        kept = [kept[i] for i in best]
    conditions = tuple(tried[i] for i in kept)
    own = np.array([bits(c) for c in conditions])
    absent = np.array([_absent_bits(c) for c in conditions])
    absence = np.where([language.negates(c) for c in conditions], absent, np.inf)
    cost = np.column_stack([own, absence])
    examples, contrary, background = (table[:, kept] for table in tables)
    return Facts(conditions, examples, contrary, background, cost, left_out)


def _names(records: Iterable[Described]) -> frozenset[str]:
    """Return the names of hosts and users in records, in small letters."""
    found = chain.from_iterable(record.values("who") for record in records)
    return frozenset(name.lower() for name in found if len(name) > 2)


def _masked(record: Described, names: frozenset[str]) -> Described:
    facts = (Fact(f.kind, masked(f.value, names), f.line) for f in record.facts)
    return Described(record.record, tuple(facts))


def _told(value: str, names: frozenset[str]) -> str:
    small = value.lower()
    if any(name in small for name in names):
        return "a host or user"
    return identity_in(small) or "part of an address, hash or name"


def bits(condition: Fact) -> float:
    """Return what a condition costs: how little it is believed beforehand to tell a threat."""
    kind, text = condition.kind.partition(":")[0], condition.value
    if kind in CODE_BITS:
        return CODE_BITS[kind][0] + _TIE * min(len(text), _LONG)
    cost = _BITS.get(kind, _USUAL_BITS)
    short = max(0, 6 - len(text)) * 0.4 if condition.kind.startswith(("has", "string")) else 0
    cost += 3 * (condition.kind.startswith("is") and " " in text)  # a whole command line
    return cost + short + 0.02 * min(len(text), _LONG) + 2 * text.isdigit() * (short > 0)


def _absent_bits(condition: Fact) -> float:
    """Return what the absence of a condition costs."""
    kind = condition.kind.partition(":")[0]
    if kind in CODE_BITS:
        return CODE_BITS[kind][1] + _TIE * min(len(condition.value), _LONG)
    return bits(condition) + _ABSENT_BITS


def learn(facts: Facts, bounds: Bounds) -> Learned | None:
    """Return the cheapest rule over these conditions, None where there is none.

    Each clause asks for something that is there: one of absences alone would match whatever else
    there is in the world. Where there are contrary records, clauses are searched that leave room
    for two conditions more, and these give them a margin.
    """
    if not facts.conditions:
        return None
    if len(facts.contrary):
        bounds = replace(bounds, literals=max(1, bounds.literals - _SPARE))
    nothing = np.zeros((1, len(facts.conditions)), bool)
    contrary = np.vstack([facts.contrary, nothing])
    found = learn_clauses(facts.examples, contrary, facts.background, facts.cost, bounds)
    if found is None or not len(facts.contrary):
        return found
    tables = (facts.examples, facts.contrary, facts.background)
    return with_margin(found, tables, facts.cost, bounds.literals + _SPARE)


def terms_of(facts: Facts, learned: Learned) -> tuple[tuple[Term, ...], ...]:
    """Return a rule's clauses as terms, what has to hold first."""
    return tuple(
        tuple(
            Term(facts.conditions[x.fact], x.holds)
            for x in sorted(clause, key=lambda x: (not x.holds, x.fact))
        )
        for clause in learned.clauses
    )


def usual_bounds(n_examples: int, *, alarms: int, seconds: float = 10.0) -> Bounds:
    """Return how large a rule of so many examples may be: a clause for each three, at most three.

    What rests on fewer is an example learned by heart.
    """
    clauses = min(3, 1 + (n_examples - 1) // 3)
    return Bounds(alarms=alarms, clauses=clauses, steps=_STEPS, seconds=seconds)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How rules learned from all but one example do on that one.

    Attributes:
        found: of the examples left out.
        n: examples left out; 0 where there were fewer than three.
        wrong: contrary records left out that were matched.
        n_contrary: of how many.
    """

    found: int = 0
    n: int = 0
    wrong: int = 0
    n_contrary: int = 0

    def holds_up(self) -> bool:
        """Return whether rules like this one hold for records that they were not learned from.

        Of the contrary records at most a tenth may be matched, of the examples two fifths have
        to be found. Of fewer than four contrary records each is the only one of its sort, and
        says nothing: then it has to be half of the examples.
        """
        if self.n_contrary < _FEW_CONTRARY:
            return 2 * self.found >= self.n
        return 5 * self.found >= 2 * self.n and 10 * self.wrong <= self.n_contrary


def leave_out(facts: Facts, bounds: Bounds) -> LeftOut:
    """Return what leaving out each example, and the contrary record beside it, tells."""
    n, n_contrary = len(facts.examples), len(facts.contrary)
    if n < _LEAST_LEFT_OUT:
        return LeftOut()
    found = wrong = tried = 0
    quick = replace(bounds, seconds=bounds.seconds / n)
    for i in range(n):
        others, twins = np.arange(n) != i, np.arange(n_contrary) != i
        less = Facts(
            facts.conditions,
            facts.examples[others],
            facts.contrary[twins],
            facts.background,
            facts.cost,
        )
        learned = learn(less, quick)
        tried += i < n_contrary
        if learned is not None:
            found += bool(learned.covers(facts.examples[[i]])[0])
            wrong += i < n_contrary and bool(learned.covers(facts.contrary[[i]])[0])
    return LeftOut(found, n, wrong, tried)
