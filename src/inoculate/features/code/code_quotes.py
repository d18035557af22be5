"""What a hashed column counted in a record of code, in its own words, for a reason.

Facts of where data goes say the lines they are about: ``'direct:param->exec' line 3 to line 9``.
"""

from collections.abc import Mapping
from typing import Any

from inoculate.features.code.code_facts import raw_facts
from inoculate.features.code.code_flow import source_named
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_roles import role
from inoculate.features.code.code_schema import FACTS, HASHED
from inoculate.features.code.code_shapes import called
from inoculate.features.code.code_tree import Nodes, parse
from inoculate.features.code.code_views import tokens_of
from inoculate.features.hashing import columns_of

_MOST_QUOTES = 4
_QUOTED_CHARS = 24
_WAY_CHARS = 48
_WAYS = frozenset(("direct", "through", "unguarded", "guarded", "then"))
_CALLS = frozenset(map(role, ("call", "new")))
_NAME, _PARAMS = role("name"), role("params")


def quoted(record: Mapping[str, Any], column: str) -> str:
    """Return up to four of the words, steps, calls or facts that a column counted.

    Args:
        record: with ``text`` and ``language``; where known ``callees`` and ``start_line``.
        column: name of a column.
    """
    hashed = next((h for h in HASHED if column in columns_of(h.view)), None)
    text, language = record.get("text"), language_named(record.get("language"))
    if hashed is None or not isinstance(text, str) or language is None:
        return ""
    nodes = parse(text, language)
    if nodes is None:
        return ""
    tokens = tokens_of(nodes, record.get("callees") or ())[hashed.view.name]
    found = hashed.found(tokens, columns_of(hashed.view)[column])[:_MOST_QUOTES]
    first = record.get("start_line")
    if hashed is not FACTS or not isinstance(first, int):
        return " ".join(f"'{gram[:_QUOTED_CHARS]}'" for gram in found)
    return " ".join(_with_lines(gram, nodes, first) for gram in found)


def _with_lines(gram: str, nodes: Nodes, first: int) -> str:
    """Return a fact, and of a way the line where data comes from and that where it goes to."""
    kind, _, value = gram.partition(":")
    if kind not in _WAYS:
        return f"'{gram[:_QUOTED_CHARS]}'"
    sink = next((i for k, v, i in raw_facts(nodes) if (k, v) == (kind, value)), -1)
    start = _origin(nodes, sink, _source_of(kind, value)) if sink >= 0 else -1
    if start < 0:
        return f"'{gram[:_WAY_CHARS]}'"
    lines = [first + nodes.data.count(b"\n", 0, nodes.start[i]) for i in (start, sink)]
    return f"'{gram[:_WAY_CHARS]}' line {lines[0]} to line {lines[1]}"


def _source_of(kind: str, value: str) -> str:
    return value.split(">")[0] if kind in ("through", "then") else value.rpartition("->")[0]


def _origin(nodes: Nodes, sink: int, origin: str) -> int:
    """Return the node that data comes from, -1 where that is not known."""
    if origin == "param":
        return _parameter(nodes, sink)
    for i in range(nodes.stop[sink] - 1, -1, -1):
        code = nodes.role[i]
        if code in _CALLS and i != sink and called(nodes, i)[0] == origin:
            return i
        if code == _NAME and source_named(nodes.text(i)) == origin:
            return i
    return -1


def _parameter(nodes: Nodes, sink: int) -> int:
    """Return the parameter that stands in an expression, else the first one."""
    top = next((i for i, code in enumerate(nodes.role) if code == _PARAMS), -1)
    if top < 0:
        return -1
    names = [i for i in range(top, nodes.stop[top]) if nodes.role[i] == _NAME]
    used = {nodes.text(i) for i in range(sink, nodes.stop[sink]) if nodes.role[i] == _NAME}
    return next((i for i in names if nodes.text(i) in used), names[0] if names else top)
