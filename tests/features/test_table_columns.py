"""Which columns of a table are numbers, which are left out, and how they are encoded."""

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Column, View
from inoculate.errors import RecordError
from inoculate.features.table_columns import (
    choose_columns,
    encode_table,
    is_left_out,
    number_columns,
    plain,
    time_column,
)


@pytest.mark.parametrize(
    "name",
    [
        *("id", "uid", "Flow ID", "user_name", "src_ip", "srcIP", "Source IP", "dst_port", "dport"),
        *("Label", "label_binary", "attack_cat", "is_attack", "class", "timestamp", "ts", "time"),
        *("start_time", "id.orig_h", "orig_h", "sha256", "host", "row_group", "split", "date"),
        "epoch_timestamp",
    ],
)
def test_names_that_identify_date_or_classify_are_left_out(name):
    assert is_left_out(name)


@pytest.mark.parametrize(
    "name",
    [
        *("bytes", "response_time", "duration", "proto", "service", "zip_size", "host_flows_60s"),
        *("ship_count", "identity_score", "sbytes", "dload", "sttl", "state", "difficulty"),
    ],
)
def test_names_of_quantities_are_not(name):
    assert not is_left_out(name)


def test_words_of_a_name_and_the_likeliest_time():
    assert plain("srcIP_v4-Count") == "src ip v4 count"
    assert time_column(["a", "Date", "Timestamp"]) == "Timestamp"
    assert time_column(["a"]) is None


def test_number_columns_tolerate_a_few_texts():
    frame = pl.DataFrame({"a": ["1", "2", "3", "x"], "b": ["1", "x", "y", None], "c": [None] * 4})
    assert number_columns(frame.with_columns(pl.col("c").cast(pl.String))) == {"a"}


def test_texts_become_flags_of_their_most_frequent_values_or_a_length():
    n = 400
    frame = pl.DataFrame(
        {
            "number": np.arange(n, dtype=float),
            "few": ["b", "a", "a", "c"] * (n // 4),
            "many": [f"v{i % 33}" for i in range(n)],
            "middling": [f"v{(i * i) % 31}" for i in range(n)],
            "peer": [f"10.0.{i % 7}.1" for i in range(n)],
            "when": ["2024-03-05 10:00:00"] * n,
            "label": ["x"] * n,
        }
    )
    columns = choose_columns(frame, ())
    names = [c.name for c in columns]
    assert names[:5] == ["number", "few=a", "few=b", "few=c", "many.length"]
    middling = [c for c in columns if c.source == "middling"]
    assert len(middling) == 16 and all(c.unit == "yes/no" and c.category for c in middling)
    assert not {"peer", "when", "label"} & {c.source or c.name for c in columns}


COLUMNS = (
    Column("n", "", "n"),
    Column("s=a", "yes/no", "s is a", category="a", source="s"),
    Column("s.length", "char", "length of s", source="s"),
)
ORIGINS = pl.Series("origin", ["t:2", "t:3", "t:4"])


def test_encoding_by_hand():
    frame = pl.DataFrame({"n": [1.5, None, 1e300], "s": ["a", "é€", None]})
    x = encode_table(frame, (View("table", COLUMNS),), ORIGINS)["table"]
    nan = np.nan
    np.testing.assert_array_equal(x, np.array([[1.5, 1, 1], [nan, 0, 2], [nan, nan, nan]], "f4"))


def test_a_category_that_reads_as_a_number_elsewhere_still_matches():
    column = Column("code=404", "yes/no", "code is 404", category="404", source="code")
    frame = pl.DataFrame({"code": [404.0, 200.0, None]})
    x = encode_table(frame, (View("table", (column,)),), ORIGINS)["table"]
    np.testing.assert_array_equal(x[:, 0], np.array([1, 0, np.nan], "f4"))


@pytest.mark.parametrize(
    "frame, problem",
    [
        ({"s": ["a", "b", "c"]}, "t:2: column 'n' is missing; has s"),
        ({"n": [1.0, 2.0, 3.0]}, "t:2: column 's' is missing; has n"),
        ({"n": ["1", None, "x"], "s": ["a"] * 3}, "t:4: column 'n' is 'x', expected a number"),
    ],
)
def test_what_the_detector_expects_must_be_there(frame, problem):
    with pytest.raises(RecordError) as caught:
        encode_table(pl.DataFrame(frame), (View("table", COLUMNS),), ORIGINS)
    assert str(caught.value) == problem


def test_numbers_written_as_text_are_numbers():
    frame = pl.DataFrame({"n": ["1", " 2 ", ""]})
    x = encode_table(frame, (View("table", COLUMNS[:1]),), ORIGINS)["table"]
    np.testing.assert_array_equal(x[:, 0], np.array([1, 2, np.nan], "f4"))
