"""Trees of processes as numbers, held against a slow reading of their definition."""

import numpy as np
import polars as pl

from inoculate.features.hosts.tree_shape import (
    SHAPE_COLUMNS,
    command_fields,
    depths,
    kin_tokens,
    members,
    shown_tree,
    tree_shape,
)

AT = {c.name: i for i, c in enumerate(SHAPE_COLUMNS)}


def frame(*trees: dict) -> pl.DataFrame:
    schema = {
        "images": pl.List(pl.String),
        "parents": pl.List(pl.Int64),
        "command_lines": pl.List(pl.String),
        "after_s": pl.List(pl.Float64),
    }
    return pl.DataFrame([{k: t.get(k) for k in schema} for t in trees], schema=schema)


def test_the_shape_by_hand():
    tree = {
        "images": ["a", "b", "b", "c", "a"],
        "parents": [-1, 0, 1, 1, 0],
        "command_lines": ["12", "3", "", "4", None],
        "after_s": [0.0, 3.0, 4.0, 15.0, 7.0],
    }
    (row,) = tree_shape(members(frame(tree)), pl.Series([False]))
    expected = {
        "n_processes": np.log2(5),
        "n_children": np.log2(3),
        "depth": 2,
        "breadth": np.log2(3),
        "n_images": 2,
        "same_share": 1 / 4 + 1 / 4,
        "first_child_s": 2,
        "span_s": 4,
        "commands_length": np.log2(5),
        "is_cut": 0,
    }
    np.testing.assert_allclose(row, [expected[c.name] for c in SHAPE_COLUMNS], rtol=1e-6)


def test_the_shape_of_random_trees_is_that_of_each_one_by_itself():
    rng = np.random.default_rng(0)
    trees = []
    for _ in range(30):
        n = int(rng.integers(1, 12))
        parents = [-1, *(int(rng.integers(0, i)) for i in range(1, n))]
        images = [f"{c}.exe" for c in rng.integers(0, 4, n)]
        trees.append({"images": images, "parents": parents, "after_s": sorted(rng.random(n))})
    tree = members(frame(*trees))
    whole = tree_shape(tree, None)
    first = 0
    for i, t in enumerate(trees):
        np.testing.assert_array_equal(tree_shape(members(frame(t)), None)[0], whole[i])
        depth = []
        for p in t["parents"]:
            depth.append(0 if p < 0 else depth[p] + 1)
        assert depths(tree)[first : first + len(depth)].tolist() == depth
        first += len(depth)
        children = np.bincount([p for p in t["parents"] if p >= 0], minlength=1)
        assert whole[i, AT["breadth"]] == np.float32(np.log2(1 + children.max()))


def test_what_started_what_is_told_across_the_root():
    tree = members(frame({"images": [r"C:\CMD.exe", "x.exe", "y12345.exe"], "parents": [-1, 0, 1]}))
    above = pl.Series([[r"C:\word.exe", "explorer.exe"]])
    assert sorted(kin_tokens(tree, above)[0]) == sorted(
        [
            *("cmd.exe", "word.exe>cmd.exe", "explorer.exe>word.exe>cmd.exe"),
            *("x.exe", "cmd.exe>x.exe", "word.exe>cmd.exe>x.exe"),
            *("y#.exe", "x.exe>y#.exe", "cmd.exe>x.exe>y#.exe"),
            *("above word.exe", "above explorer.exe"),
        ]
    )
    assert kin_tokens(tree, None)[0].to_list()[0] == "cmd.exe"


def test_what_nothing_tells_is_unknown_and_no_process_is_no_tree():
    tree = members(frame({"images": [None]}, {"images": []}, {"images": None}))
    shape = tree_shape(tree, None)
    assert np.isnan(shape[1:]).all()
    assert np.isnan(shape[0, [AT["span_s"], AT["commands_length"], AT["is_cut"]]]).all()
    assert kin_tokens(tree, None).to_list() == [None, None, None]
    assert command_fields(tree).pairs() == []


def test_parents_that_make_no_tree_hang_below_the_root():
    tree = members(frame({"images": list("abcd"), "parents": [3, 2, 99, -7]}))
    assert tree.parent.tolist() == [0, 0, 0, 0]
    short = members(frame({"images": list("ab"), "parents": [-1]}))
    assert short.parent.tolist() == [0, 0]


def test_a_broad_tree_is_shown_shortened():
    record = {"ancestors": [None], "images": list("abcdefg"), "parents": [-1, *[0] * 6]}
    assert shown_tree(record) == "? > a > (b, c, d, e, 2 more)"
