"""Compares our flows with Suricata's flow events on every capture of the catalogue.

    python benchmarks/against_suricata.py [--data DIR] [--json | --show]

Suricata (tried with 7.0.10) reads each capture offline with its timeouts set to ours (120 s idle,
5 s once closed). It counts a packet's bytes from the link layer on, as captured; so do we here.
A flow is matched when endpoints, protocol, packets and bytes of both directions are the same.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from ipaddress import ip_address
from pathlib import Path

from inoculate.features.flows.flow_frame import flow_frame
from inoculate.features.flows.flow_meter import FlowMeter
from inoculate.features.flows.packets import FragmentPorts, decode
from inoculate.reading.captures import read_records

_LONG, _ALL = 120, ("", "emergency-")
_TIMES = {f"{e}{k}": _LONG for e in _ALL for k in ("new", "established", "bypassed")}
_CLOSED = {f"{e}closed": 5 for e in _ALL}
CONFIG = f"""%YAML 1.1
---
outputs:
  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, types: [flow]}}
vlan: {{use-for-tracking: true}}
flow: {{memcap: 512mb, hash-size: 65536, prealloc: 1000, managers: 1}}
stats: {{enabled: no}}
flow-timeouts:
  default: {json.dumps({**_TIMES, **_CLOSED})}
  tcp: {json.dumps({**_TIMES, **_CLOSED})}
  udp: {json.dumps(_TIMES)}
  icmp: {json.dumps(_TIMES)}
"""
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "ipv6-icmp": 58}
REASONS = {
    "cut elsewhere": "the key's totals agree, its flows begin and end elsewhere",
    "ICMP": "Suricata's key has type and code, and counts an error to the flow it is about",
    "one side only": "a key that only one of the two has flows of",
    "other counts": "a key whose packets or bytes differ in total",
}

Key = tuple[object, ...]


def _key(a: str, a_port: int, b: str, b_port: int, proto: str) -> Key:
    ends = sorted([(int(ip_address(a)), a_port), (int(ip_address(b)), b_port)])
    name = proto.lower()
    return (*ends, NUMBERS.get(name) or name)


def ours(path: Path) -> list[tuple[Key, int, int]]:
    """Return key, packets and link-layer bytes of each of our flows."""
    meter, fragments, rows, before = FlowMeter(), FragmentPorts(), [], 0
    columns = ("orig_h", "orig_p", "resp_h", "resp_p", "proto", "orig_pkts", "resp_pkts",
               "orig_ip_bytes", "resp_ip_bytes")  # fmt: skip

    def keep(state: dict) -> None:
        for r in flow_frame(state, path.name, meter.tick_us).select(columns).iter_rows():
            rows.append((_key(*r[:5]), int(r[5] + r[6]), int(r[7] + r[8])))

    with path.open("rb") as stream:
        for r in read_records(stream, path.name):
            p = decode(r.data, r.start, r.captured, r.wire, r.link).packets
            fragments.fill(p)
            p.ip_bytes = r.captured[p.row]
            keep(meter.add(p, r.time_us[p.row], p.row + before + 1, r.data))
            before += len(r)
    keep(meter.flush())
    return rows


def theirs(path: Path, folder: Path) -> list[tuple[Key, int, int]]:
    """Return key, packets and bytes of each of Suricata's flow events."""
    log = folder / "eve.json"
    log.unlink(missing_ok=True)
    (folder / "suricata.yaml").write_text(CONFIG)
    command = ["suricata", "-c", folder / "suricata.yaml", "-r", path, "-l", folder]
    command += ["-S", "/dev/null", "-k", "none", "--runmode", "single"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    rows = []
    for line in log.read_text().splitlines():
        e = json.loads(line)
        f = e["flow"]
        key = _key(e["src_ip"], e.get("src_port", 0), e["dest_ip"], e.get("dest_port", 0),
                   e["proto"])  # fmt: skip
        packets = f["pkts_toserver"] + f["pkts_toclient"]
        rows.append((key, packets, f["bytes_toserver"] + f["bytes_toclient"]))
    return rows


def compare(our: list[tuple[Key, int, int]], their: list[tuple[Key, int, int]]) -> dict[str, int]:
    """Return how many flows match, and how many of ours and theirs differ for each reason."""
    a, b = Counter(our), Counter(their)
    result = Counter(ours=len(our), theirs=len(their), matched=(a & b).total())
    result["packets apart"] = abs(sum(r[1] for r in our) - sum(r[1] for r in their))
    totals: list[dict[Key, tuple[int, int]]] = []
    for rows in (our, their):
        sums: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
        for key, packets, size in rows:
            sums[key][0] += packets
            sums[key][1] += size
        totals.append({k: (v[0], v[1]) for k, v in sums.items()})
    for side in (a - b, b - a):
        for (key, *_), n in side.items():
            result[_reason(key, *totals)] += n
    return dict(result)


def _reason(key: Key, our: dict[Key, tuple[int, int]], their: dict[Key, tuple[int, int]]) -> str:
    if key[2] in (1, 58):
        return "ICMP"
    if key not in our or key not in their:
        return "one side only"
    return "cut elsewhere" if our[key] == their[key] else "other counts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="list keys that differ, on stderr")
    args = parser.parse_args()
    root = (args.data or Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))) / "pcap"
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(root.rglob("*.pcap*")):
            pair = ours(path), theirs(path, Path(folder))
            results[str(path.relative_to(root))] = compare(*pair)
            if args.show:
                _show(path.name, *pair)
    print(json.dumps(results) if args.json else table(results))


def _show(name: str, our: list, their: list) -> None:
    a, b = Counter(our), Counter(their)
    for who, rest in (("ours", a - b), ("theirs", b - a)):
        for (key, packets, size), n in list(rest.items())[:6]:
            ends = " ".join(f"{ip_address(h)}:{p}" for h, p in key[:2])
            print(f"{name} {who:6} {ends} {key[2]} {packets} {size} x{n}", file=sys.stderr)


def table(results: dict[str, dict[str, int]]) -> str:
    """Return the comparison as a Markdown table."""
    heads = ["capture", "ours", "Suricata", "matched", *REASONS, "packets apart"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    total: Counter[str] = Counter()
    for name, r in results.items():
        total.update(r)
        lines.append(_line(name, r))
    return "\n".join([*lines, _line("**all**", total)])


def _line(name: str, r: dict[str, int]) -> str:
    cells = [r.get(k, 0) for k in ("ours", "theirs", "matched", *REASONS, "packets apart")]
    return "| " + " | ".join([name, *(f"{c:,}" for c in cells)]) + " |"


if __name__ == "__main__":
    main()
