"""What flow formats made of text share."""

import polars as pl
import pytest

from inoculate.features.flows.flow_text import protocol, rename_clashing, seconds


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("1709632800.25", 1709632800.25),
        ("2024-03-05T10:00:00.250000Z", 1709632800.25),
        ("2024-03-05T12:00:00.250+0200", 1709632800.25),
        ("2024-03-05T10:00:00.25", 1709632800.25),
        ("2024-03-05 10:00:00.250", 1709632800.25),
        ("05/03/2024 10:00:00 AM", 1709632800.0),
        ("05/03/2024 10:00:00 PM", 1709676000.0),
        ("05/03/2024 10:00:00", 1709632800.0),
        ("5/3/2024 10:00", 1709632800.0),
        ("yesterday", None),
        ("", None),
        (None, None),
        ("99999-01-01 00:00:00", None),
    ],
)
def test_every_form_of_time_is_read_also_after_another_form(cell, expected):
    for first in ([], ["2024-03-05 10:00:00"], ["7"], [None], ["x"]):
        text = pl.Series("ts", [*first, cell], pl.String)
        assert seconds(text)[-1] == (pytest.approx(expected) if expected else None)


def test_numbers_count_their_unit():
    assert seconds(pl.Series(["250"]), unit_s=1e-3)[0] == 0.25
    assert seconds(pl.Series([250]), unit_s=1e-3)[0] == 0.25
    assert seconds(pl.Series([], dtype=pl.String)).len() == 0


def test_protocols_by_name_and_number():
    frame = pl.DataFrame({"p": ["6", "17.0", " TCP ", "ipv6-icmp", "58", "132", None]})
    names = frame.select(protocol(pl.col("p"))).to_series().to_list()
    assert names == ["tcp", "udp", "tcp", "icmp6", "icmp6", "132", None]


def test_only_unknown_columns_are_renamed_and_never_onto_another():
    frame = pl.DataFrame({"ts": [1], "failed": [2], "failed_source": [3], "label": [4]})
    renamed = rename_clashing(frame, {"ts"})
    assert renamed.columns == ["ts", "failed_source_source", "failed_source", "label"]
