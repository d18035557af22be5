"""CSV: always the same columns, and nothing a spreadsheet would run."""

import csv
import io
import json

import pytest

from inoculate.render.csv import Csv
from tests.render.samples import assert_safe_for_a_terminal, finding, hostile_finding, report


def table(findings):
    renderer = Csv()
    text = renderer.begin() + renderer.rows(findings) + renderer.end(report())
    return list(csv.DictReader(io.StringIO(text), strict=True)), text


def test_a_finding_is_a_row():
    (row,), _ = table([finding()])
    assert row["time_utc"] == "2026-01-01 00:00:00"
    assert (row["orig_h"], row["orig_p"], row["proto"]) == ("10.0.0.5", "50022", "tcp")
    assert row["reasons"] == "bytes sent 1.2 MB: above 99.8 % of background"
    assert float(row["score"]) == 0.9
    assert row["record"] == ""


def test_other_identity_columns_are_json():
    (row,), _ = table([finding(record={"user": "ann", "n": 3})])
    assert json.loads(row["record"]) == {"user": "ann", "n": 3}
    assert row["orig_h"] == ""


def test_no_finding_is_a_header():
    rows, text = table([])
    assert not rows
    assert text.startswith("time_utc,threat,score,")


def test_it_streams_in_parts():
    renderer = Csv()
    assert renderer.streams
    whole = renderer.rows([finding(0), finding(1)])
    assert whole == renderer.rows([finding(0)]) + renderer.rows([finding(1)])


@pytest.mark.parametrize(
    "text", ["=cmd()", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\x1b[0m=1"]
)
def test_no_text_begins_like_a_formula(text):
    (row,), _ = table([finding(threat=text, origin=text, record={"orig_h": text, "proto": text})])
    for name in ("threat", "origin", "orig_h", "proto"):
        assert row[name].startswith("'")


def test_a_negative_number_stays_a_number():
    (row,), _ = table([finding(score=-1.5)])
    assert float(row["score"]) == -1.5


def test_hostile_text_stays_in_its_cell():
    rows, text = table([hostile_finding(), finding(threat='a,b"c\nd')])
    assert_safe_for_a_terminal(text)
    assert len(rows) == 2
    assert rows[1]["threat"] == 'a,b"c d'
    assert rows[0]["ts"] == ""
    assert rows[0]["reasons"].startswith("'=cmd()")
