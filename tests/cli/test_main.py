"""The command line, in a process of its own: exit codes, streams, and one line an error."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inoculate.workflows.demo import _CAPTURES as CAPTURES
from tests.workflows.conftest import ZEEK_HEADER, write, zeek_lines


def run(*arguments, cwd, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "inoculate.cli.main", *map(str, arguments)],
        cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with logs and a detector that the command itself made."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(5)
    write(folder / "few.log", zeek_lines(rng, 5, threat=True), ZEEK_HEADER)
    write(folder / "week.log", zeek_lines(rng, 1200, threat=False), ZEEK_HEADER)
    mixed = zeek_lines(rng, 30, threat=False) + zeek_lines(rng, 3, threat=True)
    write(folder / "conn.log", mixed, ZEEK_HEADER)
    quiet = (folder / "week.log").read_text().splitlines(keepends=True)[:40]
    (folder / "quiet.log").write_text("".join(quiet))
    done = run(
        "adapt", "--examples", "few.log", "--background", "week.log", "--threat", "upload",
        "-o", "upload.detector", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5 of 5 examples found" in done.stdout
    return folder


def test_findings_are_exit_code_1_and_none_is_0(made):
    found = run("scan", "conn.log", "-d", "upload.detector", cwd=made)
    assert (found.returncode, found.stderr) == (1, "")
    assert "upload" in found.stdout
    none = run("scan", "quiet.log", "-d", "upload.detector", cwd=made)
    assert none.returncode == 0


def test_results_go_to_stdout_and_everything_else_to_stderr(made):
    done = run("scan", "conn.log", "-d", "upload.detector", "-f", "jsonl", cwd=made)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f["origin"] for f in findings] == ["conn.log:38", "conn.log:39", "conn.log:40"]
    assert "3 findings in 33 flows" in done.stderr


@pytest.mark.parametrize("name", ["table", "jsonl", "csv", "ecs", "html", "sarif"])
def test_every_format_writes_to_a_file(made, name):
    target = made / f"out.{name}"
    done = run("scan", "conn.log", "-d", "upload.detector", "-f", name, "-o", target, cwd=made)
    assert (done.returncode, done.stdout) == (1, "")
    assert "upload" in target.read_text()


def test_standard_input_is_read(made):
    text = (made / "conn.log").read_text()
    done = run("scan", "-", "-d", "upload.detector", "-f", "jsonl", "-q", cwd=made, stdin=text)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("scan", "nowhere.pcap", "-d", "upload.detector"), 2, "nowhere.pcap"),
        (("scan", "conn.log", "-d", "nowhere.detector"), 4, "nowhere.detector"),
        (("scan", "conn.log", "-d", "upload.detector", "-f", "word"), 4, "word"),
        (("scan", "conn.log", "-d", "upload.detector", "--false-alarms", "2"), 2, "false-alarms"),
        (("adapt", "-e", "few.log", "-b", "few.log", "-o", "few.log/x.detector"), 2, "few.log"),
        (("show", "nothing"), 4, "nothing"),
    ],
)
def test_a_mistake_is_one_line_with_its_own_exit_code(made, arguments, code, words):
    done = run(*arguments, cwd=made)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("inoculate: error: ")
    assert words in line


def test_usage_is_exit_code_2(made):
    done = run("scan", cwd=made)
    assert done.returncode == 2
    assert "SOURCE" in done.stderr


def test_a_binary_file_of_no_format_is_refused_by_name(made):
    (made / "noise.bin").write_bytes(bytes(range(256)) * 50)
    done = run("scan", "noise.bin", "-d", "upload.detector", cwd=made)
    assert done.returncode == 2
    assert "noise.bin" in done.stderr


def test_show_tells_what_a_detector_is(made):
    done = run("show", "upload.detector", cwd=made)
    assert done.returncode == 0
    assert "looks for       upload" in done.stdout
    whole = json.loads(run("show", "upload.detector", "--json", cwd=made).stdout)
    assert whole["classes"] == ["upload"]


def test_list_names_every_plugin(made):
    words = run("list", cwd=made).stdout
    for name in ("pcap", "zeek_conn", "table", "extra_trees", "maml", "html"):
        assert name in words


def test_a_reader_that_goes_away_is_no_crash(made):
    command = f"{sys.executable} -m inoculate.cli.main list | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=made, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_watch_ends_cleanly_on_sigterm_with_its_findings(made):
    process = subprocess.Popen(
        [sys.executable, "-m", "inoculate.cli.main", "watch", "conn.log", "-d", "upload.detector"],
        cwd=made, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert all(json.loads(line)["threat"] == "upload" for line in lines)
    assert rest == ""
    assert "3 findings in 33 flows" in errors


def test_ctrl_c_is_exit_code_130_and_prints_what_was_found(made, tmp_path):
    fifo = tmp_path / "conn.log"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "inoculate.cli.main", "scan", str(fifo), "-d", "upload.detector",
         "-f", "jsonl"],
        cwd=made, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # a shell's background job ignores it, and so would our child
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with fifo.open("w") as pipe:
        pipe.write((made / "conn.log").read_text())
        pipe.flush()
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert all(json.loads(line)["threat"] == "upload" for line in lines)
    assert out == ""
    assert "stopped by the user" in errors


def test_demo_writes_page_and_findings(tmp_path):
    done = run("demo", "-o", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Truth: " in done.stdout
    assert {p.name for p in tmp_path.iterdir()} >= {"report.html", "findings.jsonl"}


def test_nothing_opens_a_network_connection(made):
    """Adapting and scanning work where every socket is refused."""
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('a socket was opened')\n"
        "socket.socket = refuse\n"
        "from inoculate.cli.main import main\n"
        f"sys.argv = ['inoculate', 'scan', {str(CAPTURES / 'beacon.pcap.gz')!r}, "
        "'-d', 'upload.detector', '-q']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=made, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr


def test_help_names_every_command_and_exit_code():
    done = run("--help", cwd=Path.cwd())
    for word in ("adapt", "scan", "watch", "show", "demo", "train", "130"):
        assert word in done.stdout
