"""The label file of a detector: what its users said of findings, one JSON object a line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inoculate.errors import ArtifactError
from inoculate.store.manifest import Name, Text

MOST_LABELS = 10_000
_MOST_BYTES = 1 << 14


class Label(BaseModel):
    """What somebody said of one record.

    Attributes:
        finding_id: as the scan gave it.
        origin: where the record came from.
        label: what it is.
        threat: the class it is an example of; None for a benign record.
        author, reason: who said so, and why.
        time: when, in UTC, as ISO 8601.
        version: the version of the detector that the label came with.
        copies: how often the record counts in what the detector is adapted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding_id: Name
    origin: Text
    label: Literal["threat", "benign"]
    threat: Name | None = None
    author: Name
    reason: Text = ""
    time: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    version: Annotated[int, Field(ge=2)]
    copies: Annotated[int, Field(ge=1, le=10_000)] = 1


def write_labels(labels: Sequence[Label]) -> bytes:
    """Return the file's content, ASCII only."""
    lines = (json.dumps(label.model_dump(mode="json"), sort_keys=True) for label in labels)
    return "".join(line + "\n" for line in lines).encode()


def read_labels(content: bytes, file: Path) -> tuple[Label, ...]:
    """Return the labels of a file.

    Raises:
        ArtifactError: a line is no label, or there are too many; the message names the line.
    """
    lines = content.splitlines()
    if len(lines) > MOST_LABELS:
        raise ArtifactError(f"{file}: {len(lines):,} labels, the limit is {MOST_LABELS:,}")
    labels = []
    for number, line in enumerate(lines, start=1):
        try:
            if len(line) > _MOST_BYTES:
                raise ValueError("line too long")
            label = Label.model_validate_json(line)
        except (ValidationError, ValueError) as err:
            raise ArtifactError(f"{file}:{number}: not a label: {first_problem(err)}") from err
        if (label.label == "threat") != (label.threat is not None):
            raise ArtifactError(f"{file}:{number}: a threat needs its name, a benign record none")
        labels.append(label)
    return tuple(labels)


def first_problem(err: ValueError) -> str:
    """Return what a line fails on first, in one short line that prints."""
    if not isinstance(err, ValidationError):
        return str(err)
    problem = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(p) for p in problem["loc"]) or "line"
    line = f"{place[:100]}: {problem['msg'][:200]}"
    return "".join(c if c.isprintable() else "?" for c in line)
