"""Matches the records of a file before and after a fix: by name, and by what they say."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from inoculate.domain import Domain, Source
from inoculate.errors import RecordError
from inoculate.features.code.code_split import OUTSIDE
from inoculate.reading.sources import HEAD_BYTES
from inoculate.workflows.changes import Change

_PLACES = ("origin", "path", "ts")


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of two frames: changed ones as pairs, those left as they were, and how many more."""

    changed: list[tuple[int, int]]
    same: list[int]
    n_one_side: int


def source_of(name: str, data: bytes) -> Source:
    """Return bytes as a source to read records from."""
    return Source(name, None, data[:HEAD_BYTES], io.BytesIO(data))


def records_of(
    domain: Domain, name: str, data: bytes, on_bad: Callable[[RecordError], None]
) -> pl.DataFrame:
    """Return the records of one side of a change, without those that are bad."""
    if not data.strip():
        return pl.DataFrame()
    sources = iter([source_of(name, data)])
    frames = [batch.frame for batch in domain.read_files(sources, on_bad=on_bad)]
    return pl.concat(frames) if frames else pl.DataFrame()


def records_told(
    domain: Domain, change: Change, language: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the records of two texts: functions of the same name, or else each text as one."""
    bad: list[RecordError] = []
    before = records_of(domain, change.before_name, change.before, bad.append)
    after = records_of(domain, change.after_name, change.after, bad.append)
    if not bad and before.height and after.height and matched(before, after).changed:
        return before, after
    return (
        _as_one(change.before_name, change.before, language),
        _as_one(change.after_name, change.after, language),
    )


def _as_one(name: str, data: bytes, language: str) -> pl.DataFrame:
    """Return a text as one record: a part of a file may not be one that can be cut."""
    text = data.decode("utf-8", "replace")
    return pl.DataFrame(
        {
            "origin": [f"{name}:1"], "path": [name], "name": ["?"], "language": [language],
            "start_line": [1], "end_line": [1 + text.rstrip().count("\n")], "text": [text],
        }
    )  # fmt: skip


def matched(before: pl.DataFrame, after: pl.DataFrame) -> Match:
    """Match records by name, those of one name in their order; a sole record with the other."""
    if before.height == after.height == 1 or "name" not in before.columns:
        n = min(before.height, after.height)
        alike = [plain(before, i) == plain(after, i) for i in range(n)]
        return Match(
            [(i, i) for i in range(n) if not alike[i]],
            [i for i in range(n) if alike[i]],
            abs(before.height - after.height),
        )
    sides: dict[str, tuple[list[int], list[int]]] = {}
    for side, frame in enumerate((before, after)):
        for row, name in enumerate(frame["name"]):
            sides.setdefault(name, ([], []))[side].append(row)
    match = Match([], [], 0)
    n_one_side = 0
    for old, new in sides.values():
        texts = [plain(after, j) for j in new]
        for i in list(old):
            if (text := plain(before, i)) in texts:
                match.same.append(i)
                old.remove(i)
                del new[texts.index(text)]
                texts.remove(text)
        match.changed.extend(zip(old, new, strict=False))
        n_one_side += abs(len(old) - len(new))
    return Match(sorted(match.changed), sorted(match.same), n_one_side)


def plain(frame: pl.DataFrame, row: int) -> object:
    """Return what a record says, without what tells only of its place."""
    if "text" in frame.columns:
        return "\n".join(line.rstrip() for line in str(frame["text"][row]).splitlines())
    return {k: v for k, v in frame.row(row, named=True).items() if k not in _PLACES}


def is_outside(frame: pl.DataFrame) -> bool:
    """Return whether a record, the first of a frame, is of statements outside of functions."""
    return "name" in frame.columns and str(frame["name"][0]).endswith(OUTSIDE)
