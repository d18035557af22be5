"""The report of a benchmark: Markdown for the repository, one JSON for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from inoculate.benchmark.statistics import SURE, Gap, Row, Table

NAMES: Mapping[str, str] = {
    "recall": "recall at 1 % FAR",
    "auprc": "AUPRC at 1 %",
    "auroc": "AUROC",
    "recall_thousandth": "recall at 0.1 % FAR",
    "realised": "realised FAR at 1 %",
    "kept": "recall kept",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "worst_of_draw": "worst class of a draw",
    "auroc_known": "AUROC known v. unknown",
    "false_at_95": "FPR at 95 % TPR",
    "ranked": "pairs ranked right",
    "both_right": "both sides right at 1 % FAR",
    "auroc_novelty": "AUROC unknown v. benign",
    "over_chance": "accuracy over chance",
    "near_duplicates": "near-duplicates",
    "adapt_s": "adapt ms",
}
_WITH_INTERVAL = ("recall", "auprc", "auroc", "accuracy", "macro_f1", "auroc_known", "over_chance")
_LOWER = ("realised", "false_at_95")
_LEAK = 0.05

ABOUT = """* Means are over the datasets named under a table, a dataset being the mean over its
  classes. Brackets: 95 %, classes redrawn, then draws. Rank: over these datasets, 1 is best.
* Gap and p: against the best single baseline on the same draws; Wilcoxon's signed-rank test over
  class means, Holm's correction. Better or worse is said only where interval and test agree.
* FAR: false-alarm rate. "Recall kept": at the calibrated threshold. Exact repeats are removed.
* `never-seen`: whole datasets; a prior that was meta-trained or chosen on a file is left out
  there. `unseen-classes`: classes that meta-training and choosing left alone.
"""


def markdown(tables: Sequence[Table], facts: Mapping[str, str]) -> str:
    """Return the whole report.

    Args:
        tables: what was measured.
        facts: lines about the run: size, draws, machine.
    """
    lines = ["# Benchmark", "", *(f"* **{k}**: {v}." for k, v in facts.items()), ABOUT]
    lines += ["## Where priors lose", "", *_losses(tables), ""]
    lines += ["## Leak tests", "", *_leaks(tables), ""]
    lines += ["## Tables", ""]
    for table in tables:
        lines += _table(table)
    return "\n".join(lines).rstrip() + "\n"


def as_json(tables: Sequence[Table], facts: Mapping[str, str]) -> dict[str, Any]:
    """Return the same as JSON values."""
    found: dict[str, Any] = {"facts": dict(facts), "tables": {}}
    for table in tables:
        rows = {row.learner: _row_json(row) for row in table.rows}
        found["tables"][table.group] = {
            "headline": table.headline,
            "datasets": list(table.datasets),
            "best_baseline": table.best,
            "learners": rows,
            "losses": table.losses(),
            "failed": table.failed,
        }
    return found


def _row_json(row: Row) -> dict[str, Any]:
    found = asdict(row)
    del found["learner"]
    for name, gap in row.gaps.items():
        found["gaps"][name]["verdict"] = gap.verdict
    return found


def _losses(tables: Sequence[Table]) -> list[str]:
    """Return how every prior stands to the best simple method, then where it is below one."""
    lines = []
    for table in tables:
        for row in table.rows:
            if row.baseline:
                continue
            for name, gap in row.gaps.items():
                side = "above" if gap.size.mean > 0 else "**below**"
                lines.append(
                    f"* `{table.group}`, {NAMES[name]}: {row.learner} is "
                    f"{abs(gap.size.mean):.3f} {side} {gap.against} in the mean: {gap.verdict}."
                )
        lines += [f"    * {loss}." for loss in table.losses()]
    return lines or ["No prior took part."]


def _leaks(tables: Sequence[Table]) -> list[str]:
    lines = []
    for table in tables:
        for row in table.rows:
            if table.kind == "shuffled":
                found = row.figures["over_chance"]
                leak = "LEAK: " if found.low > _LEAK else ""
                lines.append(
                    f"* {leak}`{table.group}`: with shuffled labels {row.learner} is "
                    f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] from chance."
                )
        shares = {r.figures["near_duplicates"].mean for r in table.rows if _has_near(r)}
        if shares:
            lines.append(
                f"* `{table.group}`: {max(shares):.1%} of threat queries all but equal an example."
            )
        one = next((r for r in table.rows if r.learner == "one_column"), None)
        if one is not None and table.kind == "detect":
            cells = ", ".join(f"{d} {v:.2f}" for d, v in one.by_dataset.items())
            lines.append(f"* `{table.group}`: one column alone has recall {cells}.")
    return lines or ["None was run."]


def _has_near(row: Row) -> bool:
    return "near_duplicates" in row.figures


def _table(table: Table) -> list[str]:
    """Return one table, what it says, and the headline figure by dataset."""
    if not table.rows:
        return [f"### {table.group}", "", *_failed(table)]
    shown = [f for f in NAMES if any(f in r.figures for r in table.rows)]
    hidden = {"near_duplicates", "over_chance"} - {table.headline}
    shown = [f for f in shown if f not in hidden]
    compared = [f for f in shown if any(f in r.gaps for r in table.rows)]
    head = ["learner", "rank", *(NAMES[f] for f in shown), "worst class"]
    head += [f"gap in {NAMES[f]}" for f in compared]
    lines = [f"### {table.group}", "", _line(head), "|" + "---|" * len(head)]
    for row in table.rows:
        cells = [row.learner, f"{row.rank:.1f}", *(figure(row, f) for f in shown)]
        cells += [f"{row.worst:.3f} ({row.worst_class})"]
        cells += [_gap(row.gaps.get(f)) for f in compared]
        lines.append(_line(cells))
    over = f"Over {', '.join(table.datasets)}; {_draws(table)}."
    lines += ["", over, *_told(table, compared), ""]
    return lines + _by_dataset(table) + _failed(table)


def _draws(table: Table) -> str:
    """Return how many draws a class there are, and who had fewer."""
    few, most = max(r.draws for r in table.rows)
    fewer = ", ".join(
        f"{r.learner}: the first {r.draws[1]}" for r in table.rows if r.draws[1] < most
    )
    said = f"{most} draws a class" if few == most else f"{few} to {most} draws a class"
    return said + (f" ({fewer})" if fewer else "")


def _told(table: Table, compared: Sequence[str]) -> list[str]:
    """Return who is beyond chance above or below the best single baseline."""
    lines = []
    for name in compared:
        gaps = {r.learner: r.gaps[name] for r in table.rows if name in r.gaps}
        best = next(iter(gaps.values())).against
        better = [n for n, g in gaps.items() if g.verdict == "better"]
        worse = [n for n, g in gaps.items() if g.verdict == "worse"]
        lines.append(
            f"{NAMES[name]}: best single baseline {best}; better beyond chance (p < {SURE}): "
            f"{', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}."
        )
    return lines


def _by_dataset(table: Table) -> list[str]:
    names = sorted({d for r in table.rows for d in r.by_dataset})
    if len(names) < 2:
        return []
    lines = [
        _line([f"{NAMES[table.headline]} by dataset", *names]),
        "|" + "---|" * (len(names) + 1),
    ]
    for row in table.rows:
        cells = [f"{row.by_dataset[d]:.3f}" if d in row.by_dataset else "" for d in names]
        lines.append(_line([row.learner, *cells]))
    return [*lines, ""]


def _failed(table: Table) -> list[str]:
    return [f"* Refused: {where}: {why}" for where, why in table.failed.items()]


def figure(row: Row, name: str) -> str:
    """Return a figure as text, with its interval where it has one worth the room."""
    found = row.figures.get(name)
    if found is None:
        return ""
    if name == "adapt_s":
        return f"{1000 * found.mean:.0f}"
    if name == "realised":
        return f"{found.mean:.4f}"
    if name in _WITH_INTERVAL:
        return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.mean:.3f}"


def _gap(gap: Gap | None) -> str:
    if gap is None:
        return ""
    p = "" if gap.p is None else f", p {gap.p:.2g}"
    return f"{gap.size.mean:+.3f} [{gap.size.low:+.3f}, {gap.size.high:+.3f}]{p}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"


Committed = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""By group, learner and figure: ``value`` and ``tolerance``."""


def against_baselines(tables: Sequence[Table], committed: Committed) -> list[str]:
    """Return what is worse than its committed figure by more than the tolerance, or missing."""
    rows = {(t.group, r.learner): r for t in tables for r in t.rows}
    found = []
    for group, learners in committed.items():
        for learner, figures in learners.items():
            row = rows.get((group, learner))
            for name, wanted in figures.items():
                value = row.figures[name].mean if row and name in row.figures else np.nan
                gap = wanted["value"] - value
                # NaN, a missing figure, is a regression too
                if not (-gap if name in _LOWER else gap) <= wanted["tolerance"]:
                    found.append(
                        f"{group}: {learner}: {name} is {value:.3f}, was {wanted['value']:.3f}"
                    )
    return found
