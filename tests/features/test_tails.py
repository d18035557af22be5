"""Tails, by hand."""

import numpy as np
import pytest

from inoculate.features.tails import Tails

GROUND = np.float32([[1], [2], [3], [4]])


def score(value, **more):
    return Tails.of(GROUND).score(np.float32([[value]]), **more)[0]


@pytest.mark.parametrize(("value", "tail"), [(0, 0), (9, 0), (1, 1), (2.5, 2), (4, 1)])
def test_the_smaller_tail_counts(value, tail):
    assert score(value) == pytest.approx(-np.log((tail + 1) / 5))


def test_a_record_of_the_background_does_not_count_itself():
    assert score(1, own=True) == pytest.approx(-np.log(1 / 4))
    assert score(2, own=True) == pytest.approx(-np.log(2 / 4))


def test_the_score_is_the_mean_over_columns():
    both = Tails.of(np.hstack([GROUND, GROUND])).score(np.float32([[0, 2.5]]))[0]
    assert both == pytest.approx((score(0) + score(2.5)) / 2)
