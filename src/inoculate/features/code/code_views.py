"""Code as numbers: structure, and hashed counts of words, tree, calls and facts.

Reference:
    Alon et al., "code2vec: Learning Distributed Representations of Code", POPL 2019, section 3,
    for paths in syntax trees as features. Departures: only the steps from a node to the one
    above and the one above that, since few examples cannot tell longer paths apart; nothing is
    learned.
"""

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
import polars as pl

from inoculate.features.code.code_facts import Facts, raw_facts
from inoculate.features.code.code_known import Known
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_schema import CALLS, FACTS, SHAPE, TOKENS, TREE, VIEWS
from inoculate.features.code.code_structure import NodeTable, cut
from inoculate.features.code.code_tree import Nodes, parse
from inoculate.features.hashing import Rows, coded_grams
from inoculate.features.text.text_domain import HashedView
from inoculate.task import FloatArray

_PIECE_BYTES = 1 << 20


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
    encoder = CodeEncoder()
    others = callees if callees is not None else [None] * len(texts)
    for row, (text, language, more) in enumerate(zip(texts, languages, others, strict=True)):
        known = language_named(language)
        nodes = parse(text, known) if text is not None and known else None
        if nodes is not None:
            encoder.add(row, nodes, raw_facts(nodes), more if more is not None else ())
    return encoder.finish(len(texts))


class CodeEncoder:
    """Turns parsed records into columns.

    Args:
        known: what was looked up for other code.

    Attributes:
        known: what was looked up for that code and this.
    """

    def __init__(self, known: Known | None = None) -> None:
        self.known = (known or Known()).trimmed()
        self._piece = _Piece(self.known)
        self._done: list[tuple[list[int], dict[str, FloatArray]]] = []

    def add(self, row: int, nodes: Nodes, facts: Facts, callees: Iterable[str] = ()) -> None:
        """Add a record: its nodes, its facts and those of what it calls."""
        if self._piece.size > _PIECE_BYTES:
            self._count()
        self._piece.rows.append(row)
        self._piece.read(nodes, facts, callees)

    def finish(self, n: int) -> dict[str, FloatArray]:
        """Return every view's columns, (n, width); a row that was never added is NaN."""
        if self._piece.rows:
            self._count()
        out = {v.name: np.full((n, len(v.columns)), np.nan, np.float32) for v in VIEWS}
        for rows, views in self._done:
            for name, x in views.items():
                out[name][rows] = x
        return out

    def _count(self) -> None:
        self._done.append((self._piece.rows, self._piece.counts()))
        self.known = self.known.trimmed()
        self._piece = _Piece(self.known)


def tokens_of(nodes: Nodes, callees: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return what each hashed view counts, by its name."""
    piece = _Piece(Known())
    piece.read(nodes, raw_facts(nodes), callees)
    return piece.tokens()


class _Piece:
    """Some records, counted at once.

    Args:
        known: what was looked up so far.
    """

    def __init__(self, known: Known) -> None:
        self.rows: list[int] = []
        self.size = 0
        self._known = known
        self._said: list[int] = []
        self._told: list[int] = []
        self._lengths: list[tuple[int, int]] = []
        self._sizes: list[tuple[int, ...]] = []
        self._roles: list[int] = []
        self._parents: list[int] = []
        self._stops: list[int] = []

    def read(self, nodes: Nodes, facts: Facts, callees: Iterable[str]) -> None:
        """Add a record."""
        leaves, numbers = self._known.leaves(), self._known.facts
        roles, leaf, shift = nodes.role, nodes.leaf, nodes.shift
        before = bisect_left(nodes.start, shift) if shift else 0
        if before:
            roles, leaf = roles[before:], leaf[before:]
        said = [leaves[code][text] for code, text in zip(roles, leaf, strict=True)]
        told = [numbers[kind][value] for kind, value, _ in facts]
        told += [numbers[""][fact] for fact in callees]
        self._said += said
        self._told += told
        self._lengths.append((len(said), len(told)))
        self.size += len(nodes.data)
        self._roles += nodes.role
        self._parents += nodes.parent
        self._stops += nodes.stop
        n_bytes, lines = len(nodes.data) - shift, nodes.data.count(b"\n") + 1
        self._sizes.append((len(nodes.role), min(before, 8), lines, n_bytes, nodes.depth))

    def counts(self) -> dict[str, FloatArray]:
        """Return every view's columns of these records."""
        known, n = self._known, len(self._sizes)
        told, owner = self._facts()
        table = self._table(known.kinds(told, owner, n))
        columns, keys = known.columns(told), table.keys()
        facts = cut(columns[columns >= 0], owner[columns >= 0])
        return {
            SHAPE.name: np.log2(1.0 + table.shape()).astype(np.float32),
            TOKENS.view.name: self._grams(*self._words(), TOKENS),
            TREE.view.name: _counted(known.steps(keys[0]), keys[1], TREE, n),
            CALLS.view.name: self._grams(*self._calls(told, owner), CALLS),
            FACTS.view.name: _counted(*facts, FACTS, n),
        }

    def tokens(self) -> dict[str, list[str]]:
        """Return what each hashed view counts, by its name, in order."""
        known = self._known
        told, owner = self._facts()
        table = self._table(known.kinds(told, owner, len(self._sizes)))
        names, facts = list(known.words), known.texts()
        steps, _, step_names = table.steps()
        counted, _ = cut(told[known.columns(told) >= 0], owner[known.columns(told) >= 0])
        return {
            TOKENS.view.name: [names[i] for i in self._words()[0].tolist()],
            TREE.view.name: [step_names[i] for i in steps.tolist()],
            CALLS.view.name: [names[i] for i in self._calls(told, owner)[0].tolist()],
            FACTS.view.name: [facts[i] for i in counted.tolist()],
        }

    def _facts(self) -> tuple[Rows, Rows]:
        """Return the numbers of all facts, and the record of each."""
        lengths = [n for _, n in self._lengths]
        return np.array(self._told, np.int64), np.repeat(np.arange(len(lengths)), lengths)

    def _words(self) -> tuple[Rows, Rows]:
        """Return the places of all tokens, and the record of each."""
        lengths = [n for n, _ in self._lengths]
        places, many = self._known.tokens(np.array(self._said, np.int64))
        return cut(places, np.repeat(np.repeat(np.arange(len(lengths)), lengths), many))

    def _calls(self, told: Rows, owner: Rows) -> tuple[Rows, Rows]:
        """Return the places of all that is called, and the record of each."""
        places = self._known.calls(told)
        return cut(places[places >= 0], owner[places >= 0])

    def _table(self, kinds: Rows) -> NodeTable:
        sizes = np.column_stack([np.array(self._sizes, np.int64), kinds])
        return NodeTable.of((self._roles, self._parents, self._stops), sizes)

    def _grams(self, places: Rows, owner: Rows, view: HashedView) -> FloatArray:
        """Return the hashed counts of sequences of tokens."""
        names, lengths = list(self._known.words), np.bincount(owner, minlength=len(self._sizes))
        is_used = np.zeros(len(names), bool)
        is_used[places] = True
        some, width = [names[i] for i in np.flatnonzero(is_used).tolist()], len(view.view.columns)
        codes = (np.cumsum(is_used) - 1)[places]
        return coded_grams(codes, lengths, some, width, orders=view.orders)


def _counted(columns: Rows, owner: Rows, view: HashedView, n: int) -> FloatArray:
    """Return the counts of what counts in one column each, (n, width)."""
    width = len(view.view.columns)
    total = np.bincount(owner * width + columns, minlength=n * width)
    return np.log2(1 + total).astype(np.float32).reshape(n, width)
