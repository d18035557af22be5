"""Marking, rolling back and excepting from the command line."""

import json

import numpy as np
import pytest

from tests.cli.test_main import run
from tests.workflows.conftest import ZEEK_HEADER, write, zeek_lines

EXCEPTION = """[[exception]]
where = { resp_p = 443 }
threat = "upload"
reason = "known \\u001b[31m"
author = "ann"
expires = 2999-01-01
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a detector of uploads and a log that holds three."""
    folder = tmp_path_factory.mktemp("feedback")
    rng = np.random.default_rng(5)
    write(folder / "few.log", zeek_lines(rng, 5, threat=True), ZEEK_HEADER)
    write(folder / "week.log", zeek_lines(rng, 400, threat=False), ZEEK_HEADER)
    mixed = zeek_lines(rng, 30, threat=False) + zeek_lines(rng, 3, threat=True)
    write(folder / "conn.log", mixed, ZEEK_HEADER)
    done = run(
        "adapt", "--examples", "few.log", "--background", "week.log", "--threat", "upload",
        "-o", "upload.detector", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def scanned(made, *more):
    return run(
        "scan", "conn.log", "-d", "upload.detector", "--false-alarms", "0.01", "-f", "jsonl",
        *more, cwd=made,
    )  # fmt: skip


def test_mark_tells_what_it_changed_show_the_version_and_rollback_undoes_it(made):
    findings = scanned(made, "-o", "f.jsonl")
    assert findings.returncode == 1
    one = json.loads((made / "f.jsonl").read_text().splitlines()[0])["finding_id"]
    command = ("mark", one, "-d", "upload.detector", "--false-alarms", "0.01")
    done = run(*command, "--as", "threat", "--report", "f.jsonl", "--author", "ann", cwd=made)
    assert (done.returncode, done.stderr) == (0, "")
    assert "upload.detector: version 2" in done.stdout
    assert "marked          conn.log:" in done.stdout
    assert "otherwise       0 other findings go, 0 appear" in done.stdout
    shown = run("show", "upload.detector", cwd=made).stdout
    assert "version         2, made from version 1 by marking" in shown
    refused = run(*command, "--as", "benign", "--source", "conn.log", "--author", "x", cwd=made)
    assert refused.returncode == 7
    (line,) = refused.stderr.splitlines()
    assert line.startswith("inoculate: error: ") and "cannot be benign" in line
    back = run("rollback", "upload.detector", cwd=made)
    assert (back.returncode, back.stderr) == (0, "")
    assert "version 1 again, was 2; have 1, 2" in back.stdout
    assert "dropped         conn.log:" in back.stdout
    assert scanned(made).stdout == (made / "f.jsonl").read_text()
    assert run("rollback", "upload.detector", cwd=made).returncode == 2
    assert run("rollback", "upload.detector", "--to", "9", cwd=made).returncode == 4


def test_excepted_findings_are_counted_and_do_not_make_the_exit_code_1(made):
    (made / "e.toml").write_text(EXCEPTION)
    done = scanned(made, "--exceptions", "e.toml")
    assert (done.returncode, done.stdout) == (0, "")
    assert "3 more were excepted" in done.stderr
    assert "3 excepted by e.toml#1, ann, until 2999-01-01: known" in done.stderr
    assert "\x1b" not in done.stderr
    table = run(
        "scan", "conn.log", "-d", "upload.detector", "--exceptions", "e.toml",
        "--false-alarms", "0.01", cwd=made,
    )  # fmt: skip
    assert "no finding, 3 excepted" in table.stdout
    assert "\x1b" not in table.stdout


def test_a_bad_exception_is_one_line_with_its_place(made):
    (made / "bad.toml").write_text(EXCEPTION.replace('author = "ann"\n', ""))
    done = scanned(made, "--exceptions", "bad.toml")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "inoculate: error: bad.toml#1: author is missing or empty; every exception needs one"
    )
