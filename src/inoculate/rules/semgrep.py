"""Semgrep: rules for functions of source code, as patterns in their own language.

Format: https://semgrep.dev/docs/writing-rules/rule-syntax. A rule matches a whole function that
holds some patterns and lacks others. Where ``semgrep`` is on the PATH, rules are validated and
replayed with it on the functions, each a file of its own; it is never needed.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from inoculate.domain import Fact
from inoculate.errors import InputError
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_split import OUTSIDE
from inoculate.features.code.code_tree import parse
from inoculate.rule import MARK, BoolArray, Described, Replay, Rule, RuleLanguage, Term
from inoculate.rules._tool import found, run
from inoculate.rules._yaml import to_yaml

_GROUPS = {
    **dict.fromkeys(("c", "cpp"), "c"),
    **dict.fromkeys(("javascript", "typescript", "tsx"), "js"),
    **{name: name for name in ("python", "java", "php")},
}
"""Languages that one rule can be for. Go's patterns cannot ask for an expression somewhere."""
_SEMGREP = {"c": ["c", "cpp"], "js": ["javascript", "typescript"]}
_SUFFIX = {"python": ".py", "javascript": ".js", "typescript": ".ts", "tsx": ".tsx"}
_BRACES = "{head} {{ ... {body} ... }}"
_WRAPPERS = {
    "c": (_BRACES, ("$RT $FN(...)",)),
    "java": (_BRACES, ("$RT $FN(...)", "$FN(...)")),
    "js": (_BRACES, ("function $FN(...)", "(...) =>")),
    "php": (_BRACES, ("function $FN(...)",)),
    "python": ("{head}:\n  ...\n  {body}\n  ...", ("def $FN(...)",)),
}
_KINDS = ("expression", "statement")
_METAVARIABLE = re.compile(r"\$([A-H])\b")
_REPLAY_S = 900.0
_CWE = re.compile(r"CWE-\d{1,5}")


class Semgrep(RuleLanguage):
    """Semgrep rules for C, C++, Python, Java, JavaScript, TypeScript and PHP."""

    kinds: ClassVar[frozenset[str]] = frozenset(("code",))
    suffix: ClassVar[str] = ".yaml"

    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return the patterns of a function, those of its language."""
        group = _GROUPS.get(language_named(record.record.get("language")) or "")
        outside = str(record.record.get("name") or "").endswith(OUTSIDE)
        if group is None or outside:
            return []
        told = (f for f in record.facts if f.kind in _KINDS and MARK not in f.value)
        return list(dict.fromkeys(Fact(f"{f.kind}:{group}", f.value) for f in told))

    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return which patterns functions have, as they were read here."""
        place = {condition: i for i, condition in enumerate(conditions)}
        out = np.zeros((len(records), len(conditions)), bool)
        for row, record in enumerate(records):
            at = (place.get(condition) for condition in self.conditions(record))
            out[row, [i for i in at if i is not None]] = True
        return out

    def write(self, rule: Rule) -> str:
        """Return the rule; a finding is the whole function.

        Raises:
            InputError: the rule's patterns are of several languages.
        """
        groups = sorted({c.kind.partition(":")[2] for c in rule.conditions()})
        if len(groups) != 1:
            raise InputError(f"one rule is for one language, the examples are {groups}")
        group = groups[0]
        numbers = {c: i for i, c in enumerate(rule.conditions(), 1)}
        clauses = [_clause(clause, group, numbers) for clause in rule.clauses]
        logic: dict[str, Any] = {"patterns": clauses[0]}
        if len(clauses) > 1:
            logic = {"pattern-either": [{"patterns": clause} for clause in clauses]}
        cwe = {"cwe": [m[0]]} if (m := _CWE.search(rule.threat.upper())) else {}
        document = {
            "id": rule.name.replace("_", "-"),
            "languages": _SEMGREP.get(group, [group]),
            "severity": "WARNING",
            "message": f"Like the examples of {rule.threat} that this rule was learned from",
            "metadata": {**cwe, "status": "experimental", "provenance": list(rule.notes)},
            "options": {"constant_propagation": False, "symbolic_propagation": False},
            **logic,
        }
        return to_yaml({"rules": [document]})

    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay | None:
        """Run Semgrep on the functions, where it is installed.

        Raises:
            InputError: Semgrep refuses the rule.
        """
        program = found("semgrep")
        if program is None:
            return None
        with tempfile.TemporaryDirectory(prefix="inoculate-") as name:
            folder = Path(name)
            (folder / "made.yaml").write_text(text)
            (folder / "code").mkdir()
            for i, record in enumerate(records):
                _write_code(folder / "code", i, record.record)
            words = [program, "scan", "--config", "made.yaml", "--json", "--metrics", "off"]
            words += ["--disable-version-check", "--no-git-ignore", "--jobs", "1", "--timeout", "5"]
            answer = json.loads(run([*words, "code"], folder, seconds=_REPLAY_S))
        refused = [e for e in answer.get("errors", []) if e.get("rule_id") and not e.get("path")]
        if refused:
            said = " ".join(str(refused[0].get("message", "")).split())
            raise InputError(f"semgrep refuses the rule: {said[:300]}")
        matched = np.zeros(len(records), bool)
        for result in answer["results"]:
            matched[int(Path(result["path"]).stem)] = True
        return Replay(matched, f"Semgrep {answer.get('version', '')}".rstrip())


def _clause(
    clause: Sequence[Term], group: str, numbers: Mapping[Fact, int]
) -> list[dict[str, Any]]:
    """Return a clause as patterns of whole functions."""
    out: list[dict[str, Any]] = []
    for term in clause:
        wrapped = _wrapped(term.condition, group, numbers[term.condition])
        if not term.holds:
            out += [{"pattern-not": pattern} for pattern in wrapped]
        elif len(wrapped) == 1:
            out.append({"pattern": wrapped[0]})
        else:
            out.append({"pattern-either": [{"pattern": pattern} for pattern in wrapped]})
    return out


def _wrapped(condition: Fact, group: str, number: int) -> list[str]:
    """Return a pattern of the functions that hold one; its metavariables are its own."""
    pattern = _METAVARIABLE.sub(rf"$\g<1>{number}", condition.value)
    if condition.kind.startswith("expression"):
        pattern = f"<... {pattern} ...>"
    if group != "python":
        pattern += ";"
    form, heads = _WRAPPERS[group]
    return [form.format(head=head, body=pattern) for head in heads]


def _write_code(folder: Path, i: int, record: Mapping[str, Any]) -> None:
    """Write a function as a file that its language's compiler might take."""
    language = language_named(record.get("language")) or "c"
    nodes = parse(str(record.get("text") or ""), language)
    if nodes is not None:
        before = b"<?php " if language == "php" and b"<?" not in nodes.data[:4_096] else b""
        suffix = _SUFFIX.get(language, f".{language}")
        (folder / f"{i}{suffix}").write_bytes(before + nodes.data)
