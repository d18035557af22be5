"""A fuzzer in another process asks for mutants, and tells what became of them."""

import shutil
import socket
import subprocess
import threading
import time

import pytest

from inoculate.agents.uniform import Uniform
from inoculate.fuzzing.history import ROUND, SPACE
from inoculate.fuzzing.running import afl_module
from inoculate.fuzzing.running.afl_module import NEW_EDGES, Asker, Line
from inoculate.fuzzing.running.mutation_server import MutationServer
from inoculate.fuzzing.running.rounds import Rounds


@pytest.fixture
def server():
    with MutationServer(Rounds(Uniform().adapt(SPACE, seed=0), seed=0)) as made:
        yield made


def test_mutants_come_in_rounds_and_are_learned_from(server):
    asker = Asker(str(server.path))
    asker.name, asker.known = b"id:0", 17
    for i in range(2 * ROUND + 1):
        assert asker.at_end == (i % ROUND == 0)
        assert asker.fuzz(b"hello", 64)
        if i == 3:
            asker.keep(b"id:1", NEW_EDGES)
    asker.close()
    with server.lock:
        assert server.rounds.history.executions == 2 * ROUND
        assert server.rounds.known == 17
        assert set(server.rounds.attributes()) == {"id:0", "id:1"}
    assert server.failed is None


def test_a_second_fuzzer_is_served_when_the_first_is_gone(server):
    for _ in range(2):
        asker = Asker(str(server.path))
        assert asker.fuzz(b"hello", 64)
        asker.close()


def test_no_mutant_is_longer_than_the_fuzzer_takes(server):
    asker = Asker(str(server.path))
    assert max(len(asker.fuzz(bytes(200), 100)) for _ in range(10 * ROUND)) <= 100
    asker.close()


@pytest.mark.parametrize(
    "junk", [b"", b"\0\0", b"\xff" * 64, b"\0\0\0\1\xff\xff\xff\xff", bytes(99)]
)
def test_junk_ends_the_connection_or_the_run_but_never_hangs(server, junk):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(server.path))
        connection.sendall(junk)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""


def test_the_fuzzer_is_told_when_nobody_is_left():
    with MutationServer(Rounds(Uniform().adapt(SPACE, seed=0), seed=0)) as server:
        asker = Asker(str(server.path))
        asker.fuzz(b"a", 9)
        folder = server.path.parent
    assert not folder.exists()
    with pytest.raises(OSError):
        for _ in range(ROUND):
            asker.fuzz(b"a", 9)
    asker.close()


def test_lists_of_bytes_go_through_a_line_as_they_are():
    ours, theirs = socket.socketpair()
    one, two = Line(ours), Line(theirs)
    for parts in ([], [b""], [b"a", b"", bytes(100_000)]):
        threading.Thread(target=one.send, args=(parts,)).start()
        assert two.take() == parts
    one.close()
    with pytest.raises(ConnectionError):
        two.take()
    two.close()


def test_the_module_runs_in_the_system_s_python_alone(tmp_path, server):
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("no system Python beside this one")
    shutil.copyfile(afl_module.__file__, tmp_path / "ours.py")
    (tmp_path / "socket").write_text(str(server.path))
    for name in ("queue", "crashes"):
        (tmp_path / name).mkdir()
    entry = tmp_path / "queue" / "id:000002,src:000001,time:7,op:x,pos:0,+cov"
    code = (
        "import ours, pathlib\n"
        "ours.init(1)\n"
        f"ours.queue_new_entry({str(entry)!r}, None)\n"
        f"ours.queue_get({str(entry.with_name('id:000000,time:0,orig:abc'))!r})\n"
        "n = ours.fuzz_count(bytearray(b'hello'))\n"
        "for i in range(n):\n"
        "    assert type(ours.fuzz(bytearray(b'hello'), None, 64)) is bytearray\n"
        f"    if i == 5: ours.queue_new_entry({str(entry)!r}, 'old')\n"
        f"pathlib.Path({str(tmp_path)!r}, 'crashes', 'id:0').touch()\n"
        f"ours.queue_get({str(entry)!r})\n"
        "ours.fuzz(bytearray(b'hello'), None, 64)\n"
        "ours.deinit()\n"
    )
    # -I would leave out the folder; -S and -E leave out what others installed
    subprocess.run([python, "-SE", "-W", "error", "-c", code], cwd=tmp_path, check=True, timeout=60)
    deadline = time.monotonic() + 5
    while len(server.rounds.attributes()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    with server.lock:
        assert set(server.rounds.attributes()) == {"abc", "id:000002"}
        assert server.rounds.history.executions == afl_module.MUTANTS
        assert server.rounds.history.memory()["rest"][3] >= 10.0  # the crash
