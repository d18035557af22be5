"""Source code through worker processes: files become batches of records, texts become columns."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, OnBad
from inoculate.errors import RecordError
from inoculate.features.code.code_form import (
    FILES,
    TEXTS,
    WIDTH,
    Told,
    believed,
    request,
    unpacked,
)
from inoculate.features.code.code_languages import language_named
from inoculate.task import FloatArray

_BATCH = 2_000
_ASKED_BYTES = 1 << 18
_NEAR = 32
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "origin": pl.String,
    "path": pl.String,
    "name": pl.String,
    "language": pl.String,
    "start_line": pl.Int64,
    "end_line": pl.Int64,
    "text": pl.String,
    "callees": pl.List(pl.String),
    "ignores": pl.List(
        pl.Struct(
            {"place": pl.String, "rule": pl.String, "reason": pl.String, "covers": pl.Boolean}
        )
    ),
}
_ENCODED = pl.Array(pl.Float32, WIDTH)

_T = TypeVar("_T")

Ask = Callable[[Iterable[tuple[int, bytes]]], Iterator[tuple[list[bytes] | None, str]]]
"""Takes requests; yields the answer to each in order, or None and why there is none."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read: what it is called, its language, its bytes."""

    name: str
    language: str
    data: bytes


def batches(files: Iterator[File], ask: Ask, on_bad: OnBad) -> Iterator[Batch]:
    """Yield the records of files, in order; workers look at several groups of files at once.

    Args:
        files: each at most ``code_tree.MOST_BYTES`` long.
        ask: asks workers.
        on_bad: told of each file that cannot be parsed, or that no worker survives.
    """
    waiting: deque[list[File]] = deque()
    frames: list[pl.DataFrame] = []
    for answer, why in ask(_requests(files, waiting)):
        frames += _frames(waiting.popleft(), answer, why, ask, on_bad)
        while sum(map(len, frames)) >= _BATCH:
            whole = pl.concat(frames)
            yield Batch(whole[:_BATCH])
            frames = [whole[_BATCH:]]
    rest = pl.concat(frames) if frames else pl.DataFrame()
    if len(rest):
        yield Batch(rest)


def _requests(files: Iterator[File], waiting: deque[list[File]]) -> Iterator[tuple[int, bytes]]:
    for group in _grouped(files, lambda f: len(f.data), _ASKED_BYTES):
        waiting.append(group)
        yield FILES, _request(group)


def _grouped(some: Iterable[_T], size: Callable[[_T], int], most: int) -> Iterator[list[_T]]:
    """Yield groups of at least ``most`` bytes, the last one as it comes."""
    group: list[_T] = []
    total = 0
    for one in some:
        group.append(one)
        total += size(one)
        if total >= most:
            yield group
            group, total = [], 0
    if group:
        yield group


def _request(files: Sequence[File]) -> bytes:
    return request([f.data for f in files], [[f.language] for f in files])


def _frames(
    files: list[File], answer: list[bytes] | None, why: str, ask: Ask, on_bad: OnBad
) -> Iterator[pl.DataFrame]:
    """Yield the records of some files; where no worker survived them, file by file."""
    if answer is None and len(files) > 1:
        for file in files:
            for again, its in ask([(FILES, _request([file]))]):
                yield from _frames([file], again, its, ask, on_bad)
        return
    told = believed(answer[0], [len(f.data) for f in files]) if answer else None
    x = unpacked(answer[1:], sum(len(t.rows) for t in told)) if answer and told else None
    if told is None or x is None:
        for file in files:
            problem = f"cannot be parsed: {why or 'the answer about it makes no sense'}"
            on_bad(RecordError(problem, origin=file.name))
        return
    rows: list[dict[str, Any]] = []
    for file, about in zip(files, told, strict=True):
        if about.problem:
            on_bad(RecordError(about.problem, origin=file.name))
        rows += _rows(file, about)
    if rows:
        yield pl.DataFrame(rows, schema=_SCHEMA).with_columns(pl.Series("encoded", x, _ENCODED))


def _rows(file: File, told: Told) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[int] = set()
    for row in told.rows:
        place = f"{file.name}:{row.start_line}"
        rows.append(
            {
                "origin": f"{place}:{row.column}" if row.start_line in seen else place,
                "path": file.name,
                "name": row.name,
                "language": file.language,
                "start_line": row.start_line,
                "end_line": row.end_line,
                "text": file.data[row.start : row.end].decode("utf-8", "replace"),
                "callees": list(row.callees),
                "ignores": [],
            }
        )
        seen.add(row.start_line)
    _ignored(file.name, rows, told)
    return rows


def _ignored(place: str, rows: list[dict[str, Any]], told: Told) -> None:
    """Give each comment to the records it is for; one for none goes to the first."""
    starts = [row["start_line"] for row in rows]
    for its in told.ignores if rows else ():
        said = {"place": f"{place}:{its.line}", "rule": its.rule, "reason": its.reason}
        near = rows[max(0, bisect_right(starts, its.line) - _NEAR) :][: 2 * _NEAR]
        of = [r for r in near if r["start_line"] <= its.line <= r["end_line"]]
        if its.is_alone and not of:
            of = [r for r in near if r["start_line"] == its.line + 1]
        for row in of or rows[:1]:
            row["ignores"].append(said | {"covers": bool(of)})


def encoded(frame: pl.DataFrame, ask: Ask) -> FloatArray:
    """Return the columns of records, (n, ``WIDTH``); NaN for what cannot be parsed.

    Args:
        frame: with ``text`` and ``language``, and where known ``callees``; or with ``encoded``,
            which is taken as it is.
        ask: asks workers.
    """
    if frame.schema.get("encoded") == _ENCODED and not frame["encoded"].has_nulls():
        ready: FloatArray = frame["encoded"].to_numpy()
        return ready
    out = np.full((len(frame), WIDTH), np.nan, np.float32)
    texts = [(t or "").encode("utf-8", "replace") for t in frame["text"]]
    languages = [language_named(t) for t in frame["language"].cast(pl.String)]
    has_callees = frame.schema.get("callees") == _SCHEMA["callees"]
    others = frame["callees"].to_list() if has_callees else [None] * len(frame)
    known = [i for i, t in enumerate(frame["text"]) if t is not None and languages[i]]

    def asked(rows: Iterable[int], most: int) -> Iterator[tuple[list[int], FloatArray | None]]:
        waiting: deque[list[int]] = deque()

        def requests() -> Iterator[tuple[int, bytes]]:
            for group in _grouped(rows, lambda i: len(texts[i]), most):
                waiting.append(group)
                told = [[languages[i], others[i] or []] for i in group]
                yield TEXTS, request([texts[i] for i in group], told)

        for answer, _ in ask(requests()):
            group = waiting.popleft()
            yield group, unpacked(answer[1:], len(group)) if answer else None

    again: list[int] = []
    for group, x in asked(known, _ASKED_BYTES):
        if x is None:
            again += group
        else:
            out[group] = x
    for group, x in asked(again, 0):
        if x is not None:
            out[group] = x
    return out
