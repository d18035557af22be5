"""What the domains of executables share: from files to worker answers to records to numbers."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np
import polars as pl

from inoculate.domain import Batch, Domain, OnBad, Source, View, raise_bad
from inoculate.errors import RecordError
from inoculate.features.executable_terms import MOST_NAMES, ONLY_BYTES, cut_names
from inoculate.features.file_bytes import MOST_BYTES
from inoculate.features.hashing import columns_of, grams_in, text_grams, token_grams, token_grams_in
from inoculate.task import Encoded, FloatArray

ANSWER = "inoculate.features.executable_answer:answer"
_BATCH = 512
_PIECE_BYTES = 4 << 20
_BETWEEN = "\n\n"  # two, so that no three characters touch two names
_SHOWN = 4
_SHOWN_LONGEST = 24
_TOKENS = {
    **{"import": "imports", "export": "exports", "rich": "rich", "symbol": "symbols"},
    "section_name": "section_names",
}
_NAME_VIEW, _NAME_LIST = "import_name", "functions"


class Ask(Protocol):
    """Asks worker processes: (mode, bytes) each, to an answer or None and why, in order."""

    def __call__(
        self, requests: Iterable[tuple[int, bytes]]
    ) -> Iterator[tuple[list[bytes] | None, str]]:
        """Yield the answer to each request in order."""
        ...


@dataclass(frozen=True, slots=True)
class _File:
    """A file that waits for its answer; its bytes are kept in case the parser crashes."""

    name: str
    size: int
    sha256: str
    start: bytes


class ExecutableDomain(Domain):
    """Base of the domains whose record is one executable file.

    A file that the parser refuses, or that crashes or hangs it, is still a record: of it only
    the bytes and strings are known, and ``unreadable`` says why.

    Attributes:
        mode: of a request to the workers.
        schema: the views.
    """

    unit: ClassVar[str] = "file"
    identity: ClassVar[tuple[str, ...]] = ("name", "size", "sha256", "unreadable")
    whole_files: ClassVar[bool] = True
    mode: ClassVar[int]
    schema: ClassVar[tuple[View, ...]]

    def ask(
        self, requests: Iterable[tuple[int, bytes]]
    ) -> Iterator[tuple[list[bytes] | None, str]]:
        """Ask worker processes, see ``Ask``; left to the domain."""
        raise NotImplementedError

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield the one record that a file is; see the base class.

        Raises:
            RecordError: through ``on_bad``: not such a file, or no worker could look at it.
        """
        yield from self.read_files(iter([source]), on_bad=on_bad)

    def read_files(
        self, sources: Iterator[Source], *, on_bad: OnBad = raise_bad
    ) -> Iterator[Batch]:
        """Yield batches of many files, in order; workers look at several at once."""
        waiting: list[_File] = []
        rows: list[dict[str, Any]] = []
        for answer, why in self.ask(self._requests(sources, waiting, on_bad)):
            file = waiting.pop(0)
            try:
                rows.append(self._row(file, answer, why))
            except RecordError as err:
                on_bad(err)
            if len(rows) >= _BATCH:
                yield self._batch(rows)
                rows = []
        if rows:
            yield self._batch(rows)

    def _requests(
        self, sources: Iterator[Source], waiting: list[_File], on_bad: OnBad
    ) -> Iterator[tuple[int, bytes]]:
        for source in sources:
            if not self.sniff(source):
                on_bad(
                    RecordError(
                        f"not {self.kind.upper()}: it begins differently", origin=source.name
                    )
                )
                continue
            try:
                file = _taken(source)
            except RecordError as err:
                on_bad(err)
                continue
            waiting.append(file)
            yield self.mode, file.start

    def _row(self, file: _File, answer: list[bytes] | None, why: str) -> dict[str, Any]:
        if answer is None:
            # the parser died of it; what its bytes say is still to be had
            second, again = next(iter(self.ask([(ONLY_BYTES, file.start)])))
            if second is None:
                raise RecordError(f"unreadable: {again}", origin=file.name)
            return _record(file, second, _layout(type(self))) | {"unreadable": why}
        return _record(file, answer, _layout(type(self)))

    def _batch(self, rows: list[dict[str, Any]]) -> Batch:
        return Batch(pl.DataFrame(rows, schema=_layout(type(self)).frame))

    def views(self, batch: Batch) -> tuple[View, ...]:
        """Return the fixed schema."""
        return self.schema

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return files in the columns of ``views``; what the frame lacks is NaN."""
        return Encoded({view.name: _encoded(batch.frame, view) for view in views})

    def quote(self, record: Mapping[str, Any], column: str) -> str:
        """Return the names that a hashed column counted, at most four; see the base class."""
        for view in self.schema:
            at = columns_of(view).get(column)
            if at is None or not _is_hashed(view):
                continue
            width = len(view.columns)
            if view.name == _NAME_VIEW:
                found = grams_in(
                    _BETWEEN.join(record.get(_NAME_LIST) or ()), at, width, orders=(3,)
                )
            else:
                tokens = record.get(_TOKENS[view.name]) or ()
                found = token_grams_in(tokens, at, width, orders=(1,))
            return " ".join(repr(name.strip()[:_SHOWN_LONGEST]) for name in found[:_SHOWN])
        return ""


def _taken(source: Source) -> _File:
    """Return a file's first ``MOST_BYTES``, its size and its hash, in bounded memory."""
    digest, size, kept = hashlib.sha256(), 0, bytearray()
    while piece := source.stream.read(_PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
        if len(kept) < MOST_BYTES:
            kept += piece[: MOST_BYTES - len(kept)]
    return _File(source.name, size, digest.hexdigest(), bytes(kept))


def _record(file: _File, answer: list[bytes], layout: "_Layout") -> dict[str, Any]:
    """Return a worker's answer as a row, believing nothing of its form."""
    try:
        told = json.loads(b"".join(answer))
    except (ValueError, RecursionError) as err:
        raise RecordError("unreadable: a worker's answer is no JSON", origin=file.name) from err
    if not isinstance(told, dict):
        raise RecordError("unreadable: a worker's answer is no object", origin=file.name)
    row: dict[str, Any] = {name: _number(told.get(name)) for name in layout.numbers}
    row |= {name: _names(told.get(name)) for name in layout.lists}
    reason = told.get("unreadable")
    if reason is None and file.size > len(file.start):
        reason = f"only its first {len(file.start) >> 20} MiB were looked at"
    return row | {
        "origin": file.name,
        "name": file.name.replace("!", "/").rpartition("/")[2],
        "size": file.size,
        "file_size": float(file.size),
        "sha256": file.sha256,
        "unreadable": str(reason)[:300] if reason is not None else None,
    }


def _number(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e30 else None


def _names(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return cut_names((v for v in value if isinstance(v, str)), 3 * MOST_NAMES)


def _is_hashed(view: View) -> bool:
    return view.name in _TOKENS or view.name == _NAME_VIEW


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """A domain's frame: columns of numbers, lists of names, and the type of every column."""

    numbers: tuple[str, ...]
    lists: tuple[str, ...]
    frame: dict[str, Any]


@cache
def _layout(domain: type[ExecutableDomain]) -> _Layout:
    hashed = [view for view in domain.schema if _is_hashed(view)]
    numbers = tuple(c.name for v in domain.schema if not _is_hashed(v) for c in v.columns)
    lists = tuple(_TOKENS.get(view.name, _NAME_LIST) for view in hashed)
    texts: dict[str, Any] = dict.fromkeys(("origin", "name", "sha256", "unreadable"), pl.String)
    frame = texts | {"size": pl.Int64} | dict.fromkeys(numbers, pl.Float64)
    return _Layout(numbers, lists, frame | dict.fromkeys(lists, pl.List(pl.String)))


def _encoded(frame: pl.DataFrame, view: View) -> FloatArray:
    width, n = len(view.columns), frame.height
    if not _is_hashed(view):
        known = [c.name for c in view.columns if c.name in frame.columns]
        x = np.full((n, width), np.nan, np.float32)
        if known:
            at = [i for i, c in enumerate(view.columns) if c.name in frame.columns]
            numbers = frame.select(pl.col(known).cast(pl.Float64).fill_null(float("nan")))
            x[:, at] = numbers.to_numpy()
        return x
    name = _TOKENS.get(view.name, _NAME_LIST)
    if name not in frame.columns:
        return np.full((n, width), np.nan, np.float32)
    lists = frame[name].cast(pl.List(pl.String))
    if view.name == _NAME_VIEW:
        return text_grams(lists.list.join(_BETWEEN), width, orders=(3,))
    return token_grams(lists, width, orders=(1,))
