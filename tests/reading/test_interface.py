"""Interfaces: packets sent on the loopback come back as a pcap; elsewhere a clear refusal."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from inoculate.errors import InputError, PrivilegeError, TruncatedError
from inoculate.reading import interface as module
from inoculate.reading.interface import drop_privileges, open_interface


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


MAY_CAPTURE = may_capture()


class Stop:
    """Stops when asked, or after a time that no test should need."""

    def __init__(self, after_s=20.0):
        self.asked = False
        self.until = time.monotonic() + after_s

    def __call__(self):
        return self.asked or time.monotonic() > self.until


@pytest.fixture
def sender():
    """Two UDP sockets: the second's port is where packets go."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b,
    ):
        b.bind(("127.0.0.1", 0))
        a.connect(b.getsockname())
        yield a


def records(stream, port, n, size=1 << 20):
    """Read a pcap stream until n UDP packets to a port came: (ts, kept, length, payload)."""
    data = b""
    while True:
        piece = stream.read(size)
        assert piece, "nothing came"
        assert len(piece) <= size
        data += piece
        found = [r for r in parse(data) if r[4] == port] if len(data) >= 24 else []
        if len(found) >= n:
            return found


def parse(data):
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 1)
    at = 24
    while at + 16 <= len(data):
        seconds, micros, kept, length = struct.unpack_from("<IIII", data, at)
        packet = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        if len(packet) == kept and packet[12:14] == b"\x08\x00" and packet[23] == 17:
            port = struct.unpack_from(">H", packet, 36)[0]
            yield seconds + micros / 1e6, kept, length, packet[42:], port


def refused(**options):
    """Where packets may not be read, check that this is said; the test is done then."""
    if MAY_CAPTURE:
        return False
    with pytest.raises(PrivilegeError, match="CAP_NET_RAW"):
        open_interface("lo", stop=Stop(), **options)
    return True


@pytest.mark.parametrize("option", [module._IGNORE_OUTGOING, 9999])
def test_packets_come_back_once_and_whole(sender, monkeypatch, option):
    if refused():
        return
    monkeypatch.setattr(module, "_IGNORE_OUTGOING", option)  # 9999: as on an old kernel
    with open_interface("lo", stop=Stop(), gather_s=0.1) as stream:
        before = time.time()
        for i in range(50):
            sender.send(f"hello {i}".encode())
        found = records(stream, sender.getpeername()[1], 50)
        assert [r[3] for r in found] == [f"hello {i}".encode() for i in range(50)]
        assert all(before - 1 < r[0] < time.time() + 1 for r in found)
        assert [r[0] for r in found] == sorted(r[0] for r in found)
        assert stream.received() >= 50
        assert stream.drops() == 0
    assert stream.drops() == 0  # also once closed


def test_long_packets_are_cut_and_say_so(sender):
    if refused(snap_bytes=64):
        return
    with open_interface("lo", stop=Stop(), gather_s=0.05, snap_bytes=64) as stream:
        sender.send(b"x" * 1000)
        ((_, kept, length, payload, _),) = records(stream, sender.getpeername()[1], 1)
        assert (kept, length, payload) == (64, 1042, b"x" * 22)


def test_reads_of_any_size_give_the_same_stream(sender):
    if refused():
        return
    with open_interface("lo", stop=Stop(), gather_s=0.05) as stream:
        for i in range(20):
            sender.send(bytes([i]) * 100)
        found = records(stream, sender.getpeername()[1], 20, size=7)
        assert [r[3][0] for r in found] == list(range(20))
        buffer = bytearray(64)
        sender.send(b"more")
        assert 0 < stream.readinto(buffer) <= 64


def test_what_the_kernel_drops_is_counted(sender):
    if refused():
        return
    with open_interface("lo", stop=Stop(), buffer_bytes=4096, gather_s=0.05) as stream:
        for _ in range(500):
            sender.send(b"x" * 1000)
        assert stream.drops() > 0
        first = stream.drops()
        records(stream, sender.getpeername()[1], 1)
        assert stream.received() + first >= 500
        assert stream.drops() >= first


def test_it_ends_soon_after_stop_and_not_before(sender):
    if refused():
        return
    stop = Stop()
    with open_interface("lo", stop=stop) as stream:
        assert len(stream.read(24)) == 24
        threading.Timer(0.1, lambda: setattr(stop, "asked", True)).start()
        while stream.read(1 << 20):
            pass
        assert stop.asked
        assert stream.read(1 << 20) == b""


def test_an_interface_that_goes_down_is_an_early_end(sender, monkeypatch):
    if refused():
        return
    with open_interface("lo", stop=Stop(), gather_s=0.05) as stream:
        sender.send(b"last")
        records(stream, sender.getpeername()[1], 1)
        sender.send(b"wakes the wait")

        class Down:
            def __init__(self, inner):
                self.inner = inner

            def recvmsg_into(self, *_):
                raise OSError(100, "Network is down")

            def __getattr__(self, name):
                return getattr(self.inner, name)

        monkeypatch.setattr(stream, "_socket", Down(stream._socket))
        with pytest.raises(TruncatedError, match="lo: the interface went down"):
            stream.read(1 << 20)
        assert stream.read(1 << 20) == b""


@pytest.mark.parametrize("name", ["no-such-if0", "", "x" * 300, "a\0b", "../lo", "\udcff"])
def test_an_unknown_interface_is_one_line_with_those_there_are(name):
    with pytest.raises(InputError, match=r"no interface .* have .*lo"):
        open_interface(name, stop=Stop())


def test_a_refusal_says_what_is_needed(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    real = module.socket.socket
    monkeypatch.setattr(
        module.socket,
        "socket",
        lambda family, *rest: refuse() if family == socket.AF_PACKET else real(family, *rest),
    )
    with pytest.raises(PrivilegeError, match=r"lo: .*CAP_NET_RAW"):
        open_interface("lo", stop=Stop())


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


DROP = """
import os
from inoculate.reading.interface import drop_privileges
if os.geteuid() == 0:
    os.setgroups([0, 4])
drop_privileges({user!r})
print(os.getresuid(), os.getresgid(), 4 in os.getgroups())
"""


@pytest.mark.parametrize("user", ["auto", "nobody", "65534"])
def test_privileges_are_dropped_for_good(user):
    done = python(DROP.format(user=user), SUDO_UID="0")
    assert done.returncode == 0, done.stderr
    uid = 65534 if os.geteuid() == 0 else os.geteuid()
    assert f"({uid}, {uid}, {uid})" in done.stdout
    if os.geteuid() == 0:
        assert "False" in done.stdout


@pytest.mark.parametrize("user", ["root", "0", "no such user", "9" * 30])
def test_nobody_becomes_root_or_someone_unknown(user):
    if os.geteuid() != 0:
        drop_privileges(user)  # nothing to drop, nothing done
        return
    with pytest.raises(InputError, match="user"):
        drop_privileges(user)


READ = """
import os, socket, time
from inoculate.reading.interface import open_interface
until = time.monotonic() + 10
stop = lambda: time.monotonic() > until
stream = open_interface("lo", stop=stop, drop_to="nobody", gather_s=0.05)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(b"after dropping", ("127.0.0.1", 9))
data = b""
while b"after dropping" not in data:
    data += stream.read(1 << 20)
print(os.geteuid(), stream.drops())
"""


def test_reading_goes_on_after_privileges_were_dropped():
    if refused(drop_to="nobody"):
        return
    done = python(READ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(65534 if os.geteuid() == 0 else os.geteuid()), "0"]
