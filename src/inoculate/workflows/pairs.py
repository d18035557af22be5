"""Turns fixes into pairs of records: the vulnerable one and its twin, the same one fixed.

Of a file before and after, the pairs are the functions of the same name whose text differs. What
is the same on both sides is no pair; it lies around the fix, and is usual. Statements outside of
functions are paired only where no function of the fix changed: most such changes are a version
number or a constant.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, groupby
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.domain import Batch, Domain, View
from inoculate.errors import InputError, RecordError
from inoculate.reading.git_history import GitHistory
from inoculate.registry import DOMAINS
from inoculate.render._text import counted
from inoculate.store.manifest import DataEntry
from inoculate.workflows.changes import (
    Change,
    Told,
    commits_named,
    in_commit,
    in_folder,
    in_lines,
)
from inoculate.workflows.containers import Sniffer
from inoculate.workflows.examples import Examples
from inoculate.workflows.intake import Intake
from inoculate.workflows.matching import (
    is_outside,
    matched,
    plain,
    records_of,
    records_told,
    source_of,
)
from inoculate.workflows.refitting import rows_of

MOST_PAIRS = 1_000
MOST_AROUND = 20_000
_MOST_READ = 10_000
_CODE = "source"
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Records before and after their fix.

    Attributes:
        domain: of the records.
        before, after: (k rows each) the vulnerable records, and their twins in the same order.
        around: records of the files before the fix that it left as they were.
        threats: what each pair is an example of.
        sources: for the manifest, and
        source: which of them each pair is from.
        notes: lines the user must read.
    """

    domain: Domain
    before: pl.DataFrame
    after: pl.DataFrame
    around: pl.DataFrame
    threats: tuple[str, ...]
    sources: tuple[DataEntry, ...]
    source: tuple[int, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.threats)

    def data(self) -> tuple[DataEntry, ...]:
        """Return the sources that gave pairs, with the number from each."""
        used = sorted(Counter(self.source).items())
        return tuple(self.sources[i].model_copy(update={"records": n}) for i, n in used)

    def told_apart(self, views: Sequence[View]) -> "Pairs":
        """Return the pairs whose sides differ in some column.

        Raises:
            InputError: none does.
        """
        sides = (self.domain.encode(Batch(f), views) for f in (self.before, self.after))
        differ = [a != b for a, b in zip(*map(rows_of, sides), strict=True)]
        if all(differ):
            return self
        n = len(differ) - sum(differ)
        problem = f"{counted(n, 'pair')} the same in every column before and after, left out"
        if not any(differ):
            raise InputError(f"{self.before['origin'][0]}: {problem}; no pair remains")
        return replace(
            self,
            before=self.before.filter(differ),
            after=self.after.filter(differ),
            threats=tuple(compress(self.threats, differ)),
            source=tuple(compress(self.source, differ)),
            notes=(*self.notes, problem),
        )

    def examples(self) -> Examples:
        """Return the vulnerable records as any other examples."""
        return Examples(
            frames=(self.before,),
            domains=(self.domain,),
            labels=self.threats,
            origins=tuple(str(o) for o in self.before["origin"]),
            classes=tuple(sorted(set(self.threats))),
            notes=self.notes,
        )


def read_pairs(
    intake: Intake, names: Sequence[str], *, threat: str | None, shots: int | None, seed: int
) -> Pairs:
    """Read pairs from folders and JSON Lines.

    Args:
        intake: takes the format that was asked for, and what is skipped.
        names: folders and files.
        threat: name of every pair's class; None takes what JSON tells, else the source's name.
        shots: pairs drawn of each class; None takes all, at most 1,000.
        seed: draws them.

    Raises:
        InputError: a source that cannot be read, or no pair in all of them.
        RecordError: a bad file or line, when they are not skipped.
    """
    gathered = _Gathered(intake)
    for name in names:
        told, path = Told(), Path(name)
        if path.is_dir():
            changes, entry = in_folder(name, told), None
        else:
            changes = in_lines(name, told, on_bad=intake.on_bad)
            entry = _digest_of(path)
        stem = path.absolute().name.split(".")[0]
        gathered.add(changes, told, name=path.name or name, default=threat or stem, digest=entry)
    return gathered.finish(", ".join(names), threat, shots, seed)


def read_commits(
    intake: Intake,
    repository: str,
    revisions: Sequence[str],
    *,
    threat: str,
    shots: int | None,
    seed: int,
) -> Pairs:
    """Read pairs from the commits that fixed something.

    Args:
        intake: takes the format that was asked for, and what is left out.
        repository: folder of a git repository.
        revisions: of the commits, or names of files that hold them.
        threat: name of every pair's class.
        shots: pairs drawn; None takes all, at most 1,000.
        seed: draws them.

    Raises:
        InputError: a revision that is none, or commits that changed no function.
        MissingExtraError: git is not installed.
    """
    gathered = _Gathered(intake, lenient=True)
    history = GitHistory(repository)
    for commit in commits_named(history, revisions):
        told = Told()
        # a commit is a source of its own: the manifest is to name it
        name = f"{Path(repository).absolute().name}@{commit[:12]}"
        gathered.add(in_commit(history, commit, told), told, name=name, default=threat)
    return gathered.finish(repository, threat, shots, seed)


@dataclass(eq=False)
class _Gathered:
    """Pairs as they are found, source after source."""

    intake: Intake
    lenient: bool = False
    sniffer: Sniffer = field(default_factory=Sniffer)
    domain: Domain | None = None
    before: list[pl.DataFrame] = field(default_factory=list)
    after: list[pl.DataFrame] = field(default_factory=list)
    around: list[pl.DataFrame] = field(default_factory=list)
    threats: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    data: list[DataEntry] = field(default_factory=list)
    fruitless: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        changes: Iterable[Change],
        told: Told,
        *,
        name: str,
        default: str,
        digest: str | None = None,
    ) -> None:
        """Take the changes of one source."""
        hashed = hashlib.sha256()
        fruitful: set[str] = set()
        for unit in _by_unit(changes):
            for change in unit:
                for part in (change.before_name.encode("utf-8", "replace"), change.before,
                             change.after):  # fmt: skip
                    hashed.update(len(part).to_bytes(8, "big") + part)
            if self._unit(unit, default):
                fruitful.add(unit[0].unit)
        self.fruitless += [u for u in told.units if u not in fruitful]
        for problem, n in told.left_out.items():
            for _ in range(n):
                self.intake.leave_out(problem)
        sha256 = digest or hashed.hexdigest()
        self.data.append(DataEntry(role="pairs", name=name, sha256=sha256, records=0))

    def _unit(self, unit: Sequence[Change], default: str) -> bool:
        """Take the changes of one fix; return whether there was a pair."""
        found: list[tuple[pl.DataFrame, pl.DataFrame, str]] = []
        for change in unit:
            try:
                sides = self._sides(change)
            except InputError as err:
                if not self.lenient:
                    raise
                self.intake.leave_out(
                    err.problem if isinstance(err, RecordError) else "not code that is read"
                )
                continue
            if sides is None:
                continue
            before, after = sides
            match = matched(before, after)
            self.counts["same"] += len(match.same)
            self.counts["one side"] += match.n_one_side
            if match.same and sum(f.height for f in self.around) < MOST_AROUND:
                self.around.append(before[match.same])
            threat = change.threat or default
            found += [(before[i : i + 1], after[j : j + 1], threat) for i, j in match.changed]
        inside = [pair for pair in found if not is_outside(pair[0])]
        self.counts["outside"] += len(found) - len(inside) if inside else 0
        room = max(0, _MOST_READ - len(self.threats))
        self.counts["beyond"] += max(0, len(inside or found) - room)
        for before, after, threat in (inside or found)[:room]:
            self.before.append(before)
            self.after.append(after)
            self.threats.append(threat)
            self.sources.append(len(self.data))
        return bool(found)

    def _sides(self, change: Change) -> tuple[pl.DataFrame, pl.DataFrame] | None:
        """Return the records before and after; None where they were skipped as bad.

        Raises:
            InputError: no format fits, or one of another kind than before.
            RecordError: they cannot be read.
        """
        sides = ((change.before_name, change.before), (change.after_name, change.after))
        domain = self._domain_of(change)
        if change.language is not None:
            return records_told(domain, change, change.language)
        before, after = (records_of(domain, name, data, self._on_bad) for name, data in sides)
        return (before, after) if before.height and after.height else None

    def _on_bad(self, error: RecordError) -> None:
        if self.lenient:
            raise error
        self.intake.on_bad(error)

    def _domain_of(self, change: Change) -> Domain:
        domain = self._sniffed(change)
        if self.domain is not None and domain.kind != self.domain.kind:
            raise InputError(
                f"{change.before_name}: is of kind {domain.kind!r}, the pairs before it are of "
                f"{self.domain.kind!r}"
            )
        self.domain = self.domain or domain
        return domain

    def _sniffed(self, change: Change) -> Domain:
        if change.language is not None:
            return DOMAINS.load(_CODE)()
        source = source_of(change.before_name, change.before)
        if not self.lenient:
            return self.intake.domain(source)
        name = self.intake.format or self.sniffer.best(source, "code")
        if name is None:
            raise InputError(f"{source.name}: no known format fits")
        return DOMAINS.load(name)()

    def finish(self, where: str, threat: str | None, shots: int | None, seed: int) -> Pairs:
        """Return all pairs, or ``shots`` of each class.

        Raises:
            InputError: there is none.
        """
        if self.domain is None or not self.before:
            raise InputError(f"{where}: no pair of a vulnerable and a fixed function{self._why()}")
        before, after = (pl.concat(f, how="diagonal_relaxed") for f in (self.before, self.after))
        threats = [threat] * len(self.threats) if threat else self.threats
        rows, dropped = _drawn(before, after, threats, shots, seed)
        around = pl.concat(self.around, how="diagonal_relaxed") if self.around else before[:0]
        if "text" in around.columns:
            around = around.unique("text", keep="first", maintain_order=True)
        return Pairs(
            domain=self.domain,
            before=before[rows],
            after=after[rows],
            around=around,
            threats=tuple(threats[i] for i in rows),
            sources=tuple(self.data),
            source=tuple(self.sources[i] for i in rows),
            notes=(*self._notes(), *dropped),
        )

    def _why(self) -> str:
        """Return why there is no pair, as far as that is known."""
        told = [f"{counted(n, 'file')} {problem}" for problem, n in self.intake.left_out.items()]
        told += self._notes()
        return ": " + "; ".join(told[:_SHOWN]) if told else ""

    def _notes(self) -> Iterator[str]:
        """Yield what was found and is no pair."""
        same, one_side = self.counts["same"], self.counts["one side"]
        if same:
            yield f"{counted(same, 'function')} beside the fixes, the same before and after"
        if one_side:
            yield f"{counted(one_side, 'function')} only before or only after the fix, in no pair"
        if n := self.counts["outside"]:
            yield f"{counted(n, 'change')} outside of functions, in no pair"
        if n := self.counts["beyond"]:
            yield f"{counted(n, 'pair')} beyond the first {_MOST_READ:,}, left out"
        if self.fruitless:
            shown = ", ".join(self.fruitless[:_SHOWN])
            more = f" and {n - _SHOWN} more" if (n := len(self.fruitless)) > _SHOWN else ""
            yield f"no function changed in {shown}{more}"


def _by_unit(changes: Iterable[Change]) -> Iterator[list[Change]]:
    return (list(unit) for _, unit in groupby(changes, key=lambda change: change.unit))


def _drawn(
    before: pl.DataFrame,
    after: pl.DataFrame,
    threats: Sequence[str],
    shots: int | None,
    seed: int,
) -> tuple[list[int], list[str]]:
    """Return the rows of the pairs to take, in order, and notes of the others."""
    order = np.random.default_rng(seed).permutation(before.height) if shots else None
    most = min(shots or MOST_PAIRS, MOST_PAIRS)
    taken: Counter[str] = Counter()
    seen: set[str] = set()
    rows, n_twice = [], 0
    for i in range(before.height) if order is None else order.tolist():
        key = repr((threats[i], plain(before, i), plain(after, i)))
        if key in seen:
            n_twice += 1
            continue
        seen.add(key)
        taken[threats[i]] += 1
        if taken[threats[i]] <= most:
            rows.append(i)
    notes = [f"{counted(n_twice, 'pair')} told more than once"] if n_twice else []
    for name, n in sorted(taken.items()):
        if shots is None and n > most:
            notes.append(f"{name}: {most:,} of {n:,} pairs kept; --shots draws fewer")
        if shots is not None and n < shots:
            notes.append(f"{name}: only {counted(n, 'pair')} where --shots asks for {shots}")
    return sorted(rows), notes


def _digest_of(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
