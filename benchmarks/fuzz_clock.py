"""Ours against afl-fuzz itself, by the clock: processor time to the first crash of a program.

    python benchmarks/fuzz_clock.py run --output runs
    python benchmarks/fuzz_clock.py report runs docs/measured/fuzzing

The programs are parsers that no agent was trained on, built by afl-clang-fast with AFL++'s own
driver (persistent mode, inputs in shared memory); a planted flaw aborts before any damage.
``afl-fuzz`` is that program with its own mutations and its default settings; an agent's name is
``inoculate fuzz --agent NAME``, which runs the same afl-fuzz with our mutations. Counted is the
processor time of all processes of a trial from the first moment on, Python's imports in it. They
are held to one core: processes on two that wait for one another cost up to five times as much for
the same executions, by how busy the machine is. What is in the results already is not run again.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import fuzz_programs
from fuzz_clock_report import AFL, COMPETITORS, report
from fuzzing import read

RECIPE = Path(__file__).parents[1] / "recipes" / "hierarchical_bandit.toml"
ABORT = "#include <stdlib.h>\nvoid planted_bug(int id) { (void)id; abort(); }\n"
SETTINGS = {
    "AFL_NO_UI": "1",
    "AFL_NO_AFFINITY": "1",
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
}
POLL_S, LOOK_S, END_S, WALL_FACTOR = 0.01, 0.2, 30.0, 30
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
BECOME_SUBREAPER = 36
EXECUTIONS = re.compile(r"\bexecs:(\d+)")
DONE = re.compile(r"^execs_done\s*:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run on one program, until its first crash or its budget.

    Attributes:
        program, kind, agent: which.
        seed: of the trial.
        budget: processor seconds.
        executions, seconds: spent.
        setup: of the seconds, those before afl-fuzz was started.
        bugs: ``{"1": (executions, seconds)}`` until the first crash, empty where there was none.
    """

    program: str
    kind: str
    agent: str
    seed: int
    budget: float
    executions: int
    seconds: float
    setup: float
    bugs: dict[str, tuple[int, float]]


def programs() -> list[str]:
    """Return the parsers written last, where they are there, else those not trained on."""
    with RECIPE.open("rb") as file:
        trained = set(tomllib.load(file)["parsers"]["names"])
    names = sorted(path.stem for path in fuzz_programs.PARSERS.glob("*.c"))
    return sorted(getattr(fuzz_programs, "UNSEEN", ())) or [n for n in names if n not in trained]


def build(name: str, folder: Path) -> Path:
    """Compile a parser for afl-fuzz."""
    (folder / "abort.c").write_text(ABORT, encoding="ascii")
    command = ["afl-clang-fast", "-O1", "-w", "-DPLANTED", "-fsanitize=fuzzer"]
    command += [str(fuzz_programs.PARSERS / f"{name}.c"), str(folder / "abort.c")]
    done = subprocess.run(
        [*command, "-o", str(folder / name)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder / name


class Children:
    """All processes that this one started, and what those started."""

    def __init__(self) -> None:
        if ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0):
            raise OSError("processes whose parent is gone would not be counted")
        self._known: list[int] = []
        self._looked = 0.0

    def seconds(self, *, look: bool = False) -> float:
        """Return their processor time, also of those that ended and were waited for.

        Args:
            look: for those that began a moment ago, too; else that is done now and then.
        """
        if look or time.monotonic() - self._looked > LOOK_S:
            self._known, self._looked = self.find(), time.monotonic()
        return sum(sum(fields[11:15]) for pid in self._known if (fields := _stat(pid))) * TICK_S

    def find(self) -> list[int]:
        """Return who they are."""
        parents = {
            int(entry.name): fields[1]
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and (fields := _stat(int(entry.name)))
        }
        found = [os.getpid()]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found[1:]

    def end(self) -> None:
        """Kill and wait for all of them."""
        while found := self.find():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(POLL_S)
        self._known, self._looked = [], 0.0


def _stat(pid: int) -> list[int]:
    """Return the numbers of /proc/PID/stat after the state, which is 0; empty where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return []
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


def command_of(agent: str, program: Path, out: Path, seed: int, seconds: float) -> list[str]:
    """Return the command line of a competitor."""
    seeds = str(fuzz_programs.PARSERS / "seeds" / program.name)
    if agent == AFL:
        limits = ["-m", "512", "-t", "1000", "-s", str(seed)]
        return [AFL, "-i", seeds, "-o", str(out), *limits, "--", str(program)]
    command = [sys.executable, "-m", "inoculate.cli.main", "fuzz", "--target", str(program)]
    command += ["--seeds", seeds, "-o", str(out), "--agent", agent, "--seed", str(seed)]
    return [*command, "--time", f"{seconds:.0f}s", "--quiet"]


def trial(children: Children, agent: str, program: Path, *, seed: int, budget_s: float) -> Trial:
    """Run one competitor until its first crash, or until its processor time is spent."""
    wall = WALL_FACTOR * budget_s
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "out"
        told = {k: v for k, v in os.environ.items() if not k.startswith("AFL_")} | SETTINGS
        told |= {"TMPDIR": name, "OMP_NUM_THREADS": "1"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command_of(agent, program, out, seed, wall), env=told, stdout=log, stderr=log
            )
        afl = out if agent == AFL else out / "afl"
        try:
            setup, spent, crash = watch(children, process, afl, budget_s, wall)
            if crash is None and process.poll() is not None:
                said = (folder / "log").read_text("utf-8", "replace")
                raise RuntimeError(f"{agent} on {program.name} ended: {said[-2000:]}")
            executions = executions_at(crash) if crash else executions_until_end(process, afl)
        finally:
            children.end()
    found = {"1": (executions, spent)} if crash else {}
    return Trial(program.name, "parser", agent, seed, budget_s, executions, spent, setup, found)


def watch(
    children: Children, process: subprocess.Popen, afl: Path, budget_s: float, wall_s: float
) -> tuple[float, float, str | None]:
    """Wait for the end of a trial.

    Returns:
        Processor seconds before afl-fuzz was started, and in all; the crash's name, if any.
    """
    began, setup = time.monotonic(), None
    crashes = afl / "default" / "crashes"
    while True:
        crash = next(iter(sorted(p.name for p in crashes.glob("id:*"))), None)
        spent = children.seconds(look=crash is not None)
        if setup is None and (afl.exists() or spent > budget_s):
            setup = 0.0 if process.args[0] == AFL else spent
        if crash or spent >= budget_s or process.poll() is not None:
            return round(setup or 0.0, 2), round(min(spent, budget_s), 2), crash
        if time.monotonic() - began > wall_s:
            raise RuntimeError(f"{process.args}: {spent:.1f} s of processor time in {wall_s:.0f} s")
        time.sleep(POLL_S)


def executions_at(crash: str) -> int:
    """Return the executions until a crash, which its name tells."""
    match = EXECUTIONS.search(crash)
    if match is None:
        raise ValueError(f"{crash}: says nothing of executions; AFL++ 4.04c is expected")
    return int(match[1])


def executions_until_end(process: subprocess.Popen, afl: Path) -> int:
    """End a competitor so that it writes what it did, and read that."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    match = DONE.search((afl / "default" / "fuzzer_stats").read_text("ascii", "replace"))
    return int(match[1]) if match else 0


def run(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Run what is not in the results yet."""
    for needed in (AFL, "afl-clang-fast"):
        if shutil.which(needed) is None:
            raise RuntimeError(f"{needed} is not on the PATH; Debian: apt-get install afl++ clang")
    os.sched_setaffinity(0, {arguments.core})
    path, children = arguments.output / "clock.jsonl", Children()
    done = {(t["program"], t["agent"], t["seed"]) for t in read(path)}
    names = arguments.only or programs()
    with tempfile.TemporaryDirectory() as folder:
        built = [build(name, Path(folder)) for name in names]
        for seed in range(arguments.trials):
            for program in built:
                for agent in arguments.competitors:
                    if (program.name, agent, seed) in done:
                        continue
                    made = trial(children, agent, program, seed=seed, budget_s=arguments.budget)
                    with path.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(asdict(made)) + "\n")
                    yield made


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    go = commands.add_parser("run")
    go.add_argument("--output", type=Path, required=True)
    go.add_argument("--trials", type=int, default=20)
    go.add_argument("--budget", type=float, default=20.0, help="processor seconds of a trial")
    go.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="to run on")
    go.add_argument("--only", nargs="*", default=[], help="names of parsers")
    go.add_argument("--competitors", nargs="*", default=list(COMPETITORS), choices=COMPETITORS)
    show = commands.add_parser("report")
    show.add_argument("trials", type=Path)
    show.add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.command == "run":
        arguments.output.mkdir(parents=True, exist_ok=True)
        for made in run(arguments):
            print(
                made.program, made.agent, made.seed, f"{made.seconds:.2f} s", f"{made.setup:.2f} s",
                made.executions, "crash" if made.bugs else "-", flush=True,
            )  # fmt: skip
        return 0
    print(report(read(arguments.trials / "clock.jsonl"), arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
