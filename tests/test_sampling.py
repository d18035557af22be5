"""Sampling: nothing twice, any way and shot, and the same draws again."""

import numpy as np
import pytest

from inoculate.errors import TaskError
from inoculate.sampling import (
    ClassSplit,
    Pool,
    Shape,
    contaminate,
    distinct,
    every_pair,
    hide_columns,
    make_tasks,
    make_threat,
    sample_pairs,
    sample_task,
    sample_tasks,
    split_classes,
    thin_background,
)
from inoculate.task import BACKGROUND, Encoded


def pool():
    """Records whose only value is their row: 0-99 benign, then classes of 50, 3 and 2."""
    x = Encoded({"v": np.arange(155, dtype=np.float32)[:, None]})
    classes = {"big": np.arange(100, 150), "rare": np.arange(150, 153), "two": np.arange(153, 155)}
    return Pool(x, classes, np.arange(100), "toy")


def values(x):
    return x["v"][:, 0].astype(int).tolist()


def draw(classes, seed=0, **shape):
    return sample_task(pool(), classes, Shape(**shape), np.random.default_rng(seed))


def test_no_record_is_in_two_places():
    task = draw(
        ["big", "rare"], n_shot=5, n_background=40, n_query=10, n_benign=60, contamination=0.1
    )
    s = task.support
    rows = values(s.examples.x) + values(s.background) + values(task.query.x)
    assert len(rows) == len(set(rows))
    assert sum(v >= 100 for v in values(s.background)) == 4


def test_labels_name_the_right_records():
    task = draw(["rare", "big"], n_shot=2, n_background=10, n_query=10, n_benign=20)
    for part in (task.support.examples, task.query):
        for value, y in zip(values(part.x), part.y, strict=True):
            expected = BACKGROUND if value < 100 else 1 if value < 150 else 0
            assert y == expected
    assert task.support.classes == ("rare", "big")


def test_rare_classes_keep_one_record_for_the_query():
    task = draw(["two"], n_shot=10, n_background=5)
    assert len(task.support.examples) == 1
    assert (task.query.y == 0).sum() == 1


def test_no_class_gives_a_task_without_examples():
    task = draw([], n_background=5, n_benign=7)
    assert task.support.n_way == 0
    assert task.query.y.tolist() == [BACKGROUND] * 7


@pytest.mark.parametrize(
    ("classes", "shape", "problem"),
    [
        (["none"], {}, "no class"),
        (["big"], {"n_background": 101}, "there are 100 benign"),
    ],
)
def test_what_cannot_be_drawn_is_refused(classes, shape, problem):
    with pytest.raises(TaskError, match=problem):
        draw(classes, **shape)


def test_the_same_seed_draws_the_same_tasks_whatever_their_number():
    shape = Shape(n_background=20, n_query=5, n_benign=10)
    few = list(sample_tasks(pool(), 3, seed=1, shape=shape, n_way=(1, 3)))
    many = list(sample_tasks(pool(), 9, seed=1, shape=shape, n_way=(1, 3)))
    assert values(few[2].query.x) == values(many[2].query.x)
    assert {t.support.n_way for t in many} == {1, 2, 3}
    other = next(sample_tasks(pool(), 1, seed=2, shape=shape))
    assert values(other.query.x) != values(few[0].query.x)


def test_made_up_threats_differ_from_background_in_some_columns():
    rng = np.random.default_rng(0)
    x = rng.lognormal(size=(400, 8)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    ordinary = Pool(Encoded({"v": x}), {}, np.arange(400), "toy")
    shape = Shape(n_background=50, n_query=20, n_benign=30)
    for task in make_tasks(ordinary, 20, seed=3, shape=shape, n_way=(1, 2)):
        assert task.support.background.n_records == 50
        assert (task.query.y == BACKGROUND).sum() == 30
        assert (task.query.y == 0).sum() == 20
    made = make_threat(ordinary.x, np.arange(50), rng)["v"]
    assert not np.array_equal(made, x[:50], equal_nan=True)
    assert not np.isinf(made).any()
    np.testing.assert_array_equal(ordinary.x["v"], x)


def test_splits_are_disjoint_and_cover_all():
    names = [f"c{i}" for i in range(11)]
    split = split_classes(names, seed=0)
    parts = [*split.meta_train, *split.meta_validation, *split.meta_test]
    assert sorted(parts) == sorted(names)
    assert split == split_classes(names[::-1], seed=0)
    with pytest.raises(TaskError, match="two parts"):
        ClassSplit(("a",), ("a",), ())
    with pytest.raises(TaskError, match="nothing to train"):
        split_classes(names, seed=0, validation=0.5, test=0.5)


def test_hidden_columns_are_unknown_in_all_parts_of_a_task():
    rng = np.random.default_rng(0)
    x = Encoded({"v": rng.normal(size=(300, 40)).astype(np.float32)})
    whole = Pool(x, {"a": np.arange(100)}, np.arange(100, 300), "toy")
    task = sample_task(whole, ["a"], Shape(n_background=50, n_benign=50), rng)
    for _ in range(5):
        found = hide_columns(task, rng)
        parts = [found.support.examples.x["v"], found.support.background["v"], found.query.x["v"]]
        unknown = [np.isnan(p) for p in parts]
        assert all((u == u[0]).all() for u in unknown)
        assert (unknown[0][0] == unknown[1][0]).all()
        assert (unknown[0][0] == unknown[2][0]).all()
        assert unknown[0][0].mean() <= 0.9
    assert not np.isnan(task.query.x["v"]).any()


def test_exact_repeats_are_found_unknown_values_included():
    x = np.array([[1, np.nan], [1, 2], [1, np.nan], [0, 2], [1, 2]], np.float32)
    assert distinct(Encoded({"v": x})).tolist() == [0, 1, 3]


def test_contamination_moves_threats_from_the_query_into_the_background():
    task = draw(["big"], n_shot=2, n_background=80, n_query=10, n_benign=20)
    before = values(task.support.background) + values(task.query.x)
    moved = set()
    for seed in range(20):
        found = contaminate(task, np.random.default_rng(seed), most=0.1)
        foreign = [v for v in values(found.support.background) if v >= 100]
        moved.add(len(foreign))
        assert found.support.background.n_records == 80
        assert (found.query.y == 0).sum() == 10 - len(foreign)
        after = values(found.support.background) + values(found.query.x)
        assert set(after) <= set(before)
        assert not set(values(found.query.x)) & set(foreign)
        benign = [v for v in values(found.query.x) if v < 100]
        assert benign == [v for v in values(task.query.x) if v < 100]
    assert moved == {0, 1, 2, 3, 4, 5}  # up to 8 of 80, but half of the threats stay


def test_thinned_background_is_a_part_of_it_of_any_size():
    task = draw(["big"], n_shot=2, n_background=80, n_query=10, n_benign=20)
    sizes = []
    for seed in range(200):
        found = thin_background(task, np.random.default_rng(seed), fewest=5)
        part = values(found.support.background)
        assert set(part) <= set(values(task.support.background))
        sizes.append(len(part))
    assert (min(sizes), max(sizes)) == (5, 80)
    assert 0.4 < np.mean(np.array(sizes) <= 20) < 0.6  # half way in logs
    assert thin_background(task, np.random.default_rng(0), fewest=80) is task


def pairs_pool(together=None):
    """Rows 0-9 are of class a, 10-19 their twins, 20-29 of class b without any, then benign."""
    x = Encoded({"v": np.arange(60, dtype=np.float32)[:, None]})
    twin = np.full(60, -1)
    twin[:10] = np.arange(10, 20)
    classes = {"a": np.arange(10), "b": np.arange(20, 30)}
    benign = np.concatenate([np.arange(10, 20), np.arange(30, 60)])
    return Pool(x, classes, benign, "toy", together, twin=twin)


def test_a_task_of_pairs_holds_each_example_with_its_twin():
    task = sample_pairs(pairs_pool(), "a", Shape(3, 20, 100), np.random.default_rng(0))
    before, after = task.support.pairs()
    assert task.support.n_twins == 3 and (after - before == 10).all()
    query = task.query.x["v"][:, 0]
    assert len(query) == 14 and (query[7:] - query[:7] == 10).all()
    assert task.query.y.tolist() == [0] * 7 + [BACKGROUND] * 7


def test_no_twin_of_the_class_is_in_the_background_of_its_pairs():
    task = sample_pairs(pairs_pool(), "a", Shape(3, 30, 100), np.random.default_rng(0))
    assert set(task.support.usual()["v"][:, 0].tolist()) == set(range(30, 60))


def test_pairs_to_learn_from_and_to_rank_are_of_different_recordings():
    together = np.concatenate([np.arange(10) // 2, np.arange(10) // 2, np.full(40, 9)])
    together[30:35] = np.arange(5)
    for seed in range(5):
        pool = pairs_pool(together)
        task = sample_pairs(pool, "a", Shape(3, 20, 100), np.random.default_rng(seed))
        mine = {int(v) // 2 for v in task.support.examples.x["v"][:, 0]}
        theirs = {int(v) // 2 for v in task.query.x["v"][: len(task.query) // 2, 0]}
        around = {int(v) - 30 for v in task.support.usual()["v"][:, 0] if v < 35}
        assert not mine & theirs and not mine & around


def test_a_class_without_twins_gives_no_task_of_pairs():
    with pytest.raises(TaskError, match="a task needs two"):
        sample_pairs(pairs_pool(), "b", Shape(3, 20, 100), np.random.default_rng(0))


def test_to_learn_from_fixes_each_class_is_a_task_of_all_its_pairs():
    (task,) = every_pair(pairs_pool(), 20, seed=0)
    before, after = task.support.pairs()
    assert task.support.classes == ("a",) and task.support.n_twins == 10
    assert (after - before == 10).all() and len(task.query) == 0
    usual = task.support.usual()["v"][:, 0]
    assert len(usual) == 20 and (usual >= 30).all()
