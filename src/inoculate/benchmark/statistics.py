"""From results to tables: means over datasets with intervals, ranks, and who beats whom.

A table is one kind of task in one kind of split. Its means are over the datasets that all of its
learners took part in, a dataset being the mean over its classes. Intervals redraw the classes of
each dataset, then their draws. Learners are held against the best single baseline in pairs: the
same draws, and a test over the means of classes (over draws where a task is of many classes).

References:
    Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006,
    sections 3.1 and 3.2. Departure: the pairs are classes, for there are few datasets.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from inoculate.benchmark.runner import Result
from inoculate.benchmark.scenario import Kind
from inoculate.benchmark.tasks import ALL, COMPARED, HEADLINE, Figures
from inoculate.metrics import Interval, holm, wilcoxon

Float64 = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "no difference shown"]

FEWEST_PAIRS = 10
"""With fewer pairs that differ, the test's approximation does not hold and nothing is claimed."""

SURE = 0.05
_REPEATS = 1_000

FIGURE_ORDER = (
    *("recall", "auprc", "auroc", "recall_thousandth", "realised", "kept"),
    *("accuracy", "macro_f1", "worst_of_draw", "auroc_known", "false_at_95", "auroc_novelty"),
    *("ranked", "both_right"),
    *("over_chance", "near_duplicates", "adapt_s", "records_per_s"),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a learner is from the best single baseline in one figure.

    Attributes:
        against: name of that baseline.
        size: mean difference on the same draws; above 0 is better.
        p: of the paired test after Holm's correction; None where nothing can be told.
    """

    against: str
    size: Interval
    p: float | None

    @property
    def verdict(self) -> Verdict:
        """Whether it is beyond chance: interval and test must agree."""
        sure = self.p is not None and self.p < SURE
        if sure and self.size.low > 0:
            return "better"
        return "worse" if sure and self.size.high < 0 else "no difference shown"


@dataclass(frozen=True, slots=True)
class Row:
    """One learner in one table.

    Attributes:
        draws: support draws a class, the fewest and the most over datasets.
        figures: mean and interval of each.
        worst: the lowest class mean of the headline figure, and which class it is.
        rank: mean rank over datasets, 1 is best.
        gaps: by figure; none for the best baseline itself.
        by_dataset: the headline figure, also of datasets outside the means.
        by_class: the same by dataset and class.
    """

    learner: str
    baseline: bool
    draws: tuple[int, int]
    figures: dict[str, Interval]
    worst: float
    worst_class: str
    rank: float
    gaps: dict[str, Gap]
    by_dataset: dict[str, float]
    by_class: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Table:
    """All learners on one kind of task in one kind of split."""

    group: str
    kind: Kind
    headline: str
    datasets: tuple[str, ...]
    best: str | None
    rows: tuple[Row, ...]
    failed: dict[str, str] = field(default_factory=dict)

    def losses(self) -> list[str]:
        """Return a line for each place where a prior is below the best baseline."""
        if not COMPARED[self.kind]:  # shuffled labels: nobody is to win
            return []
        found = []
        ours = [r for r in self.rows if not r.baseline]
        for row in ours:
            for dataset, value in row.by_dataset.items():
                rivals = {r.learner: r.by_dataset.get(dataset, -math.inf) for r in self._simple()}
                best = max(rivals, key=lambda name: rivals[name], default=None)
                if best is not None and rivals[best] > value:
                    found.append(
                        f"{row.learner} loses on {dataset}: {self.headline} {value:.3f}, "
                        f"{best} {rivals[best]:.3f}"
                    )
        return found

    def _simple(self) -> list[Row]:
        return [r for r in self.rows if r.baseline]


_Cells = dict[str, dict[str, list[Figures]]]  # dataset -> class -> draws


def tables(results: Iterable[Result], *, seed: int = 0) -> list[Table]:
    """Return a table for each group of results, in the order of the first result of each."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.group, []).append(result)
    return [_table(group, found, seed) for group, found in groups.items()]


def _table(group: str, results: Sequence[Result], seed: int) -> Table:
    kind = next(k for k in get_args(Kind) if k == results[0].kind)
    headline = HEADLINE[kind]
    cells: dict[str, _Cells] = {}
    for r in results:
        if r.classes:
            cells.setdefault(r.learner, {})[r.dataset] = r.classes
    simple = {r.learner for r in results if r.baseline}
    shared = _shared(cells)
    means = {n: {d: _mean(c[d], headline) for d in c} for n, c in cells.items()}
    inside = {n: {d: c[d] for d in shared if d in c} for n, c in cells.items()}
    gaps = {f: _gaps(inside, f, simple, seed) for f in COMPARED[kind]}
    ranks = _ranks({n: [m.get(d, math.nan) for d in shared] for n, m in means.items()})
    rows = []
    for name, mine in inside.items():
        figures = {f: _interval(_values(mine, f), seed) for f in _figures(mine)}
        compared = {f: g[name] for f, g in gaps.items() if name in g}
        by_class = {
            d: {c: _mean({c: draws}, headline) for c, draws in classes.items()}
            for d, classes in cells[name].items()
        }
        shown = (*_worst(mine, headline), ranks[name], compared, means[name], by_class)
        counts = [len(d) for classes in mine.values() for d in classes.values()]
        rows.append(Row(name, name in simple, (min(counts), max(counts)), figures, *shown))
    rows.sort(key=lambda r: -r.figures[headline].mean)
    best = next((r.learner for r in rows if r.baseline), None)
    failed = {f"{r.learner} on {r.dataset}": r.failed for r in results if r.failed}
    return Table(group, kind, headline, tuple(shared), best, tuple(rows), failed)


def _shared(cells: Mapping[str, _Cells]) -> list[str]:
    """Return the datasets of all learners; those of any where no dataset is shared."""
    sets = [set(c) for c in cells.values()]
    if not sets:
        return []
    return sorted(set.intersection(*sets) or set.union(*sets))


def _figures(cells: _Cells) -> list[str]:
    found = {f for classes in cells.values() for draws in classes.values() for f in draws[0]}
    return [f for f in FIGURE_ORDER if f in found]


def _values(cells: _Cells, figure: str) -> list[Float64]:
    """Return each dataset's (classes, draws); a dataset that lacks the figure is left out."""
    found = []
    for classes in cells.values():
        rows = [[d[figure] for d in draws] for draws in classes.values() if figure in draws[0]]
        if rows:
            found.append(np.array(rows, np.float64))
    return found


def _mean(classes: Mapping[str, Sequence[Figures]], figure: str) -> float:
    return float(np.mean([np.mean([d[figure] for d in draws]) for draws in classes.values()]))


def _interval(values: Sequence[Float64], seed: int) -> Interval:
    """Return the mean over datasets and its 95 % interval.

    Args:
        values: (classes, draws) of each dataset.
        seed: of the redrawing, the same for every learner.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(_REPEATS)
    for v in values:
        n_classes, n_draws = v.shape
        rows = rng.integers(n_classes, size=(_REPEATS, n_classes))
        columns = rng.integers(n_draws, size=(_REPEATS, n_classes, n_draws))
        total += v[rows[:, :, None], columns].mean(axis=(1, 2))
    low, high = np.quantile(total / len(values), [0.025, 0.975])
    return Interval(float(np.mean([v.mean() for v in values])), float(low), float(high))


def _gaps(
    cells: Mapping[str, _Cells], figure: str, simple: Collection[str], seed: int
) -> dict[str, Gap]:
    """Return every learner's gap to the best baseline on the datasets that both have."""
    overall = {n: np.mean([v.mean() for v in _values(c, figure)]) for n, c in cells.items()}
    best = max((n for n in cells if n in simple), key=lambda n: overall[n], default=None)
    if best is None:
        return {}
    sizes, p_values = {}, {}
    for name, mine in cells.items():
        both = [d for d in mine if d in cells[best]]
        if name == best or not both:
            continue
        a, b = _same_draws(mine, cells[best], both)
        pairs = zip(_values(a, figure), _values(b, figure), strict=True)
        sizes[name] = _interval([x - y for x, y in pairs], seed)
        x, y = (np.array([v for d in both for v in _paired(c[d], figure)]) for c in (a, b))
        if (x != y).sum() >= FEWEST_PAIRS:
            p_values[name] = wilcoxon(x, y)
    corrected = holm(p_values)
    return {n: Gap(best, size, corrected.get(n)) for n, size in sizes.items()}


def _same_draws(a: _Cells, b: _Cells, datasets: Sequence[str]) -> tuple[_Cells, _Cells]:
    """Return two learners' draws as far as both have them: the i-th is the same for all."""

    def cut(mine: _Cells, other: _Cells) -> _Cells:
        return {d: {c: mine[d][c][: len(other[d][c])] for c in mine[d]} for d in datasets}

    return cut(a, b), cut(b, a)


def _paired(classes: Mapping[str, Sequence[Figures]], figure: str) -> list[float]:
    if ALL in classes:
        return [d[figure] for d in classes[ALL]]
    return [float(np.mean([d[figure] for d in classes[c]])) for c in sorted(classes)]


def _worst(cells: _Cells, figure: str) -> tuple[float, str]:
    every = [
        (float(np.mean([d[figure] for d in draws])), f"{dataset}/{name}")
        for dataset, classes in cells.items()
        for name, draws in classes.items()
    ]
    return min(every, default=(math.nan, ""))


def _ranks(means: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each learner's mean rank over datasets, equals sharing theirs."""
    names = list(means)
    values = np.array([means[n] for n in names])  # (learners, datasets)
    with np.errstate(invalid="ignore"):
        above = (values[None] > values[:, None]).sum(axis=1)
        same = (values[None] == values[:, None]).sum(axis=1)
    ranks = np.where(np.isnan(values), np.nan, above + (same + 1) / 2)
    return {
        n: float(np.nanmean(r)) if len(r) else math.nan for n, r in zip(names, ranks, strict=True)
    }


def over_shots(tables: Sequence[Table]) -> dict[str, list[float]]:
    """Return each learner's mean headline figure in several tables, on the classes of all.

    Rare classes have not records enough for many examples: a mean over another set of classes
    for each number of examples would say nothing about their number.

    Args:
        tables: of one kind of task, differing in the number of examples.
    """
    rows = [{r.learner: r.by_class for r in t.rows} for t in tables]
    names = [n for n in rows[0] if all(n in r for r in rows)] if rows else []
    cells = [{(d, c) for d, cs in r[n].items() for c in cs} for r in rows for n in names]
    shared = sorted(set.intersection(*cells)) if cells else []
    datasets = sorted({d for d, _ in shared})
    return {
        n: [
            float(np.mean([np.mean([r[n][d][c] for e, c in shared if e == d]) for d in datasets]))
            for r in rows
        ]
        for n in names
        if datasets
    }
