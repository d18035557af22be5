"""The benchmark as a user runs it: the small size, and a table of one's own."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.benchmark.runner import Entrant
from inoculate.errors import InputError, NotFoundError
from inoculate.registry import LEARNERS
from inoculate.workflows.bench import Request, baselines, bench


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("INOCULATE_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    family = np.array(["fine"] * 600 + ["worm"] * 60 + ["bot"] * 60 + ["rare"] * 3)
    x = rng.normal(size=(len(family), 4))
    x[family == "worm", 0] += 6
    x[family == "bot", 1] -= 6
    frame = pl.DataFrame({f"c{i}": x[:, i] for i in range(4)} | {"family": family})
    frame.write_parquet(tmp_path / "my set.parquet")
    return str(tmp_path / "my set.parquet")


def test_the_small_size_keeps_its_committed_figures(tmp_path, no_data):
    outcome = bench(Request(tmp_path / "out"))
    assert outcome.regressions == ()
    groups = {t.group for t in outcome.tables}
    assert set(baselines()) < groups
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.html",
        "report.json",
        "report.md",
        "results.jsonl",
    }


def test_one_s_own_table_is_measured_class_by_class(tmp_path, table):
    request = Request(
        tmp_path / "out",
        table,
        "family",
        ("fine",),
        learners=("extra_trees",),
        only=("*/detect/5",),
    )
    (found,) = bench(request).tables
    assert found.group == "table/own/detect/5"
    assert found.rows[0].figures["auroc"].mean > 0.95
    (line,) = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["scenario"] == "table/my-set/own/detect/5"
    assert set(json.loads(line)["classes"]) == {"bot", "worm"}  # three rare records are too few


def test_the_label_is_no_column(tmp_path, table):
    frame = pl.read_parquet(table).with_columns(pl.lit(1.0).alias("c0"))
    frame = frame.select("family", pl.col("c1", "c2", "c3").shuffle(seed=1), "c0")
    frame = frame.rename({"family": "verdict"})
    frame.write_parquet(table)
    request = Request(tmp_path / "out", table, "verdict", ("fine",), only=("*/detect/5",))
    (found,) = bench(request).tables
    assert all(abs(r.figures["auroc"].mean - 0.5) < 0.2 for r in found.rows)


def test_more_learners_can_be_handed_in(tmp_path, no_data):
    request = Request(tmp_path, learners=("mine",), only=("made/islands/*/detect/5",))
    mine = Entrant(LEARNERS.load("k_nearest")(), baseline=False)
    (table,) = bench(request, extra={"mine": mine}).tables
    assert [r.learner for r in table.rows] == ["mine"]


def test_a_prior_that_has_seen_one_s_own_file_takes_no_part(tmp_path, table):
    mark = hashlib.sha256(Path(table).read_bytes()).hexdigest()
    nearest = LEARNERS.load("k_nearest")()
    extra = {"new": Entrant(nearest), "knows it": Entrant(nearest, seen=frozenset({mark}))}
    request = Request(
        *(tmp_path / "out", table, "family", ("fine",)),
        learners=("new", "knows it"),
        only=("*/detect/5",),
    )
    outcome = bench(request, extra=extra)
    assert [r.learner for r in outcome.tables[0].rows] == ["new"]
    assert any("knows it took no part" in note for note in outcome.notes)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"learners": ("nobody",)}, NotFoundError, "nobody"),
        ({"only": ("nothing/*",)}, InputError, "no scenario fits nothing"),
        ({"file": "x.csv"}, InputError, "--label COLUMN and --benign VALUE"),
        ({"file": "TABLE", "label": "kind", "benign": ("a",)}, InputError, "no column 'kind'"),
        ({"file": "TABLE", "label": "family", "benign": ("a",)}, InputError, "no record is a"),
    ],
)
def test_wrong_requests_are_one_clear_error(tmp_path, no_data, table, change, error, text):
    change = {k: table if v == "TABLE" else v for k, v in change.items()}
    with pytest.raises(error, match=text):
        bench(Request(tmp_path / "out", **change))


def test_real_data_are_read_as_the_plan_says(tmp_path, data_dir):
    request = Request(
        tmp_path,
        folder=data_dir,
        learners=("extra_trees", "one_column"),
        only=("flows/cseids2018_sample/never-seen/detect/5",),
    )
    (table,) = bench(request).tables
    assert table.rows[0].learner == "extra_trees"
    assert table.rows[0].figures["recall"].mean > 0.8
