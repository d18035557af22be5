"""Use case: from a recipe to a prior on disk, with what it was measured on.

A recipe is a TOML file: which files with which SHA-256 and licence, which classes to
meta-train on, to choose on and only to report on, which learner with which hyperparameters,
and every seed. The same recipe gives the same arrays.
"""

import hashlib
import os
import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from inoculate import __version__
from inoculate.domain import View
from inoculate.errors import InputError
from inoculate.learner import Learner
from inoculate.metrics import bootstrap, recall_at
from inoculate.registry import LEARNERS
from inoculate.sampling import (
    Pool,
    Shape,
    contaminate,
    distinct,
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

Role = Literal["meta-train", "meta-validation"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataPart(_Part):
    """One file of a recipe.

    Attributes:
        file: below the recipe's folder.
        sha256: of its bytes.
        licence: terms of the data.
        format: name of the domain that reads it.
        label: column with each record's class.
        benign: its values that are no threat.
        train: threat classes to meta-train on; their benign records are used too.
        validation: threat classes to choose by; all others are only reported on.
        merge: classes that are one behaviour under two names.
        ignore: values of the label to leave out.
        unknown: columns to leave unknown, ``host_*`` say: those that a sample of flows cannot
            show.
    """

    file: str
    sha256: str
    licence: str
    format: str
    label: str
    benign: tuple[str, ...]
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    merge: dict[str, str] = {}
    ignore: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def _ordered(pair: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= pair[0] <= pair[1]:
        raise ValueError(f"{list(pair)} is no range from 1 up")
    return pair


Range = Annotated[tuple[int, int], AfterValidator(_ordered)]


class TaskPart(_Part):
    """Tasks of the outer loop.

    Attributes:
        n: number of tasks.
        structural: of which this share is made from nothing, by random structural models.
        made_up: of the rest, the share that is made up from the files' records.
        hidden: largest share of columns hidden in a task.
        fewest_background: a task keeps at least so much of ``n_background``; 0 keeps all.
        contaminated: share of tasks whose background holds some of the threat, up to 5 %.
    """

    n: int = Field(ge=1)
    structural: float = Field(default=0.0, ge=0, le=1)
    made_up: float = Field(default=0.5, ge=0, le=1)
    hidden: float = Field(default=0.6, ge=0, le=1)
    contaminated: float = Field(default=0.0, ge=0, le=1)
    fewest_background: int = Field(default=0, ge=0)
    n_way: Range = (1, 1)
    n_shot: Range = (1, 10)
    n_background: int = Field(default=64, ge=1)
    n_query: int = Field(default=32, ge=1)
    n_benign: int = Field(default=64, ge=1)
    seed: int = Field(default=0, ge=0)


class Recipe(_Part):
    """A whole recipe; see the module. ``start`` names a prior whose arrays to go on from."""

    name: str
    kind: str
    unit: str
    learner: str
    start: str = ""
    seed: int = 0
    folder: str = "."
    hyperparameters: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    tasks: TaskPart
    data: tuple[DataPart, ...]


def read_recipe(path: Path) -> Recipe:
    """Return a checked recipe.

    Raises:
        InputError: it cannot be read, or a field is missing, unknown or wrong.
    """
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as err:
        raise InputError(f"{path}: {err.strerror}") from err
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise InputError(f"{path}: {err}") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}") from err


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
        domain=parsed.data[0].format,
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
    seen = [
        Pool(p.x, {c: p.classes[c] for c in d.train}, p.benign, p.domain)
        for p, d in zip(pools, recipe.data, strict=True)
        if d.train
    ]
    if not seen:
        raise InputError(f"recipe {recipe.name}: no class to meta-train on")
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


def _train_only(pool: Pool) -> Pool:
    """Return a pool of meta-train records: made-up tasks may look at no other."""
    rows = np.concatenate([pool.benign, *pool.classes.values()])
    return Pool(pool.x.take(rows), {}, np.arange(len(pool.benign)), pool.domain)


def _read_pools(recipe: Recipe, base: Path) -> tuple[list[Pool], tuple[View, ...]]:
    pools: list[Pool] = []
    first: tuple[View, ...] = ()
    schema_free = LEARNERS.load(recipe.learner).schema_free
    for part in recipe.data:
        path = base / part.file
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as err:
            raise InputError(f"{path}: {err.strerror}") from err
        if found != part.sha256:
            raise InputError(f"{path}: SHA-256 is {found}, the recipe names {part.sha256}")
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
    for part, pool in zip(recipe.data, pools, strict=True):
        roles: list[tuple[Role, tuple[str, ...], int]] = [
            ("meta-train", part.train, len(pool.benign)),
            ("meta-validation", part.validation, 0),
        ]
        for role, classes, also in roles:
            if classes:
                yield DataEntry(
                    role=role,
                    name=Path(part.file).name,
                    sha256=part.sha256,
                    records=also + sum(len(pool.classes[c]) for c in classes),
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
        for part, pool in zip(recipe.data, pools, strict=True):
            rest = set(pool.classes) - {*part.train, *part.validation}
            if part.sha256 in {d.sha256 for d in seen}:
                rest = set()  # which of its classes the prior to start from saw is not known
            kinds = (("classes it was chosen by", {*part.validation}), ("unseen classes", rest))
            for kind, classes in kinds:
                usable = sorted(c for c in classes if len(pool.classes[c]) >= 12)
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


def _recalls(learner: Learner, pool: Pool, name: str, *, draws: int = 5) -> list[float]:
    found = []
    for seed in range(draws):
        rng = np.random.default_rng([seed, 77])
        task = sample_task(pool, [name], Shape(5, 200, 200, 1_000), rng)
        alarm = learner.adapt(task.support, seed=seed).score(task.query.x).alarm()
        benign = task.query.y == BACKGROUND
        found.append(recall_at(alarm[benign], alarm[~benign], 0.01))
    return found
