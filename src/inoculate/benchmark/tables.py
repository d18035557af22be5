"""From a labelled table to records by class: the table's own columns as plain numbers."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.benchmark.scenario import Dataset
from inoculate.domain import Batch, View
from inoculate.errors import InputError
from inoculate.registry import DOMAINS
from inoculate.sampling import Pool, distinct, make_threat
from inoculate.task import Encoded, FloatArray, IntArray

MOST_VALUES = 8
"""Of a text column, so many values get a yes/no column, the frequent ones first."""

VIEW = "table"
HARMLESS = "harmless"
"""Class of the records that a dataset's column ``harmful`` says are none of their label."""

_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A dataset in memory.

    Attributes:
        dataset: what it is.
        pool: its records by class, exact repeats removed.
        views: its columns where a format knows them; None for a plain table.
    """

    dataset: Dataset
    pool: Pool
    views: tuple[View, ...] | None = None


def read(
    dataset: Dataset, folder: Path, *, only: Mapping[str, Sequence[str]] | None = None
) -> Data:
    """Return a dataset of the plan, ``only`` the records with some values in some columns.

    Raises:
        InputError: the file is missing, is another one, or lacks the label's column.
    """
    path = folder / dataset.file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = pl.read_parquet(path)
    except OSError as err:
        raise InputError(f"{path}: {err.strerror or err}") from err
    except pl.exceptions.PolarsError as err:
        raise InputError(f"{path}: no Parquet: {err}") from err
    if found != dataset.sha256:
        raise InputError(f"{path}: SHA-256 is {found}, the plan names {dataset.sha256}")
    named = {dataset.label, dataset.harmful, dataset.pair, *(only or {})} - {""}
    if missing := named - set(frame.columns):
        raise InputError(f"{path}: no column {', '.join(map(repr, sorted(missing)))}")
    for column, values in (only or {}).items():
        frame = frame.filter(pl.col(column).is_in(list(values)))
    label = _labels(frame, dataset)
    together = frame[dataset.together].rank("dense").to_numpy() if dataset.together else None
    if dataset.format:
        x, views = _encoded(frame, dataset)
        twin = _twins(frame, dataset) if dataset.pair else None
        return Data(dataset, pool_of(dataset, x, label, together, twin), views)
    x = plain_columns(frame.drop(dataset.label, *dataset.left_out, strict=False))
    return Data(dataset, pool_of(dataset, x, label, together))


def _labels(frame: pl.DataFrame, dataset: Dataset) -> npt.NDArray[np.str_]:
    label = frame[dataset.label].cast(pl.String)
    if not dataset.harmful:
        return label.fill_null("").to_numpy().astype(str)
    named = label.fill_null("unknown").to_numpy().astype(str)
    return np.where(frame[dataset.harmful].to_numpy() > 0, named, HARMLESS)


def _twins(frame: pl.DataFrame, dataset: Dataset) -> IntArray:
    """Return the row of each harmful record's twin, -1 where there is none or are several."""
    harmful = frame[dataset.harmful].to_numpy() > 0
    twin, sides = np.full(len(frame), -1, np.int64), dict[str, tuple[list[int], list[int]]]()
    for row, name in enumerate(frame[dataset.pair].cast(pl.String)):
        if name is not None:
            sides.setdefault(name, ([], []))[int(harmful[row])].append(row)
    for after, before in sides.values():
        if len(after) == 1 and len(before) == 1:
            twin[before[0]] = after[0]
    return twin


def _encoded(frame: pl.DataFrame, dataset: Dataset) -> tuple[Encoded, tuple[View, ...]]:
    """Return the records as a format encodes them.

    Raises:
        InputError: no such format, or a column is missing.
    """
    domain = DOMAINS.load(dataset.format)()
    try:
        frame = frame.select(pl.col(old).alias(new) for new, old in dataset.columns.items())
    except pl.exceptions.PolarsError as err:
        raise InputError(f"{dataset.name}: {err}") from err
    frame = frame.with_columns(pl.col(dataset.words).str.split(" "), origin=pl.lit(dataset.name))
    views = domain.views(Batch(frame[:1]))
    parts = [
        domain.encode(Batch(frame[at : at + _AT_ONCE]), views)
        for at in range(0, frame.height, _AT_ONCE)
    ]
    return Encoded.concat(parts), views


def plain_columns(frame: pl.DataFrame) -> Encoded:
    """Return numbers as they are and frequent text values as yes/no, one view.

    Text that is mostly numbers is read as such; infinity and what is beyond float32 is unknown.

    Raises:
        InputError: no column is left.
    """
    columns = [column for name in frame.columns for column in _numbers(frame[name])]
    if not columns:
        raise InputError("no column to learn from")
    x = np.stack(columns, axis=1)
    x[~np.isfinite(x)] = np.nan
    return Encoded({VIEW: x})


def _numbers(column: pl.Series) -> Iterator[FloatArray]:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        yield _float32(column)
        return
    text = column.cast(pl.String)
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() < 0.5 * len(text):
        yield _float32(numbers)
        return
    name = column.name
    counts = text.drop_nulls().value_counts(name="_count")
    # equally frequent values in alphabetical order, or the columns would depend on hashing
    for value in counts.sort(["_count", name], descending=[True, False])[name][:MOST_VALUES]:
        yield (text == value).fill_null(False).cast(pl.Float32).to_numpy()


def _float32(column: pl.Series) -> FloatArray:
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def pool_of(
    dataset: Dataset,
    x: Encoded,
    label: npt.NDArray[np.str_],
    together: IntArray | None = None,
    twin: IntArray | None = None,
) -> Pool:
    """Return records by class, exact repeats and ignored classes left out.

    A record whose twin is left out, or is the same in every column, has none.

    Where no class is benign, every record is beside other classes.

    Raises:
        InputError: no benign record.
    """
    label = np.array([dataset.merge.get(c, c) for c in label.tolist()])
    keep = np.intersect1d(distinct(x), np.flatnonzero(~np.isin(label, dataset.ignore)))
    x, label = x.take(keep), label[keep]
    together = None if together is None else together[keep].astype(np.int64)
    if twin is not None:
        place = np.full(len(twin) + 1, -1, np.int64)
        place[keep] = np.arange(len(keep))
        twin = place[twin[keep]]
    names = sorted(set(label.tolist()))
    if not dataset.benign and not dataset.harmful:
        rows, benign = {c: np.flatnonzero(label == c) for c in names}, np.arange(len(label))
        return Pool(x, rows, benign, dataset.name, together, others=True)
    usual = [c for c in names if dataset.is_benign(c) or (dataset.harmful and c == HARMLESS)]
    if not usual:
        raise InputError(f"{dataset.name}: no record is {', '.join(dataset.benign)}; have {names}")
    rows = {c: np.flatnonzero(label == c) for c in names if c not in usual}
    return Pool(x, rows, np.flatnonzero(np.isin(label, usual)), dataset.name, together, twin=twin)


def made_up(*, seed: int = 0) -> Iterator[Data]:
    """Yield two small tables without a file, for trying the benchmark itself.

    ``islands``: classes that lie apart in a few of 12 correlated columns. ``mixed``: 10 columns
    with heavy tails, yes/no values and gaps, classes made by changing some of them.
    """
    for name, make in (("islands", _islands), ("mixed", _mixed)):
        rng = np.random.default_rng([seed, len(name)])
        x, rows, benign = make(rng)
        dataset = Dataset(domain="made", name=name)
        yield Data(dataset, Pool(Encoded({VIEW: x}), rows, benign, name))


_N_BENIGN, _N_CLASS, _N_CLASSES = 1_600, 120, 5
_Made = tuple[FloatArray, dict[str, IntArray], IntArray]


def _islands(rng: np.random.Generator) -> _Made:
    mixing = rng.normal(size=(12, 12)) / 3
    n = _N_BENIGN + _N_CLASSES * _N_CLASS
    x = rng.normal(size=(n, 12)) @ mixing + 0.5 * rng.normal(size=(n, 12))
    for rows in _class_rows().values():
        columns = rng.choice(12, 3, replace=False)
        x[np.ix_(rows, columns)] += rng.choice([-2.5, 2.5], 3)
    return x.astype(np.float32), _class_rows(), np.arange(_N_BENIGN)


def _mixed(rng: np.random.Generator) -> _Made:
    n = _N_BENIGN + _N_CLASSES * _N_CLASS
    x = np.exp(rng.normal(size=(n, 10)) + rng.normal(size=(n, 1))).astype(np.float32)
    x[:, 6:8] = x[:, 6:8] > 1.5
    x[rng.random((n, 10)) < np.array([0] * 8 + [0.3, 0.3])] = np.nan
    for rows in _class_rows().values():
        x[rows] = make_threat(Encoded({VIEW: x}), rows, rng)[VIEW]
    return x, _class_rows(), np.arange(_N_BENIGN)


def _class_rows() -> dict[str, IntArray]:
    starts = [_N_BENIGN + i * _N_CLASS for i in range(_N_CLASSES)]
    return {f"threat {i}": np.arange(s, s + _N_CLASS) for i, s in enumerate(starts)}
