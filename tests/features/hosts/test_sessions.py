"""Sessions of a log: which lines belong together, when one ends, and what bounds them."""

import polars as pl
import pytest

from inoculate.features.hosts import sessions
from inoculate.features.hosts.sessions import (
    IDLE_S,
    MOST_LINES,
    WINDOW_LINES,
    Sessions,
    session_keys,
    without_keys,
)


@pytest.mark.parametrize(
    "line, keys",
    [
        ("081109 203615 148 INFO dfs: block blk_38865049064139660 terminating",
         ["blk_38865049064139660"]),
        ("delete blk_1 blk_-2 blk_1", ["blk_1", "blk_-2"]),
        ("2024-01-01T00:00:00Z x request_id=7f3a-11 took 74 ms", ["request_id 7f3a-11"]),
        ('{"sessionId": "ABCD.1"} late', ["sessionid ABCD.1"]),
        ("nova [req-38101A0B-2096-447d-96ea-a692162415ae] GET",
         ["req-38101a0b-2096-447d-96ea-a692162415ae"]),
        ("Mar  3 10:01:34 web1 sshd[13864]: Failed password", ["web1 sshd[13864]"]),
        ("2024-01-01T00:00:00Z db2 app[895]: up", ["db2 app[895]"]),
        ("sshd[9]: no header", ["sshd[9]"]),
        ("Mar  3 10:01:34 web1 kernel: link up", []),
        ("id=1 pid=7 userid=44", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_line_belongs_to_what_it_names(line, keys):
    assert session_keys(pl.Series([line, None])).to_list() == [keys, []]


def test_what_a_session_is_called_is_no_part_of_its_lines():
    said = pl.Series(["block blk_-12 of blk_7 ", "request_id=7f3a-11 ok", "reqid: abcd-efgh up"])
    assert without_keys(said).to_list() == [
        "block blk_0 of blk_0 ", "request_id=0 ok", "reqid=0 up",
    ]  # fmt: skip


def told(lines, **options):
    """Return key, templates and origin of each session, in the order of ending."""
    state = Sessions(**options)
    found = [s for i, (keys, t, at) in enumerate(lines) for s in state.add(keys, f"{i}", "", t, at)]
    found += list(state.finish())
    return [(s.key, "".join(state.template(c) for c in s.codes), s.origin) for s in found]


def test_lines_of_one_key_come_together_whatever_stands_between():
    lines = [(["a"], "x", 0), (["b"], "y", 1), ([], "n", 1), (["a"], "z", 2), (["b", "a"], "w", 3)]
    assert told(lines) == [("", "n", "2"), ("b", "yw", "1"), ("a", "xzw", "0")]


def test_a_line_that_begins_two_sessions_has_two_origins():
    assert [o for _, _, o in told([(["a", "b", "c"], "x", None)])] == ["0", "0@1", "0@2"]


def test_a_session_ends_when_the_log_goes_on_without_it():
    lines = [(["a"], "x", 0), (["b"], "y", IDLE_S), (["a"], "z", IDLE_S + 1)]
    assert told(lines) == [("a", "x", "0"), ("b", "y", "1"), ("a", "z", "2")]


def test_a_log_that_goes_back_is_not_torn_apart():
    lines = [(["a"], "x", 9e6), (["b"], "y", 0), (["c"], "y", 1), (["b"], "z", 2)]
    assert [(k, t) for k, t, _ in told(lines)] == [("a", "x"), ("c", "y"), ("b", "yz")]


def test_a_long_session_goes_on_in_another_record():
    state = Sessions()
    n = MOST_LINES + 5
    ended = [s for i in range(n) for s in state.add(["a"], f"{i}", "", "t", None)]
    (first,), (rest,) = ended, list(state.finish())
    assert (len(first.codes), first.goes_on) == (MOST_LINES, True)
    assert (len(rest.codes), rest.goes_on, rest.origin) == (5, False, f"{MOST_LINES}")


def test_lines_that_name_nothing_are_taken_by_number_or_by_time():
    plain = told([([], "t", None)] * (WINDOW_LINES + 1))
    assert [len(t) for _, t, _ in plain] == [WINDOW_LINES, 1]
    timed = told([([], "t", 10.0 * i) for i in range(14)])
    assert [len(t) for _, t, _ in timed] == [7, 7]


def test_open_sessions_are_bounded_and_the_longest_silent_ends_first():
    lines = [([k], k, None) for k in "abac"]
    assert [k for k, _, _ in told(lines, most_open=2)] == ["b", "a", "c"]


def test_what_is_new_is_told_once_the_log_is_no_longer_young(monkeypatch):
    monkeypatch.setattr(sessions, "YOUNG_LINES", 3)
    state = Sessions()
    lines = [("a", "x"), ("a", "y"), ("a", "x"), ("b", "x"), ("b", "z"), ("a", "z")]
    ended = [s for k, t in lines for s in state.add([k], "o", "", t, None)] + list(state.finish())
    assert {s.key: s.n_new for s in ended} == {"a": None, "b": 1}


def test_templates_beyond_the_most_share_a_bounded_number_of_names(monkeypatch):
    monkeypatch.setattr(sessions, "MOST_TEMPLATES", 3)
    found = told([(["k"], f"t{i}", None) for i in range(2_000)])
    assert sum(len(t) for _, t, _ in found) > 0
    state = Sessions()
    for i in range(2_000):
        assert not list(state.add([f"{i}"], "o", "", f"t{i}", None))
    names = {state.template(c) for s in state.finish() for c in s.codes}
    assert len(state._templates) == 3 and len(names) <= 3 + 1_024
    assert "other" in str(names)
