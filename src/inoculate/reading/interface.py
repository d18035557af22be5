"""Reads packets from a network interface as a pcap stream.

One plain AF_PACKET socket: the kernel stamps and queues packets, ``read`` gathers what came.
When the reader lags behind, the kernel drops packets and counts them; nothing here grows.

References:
    packet(7), Linux manual: PACKET_STATISTICS, PACKET_OUTGOING, PACKET_MR_PROMISC.
    "PCAP Capture File Format", draft-ietf-opsawg-pcap, section 4 (file header) and 5 (record).
"""

import contextlib
import errno
import fcntl
import io
import os
import pwd
import select
import socket
import struct
import time
from collections.abc import Callable

from inoculate.errors import InputError, PrivilegeError, TruncatedError

LINK_ETHERNET = 1
LINK_RAW_IP = 101
SNAP_BYTES = 262144

_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772
_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_SOL_PACKET, _ADD_MEMBERSHIP, _STATISTICS, _IGNORE_OUTGOING, _MR_PROMISC = 263, 1, 6, 23, 1
_OUTGOING = 4
_SO_TIMESTAMP, _SO_RCVBUFFORCE = 29, 33
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_TIMEVAL = struct.Struct("@ll")
_MAGIC_US = 0xA1B2C3D4
_CHUNK_BYTES = 4 << 20
_LOOK_S = 0.1
_RECEIVE_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_TRUNC)


class InterfaceStream(io.RawIOBase):
    """A pcap stream of one interface; see ``open_interface``.

    Attributes:
        name: of the interface.
        link_type: the pcap link type of its records.
    """

    def __init__(
        self,
        name: str,
        *,
        stop: Callable[[], bool],
        buffer_bytes: int = 32 << 20,
        snap_bytes: int = SNAP_BYTES,
        gather_s: float = 0.5,
        promiscuous: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self._stop = stop
        self._snap_bytes = snap_bytes
        self._gather_s = gather_s
        self._n_received = self._n_dropped = 0
        self._failure: TruncatedError | None = None
        self._ended = False
        hardware = _hardware(name)
        self._loopback = hardware == _ARPHRD_LOOPBACK
        self._framed = hardware in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK)
        self.link_type = LINK_ETHERNET if self._framed else LINK_RAW_IP
        self._socket = _open_socket(name, framed=self._framed, buffer_bytes=buffer_bytes)
        if self._loopback:
            with contextlib.suppress(OSError):  # before Linux 4.20; ``_unwanted`` sorts them out
                self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        elif promiscuous:
            _be_promiscuous(self._socket, name)
        self._packet = bytearray(snap_bytes)
        self._pending = bytearray(
            _FILE_HEADER.pack(_MAGIC_US, 2, 4, 0, 0, snap_bytes, self.link_type)
        )

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes of the pcap stream; b"" once stopped.

        Waits for a packet, then gathers for ``gather_s`` or until ``size`` bytes are there.

        Raises:
            TruncatedError: once, when the interface went down.
        """
        size = size if size is not None and size >= 0 else _CHUNK_BYTES
        if not self._pending and size:
            self._gather(size)
        data = bytes(self._pending[:size])
        del self._pending[:size]
        if not data and self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return data

    def read1(self, size: int = -1) -> bytes:
        """Return what ``read`` returns."""
        return self.read(size)

    def readinto(self, buffer: object) -> int:
        """Fill a buffer with what ``read`` returns (for ``io`` wrappers)."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def received(self) -> int:
        """Return the number of packets read so far."""
        return self._n_received

    def drops(self) -> int:
        """Return the number of packets that the kernel dropped since opening."""
        if not self.closed:
            packed = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8)
            self._n_dropped += struct.unpack("@II", packed)[1]  # reading resets the counter
        return self._n_dropped

    def close(self) -> None:
        """Close the socket; the counters stay."""
        if not self.closed:
            self.drops()
            self._socket.close()
        super().close()

    def _gather(self, size: int) -> None:
        until = None
        while not self._ended and not self._stop() and len(self._pending) < size:
            now = time.monotonic()
            if until is not None and now >= until:
                return
            wait = _LOOK_S if until is None else min(until - now, _LOOK_S)
            if not select.select([self._socket], [], [], wait)[0]:
                continue
            if until is None:
                until = time.monotonic() + self._gather_s
            self._drain(size, until)

    def _drain(self, size: int, until: float) -> None:
        """Take queued packets until none is left, there is enough, or time is up."""
        packet, pending, receive = self._packet, self._pending, self._socket.recvmsg_into
        view, buffers = memoryview(packet), [packet]
        picky = self._loopback or not self._framed
        while len(pending) < size and time.monotonic() < until:
            try:
                length, extra, _, address = receive(buffers, 64, _RECEIVE_FLAGS)
            except BlockingIOError:
                return
            except OSError as err:
                if err.errno == errno.ENOBUFS:
                    continue
                self._ended = True
                self._failure = TruncatedError("the interface went down", origin=self.name)
                return
            if picky and self._unwanted(address):
                continue
            kept = min(length, self._snap_bytes)
            seconds, micros = _stamp(extra)
            pending += _RECORD_HEADER.pack(seconds, micros, kept, length)
            pending += view[:kept]
            self._n_received += 1

    def _unwanted(self, address: tuple[str, int, int, int, bytes]) -> bool:
        """Tell a loopback packet's second copy, and what is no IP where there is no frame."""
        if self._loopback and address[2] == _OUTGOING:
            return True
        return not self._framed and address[1] not in (_ETH_P_IP, _ETH_P_IPV6)


def open_interface(
    name: str,
    *,
    stop: Callable[[], bool],
    drop_to: str | None = None,
    buffer_bytes: int = 32 << 20,
    snap_bytes: int = SNAP_BYTES,
    gather_s: float = 0.5,
    promiscuous: bool = True,
) -> InterfaceStream:
    """Open an interface for reading; it ends when ``stop`` returns True.

    Loopback packets are returned once. VLAN tags that the kernel took off are not put back.
    Interfaces without Ethernet frames give their IP packets only.

    Args:
        name: as ``ip link`` shows it.
        stop: asked at least every 0.1 s.
        drop_to: user to become once it is open ("auto": who called sudo, else nobody); None
            changes nothing. For the whole process, and for good.
        buffer_bytes: the kernel's queue; where it is full packets are dropped and counted.
        snap_bytes: longest part of a packet that is kept.
        gather_s: how long one read may gather.
        promiscuous: also packets for other hosts, where the interface sees them.

    Raises:
        InputError: no such interface or user, or not Linux.
        PrivilegeError: the system refuses; root or CAP_NET_RAW is needed.
    """
    stream = InterfaceStream(
        name,
        stop=stop,
        buffer_bytes=buffer_bytes,
        snap_bytes=snap_bytes,
        gather_s=gather_s,
        promiscuous=promiscuous,
    )
    if drop_to is not None:
        try:
            drop_privileges(drop_to)
        except Exception:
            stream.close()
            raise
    return stream


def drop_privileges(user: str = "auto") -> None:
    """Become an ordinary user for good; does nothing where the process is not root.

    Args:
        user: a name or a number; "auto" is who called sudo, else nobody.

    Raises:
        InputError: no such user, or it is root.
        PrivilegeError: the system refuses, or lets us come back.
    """
    if os.geteuid() != 0:
        return
    if user == "auto":
        user = os.environ.get("SUDO_UID", "nobody")
        user = "nobody" if user == "0" else user
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError) as err:
        raise InputError(f"no user {user!r} to drop privileges to") from err
    if entry.pw_uid == 0:
        raise InputError(f"user {user!r} is root; privileges would not be dropped")
    try:
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    except OSError as err:
        raise PrivilegeError(f"cannot become {entry.pw_name}: {err.strerror}") from err
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError(f"could become root again after becoming {entry.pw_name}")


def _hardware(name: str) -> int:
    """Return an interface's hardware type (ARPHRD_...)."""
    if not hasattr(socket, "AF_PACKET"):
        raise InputError(f"{name}: interfaces are read on Linux only")
    try:
        socket.if_nametoindex(name)
    except (OSError, ValueError) as err:
        have = ", ".join(n for _, n in socket.if_nameindex())
        raise InputError(f"no interface {name[:40]!r}; have {have}") from err
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16s24x", os.fsencode(name))
        answer = fcntl.ioctl(any_socket, 0x8927, asked)  # SIOCGIFHWADDR
    return int(struct.unpack_from("@H", answer, 16)[0])


def _open_socket(name: str, *, framed: bool, buffer_bytes: int) -> socket.socket:
    kind = socket.SOCK_RAW if framed else socket.SOCK_DGRAM
    try:
        # protocol 0 until it is bound, or packets of other interfaces would slip in
        opened = socket.socket(socket.AF_PACKET, kind, 0)
    except PermissionError as err:
        raise PrivilegeError(
            f"{name}: reading an interface needs root or the capability CAP_NET_RAW"
        ) from err
    except OSError as err:
        raise InputError(f"{name}: cannot be opened: {err.strerror}") from err
    try:
        _enlarge(opened, buffer_bytes)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)
        opened.bind((name, _ETH_P_ALL))
    except OSError as err:
        opened.close()
        raise InputError(f"{name}: cannot be opened: {err.strerror}") from err
    return opened


def _enlarge(opened: socket.socket, buffer_bytes: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
    except PermissionError:  # without CAP_NET_ADMIN the system's own limit holds
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)


def _be_promiscuous(opened: socket.socket, name: str) -> None:
    request = struct.pack("@iHH8x", socket.if_nametoindex(name), _MR_PROMISC, 0)
    try:
        opened.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
    except OSError as err:
        opened.close()
        raise InputError(f"{name}: cannot be made promiscuous: {err.strerror}") from err


def _stamp(extra: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Return the kernel's time of a packet, in seconds and microseconds."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMP and len(data) >= _TIMEVAL.size:
            seconds, micros = _TIMEVAL.unpack_from(data)
            return seconds & 0xFFFFFFFF, micros
    now = time.time()
    return int(now), int(now % 1 * 1e6)
