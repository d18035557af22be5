"""From trials by the clock to tables: processor time to the first crash, against afl-fuzz."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from fuzz_report import Trials, against, budget_of, by_program, first_bugs

AFL = "afl-fuzz"
COMPETITORS = (AFL, "ucb_bandit", "hierarchical_bandit")


def evened(records: Sequence[dict], *, with_setup: bool = True) -> Trials:
    """Return trials as if all had gone on after their crash, to the same budgets.

    Args:
        records: of ``run``.
        with_setup: whether what came before afl-fuzz was started is counted.

    Returns:
        Trials by program and competitor. The budget in executions is, program by program, what
        the slowest trial without a crash did; where all crashed, what the longest took.
    """
    made = []
    (budget_s,) = {t["budget"] for t in records}
    longest = 0.0 if with_setup else max(t["setup"] for t in records)
    for name in {t["program"] for t in records}:
        mine = [t for t in records if t["program"] == name]
        open_ended = [t["executions"] for t in mine if not t["bugs"]]
        executions = min(open_ended) if open_ended else max(t["executions"] for t in mine)
        for t in mine:
            off = 0.0 if with_setup else t["setup"]
            bugs = {bug: (when, s - off) for bug, (when, s) in t["bugs"].items()}
            made.append(t | {"bugs": bugs, "executions": executions, "seconds": budget_s - longest})
    return by_program(made)


def report(records: Sequence[dict], folder: Path) -> str:
    """Write ``clock.md`` and ``clock.json`` into a folder; return the former."""
    raw, agents = (
        by_program(records),
        [a for a in COMPETITORS if a in {t["agent"] for t in records}],
    )
    shared = sorted(p for p in {p for p, _ in raw} if all((p, a) in raw for a in agents))
    records = [t for t in records if t["program"] in shared]
    whole, bare = evened(records), evened(records, with_setup=False)
    clocks = {
        "seconds": (whole, "seconds"),
        "seconds after the set-up": (bare, "seconds"),
        "executions": (whole, "executions"),
    }
    gaps = {
        f"{a} / {b} / {name}": against(trials, a, b, shared, clock)
        for name, (trials, clock) in clocks.items()
        for a in agents
        for b in agents
        if a != b and agents.index(b) < agents.index(a)
    }
    table = {a: summary(raw, whole, a, shared) for a in agents}
    n = min(len(raw[p, a]) for p in shared for a in agents)
    text = HEAD.format(n=len(shared), budget=records[0]["budget"], trials=n).splitlines()
    text += ["", *_table(table), "", *_gaps(gaps, agents, list(clocks)), ""]
    text += ["## Each program", "", *_each(raw, whole, agents, shared)]
    results = {"programs": shared, "competitors": table, "against": gaps}
    (folder / "clock.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "clock.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return "\n".join(text)


HEAD = """# Against afl-fuzz itself, by the clock

Made by `benchmarks/fuzz_clock.py` (its first lines say how): {n} parsers, {budget:g} s of processor
time a trial, {trials} trials. `afl-fuzz` is AFL++ with its own mutations and default settings; the
others are `inoculate fuzz --agent NAME`, which runs the same afl-fuzz on the same build with our
mutations, made in Python and sent over a socket. All processes count, and share one core. The time
is the restricted mean time to the first crash: a trial without one counts as the whole budget.
*Set-up* is the processor time before afl-fuzz was started, and is counted. A12 is the chance that
the competitor is faster (0.5: no difference); its 95 % interval is over programs and trials. In
executions the budget is what the slowest trial without a crash did. *Faster* and *slower* count
programs whose trials differ by Mann and Whitney's test after Holm's correction."""


def summary(raw: Trials, whole: Trials, agent: str, names: Sequence[str]) -> dict:
    """Return a competitor's means over programs."""
    mine = [t for p in names for t in raw[p, agent]]
    return {
        "seconds": float(np.mean([first_bugs(whole, p, agent, "seconds").mean() for p in names])),
        "found": float(np.mean([np.mean([bool(t["bugs"]) for t in raw[p, agent]]) for p in names])),
        "rate": rate(mine),
        "setup": float(np.mean([t["setup"] for t in mine])),
    }


def rate(trials: Sequence[dict]) -> float:
    """Return executions a second of trials after their set-up, all together."""
    return sum(t["executions"] for t in trials) / sum(t["seconds"] - t["setup"] for t in trials)


def _table(table: Mapping[str, dict]) -> list[str]:
    lines = [
        "| competitor | time to the first crash, s | crash found | executions/s | set-up, s |",
        "|---|---|---|---|---|",
    ]
    for agent, row in table.items():
        lines.append(
            f"| {agent} | {row['seconds']:.2f} | {row['found']:.0%} | {row['rate']:,.0f} "
            f"| {row['setup']:.2f} |"
        )
    return lines


def _gaps(gaps: Mapping[str, dict], agents: Sequence[str], clocks: Sequence[str]) -> list[str]:
    lines = [
        "| competitor | against | clock | A12 | p | faster | slower |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, g in gaps.items():
        cells = " | ".join(name.split(" / "))
        lines.append(
            f"| {cells} | {g['a12']:.3f} [{g['low']:.3f}, {g['high']:.3f}] | {g['p']:.2g} "
            f"| {g['faster']} | {g['slower']} |"
        )
    return lines


def _each(raw: Trials, whole: Trials, agents: Sequence[str], names: Sequence[str]) -> list[str]:
    lines = [
        "Restricted mean seconds to the first crash, and executions to it; trials with one; "
        "executions a second.",
        "",
        "| program | executions at most | " + " | ".join(agents) + " |",
        "|---|---|" + "---|" * len(agents),
    ]
    for p in names:
        cells = []
        for a in agents:
            seconds, executions = (
                first_bugs(whole, p, a, c).mean() for c in ("seconds", "executions")
            )
            found = sum(bool(t["bugs"]) for t in raw[p, a])
            cells.append(
                f"{seconds:.2f} s, {executions:,.0f}; {found}/{len(raw[p, a])}; "
                f"{rate(raw[p, a]):,.0f}/s"
            )
        most = budget_of(whole, p, "executions")
        lines.append(f"| {p} | {most:,.0f} | " + " | ".join(cells) + " |")
    return lines
