"""The small office that the lab plays: who has which address, and which service answers where."""

from dataclasses import dataclass

LAN, WEB, CLOUD = "lan", "web", "cloud"

SERVICES: dict[str, tuple[str, tuple[int, ...], int]] = {
    "dns": (LAN, (2,), 53),
    "ntp": (LAN, (2,), 123),
    "intranet": (LAN, (3,), 80),
    "wiki": (LAN, (3,), 8080),
    "smtp": (LAN, (4,), 587),
    "imap": (LAN, (4,), 143),
    "files": (LAN, (5,), 873),
    "shell": (LAN, (6,), 22),
    "site": (WEB, tuple(range(10, 22)), 80),
    "secure": (WEB, tuple(range(10, 22)), 443),
    "cloud": (CLOUD, tuple(range(20, 26)), 443),
    "cloud_http": (CLOUD, tuple(range(20, 26)), 80),
    "drop": (CLOUD, (66, 67), 443),
    "drop_http": (CLOUD, (66, 67), 80),
}
"""Service: network, last octets that offer it, port. ``drop`` belongs to the attackers."""

SERVERS: dict[str, tuple[int, ...]] = {
    "names": (2,),
    "web": (3,),
    "mail": (4,),
    "files": (5,),
    "shell": (6,),
}
"""Server host: its last octet in the office network."""

CLIENT_OCTETS = tuple(range(21, 33))
MONITOR_OCTET = 40
SILENT_OCTET = 9
"""An address that never answers, as behind a firewall: its neighbour entry points nowhere."""


@dataclass(frozen=True)
class Site:
    """Where the office lives: namespaces by default, loopback for tests.

    Attributes:
        lan: first three octets of the office network.
        web: of the web sites outside (RFC 5737 documentation range).
        cloud: of the hosting providers outside (RFC 5737).
        port_shift: added to every server port, so that an ordinary user can bind them.
    """

    lan: str = "10.77.0."
    web: str = "198.51.100."
    cloud: str = "203.0.113."
    port_shift: int = 0

    def addresses(self, service: str) -> list[tuple[str, int]]:
        """Return every (address, port) that offers a service."""
        network, octets, port = SERVICES[service]
        prefix = {LAN: self.lan, WEB: self.web, CLOUD: self.cloud}[network]
        return [(f"{prefix}{octet}", port + self.port_shift) for octet in octets]

    def outside(self) -> list[str]:
        """Return every address of the host that plays the rest of the world."""
        names = ("secure", "cloud", "drop")
        return [address for name in names for address, _ in self.addresses(name)]


LOOPBACK = Site("127.77.0.", "127.198.51.", "127.203.0.", 20_000)
