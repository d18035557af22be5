"""Draws and figures of one task."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.benchmark.probes import OneColumn
from inoculate.benchmark.scenario import Dataset, Scenario, TaskShape
from inoculate.benchmark.tables import made_up
from inoculate.benchmark.tasks import (
    ALL,
    FIGURES,
    UNKNOWN,
    Drawn,
    cases,
    draw,
    judge,
    near_duplicates,
)
from inoculate.learner import Scores
from inoculate.registry import LEARNERS
from inoculate.sampling import Pool
from inoculate.task import BACKGROUND, Encoded, Support

ISLANDS = next(iter(made_up())).pool


def scenario(kind, shots=5, **more):
    return Scenario(
        Dataset(domain="made", name="islands"),
        "never-seen",
        TaskShape(kind=kind, shots=shots, **more),
    )


def one(kind, number=0, **more):
    s = scenario(kind, **more)
    return draw(ISLANDS, s, cases(ISLANDS, s)[0], seed=0, number=number, n=200)


def test_a_draw_repeats_and_the_next_one_differs():
    a, b, c = one("detect"), one("detect"), one("detect", number=1)
    np.testing.assert_array_equal(a.x.stacked(), b.x.stacked())
    assert not np.array_equal(a.support.examples.x.stacked(), c.support.examples.x.stacked())


def test_no_record_is_in_two_places():
    found = one("detect", contamination=0.05)
    parts = (found.support.examples.x, found.support.background, found.x)
    rows = np.concatenate([p.stacked() for p in parts])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_contamination_is_there_though_the_class_is_small():
    found = one("detect", contamination=0.05, background=200)
    # 120 records of the class: 5 examples, 10 in the background, all others are queries
    assert (found.y >= 0).sum() == 105


def test_zero_day_has_no_example_and_still_threat_queries():
    found = one("zero_day", shots=0)
    assert found.support.n_way == 0
    assert (found.y == 0).sum() > 5


def test_open_set_holds_back_whole_classes():
    found = one("open_set", n_way=4)
    assert found.support.n_way == 3
    assert (found.y == UNKNOWN).sum() == 240


def others(kind, **more):
    """The islands as a set in which no class is benign."""
    every = np.arange(ISLANDS.x.n_records)
    return replace(ISLANDS, benign=every, others=True), scenario(kind, **more)


def test_where_no_class_is_benign_a_threat_is_told_from_the_others():
    pool, s = others("detect")
    case = cases(pool, s)[0]
    found = draw(pool, s, case, seed=0, number=0, n=200)
    mine = {row.tobytes() for row in pool.x.take(pool.classes[case]).stacked()}
    usual = (found.support.background, found.x.take(found.y == BACKGROUND))
    assert not any(row.tobytes() in mine for x in usual for row in x.stacked())
    assert all(row.tobytes() in mine for row in found.x.take(found.y == 0).stacked())
    for kind in ("zero_day", "open_set"):
        assert cases(*others(kind, n_way=2)) == []


def test_examples_and_queries_come_from_different_recordings():
    runs = np.arange(ISLANDS.x.n_records) // 30
    pool = replace(ISLANDS, together=runs)
    of = {row.tobytes(): run for row, run in zip(pool.x.stacked(), runs, strict=True)}
    s = scenario("detect")
    for number in range(5):
        found = draw(pool, s, cases(pool, s)[0], seed=0, number=number, n=200)
        known = {of[row.tobytes()] for row in found.support.examples.x.stacked()}
        asked = {of[row.tobytes()] for row in found.x.take(found.y == 0).stacked()}
        assert known and asked and not known & asked


def test_a_class_recorded_once_is_not_judged():
    runs = np.zeros(ISLANDS.x.n_records, np.int64)
    second = sorted(ISLANDS.classes)[1]
    runs[ISLANDS.classes[second][60:]] = 1
    assert cases(replace(ISLANDS, together=runs), scenario("detect")) == [second]


def test_a_class_without_records_enough_is_not_judged():
    assert cases(ISLANDS, scenario("detect", 115)) == [f"threat {i}" for i in range(5)]
    assert cases(ISLANDS, scenario("detect", 116)) == []
    assert cases(ISLANDS, scenario("detect", 5, background=1_550)) == []
    assert cases(ISLANDS, scenario("n_way", n_way=4)) == [ALL]


def test_a_tiny_table_is_ranked_by_one_query_among_twenty():
    two = {"rare": ISLANDS.classes["threat 0"][:2], "single": ISLANDS.classes["threat 1"][:1]}
    ranked = scenario("rank", 1, background=20)
    pool = replace(ISLANDS, classes=two, benign=ISLANDS.benign[:40])
    assert cases(pool, ranked) == ["rare"]
    assert cases(pool, scenario("detect", 1, background=20)) == []
    assert cases(replace(pool, benign=ISLANDS.benign[:39]), ranked) == []
    found = draw(pool, ranked, "rare", seed=0, number=0, n=200)
    assert sorted(found.y) == [BACKGROUND] * 20 + [0]


def test_a_rank_is_the_share_of_benign_records_below():
    threat = np.array([[0.0], [2.0], [1.0]], np.float32)
    y = np.array([BACKGROUND, BACKGROUND, 0])
    assert FIGURES["rank"](Scores(threat, threat[:, 0]), y) == {"auroc": 0.5}


def test_detection_figures_by_hand():
    threat = np.array([[0.0], [0.2], [0.1], [3.0]], np.float32)
    y = np.array([BACKGROUND, BACKGROUND, 0, 0])
    found = FIGURES["detect"](Scores(threat, threat[:, 0]), y)
    assert found["recall"] == 0.5
    assert found["auroc"] == 0.75
    assert "recall_thousandth" not in found


def test_recall_at_a_thousandth_needs_three_thousand_benign_records():
    threat = np.arange(3_001, dtype=np.float32)[:, None]
    y = np.array([*[BACKGROUND] * 3_000, 0])
    assert FIGURES["detect"](Scores(threat, threat[:, 0]), y)["recall_thousandth"] == 1.0


def test_telling_apart_by_hand():
    threat = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    found = FIGURES["n_way"](Scores(threat, threat[:, 0]), np.array([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["worst_of_draw"] == 0.5
    assert found["over_chance"] == 0.25


def test_unknown_threats_by_hand():
    threat = np.array([[3.0], [2.0], [2.5], [0.0]], np.float32)
    novelty = np.array([0, 0, 5, 1], np.float32)
    y = np.array([0, 0, UNKNOWN, BACKGROUND])
    found = FIGURES["open_set"](Scores(threat, novelty), y)
    assert found == {"auroc_known": 0.5, "false_at_95": 1.0, "auroc_novelty": 1.0}


def test_near_duplicates_are_counted():
    found = one("detect")
    assert near_duplicates(found) == 0.0
    s = found.support
    copies = Drawn(s, s.examples.x, s.examples.y)
    assert near_duplicates(copies) == 1.0


@pytest.mark.parametrize("name", ["extra_trees", "k_nearest", "logistic"])
def test_shuffled_labels_give_chance(name):
    s = scenario("shuffled", n_way=4)
    learner = LEARNERS.load(name)()
    found = [
        judge(learner, draw(ISLANDS, s, ALL, seed=0, number=i, n=50), s.task, seed=i)
        for i in range(20)
    ]
    assert abs(np.mean([f["over_chance"] for f in found])) < 0.12
    true = draw(ISLANDS, scenario("n_way", n_way=4), ALL, seed=0, number=0, n=50)
    assert judge(learner, true, scenario("n_way").task, seed=0)["over_chance"] > 0.4


def test_examples_that_are_benign_give_chance():
    s = scenario("detect")
    found = []
    for i in range(10):
        drawn = draw(ISLANDS, s, "threat 1", seed=0, number=i, n=100)
        rng = np.random.default_rng(i)
        benign = drawn.x.take(rng.choice(np.flatnonzero(drawn.y == BACKGROUND), 100, False))
        fake = Drawn(
            Support(
                type(drawn.support.examples)(benign.take(np.arange(5)), np.zeros(5, np.int64)),
                drawn.support.background,
                drawn.support.classes,
            ),
            drawn.x.take(drawn.y == BACKGROUND),
            np.where(np.arange((drawn.y == BACKGROUND).sum()) % 2, 0, BACKGROUND),
        )
        found.append(judge(LEARNERS.load("extra_trees")(), fake, s.task, seed=i)["auroc"])
    assert abs(np.mean(found) - 0.5) < 0.03


def test_one_column_finds_what_one_column_shows():
    rng = np.random.default_rng(0)
    drawn = one("detect")
    x = rng.normal(size=(300, 4)).astype(np.float32)
    x[200:, 2] += 9
    enc = type(drawn.x)({"table": x})
    examples = type(drawn.support.examples)(enc.take(np.arange(295, 300)), np.zeros(5, np.int64))
    support = Support(examples, enc.take(np.arange(200)), ("t",))
    alarm = OneColumn().adapt(support).score(enc).alarm()
    assert alarm[200:].mean() > alarm[:200].mean() + 1
    assert (alarm[200:295] > np.quantile(alarm[:200], 0.99)).mean() > 0.9


def paired_pool():
    """A class whose records lie 1 above their twins in the first column."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 3)).astype(np.float32)
    x[:40, 1] += 5
    x[40:80] = x[:40] - np.array([1, 0, 0], np.float32)
    twin = np.full(700, -1)
    twin[:40] = np.arange(40, 80)
    return Pool(Encoded({"v": x}), {"a": np.arange(40)}, np.arange(40, 700), "made", twin=twin)


class FirstColumn:
    transductive = False

    def __init__(self, sign):
        self.sign = sign

    def adapt(self, support, *, seed=0):
        return self

    def score(self, x):
        threat = self.sign * x["v"][:, :1]
        return Scores(threat, threat[:, 0])


@pytest.mark.parametrize(("sign", "share"), [(1, 1.0), (-1, 0.0), (0, 0.5)])
def test_pairs_ranked_right_are_counted_and_a_tie_is_half(sign, share):
    s = scenario("pairs", calibrated=True)
    assert cases(paired_pool(), s) == ["a"]
    drawn = draw(paired_pool(), s, "a", seed=0, number=0, n=200)
    assert drawn.support.n_twins == 5 and (drawn.y == 0).sum() == 35
    found = judge(FirstColumn(sign), drawn, s.task, seed=0)
    assert found["ranked"] == share
    assert 0 <= found["both_right"] <= 1


def test_both_sides_right_means_that_the_twin_does_not_alarm():
    class Far:
        """Alarms for all with a high second column, twins alike, or for those before a fix."""

        transductive = False

        def __init__(self, weights):
            self.weights = np.array(weights, np.float32)

        def adapt(self, support, *, seed=0):
            return self

        def score(self, x):
            threat = (x["v"] @ self.weights)[:, None]
            return Scores(threat, threat[:, 0])

    s = scenario("pairs", calibrated=True)
    drawn = draw(paired_pool(), s, "a", seed=0, number=0, n=200)
    alike = judge(Far([0, 1, 0]), drawn, s.task, seed=0)["both_right"]
    assert alike == 0


def test_tables_without_twins_have_no_case_of_pairs():
    assert cases(ISLANDS, scenario("pairs")) == []
