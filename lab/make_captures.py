"""Make the bundled captures: ``sudo python -m lab.make_captures --seed 7 --out DIRECTORY``.

Three runs, one after the other: an ordinary day (``background``), a day with an attacker of
whom only the attack's flows are kept (one example capture an attack), and a later day in which
all attacks hide (``office``). See README.md beside this file.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab import packets
from lab.attacks import ATTACKS, attack_ports
from lab.network import Network
from lab.office import CLIENT_OCTETS, MONITOR_OCTET, SERVERS, SILENT_OCTET, Site

SNAPLEN = 320
FIRST_PAYLOAD = 176
SETTLE_S = 3
ROOT = Path(__file__).resolve().parent.parent
Plan = dict[str, float]


@dataclass(frozen=True)
class Run:
    """One day in the office.

    Attributes:
        name: of the run and of its capture.
        seed: of every choice in it.
        seconds: how long it lasts.
        clients: how many desks are in use.
        attackers: attack name to last octet of the desk it comes from.
        plans: attack name to ``start_s``, ``seconds``, ``flows``, ``variant``.
        monitor: whether the monitoring host is on.
    """

    name: str
    seed: int
    seconds: float
    clients: int
    attackers: Mapping[str, int] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    monitor: bool = True


def runs(seed: int, scale: float) -> list[Run]:
    """Return the three runs; ``scale`` shortens them (times and counts) for a trial."""
    rng = random.Random(seed)
    names = sorted(ATTACKS)
    desks = rng.sample(CLIENT_OCTETS, len(names))
    counts = {
        "beacon": (40, 42),
        "bulk_upload": (32, 36),
        "dns_tunnel": (60, 130),
        "password_guessing": (50, 90),
        "port_scan": (110, 250),
        "slow_http": (50, 80),
    }

    def plans(variant: int, seconds: float, latest: float) -> dict[str, Plan]:
        made = {}
        for name in names:
            start_s = rng.uniform(3, latest) * scale
            flows = max(int(counts[name][variant] * rng.uniform(0.9, 1.1) * scale), 3)
            made[name] = {"start_s": start_s, "seconds": seconds * scale, "flows": flows}
            made[name]["variant"] = variant
        return made

    here = dict(zip(names, desks, strict=True))
    intruder = rng.choice([octet for octet in CLIENT_OCTETS if octet not in desks])
    return [
        Run("background", seed + 1, 150 * scale, 12),
        Run("examples", seed + 2, 100 * scale, 3, dict.fromkeys(names, intruder),
            plans(0, 80, 8), monitor=False),
        Run("office", seed + 3, 200 * scale, 12, here, plans(1, 130, 40)),
    ]  # fmt: skip


class Crew:
    """The processes of one run; all are ended when the block is left."""

    def __init__(self, network: Network, run: Run, site: Site) -> None:
        self._network, self._run, self._site = network, run, site
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for _host, process in self._started:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()

    def start(self, host: str, octet: int, *, own: str = "", serves: str = "", habits: str = "",
              interfaces: tuple[str, ...] = ("eth0",)) -> None:  # fmt: skip
        """Start one host's process with its plan."""
        run = self._run
        played = {name: plan for name, plan in run.plans.items() if run.attackers[name] == octet}
        plan = {
            "site": asdict(self._site),
            "own": own,
            "seed": run.seed,
            "seconds": run.seconds + (SETTLE_S if serves else 0),
            "serves": serves,
            "habits": habits,
            "attacks": played if own else {},
            "interfaces": interfaces,
            "timestamps": int(random.Random(f"{run.seed}/{host}").random() < 0.5),
        }
        command = self._network.command(host, sys.executable, "-m", "lab.host")
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        self._started.append((host, process))
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()

    def wait(self) -> None:
        """Wait until the run is over.

        Raises:
            RuntimeError: a host failed; the message ends with its last line.
        """
        stop = time.monotonic() + self._run.seconds + 4 * SETTLE_S
        for host, process in self._started:
            process.wait(max(stop - time.monotonic(), 0.1))
            if process.returncode:
                assert process.stderr is not None
                lines = process.stderr.read().decode(errors="replace").strip().splitlines()
                raise RuntimeError(f"host {host} failed: {lines[-1] if lines else 'no message'}")


def build(network: Network, run: Run, site: Site) -> dict[str, int]:
    """Plug every host of a run together and return the desks' last octets by host name."""
    for role, octets in SERVERS.items():
        network.add(role, [f"{site.lan}{octet}/24" for octet in octets])
    outside = [f"{address}/24" for address in site.outside()]
    network.add_behind_delay("outside", "line", outside)
    network.route("outside", f"{site.lan}0/24")
    used = set(run.attackers.values())
    spare = [octet for octet in CLIENT_OCTETS if octet not in used]
    used.update(spare[: max(run.clients - len(used), 0)])
    desks = {f"desk{octet}": octet for octet in sorted(used)}
    if run.monitor:
        desks["monitor"] = MONITOR_OCTET
    for host, octet in desks.items():
        network.add(host, [f"{site.lan}{octet}/24"])
        network.route(host, f"{site.web}0/24")
        network.route(host, f"{site.cloud}0/24")
        network.silence(host, f"{site.lan}{SILENT_OCTET}")
    return desks


def record(run: Run, site: Site, raw: Path) -> None:
    """Play a run and capture every packet that crosses the bridge into ``raw``.

    Raises:
        RuntimeError: a namespace cannot be made, or a host or tcpdump failed.
    """
    tcpdump = shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/sbin")
    if tcpdump is None:
        raise RuntimeError("tcpdump not found: apt-get install tcpdump")
    with ExitStack() as stack:
        network = stack.enter_context(Network(run.name))
        desks = build(network, run, site)
        words = ["-i", "br0", "-s", str(SNAPLEN), "-w", str(raw), "-Z", "root", "-B", "16384", "ip"]
        sniffer = subprocess.Popen(
            network.command("wire", tcpdump, *words),
            stderr=subprocess.PIPE,
            # an alarm outlives exec: it ends tcpdump even when this process was killed
            preexec_fn=partial(signal.alarm, int(run.seconds) + 60),
        )
        stack.callback(sniffer.kill)
        crew = stack.enter_context(Crew(network, run, site))
        for role in (*SERVERS, "outside"):
            crew.start(role, 0, serves=role)
        crew.start("line", 0, serves="line", interfaces=("lan", "far"))
        time.sleep(min(SETTLE_S, run.seconds) / 2)
        for host, octet in desks.items():
            habits = "monitor" if host == "monitor" else "desk"
            crew.start(host, octet, own=f"{site.lan}{octet}", habits=habits)
        crew.wait()
        sniffer.send_signal(signal.SIGINT)
        _, log = sniffer.communicate(timeout=20)
        if b" 0 packets dropped by kernel" not in log.replace(b"\n", b" "):
            raise RuntimeError(f"tcpdump lost packets: {log.decode(errors='replace').strip()}")


def label(packet: packets.Packet, attackers: Mapping[str, str]) -> str | None:
    """Return the attack a packet belongs to: by its host and by the attack's source ports."""
    a_host, a_port, b_host, b_port = packet.ends
    for host, port in ((a_host, a_port), (b_host, b_port)):
        for name, attacker in attackers.items():
            if host == attacker and port in attack_ports(name):
                return name
    return None


def truth_entry(name: str, capture: str, chosen: list[packets.Packet], host: str) -> dict[str, Any]:
    """Return the ground truth of one attack in one capture; null means any."""
    responders = {p.ends[2:] if p.ends[0] == host else p.ends[:2] for p in chosen}
    hosts, ports = {h for h, _ in responders}, {p for _, p in responders}
    block = attack_ports(name)
    return {
        "capture": capture,
        "attack": name,
        "technique": ATTACKS[name][1],
        "orig_h": host,
        "orig_p": [block.start, block.stop - 1],
        "resp_h": hosts.pop() if len(hosts) == 1 else None,
        "resp_p": ports.pop() if len(ports) == 1 else None,
        "proto": chosen[0].proto,
        "first_ts": chosen[0].ts_us / 1e6,
        "last_ts": chosen[-1].ts_us / 1e6,
        "flows": len({packets.flow_key(p) for p in chosen}),
    }


def describe(path: Path, role: str, run: Run, kept: list[packets.Packet]) -> dict[str, Any]:
    """Return the catalogue entry of one written capture."""
    return {
        "capture": path.name,
        "role": role,
        "run": run.name,
        "seed": run.seed,
        "packets": len(kept),
        "flows": len({packets.flow_key(p) for p in kept}),
        "first_ts": kept[0].ts_us / 1e6,
        "last_ts": kept[-1].ts_us / 1e6,
        "size_bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def publish(run: Run, site: Site, raw: Path, out: Path) -> tuple[list[Any], list[Any]]:
    """Cut a raw capture, write the bundled files; return catalogue and truth entries."""
    kept = sorted(packets.cut(packets.read(raw), FIRST_PAYLOAD), key=lambda p: p.ts_us)
    hosts = {name: f"{site.lan}{octet}" for name, octet in run.attackers.items()}
    parts: dict[str, list[packets.Packet]] = {name: [] for name in hosts}
    for packet in kept:
        if name := label(packet, hosts):
            parts[name].append(packet)
    lacking = [name for name, part in parts.items() if not part]
    if lacking:
        raise RuntimeError(f"run {run.name}: no packet of {', '.join(lacking)}")
    catalogue, truth = [], []
    if run.name == "examples":
        for name, part in parts.items():
            path = out / f"{name}.pcap.gz"
            packets.write(path, part)
            catalogue.append({**describe(path, "examples", run, part), "attack": name})
            truth.append(truth_entry(name, path.name, part, hosts[name]))
        return catalogue, truth
    path = out / f"{run.name}.pcap.gz"
    packets.write(path, kept)
    catalogue.append(describe(path, run.name, run, kept))
    truth += [truth_entry(name, path.name, part, hosts[name]) for name, part in parts.items()]
    return catalogue, truth


def make(plans: Iterable[Run], out: Path, site: Site) -> tuple[list[Any], list[Any]]:
    """Play every run and fill ``out`` with captures, ``captures.json`` and ``truth.json``."""
    out.mkdir(parents=True, exist_ok=True)
    catalogue: list[Any] = []
    truth: list[Any] = []
    for run in plans:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw.pcap"
            print(f"{run.name}: {run.seconds:.0f} s, {run.clients} desks ...", file=sys.stderr)
            record(run, site, raw)
            captures, entries = publish(run, site, raw, out)
        catalogue += captures
        truth += entries
    for name, listing in (("captures.json", catalogue), ("truth.json", truth)):
        (out / name).write_text(json.dumps(listing, indent=1) + "\n")
    return catalogue, truth


def stop(number: int, _: object) -> None:
    """End by an exception, so that namespaces are removed, and let no second signal disturb that.

    Raises:
        SystemExit: always, with 128 + the signal's number.
    """
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    """Read the arguments and make the captures."""
    parser = argparse.ArgumentParser(description="Make the bundled captures (needs root).")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="folder for captures and truth")
    parser.add_argument("--scale", type=float, default=1.0, help="shorten the runs: 0.05 to 1")
    args = parser.parse_args()
    if not 0.05 <= args.scale <= 1:
        parser.error(f"--scale {args.scale} is outside 0.05 to 1")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    if os.geteuid() != 0:
        sys.exit("make_captures: needs root, to make network namespaces")
    try:
        catalogue, _ = make(runs(args.seed, args.scale), args.out, Site())
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"make_captures: {error}")
    for entry in catalogue:
        print(f"{entry['capture']:28} {entry['flows']:6} flows {entry['packets']:7} packets "
              f"{entry['size_bytes'] / 1e6:.2f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
