"""Some of the records a detector was adapted on, one JSON object a line: what a rule is made of.

They lie beside the arrays as ``records.jsonl``, which scanning never reads. A row holds plain
values only: no path to read from, and no bytes.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from inoculate.errors import ArtifactError
from inoculate.store.labels import first_problem
from inoculate.store.manifest import Name

MOST_BYTES = 2 << 20
"""Of all records that are kept."""
MOST_RECORDS = 20_000
UNKEPT = frozenset(("data", "origin", "path"))
"""Columns that no row holds: where a record came from, and whole files."""

Role = Literal["example", "twin", "background"]
Value = StrictBool | StrictInt | FiniteFloat | StrictStr | None


class KeptRecord(BaseModel):
    """One record as its domain read it.

    Attributes:
        role: what it was to the detector; twins are in the order of their examples.
        domain: file name of the format it was read by.
        threat: of an example, and of its twin; None for background.
        row: its columns by name, those of plain values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    role: Role
    domain: Name
    threat: Name | None = None
    row: Annotated[dict[Name, Value], Field(max_length=200)]


def record_line(record: KeptRecord) -> bytes:
    """Return a record as its line of the file, ASCII only.

    Raises:
        ValueError: a text that UTF-8 cannot hold, or a number that JSON cannot.
    """
    fields = record.model_dump(mode="json")
    return json.dumps(fields, sort_keys=True, allow_nan=False).encode() + b"\n"


def read_records(content: bytes, file: Path) -> tuple[KeptRecord, ...]:
    """Return the records of a file.

    Raises:
        ArtifactError: there are too many, a line is no record, or its row names a file; the
            message names the line.
    """
    lines = content.splitlines()
    if len(lines) > MOST_RECORDS:
        raise ArtifactError(f"{file}: {len(lines):,} records, the limit is {MOST_RECORDS:,}")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = KeptRecord.model_validate_json(line)
        except (ValidationError, ValueError) as err:
            raise ArtifactError(f"{file}:{number}: not a record: {first_problem(err)}") from err
        if (record.role == "background") != (record.threat is None):
            raise ArtifactError(f"{file}:{number}: an example needs its threat, background none")
        if UNKEPT & record.row.keys():
            raise ArtifactError(f"{file}:{number}: a row that names a file")
        records.append(record)
    return tuple(records)


def count_roles(records: Sequence[KeptRecord]) -> Mapping[Role, int]:
    """Return how many records there are of each role that has any, examples first."""
    roles: tuple[Role, ...] = ("example", "twin", "background")
    counts = {role: sum(r.role == role for r in records) for role in roles}
    return {role: n for role, n in counts.items() if n}
