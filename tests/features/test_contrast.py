"""Contrast: what nearest neighbours rest on; the ratio itself is tested with k_nearest."""

import numpy as np

from inoculate.features.contrast import Contrast
from inoculate.features.space import Space
from inoculate.task import Encoded, Labelled, Support


def contrast(background, examples=(9.0,)):
    def encode(values):
        return Encoded({"v": np.float32(values)[:, None]})

    y = np.zeros(len(examples), np.int64)
    support = Support(Labelled(encode(examples), y), encode(background), ("t",))
    return Contrast(Space.of(support), [np.arange(len(examples))], 2, 0.1)


def test_the_background_s_own_records_do_not_meet_themselves():
    background = [0.0, 1.0, 2.0, 3.0, 10.0]
    whole = contrast(background)
    threat, novelty = whole.score(whole.space.background, own=True)
    for i in range(5):
        z = np.delete(whole.space.background[:, 0], i)
        gaps = np.sort(np.abs(z - whole.space.background[i, 0]))
        near = np.abs(whole.space.examples[0, 0] - whole.space.background[i, 0])
        expected = np.log(gaps[:2].mean() + 0.1) - np.log(near + 0.1)
        np.testing.assert_allclose(threat[i, 0], expected, atol=5e-3)
        np.testing.assert_allclose(novelty[i], gaps[0], atol=2e-3)


def test_a_single_background_record_meets_itself_as_there_is_no_other():
    alone = contrast([1.0])
    threat, novelty = alone.score(alone.space.background, own=True)
    assert np.isfinite(threat).all()
    assert novelty[0] == 0
