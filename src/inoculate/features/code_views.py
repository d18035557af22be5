"""Code as numbers: structure, and hashed counts of words, tree, calls and facts.

Reference:
    Alon et al., "code2vec: Learning Distributed Representations of Code", POPL 2019, section 3,
    for paths in syntax trees as features. Departures: only the steps from a node to the one
    above and the one above that, since few examples cannot tell longer paths apart; nothing is
    learned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from inoculate.features.code_facts import raw_facts
from inoculate.features.code_languages import language_named
from inoculate.features.code_roles import OPERATORS, role, role_names
from inoculate.features.code_schema import CALLS, FACTS, KINDS, ROLES, SHAPE, SIZES, TOKENS, TREE
from inoculate.features.code_tree import Nodes, parse
from inoculate.features.code_words import number_shape, parts, string_shape, string_words
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
    """

    names: dict[str, int] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, tokens: Sequence[str]) -> None:
        """Add a sequence."""
        names = self.names
        some = tokens[:MOST_TOKENS]
        self.codes += [names.setdefault(t, len(names)) for t in some]
        self.lengths.append(len(some))

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
    views = {v.view.name: v for v in (TOKENS, TREE, CALLS, FACTS)}
    widths = {n: len(v.view.columns) for n, v in views.items()} | {"shape": len(SHAPE.columns)}
    out = {n: np.full((len(texts), w), np.nan, np.float32) for n, w in widths.items()}
    for rows, piece in _pieces(texts, languages):
        counted = {name: Counted() for name in views}
        shape = []
        for nodes in piece:
            tokens = tokens_of(nodes)
            for name, some in tokens.items():
                counted[name].add(some)
            shape.append(_shape(nodes, tokens["fact"]))
        for name, view in views.items():
            out[name][rows] = counted[name].counts(widths[name], view.orders)
        out["shape"][rows] = np.log2(1.0 + np.array(shape, np.float64))
    return out


def _pieces(texts: pl.Series, languages: pl.Series) -> Iterator[tuple[Rows, list[Nodes]]]:
    """Yield parsed records, some at a time, with their rows."""
    rows: list[int] = []
    piece: list[Nodes] = []
    size = 0
    for row, (text, language) in enumerate(zip(texts, languages, strict=True)):
        known = language_named(language)
        nodes = parse(text, known) if text is not None and known else None
        if nodes is None:
            continue
        rows.append(row)
        piece.append(nodes)
        size += len(nodes.data)
        if size > _PIECE_BYTES:
            yield np.array(rows), piece
            rows, piece, size = [], [], 0
    if rows:
        yield np.array(rows), piece


def tokens_of(nodes: Nodes) -> dict[str, list[str]]:
    """Return what each hashed view counts, by its name."""
    facts = raw_facts(nodes)
    return {
        "token": _words(nodes),
        "tree": _steps(nodes),
        "call": [value for kind, value, _ in facts if kind in ("call", "block")],
        "fact": [f"{kind}:{value}" for kind, value, _ in facts if kind != "call"],
    }


def _words(nodes: Nodes) -> list[str]:
    """Return the code in words common to all languages, in the order of reading."""
    out: list[str] = []
    says, names = _says(len(role_names())), role_names()
    start, end, data, stop = nodes.start, nodes.end, nodes.data, nodes.stop
    for i, code in enumerate(nodes.role):
        if says[code] == 0 or start[i] < nodes.shift:
            continue
        if says[code] == 1:
            out.append(names[code])
        elif code == _NUMBER:
            out.append(number_shape(data[start[i] : end[i]]))
        elif code == _STRING:
            text = data[start[i] : end[i]]
            out.append("'template'" if stop[i] > i + 1 else f"'{string_shape(text)}'")
            out.extend(string_words(text))
        else:
            out.extend(parts(data[start[i] : end[i]]))
    return out


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


def _steps(nodes: Nodes) -> list[str]:
    """Return each node with the one above it, and with the one above that."""
    names, roles, parents = role_names(), nodes.role, nodes.parent
    out: list[str] = []
    for i in range(1, len(roles)):
        above = parents[i]
        if above > 0:
            own = names[roles[i]]
            out.append(f"{names[roles[above]]}>{own}")
            further = parents[above]
            if further > 0:
                out.append(f"{names[roles[further]]}>>{own}")
    return out


def _shape(nodes: Nodes, facts: list[str]) -> list[float]:
    """Return the columns of ``SHAPE`` before the logarithm."""
    n_roles: dict[int, int] = {}
    for code in nodes.role:
        n_roles[code] = n_roles.get(code, 0) + 1
    n_kinds: dict[str, int] = {}
    for fact in facts:
        kind = fact.partition(":")[0]
        n_kinds[kind] = n_kinds.get(kind, 0) + 1
    sizes = [
        nodes.data.count(b"\n") + 1.0,
        float(len(nodes.data)),
        float(len(nodes.role)),
        float(nodes.depth),
        float(_parameters(nodes)),
        float(_deepest(nodes)),
    ]
    roles = [float(sum(n_roles.get(role(r), 0) for r in some)) for _, some in ROLES.values()]
    kinds = [float(sum(n_kinds.get(k, 0) for k in some)) for _, some in KINDS.values()]
    assert len(sizes) == len(SIZES)  # noqa: S101 - the two are written apart
    return sizes + roles + kinds


def _parameters(nodes: Nodes) -> int:
    first = next((i for i, code in enumerate(nodes.role) if code == _PARAMS), -1)
    if first < 0:
        return 0
    return sum(nodes.role[j] == _NAME for j in range(first, nodes.stop[first]))


def _deepest(nodes: Nodes) -> int:
    """Return how deep blocks are inside each other."""
    depth: dict[int, int] = {}
    for i, code in enumerate(nodes.role):
        above = depth.get(nodes.parent[i], 0)
        depth[i] = above + (code == _BODY)
    return max(depth.values(), default=0)
