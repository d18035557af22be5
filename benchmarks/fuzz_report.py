"""From trials of agents to tables: time to the first bug, A12 against the baselines, edges."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from inoculate.metrics import auroc, bootstrap, holm, wilcoxon

AGAINST = ("afl_havoc", "ucb_bandit", "uniform", "scratch_policy")
CLOCKS = ("executions", "seconds")
PARTS = (0.1, 0.25, 0.5, 1.0)

Trials = Mapping[tuple[str, str], list[dict]]


def by_program(trials: Sequence[dict]) -> Trials:
    """Return trials by (program, agent), in order of their seed."""
    made: dict[tuple[str, str], list[dict]] = {}
    for one in sorted(trials, key=lambda t: t["seed"]):
        made.setdefault((one["program"], one["agent"]), []).append(one)
    return made


def budget_of(trials: Trials, program: str, clock: str) -> float:
    """Return the budget all agents had: executions, or the fewest seconds any trial took."""
    return min(t[clock] for (p, _), ts in trials.items() if p == program for t in ts)


def first_bugs(trials: Trials, program: str, agent: str, clock: str) -> np.ndarray:
    """Return the time to the first bug of each trial, the budget where there was none in it."""
    most, index = budget_of(trials, program, clock), CLOCKS.index(clock)
    times = [
        min((when[index] for when in t["bugs"].values()), default=most)
        for t in trials[program, agent]
    ]
    return np.minimum(times, most)


def a12(slow: np.ndarray, fast: np.ndarray) -> float:
    """Return Vargha and Delaney's A12: how often the second is faster, ties half."""
    return auroc(fast, slow)


def against(trials: Trials, agent: str, base: str, programs: Sequence[str], clock: str) -> dict:
    """Hold one agent's time to the first bug against one baseline's, over programs."""
    mine = [first_bugs(trials, p, agent, clock) for p in programs]
    theirs = [first_bugs(trials, p, base, clock) for p in programs]
    return compared(mine, theirs, programs)


def compared(
    mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], programs: Sequence[str]
) -> dict:
    """Hold the trials of one agent against those of another, program by program; less is better.

    The interval redraws programs, then trials; Wilcoxon's test is over the programs' means,
    Mann and Whitney's within each program, corrected over programs after Holm.
    """
    rng = np.random.default_rng(0)
    redrawn = []
    for _ in range(1_000):
        chosen = rng.integers(len(programs), size=len(programs))
        redrawn.append(
            np.mean(
                [
                    a12(rng.choice(theirs[c], len(theirs[c])), rng.choice(mine[c], len(mine[c])))
                    for c in chosen
                ]
            )
        )
    tests = {
        p: float(mannwhitneyu(m, t).pvalue) if np.ptp(np.concatenate([m, t])) else 1.0
        for p, m, t in zip(programs, mine, theirs, strict=True)
    }
    sure = {p for p, value in holm(tests).items() if value < 0.05}
    low, high = np.quantile(redrawn, [0.025, 0.975])
    return {
        "a12": float(np.mean([a12(t, m) for m, t in zip(mine, theirs, strict=True)])),
        "low": float(low),
        "high": float(high),
        "p": wilcoxon([m.mean() for m in mine], [t.mean() for t in theirs]),
        "faster": _count(sure, programs, mine, theirs),
        "slower": _count(sure, programs, theirs, mine),
    }


def _count(sure: set[str], programs: Sequence[str], fast: list, slow: list) -> int:
    pairs = zip(programs, fast, slow, strict=True)
    return sum(bool(f.mean() < s.mean()) for p, f, s in pairs if p in sure)


def summary(trials: Trials, agent: str, programs: Sequence[str]) -> dict:
    """Return an agent's means over programs, times as a share of the budget."""
    share = {
        clock: {
            p: first_bugs(trials, p, agent, clock) / budget_of(trials, p, clock) for p in programs
        }
        for clock in CLOCKS
    }
    bugs = {p: [len(t["bugs"]) for t in trials[p, agent]] for p in programs}
    edges = {p: [t["edges"][-1] for t in trials[p, agent]] for p in programs}
    rate = [t["executions"] / t["seconds"] for p in programs for t in trials[p, agent]]
    return {
        **{f"time_{clock}": vars_of(bootstrap(share[clock], seed=0)) for clock in CLOCKS},
        "bugs": float(np.mean([np.mean(b) for b in bugs.values()])),
        "found": float(np.mean([np.mean(np.array(b) > 0) for b in bugs.values()])),
        "edges": float(np.mean([np.mean(e) for e in edges.values()])),
        "rate": float(np.median(rate)),
    }


def vars_of(interval) -> dict:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def said(path: Path) -> list[str]:
    """Return what a person has to say to the tables, nothing where there is no such file."""
    return [path.read_text(encoding="utf-8")] if path.exists() else []


def report(records: Sequence[dict], folder: Path) -> str:
    """Write ``results.json`` and ``README.md`` into a folder; return the latter.

    What a person has to say to the tables is kept in ``reading.md`` there, and comes first.
    """
    trials = by_program(records)
    agents = list(dict.fromkeys(a for _, a in trials))
    kinds = {t["program"]: t["kind"] for t in records}
    groups = {"all programs": sorted(kinds)} | {
        kind: sorted(p for p, k in kinds.items() if k == kind)
        for kind in sorted(set(kinds.values()))
    }
    results, text = {}, [HEAD, *said(folder / "reading.md")]
    for group, programs in groups.items():
        shared = [p for p in programs if all((p, a) in trials for a in agents)]
        if not shared:
            continue
        table = {a: summary(trials, a, shared) for a in agents}
        gaps = {
            f"{a} / {b} / {clock}": against(trials, a, b, shared, clock)
            for a, b, clock in itertools.product(agents, AGAINST, CLOCKS)
            if a != b and b in agents
        }
        results[group] = {"programs": shared, "agents": table, "against": gaps}
        text += [f"## {group}: {len(shared)}", "", *_table(table), "", *_gaps(gaps, agents), ""]
    text += ["## Within a program", "", *_curves(trials, agents, sorted(kinds)), ""]
    text += ["## Each program", "", *_each(trials, agents, sorted(kinds))]
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return "\n".join(text)


HEAD = """# Agents of fuzzing on programs never trained on

Made by `benchmarks/fuzzing.py` (its first lines say how). Time to the first bug is a share of
the budget, 1 where no bug was found, its mean the restricted mean time; in brackets the 95 %
interval over programs and trials. A12 is the chance that the agent is faster than the baseline
(Vargha and Delaney 2000; 0.5: no difference, 0.64 medium, 0.71 large). *faster* and *slower*
count programs whose trials differ by Mann and Whitney's test after Holm's correction.
"""


def _table(table: Mapping[str, dict]) -> list[str]:
    lines = [
        "| agent | time to bug, executions | time to bug, seconds | found a bug | bugs | edges "
        "| executions/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for agent, row in sorted(table.items(), key=lambda item: item[1]["time_executions"]["mean"]):
        times = [
            "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**row[f"time_{clock}"]) for clock in CLOCKS
        ]
        lines.append(
            f"| {agent} | {times[0]} | {times[1]} | {row['found']:.0%} | {row['bugs']:.2f} "
            f"| {row['edges']:.1f} | {row['rate']:,.0f} |"
        )
    return lines


def _gaps(gaps: Mapping[str, dict], agents: Sequence[str]) -> list[str]:
    lines = [
        "| agent | against | A12, executions | A12, seconds | p | faster | slower |",
        "|---|---|---|---|---|---|---|",
    ]
    for agent, base in itertools.product(agents, AGAINST):
        both = [gaps.get(f"{agent} / {base} / {clock}") for clock in CLOCKS]
        if agent in AGAINST or None in both:
            continue
        cells = ["{a12:.3f} [{low:.3f}, {high:.3f}]".format(**g) for g in both]
        first = both[0]
        lines.append(
            f"| {agent} | {base} | {cells[0]} | {cells[1]} | {first['p']:.2g} "
            f"| {first['faster']} | {first['slower']} |"
        )
    return lines


def _curves(trials: Trials, agents: Sequence[str], programs: Sequence[str]) -> list[str]:
    shared = [p for p in programs if all((p, a) in trials for a in agents)]
    lines = [
        "Edges touched, and trials that have found a bug, at parts of the budget.",
        "",
        "| agent | "
        + " | ".join(f"edges at {part:.0%}" for part in PARTS)
        + " | "
        + " | ".join(f"bugs at {part:.0%}" for part in PARTS)
        + " |",
        "|---|" + "---|" * 2 * len(PARTS),
    ]
    for a in agents:
        edges, bugs = [], []
        for part in PARTS:
            at = int(part * len(trials[shared[0], a][0]["edges"])) - 1
            edges.append(np.mean([t["edges"][at] for p in shared for t in trials[p, a]]))
            limit = {p: part * budget_of(trials, p, "executions") for p in shared}
            bugs.append(
                np.mean(
                    [
                        any(when[0] <= limit[p] for when in t["bugs"].values())
                        for p in shared
                        for t in trials[p, a]
                    ]
                )
            )
        cells = [*(f"{e:.1f}" for e in edges), *(f"{b:.1%}" for b in bugs)]
        lines.append(f"| {a} | " + " | ".join(cells) + " |")
    return lines


def _each(trials: Trials, agents: Sequence[str], programs: Sequence[str]) -> list[str]:
    lines = [
        "Restricted mean time to the first bug, in executions.",
        "",
        "| program | budget | " + " | ".join(agents) + " |",
        "|---|---|" + "---|" * len(agents),
    ]
    for p in programs:
        cells = [
            f"{first_bugs(trials, p, a, 'executions').mean():,.0f}" if (p, a) in trials else "-"
            for a in agents
        ]
        budget = budget_of(trials, p, "executions")
        lines.append(f"| {p} | {budget:,.0f} | " + " | ".join(cells) + " |")
    return lines
