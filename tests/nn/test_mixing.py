"""The mixing rule: scales by hand, and weights that follow what was left out."""

import numpy as np
import pytest

from inoculate.nn.mixing import (
    N_FEATURES,
    N_SCORES,
    MixedProblem,
    Scale,
    features,
    new_mix_net,
    train_mix_net,
)

BACKGROUND = np.repeat(np.arange(101, dtype=np.float32)[:, None], N_SCORES, axis=1)


def test_the_scale_runs_from_the_median_to_the_99th_percentile():
    scale = Scale.of(BACKGROUND)
    found = scale.apply(np.float32([[50, 99, 1]]))
    np.testing.assert_allclose(found, [[0, np.log(2), -np.log(2)]], atol=1e-5)


def test_constant_background_is_survived():
    scale = Scale.of(np.zeros((10, N_SCORES), np.float32))
    assert np.isfinite(scale.apply(np.ones((2, N_SCORES), np.float32))).all()


def test_features_tell_how_left_out_examples_fare():
    scale = Scale.of(BACKGROUND)
    found = features(np.float32([[50, 99.5, 0], [98, 148, 0]]), BACKGROUND, scale, (2, 101, 7))
    assert found.shape == (N_SCORES, N_FEATURES)
    assert found[0, :4].tolist() == pytest.approx([np.log(1 + 48 / 49) / 2, 0, 0, 1], abs=1e-4)
    assert found[1, 2] == 1
    np.testing.assert_allclose(found[:, 5:], np.tile(np.log1p([2, 101, 7]) / 4, (N_SCORES, 1)))
    nothing = features(np.zeros((0, N_SCORES), np.float32), BACKGROUND, scale, (1, 101, 7))
    assert not nothing[:, :4].any()


def problems(n, seed):
    """In each, one score is right and two are noise; left-out examples show which."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        good = rng.integers(N_SCORES)
        target = (np.arange(60) < 10).astype(np.float32)
        scores = rng.normal(size=(60, N_SCORES)).astype(np.float32)
        scores[:, good] += 4 * target
        known = np.zeros((N_SCORES, N_FEATURES), np.float32)
        known[good, 0] = 1
        yield good, MixedProblem(0, known, scores, target)


def test_the_rule_learns_to_trust_the_score_that_left_out_examples_speak_for():
    net = train_mix_net(new_mix_net(0), [p for _, p in problems(200, 0)], seed=0)
    found = [net.weights(p.features, 0)[good] for good, p in problems(30, 1)]
    assert np.mean(found) > 0.6
    untrained = [new_mix_net(0).weights(p.features, 0)[good] for good, p in problems(30, 1)]
    assert np.mean(untrained) < 0.5


def test_the_same_seed_gives_the_same_rule():
    some = [p for _, p in problems(20, 0)]
    a, b = (train_mix_net(new_mix_net(3), some, seed=1).state_dict() for _ in range(2))
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])
