"""Bad input through the command: one line that names its place, its exit code, nothing lost.

Every log begins with three threats, so what was read before the bad place has three findings.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inoculate.cli import main as cli
from inoculate.reading import sources
from inoculate.workflows.adapt import AdaptRequest, adapt
from tests.cli.bad_cases import CASES, LINES, NOVEL, ZEEK, column, cut_capture, lines_of
from tests.workflows.conftest import ZEEK_HEADER, rows, write, zeek_lines


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Logs, tables and a detector of each."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(5)
    write(folder / "few.log", zeek_lines(rng, 5, threat=True), ZEEK_HEADER)
    write(folder / "week.log", zeek_lines(rng, 400, threat=False), ZEEK_HEADER)
    mixed = zeek_lines(rng, 3, threat=True) + zeek_lines(rng, 30, threat=False)
    write(folder / "conn.log", mixed, ZEEK_HEADER)
    write(folder / "examples.csv", rows(rng, 10, threat=True))
    write(folder / "background.csv", rows(rng, 300, threat=False))
    mixed = rows(rng, 3, threat=True) + rows(rng, 60, threat=False)
    write(folder / "mixed.csv", mixed)
    for path in folder.iterdir():
        LINES[path.name] = path.read_text().splitlines(keepends=True)
    for name, examples, background, label in (
        ("upload", "few.log", "week.log", None),
        ("steal", "examples.csv", "background.csv", "verdict"),
    ):
        adapt(
            AdaptRequest(
                examples=(str(folder / examples),), background=(str(folder / background),),
                out=folder / f"{name}.detector", threats=(name,), label=label,
            )
        )  # fmt: skip
    return folder


@pytest.fixture
def run(made, tmp_path, monkeypatch, capfd):
    """Return what runs the command in a folder of its own that sees the good files."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["inoculate", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return main


def make(files):
    if callable(files):
        files()
        return
    for name, content in (files or {}).items():
        data = content() if callable(content) else content
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize("what", CASES)
def test_it_is_one_line_with_its_exit_code_and_nothing_lost(what, run, monkeypatch):
    files, arguments, code, words, n_findings = CASES[what]
    monkeypatch.setattr(sources.Limits.__init__, "__defaults__", (250.0, 1 << 24, 0.05))
    make(files)
    found, out, err = run(*arguments)
    assert found == code, err
    if n_findings is None:  # a mistake in the options: usage is shown too
        assert "Traceback" not in err
        return
    (line,) = err.splitlines()
    assert line.startswith("inoculate: error: ")
    assert line.isprintable()
    assert words in line
    assert len(line) < 500
    assert len(out.splitlines()) == n_findings
    assert not Path("new.detector/manifest.json").exists(), "no detector of bad input"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.gz", lambda good: gzip.compress(good, mtime=0)[:-300], "the gzip data is cut off"),
        ("x.pcap", lambda _: cut_capture()[:-20], "x.pcap@244: the capture ends inside a record"),
    ],
)
def test_what_was_cut_is_used_up_to_the_cut_and_a_note_says_so(name, data, words, run):
    Path(name).write_bytes(data(Path("conn.log").read_bytes()))
    arguments = [a for a in ZEEK if a != "-q"]
    code, out, err = run(*arguments, name)
    assert code == 1
    assert out.splitlines()
    assert "error" not in err
    (line,) = [x for x in err.splitlines() if name in x]
    assert words in line
    assert "the whole records before it were used" in line


def test_bad_records_are_counted_and_skipped_where_that_is_asked_for(run):
    lines = lines_of("mixed.csv")
    for at, value in ((20, "many"), (30, "inf"), (40, "many")):
        lines[at - 1] = column(0, value)(lines[at - 1])
    Path("x.csv").write_text("".join(lines))
    code, out, err = run("scan", "x.csv", "-f", "jsonl", "-d", "steal.detector",
                         "--skip-bad-records")  # fmt: skip
    assert code == 1
    assert len(out.splitlines()) == 3
    assert "3 findings in 60 rows" in err
    assert "skipping bad records, the first: x.csv:20: column 'size' is 'many'" in err
    assert "2 rows skipped: column 'size' is 'many'" in err
    assert "1 row skipped: column 'size' is 'inf'" in err


def test_without_a_detector_a_bad_source_does_not_stop_the_others(run):
    arguments = (*NOVEL, "--false-alarms", "0.1", "conn.log")
    code, alone, _ = run(*arguments)
    assert (code, len(alone.splitlines()) > 0) == (1, True)
    code, beside, err = run(*arguments, "nowhere.log", "mixed.csv")
    assert (code, beside) == (2, alone)
    missing, other = err.splitlines()
    assert "nowhere.log: no such file" in missing
    assert "mixed.csv: holds rows" in other


def test_an_error_of_our_own_is_not_taken_for_findings(run, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("inoculate.workflows.scan.scan", fail)
    code, _, err = run(*ZEEK, "conn.log")
    assert code == 3
    assert "ZeroDivisionError: ours" in err


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "inoculate.cli.main", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_ctrl_c_ends_the_wait_for_a_pipe_that_nobody_writes_to(run):
    os.mkfifo("x.log")
    process = command(
        *ZEEK, "conn.log", "x.log",
        # a shell's background job ignores it, and so would our child
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    findings = [process.stdout.readline() for _ in range(3)]
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=20)
    assert (process.returncode, rest, err) == (130, "", "")
    assert all(json.loads(line)["threat"] == "upload" for line in findings)


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(run):
    os.mkfifo("first.log")
    shutil.copy("conn.log", "second.log")
    process = command(*ZEEK, "first.log", "second.log")
    with Path("first.log").open("w") as pipe:
        pipe.write("".join(LINES["conn.log"]))
        pipe.flush()
        for _ in range(3):
            process.stdout.readline()
        Path("second.log").unlink()
    rest, err = process.communicate(timeout=20)
    assert (process.returncode, rest) == (2, "")
    assert err == "inoculate: error: second.log: no such file\n"


@pytest.mark.parametrize(("shell", "code"), [("> /dev/full", 3), (">&-", 2), ("< /dev/null", 2)])
def test_standard_streams_that_do_not_work_are_one_line(shell, code, run):
    source = "-" if "<" in shell else "conn.log"
    call = " ".join((sys.executable, "-m", "inoculate.cli.main", *ZEEK, source, shell))
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("inoculate: error: ")
