"""How many megabytes and lines of source a second become encoded records, and are scanned.

    python benchmarks/code.py FOLDER ... [--sdist NAME==VERSION] [--bandit PATH] [--json]

Every file of a language that is known, at most 1 MB, below the folders (of sources that pip
fetches, with ``--sdist``; without either, of the packages that are installed) is read, cut,
parsed and encoded in two workers, as ``inoculate scan`` does it. In the same run tree-sitter
alone parses the same bytes in one process, which is the least that any of it can cost, and
Bandit, where a command is given, scans the same files. Last, the whole command scans the folders
with a detector; its memory is that of all its processes together, looked at 20 times a second.

Processor time counts all processes without the start of the workers; beside other work it says
more than the time on the wall.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from inoculate.domain import Source
from inoculate.domains.code import source as code
from inoculate.features.code.code_languages import grammar
from inoculate.features.code.code_reading import batches, encoded
from inoculate.features.code.code_tree import MOST_BYTES
from inoculate.reading.folders import walk
from inoculate.reading.workers import Workers

EXAMPLE = """def run_{i}(request):
    name = request.args['name{i}']
    return os.system('convert ' + name + ' -o {i}.png')
"""


def collected(folders):
    """Return the files of code below folders that nobody generated."""
    found = []
    for folder in folders:
        for path in walk(folder, lambda _: None):
            data = Path(path).read_bytes() if Path(path).stat().st_size <= MOST_BYTES else b""
            source = Source(path, None, data[: 64 * 1024], io.BytesIO(data))
            if data and not code._is_foreign(source) and (language := code._language(source)):
                found.append(code.File(path, language, data))
    return found


def children_cpu_s():
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(workers, files):
    """Return the number of records of files, read and encoded."""
    bad = []
    found = batches(iter(files), workers.ask_all, bad.append)
    return sum(len(encoded(b.frame, workers.ask_all)) for b in found), bad


def ours(files):
    """Return seconds of wall and of processor time, records and what was wrong."""
    before = children_cpu_s()
    workers = Workers(code._ANSWER, limits=code._LIMITS)
    read(workers, files[:1])
    list(workers.ask_all([]))
    workers.close()
    start_cpu = 2 * (children_cpu_s() - before)
    workers = Workers(code._ANSWER, limits=code._LIMITS)
    cpu, began = time.process_time() + children_cpu_s(), time.perf_counter()
    n, bad = read(workers, files)
    wall = time.perf_counter() - began
    workers.close()
    return wall, time.process_time() + children_cpu_s() - cpu - start_cpu, n, bad


def bare(files):
    """Return the seconds of processor time that parsing alone takes, in this process."""
    began = time.process_time()
    for file in files:
        grammar("php_tagged" if file.language == "php" else file.language).parser.parse(file.data)
    return time.process_time() - began


def watched(command, **more):
    """Run a command; return its result, seconds, and the most memory of its processes, in MB."""
    peak, ended = [0], threading.Event()
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def look():
        while not ended.wait(0.05):
            peak[0] = max(peak[0], memory(process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    out, err = process.communicate()
    ended.set()
    thread.join()
    return process.returncode, out, err, time.perf_counter() - began, peak[0] / 1e6


def memory(pid):
    """Return the resident bytes of a process and all below it."""
    try:
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        below = Path(f"/proc/{pid}/task").glob("*/children")
        return total + sum(memory(child) for t in below for child in t.read_text().split())
    except (OSError, ValueError):
        return 0


def command(folders, work):
    """Return figures of ``inoculate scan`` over folders, with a detector made beforehand."""
    few = work / "few.py"
    few.write_text("import os\n\n\n" + "\n\n".join(EXAMPLE.format(i=i) for i in range(5)))
    inoculate = [sys.executable, "-m", "inoculate.cli.main"]
    made = work / "cwe-78.detector"
    done = watched(
        [*inoculate, "adapt", "-q", "--examples", few, "--background", folders[0],
         "--threat", "CWE-78", "--skip-bad-records", "-o", made],
    )  # fmt: skip
    if done[0]:
        raise SystemExit(done[2].decode())
    wall, peak = done[3:]
    told = {"adapt_s": round(wall, 1), "adapt_peak_mb": round(peak)}
    scan = [*inoculate, "scan", *folders, "-d", made, "-q", "-f", "sarif", "--skip-bad-records"]
    status, out, err, wall, peak = watched(scan)
    if status > 1:
        raise SystemExit(err.decode())
    records = json.loads(out)["runs"][0]["properties"]["records"]
    return told | {
        "scan_s": round(wall, 2),
        "scan_peak_mb": round(peak),
        "scan_records": records,
    }


def bandit(tool, folders):
    """Return seconds, memory and lines of Bandit on the same folders."""
    status, out, err, wall, peak = watched([tool, "-q", "-r", *folders, "-f", "json"])
    if status > 1:
        raise SystemExit(err.decode())
    lines = json.loads(out)["metrics"]["_totals"]["loc"]
    return {"bandit_s": round(wall, 2), "bandit_peak_mb": round(peak), "bandit_code_lines": lines}


def fetched(name, work):
    """Return the folder of a package's sources, which pip fetches."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "-d", str(work), name], check=True)
    (archive,) = work.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(work / "sources", filter="data")
    return str(work / "sources")


def measure(folders, tool, work):
    """Return all figures."""
    files = collected(folders)
    size, lines = sum(len(f.data) for f in files), sum(f.data.count(b"\n") for f in files)
    wall, cpu, n, bad = ours(files)
    parsing = bare(files)
    told = {
        "languages": dict(Counter(f.language for f in files).most_common()),
        "files": len(files),
        "mb": round(size / 1e6, 2),
        "lines": lines,
        "records": n,
        "bad": Counter(e.problem for e in bad).most_common(5),
        "mb_per_s": round(size / wall / 1e6, 2),
        "lines_per_s": round(lines / wall),
        "mb_per_cpu_s": round(size / cpu / 1e6, 2),
        "bare_parse_mb_per_cpu_s": round(size / parsing / 1e6, 2),
        "cpu_of_bare_parses": round(cpu / parsing, 2),
        **command(folders, work),
    }
    told["scan_s_per_100k_lines"] = round(told["scan_s"] / lines * 1e5, 1)
    if tool:
        told |= bandit(tool, folders)
        told["bandit_over_scan_s"] = round(told["bandit_s"] / told["scan_s"], 2)
    return told | {"load": round(os.getloadavg()[0], 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--sdist", help="a package whose sources pip fetches")
    parser.add_argument("--bandit", help="the command of the peer")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        folders = chosen.folders + ([fetched(chosen.sdist, work)] if chosen.sdist else [])
        result = measure(folders or [sysconfig.get_path("purelib")], chosen.bandit, work)
    for name, value in result.items():
        print(f"{name:>24}: {value}")
    if chosen.json:
        print(json.dumps({"code": result}))


if __name__ == "__main__":
    main()
