"""``scan`` of code without a detector: a triage list, and its exit codes."""

import json

import pytest

from tests.cli.test_main import run
from tests.workflows.test_triage import VIEWS


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "views.py").write_text(VIEWS)
    return tmp_path


def test_a_list_is_marked_and_fails_only_where_that_is_asked_for(folder):
    done = run("scan", "src", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "triage: not calibrated on your code, no promise of false alarms" in done.stdout
    assert "rank 1 of 1 function for cwe-89" in done.stdout
    assert run("scan", "src", "--fail-on", "never", cwd=folder).returncode == 0
    assert run("scan", "src", "--fail-on", "any", cwd=folder).returncode == 1
    refused = run("scan", "src", "--fail-on", "0.001", cwd=folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--fail-on is a rate" in refused.stderr


def test_a_list_as_lines_says_the_same_beside(folder):
    done = run("scan", "src", "--format", "jsonl", "--most", "2", cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f["threat"] for f in told] == ["cwe-89", "cwe-78"]
    assert "2 findings in 4 functions\n" in done.stderr
    assert "no promise of false alarms" in done.stderr
    assert "1 more function with weaker hits" in done.stderr


def test_what_is_new_is_still_to_be_had(folder):
    done = run("scan", "src", "--no-triage", cwd=folder)
    assert done.returncode == 2
    assert "records are too few to tell what is usual" in done.stderr


def test_functions_that_are_marked_make_a_detector(folder):
    text = "".join(f"def add{i}(a, b):\n    return a + b * {i}\n\n\n" for i in range(30))
    (folder / "src" / "sums.py").write_text(text)
    done = run("adapt", "--marked", "src/views.py:7", "--safe", "src/sums.py:1", "--threat",
               "cwe-89", "-o", "cwe-89.detector", cwd=folder)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "examples        cwe-89 (1)" in done.stdout
    assert "marked: find in src/views.py" in done.stdout
    assert "safe: add0 in src/sums.py" in done.stdout
    wrong = run("adapt", "--marked", "src/views.py:9", "-o", "b.detector", cwd=folder)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "src/views.py:9: no function there; the nearest begins in line 10" in wrong.stderr
    assert not (folder / "b.detector").exists()
