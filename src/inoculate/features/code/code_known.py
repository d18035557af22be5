"""What nodes and facts of code count as: found out once, and kept for the code that comes next."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count, takewhile

import numpy as np

from inoculate.features.code.code_roles import OPERATORS, is_text, role, role_names
from inoculate.features.code.code_schema import FACTS, KINDS, TREE
from inoculate.features.code.code_words import number_shape, parts, string_shape, string_words
from inoculate.features.hashing import Rows, token_columns

_MOST = 1 << 16
_SAID = """
if else loop switch case try catch finally with throw return break continue goto defer spawn assert
yield await delete assign augment index slice member pointer cast sizeof ternary lambda list map
array_type pointer_type setting item block annotation call new update instanceof keyword unread
"""
_STRING, _NUMBER = map(role, ("string", "number"))
_LITERAL = frozenset(map(role, ("bool", "null", "char", "regex")))
_TOLD = frozenset(map(role, _SAID.split())) | OPERATORS | _LITERAL
_CALLED = ("call", "block")
_KINDS = {kind: i for i, kind in enumerate(sorted({k for _, ks in KINDS.values() for k in ks}), 1)}
_N_KINDS = 1 + len(_KINDS)
_OF_COLUMN = [[_KINDS[k] for k in some] for _, some in KINDS.values()]
_WIDTH = len(FACTS.view.columns)


class _Said(dict[bytes, int]):
    """Number of what the nodes of a role say, by their text."""

    def __init__(self, known: "Known", code: int) -> None:
        super().__init__()
        self._known, self._code = known, code

    def __missing__(self, text: bytes) -> int:
        number = self[text] = self._known.said(_tokens(self._code, text))
        return number


class Known:
    """What was looked up, some 100,000 texts and facts at most; of one thread.

    Attributes:
        words: place of each token.
        facts: number of each fact, by kind and value; one that is asked for is there from then
            on. A fact of a callee has no kind, and ``kind:value`` as its value.
    """

    def __init__(self) -> None:
        self.words: dict[str, int] = defaultdict(count().__next__)
        number = count().__next__
        self.facts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(number))
        self._leaves: list[_Said] = []
        self._tokens, self._first, self._many = array("q"), array("q"), array("q")
        self._kind = self._call = self._column = self._step = np.empty(0, np.int64)
        self.said(())

    def trimmed(self) -> "Known":
        """Return this, or a new one where this has grown too large; not between two records."""
        return self if max(len(self._first), len(self._kind)) <= _MOST else Known()

    def leaves(self) -> Sequence[dict[bytes, int]]:
        """Return for each role the numbers of what its nodes say, by their texts."""
        for code in range(len(self._leaves), len(role_names())):
            self._leaves.append(_Said(self, code))
        return self._leaves

    def said(self, tokens: Sequence[str]) -> int:
        """Return the number of what a node says; 0 for nothing."""
        if not tokens and self._first:
            return 0
        self._first.append(len(self._tokens))
        self._many.append(len(tokens))
        self._tokens.extend([self.words[t] for t in tokens])
        return len(self._first) - 1

    def tokens(self, said: Rows) -> tuple[Rows, Rows]:
        """Return the places of the tokens of what nodes say, and how many each has."""
        many = np.frombuffer(self._many, np.int64)[said]
        before = np.cumsum(many) - many
        at = np.repeat(np.frombuffer(self._first, np.int64)[said] - before, many)
        return np.frombuffer(self._tokens, np.int64)[at + np.arange(len(at))], many

    def calls(self, facts: Rows) -> Rows:
        """Return for each fact the place of what is called, -1 for a fact of another kind."""
        self._look_up()
        return self._call[facts]

    def columns(self, facts: Rows) -> Rows:
        """Return the column of ``FACTS`` that each fact counts in, -1 for none."""
        self._look_up()
        return self._column[facts]

    def kinds(self, facts: Rows, owner: Rows, n: int) -> Rows:
        """Return how many facts each of n records has for the columns ``KINDS``."""
        self._look_up()
        counted = np.bincount(owner * _N_KINDS + self._kind[facts], minlength=n * _N_KINDS)
        of_kind = counted.reshape(n, _N_KINDS)
        return np.column_stack([of_kind[:, some].sum(axis=1) for some in _OF_COLUMN])

    def _look_up(self) -> None:
        """Find out what the facts count as that came since this was asked last."""
        known = len(self._kind)
        new = [
            (number, kind, value)
            for kind, its in self.facts.items()
            for value, number in takewhile(lambda i: i[1] >= known, reversed(its.items()))
        ]
        if not new:
            return
        new.sort()
        words = self.words
        kinds = [_KINDS.get(kind, 0) for _, kind, _ in new]
        calls = [words[value] if kind in _CALLED else -1 for _, kind, value in new]
        columns = token_columns([_fact_text(kind, value) for _, kind, value in new], _WIDTH)
        columns[[kind == "call" for _, kind, _ in new]] = -1
        self._kind = np.concatenate([self._kind, kinds])
        self._call = np.concatenate([self._call, calls])
        self._column = np.concatenate([self._column, columns])

    def texts(self) -> list[str]:
        """Return the facts as tokens, by their numbers."""
        its = [(n, _fact_text(k, v)) for k, some in self.facts.items() for v, n in some.items()]
        return [text for _, text in sorted(its)]

    def steps(self, keys: Rows) -> Rows:
        """Return the column of ``TREE`` that each step in a tree counts in.

        Args:
            keys: as ``code_structure.NodeTable.keys`` returns them.
        """
        size = 2 * len(role_names()) ** 2
        if len(self._step) != size:
            self._step = np.full(size, -1, np.int64)
        columns = self._step[keys]
        new = sorted(set(keys[columns < 0].tolist()))
        if new:
            self._step[new] = token_columns(step_texts(new), len(TREE.view.columns))
            columns = self._step[keys]
        return columns


def _fact_text(kind: str, value: str) -> str:
    return f"{kind}:{value}" if kind else value


def step_texts(keys: Iterable[int]) -> list[str]:
    """Return steps in a tree as tokens."""
    names, found = role_names(), []
    for key in keys:
        one, other = divmod(key, len(names))
        far, one = divmod(one, len(names))
        found.append(f"{names[one]}{'>>' if far else '>'}{names[other]}")
    return found


def _tokens(code: int, text: bytes) -> Sequence[str]:
    """Return the tokens that a node of a role is told by; ``text`` as in ``Nodes.leaf``."""
    name = role_names()[code]
    if code == _NUMBER:
        return (number_shape(text),)
    if code == _STRING:
        its = "template" if text.startswith(b"\0") else string_shape(text)
        return (f"'{its}'", *string_words(text.removeprefix(b"\0")))
    if is_text(name):
        return parts(text)
    return (name,) if code in _TOLD or name.endswith("_instruction") else ()
