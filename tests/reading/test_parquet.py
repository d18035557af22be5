"""Parquet in batches, and damaged files."""

import io

import polars as pl
import pytest

from inoculate.domain import Source
from inoculate.errors import RecordError
from inoculate.reading.parquet import column_types, is_parquet, read_rows
from inoculate.reading.sources import open_source


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": range(1000), "b": ["x"] * 1000}).write_parquet(path, row_group_size=150)
    return path


def test_batches_hold_all_rows_in_order_with_their_numbers(path):
    with open_source(path) as source:
        assert is_parquet(source)
        parts = list(read_rows(source, ["a"], batch_rows=300))
    assert next(n for n, _ in parts) == 1 and len(parts) > 2
    assert pl.concat([f for _, f in parts])["a"].to_list() == list(range(1000))
    assert all(f["a"][0] == n - 1 for n, f in parts)


@pytest.mark.parametrize("cut", [5, 200, -50, -1])
def test_a_damaged_file_is_one_clear_line(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with open_source(path) as source, pytest.raises(RecordError, match="damaged Parquet") as caught:
        list(read_rows(source))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_pipe_is_refused():
    source = Source("stdin", None, b"PAR1", io.BytesIO())
    with pytest.raises(RecordError, match="from a file only"):
        column_types(source)


def test_a_file_name_with_wildcards_is_that_file(tmp_path):
    path = tmp_path / "[t]*.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with open_source(path) as source:
        assert [f.height for _, f in read_rows(source)] == [1]


def test_damage_anywhere_is_an_error_or_harmless_and_never_fewer_rows(path, capfd):
    good = path.read_bytes()
    errors = 0
    for at in range(4, len(good), 61):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        with open_source(path) as source:
            try:
                n_rows = sum(len(frame) for _, frame in read_rows(source))
            except RecordError as err:
                assert str(err).startswith(f"{path}: damaged Parquet")
                errors += 1
            else:
                assert n_rows == 1000
    assert errors > 10
    assert capfd.readouterr().err == "", "a decoder that panics is not to be heard"
