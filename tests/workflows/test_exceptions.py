"""Exceptions: what they hide, until when, and every way a file of them can be wrong."""

import json
from datetime import date

import pytest

from inoculate.errors import InputError, RecordError
from inoculate.workflows.exceptions import read_exceptions
from inoculate.workflows.scan import ScanRequest, scan
from tests.render.samples import finding

DAY = date(2026, 5, 1)
GOOD = """
[[exception]]
where = { orig_h = "10.0.0.*", resp_p = 1883 }
threat = "slow*"
reason = "sensors"
author = "ann"
expires = 2026-05-01

[[exception]]
finding = "f00001"
threat = "*"
reason = "pen test"
author = "bob"
expires = "2026-05-02"

[[exception]]
finding = "f00002"
threat = "*"
reason = "pen test of last year"
author = "bob"
expires = 2026-04-30
"""


def read(tmp_path, text, day=DAY):
    path = tmp_path / "e.toml"
    path.write_text(text)
    return read_exceptions(path, lambda: day)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, False),
        ({"threat": "flood"}, True),
        ({"record": {"orig_h": "10.0.1.5", "resp_p": 1883}}, True),
        ({"record": {"orig_h": "10.0.0.5", "resp_p": 80}}, True),
        ({"record": {"orig_h": "10.0.0.5"}}, True),
        ({"record": {"orig_h": None, "resp_p": 1883}}, True),
        ({"finding_id": "f00001", "threat": "flood"}, False),
        ({"finding_id": "f00002", "threat": "flood"}, True),
    ],
)
def test_every_condition_has_to_hold(tmp_path, changes, left):
    assert read(tmp_path, GOOD).left([finding(9, **changes)]).tolist() == [left]


def test_what_was_used_what_expired_and_what_was_not_needed_is_said(tmp_path):
    found = read(tmp_path, GOOD)
    found.left([finding(5), finding(6)])
    used, expired, idle = found.notes()
    assert used.startswith("2 excepted by") and "e.toml#1, ann, until 2026-05-01: sensors" in used
    assert "e.toml#3 expired on 2026-04-30" in expired
    assert "e.toml#2 was not needed" in idle
    assert found.n_excepted == 2


def test_an_exception_holds_to_the_end_of_its_last_day_and_ends_in_a_running_watch(tmp_path):
    days = [date(2026, 5, 1), date(2026, 5, 2)]
    path = tmp_path / "e.toml"
    path.write_text(GOOD)
    found = read_exceptions(path, lambda: days[0])
    assert not found.left([finding(5)])[0]
    days.pop(0)
    assert found.left([finding(5)])[0]
    assert sum("expired" in line for line in found.notes()) == 2


def test_json_lines_say_the_same(tmp_path):
    entry = {
        "where": {"orig_h": "10.0.0.5"}, "threat": "slowite", "reason": "r", "author": "a",
        "expires": "2026-05-01",
    }  # fmt: skip
    found = read(tmp_path, json.dumps(entry) + "\n\n")
    assert not found.left([finding(1)])[0]
    assert "e.toml:1" in next(iter(found.notes()))


def test_a_value_with_brackets_is_first_of_all_itself(tmp_path):
    text = GOOD.replace('"10.0.0.*"', '"[kworker]"')
    record = {"orig_h": "[kworker]", "resp_p": 1883}
    assert not read(tmp_path, text).left([finding(1, record=record, finding_id="x")])[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('reason = "sensors"\n', "", "e.toml#1: reason is missing"),
        ('reason = "sensors"', 'reason = " "', "e.toml#1: reason is missing or empty"),
        ('author = "ann"\n', "", "e.toml#1: author is missing"),
        ("expires = 2026-05-01\n", "", "e.toml#1: expires is missing"),
        ("expires = 2026-05-01", 'expires = "soon"', "e.toml#1: expires is 'soon'"),
        ("expires = 2026-05-01", "expires = 2026-05-01T10:00:00", "e.toml#1: expires is"),
        ('threat = "slow*"\n', "", "e.toml#1: threat is missing"),
        ('finding = "f00001"\n', "", "e.toml#2: needs either finding"),
        ('finding = "f00001"', 'finding = "f00001"\nwhere = { a = 1 }', "e.toml#2: needs either"),
        ('finding = "f00001"', "finding = 7", "e.toml#2: finding is not an id"),
        ('{ orig_h = "10.0.0.*", resp_p = 1883 }', "{}", "e.toml#1: where is not a table with"),
        ("resp_p = 1883", "resp_p = [1]", "e.toml#1: where: resp_p is not text or a number"),
        ('author = "ann"', 'author = "ann"\nuntil = 1', "e.toml#1: unknown key 'until'"),
        ("[[exception]]\nwhere", "[[except]]\nwhere", "unknown key 'except'"),
        ("[[exception]]\nwhere", "[[exception\nwhere", "not TOML"),
        ("expires = 2026-05-01", "expires = " + "9" * 5000, "e.toml: not TOML: Exceeds the limit"),
        ("expires = 2026-05-01", "expires = 0x" + "f" * 5000, "e.toml#1: expires is of type int"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a": 1}\n{', "e.toml:1: unknown key"),
        (b"{" * 100_000, "e.toml:1: not JSON"),
        (b"exception = 1", "write [[exception]]"),
        (b"a" * (5 << 20), "over 4 MiB"),
    ],
)
def test_what_is_no_file_of_exceptions_is_refused(tmp_path, content, words):
    path = tmp_path / "e.toml"
    path.write_bytes(content)
    with pytest.raises((InputError, RecordError)) as caught:
        read_exceptions(path, lambda: DAY)
    assert words in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_exceptions(tmp_path / "none.toml", lambda: DAY)


def test_a_scan_counts_what_it_does_not_report_and_still_explains_the_rest(
    tmp_path, table, detector
):
    plain = scan(ScanRequest(sources=(table["mixed"],), detector=detector, false_alarms=0.01))
    first, *rest = plain.report.findings
    path = tmp_path / "e.jsonl"
    entry = {
        "finding": first.finding_id, "threat": first.threat, "reason": "known", "author": "ann",
        "expires": "2026-05-01",
    }  # fmt: skip
    path.write_text(json.dumps(entry) + "\n")
    request = ScanRequest(
        sources=(table["mixed"],), detector=detector, false_alarms=0.01, exceptions=path, today=DAY
    )
    report = scan(request).report
    assert list(report.findings) == rest
    assert (report.n_findings, report.n_excepted) == (len(rest), 1)
    assert any("1 excepted by" in note and "known" in note for note in report.notes)
