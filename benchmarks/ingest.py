"""How fast sources become encoded flows, and in how much memory.

    python benchmarks/ingest.py [--data DIR] [--packets N] [--json]

pcap: catalogue captures are repeated, each time later and from other addresses, until there are
N packets. The capture is read to encoded flows, context columns included, on one core in a process
of its own; nfstream meters the same file in the same run with its statistics on and its packet
inspection off. Both are judged by processor time, nfstream's with that of its child process. A
file four times as long shows that memory follows open flows, not length.
"""

import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MIXTURE = (
    "dns_tunnel/ozymandns.pcap", "cicddos2019/CIC-DDoS-2019-WebDDoS.pcap", "ndpi/http_ipv6.pcap",
    "ustc_tfc2016/Tinba.pcap", "ndpi/reddit.pcap", "ndpi/netflix.pcap", "ndpi/teams.pcap",
    "ndpi/zoom.pcap", "ndpi/signal.pcap", "ndpi/whatsapp_login_call.pcap", "ndpi/dropbox.pcap",
    "slips/malicious-ssh-bruteforce.pcap", "dns_tunnel/dnscat2-cname.pcap", "ndpi/smtp.pcap",
    "ustc_tfc2016/Facetime.pcap", "cicddos2019/CIC-DDoS-2019-SynFlood.pcap",
)  # fmt: skip
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def _records(data: Path) -> list[tuple[float, bytes, int]]:
    """Return time since its capture's start, bytes and wire length of each Ethernet packet."""
    out = []
    for name in MIXTURE:
        raw, at, zero = (data / "pcap" / name).read_bytes(), 24, None
        assert raw[:4] == b"\xd4\xc3\xb2\xa1" and raw[20] == 1, name
        while at + 16 <= len(raw):
            s, us, size, wire = struct.unpack_from("<IIII", raw, at)
            moment = s + us / 1e6
            zero = moment if zero is None else zero
            out.append((max(0.0, moment - zero), raw[at + 16 : at + 16 + size], wire))
            at += 16 + size
    return sorted((r for r in out if r[0] < 600), key=lambda r: r[0])


def write_capture(data: Path, path: Path, packets: int) -> int:
    """Write about this many packets; return how many."""
    records, done, turn = _records(data), 0, 0
    span = 610.0
    with path.open("wb") as file:
        file.write(HEADER)
        while done < packets:
            begin = 1.6e9 + turn * span
            for moment, frame, wire in records[: packets - done]:
                if frame[12:14] == b"\x08\x00" and len(frame) >= 34:
                    other = bytes([frame[27] ^ turn & 255, *frame[28:31], frame[31] ^ turn & 255])
                    frame = frame[:27] + other + frame[32:]
                now = begin + moment
                head = (int(now), int(now % 1 * 1e6), len(frame), wire)
                file.write(struct.pack("<IIII", *head) + frame)
            done += min(len(records), packets - done)
            turn += 1
    return done


def ours(path: str) -> dict[str, float]:
    """Read a capture to encoded flows in this process."""
    from inoculate.domains.flows.pcap import Pcap
    from inoculate.reading.sources import open_source

    domain, flows = Pcap(), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    with open_source(Path(path)) as source:
        for batch in domain.read(source):
            flows += domain.encode(batch, domain.views(batch)).n_records
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "flows": flows,
        "imports_mb": before / 1024,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def theirs(path: str) -> dict[str, float]:
    """Meter a capture with nfstream in this process and its children."""
    from nfstream import NFStreamer

    began, cpu = time.perf_counter(), time.process_time()
    meter = NFStreamer(
        path, idle_timeout=120, active_timeout=1800, accounting_mode=1, decode_tunnels=False,
        n_meters=1, n_dissections=0, statistical_analysis=True, splt_analysis=4,
    )  # fmt: skip
    flows = sum(1 for _ in meter)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu + children.ru_utime + children.ru_stime,
        "flows": flows,
    }


def _apart(job: str, path: Path) -> dict[str, float]:
    """Run one measurement in a process of its own, on one core."""
    env = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    command = [sys.executable, __file__, "--job", job, "--path", str(path)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def bench_pcap(data: Path, packets: int, folder: Path) -> dict[str, float]:
    """Measure captures; print a line for each figure."""
    short, long = folder / "short.pcap", folder / "long.pcap"
    n, n_long = write_capture(data, short, packets), write_capture(data, long, packets * 4)
    our = [_apart("ours", short) for _ in range(3)]
    peer = [_apart("theirs", short) for _ in range(2)]
    big = _apart("ours", long)
    best, other = min(o["cpu_s"] for o in our), min(p["cpu_s"] for p in peer)
    result = {
        "packets": n,
        "mb": short.stat().st_size / 1e6,
        "flows": our[0]["flows"],
        "packets_per_s": n / best,
        "nfstream_packets_per_s": n / other,
        "nfstream_wall_packets_per_s": n / min(p["seconds"] for p in peer),
        "times_nfstream": other / best,
        "peak_mb_1x": max(o["peak_mb"] for o in our),
        "peak_mb_4x": big["peak_mb"],
        "packets_per_s_4x": n_long / big["cpu_s"],
    }
    for name, value in result.items():
        print(f"pcap {name:28} {value:14,.1f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--job", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps({"ours": ours, "theirs": theirs}[args.job](args.path)))
        return
    data = args.data or Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))
    with tempfile.TemporaryDirectory() as folder:
        results = {"pcap": bench_pcap(data, args.packets, Path(folder))}
    if args.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
