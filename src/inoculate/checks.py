"""The contracts as functions: what every learner and every domain has to hold.

Each check takes a plugin and raises ``AssertionError`` when it breaks a promise. The package's
own tests cross every plugin with every check; so can the author of one outside of it.

Example:
    >>> from inoculate.registry import LEARNERS
    >>> for check in LEARNER_CHECKS:
    ...     check(LEARNERS.load("k_nearest")().meta_fit(toy_tasks(4, seed=0)))
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from inoculate.domain import Batch, Domain, View
from inoculate.errors import RecordError
from inoculate.learner import Learner, Scores, State
from inoculate.reading.sources import open_source
from inoculate.registry import DOMAINS
from inoculate.task import BACKGROUND, Encoded, Labelled, Support, Task

N_COLUMNS = 12
_CLASSES = ("first", "second", "third")


def toy_tasks(
    n: int, *, seed: int, n_shot: int = 4, shuffled: bool = False, n_background: int = 60
) -> Iterator[Task]:
    """Yield tasks that a learner can solve: each class moves a few columns of its own.

    Args:
        n: number of tasks.
        seed: the same seed gives the same tasks.
        n_shot: examples a class.
        shuffled: draw examples and queries from one heap, so that labels mean nothing.
        n_background: background records.
    """
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        n_way, n_query = len(_CLASSES), 20
        support_y = np.repeat(np.arange(n_way), n_shot)
        query_y = np.repeat(np.arange(BACKGROUND, n_way), n_query)
        moves = np.zeros((n_way + 1, N_COLUMNS), np.float32)  # the last row is background's
        for c in range(n_way):
            moves[c, rng.choice(N_COLUMNS, 4, replace=False)] = rng.choice([-4, 4], 4)
        if shuffled:
            moves[:] = 0
        background = _toy_records(np.zeros((n_background, N_COLUMNS), np.float32), rng)
        support = Support(
            Labelled(_toy_records(moves[support_y], rng), support_y), background, _CLASSES
        )
        yield Task(support, Labelled(_toy_records(moves[query_y], rng), query_y), "toy")


def _toy_records(center: np.ndarray, rng: np.random.Generator) -> Encoded:
    x = (center + rng.normal(size=center.shape)).astype(np.float32)
    x[rng.random(x.shape) < 0.03] = np.nan
    return Encoded({"toy": x})


def _toy(seed: int) -> Task:
    (task,) = toy_tasks(1, seed=seed)
    return task


def _without_examples(support: Support) -> Support:
    nothing = Labelled(support.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    return Support(nothing, support.background, ())


def _changed(x: Encoded, change: Callable[[np.ndarray], np.ndarray]) -> Encoded:
    return Encoded({k: change(v) for k, v in x.items()})


def _assert_same(a: Scores, b: Scores, *, tolerance: float = 0.0) -> None:
    for one, other in ((a.threat, b.threat), (a.novelty, b.novelty)):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def check_adapt_is_pure(learner: Learner) -> None:
    """Adapting and scoring change neither the learner nor the support set."""
    task = _toy(2)
    state = {k: v.copy() for k, v in learner.state().items()}
    parts = (task.support.examples.x, task.support.background, task.query.x)
    before = [x.stacked().copy() for x in parts]
    learner.adapt(task.support).score(task.query.x)
    assert list(state) == list(learner.state()), "adapt changed the names of the state"
    for name, array in learner.state().items():
        np.testing.assert_array_equal(array, state[name])
    for old, x in zip(before, parts, strict=True):
        np.testing.assert_array_equal(old, x.stacked())


def check_same_seed_same_result(learner: Learner) -> None:
    """Adapting twice with one seed gives the same scores, bit for bit."""
    task = _toy(3)
    _assert_same(*(learner.adapt(task.support, seed=5).score(task.query.x) for _ in range(2)))


def check_class_order(learner: Learner) -> None:
    """Renumbering the classes permutes the threat columns and nothing else."""
    task = _toy(4)
    examples, order = task.support.examples, np.array([2, 0, 1])
    names = tuple(_CLASSES[i] for i in np.argsort(order))
    turned = Support(Labelled(examples.x, order[examples.y]), task.support.background, names)
    a = learner.adapt(task.support).score(task.query.x)
    b = learner.adapt(turned).score(task.query.x)
    _assert_same(a, Scores(b.threat[:, order], b.novelty), tolerance=1e-4)


def check_records_are_independent(learner: Learner) -> None:
    """A record scores the same alone as in a batch, unless the learner is transductive."""
    if learner.transductive:
        return
    task = _toy(5)
    detector = learner.adapt(task.support)
    whole = detector.score(task.query.x)
    for i in (0, 37):
        alone = detector.score(task.query.x.take(np.array([i])))
        _assert_same(alone, Scores(whole.threat[[i]], whole.novelty[[i]]), tolerance=1e-4)


def check_column_order(learner: Learner) -> None:
    """The order of the columns does not matter to a learner that says so."""
    if not learner.column_symmetric:
        return
    task, order = _toy(6), np.random.default_rng(0).permutation(N_COLUMNS)

    def turn(x: Encoded) -> Encoded:
        return _changed(x, lambda v: np.ascontiguousarray(v[:, order]))

    s = task.support
    turned = Support(Labelled(turn(s.examples.x), s.examples.y), turn(s.background), s.classes)
    a = learner.adapt(s).score(task.query.x)
    b = learner.adapt(turned).score(turn(task.query.x))
    _assert_same(a, b, tolerance=1e-4)


def check_unknown_column(learner: Learner) -> None:
    """A column that is unknown throughout, or in one part only, is survived."""
    task = _toy(7)

    def lose(x: Encoded) -> Encoded:
        return _changed(x, lambda v: np.where(np.arange(v.shape[1]) == 3, np.float32(np.nan), v))

    for hide in ("examples", "background", "query", "all"):
        s, query = task.support, task.query.x
        examples = lose(s.examples.x) if hide in ("examples", "all") else s.examples.x
        background = lose(s.background) if hide in ("background", "all") else s.background
        support = Support(Labelled(examples, s.examples.y), background, s.classes)
        query = lose(query) if hide in ("query", "all") else query
        _assert_finite(learner.adapt(support).score(query), query, len(_CLASSES))


def check_unknown_record(learner: Learner) -> None:
    """A record, or a background, of which nothing is known is survived."""
    task = _toy(8)
    s, blank = task.support, _changed(task.query.x, lambda v: np.full_like(v, np.nan))
    _assert_finite(learner.adapt(s).score(blank), blank, len(_CLASSES))
    nothing = _changed(s.background, lambda v: np.full_like(v, np.nan))
    empty = Support(s.examples, nothing, s.classes)
    _assert_finite(learner.adapt(empty).score(task.query.x), task.query.x, len(_CLASSES))


def check_no_example_gives_novelty(learner: Learner) -> None:
    """With K = 0 there is no threat column, and novelty tells threats from background."""
    for seed in (9, 10):
        task = _toy(seed)
        scores = learner.adapt(_without_examples(task.support)).score(task.query.x)
        _assert_finite(scores, task.query.x, 0)
        benign = task.query.y == BACKGROUND
        assert np.array_equal(scores.alarm(), scores.novelty)
        assert _above(scores.novelty[~benign], scores.novelty[benign]) > 0.8, "novelty is blind"


def check_learns(learner: Learner) -> None:
    """Easy threats score above background, and each class above the others in its own column."""
    task = _toy(11)
    scores, y = learner.adapt(task.support).score(task.query.x), task.query.y
    assert _above(scores.alarm()[y >= 0], scores.alarm()[y == BACKGROUND]) > 0.8
    for c in range(len(_CLASSES)):
        others = (y >= 0) & (y != c)
        assert _above(scores.threat[y == c, c], scores.threat[others, c]) > 0.6


def check_shuffled_labels_give_chance(learner: Learner) -> None:
    """Where labels mean nothing, scores say nothing: no leak from support to query."""
    found = []
    for task in toy_tasks(12, seed=12, shuffled=True):
        scores, y = learner.adapt(task.support).score(task.query.x), task.query.y
        found.append(_above(scores.alarm()[y >= 0], scores.alarm()[y == BACKGROUND]))
    assert 0.42 < float(np.mean(found)) < 0.58, f"AUROC {np.mean(found):.3f} on noise"


def check_scores_are_finite(learner: Learner) -> None:
    """Absurd values give finite float32 scores, with one example and with one background record."""
    task = _toy(13)

    def absurd(v: np.ndarray) -> np.ndarray:
        out = v.copy()
        out[0], out[1], out[2] = 3e38, -3e38, 1e-40
        return out

    query = _changed(task.query.x, absurd)
    _assert_finite(learner.adapt(task.support).score(query), query, len(_CLASSES))
    s, one = task.support, np.array([0])
    lone = Support(
        Labelled(s.examples.x.take(one), np.zeros(1, np.int64)), s.background.take(one), ("only",)
    )
    _assert_finite(learner.adapt(lone).score(query), query, 1)
    none = query.take(np.arange(0))
    _assert_finite(learner.adapt(s).score(none), none, len(_CLASSES))


def check_hyperparameters_rebuild(learner: Learner) -> None:
    """``hyperparameters`` and ``state`` build a learner that scores the same, bit for bit."""
    check_state_round_trips(learner, lambda state: {k: v.copy() for k, v in state.items()})


def check_state_round_trips(learner: Learner, through: Callable[[State], State]) -> None:
    """The state survives a store bit for bit.

    Args:
        learner: a prior.
        through: saves a state and returns what is loaded again.
    """
    state = through(learner.state())
    again = type(learner)(**learner.hyperparameters()).load_state(state)
    assert set(again.state()) == set(learner.state())
    for name, array in learner.state().items():
        assert array.dtype == again.state()[name].dtype
        np.testing.assert_array_equal(array, again.state()[name])
    task = _toy(14)
    _assert_same(*(m.adapt(task.support, seed=1).score(task.query.x) for m in (learner, again)))


def _assert_finite(scores: Scores, x: Encoded, n_way: int) -> None:
    assert scores.threat.shape == (x.n_records, n_way), scores.threat.shape
    assert scores.novelty.shape == (x.n_records,), scores.novelty.shape
    assert scores.threat.dtype == scores.novelty.dtype == np.float32
    assert np.isfinite(scores.threat).all() and np.isfinite(scores.novelty).all()


def _above(high: np.ndarray, low: np.ndarray) -> float:
    """Return the share of pairs in which the first is higher, ties half: the AUROC."""
    gap = high[:, None] - low[None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


LEARNER_CHECKS: tuple[Callable[[Learner], None], ...] = (
    check_adapt_is_pure,
    check_same_seed_same_result,
    check_class_order,
    check_records_are_independent,
    check_column_order,
    check_unknown_column,
    check_unknown_record,
    check_no_example_gives_novelty,
    check_learns,
    check_shuffled_labels_give_chance,
    check_scores_are_finite,
    check_hyperparameters_rebuild,
)


def check_sniffs_itself(domain: Domain, sample: Path) -> None:
    """The domain is surest of its own sample among all domains it may be taken beside."""
    domains = {name: DOMAINS.load(name)() for name in DOMAINS.names()}
    beside = {n: d for n, d in domains.items() if not d.made_of and d.kind != domain.made_of}
    with open_source(sample) as source:
        own = domain.sniff(source)
        others = {name: other.sniff(source) for name, other in beside.items()}
    assert 0 < own <= 1, f"sniffs its own sample at {own}"
    surer = {n: s for n, s in others.items() if s > own}
    assert not surer, f"{surer} are surer than {own} of {sample.name}"


def check_reads_with_origin(domain: Domain, sample: Path) -> None:
    """Reading yields records, each with an origin of its own and the identity columns."""
    batches = _read(domain, sample)
    assert sum(len(b) for b in batches) > 0, "no record in the sample"
    seen: set[str] = set()
    for batch in batches:
        origins = batch.frame["origin"].to_list()
        assert all(isinstance(o, str) and o.startswith(str(sample)) for o in origins[:3]), origins
        assert len(set(origins)) == len(origins) and not seen & set(origins), "an origin twice"
        seen.update(origins)
        assert set(domain.identity) <= set(batch.frame.columns)


def check_reading_repeats(domain: Domain, sample: Path) -> None:
    """Reading a file twice gives the same numbers."""
    for a, b in zip(_read(domain, sample), _read(domain, sample), strict=True):
        for x, y in zip(_encode(domain, a).values(), _encode(domain, b).values(), strict=True):
            np.testing.assert_array_equal(x, y)


def check_views_are_sound(domain: Domain, sample: Path) -> None:
    """Views and columns have unique names, and no identity column is among them."""
    for batch in _read(domain, sample):
        views = domain.views(batch)
        names = [v.name for v in views]
        assert names and len(set(names)) == len(names), names
        for view in views:
            columns = [c.name for c in view.columns]
            assert columns and len(set(columns)) == len(columns), columns
            told = set(columns) | {c.source for c in view.columns}
            assert not told & {*domain.identity, "origin", "ts"}, "an identity column is encoded"


def check_encoding_fits(domain: Domain, sample: Path) -> None:
    """Encoding gives finite float32 of the views' shape; a row or some columns alone the same."""
    (first, *_) = _read(domain, sample)
    views = domain.views(first)
    whole = domain.encode(first, views)
    for view in views:
        assert whole[view.name].shape == (len(first), len(view.columns))
    for i in {0, len(first) // 2, len(first) - 1}:
        alone = domain.encode(Batch(first.frame[i : i + 1]), views)
        for name, x in alone.items():
            np.testing.assert_array_equal(x[0], whole[name][i])
    some = [View(view.name, view.columns[::2]) for view in views]
    for name, x in domain.encode(first, some).items():
        np.testing.assert_array_equal(x, whole[name][:, ::2])


def check_unknown_columns_are_nan(domain: Domain, sample: Path) -> None:
    """A frame without a column encodes it as NaN, or names it in a ``RecordError``."""
    (first, *_) = _read(domain, sample)
    views = domain.views(first)
    for column in views[0].columns:
        if column.name in first.frame.columns:
            try:
                rest = domain.encode(Batch(first.frame.drop(column.name)), views)[views[0].name]
            except RecordError as err:
                assert column.name in str(err), f"{err} does not name {column.name}"
                return
            assert np.isnan(rest[:, [c.name for c in views[0].columns].index(column.name)]).all()
            return


def check_random_bytes_raise_record_error(
    domain: Domain, sample: Path, *, folder: Path | None = None, seed: int = 0
) -> None:
    """Noise, and the sample cut or with bytes changed, raise ``RecordError`` or nothing.

    Args:
        domain: the domain.
        sample: a file it can read.
        folder: where damaged copies are written; nothing is checked without one.
        seed: of the damage.
    """
    if folder is None:
        return
    rng, good = random.Random(seed), sample.read_bytes()[:20_000]  # noqa: S311 - not for secrets
    damaged = [b"", bytes(rng.randbytes(3000)), good[: len(good) // 2], good[: len(good) - 3]]
    for _ in range(6):
        copy = bytearray(good)
        for _ in range(rng.randrange(1, 30)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        damaged.append(bytes(copy))
    for i, content in enumerate(damaged):
        path = folder / f"{i}-{sample.name}"
        path.write_bytes(content)
        try:
            for batch in _read(domain, path, skip=True):
                _encode(domain, batch)
        except RecordError as err:
            assert path.name in str(err), f"{err} does not name {path.name}"


def _read(domain: Domain, path: Path, *, skip: bool = False) -> list[Batch]:
    with open_source(path) as source:
        if skip:
            return list(domain.read(source, on_bad=lambda _: None))
        return list(domain.read(source))


def _encode(domain: Domain, batch: Batch) -> Encoded:
    return domain.encode(batch, domain.views(batch))


DOMAIN_CHECKS: tuple[Callable[[Domain, Path], None], ...] = (
    check_sniffs_itself,
    check_reads_with_origin,
    check_reading_repeats,
    check_views_are_sound,
    check_encoding_fits,
    check_unknown_columns_are_nan,
    check_random_bytes_raise_record_error,
)


def check_domain(domain: Domain, sample: Path) -> None:
    """Hold a domain to every check with one sample file."""
    for check in DOMAIN_CHECKS:
        check(domain, sample)
