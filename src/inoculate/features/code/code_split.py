"""Cuts a file into records: functions, methods, what stands outside of them, blocks of settings."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node, Tree

from inoculate.features.code.code_languages import Grammar, grammar, tree_of
from inoculate.features.code.code_roles import role
from inoculate.features.code.code_tree import MOST_BYTES, MOST_DEPTH, is_method

OUTSIDE = "(outside of functions)"
"""Name of a record of statements that belong to no function."""

_LONG_LINES = 200
_MOSTLY = 0.6
_LOOKED_INTO = 1_500
_SMALL_LINES = 2
_CONTAINERS = frozenset(
    """
    translation_unit program module source_file namespace_definition linkage_specification
    export_statement decorated_definition template_declaration preproc_ifdef preproc_if
    preproc_else preproc_elif ERROR enum_body_declarations interface_body enum_body
    ambient_declaration internal_module class_body declaration_list field_declaration_list
    """.split()  # noqa: SIM905 - a list of this length is read better so
)
_IGNORED = frozenset(
    """
    comment line_comment block_comment import_statement import_from_statement import_declaration
    future_import_statement package_clause package_declaration using_declaration preproc_include
    preproc_def preproc_function_def preproc_call namespace_use_declaration type_definition
    type_declaration php_tag php_end_tag text text_interpolation hash_bang_line pass_statement
    empty_statement property_signature method_signature
    modifiers identifier type_identifier name decorator marker_annotation
    """.split()  # noqa: SIM905 - as above
)
_DECLARING = frozenset(("c", "cpp", "java", "csharp", "go"))
_SCRIPTS = frozenset(("javascript", "typescript", "tsx", "php_tagged", "php", "python"))
_ALIKE = frozenset(("c", "go", "python"))
_ALIKE_IN = {
    "cpp": ("declaration_list",),
    **dict.fromkeys(("javascript", "typescript", "tsx"), ("program", "export_statement")),
}
_METHODS_IN = {
    **dict.fromkeys(("java", "csharp", "javascript", "typescript", "tsx"), ("class_body",)),
    "php": ("declaration_list",),
}
_ALIKE_SCRIPTS = frozenset(("javascript", "typescript", "tsx", "python"))
_UNTAGGED = {"php_tagged": "php"}
_RESOURCES = frozenset((b"services", b"Resources", b"resources"))
_FUNC, _LAMBDA, _CLASS, _BODY = map(role, ("func", "lambda", "class", "body"))


@dataclass(slots=True, eq=False)
class Piece:
    """A part of a file that is one record.

    Attributes:
        name: as the code calls it, with the class or namespace before it.
        start, end: place in bytes.
        start_line, end_line: counted from 1.
        column: of its first byte, from 1.
        parts: its nodes in the file's tree, where these are what parsing it by itself gives.
        is_method: whether that is so of a method in a class of its own.
    """

    name: str
    start: int
    end: int
    start_line: int
    end_line: int
    column: int
    parts: tuple[Node, ...] = ()
    is_method: bool = False


def pieces_in(data: bytes, language: str) -> tuple[Tree, list[Piece]] | None:
    """Return a file's tree and its records, in the order of the file; None if it has no tree.

    Args:
        data: the file, UTF-8 or nearly so.
        language: one of ``code_languages.LANGUAGES``.
    """
    used = grammar("php_tagged" if language == "php" else language)
    tree = tree_of(data, used) if used is not None else None
    if used is None or tree is None:
        return None
    root = tree.root_node
    if language == "dockerfile":
        return tree, [_piece("Dockerfile", root, root)] if root.child_count else []
    if language in ("yaml", "json"):
        return tree, list(_documents(root, data))
    if language == "terraform":
        return tree, list(_blocks(root, data))
    cut = _Cut(used, data, root)
    cut.walk()
    return tree, sorted(cut.found, key=lambda p: p.start)


def _piece(name: str, first: Node, last: Node) -> Piece:
    row, column = first.start_point
    lines = (row + 1, last.end_point[0] + 1)
    return Piece(name[:200] or "?", first.start_byte, last.end_byte, *lines, column + 1)


@dataclass(slots=True, eq=False)
class _Cut:
    """One file being cut."""

    used: Grammar
    data: bytes
    root: Node
    found: list[Piece] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def walk(self) -> None:
        """Find the functions of the file, and the statements between them."""
        waiting = [(self.root, "", 0)]
        while waiting:
            node, prefix, depth = waiting.pop()
            loose: list[Node] = []
            is_class = self.used.roles[node.kind_id] == _CLASS
            for child in node.named_children:
                kind, code = child.type, self.used.roles[child.kind_id]
                if is_class and code != _BODY and kind not in _CONTAINERS:
                    continue  # what it is derived from
                if code == _FUNC:
                    self._function(child, child, prefix)
                elif kind == "decorated_definition" and (inner := _defined(child)) is not None:
                    self._function(inner, child, prefix)
                elif code in (_CLASS, _BODY) or kind in _CONTAINERS:
                    if depth < MOST_DEPTH:
                        own = _joined(prefix, _name(child, self.data)) if code == _CLASS else prefix
                        waiting.append((child, own, depth + 1))
                elif kind in _IGNORED:
                    continue
                else:
                    if not self._inside(child, prefix):
                        loose.append(child)
                    continue
                self._script(loose, prefix)
                loose = []
            self._script(loose, prefix)

    def _function(self, node: Node, whole: Node, prefix: str) -> None:
        name = _joined(prefix, _name(node, self.data))
        lines = node.end_point[0] - node.start_point[0] + 1
        if lines > _LONG_LINES and self.used.language in _SCRIPTS:
            inner = list(self._functions(node))
            size = sum(f.end_byte - f.start_byte for f, _ in inner)
            if size > _MOSTLY * (node.end_byte - node.start_byte):
                for f, own in inner:
                    self.found.append(_piece(_joined(name, own), f, f))
                return
        piece = _piece(name, whole, whole)
        if not whole.has_error:
            piece.parts, piece.is_method = self._alike(whole)
        self.found.append(piece)

    def _alike(self, whole: Node) -> tuple[tuple[Node, ...], bool]:
        """Return a function's node where its tree by itself is known to be that in the file.

        And whether that is so of a method in a class of its own.
        """
        language = _UNTAGGED.get(self.used.language, self.used.language)
        is_top = whole.parent is not None and whole.parent.parent is None
        if language in _ALIKE or (language == "cpp" and is_top):
            return (whole,), False
        around = whole.parent.type if whole.parent is not None else ""
        if around in _ALIKE_IN.get(language, ()) and not self.root.is_error:
            return (whole,), False
        text = self.data[whole.start_byte : whole.end_byte].decode("utf-8", "replace")
        if around in _METHODS_IN.get(language, ()) and is_method(text, language):
            fits = len(text) < MOST_BYTES // 4 and "<?" not in text
            return (whole,) if fits else (), True
        return (), False

    def _inside(self, node: Node, prefix: str) -> bool:
        """Add the functions inside a statement; return False where it is better left whole."""
        size = node.end_byte - node.start_byte
        if size < _LOOKED_INTO or self.used.language not in _SCRIPTS:
            return False
        inner = list(self._functions(node))
        if sum(f.end_byte - f.start_byte for f, _ in inner) < _MOSTLY * size:
            return False
        for f, own in inner:
            lines = f.end_point[0] - f.start_point[0] + 1
            deeper = list(self._functions(f)) if lines > _LONG_LINES else []
            for g, its in deeper or [(f, own)]:
                self.found.append(_piece(_joined(prefix, its), g, g))
        return True

    def _functions(self, node: Node) -> Iterator[tuple[Node, str]]:
        """Yield the outermost functions below a node that have more than two lines."""
        waiting = [(child, "", 1) for child in reversed(node.named_children)]
        while waiting:
            child, name, depth = waiting.pop()
            code = self.used.roles[child.kind_id]
            lines = child.end_point[0] - child.start_point[0]
            if code in (_FUNC, _LAMBDA) and lines >= _SMALL_LINES:
                yield child, _name(child, self.data) or name
            elif depth < MOST_DEPTH and lines >= _SMALL_LINES:
                own = _name(child, self.data) or name
                waiting += [(c, own, depth + 1) for c in reversed(child.named_children)]

    def _script(self, loose: list[Node], prefix: str) -> None:
        """Add statements that stand next to each other as records of bounded length."""
        if self.used.language in _DECLARING:
            loose = [n for n in loose if b"=" in self.data[n.start_byte : n.end_byte]]
        first = 0
        for i, node in enumerate(loose):
            ends = i + 1 == len(loose)
            lines = node.end_point[0] - loose[first].start_point[0]
            if ends or lines > _LONG_LINES:
                piece = _piece(_joined(prefix, OUTSIDE), loose[first], node)
                if node.parent == self.root and self.used.language in _ALIKE_SCRIPTS:
                    piece.parts = self._beside(piece)
                self.found.append(piece)
                first = i + 1

    def _beside(self, piece: Piece) -> tuple[Node, ...]:
        """Return the nodes of a piece that lie at the top, none where one is wrong."""
        if not self._starts:
            self._starts = [c.start_byte for c in self.root.children]
        if self.root.is_error:
            return ()
        first = bisect_left(self._starts, piece.start)
        last = bisect_left(self._starts, piece.end, first)
        its = tuple(self.root.children[first:last])
        return its if not any(c.has_error for c in its) and its[-1].end_byte == piece.end else ()


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def _defined(node: Node) -> Node | None:
    inner = node.child_by_field_name("definition")
    return inner if inner is not None and inner.type == "function_definition" else None


def _name(node: Node, data: bytes) -> str:
    """Return what a node is called, "" where it has no name."""
    for field_name in ("name", "key", "left", "property"):
        named = node.child_by_field_name(field_name)
        if named is not None:
            return data[named.start_byte : named.end_byte][:100].decode("utf-8", "replace")
    inner = node.child_by_field_name("declarator")
    for _ in range(20):
        below = inner.child_by_field_name("declarator") if inner is not None else None
        if below is None:
            break
        inner = below
    text = data[inner.start_byte : inner.end_byte] if inner is not None else b""
    return text[:100].decode("utf-8", "replace").split("(")[0].strip()


def _blocks(root: Node, data: bytes) -> Iterator[Piece]:
    """Yield the blocks and settings of a Terraform file."""
    bodies = [c for c in root.named_children if c.type == "body"]
    for node in (c for body in bodies for c in body.named_children):
        if node.type in ("block", "attribute"):
            head = data[node.start_byte : node.end_byte].split(b"{")[0].split(b"=")[0]
            words = re.findall(rb"[\w.-]+", head[:300])
            yield _piece(" ".join(w.decode() for w in words), node, node)


def _documents(root: Node, data: bytes) -> Iterator[Piece]:
    """Yield the documents of a YAML file; of Compose and CloudFormation the resources."""
    for document in (c for c in root.named_children if c.type == "document"):
        pairs = _pairs(document)
        listed = [p for p in pairs if _key(p, data) in _RESOURCES]
        inside = [q for p in listed for q in _pairs(p.child_by_field_name("value"))]
        for pair in inside:
            yield _piece(_key(pair, data).decode("utf-8", "replace"), pair, pair)
        if inside:
            continue
        body = [c for c in document.named_children if c.type != "comment"]
        if body:
            name = _document_name(data[document.start_byte : document.end_byte])
            yield _piece(name, body[0], body[-1])


def _pairs(node: Node | None) -> list[Node]:
    """Return the settings of the mapping that a node holds."""
    for _ in range(4):
        if node is None:
            return []
        if node.type in ("block_mapping", "flow_mapping"):
            return [c for c in node.named_children if c.type.endswith("_pair")]
        below = [c for c in node.named_children if c.type != "comment"]
        node = below[0] if below and node.type in ("document", "block_node", "flow_node") else None
    return []


def _key(pair: Node, data: bytes) -> bytes:
    key = pair.child_by_field_name("key")
    text = data[key.start_byte : key.end_byte] if key is not None else b""
    return text.strip(b"\"'")[:100]


def _document_name(text: bytes) -> str:
    kind = re.search(rb"^kind:\s*([\w.-]+)", text[:4_096], re.MULTILINE)
    name = re.search(rb"^  name:\s*([\w.-]+)", text[:65_536], re.MULTILINE)
    found = [m[1].decode() for m in (kind, name) if m is not None]
    return " ".join(found) or "document"
