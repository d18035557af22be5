"""Discriminants in closed form, and what many tasks say of columns."""

import numpy as np
import pytest

from inoculate.features.discriminant import Relevance, Sphered, logs


def test_logs_keep_sign_and_unknown():
    np.testing.assert_allclose(
        logs(np.array([[-np.e + 1, 0, np.nan]], np.float32))[0, :2], [-1, 0], 1e-6
    )
    assert np.isnan(logs(np.array([[np.nan]], np.float32))).all()


@pytest.fixture
def sphered():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)) + 3
    return x, Sphered.of(x, np.ones(5), ridge=1e-9, n_prior=0.0)


def test_without_shrinkage_it_is_fisher_s_discriminant_and_mahalanobis_distance(sphered):
    x, space = sphered
    inverse = np.linalg.inv(np.cov(x.T, bias=True))
    mean = np.array([1.0, 0, -1, 2, 0])
    w, offset = space.direction(mean)
    fisher = inverse @ mean
    np.testing.assert_allclose(w, fisher / np.sqrt(mean @ inverse @ mean), rtol=1e-4)
    assert offset == pytest.approx(mean @ w / 2)
    placed = space.place(x[:3])
    expected = [v @ inverse @ v for v in x[:3] - x.mean(axis=0)]
    np.testing.assert_allclose(space.distance(placed) / space.shrinkage, expected, rtol=1e-6)


def test_scores_of_background_have_variance_one(sphered):
    x, space = sphered
    w, _ = space.direction(np.arange(5.0))
    assert (space.place(x) @ w).std() == pytest.approx(1, rel=1e-6)


def test_of_a_background_that_never_varies_no_rounding_error_is_magnified():
    background = np.full((400, 30), 0.1) + 1e-15 * np.arange(400)[:, None]
    still = Sphered.of(background, np.full(30, 5.0), ridge=0.3, n_prior=340.0)
    w, offset = still.direction(still.place(np.full(30, 0.9)))
    scores = still.place(np.array([[0.1], [0.1 + 1e-9], [0.9]]) * np.ones(30)) @ w - offset
    np.testing.assert_allclose(scores, [-500, -500, 500], atol=1e-3)


def test_few_records_are_drawn_towards_a_sphere():
    x = np.random.default_rng(1).normal(size=(4, 6))
    mean = np.arange(6.0)
    free = Sphered.of(x, np.ones(6), ridge=0.0, n_prior=1e9).direction(mean)[0]
    np.testing.assert_allclose(free / np.linalg.norm(free), mean / np.linalg.norm(mean), atol=1e-6)


def test_distances_do_not_grow_with_the_background():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4_000, 300))
    middle = [
        np.median(
            Sphered.of(x[:m], np.ones(300), ridge=0.3, n_prior=340.0).distance(
                x[2_000:] - x[:m].mean(axis=0)
            )
        )
        for m in (160, 200)
    ]
    assert middle[1] < 1.02 * middle[0]


def test_unknown_is_the_mean_and_a_column_nobody_knows_says_nothing():
    x = np.random.default_rng(2).normal(size=(50, 3))
    x[:, 2] = np.nan
    space = Sphered.of(x, np.ones(3), ridge=0.1, n_prior=0)
    assert (space.place(np.full((1, 3), np.nan)) == 0).all()
    assert np.isfinite(space.inverse).all()


def test_relevance_is_high_where_classes_differ_and_low_where_they_scatter():
    rng = np.random.default_rng(3)
    found = Relevance(4, n_prior=1.0)
    for task in range(40):
        background = rng.normal(size=(100, 4)) * [1, 1, 5, 1]
        mean = found.add_background(background)
        threat = rng.normal(size=(30, 4)) * [1, 1, 5, 4]
        threat[:, 0] += 6
        found.add_class(f"c{task % 8}", threat, mean)
    scale = found.scale(0.0)
    np.testing.assert_allclose(scale, [1, 1, 5, 1], rtol=0.05)
    first, second, _, scattered = found.relevance(scale)
    assert first > 2 * second > 4 * scattered


def test_a_class_counts_once_however_often_it_was_drawn():
    rng = np.random.default_rng(4)
    often, once = Relevance(2, 1.0), Relevance(2, 1.0)
    moved = rng.normal(size=(50, 2)) + np.array([5, 0])
    other = rng.normal(size=(50, 2)) + np.array([0, 5])
    for found, repeats in ((often, 20), (once, 1)):
        mean = found.add_background(np.zeros((100, 2)))
        for _ in range(repeats):
            found.add_class("a", moved, mean)
        found.add_class("b", other, mean)
    np.testing.assert_allclose(often.relevance(np.ones(2)), once.relevance(np.ones(2)), rtol=1e-9)


def test_without_classes_every_column_says_the_same():
    found = Relevance(3, 4.0)
    found.add_background(np.random.default_rng(5).normal(size=(20, 3)))
    np.testing.assert_array_equal(found.relevance(found.scale(0.05)), 1)
