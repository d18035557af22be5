"""Reads the examples of a threat: all of a source, or the rows of a label column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from inoculate.domain import Batch, Domain, View
from inoculate.errors import InputError
from inoculate.task import Encoded, Labelled
from inoculate.workflows.intake import Intake

_MOST_A_CLASS = 1_000
_MOST_CLASSES = 100
_SHOWN = 8


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Examples drawn from their sources.

    Attributes:
        frames: their records, one frame a source domain.
        domains: the domain of each frame.
        labels: class name of each record, over all frames.
        origins: where each record came from.
        classes: names, sorted.
        notes: lines the user must read.
    """

    frames: tuple[pl.DataFrame, ...]
    domains: tuple[Domain, ...]
    labels: tuple[str, ...]
    origins: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    def encode(self, views: Sequence[View]) -> Labelled:
        """Return the examples in these columns, with their class indices."""
        pairs = zip(self.domains, self.frames, strict=True)
        x = Encoded.concat([domain.encode(Batch(frame), views) for domain, frame in pairs])
        index = {name: i for i, name in enumerate(self.classes)}
        return Labelled(x, np.array([index[name] for name in self.labels], np.int64))

    def shots(self) -> dict[str, int]:
        """Return the number of examples of each class."""
        return dict(sorted(Counter(self.labels).items()))


def read_examples(
    intake: Intake,
    names: Sequence[str],
    *,
    kind: str,
    threats: Sequence[str],
    label: str | None,
    shots: int | None,
    seed: int,
) -> Examples:
    """Read examples, and draw ``shots`` of each class when asked to.

    Args:
        intake: reads the sources.
        names: paths, or ``-``.
        kind: what the background is; examples must be of the same kind.
        threats: name of the threat; with ``label``, the labels to take (empty: all).
        label: column with each record's class; None means every record is an example.
        shots: examples drawn of each class; None takes all (at most 1,000 a class).
        seed: draws them.

    Raises:
        InputError: no record, no such column, no label, or no row with a label asked for.
    """
    rng = np.random.default_rng(seed)
    kept: list[tuple[Domain, pl.DataFrame]] = []
    seen: Counter[str] = Counter()
    n_unlabelled = 0
    default = threats[0] if threats else "threat"
    for domain, batch in intake.read(names, kind=kind):
        frame = _with_label(batch.frame, label, default)
        n_unlabelled += frame["_label"].null_count()
        seen.update(frame["_label"].drop_nulls().to_list())
        if len(seen) > 10_000:
            raise InputError(f"column {label!r} has over 10,000 values: is it a label?")
        if label is not None and threats:
            frame = frame.filter(pl.col("_label").is_in(list(threats)))
        frame = frame.drop_nulls("_label")
        kept.append((domain, frame.with_columns(pl.Series("_key", rng.random(frame.height)))))
    _check_labels(names, label, threats, seen, n_unlabelled)
    return _drawn(kept, shots, n_unlabelled)


def _with_label(frame: pl.DataFrame, label: str | None, default: str) -> pl.DataFrame:
    if label is None:
        return frame.with_columns(pl.lit(default).alias("_label"))
    if label not in frame.columns:
        have = ", ".join(c for c in frame.columns if not c.startswith("_") and c != "origin")
        raise InputError(
            f"{frame['origin'][0]}: no column {label!r} to take labels from; it has {have}"
        )
    text = pl.col(label).cast(pl.String).str.strip_chars()
    return frame.with_columns(pl.when(text != "").then(text).alias("_label"))


def _check_labels(
    names: Sequence[str],
    label: str | None,
    threats: Sequence[str],
    seen: Counter[str],
    n_unlabelled: int,
) -> None:
    where = ", ".join(names)
    if not seen:
        if n_unlabelled:
            raise InputError(f"{where}: column {label!r} is empty in all {n_unlabelled} records")
        raise InputError(f"{where}: no record to take as an example")
    unknown = [t for t in threats if label is not None and t not in seen]
    if unknown:
        have = ", ".join(f"{name} ({n})" for name, n in seen.most_common(_SHOWN))
        more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
        raise InputError(f"{where}: no row labelled {', '.join(unknown)}; it has {have}{more}")
    if label is not None and not threats and len(seen) > _MOST_CLASSES:
        raise InputError(
            f"{where}: {len(seen)} classes in {label!r}; name up to {_MOST_CLASSES} with --threat"
        )


def _drawn(
    kept: list[tuple[Domain, pl.DataFrame]], shots: int | None, n_unlabelled: int
) -> Examples:
    notes = [f"{n_unlabelled} records without a label were left out"] if n_unlabelled else []
    keys = pl.concat(
        frame.select("_label", "_key", pl.lit(i).alias("_part"))
        for i, (_, frame) in enumerate(kept)
    )
    counts = dict(keys["_label"].value_counts().iter_rows())
    most = min(shots or _MOST_A_CLASS, _MOST_A_CLASS)
    for name, n in sorted(counts.items()):
        if shots is None and n > most:
            notes.append(f"{name}: {most:,} of {n:,} examples kept; --shots draws fewer")
        if shots is not None and n < shots:
            notes.append(f"{name}: only {n} examples where --shots asks for {shots}")
    chosen = keys.filter(pl.col("_key").rank("ordinal").over("_label") <= most)["_key"]
    parts = [
        (domain, frame.filter(pl.col("_key").is_in(chosen.to_list()))) for domain, frame in kept
    ]
    parts = [(domain, frame) for domain, frame in parts if frame.height]
    return Examples(
        frames=tuple(frame.drop("_label", "_key") for _, frame in parts),
        domains=tuple(domain for domain, _ in parts),
        labels=tuple(name for _, frame in parts for name in frame["_label"]),
        origins=tuple(str(o) for _, frame in parts for o in frame["origin"]),
        classes=tuple(sorted(counts)),
        notes=tuple(notes),
    )
