"""Calibration: p-values by hand, the promise on exchangeable data, and what cannot be promised."""

import math

import numpy as np
import pytest

from inoculate.calibration import Calibration, calibrate, realised_rate, records_needed
from inoculate.errors import TaskError
from inoculate.learner import Scores
from inoculate.registry import LEARNERS
from inoculate.task import Encoded, Labelled, Support


class Remembers:
    """Scores a record by its first column, and -100 if it was adapted on."""

    def __init__(self, seen):
        self.seen = seen

    def score(self, x):
        v = x["v"][:, 0]
        novelty = np.where(np.isin(v, self.seen), -100, v).astype(np.float32)
        return Scores(np.zeros((len(v), 0), np.float32), novelty)


class Rote:
    def adapt(self, support, *, seed=0):
        return Remembers(support.background["v"][:, 0])


def only_background(n):
    x = Encoded({"v": np.arange(n, dtype=np.float32)[:, None]})
    return Support(Labelled(x.take(np.arange(0)), np.zeros(0, np.int64)), x, ())


def test_p_values_by_hand():
    c = Calibration.of(np.array([3.0, 1.0, 2.0, 2.0]))
    got = c.p_values(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 3.1]))
    np.testing.assert_allclose(got, np.array([5, 5, 4, 4, 2, 1]) / 5)


@pytest.mark.parametrize("n", [1, 5, 99, 100, 200, 1000])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.07, 0.2, 0.29, 0.5, 1.0])
def test_threshold_says_the_same_as_the_p_value(n, rate):
    rng = np.random.default_rng(n)
    c = Calibration.of(rng.integers(0, 40, size=n))
    scores = np.concatenate([rng.integers(-1, 42, size=50), c.scores, c.scores + 1e-9])
    np.testing.assert_array_equal(scores >= c.threshold(rate), c.p_values(scores) <= rate + 1e-12)


def test_promise_is_kept_on_exchangeable_data():
    rng = np.random.default_rng(0)
    for rate, n in [(0.01, 100), (0.01, 200), (0.05, 50), (0.1, 33)]:
        draws = rng.normal(size=(4000, n + 1)).round(1)  # rounded: ties
        alarms = sum(realised_rate(Calibration.of(d[:n]), d[n:], rate) for d in draws)
        limit = 4000 * rate + 3 * math.sqrt(4000 * rate)  # binomial, three deviations
        assert alarms <= limit, (rate, n, alarms)


def test_promise_is_not_kept_by_being_idle():
    rng = np.random.default_rng(1)
    c = Calibration.of(rng.normal(size=999))
    assert 0.005 < realised_rate(c, rng.normal(size=100_000), 0.01) < 0.018


def test_small_background_names_the_nearest_promise_that_holds():
    rate, note = Calibration.of(np.arange(200)).promise(0.001)
    assert rate == 0.005
    assert note == (
        "0.1 % needs at least 1,000 background records, here are 200: "
        "the nearest promise that holds is 0.5 %"
    )
    assert Calibration.of(np.arange(200)).threshold(rate) < math.inf
    assert Calibration.of(np.arange(100)).promise(0.01) == (0.01, None)
    assert Calibration.of(np.arange(1000)).promise(0.001) == (0.001, None)
    assert Calibration.of(np.arange(98)).promise(0.01)[1] is not None
    assert [records_needed(r) for r in (0.1, 0.01, 0.003)] == [10, 100, 334]


@pytest.mark.parametrize("n", [1, 2, 7, 60, 150, 1234])
def test_the_nearest_promise_is_one_that_holds(n):
    c = Calibration.of(np.arange(n))
    kept, _ = c.promise(1e-6)
    assert math.isfinite(c.threshold(kept))
    assert c.promise(kept) == (kept, None)


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(TaskError, match="false-alarm rate"):
        Calibration.of(np.arange(5)).promise(rate)


def test_bad_scores_are_refused():
    for scores in ([], [np.nan], [2.0, 1.0], [np.inf]):
        with pytest.raises(TaskError):
            Calibration(np.array(scores, float))


@pytest.mark.parametrize("n", [2, 7, 300, 1999])
def test_small_background_is_scored_by_detectors_that_never_saw_it(n):
    detector, c, rows = calibrate(Rote(), only_background(n), seed=3)
    np.testing.assert_array_equal(c.scores, np.arange(n))
    assert len(rows) == n
    assert (detector.score(only_background(n).background).alarm() == -100).all()


def test_large_background_is_split():
    _, c, rows = calibrate(Rote(), only_background(2500), seed=3)
    assert len(rows) == 1000
    assert len(c) == 1500
    assert not set(rows.tolist()) & set(c.scores.tolist())
    assert -100 not in c.scores


def test_calibration_needs_two_records_and_repeats_itself():
    with pytest.raises(TaskError, match="two background records"):
        calibrate(Rote(), only_background(1))
    a, b = (calibrate(Rote(), only_background(2500), seed=9)[2] for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["k_nearest", "extra_trees", "logistic"])
def test_a_calibrated_learner_keeps_its_promise_on_fresh_benign_records(name):
    learner, alarms, rate = LEARNERS.load(name)(), [], 0.05
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = Encoded({"v": rng.lognormal(size=(605, 8)).astype(np.float32)})
        examples = Labelled(x.take(np.arange(5)), np.zeros(5, np.int64))
        support = Support(examples, x.take(np.arange(5, 205)), ("a",))
        detector, calibration, _ = calibrate(learner, support, seed=seed)
        fresh = detector.score(x.take(np.arange(205, 605))).alarm()
        alarms.append(realised_rate(calibration, fresh, rate))
    # the examples are benign too: the hardest case; 12 thresholds from 200 records each
    spread = math.sqrt(rate * (1 - rate) * (1 / 4800 + 1 / 2400))
    assert np.mean(alarms) < rate + 3 * spread
    assert np.mean(alarms) > rate / 4


@pytest.mark.parametrize("name", ["committee", "logistic", "extra_trees", "k_nearest"])
@pytest.mark.parametrize("n_kinds", [1, 3])
def test_what_equals_background_never_alarms_however_alike_that_is(name, n_kinds):
    rng = np.random.default_rng(0)
    kinds = rng.lognormal(size=(n_kinds, 40)).astype(np.float32)
    threats = kinds[:1] + rng.uniform(1, 1.1, (9, 40)).astype(np.float32)
    x = Encoded({"v": np.concatenate([kinds[rng.integers(n_kinds, size=200)], threats])})
    examples = Labelled(x.take(np.arange(200, 209)), np.zeros(9, np.int64))
    support = Support(examples, x.take(np.arange(200)), ("a",))
    learner = LEARNERS.load(name)()
    _, calibration, _ = calibrate(learner, support)
    # as when it is loaded: adapted again, on the same records in another order
    again = learner.adapt(support.with_usual(np.arange(200)[::-1]))
    assert calibration.p_values(again.score(Encoded({"v": kinds})).alarm()).min() > 0.05
    assert calibration.p_values(again.score(examples.x).alarm()).max() < 0.01


class Drifts:
    """Scores every record by how many background records there are, as rounding may."""

    def adapt(self, support, *, seed=0):
        return Counts(support.background.n_records)


class Counts:
    def __init__(self, n):
        self.n = n

    def score(self, x):
        novelty = np.full(x.n_records, self.n, np.float32)
        return Scores(np.zeros((x.n_records, 0), np.float32), novelty)


def test_a_detector_that_scores_all_alike_alarms_at_nothing_though_its_folds_score_lower():
    support = only_background(200)
    detector, calibration, _ = calibrate(Drifts(), support)
    assert (calibration.p_values(detector.score(support.background).alarm()) == 1).all()


@pytest.mark.parametrize("n, n_wholes", [(400, 40), (3_000, 60)])
def test_windows_of_one_trace_stay_on_one_side_of_every_split(n, n_wholes):
    wholes = np.random.default_rng(0).integers(0, n_wholes, n)
    # one number a trace: a window of a trace that was adapted on scores -100
    x = Encoded({"v": np.stack([wholes, wholes], axis=1).astype(np.float32)})
    nothing = Labelled(x.take(np.arange(0)), np.zeros(0, np.int64))
    support = Support(nothing, x, ())
    assert calibrate(Rote(), support)[1].scores[0] == -100
    _, calibration, rows = calibrate(Rote(), support, wholes=wholes, reference=500)
    assert calibration.scores[0] >= 0
    judges = np.delete(wholes, rows) if n >= 2_000 else wholes
    assert calibration.maxima.tolist() == np.unique(judges).tolist()
    assert 250 <= len(rows) <= 1_000


def test_a_trace_longer_than_all_others_is_left_to_calibrate_with():
    wholes = np.repeat(np.arange(21), [2_900, *[5] * 20])
    x = Encoded({"v": np.ones((3_000, 1), np.float32)})
    support = Support(Labelled(x.take(np.arange(0)), np.zeros(0, np.int64)), x, ())
    rows = calibrate(Rote(), support, wholes=wholes, reference=50)[2]
    assert 0 < len(rows) <= 100 and 0 not in wholes[rows]


def test_few_traces_are_not_regarded_and_maxima_are_the_largest_of_each():
    calibration = Calibration.of(np.array([3.0, 1.0, 2.0, 5.0]), np.array([7, 7, 4, 4]))
    assert calibration.maxima.tolist() == [3.0, 5.0]
    rng = np.random.default_rng(1)
    x = Encoded({"v": rng.normal(size=(60, 2)).astype(np.float32)})
    support = Support(Labelled(x.take(np.arange(2)), np.zeros(2, np.int64)), x, ("t",))
    learner = LEARNERS.load("k_nearest")()
    plain = calibrate(learner, support)[1]
    few = calibrate(learner, support, wholes=np.arange(60) % 5)[1]
    np.testing.assert_array_equal(plain.scores, few.scores)
    assert len(few.maxima) == 0
