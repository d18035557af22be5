"""Reads one whole JSON document, in bounded memory and to a bounded depth.

For formats that are one document a file: CloudTrail's ``Records``, HAR, sandbox reports. Where a
format is one object a line, use ``json_lines``: that needs no more memory than a block.

Reference:
    RFC 8259, "The JavaScript Object Notation (JSON) Data Interchange Format". Departures: NaN,
    Infinity and numbers beyond a double, which are no JSON but are written by common libraries,
    become null, that is unknown; of a name that comes twice in an object the last one counts; a
    byte order mark is skipped; bytes that are no UTF-8 and halves of surrogate pairs become
    replacement characters.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from inoculate.domain import Source
from inoculate.errors import RecordError

MOST_BYTES = 256 * 1024 * 1024
"""Largest document, decompressed."""

MOST_DEPTH = 100
"""Deepest nesting of objects and arrays."""

_MEMORY_RATIO = 8
_BYTES_OF = {b"{": 240, b"[": 96, b",": 64}  # what CPython takes for what each begins
_PIECE_BYTES = 4 * 1024 * 1024
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_document(source: Source, *, most_bytes: int = MOST_BYTES) -> object:
    """Return the JSON value a source holds: dict, list, str, int (of any size), float or None.

    Args:
        source: read to its end.
        most_bytes: largest size, decompressed. The value may take ``8 * most_bytes`` of memory,
            estimated before parsing from the document's braces, brackets and commas.

    Raises:
        RecordError: not JSON, at ``name:line``; nested more than ``MOST_DEPTH`` deep; too large
            in bytes or in memory; a stream that is damaged.
        TruncatedError: compressed data that is cut off.
    """
    data = _read_all(source, most_bytes)
    _check_memory(data, _MEMORY_RATIO * most_bytes, source.name)
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_constant=_unknown, parse_float=_finite)
    except RecursionError as err:
        raise _too_deep(source.name) from err
    except json.JSONDecodeError as err:
        problem = f"not JSON: {err.msg} at column {err.colno}"
        raise RecordError(problem, origin=f"{source.name}:{err.lineno}") from err
    except ValueError as err:  # an integer of thousands of digits
        raise RecordError(f"not JSON: {str(err)[:80]}", origin=source.name) from err
    return _no_deeper(writable(value, data), source.name)


def writable(value: Any, data: bytes) -> Any:
    """Return a JSON value in whose strings each half of a surrogate pair is replaced.

    Polars and UTF-8 refuse such a half, and JSON may hold one. Cheap where there is none.

    Args:
        value: as the json module gives it; its objects and arrays are changed in place.
        data: the JSON it was read from.
    """
    if _SURROGATE.search(data) is None:
        return value
    top = [value]
    for level in _levels(top):
        for container in level:
            _clean(container)
    return top[0]


def _read_all(source: Source, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while piece := source.stream.read(_PIECE_BYTES):
        size += len(piece)
        if size > most_bytes:
            problem = f"the JSON document is larger than {_size(most_bytes)}"
            raise RecordError(problem, origin=source.name)
        parts.append(piece)
    return b"".join(parts)


def _check_memory(data: bytes, limit: int, name: str) -> None:
    if sum(cost * data.count(mark) for mark, cost in _BYTES_OF.items()) > limit:
        problem = f"the JSON document has so many values that they take over {_size(limit)}"
        raise RecordError(problem, origin=name)


def _size(n_bytes: int) -> str:
    return f"{n_bytes >> 20} MiB" if n_bytes >= 1 << 20 else f"{n_bytes} bytes"


def _unknown(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _too_deep(name: str) -> RecordError:
    return RecordError(f"JSON nested more than {MOST_DEPTH} deep", origin=name)


def _levels(top: Any) -> Iterator[list[Any]]:
    """Yield the objects and arrays of a value, those of one depth at a time, outermost first."""
    level = [top] if isinstance(top, dict | list) else []
    while level:
        yield level
        parts = (c.values() if isinstance(c, dict) else c for c in level)
        level = [v for values in parts for v in values if isinstance(v, dict | list)]


def _no_deeper(value: object, name: str) -> object:
    if any(depth > MOST_DEPTH for depth, _ in enumerate(_levels(value), start=1)):
        raise _too_deep(name)
    return value


def _clean(container: Any) -> None:
    """Replace half surrogates in the strings of one object or array, in place."""
    if isinstance(container, dict):
        items = [(_whole(k), _whole(v)) for k, v in container.items()]
        container.clear()
        container.update(items)
    else:
        container[:] = [_whole(v) for v in container]


def _whole(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
