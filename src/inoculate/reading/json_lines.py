"""Parses blocks of JSON Lines into columns, naming the line of each bad record.

As for delimited text a block is parsed by Polars at once, and line by line only where that
finds something wrong.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from inoculate.errors import RecordError
from inoculate.reading.delimited import LINE
from inoculate.reading.lines import Block, has_gaps, looks_packed, numbered

Schema = Mapping[str, Any]
"""Wanted keys: ``pl.Float64``, ``pl.String`` (any value as text) or a nested mapping."""


class _NotAllowedError(ValueError):
    pass


def parse_json_lines(
    block: Block, schema: Schema, source: str, *, numbers: Sequence[int] | None = None
) -> tuple[pl.DataFrame, list[RecordError]]:
    """Return the good records of a block and an error for each bad one.

    A bad record is a line that is no JSON object, or has anything but a finite number or null
    under a key that ``schema`` calls ``pl.Float64``, or no object under a nested one.

    Args:
        block: the lines.
        schema: the keys to take.
        source: begins the origin of an error.
        numbers: number of each line where they do not follow one another; then no line is blank.

    The frame has the keys of ``schema`` and ``LINE`` (Int64); a key that is absent is null.
    """
    types = {k: _dtype(v) for k, v in schema.items()}
    if not has_gaps(block) and not looks_packed(block.data):
        try:
            frame = pl.read_ndjson(block.data, schema=types)
        except (pl.exceptions.PolarsError, ValueError):
            pass
        else:
            n, first = block.n_lines, block.first_line
            if frame.height == n:
                lines = pl.Series(LINE, numbers or range(first, first + n), pl.Int64)
                return frame.with_columns(lines), []
    known = zip(numbers, block.lines(), strict=True) if numbers else numbered(block)
    return _parse_by_line(known, schema, types, source)


def _dtype(kind: Any) -> Any:
    if isinstance(kind, Mapping):
        return pl.Struct({k: _dtype(v) for k, v in kind.items()})
    return kind


def _parse_by_line(
    numbered_lines: Iterable[tuple[int, bytes]],
    schema: Schema,
    types: Mapping[str, Any],
    source: str,
) -> tuple[pl.DataFrame, list[RecordError]]:
    good: list[bytes] = []
    lines: list[int] = []
    bad: list[RecordError] = []
    for number, line in numbered_lines:
        try:
            record = load_object(line)
            good.append(json.dumps(_pruned(record, schema, "")).encode())
            lines.append(number)
        except _NotAllowedError as err:
            bad.append(RecordError(str(err), origin=f"{source}:{number}"))
    data = b"\n".join(good) + b"\n"
    frame = pl.read_ndjson(data, schema=types) if good else pl.DataFrame(schema=types)
    return frame.with_columns(pl.Series(LINE, lines, pl.Int64)), bad


def load_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object on a line.

    Raises:
        ValueError: the line is not one, with the reason in plain words.
    """
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except RecursionError as err:
        raise _NotAllowedError("JSON nested too deeply") from err
    except ValueError as err:
        raise _NotAllowedError(f"not JSON: {str(err)[:80]}") from err
    if not isinstance(record, dict):
        raise _NotAllowedError(f"expected a JSON object, found {type(record).__name__}")
    if b"\\u" in line:  # half a surrogate pair is no text that can be written again
        record = {k.encode("utf-8", "replace").decode(): v for k, v in record.items()}
    return record


def _pruned(record: dict[str, Any], schema: Schema, inside: str) -> dict[str, Any]:
    """Return the wanted keys only, each of the wanted type."""
    out: dict[str, Any] = {}
    for key, kind in schema.items():
        value = record.get(key)
        if value is None:
            continue
        if isinstance(kind, Mapping):
            if not isinstance(value, dict):
                raise _NotAllowedError(f"{inside}{key!r} is {_shown(value)}, expected an object")
            out[key] = _pruned(value, kind, f"{inside}{key!r} ")
        elif kind == pl.Float64:
            out[key] = _number(value, f"{inside}{key!r}")
        else:
            out[key] = value if isinstance(value, str) else json.dumps(value)
    return out


def _number(value: Any, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise _NotAllowedError(f"{where} is {_shown(value)}, expected a finite number")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return repr(value)[:60]
