"""Reasons: the columns that moved the score, in words."""

import numpy as np
import pytest

from inoculate.domain import Column, View
from inoculate.learner import Scores
from inoculate.reasons import Explainer, measure
from inoculate.task import Encoded

VIEW = View(
    "flow",
    (
        Column("sent", "byte", "bytes sent"),
        Column("tcp", "yes/no", "protocol TCP"),
        Column("gap", "s", "gap"),
    ),
)


class Linear:
    """Scores 2 * sent + gap for class 0 and -sent for class 1; a real, small detector."""

    def score(self, x):
        x = np.nan_to_num(x.stacked())
        threat = np.stack([2 * x[:, 0] + x[:, 2], -x[:, 0]], axis=1)
        return Scores(threat.astype(np.float32), np.abs(x).sum(axis=1).astype(np.float32))


def background(n=100):
    rng = np.random.default_rng(0)
    x = np.stack([np.arange(n), np.ones(n), rng.random(n)], axis=1)
    return Encoded({"flow": x.astype(np.float32)})


def explain(row, cls=0, **kwargs):
    explainer = Explainer(Linear(), [VIEW], background(), **kwargs)
    return explainer.explain(Encoded({"flow": np.array([row], np.float32)}), np.array([cls]))[0]


def test_weights_of_a_linear_score_are_its_exact_shares():
    usual_gap = np.sort(background()["flow"][:, 2])[50]
    first, second = explain([150.0, 1.0, 30.0])
    sent, gap = 2 * (150 - 50), 30 - usual_gap
    assert (first.column, second.column) == ("sent", "gap")
    assert first.weight == pytest.approx(sent / (sent + gap), abs=1e-4)
    assert second.weight == pytest.approx(gap / (sent + gap), abs=1e-4)


def test_the_words_name_value_unit_and_place_in_the_background():
    (reason, *_) = explain([1_250_000.0, 1.0, 0.5])
    assert reason.text == "bytes sent 1.2 MB: above all of 100 background records"
    (reason, *_) = explain([98.5, 1.0, 0.0])
    assert reason.text == "bytes sent 98.5 bytes: above 99 % of background"


def test_a_column_at_its_usual_value_is_never_a_reason():
    assert all(r.column != "tcp" for r in explain([150.0, 1.0, 30.0]))


def test_the_reasons_are_those_of_the_class_that_was_found():
    (reason, *_) = explain([-20.0, 1.0, 9.0], cls=1)
    assert (reason.column, reason.text.split(": ")[1]) == (
        "sent",
        "below all of 100 background records",
    )


def test_unknown_values_are_survived_and_many_records_are_explained_in_parts():
    explainer = Explainer(Linear(), [VIEW], background(), n_reasons=1)
    x = np.tile(np.array([[200.0, np.nan, 0.2]], np.float32), (20_000, 1))
    reasons = explainer.explain(Encoded({"flow": x}), np.zeros(20_000, np.int64))
    assert len(reasons) == 20_000
    assert {r[0].column for r in reasons} == {"sent"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "byte", "0 bytes"),
        (999, "byte", "999 bytes"),
        (1.5e9, "byte/s", "1.5 GB/s"),
        (2e-5, "s", "20 µs"),
        (90, "s", "90 s"),
        (600, "s", "10 min"),
        (0.123, "1", "0.12"),
        (12345, "flow", "12,345 flows"),
    ],
)
def test_measure(value, unit, text):
    assert measure(value, unit) == text
