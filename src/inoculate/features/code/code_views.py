"""Code as numbers: structure, and hashed counts of words, tree, calls and facts.

Reference:
    Alon et al., "code2vec: Learning Distributed Representations of Code", POPL 2019, section 3,
    for paths in syntax trees as features. Departures: only the steps from a node to the one
    above and the one above that, since few examples cannot tell longer paths apart; nothing is
    learned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from inoculate.features.code.code_facts import Facts, raw_facts
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_roles import OPERATORS, role, role_names
from inoculate.features.code.code_schema import (
    CALLS,
    FACTS,
    HASHED,
    KINDS,
    SHAPE,
    TOKENS,
    TREE,
    VIEWS,
)
from inoculate.features.code.code_structure import Counts, NodeTable
from inoculate.features.code.code_tree import Nodes, parse
from inoculate.features.code.code_words import number_shape, parts, string_shape, string_words
from inoculate.features.hashing import MOST_TOKENS, coded_grams
from inoculate.task import FloatArray

_PIECE_BYTES = 1 << 20
_SAID = """
if else loop switch case try catch finally with throw return break continue goto defer spawn assert
yield await delete assign augment index slice member pointer cast sizeof ternary lambda list map
array_type pointer_type setting item block annotation call new update instanceof keyword unread
"""
_NAMES = frozenset(map(role, ("name", "field", "type")))
_STRING, _NUMBER = map(role, ("string", "number"))
_LITERAL = frozenset(map(role, ("bool", "null", "char", "regex")))


class _Names(dict[str, int]):
    """Place of each token; a new one has a new place."""

    def __missing__(self, token: str) -> int:
        place = self[token] = len(self)
        return place


@dataclass(slots=True, eq=False)
class Counted:
    """Sequences of tokens, as places in a list of names.

    Attributes:
        names: the tokens that there are.
        codes: the tokens of all sequences one after another.
        lengths: tokens of each sequence.
    """

    names: _Names = field(default_factory=_Names)
    codes: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, codes: list[int]) -> None:
        """Add a sequence."""
        self.codes += codes[:MOST_TOKENS]
        self.lengths.append(min(len(codes), MOST_TOKENS))

    def counts(self, width: int, orders: Sequence[int]) -> FloatArray:
        """Return the hashed counts, (n, width)."""
        codes, lengths = np.array(self.codes, np.int64), np.array(self.lengths, np.int64)
        return coded_grams(codes, lengths, list(self.names), width, orders=orders)


class _FactPlaces(dict[tuple[str, str], int]):
    """Place of each fact by kind and value: the text of a fact is made once."""

    def __init__(self, counted: Counted) -> None:
        super().__init__()
        self.counted = counted

    def __missing__(self, fact: tuple[str, str]) -> int:
        place = self[fact] = self.counted.names[":".join(fact)]
        return place


def encode_code(
    texts: pl.Series, languages: pl.Series, callees: pl.Series | None = None
) -> dict[str, FloatArray]:
    """Return every view's columns; NaN for a text or a language that is unknown.

    Args:
        texts: (n,) String.
        languages: (n,) String.
        callees: (n,) List(String), what is done by the functions that a record calls, as
            ``code_calls`` tells it; None where nothing is known of them.
    """
    encoder = CodeEncoder(len(texts))
    others = callees if callees is not None else [None] * len(texts)
    for row, (text, language, more) in enumerate(zip(texts, languages, others, strict=True)):
        known = language_named(language)
        nodes = parse(text, known) if text is not None and known else None
        if nodes is not None:
            encoder.add(row, nodes, raw_facts(nodes), more if more is not None else ())
    return encoder.finish()


class CodeEncoder:
    """Turns parsed records into columns; a row that is never added is NaN.

    Args:
        n: rows.
    """

    def __init__(self, n: int) -> None:
        self._out = {
            view: np.full((n, width), np.nan, np.float32) for view, width in _WIDTHS.items()
        }
        self._piece = _Piece()

    def add(self, row: int, nodes: Nodes, facts: Facts, callees: Iterable[str] = ()) -> None:
        """Add a record: its nodes, its facts and those of what it calls."""
        if self._piece.size > _PIECE_BYTES:
            self._count()
        self._piece.rows.append(row)
        self._piece.read(nodes, facts, callees)

    def finish(self) -> dict[str, FloatArray]:
        """Return every view's columns, (n, width)."""
        if self._piece.rows:
            self._count()
        return self._out

    def _count(self) -> None:
        piece, self._piece = self._piece, _Piece()
        shape = piece.finish()
        for h in HASHED:
            name = h.view.name
            self._out[name][piece.rows] = piece.counted[name].counts(_WIDTHS[name], h.orders)
        self._out[SHAPE.name][piece.rows] = np.log2(1.0 + shape)


_WIDTHS = {v.name: len(v.columns) for v in VIEWS}


def tokens_of(nodes: Nodes, callees: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return what each hashed view counts, by its name."""
    piece = _Piece()
    piece.read(nodes, raw_facts(nodes), callees)
    piece.finish()
    return {
        view: [names[code] for code in some.codes]
        for view, some in piece.counted.items()
        for names in [list(some.names)]
    }


class _Piece:
    """Some records, counted at once."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.size = 0
        self.counted = {h.view.name: Counted() for h in HASHED}
        self._facts = _FactPlaces(self.counted[FACTS.view.name])
        self._leaves: dict[int, dict[bytes, list[int]]] = {}
        self._sizes: list[tuple[int, ...]] = []
        self._roles: list[int] = []
        self._parents: list[int] = []
        self._stops: list[int] = []

    def read(self, nodes: Nodes, facts: Facts, callees: Iterable[str]) -> None:
        """Add a record."""
        calls, tokens = self.counted[CALLS.view.name], self.counted[TOKENS.view.name]
        tokens.add(_words(nodes, tokens, self._leaves))
        names = calls.names
        calls.add([names[v] for kind, v, _ in facts if kind in ("call", "block")])
        told, known = self.counted[FACTS.view.name], self._facts
        places = [known[kind, value] for kind, value, _ in facts if kind != "call"]
        told.add(places + [told.names[fact] for fact in callees])
        kinds = [fact[0] for fact in facts]
        self.size += len(nodes.data)
        self._roles += nodes.role
        self._parents += nodes.parent
        self._stops += nodes.stop
        before = sum(start < nodes.shift for start in nodes.start[:8]) if nodes.shift else 0
        self._sizes.append(
            (
                len(nodes.role),
                before,
                nodes.data.count(b"\n") + 1,
                len(nodes.data) - nodes.shift,
                nodes.depth,
                *(sum([kinds.count(k) for k in some]) for _, some in KINDS.values()),
            )
        )

    def finish(self) -> Counts:
        """Count the structure of all records; return ``SHAPE`` before the logarithm, (n, ...)."""
        table = NodeTable.of(
            (self._roles, self._parents, self._stops), np.array(self._sizes, np.int64)
        )
        steps, lengths, steps_of = table.steps()
        tree = self.counted[TREE.view.name]
        tree.codes, tree.lengths = steps.tolist(), lengths.tolist()
        tree.names = _Names(zip(steps_of, range(len(steps_of)), strict=True))
        return table.shape()


def _words(nodes: Nodes, counted: Counted, leaves: dict[int, dict[bytes, list[int]]]) -> list[int]:
    """Return the code in words common to all languages, in the order of reading."""
    out: list[int] = []
    roles, names, first = nodes.role, role_names(), nodes.shift
    says = _says(len(names))
    start, end, data = nodes.start, nodes.end, nodes.data
    for i, how in [(i, how) for i, code in enumerate(roles) if (how := says[code])]:
        if start[i] < first:
            continue
        code = roles[i]
        text = data[start[i] : end[i]] if how == 2 else b""
        known = leaves.get(code)
        if known is None:
            known = leaves[code] = {}
        places = known.get(text)
        if places is None:
            told = _tokens(nodes, i, text) if how == 2 else (names[code],)
            places = known[text] = [counted.names[t] for t in told]
        out += places
    return out


def _tokens(nodes: Nodes, i: int, text: bytes) -> Sequence[str]:
    """Return the tokens that one node is told by."""
    code = nodes.role[i]
    if code == _NUMBER:
        return (number_shape(text),)
    if code == _STRING:
        its = "'template'" if nodes.stop[i] > i + 1 else f"'{string_shape(text)}'"
        return (its, *string_words(text))
    return parts(text)


_SPOKEN: list[int] = []


def _says(n: int) -> list[int]:
    """Return by role: 0 for nothing, 1 for its name, 2 for what stands in the code."""
    names = role_names()
    while len(_SPOKEN) < n:
        code = len(_SPOKEN)
        leaf = code in _NAMES or code in (_STRING, _NUMBER) or names[code].endswith(_DOCKER)
        _SPOKEN.append(2 if leaf else int(code in _TOLD or names[code].endswith("_instruction")))
    return _SPOKEN


_TOLD = frozenset(map(role, _SAID.split())) | OPERATORS | _LITERAL
_DOCKER = ("_fragment", "_string", "path", "_port", "image_name", "image_tag", "param")
