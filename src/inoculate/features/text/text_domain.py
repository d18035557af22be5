"""What the domains of short texts share: schema, encoding, quoting, times and places."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from inoculate.domain import Batch, Domain, View
from inoculate.errors import RecordError
from inoculate.features.flows.flow_text import seconds
from inoculate.features.hashing import (
    columns_of,
    grams_in,
    in_views,
    text_grams,
    token_grams,
    token_grams_in,
)
from inoculate.features.table_columns import time_column
from inoculate.task import Encoded, FloatArray

_MOST_QUOTES = 4
_QUOTED_CHARS = 24
_CLIENTS = ("client", "id.orig_h", "client_ip", "src_ip")
_LATEST_S = 253402300799.0  # of year 9999


@dataclass(frozen=True, slots=True)
class HashedView:
    """A view of counts in hashed columns.

    Attributes:
        view: the columns, as ``hashing.hashed_view`` makes them.
        orders: lengths of the n-grams that are counted.
        of_tokens: True for n-grams of tokens, False for those of characters.
    """

    view: View
    orders: tuple[int, ...] = (1, 2, 3)
    of_tokens: bool = False

    def counts(self, texts: pl.Series) -> FloatArray:
        """Return the columns, (n, width), of texts or of lists of tokens."""
        count = token_grams if self.of_tokens else text_grams
        return count(texts, len(self.view.columns), orders=self.orders)

    def found(self, text: Any, column: int) -> list[str]:
        """Return the n-grams of one text, or of one list of tokens, in one column."""
        width = len(self.view.columns)
        if self.of_tokens:
            return token_grams_in(list(text), column, width, orders=self.orders)
        return grams_in(text, column, width, orders=self.orders)


class TextDomain(Domain):
    """Base of the domains of short texts; ``sniff``, ``read`` and ``parts`` are left to one.

    Frames have ``text`` (String; null is unknown), the record as it came.

    Attributes:
        shape_view: the columns of structure.
        hashed: the hashed views.
    """

    identity: ClassVar[tuple[str, ...]] = ("text",)
    shape_view: ClassVar[View]
    hashed: ClassVar[tuple[HashedView, ...]]

    @abstractmethod
    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the columns of ``shape_view``, and by view's name what is counted hashed.

        Args:
            frame: n records; all columns but ``text`` may be absent.
        """

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return the schema, which is the same for every source."""
        return (self.shape_view, *(h.view for h in self.hashed))

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the texts in the columns of ``views``; unknown columns are NaN.

        Raises:
            RecordError: there is no column ``text``.
        """
        frame = with_text(batch.frame)
        shape, counted = self.parts(frame)
        wanted, own = {view.name for view in views}, self.views(batch)
        some = [h for h in self.hashed if h.view.name in wanted]
        known = {h.view.name: h.counts(counted[h.view.name]) for h in some}
        return in_views({self.shape_view.name: shape} | known, own, views)

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return what a hashed column counted in a record, at most four pieces of it."""
        text = record.get("text")
        hashed = next((h for h in self.hashed if column in columns_of(h.view)), None)
        if hashed is None or not isinstance(text, str):
            return ""
        _, counted = self.parts(pl.DataFrame({"text": [text]}))
        found = hashed.found(counted[hashed.view.name][0], columns_of(hashed.view)[column])
        # the longest tell most
        best = sorted(found, key=len, reverse=True)[:_MOST_QUOTES]
        return " ".join(f"'{gram[:_QUOTED_CHARS]}'" for gram in best)


def with_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose ``text`` is String.

    Raises:
        RecordError: there is no such column.
    """
    if "text" not in frame.columns:
        place = str(frame["origin"][0]) if "origin" in frame.columns and frame.height else "a table"
        have = ", ".join(c[:40] for c in frame.columns[:30])
        raise RecordError(f"column 'text' is missing; has {have}", origin=place)
    return frame.with_columns(pl.col("text").cast(pl.String))


def finished(frame: pl.DataFrame, source: str, line: str, *, mark: str = ":") -> pl.DataFrame:
    """Return rows with ``origin`` and, where a column says it, ``ts``.

    Args:
        frame: rows as read.
        source: name of the source.
        line: column with a row's line or number, which is dropped.
        mark: what stands before it in an origin, ``#`` for a number that is no line.
    """
    names = [c for c in frame.columns if c != line]
    clock = time_column(names)
    if clock is not None:
        times = seconds(frame[clock])
        for too_late, unit in ((1e14, 1e6), (1e11, 1e3)):
            times = times.zip_with((times < too_late).fill_null(True), times / unit)
        known = times.is_between(0, _LATEST_S).fill_null(False)
        frame = frame.with_columns(times.set(~known, None).alias("ts"))
    place = pl.lit(f"{source}{mark}") + pl.col(line).cast(pl.String)
    return frame.with_columns(place.alias("origin")).drop(line)


def with_client(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``client``, who asked, from whatever column says it; null for none."""
    have = next((n for n in _CLIENTS if n in frame.columns), None)
    client = pl.lit(None, pl.String) if have is None else pl.col(have).cast(pl.String)
    return frame.with_columns(client.alias("client"))


def refuse(
    frame: pl.DataFrame, wrong: pl.Expr, problem: str, source: str, line: str
) -> tuple[pl.DataFrame, list[RecordError]]:
    """Return the rows that are right, and an error for each other one.

    Args:
        frame: rows with their line.
        wrong: true for a row that is to be refused.
        problem: what is wrong with it.
        source: name of the source.
        line: column with a row's line.
    """
    is_wrong = frame.select(wrong.fill_null(False)).to_series()
    if not is_wrong.any():
        return frame, []
    lines = frame[line].filter(is_wrong)
    bad = [RecordError(problem, origin=f"{source}:{n}") for n in lines]
    return frame.filter(~is_wrong), bad
