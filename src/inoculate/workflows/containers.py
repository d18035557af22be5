"""Reads a folder or an archive: many files, those of one kind of record, in large batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl

from inoculate.domain import Batch, Domain, Source
from inoculate.errors import InputError, RecordError
from inoculate.reading.folders import sources_in
from inoculate.registry import DOMAINS

if TYPE_CHECKING:
    from inoculate.workflows.intake import Intake

_LOOKED_AT = 300
_SURE = 0.5
_BATCH = 1_000

_Files = Iterator[tuple[Domain, Source]]


@dataclass(eq=False)
class Sniffer:
    """Tells the format of many files, asking as few formats as give the same answer as all."""

    domains: dict[str, Domain] = field(
        default_factory=lambda: {name: DOMAINS.load(name)() for name in DOMAINS.names()}
    )

    def best(self, source: Source, kind: str | None) -> str | None:
        """Return the format that fits best if it is of this kind (any for None), else None."""
        sure = {
            name: domain.sniff(source)
            for name, domain in self.domains.items()
            if kind == domain.kind or (kind is None and not domain.made_of)
        }
        if max(sure.values(), default=0.0) <= 0:
            return None
        if max(sure.values()) < 1 and kind is not None:
            made = {self.domains[name].made_of for name in sure}
            others = {
                n: d
                for n, d in self.domains.items()
                if n not in sure and not d.made_of and d.kind not in made
            }
            sure |= {name: domain.sniff(source) for name, domain in others.items()}
        best = max(sure, key=lambda name: (sure[name], name))
        return best if kind in (None, self.domains[best].kind) else None

    def likely_kind(self, name: str) -> str | None:
        """Return the kind that most of the first files are of, the surest formats first."""
        sure: Counter[str] = Counter()
        guessed: Counter[str] = Counter()
        with closing(sources_in(name, on_skip=lambda _: None)) as sources:
            for _, source in zip(range(_LOOKED_AT), sources, strict=False):
                best = self.best(source, None)
                if best is not None:
                    fits = self.domains[best].sniff(source)
                    (sure if fits >= _SURE else guessed)[self.domains[best].kind] += 1
        votes = sure or guessed
        return max(votes, key=lambda kind: (votes[kind], kind)) if votes else None


def read_container(intake: Intake, name: str, kind: str | None) -> Iterator[tuple[Domain, Batch]]:
    """Yield every batch of the files of one kind in a folder or an archive.

    Files of another kind are skipped and counted. A file that cannot be read to its end does
    not keep the others from being read; the first such error is raised after the last file.

    Args:
        intake: takes what is skipped and counted.
        name: the folder or archive.
        kind: of the records; None takes what most of its files hold.

    Raises:
        InputError: no file fits, or a file of lines or packets could not be read to its end.
        NotFoundError: the format that was asked for does not exist.
    """
    sniffer = Sniffer()
    if intake.format is None and kind is None:
        kind = sniffer.likely_kind(name)
    reading = _Reading(intake, name, kind, sniffer)
    intake.counts.setdefault(name, 0)
    with closing(reading.matching()) as files:
        for domain, batch in _gathered(reading.batches(files)):
            intake.counts[name] += len(batch)
            yield domain, batch
    reading.finish()


@dataclass(eq=False)
class _Reading:
    """One folder or archive being read."""

    intake: Intake
    name: str
    kind: str | None
    sniffer: Sniffer
    n_files: int = 0
    n_fitting: int = 0
    told: bool = False
    failures: list[InputError] = field(default_factory=list)

    @property
    def wanted(self) -> str:
        kind = f"of kind {self.kind}" if self.kind else "of a known format"
        return self.intake.format or kind

    def matching(self) -> Generator[tuple[Domain, Source], None, None]:
        """Yield the files that hold what is wanted, each with a domain of its own."""
        forced = DOMAINS.load(self.intake.format)() if self.intake.format else None
        for source in sources_in(self.name, on_skip=self.skip):
            self.n_files += 1
            if forced is not None:
                found = self.intake.format if forced.sniff(source) > 0 else None
            else:
                found = self.sniffer.best(source, self.kind)
            if found is None:
                self.intake.leave_out(f"not {self.wanted}")
                continue
            self.n_fitting += 1
            self.intake.n_files += 1
            yield DOMAINS.load(found)(), source

    def skip(self, error: RecordError) -> None:
        """Count a file that is left out; the first of them is shown."""
        if not self.told:
            self.intake.note(f"left out, for example {error}")
        self.told = True
        self.intake.leave_out(error.problem)

    def batches(self, files: _Files) -> Iterator[tuple[Domain, Batch]]:
        """Yield batches as they come, file by file or many files at once."""
        for _, run in groupby(files, key=lambda file: type(file[0])):
            for domain, source in run:
                if domain.whole_files:
                    rest = (s for s in _chained(source, run))
                    for batch in domain.read_files(rest, on_bad=self.skip):
                        yield domain, batch
                    break
                try:
                    for batch in domain.read(source, on_bad=self.intake.on_bad):
                        yield domain, batch
                except InputError as err:
                    self.failures.append(err)

    def finish(self) -> None:
        """Raise what was met on the way.

        Raises:
            InputError: see ``read_container``.
        """
        if self.failures:
            n = len(self.failures)
            if n > 1:
                self.intake.note(f"{self.name}: {n} files could not be read to their end")
            raise self.failures[0]
        if not self.n_files:
            raise InputError(f"{self.name}: holds no file that could be opened")
        if not self.n_fitting:
            raise InputError(f"{self.name}: none of its {self.n_files} files is {self.wanted}")


def _chained(first: Source, run: _Files) -> Iterator[Source]:
    yield first
    for _, source in run:
        yield source


def _gathered(batches: Iterator[tuple[Domain, Batch]]) -> Iterator[tuple[Domain, Batch]]:
    """Join small batches of one format and one schema: a detector's cost is by batch."""
    domain: Domain | None = None
    held: list[pl.DataFrame] = []
    for other, batch in batches:
        fits = held and type(domain) is type(other) and held[0].schema == batch.frame.schema
        if held and (not fits or sum(f.height for f in held) >= _BATCH):
            assert domain is not None  # noqa: S101 - for the type checker
            yield domain, Batch(pl.concat(held))
            held = []
        domain = domain if held else other
        held.append(batch.frame)
    if held and domain is not None:
        yield domain, Batch(pl.concat(held))
