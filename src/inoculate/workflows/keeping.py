"""Keeps some of the records that a detector is adapted on, and takes them up again for a rule."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from inoculate.domain import Domain
from inoculate.errors import ArtifactError, NotFoundError
from inoculate.registry import DOMAINS, RULES
from inoculate.render._text import counted
from inoculate.rule import Described
from inoculate.store.artifact import Artifact
from inoculate.store.manifest import RECORDS_FILE
from inoculate.store.records import (
    MOST_BYTES,
    UNKEPT,
    KeptRecord,
    Role,
    read_records,
    record_line,
)
from inoculate.workflows.material import Material

MOST_BACKGROUND = 5_000
MOST_EXAMPLES = 200
"""Of a class."""
_LONGEST_BACKGROUND = 64 << 10
_WHOLE_FILES = frozenset(("pe", "elf"))


def keep_records(material: Material, *, seed: int) -> tuple[bytes, tuple[str, ...]]:
    """Return what a rule would be made of, for beside the detector, and what to say of it.

    Examples and twins are kept whole or not at all, and as much of the background as fits, each
    record with the same chance; nothing of kinds that no rule can be made for, or only on whole
    files.

    Args:
        material: what the detector is adapted on.
        seed: draws the background.
    """
    kinds = frozenset().union(*(RULES.load(name).kinds for name in RULES.names()))
    if material.kind not in kinds - _WHOLE_FILES:
        return b"", ()
    rng = np.random.default_rng(seed)
    own = list(_own(material, rng))
    n_bytes = sum(map(len, own))
    if n_bytes > MOST_BYTES // 2:
        said = (
            f"the examples are over {MOST_BYTES // 2 >> 20} MiB, so no record is kept with the "
            "detector; inoculate rule has to be given them again"
        )
        return b"", (said,) if own else ()
    return b"".join([*own, *_background(material, MOST_BYTES - n_bytes, rng)]), ()


def _own(material: Material, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield the lines of the examples, of each class so many, and of their twins."""
    labels = np.array(material.examples.labels)
    drawn: set[int] = set()
    for name in material.examples.classes:
        own = np.flatnonzero(labels == name)
        drawn |= set(rng.permutation(own)[:MOST_EXAMPLES].tolist())
    examples = material.examples
    rows = [
        (domain, row)
        for domain, frame in zip(examples.domains, examples.frames, strict=True)
        for row in _plain(frame)
    ]
    for i in sorted(drawn):
        yield _line("example", *rows[i], str(labels[i]))
    if material.pairs is not None:
        twins = list(_plain(material.pairs.after))
        for i in sorted(drawn):
            yield _line("twin", material.pairs.domain, twins[i], str(labels[i]))


def _background(material: Material, room: int, rng: np.random.Generator) -> list[bytes]:
    """Return lines of background that take up to ``room`` bytes, in the order of reading."""
    frame, domain = material.background.frame, material.background.domain
    frame = frame.filter(~pl.col("origin").is_in(list(material.examples.origins)))
    rows = list(_plain(frame))
    kept: dict[int, bytes] = {}
    for i in rng.permutation(len(rows)).tolist():
        line = _line("background", domain, rows[i], None)
        if len(line) > min(room, _LONGEST_BACKGROUND):
            continue
        room -= len(line)
        kept[i] = line
        if len(kept) == MOST_BACKGROUND:
            break
    return [kept[i] for i in sorted(kept)]


def _plain(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield rows with what a line can hold, and nothing that tells of this machine's files."""
    names = [
        name
        for name, dtype in frame.schema.items()
        if _is_plain(dtype) and name not in UNKEPT and not name.startswith("_")
    ]
    for row in frame.select(names).iter_rows(named=True):
        yield {k: v for k, v in row.items() if not isinstance(v, float) or isfinite(v)}


def _is_plain(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Boolean) or dtype.is_integer() or dtype.is_float()


def _line(role: Role, domain: Domain, row: dict[str, Any], threat: str | None) -> bytes:
    name = type(domain).__module__.rpartition(".")[2]
    return record_line(KeptRecord(role=role, domain=name, threat=threat, row=row))


def kept_records(artifact: Artifact) -> tuple[KeptRecord, ...]:
    """Return the records that were kept with a detector, none where none were.

    Raises:
        ArtifactError: their file is damaged, or they are of another kind than the detector.
    """
    file = artifact.path / RECORDS_FILE
    records = read_records(artifact.beside.get(RECORDS_FILE, b""), file)
    for name in sorted({record.domain for record in records}):
        try:
            kind = DOMAINS.load(name).kind
        except NotFoundError as err:
            raise ArtifactError(f"{file}: {err}") from err
        if kind != artifact.manifest.kind or kind in _WHOLE_FILES:
            raise ArtifactError(f"{file}: records of kind {kind!r}")
    return records


def described(
    records: Sequence[KeptRecord], role: Role, threat: str | None = None
) -> list[Described]:
    """Return the kept records of a role, and of a class of examples, with their facts."""
    domains: dict[str, Domain] = {}
    found = []
    for record in records:
        if record.role == role and record.threat == threat:
            if record.domain not in domains:
                domains[record.domain] = DOMAINS.load(record.domain)()
            facts = domains[record.domain].facts(record.row)
            found.append(Described(record.row, facts))
    return found


def told(counts: Mapping[Role, int]) -> str:
    """Return how many records are kept, in words."""
    words = {"background": "background record"}
    return ", ".join(counted(n, words.get(role, role)) for role, n in counts.items())
