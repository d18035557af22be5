"""Metrics against hand-computed numbers and scipy."""

import numpy as np
import pytest

from inoculate.metrics import auprc, auroc, bootstrap, holm, recall_at, wilcoxon


def test_auroc_equals_counting_pairs():
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 9, 50), rng.integers(2, 12, 40)
    gap = high[:, None] - low
    assert auroc(low, high) == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean())


def test_auprc_by_hand_and_at_any_prevalence():
    # descending: +, -, +, -: recall 0.5 at precision 1, recall 1 at false rate 0.5
    negative, positive = np.array([2.0, 0.0]), np.array([3.0, 1.0])
    half = 0.5 + 0.5 * (0.5 / (0.5 + 0.25))
    assert auprc(negative, positive, prevalence=0.5) == pytest.approx(half)
    rare = 0.5 + 0.5 * (0.01 / (0.01 + 0.99 * 0.5))
    assert auprc(negative, positive, prevalence=0.01) == pytest.approx(rare)
    assert auprc(np.zeros(5), np.zeros(5), prevalence=0.01) == pytest.approx(0.01)


def test_auprc_equals_scikit_learn_at_the_real_prevalence():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(1)
    low, high = rng.normal(size=300).round(1), rng.normal(1, 1, size=40).round(1)
    y = np.repeat([0, 1], [300, 40])
    peer = average_precision_score(y, np.concatenate([low, high]))
    assert auprc(low, high, prevalence=40 / 340) == pytest.approx(peer)


def test_recall_at_counts_ties_against():
    negative = np.arange(100.0)
    assert recall_at(negative, np.array([98.0, 98.5, 99.0]), 0.01) == pytest.approx(2 / 3)
    assert recall_at(negative, np.array([99.0, 99.5]), 0.001) == 0.5
    assert recall_at(np.zeros(100), np.zeros(3), 0.01) == 0
    assert recall_at(negative, np.array([-1.0]), 1.0) == 1


def test_interval_covers_the_mean_and_shrinks_with_classes():
    rng = np.random.default_rng(2)
    few = {str(i): rng.normal(i % 2, 0.1, 10) for i in range(4)}
    many = {str(i): rng.normal(i % 2, 0.1, 10) for i in range(64)}
    a, b = bootstrap(few, seed=0), bootstrap(many, seed=0)
    assert a.low < a.mean < a.high
    assert b.high - b.low < a.high - a.low
    assert bootstrap(few, seed=0) == a


@pytest.mark.parametrize("step", [1.0, 0.001])
def test_wilcoxon_equals_scipy(step):
    from scipy.stats import wilcoxon as peer

    rng = np.random.default_rng(3)
    a, b = (np.round(rng.normal(m, 1, 40) / step) * step for m in (0, 0.4))
    expected = peer(a, b, zero_method="wilcox", correction=False, method="approx").pvalue
    assert wilcoxon(a, b) == pytest.approx(expected)
    assert wilcoxon(a, a) == 1


def test_holm_never_lets_a_larger_p_pass_a_smaller_one():
    got = holm({"a": 0.04, "b": 0.01, "c": 0.9, "d": 0.02})
    expected = {"b": 0.04, "d": 0.06, "a": 0.08, "c": 0.9}
    assert got == pytest.approx(expected)
