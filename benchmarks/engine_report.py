"""What ``engine.py`` found, as Markdown."""

from collections.abc import Iterable, Iterator
from typing import Any

Found = dict[str, Any]


def report(found: Found) -> str:
    """Return the whole page."""
    return "\n".join([*_head(found), *_speed(found["speed"]), *_rest(found)])


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    columns = list(columns)
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""


def _head(found: Found) -> Iterator[str]:
    machine = found["machine"]
    low, high = (round(x, 1) for x in sorted(machine["load"]))
    yield "# The meta-learning engine beside its peers"
    yield ""
    yield "Made by `python benchmarks/engine.py --write docs/measured`, whose docstring says what"
    yield f"is measured. {machine['cores']} cores contended by other work (load {low} to {high}),"
    yield f"Python {machine['python']}, torch {machine['torch']}: compare ratios, not figures."
    yield ""
    yield "* **Task**: 5 or 2 classes, 5 shots, 15 queries a class; perceptron 78-128-128-n,"
    yield "  5 inner steps. An iteration is the meta-gradient of all tasks and a step of Adam."
    yield "* **Clock**: one thread by the process's own time; two threads by the wall's, which the"
    yield "  other work slows, most of all where two threads wait for each other within a product."
    yield "* **Share of sgemm**: operations of the plain algorithm over time, over the rate of a"
    yield "  1024 x 1024 product in the same rounds."
    for order, gaps in found["largest_relative_difference"].items():
        each = ", ".join(f"{k} {v:.1g}" for k, v in gaps.items() if k != "ours")
        yield f"* **Same gradient**, {order}: largest relative difference from ours in double"
        yield f"  precision: {each}."
    for name, why in found["missing"].items():
        yield f"* Not measured: {name} ({why})."
    yield ""


def _speed(rows: list[Found]) -> Iterator[str]:
    keys = list(dict.fromkeys((r["threads"], r["order"], r["gelu"]) for r in rows))
    for threads, order, gelu in keys:
        chosen = [
            r for r in rows if (r["threads"], r["order"], r["gelu"]) == (threads, order, gelu)
        ]
        cases = list(dict.fromkeys((r["n_way"], r["tasks"]) for r in chosen))
        clock = "one thread, process time" if threads == 1 else "two threads, wall"
        yield f"### {order.capitalize()}, {'GELU' if gelu else 'ReLU'}, {clock}"
        yield ""
        yield "Iterations a second (times learn2learn; share of sgemm)."
        yield ""
        body = []
        for name in dict.fromkeys(r["contender"] for r in chosen):
            cells = {(r["n_way"], r["tasks"]): _cell(r) for r in chosen if r["contender"] == name}
            body.append([name, *(cells[c] for c in cases)])
        yield from _table(["contender", *(f"{n}-way, {t} tasks" for n, t in cases)], body)
        rates = sorted(r["sgemm_gflops"] for r in chosen)
        yield f"sgemm: {rates[0]:.0f} to {rates[-1]:.0f} GFLOP/s."
        yield ""


def _cell(row: Found) -> str:
    times = f"{row['times_learn2learn']:.1f}x; " if row["times_learn2learn"] else ""
    return f"{row['per_s']:.1f} ({times}{row['share_of_sgemm']:.0%})"


def _rest(found: Found) -> Iterator[str]:
    yield "### Peak memory of a second-order iteration over what the process had, 5-way"
    yield ""
    rows = [[name, *each.values()] for name, each in found["peak_mb"].items()]
    yield from _table(["contender", "16 tasks, MB", "32 tasks, MB"], rows)
    yield "### Learners: meta-training steps a second, one thread, process time"
    yield ""
    yield "16 binary problems a step, 5 examples, 200 background records, 90 queries, 78 columns"
    yield "and their known flags. The gradient alone, and the whole of `meta_fit`, in which the"
    yield "preparation of columns dominates. `maml, torch.func` is `meta_sgd`, which is not written"
    yield "out by hand."
    yield ""
    steps = found["learner_steps_per_s"]
    rows = [[k, v["gradient"] or "", v["meta_fit"]] for k, v in steps.items()]
    yield from _table(["learner", "gradients/s", "meta_fit steps/s"], rows)
    yield "### Sampling from a table of 200,000 rows, 40 classes: tasks a second"
    yield ""
    rows = [[k, "not installed" if v is None else v] for k, v in found["tasks_per_s"].items()]
    yield from _table(["sampler", "tasks/s"], rows)
