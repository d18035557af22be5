"""What only logistic regression promises; the common contract is in test_contracts.py."""

import numpy as np

from inoculate import checks
from inoculate.features.logistic import fit_logistic
from inoculate.features.space import Space, balanced_weights
from inoculate.registry import LEARNERS


def test_each_class_is_held_against_background_and_the_other_classes():
    (task,) = checks.toy_tasks(1, seed=5)
    scores = LEARNERS.load("logistic")(penalty=0.1).adapt(task.support).score(task.query.x)
    space = Space.of(task.support)
    x = space.dense(np.concatenate([space.background, space.examples]))
    dense = space.dense(space.z(task.query.x))
    for c in range(task.support.n_way):
        mine = task.support.examples.y == c
        w = fit_logistic(x, balanced_weights(len(space.background), mine), penalty=0.1)
        np.testing.assert_allclose(scores.threat[:, c], dense @ w[:-1] + w[-1], rtol=1e-3)
