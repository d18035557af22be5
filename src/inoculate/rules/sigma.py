"""Sigma: rules for logs that every SIEM's converter reads.

Format: https://github.com/SigmaHQ/sigma-specification, version 2. Validated by pySigma, and
replayed in SQLite with the query that pySigma's SQLite backend makes of the rule.
"""

import re
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from inoculate.domain import Fact
from inoculate.errors import InputError, MissingExtraError
from inoculate.features.spans import spans
from inoculate.rule import BoolArray, Described, Replay, Rule, RuleLanguage
from inoculate.rules._fields import fields_hold, small
from inoculate.rules._yaml import to_yaml

_WHOLE = frozenset(("EventID", "Channel", "Provider_Name"))
_NAME = re.compile(r"[A-Za-z_]\w{0,79}", re.ASCII)
_LONGEST_WHOLE = 64
_FILE = re.compile(r"[ -*,-~]{3,64}")  # without +, for an offset is that of one build
_MODIFIER = {"is": "", "ends": "|endswith", "starts": "|startswith", "has": "|contains"}
_WILD = re.compile(r"\\(?=[\\*?]|$)|[*?]")
_SERVICES = {
    "security": "security",
    "system": "system",
    "application": "application",
    "windows powershell": "powershell-classic",
    "microsoft-windows-powershell/operational": "powershell",
    "microsoft-windows-sysmon/operational": "sysmon",
    "microsoft-windows-taskscheduler/operational": "taskscheduler",
    "microsoft-windows-wmi-activity/operational": "wmi",
    "microsoft-windows-bits-client/operational": "bits-client",
    "microsoft-windows-windows defender/operational": "windefend",
}
_LINE = "message"


class Sigma(RuleLanguage):
    """Sigma rules for Windows events, command lines and log lines."""

    kinds: ClassVar[frozenset[str]] = frozenset(("windows_event", "command", "log_line"))
    suffix: ClassVar[str] = ".yml"

    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return what fields are, end with and contain."""
        found: dict[Fact, None] = {}
        for fact in record.facts:
            name = _field(fact)
            if not name:
                continue
            value = small(fact.value)
            short = value.isascii() and value.isprintable() and len(value) <= _LONGEST_WHOLE
            if name in _WHOLE or (short and value):
                found[Fact(f"is:{name}", value)] = None
            if name in _WHOLE:
                continue
            last = value.rpartition("\\")[2]
            if "\\" in value and _FILE.fullmatch(last):
                found[Fact(f"ends:{name}", f"\\{last}")] = None
            found |= dict.fromkeys(Fact(f"has:{name}", piece) for piece in spans(value))
        return list(found)

    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return whether fields fit, without regard to case."""
        told = [Described(r.record, tuple(_renamed(f) for f in r.facts)) for r in records]
        return fields_hold(conditions, told)

    def write(self, rule: Rule) -> str:
        """Return the rule with an id made from its content."""
        source, dropped = _log_source(rule)
        searches: dict[str, Any] = {}
        any_of = []
        for i, clause in enumerate(rule.clauses, 1):
            names = [f"clause{i}"]
            terms = [t for t in clause if t.condition != dropped]
            searches[names[0]] = _search([t.condition for t in terms if t.holds])
            if not searches[names[0]]:
                del searches[names.pop()]
            for j, term in enumerate((t for t in terms if not t.holds), 1):
                searches[f"without{i}_{j}"] = _search([term.condition])
                names.append(f"not without{i}_{j}")
            any_of.append(" and ".join(names))
        logic = any_of[0] if len(any_of) == 1 else " or ".join(f"({c})" for c in any_of)
        detection = {**searches, "condition": logic}
        content = repr((source, detection))
        document = {
            "title": f"Learned from examples - {rule.threat}"[:256],
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, content)),
            "status": "experimental",
            "description": "\n".join(rule.notes) + "\n",
            "author": "inoculate",
            "logsource": source,
            "detection": detection,
            "falsepositives": ["Measured on the background named in the description only"],
            "level": "medium",
        }
        return to_yaml(document)

    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay:
        """Validate with pySigma, and run its SQLite query on the records' fields.

        Raises:
            InputError: pySigma or SQLite refuses the rule.
            MissingExtraError: a package is missing.
        """
        try:
            from sigma.backends.sqlite.sqlite import sqliteBackend
            from sigma.collection import SigmaCollection
            from sigma.exceptions import SigmaError
        except ModuleNotFoundError as err:
            raise MissingExtraError(
                f"sigma needs the package {err.name}; install inoculate[rules]"
            ) from err
        names = sorted({"Channel", *(c.kind.partition(":")[2] for c in rule.conditions())})
        try:
            backend = sqliteBackend(_pipeline(names))  # type: ignore[no-untyped-call]
            queries = backend.convert(SigmaCollection.from_yaml(text))
        except SigmaError as err:
            raise InputError(f"pySigma refuses the rule: {err}") from err
        with closing(_filled(names, records)) as table:
            try:
                rows = [row[0] for q in queries for row in table.execute(q)]
            except sqlite3.Error as err:
                raise InputError(f"SQLite refuses the rule's query: {err}") from err
        matched = np.zeros(len(records), bool)
        matched[rows] = True
        return Replay(matched, f"pySigma {version('pysigma')}, SQLite")


def _field(fact: Fact) -> str:
    """Return the name of the field that a fact tells, "" for none that a rule can name."""
    if fact.kind == "text":
        return _LINE
    start, _, name = fact.kind.partition(":")
    return name if start == "field" and _NAME.fullmatch(name) else ""


def _renamed(fact: Fact) -> Fact:
    return Fact(f"field:{_LINE}", fact.value) if fact.kind == "text" else fact


def _log_source(rule: Rule) -> tuple[dict[str, str], Fact | None]:
    """Return where events come from, and the condition that this says already."""
    if rule.kind == "command":
        return {"category": "process_creation"}, None
    if rule.kind == "log_line":
        return {"category": "log"}, None
    common = set.intersection(*({t.condition for t in c if t.holds} for c in rule.clauses))
    for condition in sorted(common):
        service = _SERVICES.get(condition.value) if condition.kind == "is:Channel" else None
        if service and all(len(clause) > 1 for clause in rule.clauses):
            return {"product": "windows", "service": service}, condition
    return {"product": "windows"}, None


def _search(conditions: Sequence[Fact]) -> dict[str, Any]:
    """Return conditions that all have to hold; of one field and operation in one list."""
    found: dict[str, list[Any]] = {}
    for condition in conditions:
        operation, _, name = condition.kind.partition(":")
        found.setdefault(f"{name}{_MODIFIER[operation]}", []).append(_value(name, condition.value))
    return {
        (f"{key}|all" if len(values) > 1 else key): values if len(values) > 1 else values[0]
        for key, values in found.items()
    }


def _value(name: str, value: str) -> str | int:
    if name == "EventID" and value.isdecimal():
        return int(value)
    return _WILD.sub(lambda m: "\\" + m[0], value)


def _pipeline(names: Sequence[str]) -> Any:
    """Return what a log source of ours means in the table, a channel, and the columns' names."""
    from sigma.processing.conditions import LogsourceCondition
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import (
        AddConditionTransformation,
        FieldMappingTransformation,
    )

    items = [
        ProcessingItem(
            AddConditionTransformation({"Channel": channel}),
            rule_conditions=[LogsourceCondition(service=service)],
        )
        for channel, service in _SERVICES.items()
    ]
    # SQL has words of its own, which fields may be called
    mapping = {name: f"field_{i}" for i, name in enumerate(names)}
    items.append(ProcessingItem(FieldMappingTransformation(mapping)))  # type: ignore[arg-type]
    return ProcessingPipeline(name="events", items=items)


def _filled(names: Sequence[str], records: Sequence[Described]) -> sqlite3.Connection:
    """Return a table ``logs`` of the fields that a rule names, with each record's number."""
    table = sqlite3.connect(":memory:")
    columns = ", ".join(f"field_{i} TEXT COLLATE NOCASE" for i in range(len(names)))
    table.execute(f"CREATE TABLE logs (row INTEGER, {columns})")
    places = ", ".join("?" * (1 + len(names)))
    table.executemany(
        f"INSERT INTO logs VALUES ({places})",  # noqa: S608 - question marks only
        ([i, *(_stored(record, name) for name in names)] for i, record in enumerate(records)),
    )
    return table


def _stored(record: Described, name: str) -> str | None:
    for fact in record.facts:
        if _field(fact) == name:
            return fact.value.encode("utf-8", "replace").decode()
    return None
