"""How source code is handed to worker processes and comes back; see ``code_answer``.

A request is the length of a head (4 bytes, little endian), the head (JSON), and then the texts
one after another. An answer is JSON, what is told of each text, and then the columns: places
and values of what is not zero.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.features.code.code_schema import VIEWS
from inoculate.task import FloatArray

FILES, TEXTS, SNIFF = 1, 2, 3
"""Modes: cut files into records and encode these; encode texts; tell whether a start parses."""

WIDTH = sum(len(v.columns) for v in VIEWS)
_LENGTH = struct.Struct("<I")
_MOST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a file: its name, its place in bytes and lines, and what its callees do."""

    name: str
    start: int
    end: int
    start_line: int
    end_line: int
    column: int
    callees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ignore:
    """A comment that asks for findings to be ignored.

    Attributes:
        line: it is on, from 1.
        is_alone: whether nothing but the comment is on the line.
        rule, reason: as written; "" for what is missing.
    """

    line: int
    is_alone: bool
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells of a file: its records and comments, or the problem with it."""

    rows: tuple[Row, ...] = ()
    ignores: tuple[Ignore, ...] = ()
    problem: str = ""


def request(texts: Sequence[bytes], told: Sequence[Sequence[Any]]) -> bytes:
    """Return a request: texts, and what there is to say of each."""
    head = json.dumps([[len(t), *its] for t, its in zip(texts, told, strict=True)]).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *texts])


def requested(data: bytes | bytearray) -> Iterator[tuple[bytes, list[Any]]]:
    """Yield the texts of a request, and what was said of each."""
    at = _LENGTH.unpack_from(data)[0] + _LENGTH.size
    for length, *its in json.loads(data[_LENGTH.size : at]):
        yield bytes(data[at : at + length]), its
        at += length


def packed(x: FloatArray) -> Iterator[bytes]:
    """Yield places (uint32, in the flat array) and values (float32) of what is not zero."""
    flat = x.ravel()
    places = np.flatnonzero(flat)
    yield places.astype("<u4").tobytes()
    yield flat[places].astype("<f4").tobytes()


def unpacked(parts: Sequence[bytes], n: int) -> FloatArray | None:
    """Return the columns of n records, (n, ``WIDTH``); None if the parts make no sense."""
    if len(parts) != 2 or len(parts[0]) != len(parts[1]) or len(parts[0]) % 4:
        return None
    places: npt.NDArray[np.uint32] = np.frombuffer(parts[0], "<u4")
    values = np.frombuffer(parts[1], "<f4")
    out = np.zeros(n * WIDTH, np.float32)
    if (len(places) and int(places.max()) >= len(out)) or np.isinf(values).any():
        return None
    out[places] = values
    return out.reshape(n, WIDTH)


def believed(part: bytes, sizes: Sequence[int]) -> list[Told] | None:
    """Return what an answer tells of files of these sizes; None if it makes no sense.

    Whoever answers has looked at hostile bytes, so nothing of its form is taken for granted.
    """
    try:
        told = json.loads(part)
        if len(told) != len(sizes):
            return None
        return [_file(its, size) for its, size in zip(told, sizes, strict=True)]
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None


def _file(told: Any, size: int) -> Told:
    if isinstance(told, str):
        return Told(problem=told[:_MOST_TEXT])
    rows, ignores = told
    return Told(tuple(_row(r, size) for r in rows), tuple(_ignore(c) for c in ignores))


def _row(told: Any, size: int) -> Row:
    name, *numbers, callees = told
    start, end, first, last, column = (int(n) for n in numbers)
    if not (0 <= start <= end <= size and 1 <= first <= last <= size + 1 and column >= 1):
        raise ValueError("a place outside of the file")
    return Row(_text(name), start, end, first, last, column, tuple(_text(c) for c in callees))


def _ignore(told: Any) -> Ignore:
    line, is_alone, rule, reason = told
    return Ignore(int(line), bool(is_alone), _text(rule), _text(reason))


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError("no text")
    return told[:_MOST_TEXT]
