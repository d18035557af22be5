"""What only nearest neighbours promise; the common contract is in test_contracts.py."""

import numpy as np
import pytest

from inoculate.learners.k_nearest import KNearest
from inoculate.task import Encoded, Labelled, Support


def encode(*rows):
    return Encoded({"v": np.array(rows, np.float32).reshape(len(rows), -1)})


def detector(background, examples, y, **hyper):
    classes = tuple("ab"[: len(set(y))])
    support = Support(Labelled(encode(*examples), np.array(y)), encode(*background), classes)
    return KNearest(**hyper).adapt(support)


def test_score_is_the_log_ratio_of_distances_by_hand():
    # median 2, range 2: z of 0, 1, 2, 3, 4 is -log 2, -log 1.5, 0, log 1.5, log 2; of 8 log 4
    got = detector([0, 1, 2, 3, 4], [8], [0], n_neighbours=2, softening=0.1).score(encode(6))
    z = np.log([2, 1.5, 4, 3])  # of 4, 3, 8 and 6
    near = ((z[3] - z[0]) + (z[3] - z[1])) / 2
    expected = np.log(near + 0.1) - np.log(z[2] - z[3] + 0.1)
    np.testing.assert_allclose(got.threat, [[expected]], atol=5e-3)
    np.testing.assert_allclose(got.novelty, [z[3] - z[0]], atol=1e-3)


def test_the_nearest_example_of_a_class_counts():
    found = detector([0, 1, 2], [9, 50, 20], [0, 0, 1])
    assert found.score(encode(49, 21)).best().tolist() == [0, 1]


def test_more_neighbours_than_background_is_no_error():
    assert np.isfinite(detector([0, 1], [9], [0], n_neighbours=50).score(encode(3)).threat).all()


@pytest.mark.parametrize("k", [1, 3])
def test_one_contaminated_record_hides_a_threat_only_from_one_neighbour(k):
    background = [*np.linspace(0, 1, 30), 9.0]
    threat = detector(background, [9.1], [0], n_neighbours=k).score(encode(9.02)).threat[0, 0]
    assert (threat > 1) == (k == 3)
