"""JSON: a rule as inoculate itself reads it, over all facts that a domain tells."""

import json
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from inoculate.domain import Fact
from inoculate.rule import MARK, BoolArray, Described, Replay, Rule, RuleLanguage

_NOT_SAID = ("who", "word")
_LONGEST = 200


class Json(RuleLanguage):
    """Rules over the facts of code, one object with clauses of terms.

    ``{"clauses": [[{"kind": "call", "value": "strcpy", "holds": true}, ...], ...]}``: a record
    matches where all terms of one clause do.
    """

    kinds: ClassVar[frozenset[str]] = frozenset(("code",))
    suffix: ClassVar[str] = ".json"

    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return the facts themselves, without their lines."""
        told = (Fact(f.kind, f.value) for f in record.facts if f.kind not in _NOT_SAID)
        return [f for f in dict.fromkeys(told) if MARK not in f.value and _fits(f.value)]

    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return which facts records have."""
        place = {condition: i for i, condition in enumerate(conditions)}
        out = np.zeros((len(records), len(conditions)), bool)
        for row, record in enumerate(records):
            found = (place.get(Fact(f.kind, f.value)) for f in record.facts)
            out[row, [i for i in found if i is not None]] = True
        return out

    def write(self, rule: Rule) -> str:
        """Return the rule, indented."""
        clauses = [
            [
                {"kind": t.condition.kind, "value": t.condition.value, "holds": t.holds}
                for t in clause
            ]
            for clause in rule.clauses
        ]
        document = {
            "name": rule.name,
            "threat": rule.threat,
            "kind": rule.kind,
            "status": "experimental",
            "languages": list(rule.languages),
            "clauses": clauses,
            "notes": list(rule.notes),
        }
        return json.dumps(document, indent=2) + "\n"

    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay:
        """Read the rule back and look at the records' facts."""
        clauses = [
            [(Fact(t["kind"], t["value"]), t["holds"]) for t in clause]
            for clause in json.loads(text)["clauses"]
        ]
        matched = np.zeros(len(records), bool)
        for row, record in enumerate(records):
            has = {Fact(f.kind, f.value) for f in record.facts}
            matched[row] = any(all((f in has) == holds for f, holds in c) for c in clauses)
        return Replay(matched, "inoculate")


def _fits(value: str) -> bool:
    return 1 < len(value) < _LONGEST
