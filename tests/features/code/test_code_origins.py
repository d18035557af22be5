"""Where data of an expression comes from, whatever the order of things."""

import pytest

from inoculate.features.code.code_origins import (
    CLEAN,
    INNER,
    NAMED,
    PARAMETER,
    ROUTED,
    Origins,
)
from inoculate.features.code.code_roles import role
from inoculate.features.code.code_shapes import arguments, called
from inoculate.features.code.code_tree import parse

CALL = role("call")


def of(text, language="python", name=b"sink"):
    nodes = parse(text, language)
    i = next(i for i, c in enumerate(nodes.role) if c == CALL and called(nodes, i)[2] == name)
    return Origins(nodes).of(arguments(nodes, i))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("def f(a):\n    sink(1)\n", CLEAN),
        ("def f(a):\n    sink(a)\n", PARAMETER),
        ("def _f(a):\n    sink(a)\n", INNER),
        ("@route('/')\ndef f(a):\n    sink(a)\n", ROUTED),
        ("def f(request, a):\n    sink(a)\n", ROUTED),
        ("def f(a):\n    b = a\n    c = [b]\n    for d in c:\n        sink(d)\n", PARAMETER),
        ("def f(a):\n    sink(request.args)\n", NAMED),
        ("def f(a):\n    sink(self.request.x)\n", NAMED),
        ("def f(a):\n    sink(os.getenv('a'))\n", NAMED),
        ("def f(a):\n    with open(a) as h:\n        sink(h)\n", PARAMETER),
    ],
)
def test_how_surely_data_is_from_outside(text, level):
    assert of(text).level == level


def test_what_data_is_made_of():
    assert of("def f(a):\n    b = 'select a from b where c=%s' % a\n    sink(b)\n").is_sql
    assert of("def f(a):\n    sink(f'x{a}')\n").is_text
    assert not of("def f(a):\n    sink('x', a)\n").is_text
    assert of("def f(a):\n    sink(int(a))\n").is_treated
    assert of("void f(int n) { sink(n * 4); }", "c").is_product
    assert not of("void f(int n) { sink(n); }", "c").is_product


def test_names_that_mean_each_other_end():
    assert of("def f(x):\n    a = b\n    b = a\n    sink(a)\n").level == CLEAN


def test_what_a_call_fills_is_from_outside():
    filled = of("void f() { char b[9]; recv(0, b, 9, 0); sink(b); }", "c")
    assert (filled.level, filled.name) == (ROUTED, "b")
