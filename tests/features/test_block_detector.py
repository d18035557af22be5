"""Scoring in blocks gives what scoring at once gives."""

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.features.block_detector import BlockDetector
from inoculate.features.space import Novelty, Space, inputs


def sums(x):
    return np.stack([x.sum(axis=1), -x[:, 0]], axis=1)


@pytest.mark.parametrize("rows", [1, 7, 80, 10_000])
def test_blocks_are_joined_in_order(rows):
    (task,) = toy_tasks(1, seed=0)
    space = Space.of(task.support)
    novelty = Novelty.of(space, 8)
    scores = BlockDetector(space, novelty, 2, sums, rows=rows).score(task.query.x)
    z = space.z(task.query.x)
    np.testing.assert_array_equal(scores.threat, sums(inputs(z)))
    np.testing.assert_array_equal(scores.novelty, novelty.score(z))


def test_without_classes_nothing_is_asked_for():
    (task,) = toy_tasks(1, seed=0)
    space = Space.of(task.support)
    scores = BlockDetector(space, Novelty.of(space, 8), 0, None).score(task.query.x)
    assert scores.threat.shape == (80, 0)
