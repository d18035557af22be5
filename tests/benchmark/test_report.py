"""The report says what was measured, and where we lose."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from inoculate.benchmark.page import bars, lines, page
from inoculate.benchmark.report import against_baselines, as_json, markdown
from inoculate.benchmark.statistics import tables
from tests.benchmark.test_statistics import results

LOSING = tables(results("trees <b>|x", 0.6) + results("prior", 0.4, baseline=False))
FACTS = {"Draws": "3 <script>"}


def test_a_loss_is_said_plainly():
    text = markdown(LOSING, FACTS)
    assert re.search(r"prior is 0\.\d+ \*\*below\*\* trees", text)
    assert "prior loses on a: recall 0.4" in text
    assert "worse: prior" in text


def test_every_table_line_has_as_many_cells_as_its_head():
    blocks = re.findall(r"(?:^\|.*\n)+", markdown(LOSING, FACTS), re.M)
    assert blocks
    for block in blocks:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block


def test_the_json_holds_the_same_figures():
    found = json.loads(json.dumps(as_json(LOSING, FACTS)))
    table = found["tables"]["flows/never-seen/detect/5"]
    assert table["best_baseline"] == "trees <b>|x"
    assert table["learners"]["prior"]["gaps"]["recall"]["verdict"] == "worse"
    assert len(table["losses"]) == 2


def test_the_page_needs_nothing_else_and_escapes_names():
    text = page(LOSING, FACTS)
    assert "<script" not in text
    assert "trees <b>" not in text
    assert not re.search(r"""(?:src|href)=|url\(|@import""", text)
    assert text.count("<svg") == 4
    for picture in re.findall(r"<svg.*?</svg>", text, re.S):
        ET.fromstring(picture)


def test_a_longer_bar_is_a_larger_value_and_nan_has_none():
    widths = re.findall(r'width="([\d.]+)" height', bars({"a": 1.0, "b": 2.0}, {"a": "", "b": ""}))
    assert float(widths[1]) == pytest.approx(2 * float(widths[0]), rel=0.01)
    assert 'width="0.0"' in bars({"a": float("nan")}, {"a": ""})


def test_a_line_has_a_point_for_each_number_of_examples():
    text = lines({"a": [(1.0, 0.2), (5.0, 0.6)], "b": [(5.0, 0.5)]}, {"a": "red", "b": "blue"})
    assert text.count("<circle") == 3
    assert lines({}, {}) == ""


@pytest.mark.parametrize(
    ("figures", "n"),
    [
        ({"recall": (0.41, 0.05)}, 0),
        ({"recall": (0.6, 0.05)}, 1),
        ({"auroc": (0.1, 0.05)}, 1),
    ],
)
def test_a_figure_worse_than_its_committed_one_or_missing_is_a_regression(figures, n):
    wanted = {k: {"value": v, "tolerance": t} for k, (v, t) in figures.items()}
    assert len(against_baselines(LOSING, {"flows/never-seen/detect/5": {"prior": wanted}})) == n
