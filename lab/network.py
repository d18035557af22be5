"""Network namespaces of the lab: hosts on one bridge, all gone again at the end.

The bridge sits in a namespace of its own, so that no interface of the lab ever appears in the
machine's own network; no lab namespace has a default route or a way out.
"""

import array
import contextlib
import fcntl
import os
import re
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

IP = "/usr/sbin/ip"
STEP_S = 20
_SIOCETHTOOL, _SET_TX_CHECKSUMS, _SET_GSO = 0x8946, 0x17, 0x24


def ip(*words: str) -> str:
    """Run iproute2's ``ip`` and return what it prints.

    Raises:
        RuntimeError: it refuses; the message is its own.
    """
    done = subprocess.run([IP, *words], capture_output=True, text=True, timeout=STEP_S)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def usable() -> bool:
    """Return whether this process may make namespaces and joined interfaces."""
    if os.geteuid() != 0 or not Path(IP).exists():
        return False
    try:
        with Network("probe") as network:
            network.add("a", ["192.0.2.1/24"])
    except (RuntimeError, OSError, subprocess.SubprocessError):
        return False
    return True


def switch_offloads_off(interface: str) -> None:
    """Make the kernel send whole checksums and packets no longer than the MTU.

    Acts in the network namespace of the calling process. Same as ``ethtool -K tx off gso off``.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (_SET_TX_CHECKSUMS, _SET_GSO):
            value = array.array("I", [command, 0])
            request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(control, _SIOCETHTOOL, request.ljust(40, b"\0"))


class Network:
    """A bridge and hosts around it, each in its own namespace, as a context manager.

    Args:
        tag: joins the process number in the names of the namespaces.
    """

    def __init__(self, tag: str) -> None:
        self._prefix = f"inolab{os.getpid()}{re.sub('[^a-z0-9]', '', tag)}-"
        self._hosts: list[str] = []

    def __enter__(self) -> Self:
        try:
            wire = self.space("wire")
            ip("netns", "add", wire)
            ip("-n", wire, "link", "add", "br0", "type", "bridge")
            ip("-n", wire, "link", "set", "br0", "up")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def space(self, host: str) -> str:
        """Return the namespace's name of a host."""
        return self._prefix + host

    def command(self, host: str, *words: str) -> list[str]:
        """Return the command line that runs ``words`` inside a host's namespace."""
        return [IP, "netns", "exec", self.space(host), *words]

    def add(self, host: str, addresses: list[str]) -> None:
        """Add a host with ``eth0`` on the bridge and these addresses (with prefix length)."""
        self._plug(host, "eth0", "wire", "br0")
        space = self.space(host)
        for address in addresses:
            ip("-n", space, "address", "add", address, "dev", "eth0")
        ip("-n", space, "link", "set", "lo", "up")

    def add_behind_delay(self, host: str, line: str, addresses: list[str]) -> None:
        """Add a host behind ``line``, whose two ends ``lan`` and ``far`` are not joined.

        A relay has to run in ``line``; until then no packet passes.
        """
        self._plug(line, "lan", "wire", "br0")
        space = self.space(host)
        ip("netns", "add", space)
        names = ("far", self.space(line), "eth0", space)
        ip("link", "add", names[0], "netns", names[1], "type", "veth", "peer", "name", names[2],
           "netns", names[3])  # fmt: skip
        ip("-n", self.space(line), "link", "set", "far", "up")
        ip("-n", space, "link", "set", "eth0", "up")
        for address in addresses:
            ip("-n", space, "address", "add", address, "dev", "eth0")

    def route(self, host: str, network: str) -> None:
        """Make a network reachable directly on ``eth0``."""
        ip("-n", self.space(host), "route", "add", network, "dev", "eth0")

    def silence(self, host: str, address: str) -> None:
        """Make ``host`` send packets for ``address`` to a neighbour that does not exist."""
        ip("-n", self.space(host), "neighbor", "add", address, "lladdr", "02:00:00:00:00:99",
           "dev", "eth0", "nud", "permanent")  # fmt: skip

    def remove(self) -> None:
        """Delete every namespace of this network, and with them all their interfaces.

        Takes those along that a killed run of the lab left behind.
        """
        for name in ip("netns", "list").split():
            maker = re.match(r"inolab(\d+)", name)
            left = maker is not None and not Path("/proc", maker[1]).exists()
            if name.startswith(self._prefix) or left:
                with contextlib.suppress(RuntimeError, subprocess.SubprocessError):
                    ip("netns", "delete", name)

    def _plug(self, host: str, name: str, hub: str, bridge: str) -> None:
        space, wire = self.space(host), self.space(hub)
        port = f"p{len(self._hosts)}"
        self._hosts.append(host)
        ip("netns", "add", space)
        ip("link", "add", name, "netns", space, "type", "veth", "peer", "name", port,
           "netns", wire)  # fmt: skip
        ip("-n", wire, "link", "set", port, "master", bridge, "up")
        ip("-n", space, "link", "set", name, "up")
