"""Use case: from a recipe to a prior on disk, with what it was measured on.

The same recipe (see ``workflows.recipe``) gives the same arrays.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from inoculate import __version__
from inoculate.benchmark.tables import read
from inoculate.domain import Batch, View
from inoculate.errors import InputError
from inoculate.learner import Learner
from inoculate.made_names import name_families
from inoculate.metrics import bootstrap, recall_at
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.sampling import (
    Pool,
    Shape,
    contaminate,
    distinct,
    every_pair,
    hide_columns,
    make_tasks,
    sample_task,
    sample_tasks,
    thin_background,
)
from inoculate.store.detector import load_prior, save_prior
from inoculate.store.manifest import (
    DataEntry,
    LearnerEntry,
    Manifest,
    MeasuredEntry,
    describe_views,
)
from inoculate.structural import structural_tasks
from inoculate.task import BACKGROUND, Encoded, Task
from inoculate.workflows.intake import Intake
from inoculate.workflows.recipe import DataPart, Recipe, in_plan, read_recipe

Role = Literal["meta-train", "meta-validation"]

_NAMES_A_FAMILY = 150


def train(recipe: Path, out: Path, *, folder: Path | None = None) -> Manifest:
    """Meta-train a prior, measure it on classes it has not seen, and write it.

    Args:
        recipe: the TOML file.
        out: the artifact to be.
        folder: of the data; else ``INOCULATE_DATA``, else the recipe's own, from where it lies.

    Raises:
        InputError: the recipe is wrong, or a file is not the one it names.
    """
    parsed = read_recipe(recipe)
    base = folder or Path(os.environ.get("INOCULATE_DATA") or recipe.parent / parsed.folder)
    pools, views = _read_pools(parsed, base)
    learner = LEARNERS.load(parsed.learner)(**parsed.hyperparameters)
    before: tuple[DataEntry, ...] = ()
    if parsed.start:
        start = load_prior(parsed.start)
        learner.load_state(start.learner.state())
        before = start.manifest.data
    learner.meta_fit(recipe_tasks(parsed, pools), seed=parsed.seed)
    command = f"inoculate train {recipe.name}"
    manifest = Manifest(
        artifact="prior",
        name=parsed.name,
        inoculate_version=__version__,
        kind=parsed.kind,
        unit=parsed.unit,
        domain=parsed.parts[0].format,
        usual=parsed.usual,
        views=describe_views(views),
        learner=LearnerEntry(
            name=parsed.learner, hyperparameters=learner.hyperparameters(), seed=parsed.seed
        ),
        data=(*before, *_entries(parsed, pools)),
        measured=tuple(_measure(parsed, pools, learner, command, seen=before)),
        notes=parsed.notes,
    )
    save_prior(out, manifest, learner.state())
    return manifest


def recipe_tasks(recipe: Recipe, pools: Sequence[Pool]) -> Iterator[Task]:
    """Yield the tasks of the outer loop, real and made-up ones in turn, columns hidden."""
    t = recipe.tasks
    shape = Shape(1, t.n_background, t.n_query, t.n_benign)
    seen = [_seen(pool, part) for pool, part in zip(pools, recipe.parts, strict=True) if part.train]
    if not seen:
        raise InputError(f"recipe {recipe.name}: no class to meta-train on")
    if t.pairs:
        yield from (task for pool in seen for task in every_pair(pool, t.n_background, seed=t.seed))
        return
    each = -(-t.n // len(seen))
    how: dict[str, Any] = {"shape": shape, "n_way": t.n_way, "n_shot": t.n_shot}
    real = [sample_tasks(p, each, seed=t.seed, **how) for p in seen]
    made = [make_tasks(_train_only(p), each, seed=t.seed, **how) for p in seen]
    structural = structural_tasks(t.n, seed=t.seed, **how)
    for i in range(t.n):
        rng = np.random.default_rng([t.seed, i, 2])
        if t.structural and rng.random() < t.structural:
            task = next(structural)
        else:
            source = made if rng.random() < t.made_up else real
            task = hide_columns(next(source[i % len(seen)]), rng, most=t.hidden)
        if t.contaminated and rng.random() < t.contaminated:
            task = contaminate(task, rng)
        yield thin_background(task, rng, fewest=t.fewest_background or t.n_background)


def _seen(pool: Pool, part: DataPart) -> Pool:
    """Return the records that meta-training may see: of its classes, and ordinary ones."""
    classes = {c: pool.classes[c] for c in part.train if c in pool.classes}
    rows = np.concatenate(list(classes.values())) if pool.others else pool.benign
    return Pool(pool.x, classes, rows, pool.domain, others=pool.others, twin=pool.twin)


def _train_only(pool: Pool) -> Pool:
    """Return a pool of meta-train records: made-up tasks may look at no other."""
    rows = np.concatenate([pool.benign, *pool.classes.values()])
    return Pool(pool.x.take(rows), {}, np.arange(len(pool.benign)), pool.domain)


def _read_pools(recipe: Recipe, base: Path) -> tuple[list[Pool], tuple[View, ...]]:
    pools: list[Pool] = []
    first: tuple[View, ...] = ()
    schema_free = LEARNERS.load(recipe.learner).schema_free
    for part in recipe.parts:
        path = base / part.file
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as err:
            raise InputError(f"{path}: {err.strerror}") from err
        if found != part.sha256:
            raise InputError(f"{path}: SHA-256 is {found}, the recipe names {part.sha256}")
        if part.dataset:
            data = read(in_plan(part.dataset), base, only=part.only)
            pool, views = data.pool, data.views or ()
            if part.made:
                pool = _with_made_names(pool, part, views)
        else:
            pool, views = _read_pool(path, part, () if schema_free else first)
        first = first or views
        pools.append(pool)
    return pools, first


def _read_pool(
    path: Path, part: DataPart, views: tuple[View, ...]
) -> tuple[Pool, tuple[View, ...]]:
    """Return a file's records, and their columns: ``views``, or its own when that is empty."""
    encoded: list[Encoded] = []
    labels: list[str] = []
    for domain, batch in Intake(format=part.format).read([str(path)]):
        if part.label not in batch.frame.columns:
            raise InputError(f"{path}: no column {part.label!r}")
        views = views or _without_label(domain.views(batch), part.label)
        encoded.append(_forget(domain.encode(batch, views), views, part.unknown))
        labels += batch.frame[part.label].cast(pl.String).fill_null("").to_list()
    if not labels:
        raise InputError(f"{path}: no record")
    label = np.array([part.merge.get(c, c) for c in labels])
    x = Encoded.concat(encoded)
    keep = np.intersect1d(distinct(x), np.flatnonzero(~np.isin(label, part.ignore)))
    x, label = x.take(keep), label[keep]
    benign = np.isin(label, part.benign)
    names = sorted(set(label[~benign].tolist()))
    if missing := sorted({*part.train, *part.validation} - set(names)):
        raise InputError(f"{path}: no record of class {missing}; have {names}")
    rows = {c: np.flatnonzero(label == c) for c in names}
    return Pool(x, rows, np.flatnonzero(benign), path.name), views


def _with_made_names(pool: Pool, part: DataPart, views: Sequence[View]) -> Pool:
    """Return the benign records of a set beside families of names that are made up."""
    families = name_families(part.made, _NAMES_A_FAMILY, seed=0)
    texts = [text for family in families.values() for text in family]
    frame = pl.DataFrame({"text": texts, "origin": ["made"] * len(texts)})
    made = DOMAINS.load(part.format)().encode(Batch(frame), views)
    benign = pool.x.take(pool.benign)
    ends = benign.n_records + np.cumsum([len(f) for f in families.values()])
    rows = {n: np.arange(e - len(f), e) for (n, f), e in zip(families.items(), ends, strict=True)}
    x = Encoded.concat([benign, made])
    return Pool(x, rows, np.arange(benign.n_records), pool.domain)


def _without_label(views: Sequence[View], label: str) -> tuple[View, ...]:
    return tuple(
        View(v.name, tuple(c for c in v.columns if label not in (c.name, c.source))) for v in views
    )


def _forget(x: Encoded, views: Sequence[View], names: Sequence[str]) -> Encoded:
    nan = np.float32(np.nan)
    hidden = {
        v.name: np.array([any(fnmatchcase(c.name, n) for n in names) for c in v.columns])
        for v in views
    }
    return Encoded({k: np.where(hidden[k], nan, a) for k, a in x.items()})


def _entries(recipe: Recipe, pools: Sequence[Pool]) -> Iterator[DataEntry]:
    for part, pool in zip(recipe.parts, pools, strict=True):
        roles: list[tuple[Role, tuple[str, ...], int]] = [
            ("meta-train", part.train, 0 if pool.others else len(pool.benign)),
            ("meta-validation", part.validation, 0),
        ]
        for role, classes, also in roles:
            if classes:
                yield DataEntry(
                    role=role,
                    name=Path(part.file).name,
                    sha256=part.sha256,
                    records=also + sum(len(pool.classes.get(c, ())) for c in classes),
                    licence=part.licence,
                )


def _measure(
    recipe: Recipe,
    pools: Sequence[Pool],
    learner: Learner,
    command: str,
    *,
    seen: Sequence[DataEntry],
) -> Iterator[MeasuredEntry]:
    """Yield recall at 1 % false alarms with 5 examples, beside the default learner's."""
    default = LEARNERS.load("extra_trees")()
    for name, method in ((recipe.learner, learner), ("extra_trees, the default", default)):
        for part, pool in zip(recipe.parts, pools, strict=True):
            rest = set(pool.classes) - {*part.train, *part.validation}
            if part.sha256 in {d.sha256 for d in seen}:
                rest = set()  # which of its classes the prior to start from saw is not known
            kinds = (("classes it was chosen by", {*part.validation}), ("unseen classes", rest))
            for kind, classes in kinds:
                usable = [c for c in sorted(classes) if _measurable(pool, c)]
                if not usable:
                    continue
                found = bootstrap({c: _recalls(method, pool, c) for c in usable}, seed=0)
                yield MeasuredEntry(
                    metric=f"{name}: recall at 1 % false alarms, 5 examples, 200 background",
                    value=found.mean,
                    low=found.low,
                    high=found.high,
                    data=f"{part.file}: {kind}: {', '.join(usable)}",
                    command=command,
                )


def _measurable(pool: Pool, name: str) -> bool:
    rows = pool.classes.get(name, np.zeros(0, np.int64))
    recorded_twice = pool.together is None or len(np.unique(pool.together[rows])) > 1
    return len(rows) >= 12 and recorded_twice


def _recalls(learner: Learner, pool: Pool, name: str, *, draws: int = 5) -> list[float]:
    found = []
    for seed in range(draws):
        rng = np.random.default_rng([seed, 77])
        task = sample_task(pool, [name], Shape(5, 200, 200, 1_000), rng)
        alarm = learner.adapt(task.support, seed=seed).score(task.query.x).alarm()
        benign = task.query.y == BACKGROUND
        found.append(recall_at(alarm[benign], alarm[~benign], 0.01))
    return found
