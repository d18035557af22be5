"""From a finding of fuzz to what ``adapt`` learns from: the function that it happened in.

Its siblings are looked for in the code around it: where no background is named, that is the
repository, or else the folder, that holds its file.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from inoculate.domain import Domain
from inoculate.errors import InputError, RecordError
from inoculate.fuzzing.endings.triage import read_finding
from inoculate.store.manifest import DataEntry
from inoculate.workflows.examples import Examples
from inoculate.workflows.intake import Intake, Sample, sample_records

Role = Literal["examples", "background"]
KIND = "code"
MOST_AROUND = 20_000
_LEAST_AROUND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Crashed:
    """Functions that were seen to crash, and the code around them.

    Attributes:
        examples: these functions; each one's class is its weakness.
        background: the other functions.
        data: the sources of both, for the manifest.
        notes: lines the user must read.
    """

    examples: Examples
    background: Sample
    data: tuple[DataEntry, ...]
    notes: tuple[str, ...]


def read_crashes(
    intake: Intake,
    places: Sequence[Path],
    *,
    background: Sequence[str],
    threat: str | None,
    seed: int,
) -> Crashed:
    """Read findings of fuzz as examples.

    Args:
        intake: reads the code.
        places: folders of findings, ``OUT/findings/1``.
        background: sources of code; empty for what lies around.
        threat: name of the class; None takes each one's weakness.
        seed: draws the background, where there is more than 20,000 functions of it.

    Raises:
        ArtifactError: a folder holds no finding.
        InputError: a finding without a place in a source file, or no function there.
    """
    found = [_function(intake, place, threat) for place in places]
    files = [file for file, *_ in found]
    names = list(background) or list(dict.fromkeys(str(_around(file)) for file in files))
    sample = sample_records(intake, names, most=MOST_AROUND, seed=seed, kind=KIND)
    frame = pl.concat([frame for _, _, frame, _ in found])
    sample, n_same = _without(sample, frame["text"].to_list())
    if sample.frame.height < _LEAST_AROUND:
        raise InputError(
            f"{', '.join(names)}: {sample.frame.height} other functions, at least "
            f"{_LEAST_AROUND} are needed, and 100 for a promise of 1 %: give --background"
        )
    labels = tuple(label for *_, label in found)
    examples = Examples(
        frames=(frame,),
        domains=(found[0][1],),
        labels=labels,
        origins=tuple(map(str, frame["origin"])),
        classes=tuple(sorted(set(labels))),
        notes=(),
    )
    entries = [_entry("examples", file, 1) for file in dict.fromkeys(files)]
    entries += [_entry("background", Path(name), sample.n_seen) for name in names]
    said = [f"example: {name}, where it crashed" for name in frame["name"].to_list()]
    said += [] if background else [f"no --background: the code around it, {', '.join(names)}"]
    said += [f"{n_same} background functions the same as an example, left out"] if n_same else []
    return Crashed(examples, sample, tuple(entries), tuple(said))


def _function(
    intake: Intake, place: Path, threat: str | None
) -> tuple[Path, Domain, pl.DataFrame, str]:
    """Return a finding's file, its format, the record of its function, and its class."""
    about = read_finding(place)
    file, line = about.get("file"), about.get("line")
    if not isinstance(file, str) or not isinstance(line, int):
        raise InputError(
            f"{place}: where it crashed is not known: fuzz again with --replay-with a build with "
            "-g and a sanitizer"
        )
    if not Path(file).is_file():
        raise InputError(f"{place}: it crashed in {file}, which is not there")
    try:
        records = list(intake.read([file], kind=KIND))
    except RecordError as err:
        raise InputError(f"{place}: it crashed in a file that cannot be read: {err}") from err
    if records:
        frame = pl.concat([batch.frame for _, batch in records])
        here = frame.filter(pl.col("start_line").le(line) & pl.col("end_line").ge(line))
        here = here.sort(pl.col("end_line") - pl.col("start_line")).head(1)
        if here.height:
            cwe = about.get("cwe")
            return (
                Path(file),
                records[0][0],
                here,
                threat or (f"cwe-{cwe}" if cwe else str(about["kind"])),
            )
    raise InputError(f"{place}: no function at {file}:{line}, where it crashed")


def _around(file: Path) -> Path:
    """Return the repository that a file lies in, else its folder."""
    file = file.absolute()
    return next((p for p in file.parents if (p / ".git").exists()), file.parent)


def _without(sample: Sample, texts: list[str]) -> tuple[Sample, int]:
    frame = sample.frame.filter(~pl.col("text").is_in(texts))
    n_same = sample.frame.height - frame.height
    rows = np.arange(frame.height)
    made = Sample(frame, rows, sample.domain, sample.n_seen - n_same, None, None)
    return made, n_same


def _entry(role: Role, path: Path, records: int) -> DataEntry:
    if not path.is_file():
        return DataEntry(role=role, name=str(path), records=records)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DataEntry(role=role, name=path.name, sha256=digest, records=records)
