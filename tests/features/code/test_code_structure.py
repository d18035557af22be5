import numpy as np

from inoculate.features.code.code_schema import ROLES, SHAPE
from inoculate.features.code.code_structure import NodeTable
from inoculate.features.code.code_tree import parse

COLUMNS = [c.name for c in SHAPE.columns]


def table(*texts):
    parsed = [parse(t, "c") for t in texts]
    columns = [[i for n in parsed for i in getattr(n, k)] for k in ("role", "parent", "stop")]
    n_kinds = len(COLUMNS) - 6 - len(set(COLUMNS) & set(ROLES))
    sizes = [[len(n.role), 0, 1, len(n.data), n.depth, *[0] * n_kinds] for n in parsed]
    return NodeTable.of(columns, np.array(sizes))


def test_structure_is_counted_by_hand():
    some = table("int f(int a, int b) { if (a) { return g(b); } return 0; }", "int x;")
    told = dict(zip(COLUMNS, some.shape()[0], strict=True))
    assert (told["parameters"], told["deepest_block"], told["returns"]) == (2, 2, 2)
    assert (told["branches"], told["calls"], told["numbers"]) == (1, 1, 1)
    assert some.shape()[1, COLUMNS.index("parameters")] == 0


def test_steps_are_from_a_node_up_and_further_up():
    steps, lengths, names = table("int f(void) { return g(1); }").steps()
    told = [names[s] for s in steps]
    assert told.count("return>call") == 1 and told.count("body>>call") == 1
    assert len(told) == lengths.sum()


def test_each_record_has_its_own_steps():
    apart = [table(t).steps() for t in ("int f(void) { return 1; }", "x = y[2];")]
    steps, lengths, names = table("int f(void) { return 1; }", "x = y[2];").steps()
    cut = np.split(steps, [lengths[0]])
    for some, (alone, _, its) in zip(cut, apart, strict=True):
        assert [names[s] for s in some] == [its[s] for s in alone]
