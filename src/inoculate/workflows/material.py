"""Reads what ``adapt`` learns from: examples or pairs, and the background beside them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from inoculate.domain import Batch, View
from inoculate.errors import InputError
from inoculate.render._text import counted
from inoculate.store.manifest import DataEntry
from inoculate.task import Encoded, Support
from inoculate.workflows.adapt_request import AdaptRequest
from inoculate.workflows.examples import Examples, read_examples
from inoculate.workflows.fuzz_example import read_crashes
from inoculate.workflows.intake import Intake, Sample, sample_records
from inoculate.workflows.pairs import Pairs, read_commits, read_pairs
from inoculate.workflows.places import read_places

MOST_BACKGROUND = 20_000
LEAST_BACKGROUND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a detector is made from.

    Attributes:
        examples: the threats' records.
        background: mostly benign records.
        data: the sources of both, for the manifest.
        pairs: where examples have twins, these.
        notes: lines the user must read.
        safe: records that are known to be harmless, though no fix of an example.
    """

    examples: Examples
    background: Sample
    data: tuple[DataEntry, ...]
    pairs: Pairs | None = None
    notes: tuple[str, ...] = ()
    safe: pl.DataFrame | None = None

    @property
    def kind(self) -> str:
        """What the records are."""
        return self.background.domain.kind

    def told_apart(self, views: Sequence[View]) -> "Material":
        """Return the material without pairs that are the same in every column.

        Raises:
            InputError: all pairs are.
        """
        if self.pairs is None:
            return self
        pairs = self.pairs.told_apart(views)
        rest = tuple(entry for entry in self.data if entry.role != "pairs")
        return replace(self, examples=pairs.examples(), pairs=pairs, data=(*pairs.data(), *rest))

    def support(self, views: Sequence[View]) -> Support:
        """Return the material in columns; twins come first in the background."""
        examples = self.examples.encode(views)
        usual = self.background.domain.encode(Batch(self.background.frame), views)
        if self.safe is not None:
            known = self.background.domain.encode(Batch(self.safe), views)
            n_twins = min(self.safe.height, len(examples))
            background = Encoded.concat([known, usual])
            return Support(examples, background, self.examples.classes, n_twins)
        if self.pairs is None:
            return Support(examples, usual, self.examples.classes)
        twins = self.pairs.domain.encode(Batch(self.pairs.after), views)
        background = Encoded.concat([twins, usual])
        return Support(examples, background, self.examples.classes, len(self.pairs))


def read_material(request: AdaptRequest, intake: Intake) -> Material:
    """Read the examples or pairs, and the background.

    Raises:
        InputError: a source cannot be read or holds nothing, or the background is too small.
        RecordError: a bad record, when they are not skipped.
    """
    if request.pairs or request.git is not None:
        return _with_pairs(request, intake)
    if request.crashes:
        return _with_crashes(request, intake)
    if request.marked:
        return _with_places(request, intake)
    background = _own(request, intake, None)
    if background.n_seen < LEAST_BACKGROUND:
        raise InputError(
            f"{', '.join(request.background)}: {background.n_seen} background record, at least "
            f"{LEAST_BACKGROUND} are needed, and 100 for a promise of 1 %"
        )
    examples = read_examples(
        intake,
        request.examples,
        kind=background.domain.kind,
        threats=request.threats,
        label=request.label,
        shots=request.shots,
        seed=request.seed,
    )
    n_examples = len(examples.labels)
    entries = [data_entry("examples", name, n_examples) for name in request.examples]
    return Material(examples, background, (*entries, *_backgrounds(request, background)))


def _with_crashes(request: AdaptRequest, intake: Intake) -> Material:
    crashed = read_crashes(
        intake,
        request.crashes,
        background=request.background,
        threat=request.threats[0] if request.threats else None,
        seed=request.seed,
    )
    return Material(crashed.examples, crashed.background, crashed.data, notes=crashed.notes)


def _with_places(request: AdaptRequest, intake: Intake) -> Material:
    found = read_places(
        intake,
        request.marked,
        request.safe,
        background=request.background,
        threat=request.threats[0] if request.threats else request.out.name.split(".")[0],
        seed=request.seed,
    )
    entries = [data_entry("examples", name, n) for name, n in found.files.items()]
    entries += [data_entry("background", n, found.background.n_seen) for n in found.around]
    safe = found.safe if found.safe.height else None
    return Material(found.examples, found.background, tuple(entries), notes=found.notes, safe=safe)


def _with_pairs(request: AdaptRequest, intake: Intake) -> Material:
    threat = request.threats[0] if request.threats else None
    if request.git is None:
        pairs = read_pairs(
            intake, request.pairs, threat=threat, shots=request.shots, seed=request.seed
        )
    else:
        pairs = read_commits(
            intake,
            request.git,
            request.commits,
            threat=threat or request.out.name.removesuffix(".detector") or "threat",
            shots=request.shots,
            seed=request.seed,
        )
    parts: list[Sample] = []
    entries: tuple[DataEntry, ...] = ()
    notes: list[str] = []
    if request.background:
        parts.append(_own(request, intake, pairs.domain.kind))
        entries = _backgrounds(request, parts[0])
    if request.git is not None or not parts:
        around, name, said = _instead(pairs, alone=not parts)
        if around.n_seen:
            parts.append(around)
            entries += (DataEntry(role="background", name=name, records=around.n_seen),)
        notes += said
    background, n_known = _less_vulnerable(_joined(parts), pairs)
    if n_known:
        unit = f"background {background.domain.unit}"
        notes.append(f"{counted(n_known, unit)} the same as a vulnerable one, left out")
    if background.frame.height < LEAST_BACKGROUND:
        raise InputError(
            f"{counted(background.frame.height, 'record')} around the pairs, at least "
            f"{LEAST_BACKGROUND} are needed, and 100 for a promise of 1 %: give --background"
        )
    return Material(pairs.examples(), background, (*pairs.data(), *entries), pairs, tuple(notes))


def _instead(pairs: Pairs, *, alone: bool) -> tuple[Sample, str, list[str]]:
    """Return what lies around the pairs as background, its name, and what to say of it."""
    unit = pairs.domain.unit
    if not alone or pairs.around.height >= LEAST_BACKGROUND:
        n = pairs.around.height
        said = f"no --background: the promise rests on the {counted(n, unit)} around the fixes"
        return _sample(pairs, pairs.around), "around the fixes", [said] if alone else []
    n = len(pairs)
    said = (
        f"no --background: the promise rests on the {counted(n, 'fixed version')} alone, which "
        "the detector has seen; give it your own code"
    )
    return _sample(pairs, pairs.after), "the fixed versions", [said]


def _sample(pairs: Pairs, frame: pl.DataFrame) -> Sample:
    return Sample(frame, np.arange(frame.height), pairs.domain, frame.height, None, None)


def _own(request: AdaptRequest, intake: Intake, kind: str | None) -> Sample:
    return sample_records(
        intake, request.background, most=MOST_BACKGROUND, seed=request.seed, kind=kind
    )


def _joined(parts: Sequence[Sample]) -> Sample:
    """Return the user's own background and what lies around the pairs as one."""
    frame = pl.concat([part.frame for part in parts], how="diagonal_relaxed")
    n_seen = sum(part.n_seen for part in parts)
    return replace(parts[0], frame=frame, rows=np.arange(frame.height), n_seen=n_seen)


def _less_vulnerable(background: Sample, pairs: Pairs) -> tuple[Sample, int]:
    """Return the background without what is known to be vulnerable, and how many that was."""
    frame = background.frame
    if "text" not in frame.columns:
        return background, 0
    frame = frame.filter(~pl.col("text").is_in(pairs.before["text"].to_list()))
    n = background.frame.height - frame.height
    rows = np.arange(frame.height)
    return replace(background, frame=frame, rows=rows, n_seen=background.n_seen - n), n


def _backgrounds(request: AdaptRequest, own: Sample) -> tuple[DataEntry, ...]:
    return tuple(data_entry("background", name, own.n_seen) for name in request.background)


def data_entry(role: Literal["examples", "background"], name: str, records: int) -> DataEntry:
    """Return what the manifest says of a source, with the digest of a file."""
    path = Path(name)
    if name == "-" or not path.is_file():
        return DataEntry(role=role, name=name, records=records)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return DataEntry(role=role, name=path.name, sha256=digest, records=records)
