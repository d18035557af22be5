"""The checks themselves: each must catch a learner that breaks its promise."""

import numpy as np
import pytest

from inoculate import checks
from inoculate.learner import Scores
from inoculate.learners.k_nearest import KNearest


class Wrapped:
    """A detector whose scores are changed on the way out."""

    def __init__(self, detector, change):
        self.detector, self.change = detector, change

    def score(self, x):
        return self.change(self.detector.score(x), x)


def broken(change, **also):
    class Broken(KNearest):
        def adapt(self, support, *, seed=0):
            for name, value in also.items():
                setattr(self, name, value(self))
            return Wrapped(super().adapt(support, seed=seed), change)

    return Broken()


def by_batch(scores, x):
    return Scores(scores.threat + len(scores.novelty), scores.novelty)


def by_class_index(scores, x):
    return Scores(scores.threat * np.arange(1, 1 + scores.threat.shape[1]), scores.novelty)


def by_column_order(scores, x):
    first = np.nan_to_num(x.stacked()[:, :1])
    return Scores(scores.threat + first, scores.novelty)


def with_nan(scores, x):
    nan = np.isnan(x.stacked()).any(axis=1)
    return Scores(scores.threat, np.where(nan, np.nan, scores.novelty).astype(np.float32))


def constant(scores, x):
    return Scores(np.zeros_like(scores.threat), np.zeros_like(scores.novelty))


def at_random(scores, x):
    noise = np.random.default_rng().normal(size=scores.novelty.shape).astype(np.float32)
    return Scores(scores.threat + noise[:, None], scores.novelty)


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (checks.check_records_are_independent, by_batch),
        (checks.check_class_order, by_class_index),
        (checks.check_column_order, by_column_order),
        (checks.check_unknown_column, with_nan),
        (checks.check_unknown_record, with_nan),
        (checks.check_learns, constant),
        (checks.check_no_example_gives_novelty, constant),
        (checks.check_same_seed_same_result, at_random),
        (checks.check_scores_are_finite, with_nan),
        (checks.check_hyperparameters_rebuild, at_random),
    ],
    ids=lambda f: f.__name__,
)
def test_a_check_catches_what_it_is_for(check, change):
    check(KNearest())
    with pytest.raises(AssertionError):
        check(broken(change))


def test_a_learner_that_changes_itself_is_caught():
    class Impure(KNearest):
        seen = 0

        def adapt(self, support, *, seed=0):
            self.seen += 1
            return super().adapt(support, seed=seed)

        def state(self):
            return {"seen": np.array([self.seen])}

    with pytest.raises(AssertionError):
        checks.check_adapt_is_pure(Impure())


def test_toy_tasks_repeat_and_shuffled_ones_mean_nothing():
    a, b = (list(checks.toy_tasks(2, seed=1)) for _ in range(2))
    np.testing.assert_array_equal(a[1].query.x.stacked(), b[1].query.x.stacked())
    assert not np.array_equal(a[0].query.x.stacked(), a[1].query.x.stacked(), equal_nan=True)
    checks.check_shuffled_labels_give_chance(KNearest())


def test_labels_that_leak_are_caught():
    def leak(scores, x):
        # queries of toy tasks come background first: their place in the batch gives them away
        place = np.arange(len(scores.novelty), dtype=np.float32)
        return Scores(scores.threat + place[:, None], scores.novelty)

    with pytest.raises(AssertionError, match="AUROC"):
        checks.check_shuffled_labels_give_chance(broken(leak))
