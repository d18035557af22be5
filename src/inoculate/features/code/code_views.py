"""Code as numbers: structure, and hashed counts of words, tree, calls and facts.

Reference:
    Alon et al., "code2vec: Learning Distributed Representations of Code", POPL 2019, section 3,
    for paths in syntax trees as features. Departures: only the steps from a node to the one
    above and the one above that, since few examples cannot tell longer paths apart; nothing is
    learned.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from inoculate.features.code.code_facts import raw_facts
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_roles import OPERATORS, role, role_names
from inoculate.features.code.code_schema import HASHED, KINDS, ROLES, SHAPE, SIZES
from inoculate.features.code.code_tree import Nodes, parse
from inoculate.features.code.code_words import number_shape, parts, string_shape, string_words
from inoculate.features.hashing import MOST_TOKENS, Rows, coded_grams
from inoculate.task import FloatArray

_PIECE_BYTES = 1 << 20
_SAID = """
if else loop switch case try catch finally with throw return break continue goto defer spawn assert
yield await delete assign augment index slice member pointer cast sizeof ternary lambda list map
array_type pointer_type setting item block annotation call new update instanceof keyword unread
"""
_NAMES = frozenset(map(role, ("name", "field", "type")))
_STRING, _NUMBER, _BODY, _PARAMS, _NAME = map(role, ("string", "number", "body", "params", "name"))
_LITERAL = frozenset(map(role, ("bool", "null", "char", "regex")))


@dataclass(slots=True, eq=False)
class Counted:
    """Sequences of tokens, as places in a list of names.

    Attributes:
        names: the tokens that there are.
        codes: the tokens of all sequences one after another.
        lengths: tokens of each sequence.
        known: for a text that stands in the code, the places of its tokens.
    """

    names: dict[str, int] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    known: dict[bytes, list[int]] = field(default_factory=dict)

    def places(self, tokens: Iterable[str]) -> list[int]:
        """Return the places of tokens; a new one has a new place."""
        names = self.names
        return [names[t] if t in names else names.setdefault(t, len(names)) for t in tokens]

    def add(self, codes: list[int]) -> None:
        """Add a sequence."""
        self.codes += codes[:MOST_TOKENS]
        self.lengths.append(min(len(codes), MOST_TOKENS))

    def counts(self, width: int, orders: Sequence[int]) -> FloatArray:
        """Return the hashed counts, (n, width)."""
        codes, lengths = np.array(self.codes, np.int64), np.array(self.lengths, np.int64)
        return coded_grams(codes, lengths, list(self.names), width, orders=orders)


def encode_code(texts: pl.Series, languages: pl.Series) -> dict[str, FloatArray]:
    """Return every view's columns; NaN for a text or a language that is unknown.

    Args:
        texts: (n,) String.
        languages: (n,) String.
    """
    views = {v.view.name: v for v in HASHED}
    widths = {n: len(v.view.columns) for n, v in views.items()} | {"shape": len(SHAPE.columns)}
    out = {n: np.full((len(texts), w), np.nan, np.float32) for n, w in widths.items()}
    piece = _Piece()
    for row, (text, language) in enumerate(zip(texts, languages, strict=True)):
        known = language_named(language)
        nodes = parse(text, known) if text is not None and known else None
        if nodes is not None:
            piece.rows.append(row)
            piece.shape.append(_read(nodes, piece.counted))
            piece.size += len(nodes.data)
        if piece.rows and (piece.size > _PIECE_BYTES or row + 1 == len(texts)):
            for name, view in views.items():
                out[name][piece.rows] = piece.counted[name].counts(widths[name], view.orders)
            out["shape"][piece.rows] = np.log2(1.0 + np.array(piece.shape, np.float64))
            piece = _Piece()
    return out


@dataclass(slots=True, eq=False)
class _Piece:
    """Some records, counted at once."""

    rows: list[int] = field(default_factory=list)
    shape: list[list[float]] = field(default_factory=list)
    size: int = 0
    counted: dict[str, Counted] = field(
        default_factory=lambda: {h.view.name: Counted() for h in HASHED}
    )


def tokens_of(nodes: Nodes) -> dict[str, list[str]]:
    """Return what each hashed view counts, by its name."""
    counted = _Piece().counted
    _read(nodes, counted)
    return {
        view: [names[code] for code in some.codes]
        for view, some in counted.items()
        for names in [list(some.names)]
    }


def _read(nodes: Nodes, counted: Mapping[str, Counted]) -> list[float]:
    """Add a record's tokens to what is counted; return its columns of ``SHAPE``."""
    facts = raw_facts(nodes)
    roles = np.array(nodes.role, np.int64)
    counted["token"].add(_words(nodes, counted["token"]))
    counted["tree"].add(_steps(nodes, roles, counted["tree"]))
    calls = counted["call"].places([v for kind, v, _ in facts if kind in ("call", "block")])
    counted["call"].add(calls)
    some = counted["fact"].places([f"{k}:{v}" for k, v, _ in facts if k != "call"])
    counted["fact"].add(some)
    return _shape(nodes, roles, facts)


def _words(nodes: Nodes, counted: Counted) -> list[int]:
    """Return the code in words common to all languages, in the order of reading."""
    out: list[int] = []
    says, names, known = _says(len(role_names())), role_names(), counted.known
    start, end, data = nodes.start, nodes.end, nodes.data
    for i, code in enumerate(nodes.role):
        how = says[code]
        if how == 0 or start[i] < nodes.shift:
            continue
        text = data[start[i] : end[i]] if how == 2 else b"\0" + names[code].encode()
        places = known.get(text)
        if places is None:
            places = known[text] = counted.places(_tokens(nodes, i, text))
        out += places
    return out


def _tokens(nodes: Nodes, i: int, text: bytes) -> Sequence[str]:
    """Return the tokens that one node is told by."""
    code = nodes.role[i]
    if text[:1] == b"\0":
        return (role_names()[code],)
    if code == _NUMBER:
        return (number_shape(text),)
    if code == _STRING:
        its = "'template'" if nodes.stop[i] > i + 1 else f"'{string_shape(text)}'"
        return (its, *string_words(text))
    return parts(text)


_SPOKEN: list[int] = []


def _says(n: int) -> list[int]:
    """Return by role: 0 for nothing, 1 for its name, 2 for what stands in the code."""
    said, names = frozenset(map(role, _SAID.split())) | OPERATORS | _LITERAL, role_names()
    while len(_SPOKEN) < n:
        code = len(_SPOKEN)
        leaf = code in _NAMES or code in (_STRING, _NUMBER) or names[code].endswith(_DOCKER)
        _SPOKEN.append(2 if leaf else int(code in said or names[code].endswith("_instruction")))
    return _SPOKEN


_DOCKER = ("_fragment", "_string", "path", "_port", "image_name", "image_tag", "param")


def _steps(nodes: Nodes, roles: Rows, counted: Counted) -> list[int]:
    """Return each node with the one above it, and with the one above that."""
    names = role_names()
    above = np.array(nodes.parent, np.int64)
    first = max(0, _put_before(nodes) - 1)
    inside = np.flatnonzero(above > first)
    further = above[above[inside]]
    pairs = roles[above[inside]] * _MANY + roles[inside]
    steps = np.concatenate(
        [pairs, _FAR + (roles[further] * _MANY + roles[inside])[further > first]]
    )
    unique, place = np.unique(steps, return_inverse=True)
    told = []
    for step in unique.tolist():
        sign = ">>" if step >= _FAR else ">"
        one, other = divmod(step % _FAR, _MANY)
        told.append(f"{names[one]}{sign}{names[other]}")
    found: list[int] = np.array(counted.places(told), np.int64)[place].tolist()
    return found


def _put_before(nodes: Nodes) -> int:
    """Return how many nodes belong to what was put before the text."""
    return sum(start < nodes.shift for start in nodes.start[:8])


_GROUPS = tuple(tuple(map(role, some)) for _, some in ROLES.values())
_MANY, _FAR = 1 << 16, 1 << 40


def _shape(nodes: Nodes, roles: Rows, facts: list[tuple[str, str, int]]) -> list[float]:
    """Return the columns of ``SHAPE`` before the logarithm."""
    n_roles = np.bincount(roles[_put_before(nodes) :], minlength=len(role_names())).tolist()
    n_kinds = Counter([kind for kind, _, _ in facts])
    sizes = {
        "lines": nodes.data.count(b"\n") + 1,
        "bytes": len(nodes.data) - nodes.shift,
        "nodes": len(nodes.role) - _put_before(nodes),
        "depth": nodes.depth,
        "parameters": _parameters(nodes, roles),
        "deepest_block": _deepest(nodes, roles),
    }
    return [
        *(float(sizes[name]) for name in SIZES),
        *(float(sum([n_roles[r] for r in some])) for some in _GROUPS),
        *(float(sum([n_kinds[k] for k in some])) for _, some in KINDS.values()),
    ]


def _parameters(nodes: Nodes, roles: Rows) -> int:
    first = np.flatnonzero(roles == _PARAMS)[:1].tolist()
    return int((roles[first[0] : nodes.stop[first[0]]] == _NAME).sum()) if first else 0


def _deepest(nodes: Nodes, roles: Rows) -> int:
    """Return how deep blocks are inside each other."""
    deepest = 0
    open_until: list[int] = []
    for i in np.flatnonzero(roles == _BODY).tolist():
        while open_until and open_until[-1] <= i:
            open_until.pop()
        open_until.append(nodes.stop[i])
        deepest = max(deepest, len(open_until))
    return deepest
