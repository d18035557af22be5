"""Adapting with marks: the promise stays kept, a step stays bounded, the base stays what it was."""

import numpy as np
import pytest

from inoculate.calibration import Calibration, calibrate
from inoculate.errors import LabelError
from inoculate.learners.k_nearest import KNearest
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.refitting import Marks, Start, refit, rows_of, steps

SHIFT = np.array([3, 3, 0, 0, 0, 0], np.float32)


def records(x):
    return Encoded({"v": np.asarray(x, np.float32)})


def benign(rng, n):
    return np.exp(rng.normal(size=(n, 6))).astype(np.float32)


def started(seed, n):
    """Return a start, its detector and calibration, and the background that calibrates."""
    rng = np.random.default_rng(seed)
    background, examples = benign(rng, n), benign(rng, 5) + SHIFT
    support = Support(
        Labelled(records(examples), np.zeros(5, np.int64)), records(background), ("t",)
    )
    detector, known, rows = calibrate(KNearest(), support, seed=seed)
    rest = np.delete(background, rows, 0)
    used = Support(support.examples, records(background[rows]), ("t",))
    start = Start(KNearest(), used, records(rest) if len(rest) else None, seed)
    return start, detector, known, rest if len(rest) else background


def marks(x, threat=None, copies=1):
    return Marks(records(x), (threat,) * len(x), np.full(len(x), copies, np.int64))


def realised(seed, n, rate):
    """Return the false-alarm rate on fresh records after the highest of the own background were
    marked as benign: as calibrated, and as it would be by the new scores alone.
    """
    start, detector, _, own = started(seed, n)
    top = np.argsort(-detector.score(records(own)).alarm())[:5]
    after = refit(start, marks(own[top], copies=4))
    fresh = benign(np.random.default_rng(1000 + seed), 10_000)
    alarm = after.detector.score(records(fresh)).alarm().astype(np.float64)
    return [
        (alarm >= known.threshold(rate)).mean()
        for known in (after.calibration, Calibration.of(after.plain))
    ]


@pytest.mark.parametrize(("n", "rate", "n_runs"), [(200, 0.03, 20), (2400, 0.005, 6)])
def test_the_promise_holds_also_when_the_background_s_own_highest_were_marked(n, rate, n_runs):
    """And would not by the scores of a detector that was told of them."""
    kept, plain = np.mean([realised(seed, n, rate) for seed in range(n_runs)], axis=0)
    assert kept <= rate
    assert plain > 1.2 * rate


@pytest.mark.parametrize("n", [200, 2400])
def test_a_benign_mark_goes_with_its_like_and_never_lowers_the_threshold(n):
    start, detector, known, _ = started(1, n)
    rng = np.random.default_rng(9)
    odd = np.full((40, 6), 4.0, np.float32) + rng.normal(scale=0.05, size=(40, 6))
    after = refit(start, marks(odd[:2], copies=4))
    assert after.calibration.threshold(0.02) >= known.threshold(0.02) - 1e-6
    before = detector.score(records(odd[2:])).alarm() >= known.threshold(0.02)
    now = after.detector.score(records(odd[2:])).alarm() >= after.calibration.threshold(0.02)
    assert before.all()
    assert not now.any()


def test_marks_never_calibrate():
    start, _, known, _ = started(2, 2400)
    after = refit(start, marks(np.full((3, 6), 4.0), copies=16))
    assert len(after.calibration) == len(known) == len(after.plain)
    assert after.support.background.n_records == 1000 + 3 * 16
    assert after.n_own == 1000


@pytest.mark.parametrize("n", [200, 2400])
def test_no_background_record_calibrates_lower_than_either_detector_has_it(n):
    start, _, known, own = started(2, n)
    after = refit(start, marks(np.full((3, 6), 4.0), copies=4))
    assert (after.calibration.scores >= np.maximum(known.scores, after.plain)).all()
    if start.held_out is not None:
        told = np.sort(after.detector.score(records(own)).alarm())
        assert np.array_equal(after.plain, told)


def test_without_marks_it_is_the_same_detector_again():
    for n in (200, 2400):
        start, detector, known, own = started(3, n)
        after = refit(start, marks(np.empty((0, 6))))
        assert np.array_equal(known.scores, after.calibration.scores)
        a, b = (d.score(records(own)).alarm() for d in (detector, after.detector))
        assert np.array_equal(a, b)


def test_a_marked_threat_is_an_example_and_leaves_the_background():
    start, _, known, own = started(4, 2400)
    after = refit(start, marks(np.stack([own[0], start.support.background["v"][0]]), "t"))
    assert len(after.support.examples) == 7
    assert after.n_own == 999
    assert len(after.calibration) == len(known) - 1


def test_a_new_threat_is_a_class_of_its_own_after_the_known_ones():
    start, *_ = started(5, 200)
    after = refit(start, marks(np.full((1, 6), 9.0), "a new one"))
    assert after.support.classes == ("t", "a new one")
    assert after.support.examples.y.tolist() == [0] * 5 + [1]


def test_one_label_and_all_of_them_are_bounded():
    assert steps(1000)[-1] == 50
    assert steps(10) == [1]
    start, *_ = started(6, 200)
    refit(start, marks(np.full((5, 6), 4.0), copies=10))
    with pytest.raises(LabelError, match="more than 25 %"):
        refit(start, marks(np.full((6, 6), 4.0), copies=10))


def test_threats_may_not_eat_up_the_background():
    start, _, _, own = started(7, 200)
    with pytest.raises(LabelError, match="no background remains"):
        refit(start, marks(own[:199], "t"))


def test_rows_are_the_same_only_where_every_column_is():
    x = records([[0.0, np.nan], [-0.0, -np.float32(np.nan)], [0.0, 1.0]])
    a, b, c = rows_of(x)
    assert a == b != c


def test_columns_that_the_detector_knows_nothing_of_are_unknown_in_marks_too():
    start, *_ = started(8, 200)
    blind = Encoded({"v": start.support.background["v"].copy()})
    blind["v"][:, 2] = np.nan
    examples = Encoded({"v": start.support.examples.x["v"].copy()})
    examples["v"][:, 2] = np.nan
    start = Start(
        KNearest(), Support(Labelled(examples, start.support.examples.y), blind, ("t",)), None, 0
    )
    seen = start.seen(records(np.ones((1, 6))))["v"]
    assert np.isnan(seen).tolist() == [[False, False, True, False, False, False]]
