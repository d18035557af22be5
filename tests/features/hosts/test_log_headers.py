"""Beginnings of log lines: the time of each form, and what is left of the line."""

import polars as pl
import pytest

from inoculate.features.hosts.log_headers import times, without_header

LATEST = 1_700_000_000.0  # 2023-11-14 22:13:20
FORMS = [
    ("Jun 14 15:16:01 combo sshd[1]: x", 1_686_755_761.0, "sshd[1]: x"),
    ("<34>Dec 24 00:00:00 host su: x", 1_671_840_000.0, "su: x"),
    ("<34>1 2003-10-11T22:14:15.003Z host su - ID47 - x", 1_065_910_455.003, "su - ID47 - x"),
    ("<34>1 - host su - ID47 - x", None, "su - ID47 - x"),
    ("2024-05-01T10:00:00.25+02:00 web1 sshd[123]: x", 1_714_550_400.25, "sshd[123]: x"),
    ("2024-05-01T10:00:00-0130 x y", 1_714_563_000.0, "x y"),
    ("2024-05-01 10:00:00,250 INFO main: x", 1_714_557_600.25, "INFO main: x"),
    ("[2024-05-01 10:00:00] x", 1_714_557_600.0, "x"),
    ("2024/05/01 10:00:00 [error] x", 1_714_557_600.0, "[error] x"),
    ("1700000000.5 x", 1_700_000_000.5, "x"),
    ("1700000000123 x", 1_700_000_000.123, "x"),
    ("1700000000123456 x", 1_700_000_000.123456, "x"),
    ("[Sun Dec 04 04:47:44 2005] [error] x", 1_133_671_664.0, "[error] x"),
    ("[   12.345678] usb 1-1: x", None, "usb 1-1: x"),
    ("2024-99-01T10:00:00Z x", None, "x"),
    ("Feb 30 10:00:00 host x", None, "x"),
    ("12345678901234567890 x", None, "12345678901234567890 x"),
    ("no time", None, "no time"),
    ("", None, ""),
    (None, None, None),
]


@pytest.mark.parametrize(("line", "ts", "message"), FORMS)
def test_each_form_gives_its_time_and_its_message(line, ts, message):
    found = times(pl.Series([line], dtype=pl.String), latest=LATEST).item()
    assert found == (ts if ts is None else pytest.approx(ts, abs=1e-5))
    assert without_header(pl.Series([line], dtype=pl.String)).item() == message


def test_forms_may_be_mixed_in_one_log():
    lines, ts, said = zip(*FORMS, strict=True)
    found = times(pl.Series(lines, dtype=pl.String), latest=LATEST).to_list()
    assert found == [t if t is None else pytest.approx(t, abs=1e-5) for t in ts]
    assert without_header(pl.Series(lines, dtype=pl.String)).to_list() == list(said)


def test_a_day_without_year_is_in_the_year_before_where_it_would_lie_ahead():
    day = pl.Series(["Nov 15 00:00:00 h x", "Nov 17 00:00:00 h x"])
    assert times(day, latest=LATEST).to_list() == [1_700_006_400.0, 1_668_643_200.0]


@pytest.mark.parametrize("latest", [-1e30, 0.0, 1e30])
def test_any_time_of_a_file_is_survived(latest):
    assert times(pl.Series(["Nov 15 00:00:00 h x"]), latest=latest).dtype == pl.Float64
