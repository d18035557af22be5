"""YARA: rules for files, by strings, imports and section names.

Format: https://yara.readthedocs.io, and YARA-X, https://virustotal.github.io/yara-x, which
compiles and replays the rule here. Strings are looked for in 8-bit and 16-bit characters.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from inoculate.domain import Fact
from inoculate.errors import InputError, MissingExtraError
from inoculate.rule import BoolArray, Described, Replay, Rule, RuleLanguage

_MAGIC = {"pe": "uint16(0) == 0x5a4d", "elf": "uint32(0) == 0x464c457f"}
_TIMEOUT_S = 20
_TOLD = re.compile(r"[^\x20-\x7e]")


class Yara(RuleLanguage):
    """YARA rules for Windows and Unix executables."""

    kinds: ClassVar[frozenset[str]] = frozenset(("pe", "elf"))
    suffix: ClassVar[str] = ".yar"

    def conditions(self, record: Described) -> Sequence[Fact]:
        """Return strings, imported functions and names of sections."""
        return [f for f in record.facts if f.kind in _TEST and not _TOLD.search(f.value)]

    def holds(self, conditions: Sequence[Fact], records: Sequence[Described]) -> BoolArray:
        """Return what YARA-X says of each condition alone.

        Raises:
            MissingExtraError: YARA-X is not installed.
        """
        out = np.zeros((len(records), len(conditions)), bool)
        if not records or not conditions:
            return out
        modules = [f'import "{m}"' for m in sorted(_modules(conditions))]
        alone = (_alone(i, c) for i, c in enumerate(conditions))
        rules = _compiled("\n".join([*modules, *alone]))
        for row, record in enumerate(records):
            for name in _matching(rules, record):
                out[row, int(name[1:])] = True
        return out

    def write(self, rule: Rule) -> str:
        """Return the rule; a string is named by its number."""
        conditions = rule.conditions()
        strings = [c for c in conditions if c.kind == "string"]
        names = {c: f"$s{i}" for i, c in enumerate(strings, 1)}
        clauses = [
            " and ".join(("" if t.holds else "not ") + _test(t.condition, names) for t in clause)
            for clause in rule.clauses
        ]
        logic = " or\n            ".join(f"({c})" for c in clauses)
        meta = {"description": f"Learned from examples: {rule.threat}", "status": "experimental"}
        meta |= {f"note_{i}": note for i, note in enumerate(rule.notes, 1)}
        lines = [f'import "{m}"' for m in sorted(_modules(conditions))]
        lines += ["", f"rule {rule.name}", "{", "    meta:"]
        lines += [f"        {key} = {_quoted(value)}" for key, value in meta.items()]
        if strings:
            lines.append("    strings:")
            lines += [f"        {names[c]} = {_string(c.value)}" for c in strings]
        lines += ["    condition:", f"        {_MAGIC[rule.kind]} and (", f"            {logic}"]
        return "\n".join([*lines, "        )", "}"]).lstrip("\n") + "\n"

    def replay(self, text: str, rule: Rule, records: Sequence[Described]) -> Replay:
        """Compile the rule with YARA-X and scan the files.

        Raises:
            InputError: YARA-X refuses the rule.
            MissingExtraError: YARA-X is not installed.
        """
        rules = _compiled(text)
        matched = np.array([bool(_matching(rules, record)) for record in records], bool)
        return Replay(matched, f"YARA-X {version('yara-x')}")


def _compiled(source: str) -> Any:
    try:
        import yara_x
    except ModuleNotFoundError as err:
        raise MissingExtraError("yara needs the package yara-x; install inoculate[rules]") from err
    compiler = yara_x.Compiler()
    try:
        compiler.add_source(source)
    except yara_x.CompileError as err:
        raise InputError(f"YARA-X refuses the rule: {err}") from err
    return compiler.build()


def _matching(rules: Any, record: Described) -> list[str]:
    """Return the names of the rules that match a file; a scan that takes too long matches none."""
    import yara_x

    scanner = yara_x.Scanner(rules)
    scanner.set_timeout(_TIMEOUT_S)
    try:
        return [rule.identifier for rule in scanner.scan(record.data()).matching_rules]
    except (yara_x.TimeoutError, yara_x.ScanError):
        return []


def _modules(conditions: Sequence[Fact]) -> set[str]:
    return {_MODULE[c.kind] for c in conditions if c.kind in _MODULE}


def _test(condition: Fact, names: dict[Fact, str]) -> str:
    return _TEST[condition.kind](condition, names)


def _string(value: str) -> str:
    return f"{_quoted(value)} ascii wide"


def _import(condition: Fact, _: dict[Fact, str]) -> str:
    library, function = condition.value.split(":", 1)
    pattern = re.escape(library.lower()).replace("/", r"\/")
    if function.startswith("#") and function[1:].isdecimal():
        return f"pe.imports(/^{pattern}(\\.dll)?$/i, /^ordinal{function[1:]}$/i)"
    name = re.escape(function).replace("/", r"\/")
    return f"pe.imports(/^{pattern}(\\.dll)?$/i, /^{name}$/)"


def _section(condition: Fact, _: dict[Fact, str]) -> str:
    return f"for any s in pe.sections : (s.name == {_quoted(condition.value)})"


def _elf_section(condition: Fact, _: dict[Fact, str]) -> str:
    return f"for any s in elf.sections : (s.name == {_quoted(condition.value)})"


def _symbol(condition: Fact, _: dict[Fact, str]) -> str:
    return f"for any s in elf.dynsym : (s.name == {_quoted(condition.value)})"


def _text(condition: Fact, names: dict[Fact, str]) -> str:
    return names[condition]


_TEST = {
    **{"import": _import, "section": _section, "string": _text},
    **{"symbol": _symbol, "elf_section": _elf_section},
}
_MODULE = {"import": "pe", "section": "pe", "symbol": "elf", "elf_section": "elf"}


def _alone(i: int, condition: Fact) -> str:
    strings = f"strings: $s = {_string(condition.value)} " if condition.kind == "string" else ""
    return f"rule c{i} {{ {strings}condition: {_test(condition, {condition: '$s'})} }}"


def _quoted(text: str) -> str:
    r"""Return a text in double quotes, all but printable ASCII as ``\xNN``."""
    out = []
    for byte in text.encode("utf-8", "replace"):
        c = chr(byte)
        out.append(f"\\{c}" if c in '"\\' else c if " " <= c <= "~" else f"\\x{byte:02x}")
    return f'"{"".join(out)}"'
