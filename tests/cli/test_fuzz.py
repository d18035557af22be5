"""``inoculate fuzz`` at the terminal: what is refused, how it stops, how findings are shown."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inoculate.cli.main import app
from inoculate.fuzzing.endings.triage import folders
from inoculate.fuzzing.running.journal import Journal
from inoculate.workflows.fuzz_request import JOURNAL, FuzzRequest
from tests.render.test_sarif import validator
from tests.workflows.parsers import package

ROOT = Path(__file__).parents[2]


def run(*arguments):
    result = CliRunner().invoke(app, ["fuzz", *map(str, arguments)], standalone_mode=False)
    return result.exception, result.return_value, result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give --target PROGRAM or --python"),
        (["--target", "a", "--python", "b.c"], "one of them"),
        (["--python", "b.c", "--input-file", "@@"], "are for --target"),
        (["--target", "a", "--expect", "KeyError"], "are for --python"),
        (["--target", "a", "--time", "soon"], "--time is 'soon'"),
        (["--target", "a", "--time", "0"], "--time is 0 s"),
        (["--target", "a", "--memory", "much"], "--memory is 'much'"),
        (["--target", "a", "--memory", "1K"], "--memory is 1024 bytes"),
        (["--target", "a", "--timeout", "1ms"], "--timeout is 0.001 s"),
        (["--target", "a", "--seeds", "none"], "none: no such file or folder"),
        (["--target", "a"], "a: cannot be read"),
        (["--target", "/bin/sh", "--dictionary", "words"], "words:2: no token"),
        (["--target", "script"], "no ELF program"),
        (["--target", "script", "--seeds", "empty"], "empty: no seed"),
        (["--python", "no.such"], "no such function"),
        (["resume", "none"], "no run of fuzz"),
        (["report", "none"], "no run of fuzz"),
        (["--target", "a", "--agent", "nobody"], "nobody"),
        (["report", "none", "--format", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").write_text('"a"\nb\n')
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "empty").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    error, _, _ = run(*arguments)
    assert error is not None and problem in str(error), error
    assert "\n" not in str(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.fixture
def found(tmp_path):
    """A run's folder with one finding, whose target says what it should not."""
    evil = "\x1b]0;owned\x07<script>alert(1)</script>\u202e"
    out = tmp_path / "out"
    place = out / "findings" / "1"
    place.mkdir(parents=True)
    FuzzRequest(out=out, python="notes.loads", agent="uniform", form="bytes").write()
    Journal(seconds=2.0, notes=[evil]).write(out / JOURNAL)
    frame = {"function": evil, "file": "/src/a.py", "line": 3, "own": True}
    about = {
        "schema_version": 1, "kind": "IndexError", "detail": evil, "cwe": 129, "function": evil,
        "file": "/src/a.py", "line": 3, "stack": [frame], "key": "k", "size": 1, "sha256": "0" * 64,
        "replayed": 3, "seen": 2,
    }  # fmt: skip
    (place / "finding.json").write_text(json.dumps(about))
    (place / "input").write_bytes(b"x")
    return out


@pytest.mark.parametrize("form", ["table", "html", "csv", "ecs"])
def test_what_a_target_says_reaches_no_terminal_and_no_page(found, form):
    error, code, shown = run("report", found, "--format", form)
    assert (error, code) == (None, 1)
    assert "\x1b]" not in shown and "\u202e" not in shown
    assert form != "html" or "<script>" not in shown


def test_sarif_of_a_run_is_valid_and_promises_nothing(found):
    _, _, shown = run("report", found, "--format", "sarif")
    log = json.loads(shown)
    validator().validate(log)
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 3
    assert "run again: python -c" in result["message"]["text"]
    (rule,) = log["runs"][0]["tool"]["driver"]["rules"]
    assert rule["properties"]["precision"] == "very-high"
    assert "external/cwe/cwe-129" in rule["properties"]["tags"]
    assert "benign" not in shown and "background" not in shown


def test_a_report_without_findings_says_so(found):
    for path in (found / "findings" / "1").iterdir():
        path.unlink()
    (found / "findings" / "1").rmdir()
    _, code, shown = run("report", found)
    assert code == 0 and "no finding" in shown and "every replay" not in shown


def test_a_finding_that_did_not_replay_is_a_note_and_no_finding(found):
    (found / "findings" / "1").rename(found / "unreplayed")
    place = found / "unreplayed" / "1"
    place.mkdir()
    about = {"schema_version": 1, "ended_badly": 1, "of": 3, "kinds": ["SEGV"]}
    (place / "finding.json").write_text(json.dumps(about))
    _, code, shown = run("report", found)
    assert code == 0 and "does not replay" in shown and "1 of 3 replays" in " ".join(shown.split())


def test_jsonl_has_a_line_for_each_finding(found):
    _, _, shown = run("report", found, "--format", "jsonl")
    (line,) = shown.splitlines()
    finding = json.loads(line)
    assert (finding["threat"], finding["origin"], finding["p_value"]) == (
        "cwe-129", "/src/a.py:3", 0.0
    )  # fmt: skip


def test_ctrl_c_ends_a_run_with_its_report(tmp_path):
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform; the extra fuzz")
    package(tmp_path)
    (tmp_path / "seed").write_bytes(b"a: b,c\n")
    out = tmp_path / "out"
    arguments = ["--python", "notes.loads", "--seeds", "seed", "--time", "1h", "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "inoculate.cli.main", "fuzz", *arguments], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(folders(out / "findings")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "cwe-129" in shown and "inputs in" in said
