"""Scans in CI: SARIF, baselines and exit codes through the command itself."""

import json

import numpy as np
import pytest

from tests.cli.test_main import run
from tests.workflows.conftest import ZEEK_HEADER, write, zeek_lines


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository with a log of 30 usual flows and 3 uploads, and a detector of uploads."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / ".git").mkdir()
    (folder / "logs").mkdir()
    rng = np.random.default_rng(5)
    write(folder / "few.log", zeek_lines(rng, 5, threat=True), ZEEK_HEADER)
    write(folder / "week.log", zeek_lines(rng, 1200, threat=False), ZEEK_HEADER)
    mixed = zeek_lines(rng, 30, threat=False) + zeek_lines(rng, 3, threat=True)
    write(folder / "logs" / "conn.log", mixed, ZEEK_HEADER)
    done = run(
        "adapt", "-q", "--examples", "few.log", "--background", "week.log", "--threat", "upload",
        "-o", "upload.detector", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def scanned(made, *more, cwd=None):
    detector = made / "upload.detector"
    return run("scan", made / "logs" / "conn.log", "-d", detector, *more, cwd=cwd or made)


def test_sarif_names_files_from_the_root_of_the_repository(made):
    done = scanned(made, "-f", "sarif", cwd=made / "logs")
    assert (done.returncode, done.stderr) == (1, "")
    (log,) = json.loads(done.stdout)["runs"]
    places = [r["locations"][0]["physicalLocation"] for r in log["results"]]
    assert {p["artifactLocation"]["uri"] for p in places} == {"logs/conn.log"}
    assert [p["region"]["startLine"] for p in places] == [38, 39, 40]
    assert str(made) not in done.stdout


def test_known_findings_do_not_fail_and_new_ones_do(made):
    written = scanned(made, "--write-baseline", "known.json", "--fail-on", "never", "-q")
    assert written.returncode == 0
    done = scanned(made, "--baseline", "known.json", "-f", "jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    assert "known from baseline known.json and not shown: 3 findings" in done.stderr
    text = (made / "known.json").read_text()
    (made / "fewer.json").write_text(text.replace('"n": 1', '"n": 2', 1))
    again = scanned(made, "--baseline", "fewer.json", "-f", "jsonl")
    assert "in baseline fewer.json but not found any more: 1 finding;" in again.stderr


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("any", 1), ("0.001", 1), ("1e-3", 1)])
def test_findings_make_the_exit_code_1_as_asked(made, fail_on, code):
    assert scanned(made, "--fail-on", fail_on, "-q").returncode == code


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--fail-on", "sometimes"), "--fail-on is 'sometimes'; expected never, any or a rate"),
        (("--fail-on", "0.5"), "--fail-on is 0.5; expected a rate above 0 and at most"),
        (("--fail-on", "nan"), "--fail-on is nan"),
        (("--baseline", "nowhere.json"), "nowhere.json: no such baseline"),
        (("--baseline", "week.log"), "week.log: not JSON"),
        (("--write-baseline", "no/known.json"), "no/known.json: cannot be written"),
    ],
)
def test_a_mistake_is_one_line(made, more, words):
    done = scanned(made, *more)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("inoculate: error: ")
    assert words in line


def test_never_does_not_hide_what_could_not_be_read(made):
    done = run("scan", "gone.log", "-d", "upload.detector", "--fail-on", "never", cwd=made)
    assert done.returncode == 2
