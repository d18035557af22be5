"""Scanners that a user would pick, on the sets of code that the package is measured on.

    python benchmarks/scanners.py --tools FOLDER --output docs/measured/scanners

Bandit (Python), Flawfinder and Cppcheck (C, C++) as subprocesses, from ``--tools`` (a ``bin``
folder) or the PATH, with the rules they come with; each function is a file of its own, so what
needs the rest of a program is not seen. Of pairs: how often the scanner says more of the vulnerable
side (an equal number counts half) and how often it flags that side and not the fixed one. Of the
others: the share of vulnerable functions flagged less that of the others. At most 300 pairs, or
functions of each side, a set; brackets are 95 % intervals, pairs or functions redrawn.

Writes FILE.json and FILE.md, and says which scanners did not run and why.
"""

import argparse
import csv
import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))
PAIRS = ("cvefix_mined_dev", "sven_pairs", "pairvul_linux", "nvd_cve_c_pairs", "pyvul_functions")
SINGLE = ("juliet_c_functions", "owasp_benchmark_python", "owasp_benchmark_java")
SUFFIXES = {"c": ".c", "cpp": ".cpp", "python": ".py"}
MOST, SEED, LIMIT_S, FILE_S = 300, 0, 1_200, 60
UNREAD = frozenset(
    ("syntaxError", "unknownMacro", "preprocessorErrorDirective", "internalAstError")
)


def bandit(program, folder):
    words = [program, "-r", str(folder), "-f", "json", "-q", "--exit-zero"]
    found = json.loads(run(words))
    said = Counter(Path(r["filename"]).name for r in found["results"])
    return said, {Path(e["filename"]).name for e in found["errors"]}


def flawfinder(program, folder):
    rows = csv.DictReader(io.StringIO(run([program, "--csv", "--minlevel=1", str(folder)])))
    return Counter(Path(row["File"]).name for row in rows), set()


def cppcheck(program, folder):
    words = [program, "--quiet", "--enable=warning,portability"]
    words.append("--template={severity}\t{id}")
    said, unread = Counter(), set()
    for file in sorted(folder.iterdir()):
        try:
            lines = run([*words, str(file)], errors=True, limit_s=FILE_S).splitlines()
        except subprocess.TimeoutExpired:
            unread.add(file.name)
            continue
        for severity, _, name in (line.partition("\t") for line in lines):
            if name in UNREAD:
                unread.add(file.name)
            elif severity in ("error", "warning", "portability"):
                said[file.name] += 1
    return said, unread


SCANNERS = {
    "bandit": (bandit, ("python",)),
    "flawfinder": (flawfinder, ("c", "cpp")),
    "cppcheck": (cppcheck, ("c", "cpp")),
}
ABSENT = {
    "semgrep": "did not run: it has no rules of its own, its registry needs the network, and no "
    "local rules are here",
    "gosec": "did not run: not installed; it needs Go and a whole package that builds",
}


def run(words, *, errors=False, limit_s=LIMIT_S):
    done = subprocess.run(words, capture_output=True, timeout=limit_s, check=False)
    return (done.stderr if errors else done.stdout).decode("utf-8", "replace")


def version(program):
    said = run([program, "--version"]).split("\n")[0]
    return said.split()[-1] if said.split() else "unknown"


def scanned(scan, program, frame):
    """Return how much a scanner says of each row, and which it could not read."""
    with tempfile.TemporaryDirectory(prefix="scan-") as name:
        folder, names = Path(name), []
        for i, row in enumerate(frame.iter_rows(named=True)):
            names.append(f"f{i:05d}{SUFFIXES[row['language']]}")
            (folder / names[-1]).write_text(textwrap.dedent(row["text"]), errors="replace")
        said, unread = scan(program, folder)
    return np.array([said[n] for n in names]), np.array([n in unread for n in names])


def interval(values, rng):
    """Return a mean and its 95 % interval; for two arrays of the difference of their means."""
    values = [np.asarray(v, float) for v in values]
    means = [
        sum(sign * rng.choice(v, len(v)).mean() for sign, v in zip((1, -1), values, strict=False))
        for _ in range(2_000)
    ]
    mean = sum(sign * v.mean() for sign, v in zip((1, -1), values, strict=False))
    low, high = np.quantile(means, [0.025, 0.975])
    return [round(float(x), 3) for x in (mean, low, high)]


def of_pairs(name, frame, tool, program, rng):
    scan, languages = SCANNERS[tool]
    frame = frame.filter(pl.col("language").is_in(languages))
    sides = [
        frame.filter(pl.col("vulnerable") == v)
        .unique("pair_id", keep="first")
        .drop_nulls("pair_id")
        for v in (1, 0)
    ]
    both = sides[0].join(sides[1], on="pair_id", suffix="_fixed").sort("pair_id")
    if not both.height:
        return None
    both = both.sample(min(MOST, both.height), seed=SEED, shuffle=True)
    fixed = both.select("language", text="text_fixed")
    said, unread = scanned(scan, program, pl.concat([both.select("language", "text"), fixed]))
    worse, better = np.split(said, 2)
    more = np.where(worse > better, 1.0, np.where(worse == better, 0.5, 0.0))
    right = (worse > 0) & (better == 0)
    return {
        "set": name, "scanner": tool, "pairs": both.height,
        "ranked_right": interval([more], rng), "both_right": interval([right], rng),
        "says_the_same": round(float((worse == better).mean()), 3),
        "vulnerable_flagged": round(float((worse > 0).mean()), 3),
        "unread": int(unread.sum()),
    }  # fmt: skip


def of_single(name, frame, tool, program, rng):
    scan, languages = SCANNERS[tool]
    frame = frame.filter(pl.col("language").is_in(languages))
    if not frame.height:
        return None
    sides = [frame.filter(pl.col("vulnerable") == v) for v in (1, 0)]
    sides = [s.sample(min(MOST, s.height), seed=SEED, shuffle=True) for s in sides]
    said, unread = scanned(scan, program, pl.concat(s.select("language", "text") for s in sides))
    hit, n = said > 0, sides[0].height
    read = [h[~u] for h, u in zip(np.split(hit, [n]), np.split(unread, [n]), strict=True)]
    return {
        "set": name, "scanner": tool, "functions": [s.height for s in sides],
        "true_positive_rate": round(float(hit[:n].mean()), 3),
        "false_positive_rate": round(float(hit[n:].mean()), 3),
        "difference": interval([hit[:n], hit[n:]], rng),
        "difference_where_read": interval(read, rng), "unread": int(unread.sum()),
    }  # fmt: skip


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def told(figure):
    return f"{figure[0]:.3f} [{figure[1]:.3f}, {figure[2]:.3f}]"


def written(result):
    versions = ", ".join(f"{tool} {v}" for tool, v in result["versions"].items())
    lines = [
        "# Scanners on single functions",
        "",
        f"`python benchmarks/scanners.py`: {versions}.",
        "",
    ]
    lines += [f"* {tool}: {why}." for tool, why in result["did_not_run"].items()]
    lines += ["* No scanner here reads Java, Go, JavaScript or PHP.", ""]
    lines += [
        "Each function is scanned as a file of its own, with the rules that the scanner has; of",
        "a whole program it may say more. Ranked right: it says more of the vulnerable side; the",
        "same counts half, so 0.5 says nothing. Both right: it flags that side, not the fixed one.",
        f"Unread: files that it could not parse, or not within {FILE_S} s; Bandit reads what its",
        f"Python reads, here {platform.python_version()}, and OWASP's cases want 3.12.",
        "",
    ]
    lines += table(
        ("pairs of", "scanner", "pairs", "ranked right", "both right", "same of both", "unread"),
        [
            (r["set"], r["scanner"], r["pairs"], told(r["ranked_right"]), told(r["both_right"]),
             r["says_the_same"], r["unread"]) for r in result["pairs"]
        ],
    )  # fmt: skip
    lines += table(
        ("functions of", "scanner", "bad, good", "flagged", "good flagged", "difference",
         "unread", "difference where read"),
        [
            (r["set"], r["scanner"], ", ".join(map(str, r["functions"])), r["true_positive_rate"],
             r["false_positive_rate"], told(r["difference"]), r["unread"],
             told(r["difference_where_read"])) for r in result["single"]
        ],
    )  # fmt: skip
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tools", type=Path, help="folder of programs, looked at first")
    parser.add_argument("--output", type=Path, help="without ending")
    args = parser.parse_args()
    result = {"versions": {}, "did_not_run": dict(ABSENT), "pairs": [], "single": []}
    programs = {}
    for tool in SCANNERS:
        program = shutil.which(tool, path=args.tools) if args.tools else None
        program = program or shutil.which(tool)
        if program is None:
            result["did_not_run"][tool] = "did not run: not installed"
        else:
            programs[tool] = program
            result["versions"][tool] = version(program)
    for kind, names, measure in (("pairs", PAIRS, of_pairs), ("single", SINGLE, of_single)):
        for name in names:
            frame = pl.read_parquet(args.data / "code" / f"{name}.parquet")
            text = "code_clean" if "code_clean" in frame.columns else "code"
            frame = frame.with_columns(text=pl.col(text))
            for tool, program in programs.items():
                rng = np.random.default_rng(SEED)
                if (row := measure(name, frame, tool, program, rng)) is not None:
                    result[kind].append(row)
                    print(json.dumps(row), flush=True) if not args.json else None
    if args.output:
        args.output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
        args.output.with_suffix(".md").write_text(written(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
