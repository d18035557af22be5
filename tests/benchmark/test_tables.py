"""Tables as numbers, and records by class."""

import hashlib

import numpy as np
import polars as pl
import pytest

from inoculate.benchmark.scenario import Dataset, plan
from inoculate.benchmark.tables import VIEW, made_up, plain_columns, pool_of, read
from inoculate.domain import Batch
from inoculate.errors import InputError
from inoculate.registry import DOMAINS
from inoculate.task import Encoded


def test_text_becomes_a_yes_no_column_for_each_of_its_eight_frequent_values():
    values = [c for i, c in enumerate("abcdefghij") for _ in range(20 - i)]
    x = plain_columns(pl.DataFrame({"t": values}))[VIEW]
    assert x.shape == (len(values), 8)
    np.testing.assert_array_equal(x[:, 0], [v == "a" for v in values])


def test_text_that_is_mostly_numbers_is_numbers_and_infinity_is_unknown():
    frame = pl.DataFrame({"n": ["1", "2.5", "x"], "f": [1e300, 2.0, float("inf")]})
    x = plain_columns(frame)[VIEW]
    np.testing.assert_array_equal(x, np.array([[1, np.nan], [2.5, 2], [np.nan, np.nan]], "f4"))


def test_exact_repeats_and_ignored_classes_are_left_out():
    x = Encoded({VIEW: np.array([[0], [0], [1], [2], [3]], np.float32)})
    dataset = Dataset(domain="d", name="n", benign=("ok*",), ignore=("?",), merge={"b": "a"})
    pool = pool_of(dataset, x, np.array(["ok 1", "ok 2", "a", "b", "?"]))
    assert pool.x.n_records == 3
    assert len(pool.benign) == 1
    assert {c: len(r) for c, r in pool.classes.items()} == {"a": 2}


def test_another_file_than_the_plan_s_is_refused(tmp_path):
    pl.DataFrame({"a": [1.0, 2.0], "label": ["x", "ok"]}).write_parquet(tmp_path / "t.parquet")
    mark = hashlib.sha256((tmp_path / "t.parquet").read_bytes()).hexdigest()
    dataset = Dataset(domain="d", name="t", file="t.parquet", sha256=mark, benign=("ok",))
    assert list(read(dataset, tmp_path).pool.classes) == ["x"]
    with pytest.raises(InputError, match="SHA-256"):
        read(dataset.model_copy(update={"sha256": "0" * 64}), tmp_path)
    with pytest.raises(InputError, match="no column 'family'"):
        read(dataset.model_copy(update={"label": "family"}), tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read(dataset, tmp_path / "nowhere")


def test_a_set_without_a_benign_class_takes_all_its_records_for_usual():
    x = Encoded({VIEW: np.arange(4, dtype=np.float32)[:, None]})
    pool = pool_of(Dataset(domain="d", name="n"), x, np.array(["a", "b", "a", "b"]))
    assert len(pool.benign) == 4
    assert {c: r.tolist() for c, r in pool.classes.items()} == {"a": [0, 2], "b": [1, 3]}


def test_records_come_as_a_format_encodes_them_and_with_what_they_were_recorded_with(tmp_path):
    frame = pl.DataFrame(
        {
            "name": ["aa.com", "bb.com", "aa.com", "q7x9.net"],
            "run": ["r1", "r1", "r2", "r2"],
            "label": ["ok", "ok", "ok", "dga"],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    dataset = Dataset(
        domain="text",
        name="t",
        file="t.parquet",
        sha256=hashlib.sha256((tmp_path / "t.parquet").read_bytes()).hexdigest(),
        benign=("ok",),
        format="domain_names",
        columns={"text": "name"},
        together="run",
    )
    data = read(dataset, tmp_path)
    domain = DOMAINS.load("domain_names")()
    texts = pl.DataFrame({"text": ["aa.com", "bb.com", "q7x9.net"], "origin": ["t"] * 3})
    expected = domain.encode(Batch(texts), data.views)
    np.testing.assert_array_equal(data.pool.x.stacked(), expected.stacked())
    assert data.pool.together.tolist() == [1, 1, 2]
    with pytest.raises(InputError, match="nothing"):
        read(dataset.model_copy(update={"columns": {"text": "nothing"}}), tmp_path)


def test_made_tables_are_the_same_each_time():
    for a, b in zip(made_up(), made_up(), strict=True):
        np.testing.assert_array_equal(a.pool.x.stacked(), b.pool.x.stacked())


def test_the_plan_s_datasets_hold_no_column_that_they_name_as_leaking(data_dir):
    for dataset in plan().dataset:
        columns = pl.read_parquet_schema(data_dir / dataset.file)
        assert set(dataset.left_out) <= set(columns), dataset.name
        assert {*dataset.columns.values(), dataset.label} <= set(columns), dataset.name
        assert not dataset.together or dataset.together in columns


def coded(**more):
    return Dataset(domain="code", name="n", label="cwe", harmful="bad", pair="pair", **more)


def test_twins_are_found_by_their_pair_and_only_where_there_is_one_of_each_side(tmp_path):
    bodies = {"a": "gets(x);", "b": "fgets(x);", "c": "strcpy(a, b);", "d": "n++;", "e": "n--;"}
    rows = [  # cwe, bad, pair, text
        ("CWE-1", 1, "p", "a"),
        ("CWE-1", 0, "p", "b"),
        ("CWE-1", 1, "q", "c"),
        ("CWE-2", 0, "r", "d"),
        (None, 1, None, "e"),
    ]
    frame = pl.DataFrame(rows, schema=["cwe", "bad", "pair", "key"], orient="row").with_columns(
        text=pl.col("key").replace_strict({k: f"void f() {{ {v} }}" for k, v in bodies.items()}),
        language=pl.lit("c"),
    )
    path = tmp_path / "t.parquet"
    frame.write_parquet(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    columns = {"text": "text", "language": "language"}
    dataset = coded(file="t.parquet", sha256=digest, format="source", columns=columns)
    pool = read(dataset, tmp_path).pool
    assert {c: r.tolist() for c, r in pool.classes.items()} == {"CWE-1": [0, 2], "unknown": [4]}
    assert pool.benign.tolist() == [1, 3]
    assert pool.twin.tolist() == [1, -1, -1, -1, -1]
    assert pool.paired("CWE-1").tolist() == [0] and pool.paired("unknown").tolist() == []


def test_a_record_whose_twin_repeats_another_has_none():
    x = Encoded({VIEW: np.array([[0], [0], [1], [2]], np.float32)})
    label = np.array(["a", "harmless", "a", "harmless"])
    pool = pool_of(coded(), x, label, twin=np.array([1, -1, 3, -1]))
    assert pool.x.n_records == 3
    assert pool.twin.tolist() == [-1, 2, -1]
