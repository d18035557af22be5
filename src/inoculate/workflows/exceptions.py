"""Exceptions: what shall not be reported, by whom, why and until when.

A TOML file of ``[[exception]]`` tables, or JSON Lines of the same keys:

* ``finding``, the id of one finding, or ``where``, a table of identity columns and what their
  values must be: the same, or for text a pattern with ``*``, ``?`` and ``[...]``;
* ``threat``, the same or a pattern (``*`` for any);
* ``reason``, ``author``, and ``expires``, the last day (UTC) that it holds, as 2026-12-31.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.errors import InputError, RecordError
from inoculate.finding import Finding

MOST = 10_000
_MOST_BYTES = 4 << 20
_KEYS = {"finding", "where", "threat", "reason", "author", "expires"}
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempt:
    """One exception.

    Attributes:
        place: ``file#2`` for the second of a TOML file, ``file:2`` for the line of JSON Lines.
        finding: id of the only finding it is for, or None.
        where: values or patterns by identity column; a finding has to match all of them.
        threat: name or pattern of the threat.
        reason, author: why, and who decided it.
        expires: the last day that it holds.
    """

    place: str
    finding: str | None
    where: Mapping[str, str | float]
    threat: str
    reason: str
    author: str
    expires: date

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is this exception's."""
        if self.finding is not None and finding.finding_id != self.finding:
            return False
        return _is(finding.threat, self.threat) and all(
            _is(finding.record.get(column), wanted) for column, wanted in self.where.items()
        )


class Exceptions:
    """The exceptions of a file, and how often each was used.

    Args:
        exempt: of the file.
        today: asked for the day; an exception that expired before it is not applied.

    Attributes:
        n_excepted: findings kept back so far.
    """

    def __init__(self, exempt: Sequence[Exempt], today: Callable[[], date]) -> None:
        self._all = tuple(exempt)
        self._today = today
        self._day: date | None = None
        self._used = [0] * len(self._all)
        self.n_excepted = 0

    def left(self, findings: Sequence[Finding]) -> npt.NDArray[np.bool_]:
        """Return which findings no exception is for, (n,); the others are counted."""
        self._turn()
        return np.array([not self._covered(f) for f in findings], bool)

    def _turn(self) -> None:
        """See which still hold: a watch may run for longer than an exception."""
        if self._day == self._today():
            return
        self._day = self._today()
        self._by_id: dict[str, list[int]] = {}
        self._conditions: list[int] = []
        for i, e in enumerate(self._all):
            if e.expires < self._day:
                continue
            if e.finding is None:
                self._conditions.append(i)
            else:
                self._by_id.setdefault(e.finding, []).append(i)

    def _covered(self, finding: Finding) -> bool:
        for i in (*self._by_id.get(finding.finding_id, ()), *self._conditions):
            if self._all[i].covers(finding):
                self._used[i] += 1
                self.n_excepted += 1
                return True
        return False

    def notes(self) -> Iterator[str]:
        """Yield what was excepted, what expired and what was not needed, a line each."""
        day, told = self._today(), list(zip(self._all, self._used, strict=True))
        yield from _some(
            f"{n:,} excepted by {e.place}, {e.author}, until {e.expires}: {e.reason}"
            for e, n in told
            if n
        )
        yield from _some(
            f"exception {e.place} expired on {e.expires} and is not applied any more: {e.reason}"
            for e, _ in told
            if e.expires < day
        )
        yield from _some(
            f"exception {e.place} was not needed, until {e.expires}: {e.reason}"
            for e, n in told
            if not n and e.expires >= day
        )


def read_exceptions(path: Path, today: Callable[[], date]) -> Exceptions:
    """Read a file of exceptions.

    Raises:
        InputError: it cannot be read, is too large or no TOML.
        RecordError: an exception lacks something or holds what it may not; names file and place.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}") from err
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: over 4 MiB, too large for a file of exceptions")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(f"{path}: not UTF-8 at byte {err.start}") from err
    told = _json_lines(text, path) if text.lstrip().startswith("{") else _toml(text, path)
    exempt: list[Exempt] = []
    for place, entry in told:
        if len(exempt) == MOST:
            raise InputError(f"{path}: over {MOST:,} exceptions")
        exempt.append(_exempt(entry, place))
    return Exceptions(exempt, today)


def _toml(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as err:  # of a number with thousands of digits, too
        raise InputError(f"{path}: not TOML: {str(err)[:200]}") from err
    if set(content) - {"exception"}:
        name = min(set(content) - {"exception"})
        raise InputError(f"{path}: unknown key {name[:80]!r}; expected [[exception]] tables only")
    entries = content.get("exception", [])
    if not isinstance(entries, list):
        raise InputError(f"{path}: exception is one table; write [[exception]]")
    yield from ((f"{path}#{i}", entry) for i, entry in enumerate(entries, start=1))


def _json_lines(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            yield place, json.loads(line)
        except (ValueError, RecursionError) as err:
            raise RecordError(f"not JSON: {str(err)[:80]}", origin=place) from err


def _exempt(entry: Any, place: str) -> Exempt:
    def refuse(problem: str) -> RecordError:
        return RecordError(problem, origin=place)

    if not isinstance(entry, dict):
        raise refuse("expected a table of keys and values")
    if unknown := sorted(set(entry) - _KEYS):
        raise refuse(f"unknown key {unknown[0][:80]!r}; have {', '.join(sorted(_KEYS))}")
    for key in ("threat", "reason", "author"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise refuse(f"{key} is missing or empty; every exception needs one")
    finding, where = entry.get("finding"), entry.get("where")
    if (finding is None) == (where is None):
        raise refuse("needs either finding, an id, or where, a table of columns")
    if finding is not None and (not isinstance(finding, str) or not finding):
        raise refuse("finding is not an id in quotes")
    problem = _bad_condition(where)
    if problem:
        raise refuse(problem)
    return Exempt(
        place=place, finding=finding, where=where or {}, threat=entry["threat"],
        reason=entry["reason"], author=entry["author"], expires=_day(entry.get("expires"), place),
    )  # fmt: skip


def _bad_condition(where: Any) -> str | None:
    if where is None:
        return None
    if not isinstance(where, dict) or not where:
        return "where is not a table with at least one column"
    for column, wanted in where.items():
        if not isinstance(wanted, str | int | float):
            return f"where: {column[:80]} is not text or a number"
    return None


def _day(value: Any, place: str) -> date:
    if value is None:
        raise RecordError("expires is missing; every exception needs a last day", origin=place)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as err:
        # a number may have more digits than can be shown
        found = repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"
        raise RecordError(
            f"expires is {found}, expected a day as 2026-12-31", origin=place
        ) from err


def _is(value: Any, wanted: str | float) -> bool:
    if value is None:
        return False
    if not isinstance(wanted, str):
        return bool(value == wanted)
    return str(value) == wanted or fnmatchcase(str(value), wanted)


def _some(lines: Iterator[str]) -> Iterator[str]:
    told = list(lines)
    yield from told[:_SHOWN]
    if len(told) > _SHOWN:
        yield f"and {len(told) - _SHOWN} exceptions more like that"
