"""Tasks on tables that never were."""

import numpy as np
import pytest

from inoculate.features.space import Space
from inoculate.metrics import auroc
from inoculate.registry import LEARNERS
from inoculate.sampling import Shape
from inoculate.structural import structural_tasks
from inoculate.task import BACKGROUND

SHAPE = Shape(n_background=60, n_query=20, n_benign=50)


def tasks(n, **more):
    return list(structural_tasks(n, seed=4, shape=SHAPE, **more))


def test_a_task_has_the_sizes_that_were_asked_for():
    for task in tasks(20, n_way=(2, 2), n_shot=(3, 3), n_columns=(5, 9)):
        s, q = task.support, task.query
        assert s.background.n_records == 60
        assert np.bincount(s.examples.y).tolist() == [3, 3]
        assert np.bincount(q.y - BACKGROUND).tolist() == [50, 20, 20]
        assert 5 <= q.x.stacked().shape[1] <= 9


def test_sizes_are_drawn_from_the_whole_range():
    found = tasks(60, n_way=(1, 3), n_shot=(1, 4), n_columns=(2, 6))
    assert {t.support.n_way for t in found} == {1, 2, 3}
    assert {len(t.support.examples) // t.support.n_way for t in found} == {1, 2, 3, 4}
    assert {t.query.x.stacked().shape[1] for t in found} == {2, 3, 4, 5, 6}


def test_the_i_th_task_depends_on_seed_and_place_only():
    first, again = tasks(3)[2], tasks(5)[2]
    np.testing.assert_array_equal(first.query.x.stacked(), again.query.x.stacked())
    other = next(structural_tasks(1, seed=5, shape=SHAPE))
    assert other.query.x.stacked().shape != tasks(1)[0].query.x.stacked().shape or not np.allclose(
        other.query.x.stacked(), tasks(1)[0].query.x.stacked(), equal_nan=True
    )


def test_values_are_finite_or_unknown_and_some_are_unknown():
    values = [t.query.x.stacked() for t in tasks(60)]
    assert not any(np.isinf(v).any() for v in values)
    assert any(np.isnan(v).any() for v in values)
    assert np.mean([np.isnan(v).mean() for v in values]) < 0.1


def test_columns_are_of_many_kinds():
    kinds = {"yes or no": 0, "mostly one value": 0, "many values": 0}
    for task in tasks(60):
        for column in task.support.background.stacked().T:
            known = column[np.isfinite(column)]
            counts = np.unique(known, return_counts=True)[1]
            kinds["yes or no"] += len(counts) == 2
            kinds["mostly one value"] += len(counts) > 2 and counts.max() > 0.5 * len(known)
            kinds["many values"] += len(counts) > 0.9 * len(known)
    assert min(kinds.values()) > 100


@pytest.mark.parametrize("name", ["extra_trees", "k_nearest"])
def test_threats_can_be_told_apart_but_not_all_of_them(name):
    learner = LEARNERS.load(name)()
    found = []
    for task in tasks(60, n_shot=(5, 5)):
        alarm = learner.adapt(task.support).score(task.query.x).alarm()
        threat = task.query.y >= 0
        found.append(auroc(alarm[~threat], alarm[threat]))
    assert 0.75 < np.mean(found) < 0.98
    assert np.std(found) > 0.05


def test_benign_records_hang_together():
    def strongest(task):
        z = Space.of(task.support).background
        z = z[:, np.isfinite(z).all(axis=0) & (z.std(axis=0) > 0)]
        together = np.abs(np.corrcoef(z.T)) - np.eye(z.shape[1])
        return together.max() if z.shape[1] > 1 else 0.0

    # of 60 independent records in 20 columns the strongest is about 0.4
    assert np.median([strongest(t) for t in tasks(40, n_columns=(20, 20))]) > 0.6
