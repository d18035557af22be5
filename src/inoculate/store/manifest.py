"""What an artifact says of itself: who made it, from what, and what it promises.

A manifest holds no time of making, so the same examples and seed give the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, StringConstraints

from inoculate.domain import Column, View

FORMAT_VERSION: Literal[1] = 1
ARRAYS_FILE: Literal["arrays.safetensors"] = "arrays.safetensors"
HELD_OUT_FILE: Literal["held_out.safetensors"] = "held_out.safetensors"
LABELS_FILE: Literal["labels.jsonl"] = "labels.jsonl"
RECORDS_FILE: Literal["records.jsonl"] = "records.jsonl"


def _storable(value: Any) -> Any:
    """Replace what UTF-8 cannot hold, as in a file name that is not text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Name = Annotated[str, BeforeValidator(_storable), StringConstraints(min_length=1, max_length=300)]
Text = Annotated[str, BeforeValidator(_storable), StringConstraints(max_length=4000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scalar = bool | int | FiniteFloat | Text | None
Size = Annotated[int, Field(ge=0, le=2**40)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StoredColumn(_Part):
    """One ``domain.Column``."""

    name: Name
    unit: Text
    about: Text
    category: Text | None = None
    source: Name | None = None
    context: bool = False


class StoredView(_Part):
    """One ``domain.View``."""

    name: Name
    columns: Annotated[tuple[StoredColumn, ...], Field(max_length=20_000)]


class LearnerEntry(_Part):
    """How to build the learner again: its file name, keyword arguments and seed."""

    name: Name
    hyperparameters: Annotated[
        dict[Name, Scalar | Annotated[tuple[Scalar, ...], Field(max_length=10_000)]],
        Field(max_length=200),
    ] = {}
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class DataEntry(_Part):
    """One source the artifact was made from.

    Attributes:
        role: what it was used as; of ``pairs`` the records are examples with a twin each.
        name: file name, without the folder; of a git history ``folder@commit``.
        sha256: of the file's bytes; None for a stream.
        records: number of records taken from it.
        licence: of the data, in SPDX form where it has one.
    """

    role: Literal["examples", "pairs", "background", "meta-train", "meta-validation"]
    name: Name
    sha256: Sha256 | None = None
    records: Size
    licence: Text | None = None


class MeasuredEntry(_Part):
    """One measured figure, with its interval, the data and the command that repeats it."""

    metric: Name
    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    data: Text
    command: Text


class PriorEntry(_Part):
    """The prior that a detector was adapted from; ``sha256`` of its arrays file."""

    name: Name
    sha256: Sha256 | None = None


class ArrayEntry(_Part):
    """Shape and numpy dtype name of one array."""

    shape: Annotated[tuple[Size, ...], Field(max_length=8)]
    dtype: Literal[
        "bool", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    ]  # fmt: skip


class Manifest(_Part):
    """The content of ``manifest.json``.

    Attributes:
        artifact: a prior (learned arrays only), a detector (also a support set), or an agent of
            fuzzing (learned arrays; its one view is what it observes).
        kind: detectors work on every domain of one kind ("flow", "table").
        unit: what a record is ("flow", "row").
        domain: the format that the examples were read by.
        usual: a prior that is taken for records of its kind when nothing is asked for.
        promises: what ``adapt`` printed: ``loo_recall``, ``findings_a_day`` ...
        version: number of this state of the artifact; marking makes the next.
        parent: the version that this one was made from; None where it was adapted afresh.
        base: the version adapted afresh that it goes back to by labels alone; None if itself.
        files: SHA-256 of each file beside the manifest; filled in by ``save``.
        arrays: shape and dtype of each array; filled in by ``save``.
    """

    format_version: Literal[1] = FORMAT_VERSION
    artifact: Literal["prior", "detector", "agent"]
    name: Name
    inoculate_version: Name
    kind: Name
    unit: Name
    domain: Name
    usual: bool = False
    views: Annotated[tuple[StoredView, ...], Field(min_length=1, max_length=64)]
    learner: LearnerEntry
    classes: Annotated[tuple[Name, ...], Field(max_length=10_000)] = ()
    data: Annotated[tuple[DataEntry, ...], Field(max_length=10_000)] = ()
    measured: Annotated[tuple[MeasuredEntry, ...], Field(max_length=1000)] = ()
    promises: Annotated[dict[Name, FiniteFloat | Text | None], Field(max_length=200)] = {}
    notes: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    prior: PriorEntry | None = None
    version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    parent: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    base: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    files: dict[
        Literal["arrays.safetensors", "held_out.safetensors", "labels.jsonl", "records.jsonl"],
        Sha256,
    ] = {}
    arrays: Annotated[dict[Name, ArrayEntry], Field(max_length=10_000)] = {}

    def domain_views(self) -> tuple[View, ...]:
        """Return the schema as a domain takes it."""
        return tuple(
            View(v.name, tuple(Column(**c.model_dump()) for c in v.columns)) for v in self.views
        )

    def to_json(self) -> bytes:
        """Return the same bytes for the same content, whatever the order of its dicts."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
        return text.encode() + b"\n"


def describe_views(views: Sequence[View]) -> tuple[StoredView, ...]:
    """Return a domain's views as a manifest holds them."""
    return tuple(
        StoredView(
            name=view.name,
            columns=tuple(StoredColumn(**asdict(c)) for c in view.columns),
        )
        for view in views
    )
