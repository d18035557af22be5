"""The shape of an expression in a word: ``name``, ``call``, ``concat``, ``name+1``."""

from inoculate.features.code.code_roles import OPERATORS, role, role_names
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_words import number_shape, string_shape, tail

_SIGNS = "== != === !== <> < > <= >= <=> in is instanceof"
COMPARISONS = frozenset((*_SIGNS.split(), "not in", "is not"))
LOGICAL = frozenset(("&&", "||", "and", "or", "xor"))
_MOST_TESTS = 8
_MOST_NAMES = 400
_MOST_BEFORE = 60
_ITSELF = (b"self", b"this", b"cls")

(
    _ARGS, _NAME, _FIELD, _TYPE, _STRING, _NUMBER, _BINARY, _UNARY, _CALL, _BOOL, _KEYWORD,
    _POINTER, _NEW, _PARAMS,
) = map(role, (
    "args", "name", "field", "type", "string", "number", "binary", "unary", "call", "bool",
    "keyword", "pointer", "new", "params",
))  # fmt: skip
_NAMING = frozenset((_NAME, _FIELD, _TYPE))
_SHAPED = frozenset((_STRING, _NUMBER, _BOOL, _KEYWORD, _BINARY, _UNARY, _POINTER))
_PLAIN_SHAPES = frozenset(("word", "letter", "secret", "number"))


def shape(nodes: Nodes, i: int, deep: int = 2) -> str:
    """Return an expression in a word.

    Args:
        nodes: of a text.
        i: the expression.
        deep: how many operators inside each other are told.
    """
    code = nodes.role[i]
    if code == _NAME:
        return "name"
    if code not in _SHAPED:
        return role_names()[code]
    if code == _STRING:
        return _of_string(nodes, i)
    if code == _NUMBER:
        return number_shape(nodes.leaf[i])
    if code == _BOOL:
        return nodes.text(i).decode("ascii", "replace").lower()[:5]
    if code == _KEYWORD:
        return shape(nodes, nodes.stop[i] - 1) if nodes.stop[i] == i + 3 else _last(nodes, i, deep)
    if code == _BINARY:
        return _of_binary(nodes, i, deep)
    inner = shape(nodes, nodes.stop[i] - 1, 0) if deep > 0 and code == _UNARY else ""
    return f"{operator(nodes, i)}{inner}"


def _last(nodes: Nodes, i: int, deep: int) -> str:
    children = nodes.children(i)
    return shape(nodes, children[-1], deep) if children and deep else "keyword"


def _of_string(nodes: Nodes, i: int) -> str:
    if nodes.stop[i] > i + 1:
        return "template"
    its = string_shape(nodes.leaf[i])
    return "text" if its in _PLAIN_SHAPES else its


def _of_binary(nodes: Nodes, i: int, deep: int) -> str:
    op = operator(nodes, i)
    sides = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS]
    if not deep or len(sides) < 2:
        return op
    left = shape(nodes, sides[0], deep - 1)
    right = shape(nodes, sides[-1], deep - 1)
    if op in ("+", ".") and (_is_text(nodes, sides[0]) or _is_text(nodes, sides[-1])):
        return "concat"
    if op == "%" and nodes.role[sides[0]] == _STRING:
        return "formatted"
    if left == "concat" and op in ("+", "."):
        return "concat"
    return f"{left}{op}{right}" if deep > 1 else op


def _is_text(nodes: Nodes, i: int) -> bool:
    """Return whether a side of a sum is a literal text, or a sum that begins or ends with one."""
    for _ in range(32):
        if nodes.role[i] == _STRING:
            return True
        if nodes.role[i] != _BINARY or nodes.stop[i] == i + 1:
            return False
        if nodes.role[nodes.stop[i] - 1] == _STRING:
            return True
        i += 1
    return False


def operator(nodes: Nodes, i: int) -> str:
    """Return the operator of an expression, "." where the language has a text for it."""
    names, roles, after = role_names(), nodes.role, nodes.stop
    j, stop = i + 1, nodes.stop[i]
    while j < stop:
        if roles[j] in OPERATORS:
            return names[roles[j]][3:]
        j = after[j]
    at = nodes.data[nodes.start[i] : nodes.start[i] + 1].decode("ascii", "replace")
    if roles[i] == _POINTER:
        return at
    return "." if roles[i] == _BINARY else at if not at.isalnum() else "?"


def called(nodes: Nodes, i: int) -> tuple[str, int, bytes]:
    """Return the last two parts of what a call calls, the index of its arguments, all its name.

    The index is -1 where there are none.
    """
    known = nodes.calls.get(i)
    if known is None:
        name, args = _called(nodes, i)
        known = nodes.calls[i] = (tail(name), args, name)
    return known


def _called(nodes: Nodes, i: int) -> tuple[bytes, int]:
    roles, after = nodes.role, nodes.stop
    j, stop, found, args = i + 1, after[i], -1, -1
    while j < stop:
        if roles[j] == _ARGS:
            args = j
            break
        last = after[j] - 1
        if roles[last] in _NAMING:
            found = last
        elif after[j] > j + 1:
            found = _last_name(nodes, j, found)
        j = after[j]
    if found >= 0 and (args >= 0 or roles[i] == _NEW):
        return nodes.leaf[found] or nodes.text(found), args
    word = nodes.data[nodes.start[i] : nodes.start[i] + 16].split(b"(")[0].split(b" ")[0]
    return word, args


def _last_name(nodes: Nodes, i: int, otherwise: int) -> int:
    for j in range(nodes.stop[i] - 1, max(i, nodes.stop[i] - 12), -1):
        if nodes.role[j] in (_NAME, _FIELD):
            return j
    return otherwise


def arguments(nodes: Nodes, i: int) -> list[int]:
    """Return the arguments of a call."""
    args = called(nodes, i)[1]
    if args >= 0:
        return nodes.children(args)
    return [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS][-1:]


def names_in(nodes: Nodes, i: int) -> list[int]:
    """Return the first names in an expression."""
    return [j for j in range(i, min(nodes.stop[i], i + _MOST_NAMES)) if nodes.role[j] == _NAME]


def name_of(nodes: Nodes, i: int) -> bytes:
    """Return the name of a function, b"" where it has none."""
    for j in nodes.children(i):
        if nodes.role[j] == _PARAMS:
            break
        if nodes.part[j] in ("name", "declarator"):
            its = names_in(nodes, j)
            return nodes.text(its[0]) if its else b""
    return b""


def parameters_of(nodes: Nodes, i: int) -> list[bytes]:
    """Return the names of a function's parameters, without that of its object."""
    around = range(i, min(nodes.stop[i], i + _MOST_BEFORE))
    lists = [j for j in around if nodes.role[j] == _PARAMS]
    its = [names_in(nodes, j)[:1] for j in (nodes.children(lists[0]) if lists else ())]
    return [name for some in its for k in some if (name := nodes.text(k)) not in _ITSELF]


def condition(nodes: Nodes, children: list[int]) -> list[tuple[str, int]]:
    """Return what a condition tests, in words, with the node of each test."""
    start = next((j for j in children if nodes.part[j] == "condition"), -1)
    if start < 0:
        return []
    found: list[tuple[str, int]] = []
    j, stop = start, nodes.stop[start]
    while j < stop and len(found) < _MOST_TESTS:
        code = nodes.role[j]
        if code == _BINARY and operator(nodes, j) in LOGICAL:
            j += 1
            continue
        if code == _CALL:
            found.append((f"call {called(nodes, j)[0]}", j))
        elif code not in OPERATORS:
            found.append((shape(nodes, j), j))
        j = nodes.stop[j]
    return found
