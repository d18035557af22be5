"""What every domain must do: recognise a format, read it in batches, encode it as numbers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import polars as pl

from inoculate.errors import RecordError
from inoculate.task import Encoded

OnBad = Callable[[RecordError], None]
"""Called with each bad record; returns to skip it, or raises to stop."""


def raise_bad(error: RecordError) -> None:
    """Stop at the first bad record (the default ``OnBad``)."""
    raise error


@dataclass(frozen=True, slots=True)
class Column:
    """One number a record is encoded to.

    Attributes:
        name: snake_case, unique in its view.
        unit: ``s``, ``byte``, ``packet``, ``flow``, ``byte/s``, ``bit`` ...; ``1`` for a ratio
            or a count of nothing in particular; ``yes/no`` for a flag that is 0 or 1.
        about: the quantity in plain words, as a reason for an analyst begins with it.
        category: for a column made of one text value of a table, that value.
        source: for such a column, the table's column it came from.
        context: True when the value tells of other records around this one. Where a source
            holds nothing but examples it is not to be trusted.
    """

    name: str
    unit: str
    about: str
    category: str | None = None
    source: str | None = None
    context: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A named group of columns; ``encode`` returns one array for each."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to read records from, already decompressed and bounded.

    Attributes:
        name: as the user wrote it; begins every origin.
        path: the file, or None for standard input, a followed log or an interface.
        head: the first bytes (at most 64 KiB) for ``sniff``; still to come from ``stream``.
        stream: read from the start; ``read1``-like: a short read is not the end, b"" is.
    """

    name: str
    path: Path | None
    head: bytes
    stream: BinaryIO


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """Something that can be said of a record, for a rule that runs elsewhere.

    Attributes:
        kind: what is told: ``call``, ``import``, ``field:CommandLine``, ``uri`` ...; ``who`` is
            a name of a host or user, which no rule may hold.
        value: how it is.
        line: where, counted from 1 in the record's text; 0 where that says nothing.
    """

    kind: str
    value: str
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some records of one source, as a table.

    Attributes:
        frame: one row a record. Has ``origin`` (str: ``name:line`` or ``name#packet``);
            where known ``ts`` (float64, seconds since 1970, UTC) and the domain's identity
            columns; and what ``encode`` needs.
    """

    frame: pl.DataFrame

    def __len__(self) -> int:
        """Return the number of records."""
        return self.frame.height


class Domain(ABC):
    """Base of all domains: one source format, one file.

    Attributes:
        kind: detectors work on every domain of one kind ("flow", "table").
        unit: what a record is ("flow", "row").
        identity: frame columns that tell an analyst which record it is. They are shown, may
            group records, and never enter ``encode``.
        part_of: identity column that names the longer thing a record is a window of, a trace say,
            whose verdict is the maximum over its windows; "" where records stand alone.
        made_of: kind of the records that this format's are made of, a tree of events, say; such a
            format is taken by its name or by a detector of its kind only. "" for all others.
        whole_files: True where a record is a whole file, so that ``read_files`` may look at
            many at once and a file that cannot be read is one bad record among many.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    identity: ClassVar[tuple[str, ...]] = ()
    whole_files: ClassVar[bool] = False
    part_of: ClassVar[str] = ""
    made_of: ClassVar[str] = ""

    @abstractmethod
    def sniff(self, source: Source) -> float:
        """Return how sure this format is, 0 to 1, from ``source.head``; the name is a hint.

        1 is a magic number or a header that nothing else has, 0.5 plausible, 0 impossible.
        """

    @abstractmethod
    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches in bounded memory, in order.

        Raises:
            RecordError: through ``on_bad``, for each bad record; directly, when nothing after
                this place can be read.
        """

    def read_files(
        self, sources: Iterator[Source], *, on_bad: OnBad = raise_bad
    ) -> Iterator[Batch]:
        """Yield batches of many sources, in order; each source is open until the next is asked for.

        Raises:
            RecordError: as for ``read``.
        """
        for source in sources:
            yield from self.read(source, on_bad=on_bad)

    @abstractmethod
    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return the schema: fixed for a known format, found in the batch for a user's table."""

    @abstractmethod
    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the batch in the columns of ``views``; NaN where this source cannot know."""

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return what in a record a hashed column counted, ``'.php' 'hp?'`` say, for a reason.

        Args:
            record: one row of a batch's frame by column name.
            column: name of an encoded column.

        Returns:
            Some of it in the record's own words; "" for a column that says it itself.
        """
        return ""

    def facts(self, record: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Return what a rule can say of a record, bounded and in the record's own words.

        Args:
            record: one row of a batch's frame by column name. Of a whole file, ``data`` may
                hold its bytes.

        Returns:
            Nothing where rules cannot be made of such records.
        """
        return ()
