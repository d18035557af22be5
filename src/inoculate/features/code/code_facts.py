"""What a function does, as typed facts with places: calls, guards, literals, results, settings.

Facts are about one function, method or block. They are what a reviewer would note: ``system`` is
called with a joined text, a result is not looked at, a length is compared with a number, an
exception is swallowed. Names are told by their parts only (``code_words``). Where data comes
from and goes to is told by ``code_flow``, what it really reaches by ``code_reach``.

Facts have a kind and a value, both short texts:

======================  ==========================================================
``call``                last two parts of the name; ``word``: each part
``args``                name and shapes of the arguments: ``strcpy(name,name)``
``keyword``             an argument by name and its value: ``shell=true``
``literal``, ``number`` shape of a text, size of a number; ``quoted``: words of a short text
``op``                  operator with the shapes at its sides: ``name+sizeof``
``guard``               what a condition compares: ``name<number``; ``exit``: and what follows
``loop``                what ends a loop: ``name<call``, ``each``, ``forever``
``array``, ``index``    sizes and indices: ``number``, ``name+1``
``pointer``, ``cast``   what is pointed at or cast to
``unchecked``           a call whose result is dropped; ``checked``: looked at in a condition
``caught``, ``swallowed``  types of exceptions; those after which nothing is done
``set``                 an assignment to a member: ``inner html=template``
``annotation``, ``type``, ``returns``, ``jump``  as they are called
``setting``, ``has``, ``block``  of configuration: ``versioning.enabled=false``
======================  ==========================================================
"""

from bisect import bisect_left
from collections.abc import Callable

from inoculate.domain import Fact
from inoculate.features.code.code_flow import follow
from inoculate.features.code.code_languages import CONFIGURATION
from inoculate.features.code.code_reach import reach
from inoculate.features.code.code_roles import OPERATORS, role, role_names
from inoculate.features.code.code_settings import settings
from inoculate.features.code.code_shapes import (
    COMPARISONS,
    LOGICAL,
    arguments,
    called,
    condition,
    operator,
    shape,
)
from inoculate.features.code.code_tree import Nodes, parse
from inoculate.features.code.code_words import (
    number_shape,
    parts,
    string_shape,
    string_words,
    tail,
)

MOST_FACTS = 20_000
"""Of one record."""

Facts = list[tuple[str, str, int]]
"""Kind and value of each fact, and the index of a node."""


def facts_of(text: str, language: str) -> list[Fact]:
    """Return the facts of one function or block, in the order of reading; none if unreadable.

    Args:
        text: at most ``code_tree.MOST_BYTES`` of it are read.
        language: one of ``code_languages.LANGUAGES``.

    Example:
        >>> [f.value for f in facts_of("system('a' + b)", "javascript") if f.kind == "args"]
        ['system(concat)']
    """
    nodes = parse(text, language)
    if nodes is None:
        return []
    ends = [i for i, byte in enumerate(nodes.data) if byte == 10]
    places = sorted(raw_facts(nodes), key=lambda f: nodes.start[f[2]])
    return [Fact(kind, value, 1 + _line(ends, nodes.start[i])) for kind, value, i in places]


def _line(ends: list[int], at: int) -> int:
    return bisect_left(ends, at)


def raw_facts(nodes: Nodes) -> Facts:
    """Return the facts as (kind, value, index of a node)."""
    found: Facts = []
    if nodes.language in CONFIGURATION:
        settings(nodes, found)
        return found[:MOST_FACTS]
    table, roles = _table(len(role_names())), nodes.role
    for i in [i for i, code in enumerate(roles) if table[code]]:
        table[roles[i]](nodes, i, found)  # type: ignore[misc]
        if len(found) > MOST_FACTS:
            return found[:MOST_FACTS]
    follow(nodes, found)
    reach(nodes, found)
    return found[:MOST_FACTS]


def _call(nodes: Nodes, i: int, found: Facts) -> None:
    short, _, name = called(nodes, i)
    found.append(("call", short, i))
    found += [("word", part, i) for part in parts(name)]
    roles, shapes = nodes.role, []
    for j in arguments(nodes, i):
        its = "name" if roles[j] == _NAME else shape(nodes, j)
        shapes.append(its)
        if roles[j] == _KEYWORD:
            found.append(("keyword", f"{tail(nodes.text(j + 1))}={its}", j))
    found.append(("args", f"{short}({','.join(shapes[:6])})", i))
    above = nodes.parent[i]
    if above >= 0:
        if roles[above] == _STATEMENT:
            found.append(("unchecked", short, i))
        elif nodes.part[i] == "condition" or _is_looked_at(nodes, above):
            found.append(("checked", short, i))


def _is_looked_at(nodes: Nodes, above: int) -> bool:
    if nodes.role[above] == _UNARY:
        return operator(nodes, above) in ("!", "not")
    return nodes.role[above] == _BINARY and operator(nodes, above) in _LOOKING


def _binary(nodes: Nodes, i: int, found: Facts) -> None:
    roles, op = nodes.role, operator(nodes, i)
    sides = [shape(nodes, j) for j in nodes.children(i) if roles[j] not in OPERATORS]
    if len(sides) >= 2:
        found.append(("op", f"{sides[0]}{op}{sides[-1]}", i))


def _choice(nodes: Nodes, i: int, found: Facts) -> None:
    children = nodes.children(i)
    tests = condition(nodes, children)
    for value, j in tests:
        found.append(("guard", value, j))
    if tests:
        follows = next((j for j in children if nodes.part[j] in _BODIES), -1)
        if follows >= 0:
            exit_role = _first(nodes, follows)
            if exit_role in _EXITS:
                found.append(("exit", f"{tests[0][0]} {role_names()[exit_role]}", i))


def _first(nodes: Nodes, i: int) -> int:
    """Return the role of what a block begins with."""
    j = i + 1 if nodes.role[i] == _BODY and nodes.stop[i] > i + 1 else i
    if nodes.role[j] == _STATEMENT and nodes.stop[j] > j + 1:
        j += 1
    return nodes.role[j]


def _loop(nodes: Nodes, i: int, found: Facts) -> None:
    tests = condition(nodes, nodes.children(i))
    each = any(nodes.part[j] in ("left", "right", "value") for j in nodes.children(i))
    for value, j in tests or [("each" if each else "forever", i)]:
        found.append(("loop", value, j))


def _catch(nodes: Nodes, i: int, found: Facts) -> None:
    last = nodes.stop[i]
    words: list[str] = []
    body = next((j for j in nodes.children(i) if nodes.role[j] == _BODY), -1)
    for j in range(i + 1, body if body >= 0 else last):
        if nodes.role[j] in (_NAME, _TYPE):
            words += parts(nodes.text(j))
    for word in words[:6]:
        found.append(("caught", word, i))
    inside = nodes.children(body) if body >= 0 else []
    if all(nodes.role[j] in (_PASS, _CONTINUE) for j in inside):
        found.append(("swallowed", words[-2] if len(words) > 1 else "any", i))


def _literal(nodes: Nodes, i: int, found: Facts) -> None:
    text = nodes.leaf[i].removeprefix(b"\0")
    found.append(("literal", string_shape(text), i))
    found += [("quoted", word, i) for word in string_words(text)]


def _number(nodes: Nodes, i: int, found: Facts) -> None:
    found.append(("number", number_shape(nodes.leaf[i]), i))


def _index(nodes: Nodes, i: int, found: Facts) -> None:
    children = nodes.children(i)
    if len(children) > 1:
        found.append(("index", f"{shape(nodes, children[0])}[{shape(nodes, children[-1])}]", i))


def _array(nodes: Nodes, i: int, found: Facts) -> None:
    sizes = [j for j in nodes.children(i) if nodes.part[j] in ("size", "length", "dimensions")]
    found.append(("array", shape(nodes, sizes[0]) if sizes else "?", i))


def _assign(nodes: Nodes, i: int, found: Facts) -> None:
    children = [j for j in nodes.children(i) if nodes.role[j] not in OPERATORS]
    if len(children) < 2:
        return
    left, right = children[0], children[-1]
    its = shape(nodes, right)
    if nodes.role[left] == _MEMBER:
        found.append(("set", f"{tail(nodes.text(nodes.stop[left] - 1))}={its}", i))
    elif nodes.role[left] == _INDEX:
        found.append(("set", f"[{shape(nodes, nodes.stop[left] - 1)}]={its}", i))


def _return(nodes: Nodes, i: int, found: Facts) -> None:
    its = shape(nodes, i + 1) if nodes.stop[i] > i + 1 else "nothing"
    found.append(("returns", its, i))


def _words(kind: str) -> "Tell":
    def tell(nodes: Nodes, i: int, found: Facts) -> None:
        stop = nodes.stop
        for j in range(i, min(stop[i], i + 12)):
            if stop[j] == j + 1:
                found += [(kind, word, i) for word in parts(nodes.leaf[j] or nodes.text(j))]

    return tell


def _jump(nodes: Nodes, i: int, found: Facts) -> None:
    found.append(("jump", role_names()[nodes.role[i]], i))


def _pointer(nodes: Nodes, i: int, found: Facts) -> None:
    found.append(("pointer", shape(nodes, i) + shape(nodes, nodes.stop[i] - 1), i))


Tell = Callable[[Nodes, int, Facts], None]

_KEYWORD, _STATEMENT, _BODY = role("keyword"), role("statement"), role("body")
_NAME, _TYPE, _PASS, _CONTINUE = role("name"), role("type"), role("pass"), role("continue")
_MEMBER, _INDEX = role("member"), role("index")
_UNARY, _BINARY = role("unary"), role("binary")
_LOOKING = COMPARISONS | LOGICAL
_EXITS = frozenset(map(role, ("return", "throw", "break", "continue", "goto")))
_BODIES = ("consequence", "body")
_TELLERS: dict[str, Tell] = {
    **dict.fromkeys(("call", "new"), _call),
    **dict.fromkeys(("if", "ternary", "assert"), _choice),
    **dict.fromkeys(("array_type", "array_new"), _array),
    **dict.fromkeys(("goto", "break", "continue", "throw", "defer", "spawn", "delete"), _jump),
    "binary": _binary,
    "loop": _loop,
    "catch": _catch,
    "string": _literal,
    "number": _number,
    "index": _index,
    "assign": _assign,
    "return": _return,
    "annotation": _words("annotation"),
    "cast": _words("cast"),
    "type": _words("type"),
    "pointer": _pointer,
}
_CACHED: list[Tell | None] = []


def _table(n: int) -> list[Tell | None]:
    """Return what tells of a node, by its role's number."""
    names = role_names()
    while len(_CACHED) < n:
        _CACHED.append(_TELLERS.get(names[len(_CACHED)]))
    return _CACHED
