"""What an execution is held to, and that nothing of it is left."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inoculate.fuzzing.running import limits
from inoculate.fuzzing.running.limits import (
    end_all,
    environment,
    fenced,
    network_cut,
    processes_of,
    run,
)

pytestmark = pytest.mark.skipif(
    shutil.which("prlimit") is None, reason="util-linux's prlimit is not installed"
)


def python(code, folder, *, timeout_s=20.0, mark="t", stdin=None, **fence):
    return run(
        fenced([sys.executable, "-c", code], **fence),
        stdin=stdin, cwd=folder, env=environment(folder, mark, {}), timeout_s=timeout_s,
    )  # fmt: skip


def test_a_program_ends_with_its_status_and_what_it_said(tmp_path):
    code = "import sys; sys.stderr.write('said'); sys.exit(7)"
    ended = python(code, tmp_path)
    assert (ended.code, ended.said, ended.timed_out) == (7, "said", False)


def test_standard_input_is_given_whole(tmp_path):
    code = "import sys; sys.exit(len(sys.stdin.buffer.read()) % 251)"
    assert python(code, tmp_path, stdin=bytes(200_000)).code == 200_000 % 251


def test_memory_is_bounded(tmp_path):
    ended = python("bytearray(1 << 30)", tmp_path, address_space=512 << 20)
    assert ended.code == 1 and "MemoryError" in ended.said


def test_files_are_bounded_and_written_where_the_program_runs(tmp_path):
    code = (
        "f = open('big', 'wb')\n"
        "try:\n"
        "    [f.write(bytes(1 << 20)) for _ in range(80)]; f.flush()\n"
        "except OSError as err: print(err.errno)\n"
    )
    python(code, tmp_path)
    assert 0 < (tmp_path / "big").stat().st_size <= 64 << 20


def test_what_takes_too_long_is_ended(tmp_path):
    began = time.monotonic()
    ended = python("import time; time.sleep(60)", tmp_path, timeout_s=0.5)
    assert ended.timed_out and time.monotonic() - began < 15


def test_what_closes_its_output_and_goes_on_is_ended_too(tmp_path):
    code = "import os, time; os.close(2); time.sleep(60)"
    assert python(code, tmp_path, timeout_s=0.5).timed_out


def test_a_flood_of_output_is_kept_to_its_end(tmp_path):
    code = "import sys\nfor i in range(40): sys.stderr.write('x' * 65536)\nsys.stderr.write('end')"
    said = python(code, tmp_path).said
    assert said.endswith("xend") and len(said) <= 512 << 10


def test_children_that_hold_the_output_open_are_not_waited_for(tmp_path):
    code = "import os, time\nif os.fork() == 0: time.sleep(60)"
    began = time.monotonic()
    assert not python(code, tmp_path).timed_out
    assert time.monotonic() - began < 15


@pytest.mark.skipif(not network_cut(), reason="unshare --net is not permitted here")
def test_there_is_no_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        assert python(code, tmp_path).code == 1
        socket.create_connection(("127.0.0.1", port), 2).close()


def test_where_the_network_cannot_be_cut_nothing_is_put_before(monkeypatch):
    monkeypatch.setattr(limits, "_FENCES", (("no-such-program", "--net"), ("false",)))
    network_cut.cache_clear()
    try:
        assert network_cut() == ()
        assert fenced(["x"])[0] == "prlimit"
    finally:
        network_cut.cache_clear()


def test_what_left_its_session_is_found_by_its_mark_and_ended(tmp_path):
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)"
    python(code, tmp_path, mark="a-mark-of-this-test")
    deadline = time.monotonic() + 10
    while not list(processes_of("a-mark-of-this-test")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(processes_of("a-mark-of-this-test"))
    end_all("a-mark-of-this-test")
    while list(processes_of("a-mark-of-this-test")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(processes_of("a-mark-of-this-test"))


def test_the_environment_holds_none_of_our_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    kept = environment(tmp_path, "m", {"MORE": "1"})
    assert "SECRET_TOKEN" not in kept
    assert (kept["HOME"], kept["TMPDIR"], kept["MORE"]) == (str(tmp_path), str(tmp_path), "1")


def test_resident_memory_is_known_of_what_lives():
    assert limits.resident_bytes(int(Path("/proc/self").resolve().name)) > 1 << 20
    assert limits.resident_bytes(1 << 22) == 0


def test_a_signal_of_choice_comes_before_the_kill(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGABRT, lambda *_: (sys.stderr.write('stack'), sys.exit(3)))\n"
        "time.sleep(60)"
    )
    ended = run(
        fenced([sys.executable, "-c", code]), stdin=None, cwd=tmp_path,
        env=environment(tmp_path, "t", {}), timeout_s=6.0, on_timeout=signal.SIGABRT,
    )  # fmt: skip
    assert (ended.said, ended.timed_out) == ("stack", True)


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)"])
def test_a_watch_tells_what_works_too_long_and_what_only_waits(code):
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        watch = limits.Watch(process.pid, cpu_s=0.3, idle_s=1.5)
        deadline = time.monotonic() + 30
        while not watch.is_over() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert watch.is_over()
        busy = code.startswith("while")
        assert (limits.cpu_seconds(process.pid) > 0.3) == busy
    finally:
        process.kill()
        process.wait()
    assert limits.cpu_seconds(1 << 22) == 0.0
