"""The space of a support set: which columns count, and how unknown values are shown."""

import numpy as np

from inoculate.checks import toy_tasks
from inoculate.features.space import Novelty, Space, balanced_weights, inputs, problems
from inoculate.task import Encoded, Labelled, Support

NAN = np.nan


def support(background, examples):
    def encode(rows):
        return Encoded({"v": np.array(rows, np.float32).reshape(len(rows), -1)})

    y = np.zeros(len(examples), np.int64)
    return Support(Labelled(encode(examples), y), encode(background), ("t",))


def test_columns_that_one_side_knows_nothing_of_are_not_compared():
    space = Space.of(support([[0, 1, NAN], [1, 2, NAN]], [[0, NAN, 3]]))
    assert space.compared.tolist() == [0]
    assert space.reference.usable.tolist() == [0, 1]


def test_a_column_known_in_part_gets_a_flag():
    space = Space.of(support([[0, 1], [1, NAN], [2, 3]], [[0, 5]]))
    assert space.flagged.tolist() == [1]
    dense = space.dense(space.background)
    assert dense.shape == (3, 3)
    assert dense[:, 2].tolist() == [1, 0, 1]
    assert dense[1, 1] == 0


def test_novelty_is_the_mean_difference_to_the_nearest_record():
    space = Space.of(support([[0, 0], [10, 10]], [[1, 1]]))
    got = Novelty.of(space, 5).score(np.array([[0.5, NAN]], np.float32) + space.background[:1])
    np.testing.assert_allclose(got, [0.5], atol=1e-3)


def test_weights_balance_the_two_sides():
    weight = balanced_weights(3, np.array([True, False]))
    np.testing.assert_allclose(weight.sum(axis=0), [0.5, 0.5])
    np.testing.assert_allclose(weight[:, 0], [1 / 8] * 3 + [0, 1 / 8])


def test_each_class_is_told_from_background_and_the_other_classes():
    (task,) = toy_tasks(1, seed=0, n_shot=2)
    for _, target, _, _ in problems([task]):
        assert target.tolist() == [1, 1] + [0] * (60 + 4)


def test_unknown_values_are_zero_with_a_flag():
    z = np.array([[1.5, np.nan]], np.float32)
    assert inputs(z).tolist() == [[1.5, 0, 1, 0]]
