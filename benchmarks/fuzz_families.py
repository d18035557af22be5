"""What carries an agent of fuzzing: taken apart, by families of programs left out of training.

    python benchmarks/fuzz_families.py --output families.jsonl
    python benchmarks/fuzz_families.py --output families.jsonl --only whole frozen

Only programs of the training side are used: its grammars, and the parsers in the recipe. Every
family is fuzzed with what was learned on the others; so this is where an agent is chosen, and
its parts are weighed. Held against it are the bandit from nothing, havoc and choosing at random,
as A12 of the time to the first bug, the mean over families with its standard error.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fuzz_programs import Case, generated, parsers
from fuzz_report import a12

from inoculate.agent import Environment, Policy
from inoculate.agents.hierarchical_bandit import HierarchicalBandit, Log
from inoculate.fuzzing.corpus import SEED_SEEN
from inoculate.fuzzing.history import SPACE
from inoculate.fuzzing.made.program_maker import META_TRAIN
from inoculate.registry import AGENTS

BASELINES = ("ucb_bandit", "afl_havoc", "uniform")
WITHOUT = {f"without {name}": i for i, name in enumerate(SEED_SEEN)}
FEWER = {f"{n} families": n for n in (1, 5, 10)}
VARIANTS = (
    "whole",
    "no taste",
    "frozen",
    "new edges only",
    "mixed only",
    "any corpus",
    *WITHOUT,
    *FEWER,
)
COUNTS_ONLY = 0.25
_EARLY = 600


def family_of(case: Case) -> str:
    return case.name.partition("-")[0]


def trained_cases(each: int) -> list[Case]:
    """Return the recipe's parsers, and ``each`` programs of every training setting."""
    made = generated(len(META_TRAIN) * each, train=True, first_seed=5000)
    return [*parsers(("trained",)), *made]


def learn(case: Case, folder: Path, executions: int, times: int) -> tuple[Log, list[int]]:
    """Fuzz a program at random; return what its bugs descend from, and when each was found."""
    log, found = Log(), []
    environment = case.make(folder, executions)
    for seed in range(times):
        log.fuzz(environment, np.random.default_rng(seed))
        found.append(min((when[0] for when in environment.found.values()), default=-1))
    return log, found


def is_measured(found: Sequence[int]) -> bool:
    """Whether a program is neither too easy nor too hard to tell agents apart."""
    hit = [when for when in found if when >= 0]
    return bool(hit) and np.mean(hit) > _EARLY


def time_to_bug(environment: Environment, policy: Policy, variant: str, seed: int) -> int:
    """Return executions to the first bug, the budget where there is none."""
    environment.taste = policy.taste
    seen, done = environment.reset(seed=seed), False
    while not done and not environment.found:
        action = policy.act(seen)
        if variant == "mixed only":
            action = action._replace(operator=0)
        step = environment.step(action)
        told = 0.0 if variant == "new edges only" and step.reward < COUNTS_ONLY else step.reward
        if variant != "frozen":
            policy.learn(action, told)
        seen, done = step.observation, step.done
    return min((when[0] for when in environment.found.values()), default=environment.budget)


def agent_without(family: str, logs: dict[str, Log], variant: str) -> HierarchicalBandit:
    """Return the agent that was trained on the other families, changed as the variant says."""
    others = [name for name in sorted(logs) if name != family]
    if variant in FEWER:
        others = np.random.default_rng(0).permutation(others)[: FEWER[variant]].tolist()
    held = [logs[name] for name in others]
    if variant in WITHOUT:
        mask = np.arange(len(SEED_SEEN)) != WITHOUT[variant]
        held = [Log([np.where(mask, one, 0.0) for one in log.contests], log.seeds) for log in held]
    agent = HierarchicalBandit().fit_logs(held)
    if variant == "no taste":
        agent.taste_ = np.zeros(len(SEED_SEEN))
    if variant == "any corpus":
        agent.seeds_ = np.inf
    return agent


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--each", type=int, default=8, help="programs of a training setting")
    parser.add_argument("--times", type=int, default=2, help="trajectories at random on each")
    parser.add_argument("--measured", type=int, default=2, help="programs of a family, at most")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--executions", type=int, default=30_000)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=VARIANTS)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))
    return 0


def run(arguments: argparse.Namespace, folder: Path) -> None:
    logs: dict[str, Log] = {}
    measured: dict[str, list[Case]] = {}
    for case in trained_cases(arguments.each):
        log, found = learn(case, folder, arguments.executions, arguments.times)
        logs.setdefault(family_of(case), Log()).add(log)
        chosen = measured.setdefault(family_of(case), [])
        if is_measured(found) and len(chosen) < arguments.measured:
            chosen.append(case)
    times: dict[str, dict[str, list[np.ndarray]]] = {}
    for name in (*BASELINES, *arguments.only):
        times[name] = {
            family: [_times(case, folder, name, family, logs, arguments) for case in cases]
            for family, cases in measured.items()
            if cases
        }
        if name not in BASELINES:
            line = {"variant": name, **{b: _gap(times[name], times[b]) for b in BASELINES}}
            with arguments.output.open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
            print(line, flush=True)


def _times(case, folder, name, family, logs, arguments) -> np.ndarray:
    baseline = name in BASELINES
    agent = AGENTS.load(name)() if baseline else agent_without(family, logs, name)
    environment = case.make(folder, arguments.executions)
    policies = [(seed, agent.adapt(SPACE, seed=seed)) for seed in range(arguments.trials)]
    return np.array([time_to_bug(environment, policy, name, seed) for seed, policy in policies])


def _gap(mine: dict[str, list[np.ndarray]], theirs: dict[str, list[np.ndarray]]) -> dict:
    each = [
        np.mean([a12(slow, fast) for slow, fast in zip(theirs[f], mine[f], strict=True)])
        for f in mine
    ]
    error = np.std(each) / len(each) ** 0.5
    return {"a12": round(float(np.mean(each)), 3), "error": round(float(error), 3)}


if __name__ == "__main__":
    sys.exit(main())
