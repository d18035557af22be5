"""Draws few-shot tasks from labelled records, and makes tasks up where labels are few.

Splits are by class: a class that a method was trained or tuned on says nothing of new ones.
Every draw comes from a generator or a seed that the caller gives.

References:
    Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, section 4.1, for
    tasks of random classes. Departures: any number of classes and examples, background, and
    contamination of it.
    Nam et al., "STUNT: Few-shot Tabular Learning with Self-generated Tasks from Unlabeled
    Tables", ICLR 2023, section 3.1, for tasks without labels. Departure: a threat is made by
    changing some columns of ordinary records, not by clustering on them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inoculate.errors import TaskError
from inoculate.task import BACKGROUND, Encoded, FloatArray, IntArray, Labelled, Support, Task


@dataclass(frozen=True, slots=True)
class ClassSplit:
    """Disjoint classes to train on, to choose on, and to report on."""

    meta_train: tuple[str, ...]
    meta_validation: tuple[str, ...]
    meta_test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that no class is in two parts."""
        names = [*self.meta_train, *self.meta_validation, *self.meta_test]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise TaskError(f"classes {twice} are in two parts of a split")


def split_classes(
    names: Sequence[str], *, seed: int, validation: float = 0.25, test: float = 0.25
) -> ClassSplit:
    """Return a random split of class names; every part but the first may be empty.

    Raises:
        TaskError: the shares leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise TaskError(f"shares {validation} and {test} leave nothing to train on")
    mixed = [str(n) for n in np.random.default_rng(seed).permutation(sorted(set(names)))]
    n_validation, n_test = round(validation * len(mixed)), round(test * len(mixed))
    rest = len(mixed) - n_test
    return ClassSplit(
        tuple(sorted(mixed[: rest - n_validation])),
        tuple(sorted(mixed[rest - n_validation : rest])),
        tuple(sorted(mixed[rest:])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Labelled records to draw tasks from.

    Attributes:
        x: all records.
        classes: rows of each threat class; none of them benign.
        benign: rows of benign records.
        domain: name of the domain the records come from.
        together: (n,) number of what each record was recorded with (a run, an incident), or
            None. Examples and queries of a threat come from different ones.
        others: True where no class is benign: the other classes are what is usual, and
            ``benign`` holds records of all.
        twin: (n,) row of each record made harmless (the function after its fix), -1 where there
            is none; or None where no record has one.

    Raises:
        TaskError: no benign record, or a row outside the records.
    """

    x: Encoded
    classes: Mapping[str, IntArray]
    benign: IntArray
    domain: str
    together: IntArray | None = None
    others: bool = False
    twin: IntArray | None = None

    def paired(self, name: str) -> IntArray:
        """Return the rows of a class that have a twin."""
        rows = self.classes[name]
        return rows[self.twin[rows] >= 0] if self.twin is not None else rows[:0]

    def usual(self, classes: Sequence[str]) -> IntArray:
        """Return the rows that are ordinary beside some classes."""
        if not self.others or not classes:
            return self.benign
        return np.setdiff1d(self.benign, np.concatenate([self.classes[c] for c in classes]))

    def __post_init__(self) -> None:
        """Check the rows."""
        rows = np.concatenate([self.benign, *self.classes.values()])
        if not len(self.benign) or rows.min() < 0 or rows.max() >= self.x.n_records:
            raise TaskError(f"rows must be within 0..{self.x.n_records - 1}, some of them benign")


def distinct(x: Encoded) -> IntArray:
    """Return the rows that are no exact repeat of an earlier one, increasing."""
    rows = np.ascontiguousarray(np.nan_to_num(x.stacked(), nan=-1e30))
    whole = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()
    return np.sort(np.unique(whole, return_index=True)[1]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a task is.

    Attributes:
        n_shot: examples a class; a class with fewer records gives all but one.
        n_background: background records.
        n_query: queries a class, as far as there are records left.
        n_benign: benign queries, as far as there are records left.
        contamination: share of background that is really of the task's classes.
    """

    n_shot: int = 5
    n_background: int = 200
    n_query: int = 100
    n_benign: int = 1_000
    contamination: float = 0.0


def sample_task(pool: Pool, classes: Sequence[str], shape: Shape, rng: np.random.Generator) -> Task:
    """Return one task of the given classes; no record is in two places of it.

    No class gives a task without examples; its queries are benign only.

    Raises:
        TaskError: an unknown class, one with fewer than two records, or too little background.
    """
    if unknown := set(classes) - set(pool.classes):
        raise TaskError(f"no class {sorted(unknown)}; have {sorted(pool.classes)}")
    examples, queries, spare = [], [], []
    for name in classes:
        first, rest = _halves(pool, name, shape.n_shot, rng)
        examples.append(first)
        queries.append(rest[: shape.n_query])
        spare.append(rest[shape.n_query :])
    left = rng.permutation(np.concatenate([np.zeros(0, np.int64), *spare]))
    foreign = left[: round(shape.contamination * shape.n_background)]
    own = shape.n_background - len(foreign)
    benign = rng.permutation(pool.usual(classes))
    if len(benign) < own:
        raise TaskError(f"{own} background records asked for, there are {len(benign)} benign ones")
    background = np.concatenate([benign[:own], foreign])
    queries.append(benign[own : own + shape.n_benign])
    kinds = [*range(len(classes)), BACKGROUND]
    support = Support(_labelled(pool.x, examples, kinds), pool.x.take(background), tuple(classes))
    return Task(support, _labelled(pool.x, queries, kinds), pool.domain)


def sample_pairs(pool: Pool, name: str, shape: Shape, rng: np.random.Generator) -> Task:
    """Return a task of pairs: support with twins; queries, then the twin of each.

    The background holds no twin of the class, and nothing of the examples' recordings.

    Args:
        pool: records with twins.
        name: a class of it.
        shape: size; ``n_query`` counts pairs.
        rng: of the draw.

    Raises:
        TaskError: the class has fewer than two pairs, or there is too little background.
    """
    if pool.twin is None or name not in pool.classes:
        raise TaskError(f"{name!r} is no class, or no record of it has a twin")
    examples, queries = _halves(pool, name, shape.n_shot, rng, pool.paired(name))
    queries = queries[: shape.n_query]
    benign = np.setdiff1d(pool.usual([name]), pool.twin[pool.classes[name]])
    if pool.together is not None:
        benign = benign[~np.isin(pool.together[benign], pool.together[examples])]
    if len(benign) < shape.n_background:
        raise TaskError(
            f"{shape.n_background} background records asked for, there are {len(benign)}"
        )
    background = rng.permutation(benign)[: shape.n_background]
    support = Support(
        _labelled(pool.x, [examples], [0]),
        pool.x.take(np.concatenate([pool.twin[examples], background])),
        (name,),
        len(examples),
    )
    return Task(
        support, _labelled(pool.x, [queries, pool.twin[queries]], [0, BACKGROUND]), pool.domain
    )


def every_pair(pool: Pool, n_background: int, *, seed: int) -> Iterator[Task]:
    """Yield for each class a task of all its pairs, without queries, to learn from fixes.

    Args:
        pool: records with twins.
        n_background: benign records beside, as far as there are.
        seed: of the draw of these.
    """
    for i, name in enumerate(sorted(pool.classes)):
        rows = pool.paired(name)
        if pool.twin is None or not len(rows):
            continue
        rng = np.random.default_rng([seed, i])
        benign = rng.permutation(np.setdiff1d(pool.benign, pool.twin[rows]))[:n_background]
        support = Support(
            _labelled(pool.x, [rows], [0]),
            pool.x.take(np.concatenate([pool.twin[rows], benign])),
            (name,),
            len(rows),
        )
        yield Task(support, _labelled(pool.x, [rows[:0]], [0]), pool.domain)


def _halves(
    pool: Pool,
    name: str,
    n_shot: int,
    rng: np.random.Generator,
    among: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Return rows to be examples, and rows to be queries, of one class in random order.

    Where it is known what was recorded together, half of the recordings give the examples.
    """
    rows = rng.permutation(pool.classes[name] if among is None else among)
    if len(rows) < 2:
        raise TaskError(f"class {name!r} has {len(rows)} record, a task needs two")
    if pool.together is None:
        k = min(n_shot, len(rows) - 1)
        return rows[:k], rows[k:]
    recordings = rng.permutation(np.unique(pool.together[rows]))
    if len(recordings) < 2:
        raise TaskError(f"class {name!r} was recorded once, a task needs two recordings")
    known = np.isin(pool.together[rows], recordings[: len(recordings) // 2])
    return rows[known][:n_shot], rows[~known]


def _labelled(x: Encoded, parts: Sequence[IntArray], kinds: Sequence[int]) -> Labelled:
    rows = np.concatenate([np.zeros(0, np.int64), *parts])
    y = [np.full(len(p), kind, np.int64) for p, kind in zip(parts, kinds, strict=False)]
    return Labelled(x.take(rows), np.concatenate([np.zeros(0, np.int64), *y]))


def sample_tasks(
    pool: Pool,
    n: int,
    *,
    seed: int,
    shape: Shape = Shape(),
    n_way: tuple[int, int] = (1, 1),
    n_shot: tuple[int, int] = (1, 10),
) -> Iterator[Task]:
    """Yield n tasks of random classes, ways and shots; the i-th depends on seed and i only.

    Args:
        pool: records to draw from.
        n: number of tasks.
        seed: of all draws.
        shape: size of each task; its ``n_shot`` is replaced.
        n_way: fewest and most classes of a task.
        n_shot: fewest and most examples a class.
    """
    names = sorted(k for k, rows in pool.classes.items() if len(rows) > 1)
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        ways = min(int(rng.integers(n_way[0], n_way[1] + 1)), len(names))
        shots = int(rng.integers(n_shot[0], n_shot[1] + 1))
        chosen = [str(c) for c in rng.choice(names, ways, replace=False)]
        yield sample_task(pool, chosen, _with_shots(shape, shots), rng)


def make_tasks(
    pool: Pool,
    n: int,
    *,
    seed: int,
    shape: Shape = Shape(),
    n_way: tuple[int, int] = (1, 1),
    n_shot: tuple[int, int] = (1, 10),
) -> Iterator[Task]:
    """Yield n made-up tasks: threats made from ordinary records by changing some columns.

    Labels are not used but for telling benign records; arguments as for ``sample_tasks``.
    """
    for i in range(n):
        rng = np.random.default_rng([seed, i, 1])
        ways = int(rng.integers(n_way[0], n_way[1] + 1))
        shots = int(rng.integers(n_shot[0], n_shot[1] + 1))
        each = shots + shape.n_query
        need = shape.n_background + shape.n_benign + ways * each
        benign = rng.choice(pool.benign, need, replace=need > len(pool.benign))
        clean, rest = benign[: need - ways * each], benign[need - ways * each :]
        threats = [make_threat(pool.x, rest[w * each : (w + 1) * each], rng) for w in range(ways)]
        rows = [np.arange(shots) + w * each for w in range(ways)]
        queries = [np.arange(shots, each) + w * each for w in range(ways)]
        x = Encoded.concat([*threats, pool.x.take(clean)])
        first = ways * each
        queries.append(np.arange(first + shape.n_background, x.n_records))
        kinds = [*range(ways), BACKGROUND]
        names = tuple(f"made-up {w}" for w in range(ways))
        background = x.take(np.arange(first, first + shape.n_background))
        support = Support(_labelled(x, rows, kinds), background, names)
        yield Task(support, _labelled(x, queries, kinds), pool.domain)


def make_threat(x: Encoded, rows: IntArray, rng: np.random.Generator) -> Encoded:
    """Return records made from ordinary ones, all changed in the same way.

    Some columns are taken from one record of the pool, some from another; of the rest, a few
    become constant, are scaled, or lose their tie to the other columns. NaN stays NaN.
    """
    return Encoded({name: _changed(view, rows, rng) for name, view in x.items()})


def _changed(view: FloatArray, rows: IntArray, rng: np.random.Generator) -> FloatArray:
    n, d = len(rows), view.shape[1]
    out, bases = view[rows], view[rng.integers(len(view), size=2)]
    from_base = rng.random(d) < rng.random()
    pick = rng.integers(rng.integers(1, 3), size=n)
    out[:, from_base] = bases[pick][:, from_base]
    moved = np.asarray(rng.random(d) < rng.beta(1, 5))
    moved[rng.integers(d)] = True  # at least one column differs, or there is no threat
    kind = rng.random(d)
    constant, scaled, loose = (
        moved & (low <= kind) & (kind < high) for low, high in ((0, 0.4), (0.4, 0.75), (0.75, 1))
    )
    fixed = view[rng.integers(len(view), size=d), np.arange(d)]
    out[:, constant] = fixed[constant]
    factor = np.exp(rng.normal(0, 1.5, size=d) + rng.normal(0, 0.2, size=(n, d)) * rng.random())
    with np.errstate(over="ignore"):
        out[:, scaled] = (out * factor.astype(np.float32))[:, scaled]
    out[:, loose] = view[rng.integers(len(view), size=(n, d)), np.arange(d)][:, loose]
    out[np.isinf(out)] = np.nan
    return out


def _with_shots(shape: Shape, n_shot: int) -> Shape:
    return Shape(n_shot, shape.n_background, shape.n_query, shape.n_benign, shape.contamination)


def hide_columns(task: Task, rng: np.random.Generator, *, most: float = 0.6) -> Task:
    """Return the task with a random share of columns unknown throughout, up to ``most``.

    So a prior learns to do with what a source can know.
    """
    share = rng.random() * most
    hidden = {name: rng.random(x.shape[1]) < share for name, x in task.query.x.items()}

    def lose(x: Encoded) -> Encoded:
        nan = np.float32(np.nan)
        return Encoded({k: np.where(hidden[k], nan, v) for k, v in x.items()})

    s = task.support
    support = Support(Labelled(lose(s.examples.x), s.examples.y), lose(s.background), s.classes)
    return Task(support, Labelled(lose(task.query.x), task.query.y), task.domain)


def contaminate(task: Task, rng: np.random.Generator, *, most: float = 0.05) -> Task:
    """Return the task with threats among its background, a random share up to ``most``.

    They are taken from the query, which keeps at least half of its threats.
    """
    s, q = task.support, task.query
    threats = rng.permutation(np.flatnonzero(q.y != BACKGROUND))
    n = min(round(rng.random() * most * s.background.n_records), len(threats) // 2)
    keep = np.setdiff1d(np.arange(len(q)), threats[:n])
    rows = np.arange(s.background.n_records)
    rows[rng.permutation(len(rows))[:n]] = len(rows) + np.arange(n)
    background = Encoded.concat([s.background, q.x.take(threats[:n])]).take(rows)
    support = Support(s.examples, background, s.classes)
    return Task(support, Labelled(q.x.take(keep), q.y[keep]), task.domain)


def thin_background(task: Task, rng: np.random.Generator, *, fewest: int) -> Task:
    """Return the task with a random number of its background records, small ones as likely."""
    s, most = task.support, task.support.background.n_records
    if fewest >= most:
        return task
    n = min(most, int(np.exp(rng.uniform(np.log(fewest), np.log(most + 1)))))
    background = s.background.take(np.sort(rng.permutation(most)[:n]))
    return Task(Support(s.examples, background, s.classes), task.query, task.domain)
