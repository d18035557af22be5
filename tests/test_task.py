import numpy as np
import pytest

from inoculate.calibration import calibrate, cross_scores
from inoculate.errors import TaskError
from inoculate.learner import Scores
from inoculate.task import Encoded, Labelled, Support


def encoded(*values):
    return Encoded({"v": np.array(values, np.float32)[:, None]})


def with_twins(n_twins=2):
    """Three examples 10, 11, 12; twins -10, -11; usual background 1 to 5."""
    examples = Labelled(encoded(10, 11, 12), np.zeros(3, np.int64))
    return Support(examples, encoded(-10, -11, 1, 2, 3, 4, 5), ("a",), n_twins)


def values(x):
    return x["v"][:, 0].tolist()


def test_twins_are_the_first_of_the_background_in_the_order_of_their_examples():
    before, after = with_twins().pairs()
    assert before[:, 0].tolist() == [10, 11] and after[:, 0].tolist() == [-10, -11]
    assert values(with_twins().usual()) == [1, 2, 3, 4, 5]


def test_a_part_of_the_usual_background_keeps_all_twins():
    less = with_twins().with_usual(np.array([4, 0]))
    assert values(less.background) == [-10, -11, 5, 1] and less.n_twins == 2


@pytest.mark.parametrize(
    ("example", "left", "background"),
    [(0, [11, 12], [-11, 1, 2, 3, 4, 5]), (2, [10, 11], [-10, -11, 1, 2, 3, 4, 5])],
)
def test_an_example_left_out_takes_its_twin_along(example, left, background):
    rest = with_twins().without(example)
    assert values(rest.examples.x) == left and values(rest.background) == background
    assert rest.pairs()[0][:, 0].tolist() == [-v for v in rest.pairs()[1][:, 0].tolist()]


@pytest.mark.parametrize("n_twins", [-1, 4])
def test_there_are_no_more_twins_than_examples(n_twins):
    with pytest.raises(TaskError, match="twins of 3 examples"):
        with_twins(n_twins)


class Recording:
    """A learner that remembers the backgrounds it was adapted on; scores are the values."""

    def __init__(self):
        self.seen = []

    def adapt(self, support, *, seed=0):
        self.seen.append(values(support.background))
        return self

    def score(self, x):
        threat = x["v"].astype(np.float32)
        return Scores(threat, threat[:, 0])


def test_twins_are_adapted_on_and_never_calibrate():
    learner = Recording()
    _, calibration, rows = calibrate(learner, with_twins())
    assert sorted(calibration.scores.tolist()) == [1, 2, 3, 4, 5]
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert all(seen[:2] == [-10, -11] for seen in learner.seen)


def test_every_fold_leaves_out_usual_records_only():
    learner = Recording()
    scores = cross_scores(learner, Recording(), with_twins(), np.arange(5), folds=5, seed=0)
    assert scores.tolist() == [1, 2, 3, 4, 5]
    assert all(len(seen) == 6 and seen[:2] == [-10, -11] for seen in learner.seen)
