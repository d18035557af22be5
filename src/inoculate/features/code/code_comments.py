"""Comments that say that a finding is known and shall not be reported: ``inoculate: ignore``.

``# inoculate: ignore[rule] reason``, in whatever form the language has comments. Read from the
comments of the syntax tree, so that a text that merely looks like one says nothing.
"""

import re

from tree_sitter import Node, Tree

_WORD = b"inoculate:"
_MARK = re.compile(rb"inoculate:\s*ignore")
_FORM = re.compile(r"inoculate:\s*ignore(?:\[([^\[\]\n]{0,400})\])?[ \t:]*([^\n]{0,1000})")
_ENDS = ("*/", "-->")
_MOST = 1_000
_STEPS_UP = 3

Comment = tuple[int, bool, str, str]
"""Line from 1, whether nothing but the comment is on it, names of rules, reason."""


def comments_in(tree: Tree, data: bytes) -> list[Comment]:
    """Return the comments of a file that ask for findings to be ignored, at most 1,000.

    Args:
        tree: of the file.
        data: the file.
    """
    found: list[Comment] = []
    if _WORD not in data:
        return found
    for mark in _MARK.finditer(data):
        if len(found) == _MOST:
            break
        node = _comment(tree, mark.start())
        if node is None:
            continue
        told = _FORM.match(data[mark.start() : node.end_byte][:2_000].decode("utf-8", "replace"))
        if told is None:
            continue
        line = data.count(b"\n", 0, mark.start()) + 1
        before = data[data.rfind(b"\n", 0, node.start_byte) + 1 : node.start_byte]
        reason = told[2].strip()
        for end in _ENDS:
            reason = reason.removesuffix(end).strip()
        found.append((line, not before.strip(), (told[1] or "").strip(), reason))
    return found


def _comment(tree: Tree, at: int) -> Node | None:
    """Return the comment that holds a place, None where there is none."""
    node = tree.root_node.descendant_for_byte_range(at, at + 1)
    for _ in range(_STEPS_UP):
        if node is None:
            return None
        if "comment" in node.type:
            return node
        node = node.parent
    return None
