"""Followed files: every line once and whole, whatever happens to the file."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from inoculate.errors import InputError
from inoculate.reading.follow import MAX_LINE_BYTES, FollowedFile


class Stop:
    """Stops when asked, or after a time that no test should need."""

    def __init__(self, after_s=20.0):
        self.asked = False
        self.until = time.monotonic() + after_s

    def __call__(self):
        assert time.monotonic() < self.until, "nothing came"
        return self.asked


def follow(path, **options):
    options = {"stop": Stop(), "poll_s": 0.01, "grace_s": 0.1, **options}
    return FollowedFile(path, **options)


def lines(stream, n):
    """Read until n lines came."""
    data = b""
    while data.count(b"\n") < n:
        piece = stream.read(65536)
        assert piece.endswith(b"\n")
        data += piece
    return data.decode().splitlines()


def append(path, text):
    with path.open("a") as stream:
        stream.write(text)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "eve.json"
    path.write_text("a\nb\n")
    return path


def test_lines_come_whole_and_as_they_are_written(log):
    with follow(log) as stream:
        assert stream.read(65536) == b"a\nb\n"
        append(log, "hal")
        threading.Timer(0.05, append, (log, "f\nnext")).start()
        assert stream.read(65536) == b"half\n"
        append(log, "\n")
        assert stream.read1(65536) == b"next\n"


def test_the_end_comes_only_with_stop(log):
    stop = Stop()
    with follow(log, stop=stop) as stream:
        lines(stream, 2)
        threading.Timer(0.1, lambda: setattr(stop, "asked", True)).start()
        before = time.monotonic()
        assert stream.read(65536) == b""
        assert time.monotonic() - before > 0.05
        append(log, "c\n")
        assert stream.read(65536) == b""


def test_a_small_size_is_kept_and_cuts_between_lines_where_it_can(log):
    log.write_text("aa\nbb\n" + "c" * 10 + "\nd\n")
    with follow(log) as stream:
        assert stream.read(0) == b""
        assert stream.read(7) == b"aa\nbb\n"
        assert stream.position.offset == 6
        assert stream.read(4) == b"cccc"
        assert stream.position.offset == 6  # the line is not whole yet
        assert stream.read(7) == b"cccccc\n"
        assert stream.position.offset == 17


def test_buffered_readers_and_peek_work_on_top(log):
    with follow(log) as stream:
        assert stream.peek() == b"a\nb\n"
        assert stream.position is None
        buffer = bytearray(2)
        assert stream.readinto(buffer) == 2
        assert bytes(buffer) == b"a\n"


def test_a_file_that_does_not_exist_yet(tmp_path):
    path = tmp_path / "later.log"
    threading.Timer(0.05, path.write_text, ("first\n",)).start()
    with follow(path) as stream:
        assert lines(stream, 1) == ["first"]


def test_rotation_finishes_the_old_file_and_opens_the_new(log):
    with follow(log) as stream:
        assert lines(stream, 2) == ["a", "b"]
        append(log, "c\n")
        log.rename(log.with_suffix(".1"))
        log.write_text("x\n")
        append(log.with_suffix(".1"), "late")  # the writer has not noticed yet, and never ends
        assert lines(stream, 2) == ["c", "late"]
        assert lines(stream, 1) == ["x"]
        assert stream.take_notes() == [f"{log}: was rotated; reading the new file"]
        assert stream.take_notes() == []


def test_a_writer_that_is_slow_to_notice_loses_nothing(log):
    with follow(log, grace_s=0.5) as stream, log.open("a") as old:
        lines(stream, 2)
        log.rename(log.with_suffix(".1"))
        log.write_text("new\n")

        def write():
            for i in range(5):
                time.sleep(0.05)
                old.write(f"old {i}\n")
                old.flush()

        writer = threading.Thread(target=write)
        writer.start()
        assert lines(stream, 6) == [f"old {i}" for i in range(5)] + ["new"]
        writer.join()


def test_renamed_with_no_new_file_yet(log):
    with follow(log) as stream:
        lines(stream, 2)
        log.rename(log.with_suffix(".1"))
        append(log.with_suffix(".1"), "c\n")
        assert lines(stream, 1) == ["c"]
        threading.Timer(0.05, log.write_text, ("d\n",)).start()
        assert lines(stream, 1) == ["d"]


def test_truncation_starts_again(log):
    with follow(log) as stream:
        lines(stream, 2)
        log.write_text("n\n")
        assert lines(stream, 1) == ["n"]
        assert "was truncated" in stream.take_notes()[0]


def test_truncation_that_grew_back_between_two_looks_is_seen(log):
    with follow(log) as stream:
        lines(stream, 2)
        log.write_text("n\nmuch longer than it was before\n")
        assert lines(stream, 2) == ["n", "much longer than it was before"]


def test_a_half_line_lost_by_truncation_does_not_stick_to_the_next(log):
    with follow(log) as stream:
        lines(stream, 2)
        append(log, "half of a li")
        stop_at = time.monotonic() + 0.1
        while time.monotonic() < stop_at:
            stream._fill()
        log.write_text("n\n")
        assert lines(stream, 1) == ["n"]


def test_a_line_without_end_is_dropped_in_bounded_memory(log):
    with log.open("ab") as stream:
        for _ in range(5):
            stream.write(b"x" * MAX_LINE_BYTES)
        stream.write(b"\nafter\n")
    with follow(log) as stream:
        assert lines(stream, 3) == ["a", "b", "after"]
        assert stream.n_dropped_lines == 1
        assert stream.position.offset == log.stat().st_size


@pytest.mark.parametrize("more", [-1, 0, 1, 1000])
def test_the_longest_line_that_comes_is_the_limit(log, more):
    log.write_bytes(b"a\n" + b"x" * (MAX_LINE_BYTES - 1 + more) + b"\nz\n")
    with follow(log) as stream:
        data = b""
        while not data.endswith(b"z\n"):
            data += stream.read(1 << 22)
        assert stream.n_dropped_lines == (more > 0)
        assert len(data) == 4 + (MAX_LINE_BYTES + more if more <= 0 else 0)


def test_a_saved_position_goes_on_where_it_was(log, tmp_path):
    saved = tmp_path / "position.json"
    with follow(log, position_file=saved) as stream:
        lines(stream, 2)
        stream.save()
        append(log, "c\n")
    with follow(log, position_file=saved) as stream:
        assert lines(stream, 1) == ["c"]
    with follow(log, position_file=saved) as stream:  # the last was not saved: once more
        assert lines(stream, 1) == ["c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["eve.json", "position.json"]


def test_a_saved_position_never_lies_inside_a_line(log, tmp_path):
    saved = tmp_path / "position.json"
    append(log, "ha")
    with follow(log, position_file=saved) as stream:
        lines(stream, 2)
        stream.save()
    append(log, "lf\n")
    with follow(log, position_file=saved) as stream:
        assert lines(stream, 1) == ["half"]


def test_a_file_rotated_while_nobody_read_is_finished_first(log, tmp_path):
    saved = tmp_path / "position.json"
    with follow(log, position_file=saved) as stream:
        lines(stream, 2)
        stream.save()
    append(log, "c\n")
    log.rename(tmp_path / "eve.json.1")
    log.write_text("x\n")
    with follow(log, position_file=saved) as stream:
        assert lines(stream, 2) == ["c", "x"]


@pytest.mark.parametrize("new", ["q\n", "quite another beginning\nand more\n"])
def test_a_file_truncated_while_nobody_read_starts_again(log, tmp_path, new):
    saved = tmp_path / "position.json"
    with follow(log, position_file=saved) as stream:
        lines(stream, 2)
        stream.save()
    log.write_text(new)
    with follow(log, position_file=saved) as stream:
        assert "starting anew" in stream.take_notes()[0]
        assert lines(stream, 1)[0] == new.splitlines()[0]


def test_going_on_gives_the_header_lines_again(tmp_path):
    log, saved = tmp_path / "conn.log", tmp_path / "position.json"
    log.write_text("#separator \\x09\n#fields\tts\n1\n2\n")
    with follow(log, position_file=saved) as stream:
        lines(stream, 4)
        stream.save()
    append(log, "3\n")
    with follow(log, position_file=saved) as stream:
        assert lines(stream, 3) == ["#separator \\x09", "#fields\tts", "3"]
        assert stream.position.offset == log.stat().st_size


def test_beginning_at_the_end(tmp_path):
    log = tmp_path / "conn.log"
    log.write_text("#fields\tts\n1\n2\n3 is not who")
    with follow(log, at_end=True) as stream:
        assert lines(stream, 1) == ["#fields\tts"]
        append(log, "le\n4\n")
        assert lines(stream, 2) == ["3 is not whole", "4"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 60_000,
        b'{"format_version": 2}',
        b'{"format_version": 1, "device": 1}',
        json.dumps(
            {"format_version": 1, "device": 1, "inode": 1, "offset": -1}
            | {"head_bytes": 1, "head_sha256": ""}
        ).encode(),
        json.dumps(
            {"format_version": 1, "device": "1", "inode": 1, "offset": 1}
            | {"head_bytes": 1, "head_sha256": ""}
        ).encode(),
    ],
)
def test_a_damaged_position_is_one_line(log, tmp_path, content):
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(InputError, match="not a saved position") as caught:
        follow(log, position_file=tmp_path / "p")
    assert str(tmp_path / "p") in str(caught.value)
    assert len(str(caught.value)) < 400


def test_only_regular_files_are_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="regular"):
            follow(path)


def test_a_disk_that_fails_is_one_line(log, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    with follow(log) as stream:
        lines(stream, 2)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", fail)
            with pytest.raises(InputError, match="cannot be read: Input/output error"):
                stream.read(10)


def test_a_position_that_cannot_be_written_is_one_line(log, tmp_path):
    with follow(log, position_file=tmp_path / "none" / "p") as stream:
        lines(stream, 2)
        with pytest.raises(InputError, match="cannot be written"):
            stream.save()


READER = """
import sys, time
from pathlib import Path
from inoculate.reading.follow import FollowedFile
log, saved, out = (Path(a) for a in sys.argv[1:])
stream = FollowedFile(log, position_file=saved, stop=lambda: False, poll_s=0.005, grace_s=0.05)
with out.open("ab", buffering=0) as written:
    while data := stream.read(200):
        written.write(data)
        time.sleep(0.001)
        stream.save()
"""


def test_a_reader_killed_again_and_again_loses_no_line(tmp_path):
    log, saved, out = tmp_path / "log", tmp_path / "position", tmp_path / "out"
    n_lines, written = 3000, 0
    wanted = [f"line {i}" for i in range(n_lines)]
    out.touch()
    until = time.monotonic() + 60
    while written < n_lines or wanted[-1] not in out.read_text():
        assert time.monotonic() < until
        command = [sys.executable, "-c", READER, str(log), str(saved), str(out)]
        with subprocess.Popen(command) as reader:
            before = out.stat().st_size
            for _ in range(4):
                append(log, "".join(f"{w}\n" for w in wanted[written : written + 150]))
                written = min(written + 150, n_lines)
                time.sleep(0.03)
            while out.stat().st_size < before + 600 and wanted[-1] not in out.read_text():
                time.sleep(0.01)
            if written == 1200:
                log.rename(tmp_path / "log.1")
            reader.send_signal(signal.SIGKILL)
            reader.wait()
    got = out.read_text().splitlines()
    assert set(got) == set(wanted)
    assert len(got) < 1.5 * n_lines
