"""What a function does, as patterns in its own language: ``strcpy($A, $B)``, ``$A == NULL``.

Such patterns are what structural search tools take (Semgrep's metavariables and ellipses,
https://semgrep.dev/docs/writing-rules/pattern-syntax). Variables become metavariables, the same
for the same; what is called, types, members and constants stay as they are written. Literals
stay, or become any text and any number: of each place some patterns are told, from its own words
to the most general.

======================  ==========================================================
``expression``          pattern of an expression that stands somewhere in the function
``statement``           pattern of a whole statement, without what ends it
======================  ==========================================================
"""

import re

from inoculate.domain import Fact
from inoculate.features.code.code_roles import OPERATORS, role
from inoculate.features.code.code_shapes import called
from inoculate.features.code.code_tree import Nodes, parse

MOST_PATTERNS = 3_000
"""Of one function."""
_LONGEST = 90
_LONGEST_SOURCE = 160
_SHORT_TEXT = 24
_METAVARIABLES = "ABCDEFGH"
_EXPRESSIONS = frozenset(
    map(
        role,
        (
            *("call", "new", "array_new", "binary", "unary", "index", "cast", "sizeof", "assign"),
            *("augment", "update", "pointer", "instanceof", "ternary"),
        ),
    )
)
_OPERATIONS = frozenset(map(role, ("binary", "index")))
_LITERALS = frozenset(map(role, ("number", "null", "bool", "char")))
_STATEMENTS = frozenset(map(role, ("return", "throw", "delete", "declare", "goto")))
_CALLS = frozenset(map(role, ("call", "new")))
_BINDING = frozenset(map(role, ("params", "assign", "declare", "loop", "catch", "with")))
_KEYWORD, _SPREAD, _MEMBER, _CALL = map(role, ("keyword", "spread", "member", "call"))
_NAME, _TYPE, _FIELD, _STRING, _NUMBER = map(role, ("name", "type", "field", "string", "number"))
_FUNC, _ASSIGN, _DECLARE, _LOOP = map(role, ("func", "assign", "declare", "loop"))
_KEPT_PARTS = frozenset(("attribute", "field", "property", "type"))
_CONSTANT = re.compile(rb"[A-Z][A-Z0-9_]+|\$_[A-Z]+|this|self|super|\$this")
_PLAIN_TEXT = re.compile(r"""["'][\w .,:/%*@=+<>()\[\]-]*["']""")
_BLANK = re.compile(r"\s+")
_LAST_MEMBER = re.compile(r"(?:\.|->|::)\w+$")
_OWN_METAVARIABLE = re.compile(r"\$[A-H]\b")
_COMMA = re.compile(r"\s*,\s*")
_RECEIVERS = ("object", "argument", "operand", "scope", "value")

Spans = list[tuple[int, int, str]]


def patterns_of(text: str, language: str) -> list[Fact]:
    """Return the patterns of one function, each once, with the line where it was first seen.

    Args:
        text: at most ``code_tree.MOST_BYTES`` of it are read.
        language: one of ``code_languages.LANGUAGES``.

    Example:
        >>> [f.value for f in patterns_of("void f(char *s) { strcpy(b, s); }", "c")]
        ['strcpy(...)', 'strcpy($A, $B)']
    """
    nodes = parse(text, language)
    if nodes is None:
        return []
    found: dict[tuple[str, str], int] = {}
    own = _bound(nodes)
    for i, code in enumerate(nodes.role):
        kind = "expression" if code in _EXPRESSIONS else "statement"
        if kind == "statement" and code not in _STATEMENTS:
            continue
        if not _stands_alone(nodes, i):
            continue
        if nodes.data.startswith((b"echo", b"unset"), nodes.start[i]):
            kind = "statement"
        for pattern in _patterns(nodes, i, own, is_call=code in _CALLS):
            found.setdefault((kind, pattern), nodes.start[i])
        if len(found) > MOST_PATTERNS:
            break
    return [
        Fact(kind, value, 1 + nodes.data.count(b"\n", 0, at)) for (kind, value), at in found.items()
    ]


def _stands_alone(nodes: Nodes, i: int) -> bool:
    """Return whether this is not part of a declaration, nor one of a loop's head."""
    above = nodes.role[nodes.parent[i]] if nodes.parent[i] >= 0 else -1
    if nodes.role[i] == _ASSIGN:
        return b"=" in nodes.text(i) and above not in _STATEMENTS
    return not (nodes.role[i] == _DECLARE and above == _LOOP)


def _bound(nodes: Nodes) -> frozenset[bytes]:
    """Return the names that the function gives a value: its parameters and variables."""
    found = set()
    for i, code in enumerate(nodes.role):
        if code == _NAME:
            above = nodes.parent[i]
            for _ in range(4):
                if above < 0:
                    break
                if nodes.role[above] in _BINDING:
                    found.add(nodes.text(i))
                    break
                if nodes.role[above] in _EXPRESSIONS:
                    break
                above = nodes.parent[above]
    return frozenset(found)


def _patterns(nodes: Nodes, i: int, own: frozenset[bytes], *, is_call: bool) -> list[str]:
    start, end = nodes.start[i], nodes.end[i]
    found: list[str] = []
    if is_call:
        args = called(nodes, i)[1]
        if args >= 0 and nodes.start[args] - start < _LONGEST:
            head = _written(nodes, i, own, (start, nodes.start[args]))
            if head is not None:
                found.append(f"{head}(...)")
                member = _LAST_MEMBER.search(head)
                if member and not head.startswith("new "):
                    found.append(f"$A{member[0]}(...)")
                found += [
                    f"{head}(..., {named}, ...)"
                    for j in nodes.children(args)
                    if nodes.role[j] == _KEYWORD
                    and (named := _written(nodes, j, own, (nodes.start[j], nodes.end[j])))
                ]
    found += [flat for keep in (True, False) if (flat := _flat(nodes, i, own, keep_literals=keep))]
    if end - start > _LONGEST_SOURCE:
        return list(dict.fromkeys(found))
    for texts, numbers in ((True, False), (False, False), (False, True)):
        pattern = _written(nodes, i, own, (start, end), texts=texts, numbers=numbers)
        if pattern is not None:
            found.append(pattern)
    return list(dict.fromkeys(found))


def _flat(nodes: Nodes, i: int, own: frozenset[bytes], *, keep_literals: bool) -> str | None:
    """Return a call or an operation with its operands as metavariables, since these match any.

    Args:
        nodes: of the function.
        i: the place.
        own: names of variables.
        keep_literals: leave numbers and constants, and let a literal text be any text.
    """
    code = nodes.role[i]
    args = called(nodes, i)[1] if code in _CALLS else -1
    if code in _CALLS and args >= 0:
        place, operands = (nodes.start[i], nodes.start[args]), nodes.children(args)
        before = _written(nodes, i, own, place)
        if before is None or any(nodes.role[j] in (_KEYWORD, _SPREAD) for j in operands):
            return None
        pieces, between, after = [f"{before}("], ", ", ")"
    elif code in _OPERATIONS:
        operands = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS]
        if len(operands) != 2 or nodes.end[operands[0]] == nodes.start[operands[1]]:
            return None
        gap = nodes.data[nodes.end[operands[0]] : nodes.start[operands[1]]]
        rest = nodes.data[nodes.end[operands[1]] : nodes.end[i]]
        pieces, between, after = (
            [""],
            gap.decode("utf-8", "replace"),
            rest.decode("ascii", "replace"),
        )
    else:
        return None
    used = len(set(_OWN_METAVARIABLE.findall(pieces[0])))
    if used + len(operands) > len(_METAVARIABLES):
        return None
    written = [
        literal if keep_literals and (literal := _literal(nodes, j)) else f"${_METAVARIABLES[n]}"
        for n, j in enumerate(operands, used)
    ]
    return _clean("".join([*pieces, between.join(written), after]))


def _literal(nodes: Nodes, j: int) -> str:
    """Return how an operand that is a constant is written, "" for any other."""
    code, text = nodes.role[j], nodes.text(j)
    if code == _STRING:
        return '"..."'
    is_constant = code in _LITERALS or (code == _NAME and _CONSTANT.fullmatch(text) is not None)
    return text.decode("utf-8", "replace") if is_constant and len(text) <= _SHORT_TEXT else ""


def _written(
    nodes: Nodes,
    i: int,
    own: frozenset[bytes],
    place: tuple[int, int],
    *,
    texts: bool = False,
    numbers: bool = False,
) -> str | None:
    """Return the pattern of a place, None where it is too long or cannot be one.

    Args:
        nodes: of the function.
        i: the place.
        own: names of variables.
        place: first byte of it, and the byte behind.
        texts: keep short literal texts.
        numbers: let numbers be any.
    """
    names: dict[bytes, str] = {}
    pieces: list[str] = []
    start, end = place
    at, last = start, -1
    for j in range(i, nodes.stop[i]):
        if nodes.start[j] >= end or nodes.start[j] < last:
            continue
        instead = _instead(nodes, j, own, names, (texts, numbers))
        if instead is None:
            continue
        if instead == "":
            return None
        pieces += [nodes.data[at : nodes.start[j]].decode("utf-8", "replace"), instead]
        at = last = nodes.end[j]
    pieces.append(nodes.data[at:end].decode("utf-8", "replace"))
    return _clean("".join(pieces))


def _clean(text: str) -> str | None:
    """Return a pattern with blanks as usual, None where it is too long or cannot be one."""
    pattern = _COMMA.sub(", ", _BLANK.sub(" ", text)).strip().rstrip(";").rstrip()
    if len(pattern) > _LONGEST or not pattern.isascii() or "/*" in pattern or "//" in pattern:
        return None
    return pattern if pattern.isprintable() and "{" not in pattern and pattern != "$A" else None


def _instead(
    nodes: Nodes,
    j: int,
    own: frozenset[bytes],
    names: dict[bytes, str],
    general: tuple[bool, bool],
) -> str | None:
    """Return what a node is written as; None for as it is, "" where no pattern can be made."""
    code, (texts, numbers) = nodes.role[j], general
    if code == _STRING:
        word = nodes.text(j)[: _SHORT_TEXT + 1].decode("utf-8", "replace")
        keep = texts and len(word) <= _SHORT_TEXT and _PLAIN_TEXT.fullmatch(word)
        return None if keep else '"..."'
    if code == _NUMBER and not numbers:
        return None
    if code == _NUMBER or (code == _NAME and _is_variable(nodes, j, own)):
        text = nodes.text(j)
        if text not in names and len(names) >= len(_METAVARIABLES):
            return ""
        return names.setdefault(text, f"${_METAVARIABLES[len(names) % len(_METAVARIABLES)]}")
    return "" if code == _FUNC else None


def _is_variable(nodes: Nodes, j: int, own: frozenset[bytes]) -> bool:
    text, part, above = nodes.text(j), nodes.part[j], nodes.parent[j]
    if _CONSTANT.fullmatch(text) or part in _KEPT_PARTS:
        return False
    around = nodes.role[above] if above >= 0 else -1
    if around in _CALLS and part in ("function", "name", "constructor"):
        return False
    if around == _KEYWORD and part == "name":
        return False
    # what the function does not bind and is asked for a member is a module or a class
    return text in own or not (around in (_MEMBER, _CALL) and part in _RECEIVERS)
