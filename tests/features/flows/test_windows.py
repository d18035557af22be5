"""Window statistics against plain sums."""

import numpy as np
import pytest

from inoculate.features.flows.windows import Counts, Gaps, entropy


def windows(n, seed):
    rng = np.random.default_rng(seed)
    first = np.maximum.accumulate(np.minimum(rng.integers(0, n, n), np.arange(n)))
    return first, np.cumsum(np.bincount(first, minlength=n))


@pytest.mark.parametrize("seed", range(5))
def test_entropy_of_moving_windows(seed):
    classes = np.random.default_rng(seed).integers(-1, 9, 300).astype(np.int8)
    first, gone = windows(300, seed)
    got = entropy(classes >= 0, Counts(classes), first, gone)
    for i, value in enumerate(got):
        known = classes[first[i] : i + 1]
        p = np.bincount(known[known >= 0]) / max(1, (known >= 0).sum())
        expected = -(p[p > 0] * np.log2(p[p > 0])).sum() if (known >= 0).any() else np.nan
        assert value == pytest.approx(expected, abs=1e-7, nan_ok=True)


def test_one_class_has_entropy_zero_exactly():
    classes = np.full(70_000, 3, np.int8)
    first = np.maximum(np.arange(70_000) - 9_999, 0)
    gone = np.cumsum(np.bincount(first, minlength=70_000))
    assert (entropy(classes >= 0, Counts(classes), first, gone) == 0).all()


@pytest.mark.parametrize("scale_s", [1e-3, 1.0, 1e4, 1e7])
def test_regularity_of_any_window(scale_s):
    t = np.cumsum(np.random.default_rng(0).exponential(scale_s, 200))
    first, _ = windows(200, 1)
    got = Gaps(t).regularity(first, np.arange(200))
    for i, value in enumerate(got):
        gaps = np.diff(t[first[i] : i + 1])
        expected = 1 / (1 + gaps.std() / gaps.mean()) if len(gaps) > 1 else np.nan
        assert value == pytest.approx(expected, rel=1e-3, nan_ok=True)
