"""A piece of code as a flat table of nodes in the order of reading.

Reading a syntax tree node by node is what costs most in Python, so it is done once: everything
else works on the lists of this table.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from tree_sitter import Node, TreeCursor

from inoculate.features.code.code_languages import Grammar, grammar, tree_of
from inoculate.features.code.code_roles import CLOSED, SKIP, THROUGH, role

MOST_BYTES = 1 << 20
"""Of each text, so many bytes are parsed."""

MOST_NODES = 200_000
MOST_DEPTH = 250
"""Nodes below are left out; people write about 40."""

_STRING = role("string")
_MODIFIERS = "(?:public|private|protected|static|final|abstract|async|override|readonly|get|set)"
_ANNOTATED = r"\s*(?:(?:@[\w.]+(?:\([^)]*\))?|#\[[^\]]*\])\s*)*"
_METHOD = {
    "php": re.compile(rf"{_ANNOTATED}{_MODIFIERS}\s[\s\w]*function\b"),
    "java": re.compile(
        rf"(?!{_ANNOTATED}(?:{_MODIFIERS}\s+)*(?:class|interface|enum|record|import|package)\b)"
        rf"{_ANNOTATED}{_MODIFIERS}\s[^=;{{]*\("
    ),
    "javascript": re.compile(
        rf"\s*(?:{_MODIFIERS}\s+)*\*?\s*(?!function\b|if\b|for\b|while\b|switch\b|catch\b)"
        r"[#\w$]+\s*\([^()]*\)\s*(?::[^{};]*)?\{"
    ),
}
_METHOD["csharp"] = _METHOD["java"]
_METHOD["typescript"] = _METHOD["tsx"] = _METHOD["javascript"]
_CLASS = "class X {", "}"
_PART_IN_CLASS = {"javascript": "member"}


@dataclass(slots=True, eq=False)
class Nodes:
    r"""Nodes of a text; the children of a node come after it, up to ``stop``.

    Attributes:
        language: of the text.
        data: what was parsed, with what was put before it.
        shift: bytes put before the text.
        role: number of each node's role, see ``code_languages.role_names``.
        start, end: place in ``data``, in bytes.
        parent: index of the node above, -1 for the first.
        stop: index after the last node below.
        part: name of what a node is to its parent, "" where it has none.
        leaf: the text of a node that is told by it, b"" of others; a literal text with nodes
            inside begins with b"\0".
        depth: greatest depth.
        calls: what is called by the calls that were looked at.
    """

    language: str
    data: bytes
    shift: int
    role: list[int]
    start: list[int]
    end: list[int]
    parent: list[int]
    stop: list[int]
    part: list[str]
    leaf: list[bytes]
    depth: int = 0
    calls: dict[int, tuple[str, int, bytes]] = field(default_factory=dict)
    _children: dict[int, list[int]] = field(default_factory=dict, repr=False)

    def text(self, i: int) -> bytes:
        """Return the bytes of a node."""
        return self.data[self.start[i] : self.end[i]]

    def children(self, i: int) -> list[int]:
        """Return the nodes right below one; not to be changed."""
        found = self._children.get(i)
        if found is None:
            found = self._children[i] = []
            j, stop, after = i + 1, self.stop[i], self.stop
            while j < stop:
                found.append(j)
                j = after[j]
        return found


def parse(text: str, language: str) -> Nodes | None:
    """Return the nodes of a text, None for a language or a text that no parser can take.

    A method without its class is given one, and common indentation is taken away.
    """
    used = grammar("php_tagged" if language == "php" and "<?" in text[:4096] else language)
    if used is None:
        return None
    before, after = ("", "")
    if used.language == "php_tagged" and not text[:200].lstrip().startswith("<"):
        before = "<?php "
    if is_method(text, language):
        before, after = _CLASS
    if language == "python" and text[:1] in " \t\n":
        text = textwrap.dedent(text)
    data = f"{before}{text}{after}".encode("utf-8", "replace")[:MOST_BYTES]
    tree = tree_of(data, used)
    if tree is None:
        return None
    return read_nodes(tree.root_node, used, data, len(before))


def is_method(text: str, language: str) -> bool:
    """Return whether a text is a method, which is parsed with a class around it."""
    method = _METHOD.get(language)
    return method is not None and method.match(text[:2_000]) is not None


def read_nodes(root: Node, used: Grammar, data: bytes, shift: int = 0) -> Nodes:
    """Return a tree's nodes as a table.

    Args:
        root: what is read, with all below.
        used: the grammar it was parsed with.
        data: what was parsed.
        shift: bytes put before the text.
    """
    nodes = Nodes(used.language, data, shift, [], [], [], [], [], [], [])
    _walk(root.walk(), used, nodes)
    return nodes


def read_parts(parts: Sequence[Node], root: Node, used: Grammar, data: bytes) -> Nodes:
    """Return the nodes of a part of a file as if it had been parsed by itself.

    Args:
        parts: what is read, side by side in the file; nothing in it may be wrong.
        root: of the file's tree.
        used: the grammar it was parsed with.
        data: the file.
    """
    first, last = parts[0].start_byte, parts[-1].end_byte
    its = data[first:last]
    top = used.roles[root.kind_id]
    nodes = Nodes(used.language, its, 0, [top], [0], [len(its)], [-1], [1], [""], [b""], 1)
    for part in parts:
        _walk(part.walk(), used, nodes, first, (0, 1, ""))
    nodes.stop[0] = len(nodes.role)
    return nodes


def read_method(method: Node, used: Grammar, data: bytes, language: str) -> Nodes:
    """Return the nodes of a method of a file as if it had been parsed in a class of its own.

    Args:
        method: what is read; nothing in it may be wrong.
        used: the grammar the file was parsed with.
        data: the file.
        language: of a method by itself.
    """
    around = _empty_class(language)
    before, after = (text.encode() for text in _CLASS)
    its = b"".join((before, data[method.start_byte : method.end_byte], after))
    end = [len(its) if e == len(before + after) else e for e in around.end]
    columns = (around.role[:], around.start[:], end, around.parent[:], around.stop[:])
    shift = len(before)
    nodes = Nodes(language, its, shift, *columns, around.part[:], around.leaf[:], around.depth)
    n, inherited = len(around.role), _PART_IN_CLASS.get(language, "")
    place = (n - 1, around.depth, inherited)
    _walk(method.walk(), used, nodes, method.start_byte - shift, place)
    nodes.stop[:n] = [len(nodes.role) if stop == n else stop for stop in around.stop]
    return nodes


@cache
def _empty_class(language: str) -> Nodes:
    nodes = parse("".join(_CLASS), language)
    assert nodes is not None and nodes.stop[-1] == nodes.stop[0]  # noqa: S101 - its body is last
    return nodes


def _is_plain(literal: bytes) -> bool:
    """Return whether a literal text has no values inside, in any of the languages."""
    return b"{" not in literal and b"$" not in literal and literal[:2] != b"<<"


def _walk(  # noqa: C901, PLR0915 - one loop, for speed
    cursor: TreeCursor,
    used: Grammar,
    nodes: Nodes,
    base: int = 0,
    place: tuple[int, int, str] = (-1, 0, ""),
) -> None:
    roles, names, texts, data = used.roles, used.fields, used.texts, nodes.data
    role, start, end, stop = nodes.role, nodes.start, nodes.end, nodes.stop
    parent, part, leaf = nodes.parent, nodes.part, nodes.leaf
    down, on, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    above, depth, inherited = place
    at, deepest = len(role), nodes.depth
    stack: list[tuple[int, str]] = []
    while True:
        node = cursor.node
        code = roles[node.kind_id]  # type: ignore[union-attr]
        if code >= 0:
            first, last = node.start_byte - base, node.end_byte - base  # type: ignore[union-attr]
            role.append(code)
            start.append(first)
            end.append(last)
            parent.append(above)
            text = data[first:last] if code in texts else b""
            leaf.append(text)
            part.append(names[cursor.field_id or 0] or inherited)
            at += 1
            stop.append(at)
            if code == _STRING and _is_plain(text) and not node.has_error:  # type: ignore[union-attr]
                # nothing inside has a role, but it counts as deep
                if deepest <= depth < MOST_DEPTH and at <= MOST_NODES and node.child_count:  # type: ignore[union-attr]
                    deepest = depth + 1
            elif code not in CLOSED and down():
                if depth < MOST_DEPTH and at <= MOST_NODES:
                    above = at - 1
                    stack.append((above, inherited))
                    inherited = ""
                    depth += 1
                    if depth > deepest:
                        deepest = depth
                    continue
                up()
        elif code == THROUGH:
            its = names[cursor.field_id or 0] or inherited
            if down():
                if depth < MOST_DEPTH:
                    stack.append((SKIP, inherited))
                    inherited = its
                    depth += 1
                    continue
                up()
        while not on():
            if not stack:
                nodes.depth = deepest
                return
            up()
            left, inherited = stack.pop()
            depth -= 1
            if left >= 0:
                stop[left] = at
                above = parent[left]
                if at > left + 1 and role[left] == _STRING:
                    leaf[left] = b"\0" + leaf[left]
