"""Groups log lines by template as they come: Drain, with a bounded number of templates.

A template is what lines of one event have in common, ``<*>`` where they differ. It is learned
in order of reading, so the same line may have another template in another file, or later in
this one: it is for showing and for grouping, never for encoding.

References:
    He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS
    2017, sections III-B to III-F (length, then first words, then similarity: equations 1 and
    2). Departures: the tree is kept as a table from a path to its groups, which is the same;
    lines come masked; lines of more than ``MOST_WORDS`` words are cut; at most
    ``most_templates`` are kept, and the one that was not met for longest is forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inoculate.errors import InputError

MOST_WORDS = 128
VARIES = "<*>"

_MOST_IN_LEAF = 50  # groups of a leaf that a line is held against, the latest

Path = tuple[str, ...]


@dataclass(slots=True)
class _Group:
    path: Path
    words: list[str]
    n_lines: int


class Drain:
    """Learns templates from lines, one after another.

    A line costs O(w g) for w words and the g groups under its length and first words.

    Args:
        depth: of the tree, at least 3: so many less 2 first words lead to a leaf.
        similarity: share of words that must agree with a group's, 0 to 1.
        most_children: words that one node tells apart; others share ``<*>``.
        most_templates: groups kept.

    Example:
        >>> drain = Drain()
        >>> drain.add("session opened for alice"), drain.add("session opened for bob")
        (0, 0)
        >>> drain.template(0)
        'session opened for <*>'
    """

    def __init__(
        self,
        *,
        depth: int = 4,
        similarity: float = 0.5,
        most_children: int = 100,
        most_templates: int = 2_000,
    ) -> None:
        self._depth = depth
        self._similarity = similarity
        self._most_children = most_children
        self._most_templates = most_templates
        self._next = 0
        self._groups: dict[int, _Group] = {}  # least recently met first
        self._leaves: dict[Path, list[int]] = {}
        self._children: dict[Path, dict[str, int]] = {}  # of each node: leaves below each word

    def __len__(self) -> int:
        """Return the number of templates kept."""
        return len(self._groups)

    def add(self, line: str) -> int:
        """Learn from a line and return the number of its group."""
        words = line.split()[:MOST_WORDS]
        path = self._path(words)
        number = self._most_similar(words, path)
        if number is None:
            return self._new(words, path)
        group = self._groups.pop(number)
        group.words = [a if a == b else VARIES for a, b in zip(group.words, words, strict=True)]
        group.n_lines += 1
        self._groups[number] = group
        return number

    def template(self, number: int) -> str | None:
        """Return the template of a group as it is now, None once it is forgotten."""
        group = self._groups.get(number)
        return None if group is None else " ".join(group.words)

    def state(self) -> dict[str, Any]:
        """Return all that was learned as plain values, for JSON."""
        return {
            "depth": self._depth,
            "similarity": self._similarity,
            "most_children": self._most_children,
            "most_templates": self._most_templates,
            "next": self._next,
            "groups": [
                {"number": n, "path": list(g.path), "words": g.words, "n_lines": g.n_lines}
                for n, g in self._groups.items()
            ],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Drain":
        """Return what ``state`` described.

        Raises:
            InputError: it is not such a state.
        """
        try:
            drain = cls(
                depth=_whole(state["depth"], 3),
                similarity=_share(state["similarity"]),
                most_children=_whole(state["most_children"], 1),
                most_templates=_whole(state["most_templates"], 1),
            )
            for kept in state["groups"]:
                group = _Group(
                    tuple(_texts(kept["path"])), _texts(kept["words"]), _whole(kept["n_lines"], 1)
                )
                if group.path[:1] != (str(len(group.words)),):
                    raise ValueError("a path does not fit its words")
                number = _whole(kept["number"], 0)
                if number in drain._groups:
                    raise ValueError(f"group {number} is there twice")
                drain._hang(number, group)
            drain._next = _whole(state["next"], max(drain._groups, default=-1) + 1)
        except (KeyError, TypeError, ValueError) as err:
            raise InputError(f"no state of Drain: {str(err)[:80]}") from err
        return drain

    def _path(self, words: Sequence[str]) -> Path:
        """Return the way to the leaf of a line: its length, then its first words."""
        path: Path = (str(len(words)),)
        for word in words[: self._depth - 2]:
            below = self._children.get(path, {})
            varies = any(c.isdigit() for c in word)
            if varies or (word not in below and len(below) >= self._most_children):
                word = VARIES
            path = (*path, word)
        return path

    def _most_similar(self, words: Sequence[str], path: Path) -> int | None:
        """Return the group that most words agree with, of several the most specific one."""
        best, best_key = None, (self._similarity, -1)
        for number in self._leaves.get(path, [])[-_MOST_IN_LEAF:]:
            theirs = self._groups[number].words
            same = sum(a == b for a, b in zip(words, theirs, strict=True))
            key = (same / max(len(words), 1), -theirs.count(VARIES))
            if key[0] >= self._similarity and (best is None or key > best_key):
                best, best_key = number, key
        if best is None and not words:
            return next(iter(self._leaves.get(path, ())), None)
        return best

    def _new(self, words: list[str], path: Path) -> int:
        number, self._next = self._next, self._next + 1
        self._hang(number, _Group(path, words, 1))
        return number

    def _hang(self, number: int, group: _Group) -> None:
        while len(self._groups) >= self._most_templates:
            self._forget(next(iter(self._groups)))
        self._groups[number] = group
        self._leaves.setdefault(group.path, []).append(number)
        for i in range(1, len(group.path)):
            below = self._children.setdefault(group.path[:i], {})
            below[group.path[i]] = below.get(group.path[i], 0) + 1

    def _forget(self, number: int) -> None:
        path = self._groups.pop(number).path
        self._leaves[path].remove(number)
        if not self._leaves[path]:
            del self._leaves[path]
        for i in range(1, len(path)):
            below = self._children[path[:i]]
            below[path[i]] -= 1
            if not below[path[i]]:
                del below[path[i]]
            if not below:
                del self._children[path[:i]]


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r:.40} is no whole number from {least}")
    return value


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{value!r:.40} is no share")
    return float(value)


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError("words are no list of texts")
    return values[: MOST_WORDS + 1]
