"""Agents of fuzzing on real C libraries, for coverage only: edges touched at a budget.

    apt-get source --download-only libyaml=0.2.5-1 expat=2.5.0-1+deb12u2 cjson=1.7.15-1+deb12u4 \\
        giflib=5.2.1-2.5+deb12u1 libconfig=1.5-0.4 libplist=2.2.0-6
    python benchmarks/fuzz_libraries.py run --sources . --output runs
    python benchmarks/fuzz_libraries.py report runs docs/measured/fuzzing

The sources are those that Debian's stable release was built from, without its patches; this needs
its source packages (``deb-src``) among apt's sources. Each trial is a process of its own, for a
real library may crash for real.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_report import Trials, by_program, compared, said
from fuzzing import CHECKPOINTS, read, trial

from inoculate.fuzzing.program import ProgramEnvironment
from inoculate.fuzzing.target import BAD_END, ENDLESS, SIGNAL, InProcess, compile_program
from inoculate.store.agent import load_agent

HERE = Path(__file__).with_name("libraries")
AGENTS = ("uniform", "afl_havoc", "ucb_bandit", "hierarchical_bandit")
BASELINES = AGENTS[:3]
MEMORY_BYTES = 4 << 30
SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Library:
    """Sources of a library, as Debian's stable release has them.

    Attributes:
        name: of the package, of ``libraries/NAME.c`` and of ``libraries/seeds/NAME``.
        archive: its sources; ``sha256`` is this file's.
        folder: in the archive.
        files: C files in it, apart by spaces.
        include: folders of headers in it.
        define: macros, as ``configure`` would find them.
    """

    name: str
    archive: str
    sha256: str
    folder: str
    files: str
    include: str = "."
    define: str = ""


LIBRARIES = (
    Library(
        "libyaml",
        "libyaml_0.2.5.orig.tar.gz",
        "fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e",
        "libyaml-0.2.5",
        "src/api.c src/reader.c src/scanner.c src/parser.c src/loader.c",
        "include",
        'YAML_VERSION_STRING="0.2.5" YAML_VERSION_MAJOR=0 YAML_VERSION_MINOR=2 '
        "YAML_VERSION_PATCH=5",
    ),
    Library(
        "expat",
        "expat_2.5.0.orig.tar.gz",
        "ab00ee05c7067fd10a35c5d2a4922ebba746ddd50ff83b79c828da17bbdf1757",
        "libexpat-R_2_5_0/expat",
        "lib/xmlparse.c lib/xmlrole.c lib/xmltok.c",
        "lib",
        "XML_NS XML_DTD XML_CONTEXT_BYTES=1024 BYTEORDER=1234 XML_POOR_ENTROPY",
    ),
    Library(
        "cjson",
        "cjson_1.7.15.orig.tar.gz",
        "5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2",
        "cJSON-1.7.15",
        "cJSON.c",
    ),
    Library(
        "giflib",
        "giflib_5.2.1.orig.tar.gz",
        "31da5562f44c5f15d63340a09a4fd62b48c45620cd302f77a6d9acf0077879bd",
        "giflib-5.2.1",
        "dgif_lib.c gifalloc.c gif_err.c gif_hash.c openbsd-reallocarray.c",
    ),
    Library(
        "libconfig",
        "libconfig_1.5.orig.tar.gz",
        "e31daa390d8e4461c8830512fe2e13ba1a3d6a02a2305a02429eec61e68703f6",
        "libconfig-1.5",
        "lib/grammar.c lib/scanner.c lib/libconfig.c lib/scanctx.c lib/strbuf.c",
        "lib",
    ),
    Library(
        "libplist",
        "libplist_2.2.0.orig.tar.bz2",
        "bd700c1a7862fe732e9292ef65e21bd25e05d09f542ff0b1c49aace0d1bd495e",
        "libplist-2.2.0",
        "src/base64.c src/bplist.c src/bytearray.c src/hashtable.c src/plist.c src/ptrarray.c "
        "src/time64.c src/xplist.c libcnary/cnary.c libcnary/node.c libcnary/node_list.c",
        "include src libcnary/include",
        "_GNU_SOURCE HAVE_GMTIME_R HAVE_LOCALTIME_R HAVE_TM_TM_GMTOFF HAVE_TM_TM_ZONE "
        "HAVE_STRPTIME HAVE_MEMMEM",
    ),
)


class Watched(InProcess):
    """A library that may really crash: remembers the first input of each bad end."""

    def start(self) -> None:
        super().start()
        self.bad: dict[str, list] = {}

    def run(self, data: bytes, path: int) -> int:
        said = super().run(data, path)
        if said & BAD_END:
            did = self.outcome()
            name = {ENDLESS: "without end", SIGNAL: f"signal {did.number}"}.get(did.status, "?")
            self.bad.setdefault(name, [0, data.hex()])[0] += 1
        return said


def build(library: Library, sources: Path, folder: Path) -> Path:
    """Unpack and compile a library.

    Raises:
        ValueError: the archive is another one.
    """
    archive = sources / library.archive
    if hashlib.sha256(archive.read_bytes()).hexdigest() != library.sha256:
        raise ValueError(f"{archive}: another file than the one that was measured")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    root = folder / library.folder
    return compile_program(
        HERE / f"{library.name}.c",
        folder / f"{library.name}.so",
        more=[root / file for file in library.files.split()],
        flags=[
            *(f"-I{root / part}" for part in library.include.split()),
            *(f"-D{macro}" for macro in library.define.split()),
            "-Werror=implicit-function-declaration",
        ],
    )


def one(program: Path, agent: str, seed: int, executions: int) -> dict:
    """Run one trial in this process, which may die of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    seeds = [path.read_bytes() for path in sorted((HERE / "seeds" / program.stem).iterdir())]
    target = Watched(program)
    environment = ProgramEnvironment(target, seeds, name=program.stem, executions=executions)
    policy = load_agent(agent).adapt(environment.space, seed=seed)
    return trial(environment, policy, seed=seed, frozen=False) | {"bad": target.bad}


def run(arguments: argparse.Namespace) -> Iterator[dict]:
    """Run what is not in the results yet."""
    path = arguments.output / "libraries.jsonl"
    done = {(t["program"], t["agent"], t["seed"]) for t in read(path)}
    for library in LIBRARIES:
        if arguments.only and library.name not in arguments.only:
            continue
        keys = [(library.name, a, s) for s in range(arguments.trials) for a in arguments.agents]
        with tempfile.TemporaryDirectory() as folder:
            program = build(library, arguments.sources, Path(folder))
            for name, agent, seed in (key for key in keys if key not in done):
                command = [sys.executable, __file__, "one", str(program), agent, str(seed)]
                did = subprocess.run(
                    [*command, str(arguments.executions)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if did.returncode > 0:
                    raise RuntimeError(did.stderr)
                said = json.loads(did.stdout) if not did.returncode else {"died": -did.returncode}
                made = {"program": name, "kind": "library", "agent": agent, "seed": seed, **said}
                with path.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(made) + "\n")
                yield made


def report(records: Sequence[dict], folder: Path) -> str:
    """Write ``libraries.md`` and ``libraries.json`` into a folder; return the former.

    What a person has to say to the tables is kept in ``libraries-reading.md`` there.
    """
    trials = by_program([t for t in records if "died" not in t])
    agents = [a for a in AGENTS if any(a == agent for _, agent in trials)]
    programs = sorted({p for p, _ in trials if all((p, a) in trials for a in agents)})
    gaps = {
        f"{a} / {b} / {at}": edge_gap(trials, a, b, programs, at)
        for at in (CHECKPOINTS // 10, CHECKPOINTS)
        for a in agents
        for b in BASELINES
        if a != b and b in agents
    }
    edges = {a: {p: curve(trials, p, a).tolist() for p in programs} for a in agents}
    results = {"edges": edges, "against": gaps}
    n, most = len(trials[programs[0], agents[0]]), trials[programs[0], agents[0]][0]["executions"]
    text = HEAD.format(n=len(programs), trials=n, executions=most).splitlines()
    text += ["", *said(folder / "libraries-reading.md")]
    text += [*_edges(trials, agents, programs), "", *_gaps(gaps, agents), ""]
    text += ["## Within a library", "", *_curves(edges, agents), ""]
    text += ["## What ended badly", "", *_bad(records)]
    (folder / "libraries.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "libraries.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return "\n".join(text)


HEAD = """# Agents of fuzzing on real libraries: coverage

Made by `benchmarks/fuzz_libraries.py` (its first lines say how): {n} libraries of Debian's stable
release in its versions, {executions:,} executions, {trials} trials, nothing learned from any of
them. An edge is a pair of consecutive places, as in training; the mean over trials, with
the standard deviation of a trial. A12 is the chance that the agent has more edges than the baseline
(0.5: no difference), its 95 % interval over libraries and trials. *More* and *fewer* count
libraries whose trials differ by Mann and Whitney's test after Holm's correction."""


def curve(trials: Trials, program: str, agent: str) -> np.ndarray:
    """Return edges at each checkpoint, the mean over trials."""
    return np.mean([t["edges"] for t in trials[program, agent]], axis=0)


def edge_gap(trials: Trials, agent: str, base: str, programs: Sequence[str], at: int) -> dict:
    """Hold edges at the ``at``-th checkpoint against those of a baseline; more is better."""
    mine, theirs = (
        [-np.array([t["edges"][at - 1] for t in trials[p, a]], float) for p in programs]
        for a in (agent, base)
    )
    return compared(mine, theirs, programs)


def _edges(trials: Trials, agents: Sequence[str], programs: Sequence[str]) -> list[str]:
    lines = ["| library | " + " | ".join(agents) + " |", "|---|" + "---|" * len(agents)]
    for p in programs:
        last = [np.array([t["edges"][-1] for t in trials[p, a]]) for a in agents]
        cells = [f"{e.mean():,.0f} ± {e.std(ddof=1) if len(e) > 1 else 0:.0f}" for e in last]
        lines.append(f"| {p} | " + " | ".join(cells) + " |")
    rates = [
        np.median([t["executions"] / t["seconds"] for p in programs for t in trials[p, a]])
        for a in agents
    ]
    return [*lines, "| *executions/s* | " + " | ".join(f"{r:,.0f}" for r in rates) + " |"]


def _gaps(gaps: Mapping[str, dict], agents: Sequence[str]) -> list[str]:
    lines = [
        "| agent | against | A12 at a tenth of the budget | A12 at the budget | p | more | fewer |",
        "|---|---|---|---|---|---|---|",
    ]
    for a in agents:
        for b in BASELINES:
            both = [gaps.get(f"{a} / {b} / {at}") for at in (CHECKPOINTS // 10, CHECKPOINTS)]
            if None in both:
                continue
            cells = ["{a12:.3f} [{low:.3f}, {high:.3f}]".format(**g) for g in both]
            g = both[-1]
            lines.append(
                f"| {a} | {b} | {cells[0]} | {cells[1]} | {g['p']:.2g} | {g['faster']} "
                f"| {g['slower']} |"
            )
    return lines


def _curves(edges: Mapping[str, Mapping[str, list]], agents: Sequence[str]) -> list[str]:
    lines = [
        "Edges at each twentieth of the budget, the mean over libraries.",
        "",
        "| part | " + " | ".join(agents) + " |",
        "|---|" + "---|" * len(agents),
    ]
    means = [np.mean(list(edges[a].values()), axis=0) for a in agents]
    for i in range(CHECKPOINTS):
        cells = " | ".join(f"{m[i]:,.1f}" for m in means)
        lines.append(f"| {(i + 1) / CHECKPOINTS:.0%} | {cells} |")
    return lines


def _bad(records: Sequence[dict]) -> list[str]:
    died = [t for t in records if "died" in t]
    signals = [n for t in records for kind, (n, _) in t.get("bad", {}).items() if "signal" in kind]
    lines = [
        f"{len(died)} of {len(records)} trials died, which are left out; {sum(signals):,} inputs "
        "ended by a signal. An input without end passed more than 200,000 places.",
        "",
    ]
    for p in sorted({t["program"] for t in records}):
        mine = [t for t in records if t["program"] == p]
        for kind in sorted({k for t in mine for k in t.get("bad", {})}):
            having = [t["bad"][kind][0] for t in mine if kind in t.get("bad", {})]
            lines.append(
                f"- {p}: {kind}, {sum(having):,} inputs in {len(having)} of {len(mine)} trials."
            )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    go = commands.add_parser("run")
    go.add_argument("--sources", type=Path, required=True, help="folder of the archives")
    go.add_argument("--output", type=Path, required=True)
    go.add_argument("--only", nargs="*", default=[], choices=[one.name for one in LIBRARIES])
    go.add_argument("--trials", type=int, default=5)
    go.add_argument("--executions", type=int, default=200_000)
    go.add_argument("--agents", nargs="*", default=list(AGENTS))
    single = commands.add_parser("one", help="one trial, in this process")
    single.add_argument("program", type=Path)
    single.add_argument("agent")
    single.add_argument("seed", type=int)
    single.add_argument("executions", type=int)
    show = commands.add_parser("report")
    show.add_argument("trials", type=Path)
    show.add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if arguments.command == "one":
        a = arguments
        print(json.dumps(one(a.program, a.agent, a.seed, a.executions)))
    elif arguments.command == "run":
        arguments.output.mkdir(parents=True, exist_ok=True)
        for made in run(arguments):
            last = made["edges"][-1] if "edges" in made else f"died of signal {made['died']}"
            print(made["program"], made["agent"], made["seed"], last, flush=True)
    else:
        print(report(read(arguments.trials / "libraries.jsonl"), arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
