"""A part of a file's tree, read as a table, is what parsing the part by itself gives."""

from dataclasses import fields
from pathlib import Path

import pytest

from inoculate.features.code.code_answer import _nodes
from inoculate.features.code.code_languages import SUFFIXES
from inoculate.features.code.code_split import pieces_in
from inoculate.features.code.code_tree import MOST_DEPTH, Nodes, parse

DATA = Path(__file__).parents[2] / "data" / "source"
TABLE = [f.name for f in fields(Nodes) if f.name not in ("calls", "_children")]
IN_CLASS = {
    "java": b"package a;\nclass A<T> extends B {\n  private int a = 1;\n  @Override\n"
    b'  public int f(int a) throws E { return g(a, "s") + 1; }\n  private A() { this(1); }\n}\n',
    "javascript": b"import b from 'b';\nclass A extends B {\n"
    b"  static async f(a) { await g(`x${a}`); }\n"
    b"  get x() { return this.y; }\n}\nexport function h(a) { return a; }\nlet a = 1;\nb(a);\n",
    "typescript": b"class A {\n  private async f(a: string): Promise<void> { await g(a); }\n}\n"
    b"const a: number = 1;\n// so\nb(a);\n",
    "php": b"<?php\nnamespace A;\nclass B extends C {\n  public static function f($a) {\n"
    b"    return \"$a {$a['x']}\" . 'y';\n  }\n}\n",
    "csharp": b"class A {\n  public int F(int a) { return G(a); }\n}\n",
    "cpp": b"namespace a {\nint f(int n) { return n ? g(n) : 1; }\n}\nint h() { return 2; }\n",
    "python": b"import os\n\na = 1\nb = f(\n    a)\n\n\nclass A:\n"
    b"    def f(self):\n        return f'{a}'\n",
}
FILES = [(SUFFIXES[p.suffix], p.read_bytes()) for p in sorted(DATA.iterdir())] + [*IN_CLASS.items()]


def table(nodes):
    return {name: getattr(nodes, name) for name in TABLE}


@pytest.mark.parametrize(("language", "data"), FILES)
def test_a_part_of_a_file_is_what_it_is_by_itself(language, data):
    tree, pieces = pieces_in(data, language)
    for piece in pieces:
        alone = parse(data[piece.start : piece.end].decode(), language)
        assert table(_nodes(piece, tree, data, language, is_utf8=True)) == table(alone)


@pytest.mark.parametrize("language", IN_CLASS)
def test_some_part_of_each_of_these_is_not_parsed_again(language):
    _, pieces = pieces_in(IN_CLASS[language], language)
    assert any(piece.parts for piece in pieces)


@pytest.mark.parametrize("end", ["b(function f() {\n", "class A { f() { return 1 ] } }\n"])
def test_what_is_beside_an_error_is_what_it_is_by_itself(end):
    data = b"a = 1;\nfunction g() { return 1; }\n" + end.encode()
    tree, pieces = pieces_in(data, "javascript")
    for piece in pieces:
        alone = parse(data[piece.start : piece.end].decode(), "javascript")
        assert table(_nodes(piece, tree, data, "javascript", is_utf8=True)) == table(alone)


@pytest.mark.parametrize(
    ("text", "language"),
    [("x = 'a {b'", "python"), ('x = "a";', "c"), ("f(`a${b}`)", "javascript")],
)
def test_a_literal_text_says_what_it_holds_and_whether_values_are_inside(text, language):
    nodes = parse(text, language)
    (literal,) = [t for t in nodes.leaf if t[-1:] in (b"'", b'"', b"`")]
    assert literal.startswith(b"\0") == ("${" in text)
    assert nodes.depth == max(_depths(nodes)) + (not literal.startswith(b"\0"))


def test_what_is_too_deep_is_left_out():
    nodes = parse("f(" * 600 + "'a'" + ")" * 600, "python")
    assert nodes.depth == MOST_DEPTH


def _depths(nodes):
    found = []
    for above in nodes.parent:
        found.append(found[above] + 1 if above >= 0 else 0)
    return found
