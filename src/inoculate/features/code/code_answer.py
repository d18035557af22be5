"""What a worker answers about source code: records of files, and their columns.

Runs inside ``inoculate.reading.workers``: a grammar that crashes or does not end takes the
worker with it and nobody else.
Requests and answers have the form of ``code_form``.
"""

import gc
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tree_sitter import Tree

from inoculate.features.code.code_calls import callees
from inoculate.features.code.code_comments import comments_in
from inoculate.features.code.code_facts import Facts, raw_facts
from inoculate.features.code.code_form import FILES, SNIFF, TEXTS, packed, requested
from inoculate.features.code.code_known import Known
from inoculate.features.code.code_languages import LANGUAGES, grammar, tree_of
from inoculate.features.code.code_schema import VIEWS
from inoculate.features.code.code_split import Piece, pieces_in
from inoculate.features.code.code_tree import Nodes, parse, read_method, read_parts
from inoculate.features.code.code_views import CodeEncoder
from inoculate.task import FloatArray

MOST_PIECES = 20_000
"""Records of one file."""

_COLLECTED = 64
_Texts = Sequence[tuple[bytes, list[Any]]]
_Record = tuple[Nodes, Facts, list[str]]

for _name in (*LANGUAGES, "php_tagged"):
    grammar(_name)  # a worker that has begun can open no file
gc.disable()  # what is read holds no cycles, and looking for some takes a quarter of the time
_served = 0
_known = Known()


def answer(mode: int, data: bytes | bytearray) -> Iterator[bytes]:
    """Yield the parts of one answer; see the module."""
    global _served
    _served += 1
    if _served % _COLLECTED == 0:
        gc.collect()
    texts = list(requested(data))
    if mode == SNIFF:
        yield json.dumps([parses(text, *its) for text, its in texts]).encode()
    elif mode == FILES:
        yield from _files(texts)
    elif mode == TEXTS:
        yield from _texts(texts)


def parses(start: bytes, language: str, is_cut: bool) -> bool:
    """Return whether less than half of a file's start is in places that cannot be parsed."""
    used = grammar("php_tagged" if language == "php" else language)
    tree = tree_of(start, used) if used is not None else None
    if tree is None:
        return False
    root = tree.root_node
    if not root.has_error:
        return True
    # what cannot be finished because it is cut off here begins close to the top
    wrong = sum(c.end_byte - c.start_byte for c in root.children if c.is_error)
    few = sum(c.is_error for n in (root, *root.children) for c in n.children) <= 3
    return 2 * wrong < len(start) or (few and is_cut)


def _texts(texts: _Texts) -> Iterator[bytes]:
    encoder = CodeEncoder(_known)
    for row, (text, (language, others)) in enumerate(texts):
        nodes = parse(text.decode("utf-8", "replace"), language)
        if nodes is not None:
            encoder.add(row, nodes, raw_facts(nodes), others)
    yield b"[]"
    yield from packed(_stacked(encoder, len(texts)))


def _files(texts: _Texts) -> Iterator[bytes]:
    """Yield what is told of each file: its records and comments, or why there are none."""
    told: list[Any] = []
    encoder, n = CodeEncoder(_known), 0
    for data, (language,) in texts:
        cut = pieces_in(data, language)
        if cut is None or len(cut[1]) > MOST_PIECES:
            few = "cannot be parsed in bounded steps and depth"
            told.append(few if cut is None else f"more than {MOST_PIECES:,} functions in one file")
            continue
        tree, pieces = cut
        rows, records = _records(tree, data, language, pieces)
        told.append([rows, comments_in(tree, data)])
        for row, record in enumerate(records, n):
            if record is not None:
                encoder.add(row, *record)
        n += len(records)
    yield json.dumps(told).encode()
    yield from packed(_stacked(encoder, n))


def _records(
    tree: Tree, data: bytes, language: str, pieces: Sequence[Piece]
) -> tuple[list[list[Any]], list[_Record | None]]:
    """Return a file's records as rows, and each one's nodes, facts and facts of callees."""
    is_utf8 = _is_utf8(data)
    parsed = [_nodes(piece, tree, data, language, is_utf8=is_utf8) for piece in pieces]
    read = [
        (piece.name, nodes, raw_facts(nodes))
        for piece, nodes in zip(pieces, parsed, strict=True)
        if nodes is not None
    ]
    others = iter(zip(read, callees(read), strict=True))
    rows: list[list[Any]] = []
    records: list[_Record | None] = []
    for piece, nodes in zip(pieces, parsed, strict=True):
        its: list[str] = []
        if nodes is not None:
            (_, _, facts), its = next(others)
            records.append((nodes, facts, its))
        else:
            records.append(None)
        lines = (piece.start_line, piece.end_line, piece.column)
        rows.append([piece.name, piece.start, piece.end, *lines, its])
    return rows, records


def _nodes(piece: Piece, tree: Tree, data: bytes, language: str, *, is_utf8: bool) -> Nodes | None:
    used = grammar("php_tagged" if language == "php" else language)
    if not piece.parts or not is_utf8 or used is None:
        return parse(data[piece.start : piece.end].decode("utf-8", "replace"), language)
    if piece.is_method:
        return read_method(piece.parts[0], used, data, language)
    return read_parts(piece.parts, tree.root_node, used, data)


def _stacked(encoder: CodeEncoder, n: int) -> FloatArray:
    global _known
    columns = encoder.finish(n)
    _known = encoder.known
    return np.concatenate([columns[v.name] for v in VIEWS], axis=1)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
