"""What every rule language must do: say what it can test, write a rule, and run it for real."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inoculate.domain import Fact
from inoculate.errors import InputError

BoolArray = npt.NDArray[np.bool_]

MOST_BYTES = 64 << 20
"""Of a whole file, so many bytes are looked at."""

MARK = "\ufffd"
"""Stands for what was taken out of a value."""

_IDENTITIES = {
    "an address": re.compile(
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{0,4}"
        r"|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|[\w.+-]{1,64}@[\w-]{1,64}\.\w{2,}",
        re.IGNORECASE,
    ),
    "a hash": re.compile(r"(?<![0-9a-z])[0-9a-f]{24,128}(?![0-9a-z])", re.IGNORECASE),
    "an identifier": re.compile(
        r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|s-1-5-21-[\d-]{5,}", re.IGNORECASE
    ),
    "a moment": re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|(?<!\d)1\d{9}(?!\d)"),
}


def identity_in(value: str) -> str:
    """Return what a value tells that is one host's, file's or moment's own, "" for nothing.

    Example:
        >>> identity_in("curl http://203.0.113.9/a"), identity_in("curl http://")
        ('an address', '')
    """
    return next((name for name, known in _IDENTITIES.items() if known.search(value)), "")


def masked(value: str, names: Iterable[str] = ()) -> str:
    """Return a value with a mark, which is no ASCII, for what tells one host, file or moment.

    Args:
        value: of a fact.
        names: of hosts and users, to be marked as well, whatever their case.

    Example:
        >>> masked("curl http://203.0.113.9/a | WKST7", ["wkst7"])
        'curl http://\ufffd/a | \ufffd'
    """
    for known in _IDENTITIES.values():
        value = known.sub(MARK, value)
    small = value.lower()
    here = [re.escape(name) for name in names if name in small]
    return re.sub("|".join(here), MARK, value, flags=re.IGNORECASE) if here else value


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A record with what can be said of it.

    Attributes:
        record: the row of its batch's frame, for whole files with ``data``.
        facts: as its domain tells them.
    """

    record: Mapping[str, Any]
    facts: tuple[Fact, ...]

    def values(self, kind: str) -> list[str]:
        """Return the values of the facts of one kind."""
        return [f.value for f in self.facts if f.kind == kind]

    def data(self) -> bytes:
        """Return the bytes of a whole file, ``data`` or what is at ``path``; empty for none.

        Raises:
            InputError: the file cannot be read any more.
        """
        if "data" in self.record or "path" not in self.record:
            return bytes(self.record.get("data") or b"")
        path = Path(str(self.record["path"]))
        try:
            with path.open("rb") as file:
                return file.read(MOST_BYTES)
        except OSError as err:
            raise InputError(f"{path}: cannot be read again: {err.strerror}") from err


@dataclass(frozen=True, slots=True)
class Term:
    """A condition that has to hold, or must not.

    Attributes:
        condition: what is tested; its kind and value are the language's own.
        holds: False where it must not.
    """

    condition: Fact
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """What was learned, before it is written in a language.

    Attributes:
        name: letters, digits and underscores.
        threat: what it is to find.
        kind: of the records.
        clauses: one of them has to hold, all of its terms.
        notes: lines of provenance: who made it from what, and what was measured.
        languages: programming languages of the examples, for code.
    """

    name: str
    threat: str
    kind: str
    clauses: tuple[tuple[Term, ...], ...]
    notes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def conditions(self) -> tuple[Fact, ...]:
        """Return each condition once, in order."""
        return tuple(dict.fromkeys(t.condition for clause in self.clauses for t in clause))


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What the real tool said of records.

    Attributes:
        matched: (n,) which of them the rule matches.
        tool: its name and version.
    """

    matched: BoolArray
    tool: str


class RuleLanguage(ABC):
    """Base of all rule languages: one language a file.

    A *condition* is a ``Fact`` of the language's own: something it can test, such as
    ``Fact("has:CommandLine", "-enc")``. What it means is what ``holds`` says, and ``replay``
    checks that the tool which will run the rule means the same.

    Attributes:
        kinds: of records that rules can be written for.
        suffix: usual file ending, with the dot.
        untellable: kind -> why no rule of this language can be made for it.
    """

    kinds: ClassVar[frozenset[str]]
    suffix: ClassVar[str]
    untellable: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return conditions that hold of a record, bounded; none over a ``MARK``."""

    def negates(self, condition: Fact) -> bool:
        """Return whether a rule can ask that a condition does not hold."""
        return True

    @abstractmethod
    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return which conditions hold of which records, (n records, m conditions)."""

    @abstractmethod
    def write(self, rule: Rule) -> str:
        """Return the rule as the tool reads it, with its newline."""

    @abstractmethod
    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay | None:
        """Run a written rule with the real tool; None where it is not installed and may lack.

        Args:
            text: what ``write`` returned.
            rule: what it was written from.
            records: to run it on.

        Raises:
            InputError: the tool refuses the rule, with its reason.
            MissingExtraError: the tool is not installed, and the rule is not to be had without.
        """
