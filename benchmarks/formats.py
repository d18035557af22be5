"""Records a second of the formats of hosts, texts and sandboxes, beside peers in the same run.

    python benchmarks/formats.py [FORMAT ...] [--scale X] [--rounds N] [--json]

Ours is the whole way from a file to encoded records, as ``inoculate scan`` takes it, on one core
with one Polars thread; for EVTX the workers that parse it count too. Beside it, on the same file:

* the bytes alone, read in pieces: what no reader can beat;
* lines of text: scikit-learn's ``HashingVectorizer`` on them, character n-grams of 1 to 3 into
  256 columns (log lines: words and pairs of words), which makes one of our views;
* JSON: ``json.loads`` of each line, which encodes nothing;
* EVTX: the ``evtx`` package's ``records_json`` with one thread, which encodes nothing;
* log lines, strace: Polars splits the file at its line ends, which encodes nothing.

Every reader runs in a process of its own that read 1/50 of the file before, so that imports and
workers are not counted. The best of the rounds counts; processor time says more than the wall
where other work runs. Input is made up, see ``benchmarks/format_inputs.py``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# (domain, records at scale 1, peer, goal in records a second)
FORMATS = {
    "domain_names": ("domain_names", 200_000, "characters", 100_000),
    "urls": ("urls", 60_000, "characters", None),
    "http_requests": ("http_requests", 40_000, "characters", None),
    "commands": ("commands", 30_000, "characters", None),
    "log_lines": ("log_lines", 300_000, "words", 100_000),
    "windows_json": ("windows_events", 40_000, "json", 20_000),
    "windows_evtx": ("windows_events", 20_000, "evtx", 20_000),
    "syscalls": ("syscalls", 4_000, "lines", None),
    "cloud_audit": ("cloud_audit", 30_000, "json", 20_000),
    "api_calls": ("api_calls", 10_000, "json", None),
}
PEERS = {
    "characters": "HashingVectorizer",
    "words": "HashingVectorizer",
    "json": "json.loads",
    "evtx": "evtx",
    "lines": "polars",
}


def read_ours(path: Path, domain: str) -> int:
    """Read to encoded records; return their number."""
    from inoculate.reading.sources import open_source
    from inoculate.registry import DOMAINS

    reader, n = DOMAINS.load(domain)(), 0
    with open_source(path) as source:
        assert reader.sniff(source) > 0
        for batch in reader.read(source):
            n += reader.encode(batch, reader.views(batch)).n_records
    return n


def read_bytes(path: Path, domain: str) -> int:
    """Read the file in pieces of 1 MiB."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    return 0


def read_json(path: Path, domain: str) -> int:
    """Parse each line."""
    with path.open("rb") as file:
        return sum(json.loads(line) is not None for line in file)


def read_evtx(path: Path, domain: str) -> int:
    """Parse each event to JSON."""
    import evtx

    return sum(1 for _ in evtx.PyEvtxParser(str(path), number_of_threads=1).records_json())


def read_lines(path: Path, domain: str) -> int:
    """Split at line ends."""
    import polars as pl

    return pl.read_csv(path, has_header=False, separator="\x01", quote_char=None).height


def _vectorize(path: Path, **how: object) -> int:
    from sklearn.feature_extraction.text import HashingVectorizer

    made = HashingVectorizer(n_features=256, norm=None, alternate_sign=False, **how)
    with path.open(encoding="utf-8") as file:
        return made.transform(file).shape[0]


def read_characters(path: Path, domain: str) -> int:
    """Count character n-grams."""
    return _vectorize(path, analyzer="char", ngram_range=(1, 3))


def read_words(path: Path, domain: str) -> int:
    """Count words and pairs of words."""
    return _vectorize(path, analyzer="word", ngram_range=(1, 2))


READERS = {
    "ours": read_ours,
    "bytes": read_bytes,
    "json": read_json,
    "evtx": read_evtx,
    "lines": read_lines,
    "characters": read_characters,
    "words": read_words,
}


def cpu_s() -> float:
    """Return the processor time of this process and of the children that still run."""
    total = time.process_time()
    for own in Path("/proc/self/task").iterdir():
        for child in (own / "children").read_text().split():
            for task in Path(f"/proc/{child}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
    return total


def run_one(reader: str, path: str, short: str, domain: str) -> None:
    """Measure one reader in this process and print the result."""
    READERS[reader](Path(short), domain)
    wall, cpu = time.perf_counter(), cpu_s()
    n = READERS[reader](Path(path), domain)
    wall, cpu = time.perf_counter() - wall, cpu_s() - cpu
    print(json.dumps({"records": n, "wall_s": wall, "cpu_s": cpu}))


def measure(reader: str, path: Path, short: Path, domain: str) -> dict[str, float]:
    """Measure one reader in a process of its own, on one core."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, __file__, "--one", reader, str(path), str(short), domain],
        env={**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, folder: Path, scale: float, rounds: int) -> dict[str, object]:
    """Return what is measured of one format."""
    import format_inputs

    domain, usual, peer, goal = FORMATS[name]
    path, short, n = folder / "input", folder / "short", max(100, int(usual * scale))
    make = getattr(format_inputs, name)
    make(path, n)
    make(short, max(50, n // 50))
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for reader in ("ours", peer, "bytes"):
            run = measure(reader, path, short, domain)
            known = best.setdefault(reader, run)
            assert known["records"] == run["records"]
            assert reader == "bytes" or peer == "lines" or run["records"] == n, (reader, run, n)
            for key in ("wall_s", "cpu_s"):
                known[key] = min(known[key], run[key])
    records = int(best["ours"]["records"])
    size = path.stat().st_size
    ours, other = best["ours"], best[peer]
    return {
        "format": name,
        "records": records,
        "bytes_a_record": round(size / records),
        "records_per_s": round(records / ours["wall_s"]),
        "records_per_cpu_s": round(records / ours["cpu_s"]),
        "mb_per_cpu_s": round(size / ours["cpu_s"] / 1e6, 1),
        "peer": PEERS[peer],
        "peer_records_per_cpu_s": round(records / other["cpu_s"]),
        "cpu_ratio": round(other["cpu_s"] / ours["cpu_s"], 3),
        "bytes_records_per_cpu_s": round(records / max(best["bytes"]["cpu_s"], 1e-6)),
        "goal_per_s": goal,
        "load": round(os.getloadavg()[0], 1),
    }


def markdown(results: list[dict[str, object]]) -> str:
    """Return the table."""
    lines = [
        "| format | bytes a record | records/s of wall | records/s of processor time | goal "
        "| peer | peer, records/s of processor time | ratio | bytes alone | load |",
        "|---" * 10 + "|",
    ]
    for r in results:
        goal = f"{r['goal_per_s']:,}" if r["goal_per_s"] else ""
        lines.append(
            f"| {r['format']} | {r['bytes_a_record']:,} | {r['records_per_s']:,} "
            f"| {r['records_per_cpu_s']:,} | {goal} | {r['peer']} "
            f"| {r['peer_records_per_cpu_s']:,} | {r['cpu_ratio']:.2f} "
            f"| {r['bytes_records_per_cpu_s']:,} | {r['load']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run, print a table, and with ``--json`` one object last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=4, metavar=("READER", "PATH", "SHORT", "DOMAIN"))
    chosen = parser.parse_args()
    if chosen.one:
        run_one(*chosen.one)
        return
    unknown = set(chosen.formats) - set(FORMATS)
    if unknown:
        parser.error(f"unknown format {min(unknown)}; have {', '.join(FORMATS)}")
    results = []
    for name in chosen.formats or FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            results.append(compare(name, Path(folder), chosen.scale, chosen.rounds))
    if chosen.json:
        print(json.dumps({"formats": results}))
    else:
        print(markdown(results))


if __name__ == "__main__":
    main()
