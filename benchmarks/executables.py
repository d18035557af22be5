"""How many executables a second become encoded records, and how many real ones are read at all.

    python benchmarks/executables.py FOLDER ... [--kind pe|elf] [--most N] [--json]

Every file of the kind under 1 MB below the folders (links not followed, archives and wheels
looked into) is read, parsed in two workers and encoded, as ``inoculate scan`` does it. In the same
run LIEF alone parses the same bytes, with all it reads by default, in two processes: the peer.
Processor time counts all processes without the start of the workers; beside other work it says
more than the time on the wall.
"""

import argparse
import io
import json
import os
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from inoculate.domain import Source
from inoculate.features.malware.executable import ANSWER
from inoculate.reading.folders import sources_in
from inoculate.reading.workers import Workers
from inoculate.registry import DOMAINS

MOST_BYTES = 1_000_000


def collected(folders, domain, most):
    """Return name and bytes of the files that are of the kind, each content once."""
    found, seen = [], set()
    for folder in folders:
        for source in sources_in(folder, on_skip=lambda _: None):
            if len(found) >= most:
                return found
            if domain.sniff(source) < 1:
                continue
            data = source.stream.read(MOST_BYTES + 1)
            while len(data) <= MOST_BYTES and (piece := source.stream.read(1 << 20)):
                data += piece
            if len(data) <= MOST_BYTES and hash(data) not in seen:
                seen.add(hash(data))
                found.append((source.name, data))
    return found


def children_cpu_s():
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(files, domain):
    """Return seconds of wall and of processor time, records and why some are unreadable."""
    sources = (Source(n, None, d[: 64 * 1024], io.BytesIO(d)) for n, d in files)
    bad, unreadable, n = [], Counter(), 0
    workers = Workers(ANSWER)
    start_cpu = children_cpu_s()
    list(workers.ask_all([(domain.mode, data) for _, data in files[:2]]))
    workers.close()
    start_cpu = children_cpu_s() - start_cpu
    workers = Workers(ANSWER)
    domain.ask = workers.ask_all
    list(domain.read_files(Source(n, None, d, io.BytesIO(d)) for n, d in files[:2]))
    cpu, began = time.process_time() + children_cpu_s(), time.perf_counter()
    for batch in domain.read_files(sources, on_bad=bad.append):
        n += domain.encode(batch, domain.views(batch)).n_records
        unreadable.update(batch.frame["unreadable"].drop_nulls().to_list())
    wall = time.perf_counter() - began
    workers.close()
    cpu = time.process_time() + children_cpu_s() - cpu - start_cpu
    return wall, cpu, n, dict(unreadable), [str(e) for e in bad]


def parse(kind, data):
    """Parse as LIEF does when asked for nothing special; return whether, and processor time."""
    import lief

    lief.logging.disable()
    began = time.process_time()
    parsed = {"pe": lief.PE, "elf": lief.ELF}[kind].parse(data) is not None
    return parsed, time.process_time() - began


def peer(files, kind):
    """Return seconds of wall and of processor time of two processes that only parse."""
    contents = [data for _, data in files]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(parse, kind), contents[:2]))
        began = time.perf_counter()
        parsed = list(pool.map(partial(parse, kind), contents, chunksize=8))
        wall = time.perf_counter() - began
    return wall, sum(cpu for _, cpu in parsed), sum(ok for ok, _ in parsed)


def measure(folders, kind, most):
    """Return all figures of one kind."""
    domain = DOMAINS.load(kind)()
    files = collected(folders, domain, most)
    if not files:
        return {"kind": kind, "files": 0}
    wall, cpu, n, unreadable, bad = ours(files, domain)
    alone, alone_cpu, n_alone = peer(files, kind)
    sizes = sorted(len(data) for _, data in files)
    return {
        "kind": kind,
        "files": len(files),
        "mean_bytes": sum(sizes) // len(sizes),
        "median_bytes": sizes[len(sizes) // 2],
        "records": n,
        "unreadable": unreadable,
        "errors": bad[:10],
        "files_per_s": round(len(files) / wall, 1),
        "files_per_cpu_s": round(len(files) / cpu, 1),
        "mb_per_cpu_s": round(sum(sizes) / cpu / 1e6, 1),
        "lief_files_per_s": round(len(files) / alone, 1),
        "lief_files_per_cpu_s": round(len(files) / alone_cpu, 1),
        "lief_parsed": n_alone,
        "cpu_ratio": round(alone_cpu / cpu, 3),
        "load": round(os.getloadavg()[0], 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--kind", choices=("pe", "elf"), action="append")
    parser.add_argument("--most", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    kinds = chosen.kind or ["pe", "elf"]
    results = [measure(chosen.folders, kind, chosen.most) for kind in kinds]
    for result in results:
        for name, value in result.items():
            print(f"{name:>18}: {value}")
        print()
    if chosen.json:
        print(json.dumps({"executables": results}))


if __name__ == "__main__":
    main()
