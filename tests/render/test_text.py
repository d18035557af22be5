"""Words shared by the output formats."""

import numpy as np
import pytest

from inoculate.render._text import clean, figure, plain, share, strongest, when, who
from tests.render.samples import FLOW, HOSTILE, assert_safe_for_a_terminal, finding


def test_hostile_text_loses_its_controls_and_keeps_its_words():
    text = clean(HOSTILE)
    assert_safe_for_a_terminal(text)
    assert text == "<script>alert(1)</script>red [bold]x[/bold] &\"'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[1;31mx\x1b[0m", "x"),
        ("\x1b]8;;file:///etc\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;never ends", ""),
        ("a\r\n\tb", "a b"),
        ("x" * 500, "x" * 199 + "…"),
        ("\x1b" * 5000, ""),
        ("größe 漢字", "größe 漢字"),
        (None, "None"),
    ],
)
def test_clean(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (FLOW, "10.0.0.5:50022 -> 10.0.0.9:1883 tcp"),
        ({**FLOW, "orig_h": "fe80::1"}, "[fe80::1]:50022 -> 10.0.0.9:1883 tcp"),
        ({"orig_h": "a", "resp_h": "b", "orig_p": None, "proto": None}, "a -> b"),
        ({"orig_h": "a", "orig_p": float("nan")}, "a -> ?"),
        ({"orig_h": "a", "orig_p": np.int64(5), "resp_h": "b"}, "a:5 -> b"),
        ({"user": "ann", "row": 7, "x": None}, "user=ann, row=7"),
        ({}, ""),
    ],
)
def test_who(record, shown):
    assert who(record) == shown


@pytest.mark.parametrize("ts", [None, float("nan"), float("inf"), -1.0, 1e18])
def test_a_time_that_no_calendar_holds_is_left_out(ts):
    assert when(ts) == ""


def test_a_time_is_in_utc():
    assert when(1767225600.9) == "2026-01-01 00:00:00"


@pytest.mark.parametrize(
    ("x", "shown"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.9996, "99.96 %"), (0.001, "0.1 %"), (1e-7, "1e-05 %")],
)
def test_only_the_whole_is_a_hundred_per_cent(x, shown):
    assert share(x) == shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.float64("inf"), None),
        (np.int64(3), 3),
        (True, True),
        (b"x", "b'x'"),
    ],
)
def test_plain_values_are_json(value, expected):
    assert plain(value) == expected


def test_strongest_first_and_ties_in_order_of_reading():
    some = [finding(i, score=s) for i, s in enumerate([1.0, 3.0, 3.0, 2.0])]
    assert [f.finding_id for f in strongest(some, 3)] == ["f00001", "f00002", "f00003"]


def test_figures_that_are_no_rate_stay_numbers():
    assert figure("flows_per_s", 0.5) == "0.5"
    assert figure("false_alarms", 0.0004) == "0.04 %"
    assert figure("false_alarms", 12.0) == "12"
