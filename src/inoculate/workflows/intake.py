"""From what the user named to batches of records: sniff the format, read, count what is bad."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from inoculate.domain import Batch, Domain, Source
from inoculate.errors import InputError, RecordError, TruncatedError
from inoculate.reading.folders import is_container
from inoculate.reading.sources import open_source
from inoculate.registry import DOMAINS
from inoculate.workflows.containers import read_container

_MOST_NOTES = 20
_MOST_PROBLEMS = 20
_OTHER_PROBLEMS = "other problems"


@dataclass(eq=False)
class Intake:
    """Reads sources one after another, and remembers what the user must be told.

    Args:
        format: name of a domain, or None to tell it from the bytes.
        skip_bad_records: count bad records and go on; else the first one stops the reading.

    Attributes:
        skipped: problem -> count of records skipped; beyond 20 problems the rest is one.
        left_out: the same of files in folders and archives that were not read.
        notes: lines about sources that were cut short.
        counts: records read of each source, in order.
        n_files: files read, those in folders and archives too.
    """

    format: str | None = None
    skip_bad_records: bool = False
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    n_files: int = 0

    def on_bad(self, error: RecordError) -> None:
        """Count a bad record, or stop.

        Raises:
            RecordError: bad records are not to be skipped.
        """
        if isinstance(error, TruncatedError):
            self.note(f"{error}; the whole records before it were used")
        elif self.skip_bad_records:
            if not self.skipped:
                self.note(f"skipping bad records, the first: {error}")
            _count(self.skipped, error.problem)
        else:
            raise error

    def leave_out(self, problem: str) -> None:
        """Count a file that is not read."""
        _count(self.left_out, problem)

    def forget(self) -> None:
        """Begin to count anew: the same sources are read again."""
        self.counts.clear()
        self.skipped.clear()
        self.left_out.clear()
        self.n_files = 0

    def note(self, line: str) -> None:
        """Keep a line for the user; bounded, since attackers write our input."""
        if len(self.notes) < _MOST_NOTES and line not in self.notes:
            self.notes.append(line)

    @contextmanager
    def open(self, name: str, kind: str | None = None) -> Iterator[tuple[Source, Domain]]:
        """Open a source and tell its format; see ``domain``.

        Raises:
            InputError: it cannot be opened, or no format fits.
            NotFoundError: the format that was asked for does not exist.
        """
        with open_source(name) as source:
            yield source, self.domain(source, kind)

    def read(
        self, names: Sequence[str], *, kind: str | None = None
    ) -> Iterator[tuple[Domain, Batch]]:
        """Yield every batch of every source, in order.

        Args:
            names: files, folders and archives, or ``-`` for standard input. Of a folder or an
                archive all files of the kind are read, and the others counted as skipped.
            kind: what the detector works on; other kinds are refused.

        Raises:
            InputError: a source cannot be opened, has no known format or another kind.
            RecordError: a bad record, when they are not skipped.
        """
        for name in names:
            if is_container(name):
                yield from read_container(self, name, kind)
                continue
            with self.open(name, kind) as (source, domain):
                if kind is not None and domain.kind != kind:
                    raise InputError(
                        f"{name}: holds {domain.unit}s read as {type(domain).__name__}; kind "
                        f"{kind!r} is needed, this is {domain.kind!r}. If it is to be another "
                        "format, --input-format NAME tells what it lacks"
                    )
                self.counts.setdefault(name, 0)
                self.n_files += 1
                for batch in domain.read(source, on_bad=self.on_bad):
                    self.counts[name] += len(batch)
                    yield domain, batch

    def domain(self, source: Source, kind: str | None = None) -> Domain:
        """Return the format that was asked for, or the one that fits the first bytes best.

        A format whose records are made of another's is taken for its own ``kind`` only, and then
        before all others.

        Raises:
            InputError: none fits.
            NotFoundError: the format that was asked for does not exist.
        """
        if self.format is not None:
            return DOMAINS.load(self.format)()
        domains = {name: DOMAINS.load(name)() for name in DOMAINS.names()}
        sure = {name: d.sniff(source) for name, d in domains.items() if not d.made_of}
        made = {n: d.sniff(source) for n, d in domains.items() if d.made_of and d.kind == kind}
        if max(made.values(), default=0.0) > 0:
            sure = made
        best = max(sure, key=lambda name: (sure[name], name))
        if sure[best] <= 0:
            known = ", ".join(DOMAINS.names())
            raise InputError(
                f"{source.name}: no known format fits; --input-format takes one of {known}"
            )
        return domains[best]


def _count(problems: Counter[str], problem: str) -> None:
    # a problem may quote its record, so there can be as many as records
    known = problem in problems or len(problems) < _MOST_PROBLEMS
    problems[problem if known else _OTHER_PROBLEMS] += 1


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A uniform sample of the records of some sources.

    Attributes:
        frame: the kept records, in order of reading.
        rows: (n,) index of each kept record among all records read.
        domain: the domain of the first source.
        n_seen: records read.
        first_ts, last_ts: span of time over all records read; None where unknown.
    """

    frame: pl.DataFrame
    rows: np.ndarray
    domain: Domain
    n_seen: int
    first_ts: float | None
    last_ts: float | None

    @property
    def days(self) -> float | None:
        """Length of time the records cover, in days; None when unknown or a single moment."""
        if self.first_ts is None or self.last_ts is None or self.last_ts <= self.first_ts:
            return None
        return (self.last_ts - self.first_ts) / 86_400


def sample_records(
    intake: Intake,
    names: Sequence[str],
    *,
    most: int,
    seed: int,
    failures: list[InputError] | None = None,
    kind: str | None = None,
) -> Sample:
    """Read sources once and keep at most ``most`` records, each with the same chance.

    Every record draws a random key and the ``most`` smallest keys stay: one pass, memory
    bounded by ``most`` and one batch (Efraimidis and Spirakis 2006, with equal weights).

    Args:
        intake: reads the sources.
        names: paths, or ``-``.
        most: records to keep.
        seed: draws them.
        failures: takes the error of each source that cannot be read to its end, and the
            others are read; None stops at the first.
        kind: of the records; None takes the first source's.

    Raises:
        InputError: the sources hold no record at all, or different kinds of record.
    """
    rng = np.random.default_rng(seed)
    kept, first_domain = pl.DataFrame(), None
    n_seen, first_ts, last_ts = 0, None, None
    for domain, batch in _each(intake, names, failures, kind):
        first_domain = first_domain or domain
        part = batch.frame.with_columns(
            pl.Series("_key", rng.random(len(batch))),
            pl.Series("_row", np.arange(n_seen, n_seen + len(batch))),
        )
        n_seen += len(batch)
        kept = pl.concat([kept, part], how="diagonal_relaxed") if kept.width else part
        if kept.height > 2 * most:
            kept = kept.bottom_k(most, by="_key")
        first_ts, last_ts = _span(batch.frame, first_ts, last_ts)
    if first_domain is None or n_seen == 0:
        if failures:
            raise failures[0]
        raise InputError(f"{', '.join(names)}: no record to read")
    kept = kept.bottom_k(min(most, kept.height), by="_key").sort("_row")
    rows = kept["_row"].to_numpy()
    return Sample(kept.drop("_key", "_row"), rows, first_domain, n_seen, first_ts, last_ts)


def _each(
    intake: Intake, names: Sequence[str], failures: list[InputError] | None, kind: str | None
) -> Iterator[tuple[Domain, Batch]]:
    """Yield every batch of every source of one kind, the first one's where none is asked for."""
    for name in names:
        try:
            for domain, batch in intake.read([name], kind=kind):
                kind = domain.kind
                yield domain, batch
        except InputError as err:
            if failures is None:
                raise
            failures.append(err)


def _span(
    frame: pl.DataFrame, first: float | None, last: float | None
) -> tuple[float | None, float | None]:
    if "ts" not in frame.columns:
        return first, last
    times = frame["ts"].drop_nulls()
    if not len(times):
        return first, last
    low, high = float(times.min()), float(times.max())  # type: ignore[arg-type]
    return min(low, low if first is None else first), max(high, high if last is None else last)
