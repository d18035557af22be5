"""Any table: CSV, JSON Lines, Parquet; its schema; bad input."""

import datetime
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inoculate.domain import Source
from inoculate.domains.tables.table import Table
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLE = Path(__file__).parents[2] / "data" / "table.csv"


def read(path, content=None, *, skip=False):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad = []
    with open_source(path) as source:
        batches = list(Table().read(source, **({"on_bad": bad.append} if skip else {})))
    return batches, bad


def names_of(batch):
    (view,) = Table().views(batch)
    return [c.name for c in view.columns]


def test_sample_schema_and_numbers():
    with open_source(SAMPLE) as source:
        assert Table().sniff(source) == 0.2
        (batch,) = Table().read(source)
    names = names_of(batch)
    assert names[0] == "action=view" and {"status", "size_bytes", "latency_ms"} <= set(names)
    assert "agent=Mozilla/5.0 (X11; Linux), rv 115" in names
    assert not any(n.startswith(("time", "host", "label")) for n in names)
    assert batch.frame["ts"][1] == 1709632860.0 and batch.frame["label"].n_unique() == 2
    assert batch.frame["origin"][0] == f"{SAMPLE}:2"
    x = Table().encode(batch, Table().views(batch))["table"]
    assert x.shape == (60, len(names)) and np.isfinite(x).all()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(tmp_path, separator):
    text = f"a{separator}b\n1{separator}x\n2{separator}y\n"
    (batch,), _ = read(tmp_path / "t.csv", text)
    assert names_of(batch) == ["a", "b=x", "b=y"]


def test_json_lines_and_parquet_hold_the_same_as_csv(tmp_path):
    rows = [{"n": i / 2, "s": "ab"[i % 2], "flag": i > 3, "gone": None} for i in range(8)]
    path = tmp_path / "t.json"
    (batch,), _ = read(path, "".join(json.dumps(r) + "\n" for r in rows))
    assert names_of(batch) == ["n", "s=a", "s=b", "flag=false", "flag=true"]
    frame = pl.DataFrame(rows, schema={"n": pl.Float64, "s": pl.Categorical, "flag": pl.Boolean})
    when = pl.lit(datetime.datetime(2024, 3, 5, 10)).alias("time")
    frame = frame.with_columns(when, nested=pl.lit([1, 2]), big=pl.lit(7, pl.UInt64))
    frame.write_parquet(tmp_path / "t.parquet")
    (table,), _ = read(tmp_path / "t.parquet")
    assert names_of(table) == ["n", "s=a", "s=b", "flag", "big"]
    assert table.frame["ts"][0] == 1709632800.0
    assert table.frame["origin"].to_list()[:2] == [f"{tmp_path / 't.parquet'}:{i}" for i in (1, 2)]
    both = [Table().encode(b, Table().views(batch)[:1])["table"][:, :3] for b in (batch, table)]
    np.testing.assert_array_equal(*both)


def test_milliseconds_since_1970_are_seen_as_such(tmp_path):
    (batch,), _ = read(tmp_path / "t.csv", "timestamp,x\n1709632800250,1\n1709632800,2\n")
    assert batch.frame["ts"].to_list() == [1709632800.25, 1709632800.0]


def test_later_blocks_keep_the_types_of_the_first(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 50 + "oops,x\n" + "2,7\n" * 50)
    with path.open("rb", buffering=0) as file:
        stream = io.BytesIO(file.read())
        source = Source("t", None, stream.getvalue()[:100], stream)
        monkeypatch.setattr(stream, "read", lambda n, read=stream.read: read(64), raising=False)
    bad = []
    frame = pl.concat([b.frame for b in Table().read(source, on_bad=bad.append)])
    assert frame.height == 100 and frame.schema["a"] == pl.Float64
    assert frame.schema["b"] == pl.String
    assert [str(e) for e in bad] == ["t:52: column 'a' is 'oops', expected a finite number"]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a,b,a\n1,2,3\n", "column 'a' is there twice"),
        ("\n \n", "only blank lines"),
    ],
)
def test_a_wrong_header_is_one_line(tmp_path, text, problem):
    with pytest.raises(RecordError, match=problem):
        read(tmp_path / "t.csv", text, skip=True)


@pytest.mark.parametrize(
    "line, problem",
    [
        ("1,2,3", "3 columns, the header has 2"),
        ("inf,2", "column 'a' is 'inf', expected a finite number"),
        ("text,2", "column 'a' is 'text'"),
        ('"1,2', "1 columns, the header has 2"),
        ("x" * 10_000_000, "longer than 1024 KiB"),
    ],
)
def test_a_bad_line_names_its_place_and_the_rest_is_read(tmp_path, line, problem):
    path = tmp_path / "t.csv"
    good = "1,2\n" * 5
    batches, (bad,) = read(path, f"a,b\n{good}{line}\n{good}", skip=True)
    assert sum(len(b) for b in batches) == 10
    assert bad.origin == f"{path}:7" and problem in str(bad)


def test_nothing_to_learn_from_is_said(tmp_path):
    (batch,), _ = read(tmp_path / "t.csv", "id,label\n1,x\n2,y\n")
    with pytest.raises(RecordError, match="no column to learn from among id, label"):
        Table().views(batch)


def test_unnamed_columns_and_columns_called_origin_survive(tmp_path):
    (batch,), _ = read(tmp_path / "t.csv", ",origin,__x\n0,here,1\n1,there,2\n")
    assert names_of(batch)[0] == "column_1"
    assert batch.frame["origin_source"].to_list() == ["here", "there"]


@pytest.mark.parametrize("head", [b"\0\1\2", b"word\nword\n", b"#separator \\x09\n#a\tb\n", b"{x"])
def test_what_is_no_table_is_not_claimed(tmp_path, head):
    path = tmp_path / "t"
    path.write_bytes(head)
    with open_source(path) as source:
        assert Table().sniff(source) == 0.0


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    data=st.binary(max_size=200) | st.text(alphabet='ab1,;"\n\t{}:é', max_size=80).map(str.encode)
)
def test_random_bytes_raise_nothing_but_record_errors(tmp_path, data):
    try:
        batches, _ = read(tmp_path / "t", data or b"x", skip=True)
        for batch in batches:
            Table().encode(batch, Table().views(batch))
    except RecordError:
        pass


@pytest.mark.parametrize(
    "name",
    [
        *("nsl_kdd", "unsw_nb15", "ton_iot_network", "ciciot2022_devices", "csic2010_http"),
        *("dga_dev", "evtx_to_mitre", "adfa_ld"),
    ],
)
def test_real_tables_are_read_and_encoded(data_dir, name):
    path = data_dir / "net" / f"{name}.parquet"
    with open_source(path) as source:
        batches = list(Table().read(source))
    views = Table().views(batches[0])
    x = np.concatenate([Table().encode(b, views)["table"] for b in batches])
    assert len(x) == pl.scan_parquet(path).select(pl.len()).collect().item()
    leaks = {"label", "row_group", "split", "src_ip", "src_port", "label_binary", "id"}
    assert not leaks & {c.source or c.name for c in views[0].columns}
    assert not np.isnan(x).all(axis=0).any()


def test_a_real_table_as_csv_gives_the_same_numbers(data_dir, tmp_path):
    frame = pl.read_parquet(data_dir / "net" / "nsl_kdd.parquet")
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    arrays = []
    views = ()
    for name in ("t.csv", "t.parquet"):
        (batch,), _ = read(tmp_path / name)
        views = views or Table().views(batch)
        arrays.append(Table().encode(batch, views)["table"])
    np.testing.assert_allclose(*arrays, rtol=1e-6)
