"""Agents of fuzzing on programs never trained on: time to the first bug, bugs, edges.

    pip install --target packages --no-deps toml==0.10.2 ecdsa==0.13.2 idna==3.6 sqlparse==0.4.3 six
    python benchmarks/fuzzing.py run --packages packages --output docs/measured/fuzzing
    python benchmarks/fuzzing.py report docs/measured/fuzzing

Every agent has the same operators, first seeds, dictionary, executions and coverage; each trial
is one run on one program from nothing. Times are given twice: in executions, and in seconds of
processor time with the agent's own time in it. ``--frozen`` adds the meta-trained agents with
what they learn within a program thrown away after every round. ``--parsers`` says which of those
written by hand: ``unseen``, which no agent was chosen by, ``held-out``, not trained on but looked
at before, ``trained``, or ``none``.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from fuzz_programs import PARSER_SETS, Case, generated, packages, parsers
from fuzz_report import report

from inoculate.agent import Environment, Policy
from inoculate.registry import AGENTS
from inoculate.store.agent import load_agent

BASELINES = ("uniform", "afl_havoc", "ucb_bandit", "scratch_policy")
LEARNED = ("hierarchical_bandit", "rl_squared", "maml_policy")
CHECKPOINTS = 20
FROZEN = " (frozen)"


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one agent on one program.

    Attributes:
        program, kind, agent: which.
        seed: of the trial.
        executions, seconds: the budget spent, and the processor time it took.
        bugs: planted bug -> (executions, seconds) until its first input.
        edges: touched at each of 20 equal parts of the budget.
    """

    program: str
    kind: str
    agent: str
    seed: int
    executions: int
    seconds: float
    bugs: dict[str, tuple[int, float]]
    edges: tuple[int, ...]


def trial(environment: Environment, policy: Policy, *, seed: int, frozen: bool) -> dict:
    """Run one trajectory and say what came of it."""
    environment.taste = policy.taste
    seen = environment.reset(seed=seed)
    kept = {k: v.copy() for k, v in policy.memory().items() if k != "chance"} if frozen else {}
    began, edges, done = time.process_time(), [], False
    while not done:
        action = policy.act(seen)
        step = environment.step(action)
        if frozen:
            policy.remember({**policy.memory(), **kept})
        else:
            policy.learn(action, step.reward)
        seen, done = step.observation, step.done
        spent = environment.history.executions
        while (
            len(edges) < CHECKPOINTS
            and spent >= environment.budget * (len(edges) + 1) / CHECKPOINTS
        ):
            edges.append(environment.edges)
    return {
        "executions": environment.history.executions,
        "seconds": time.process_time() - began,
        "bugs": {str(bug): when for bug, when in environment.found.items()},
        "edges": tuple(edges),
    }


def trials(case: Case, agent: str, *, executions: int, n: int, first: int = 0) -> list[Trial]:
    """Run ``n`` trials of one agent on one program, in this process."""
    name = agent.removesuffix(FROZEN)
    made = []
    with tempfile.TemporaryDirectory() as folder:
        environment = case.make(Path(folder), executions)
        loaded = load_agent(name)
        for seed in range(first, first + n):
            policy = loaded.adapt(environment.space, seed=seed)
            did = trial(environment, policy, seed=seed, frozen=agent != name)
            made.append(Trial(case.name, case.kind, agent, seed, **did))
    return made


def cases(arguments: argparse.Namespace) -> list[Case]:
    unseen = arguments.grammars == "unseen"
    made = generated(arguments.generated, unseen=unseen, first_seed=arguments.first_seed)
    made += parsers(arguments.parsers)
    made += packages(arguments.packages) if arguments.packages else []
    return [case for case in made if case.name not in arguments.without]


def _work(name: str, agent: str, arguments: argparse.Namespace) -> list[Trial]:
    case = next(case for case in cases(arguments) if case.name == name)
    return trials(case, agent, executions=arguments.executions, n=arguments.trials)


def run(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Run what is not in the results yet; each program and agent in a process of its own."""
    path = arguments.output / "trials.jsonl"
    done = {(t["program"], t["agent"]) for t in read(path)}
    agents = [*arguments.agents, *(a + FROZEN for a in arguments.frozen)]
    wanted = [(c.name, a) for c in cases(arguments) for a in agents if (c.name, a) not in done]
    with ProcessPoolExecutor(arguments.processes, max_tasks_per_child=1) as pool:
        futures = [pool.submit(_work, name, agent, arguments) for name, agent in wanted]
        for future in as_completed(futures):
            made = future.result()
            with path.open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(asdict(t)) + "\n" for t in made)
            yield from made


def read(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    go = commands.add_parser("run")
    go.add_argument("--output", type=Path, required=True)
    go.add_argument("--packages", type=Path, help="folder with the packages installed")
    go.add_argument("--generated", type=int, default=12)
    go.add_argument("--first-seed", type=int, default=100, help="of the generated programs")
    go.add_argument("--grammars", default="unseen", choices=("held-out", "unseen"))
    go.add_argument("--parsers", nargs="+", default=["unseen"], choices=PARSER_SETS)
    go.add_argument("--without", nargs="*", default=[], help="names of programs to leave out")
    go.add_argument("--trials", type=int, default=20)
    go.add_argument("--executions", type=int, default=50_000)
    go.add_argument("--agents", nargs="*", default=[*BASELINES, *LEARNED], choices=AGENTS.names())
    go.add_argument("--frozen", nargs="*", default=[])
    go.add_argument("--processes", type=int, default=1)
    show = commands.add_parser("report")
    show.add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.command == "run":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        arguments.output.mkdir(parents=True, exist_ok=True)
        for made in run(arguments):
            if not made.seed:
                print(made.program, made.agent, made.edges[-1], made.bugs, flush=True)
        return 0
    print(report(read(arguments.folder / "trials.jsonl"), arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
