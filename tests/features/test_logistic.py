"""Logistic regression against scikit-learn and its own slope."""

import numpy as np
import pytest

from inoculate.features.logistic import fit_logistic
from inoculate.features.space import balanced_weights


def problem(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    x[50:] += 1
    return x, balanced_weights(50, np.ones(10, bool))


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_coefficients_equal_scikit_learn_at_the_same_penalty(penalty):
    from sklearn.linear_model import LogisticRegression

    x, weight = problem()
    ours = fit_logistic(x, weight, penalty=penalty)
    peer = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
    peer.fit(x, np.arange(60) >= 50, sample_weight=weight.sum(axis=1))
    np.testing.assert_allclose(ours[:-1], peer.coef_[0], atol=1e-4)
    np.testing.assert_allclose(ours[-1], peer.intercept_[0], atol=1e-4)


def test_the_slope_is_zero_at_the_solution():
    x, weight = problem(1)
    w = fit_logistic(x, weight, penalty=0.01)
    rows = np.hstack([x, np.ones((60, 1))])
    p = 1 / (1 + np.exp(-rows @ w))
    slope = rows.T @ (weight.sum(axis=1) * p - weight[:, 1]) + 0.01 * np.append(w[:-1], 0)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_separable_data_far_out_converge_to_finite_numbers():
    x = np.array([[-6.0]] * 50 + [[6.0]], np.float32)
    w = fit_logistic(x, balanced_weights(50, np.ones(1, bool)), penalty=1e-6)
    assert np.isfinite(w).all()
    assert w[0] > 0
