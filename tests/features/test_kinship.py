import numpy as np

from inoculate.features.kinship import Metric


def test_towards_solves_the_linear_discriminant_in_the_metric():
    rng = np.random.default_rng(0)
    rows, spread = rng.normal(size=(50, 3)), np.diag([1.0, 4.0, 9.0])
    metric = Metric.of(rows, spread, np.zeros((3, 3)), 0.0)
    matrix = metric.factor @ metric.factor.T
    target = np.array([[1.0, 2.0, 3.0]])
    assert np.allclose(matrix @ metric.towards(target), target[0] - rows.mean(axis=0))


def test_what_fixes_change_tells_no_kin():
    rows = np.random.default_rng(1).normal(size=(200, 2))
    fixes = np.diag([1.0, 0.0])
    plain = Metric.of(rows, np.eye(2), fixes, 0.0).towards(np.array([[1.0, 1.0]]))
    wary = Metric.of(rows, np.eye(2), fixes, 100.0).towards(np.array([[1.0, 1.0]]))
    assert abs(plain[0] / plain[1]) > 0.5
    assert abs(wary[0] / wary[1]) < 0.1


def test_few_records_of_ones_own_weigh_less_than_many():
    rng = np.random.default_rng(2)
    own = rng.normal(size=(2_000, 2)) * [10.0, 1.0]
    few, many = (Metric.of(own[:n], np.eye(2), np.zeros((2, 2)), 0.0) for n in (10, 2_000))
    wide = [(m.factor @ m.factor.T)[0, 0] for m in (few, many)]
    assert wide[0] < wide[1] / 3


def test_distance_is_of_mahalanobis():
    rows = np.random.default_rng(3).normal(size=(30, 4))
    metric = Metric.of(rows, np.eye(4), np.zeros((4, 4)), 0.0)
    inverse = np.linalg.inv(metric.factor @ metric.factor.T)
    apart = rows[:5] - metric.mean
    expected = np.sqrt(np.einsum("nd,de,ne->n", apart, inverse, apart))
    assert np.allclose(metric.distance(rows[:5]), expected)


def words(*rows):
    return np.array(rows, float)


def test_a_rare_word_shared_with_an_example_makes_kin_and_a_word_of_all_does_not():
    usual = np.column_stack([np.ones(100), np.zeros(100), np.arange(100) % 2])
    metric = Metric.of(usual, np.eye(3), np.zeros((3, 3)), 0.0)
    kin = metric.kin(usual, words([1, 1, 0]), words()[:0].reshape(0, 3))
    rare, common = (kin.parts(words(row))[1][0] for row in ([1, 1, 0], [1, 0, 0]))
    assert rare > 0.9 and common < 0.1


def test_a_near_copy_of_the_fixed_side_is_less_kin_than_one_of_the_other():
    usual = np.random.default_rng(0).integers(0, 2, (100, 5)).astype(float)
    before, after = words([3, 3, 1, 0, 0]), words([3, 3, 0, 1, 0])
    metric = Metric.of(usual, np.eye(5), np.zeros((5, 5)), 0.0)
    kin = metric.kin(usual, before, after)
    assert kin.parts(before)[1][0] > kin.parts(after)[1][0] + 0.05
    stranger = kin.score(words([0, 0, 0, 0, 3]))[0]
    assert kin.score(after)[0] > stranger


def test_kin_are_told_in_deviations_of_the_background():
    usual = np.random.default_rng(1).normal(size=(400, 4))
    metric = Metric.of(usual, np.eye(4), np.zeros((4, 4)), 0.0)
    kin = metric.kin(usual, usual[:3] + 2, usual[:0])
    linear, cosine = kin.parts(usual)
    assert np.isclose(linear.std() / kin.units[0], 1) and np.isclose(cosine.std() / kin.units[1], 1)
