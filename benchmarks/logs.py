"""Log readers: records a second on one core, beside peers in the same run, and peak memory.

    python benchmarks/logs.py [--records N] [--long-mb MB] [--json]

Formats: a synthetic conn.log (tab-separated, 21 columns, 2000 originators, 700 flows a second)
and a NetFlow CSV of the same flows. Ours is the whole way from the file to encoded flows with
context columns. Peers: ``polars.read_csv`` of the same file with typed columns, the physical
limit, and ``csv.DictReader`` with a ``float`` for each number, as Zeek log readers in Python do
it. Each runs in a process of its own, held on one core, three times; the best processor time
counts.

``--long-mb`` reads a conn.log of that size, and reports the peak resident memory.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.reading.sources import open_source
from inoculate.registry import DOMAINS

ROUNDS = 3
CONN = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service"),
    *("duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp"),
    *("missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes"),
    "tunnel_parents",
]
NUMBERS = {
    *("ts", "duration", "orig_bytes", "resp_bytes", "orig_pkts", "orig_ip_bytes", "resp_pkts"),
    *("resp_ip_bytes", "td", "ipkt", "ibyt", "opkt", "obyt"),
}


def make_flows(n: int, seed: int, start_s: float) -> pl.DataFrame:
    """Return n flows of a made-up network in order of time, as conn.log columns."""
    rng = np.random.default_rng(seed)
    host = rng.zipf(1.2, n) % 2000
    state = rng.choice(["SF", "S0", "REJ", "RSTO"], n, p=[0.7, 0.15, 0.1, 0.05])
    sent, received = (np.exp(rng.normal(6, 2, n)).astype(int) for _ in range(2))
    out, back = (rng.integers(1, 40, n) for _ in range(2))

    def address(prefix: str, number: np.ndarray) -> pl.Series:
        return pl.Series([f"{prefix}.{i >> 8}.{i & 255}" for i in range(int(number.max()) + 1)])[
            number.tolist()
        ]

    return pl.DataFrame(
        {
            "ts": start_s + np.cumsum(rng.exponential(1 / 700, n)).round(6),
            "uid": pl.Series(rng.integers(0, 1 << 62, n)).cast(pl.String).str.head(17),
            "id.orig_h": address("10.0", host),
            "id.orig_p": rng.integers(1024, 65536, n),
            "id.resp_h": address("192.0", rng.zipf(1.3, n) % 5000),
            "id.resp_p": rng.choice([443, 80, 53, 22, 8080], n),
            "proto": rng.choice(["tcp", "udp"], n),
            "service": rng.choice(["ssl", "http", "dns", "-"], n),
            "duration": rng.exponential(3, n).round(6),
            "orig_bytes": sent,
            "resp_bytes": received,
            "conn_state": state,
            "local_orig": ["T"] * n,
            "local_resp": ["F"] * n,
            "missed_bytes": np.zeros(n, int),
            "history": rng.choice(["ShADadFf", "Dd", "S", "Sr"], n),
            "orig_pkts": out,
            "orig_ip_bytes": sent + 40 * out,
            "resp_pkts": back,
            "resp_ip_bytes": received + 40 * back,
            "tunnel_parents": ["-"] * n,
        }
    )


def write_conn(path: Path, flows: pl.DataFrame) -> None:
    """Append flows to a conn.log."""
    if not path.exists():
        path.write_text("#separator \\x09\n#unset_field\t-\n#fields\t" + "\t".join(CONN) + "\n")
    with path.open("ab") as file:
        flows.write_csv(file, include_header=False, separator="\t", quote_style="never")


def write_netflow(path: Path, flows: pl.DataFrame) -> None:
    """Write flows as nfdump does."""
    start = (pl.col("ts") * 1e6).cast(pl.Int64).cast(pl.Datetime("us"))
    flows.select(
        start.dt.strftime("%Y-%m-%d %H:%M:%S%.3f").alias("ts"),
        pl.col("duration").round(3).alias("td"),
        pl.col("id.orig_h").alias("sa"),
        pl.col("id.resp_h").alias("da"),
        pl.col("id.orig_p").alias("sp"),
        pl.col("id.resp_p").alias("dp"),
        pl.col("proto").str.to_uppercase().alias("pr"),
        pl.lit("...AP.SF").alias("flg"),
        pl.col("orig_pkts").alias("ipkt"),
        pl.col("orig_ip_bytes").alias("ibyt"),
        pl.col("resp_pkts").alias("opkt"),
        pl.col("resp_ip_bytes").alias("obyt"),
    ).write_csv(path)


def read_ours(path: Path, domain: str) -> int:
    """Read to encoded flows; return the number of records."""
    reader, n = DOMAINS.load(domain)(), 0
    with open_source(path) as source:
        for batch in reader.read(source):
            n += reader.encode(batch, reader.views(batch)).n_records
    return n


def read_polars(path: Path, domain: str) -> int:
    """Parse all columns at once, numbers as such."""
    tabs = domain == "zeek_conn"
    skip = 3 if tabs else 0
    names = CONN if tabs else path.open().readline().strip().split(",")
    frame = pl.read_csv(
        path,
        separator="\t" if tabs else ",",
        has_header=not tabs,
        skip_lines=skip,
        schema={
            n: pl.Float64 if n in NUMBERS and (tabs or n != "ts") else pl.String for n in names
        },
        null_values="-",
        quote_char=None,
    )
    return frame.height


def read_dicts(path: Path, domain: str) -> int:
    """Read row by row with the standard library."""
    tabs, n = domain == "zeek_conn", 0
    with path.open(newline="") as file:
        if tabs:
            for _ in range(3):
                file.readline()
        rows = csv.DictReader(file, CONN if tabs else None, delimiter="\t" if tabs else ",")
        numbers = [k for k in NUMBERS if tabs or k != "ts"]
        for row in rows:
            for name in numbers:
                value = row.get(name)
                if value is not None and value != "-":
                    float(value)
            n += 1
    return n


READERS = {"ours": read_ours, "polars": read_polars, "csv.DictReader": read_dicts}


def run_one(reader: str, path: str, domain: str) -> None:
    """Measure one reader in this process and print the result."""
    DOMAINS.load(domain)
    start = time.process_time()
    n = READERS[reader](Path(path), domain)
    seconds = time.process_time() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"records": n, "seconds": seconds, "peak_mb": peak_mb}))


def measure(reader: str, path: Path, domain: str) -> dict[str, float]:
    """Measure one reader in a process of its own, on one core."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, __file__, "--one", reader, str(path), domain],
        env={**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, n_records: int) -> dict[str, dict[str, float]]:
    """Return records a second of each reader on each format."""
    flows = make_flows(n_records, 0, 1.7e9)
    files = {"zeek_conn": folder / "conn.log", "netflow_csv": folder / "flows.csv"}
    write_conn(files["zeek_conn"], flows)
    write_netflow(files["netflow_csv"], flows)
    result: dict[str, dict[str, float]] = {}
    for domain, path in files.items():
        best = dict.fromkeys(READERS, 0.0)
        for _ in range(ROUNDS):
            for reader in READERS:
                run = measure(reader, path, domain)
                assert run["records"] == n_records, (reader, run)
                best[reader] = max(best[reader], run["records"] / run["seconds"])
        result[domain] = {k: round(v) for k, v in best.items()}
        for reader, rate in best.items():
            print(f"{domain:12} {reader:15} {rate:12,.0f} records/s")
    return result


def long_file(folder: Path, size_mb: int) -> dict[str, float]:
    """Return peak memory and speed for a conn.log of the given size."""
    path, start, seed = folder / "long.log", 1.7e9, 1
    while not path.exists() or path.stat().st_size < size_mb * 1_000_000:
        flows = make_flows(500_000, seed, start)
        write_conn(path, flows)
        start, seed = float(flows["ts"][-1]), seed + 1
    run = measure("ours", path, "zeek_conn")
    result = {
        "mb": path.stat().st_size / 1e6,
        "records": run["records"],
        "records_per_s": round(run["records"] / run["seconds"]),
        "peak_mb": round(run["peak_mb"]),
    }
    print(f"long conn.log of {result['mb']:.0f} MB: peak {result['peak_mb']} MB resident")
    return result


def main() -> None:
    """Run, print a table, and with ``--json`` one object last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--long-mb", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("READER", "PATH", "DOMAIN"))
    args = parser.parse_args()
    if args.one:
        run_one(*args.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, object] = {
            "records": args.records,
            "records_per_s": compare(Path(folder), args.records),
        }
        if args.long_mb:
            result["long"] = long_file(Path(folder), args.long_mb)
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
