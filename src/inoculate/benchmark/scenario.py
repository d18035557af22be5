"""What is measured: scenarios with permanent ids, kept as data in ``scenarios.toml``.

A scenario's id is ``domain/dataset/split/kind/shots``, followed by what differs from 200 clean
background records: ``flows/nsl_kdd/never-seen/detect/5/background-50/contaminated-5%``. An id
means the same for ever: file, classes, draws and figures; another meaning gets another id.

Splits: ``never-seen`` is of whole datasets and takes no prior that was meta-trained or chosen on
that file; ``unseen-classes`` is of the classes that meta-training and choosing leave alone.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["detect", "zero_day", "n_way", "open_set", "shuffled", "pairs", "rank"]
Split = Literal["never-seen", "unseen-classes", "own"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Part):
    """One labelled table.

    Attributes:
        domain: first part of the id: what kind of record this is.
        name: second part.
        file: below the folder of data; empty where the table is made or the user's own.
        sha256: of its bytes.
        label: column with each record's class.
        benign: values of it that are no threat; patterns such as ``Benign/*``.
        ignore: values of it to leave out.
        left_out: columns that would tell the class by the way the data were made.
        merge: classes that are one behaviour under two names.
        format: name of the domain that encodes the records; empty takes the columns as numbers.
        columns: for a format, its frame's column -> the file's.
        words: frame columns whose text is a list of words with blanks between.
        harmful: column that is 0 for records that are benign whatever their label says.
        pair: column whose value a record and its twin (the same after a fix) share.
        together: column of what was recorded at once (a run, an incident): examples and
            queries of a threat come from different ones.
        tiny: distinct records do not suffice for five queries and a rate of false alarms.
        splits: kinds of class split it takes part in.
        meta_train: classes that priors are trained on, with ``meta_validation`` the seen ones.
        meta_validation: classes that hyperparameters are chosen on.
    """

    domain: str
    name: str
    file: str = ""
    sha256: str = ""
    label: str = "label"
    benign: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    merge: dict[str, str] = {}
    format: str = ""
    columns: dict[str, str] = {}
    words: tuple[str, ...] = ()
    harmful: str = ""
    pair: str = ""
    together: str = ""
    tiny: bool = False
    splits: tuple[Split, ...] = ("never-seen",)
    meta_train: tuple[str, ...] = ()
    meta_validation: tuple[str, ...] = ()

    def is_benign(self, name: str) -> bool:
        """Return True for a class that is no threat."""
        return any(fnmatchcase(name, pattern) for pattern in self.benign)


class TaskShape(_Part):
    """One row of the plan: a kind of task and its sizes.

    Attributes:
        kind: ``detect`` one threat against background, ``zero_day`` the same without example,
            ``n_way`` threats apart, ``open_set`` known threats against unknown ones,
            ``shuffled`` as ``n_way`` with the examples' labels shuffled: must give chance,
            ``pairs`` records above their twins, both never seen, ``rank`` one threat above
            what is ordinary, as ``detect`` on a handful of records: for tiny tables, and no
            other kind for them.
        shots: examples a class.
        background: background records.
        contamination: share of them that is really of the threat.
        n_benign: benign queries.
        n_way: classes of a task, as far as there are.
        calibrated: also measure what the calibrated threshold keeps.
        smoke: part of the small size.
    """

    kind: Kind
    shots: int = Field(ge=0, le=1_000)
    background: int = Field(default=200, ge=2)
    contamination: float = Field(default=0.0, ge=0, lt=1)
    n_benign: int = Field(default=1_000, ge=1)
    n_way: int = Field(default=1, ge=1)
    calibrated: bool = False
    smoke: bool = False

    @property
    def suffix(self) -> str:
        """Last parts of the id."""
        parts = [self.kind, str(self.shots)]
        parts += [f"background-{self.background}"] if self.background != 200 else []
        parts += [f"contaminated-{self.contamination:.0%}"] if self.contamination else []
        return "/".join(parts)


class Plan(_Part):
    """All datasets and kinds of task; every dataset meets every kind.

    Attributes:
        seed: of all draws.
        draws: support draws a class at full size.
        n_query: queries a class.
    """

    seed: int
    draws: int
    n_query: int
    dataset: tuple[Dataset, ...]
    task: tuple[TaskShape, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A dataset, a class split and a kind of task."""

    dataset: Dataset
    split: Split
    task: TaskShape

    @property
    def id(self) -> str:
        """The permanent id."""
        return f"{self.dataset.domain}/{self.dataset.name}/{self.split}/{self.task.suffix}"

    @property
    def group(self) -> str:
        """What is averaged over datasets: kind of record, split and kind of task."""
        return f"{self.dataset.domain}/{self.split}/{self.task.suffix}"

    def takes(self, name: str) -> bool:
        """Return True when a class is judged in this split."""
        seen = {*self.dataset.meta_train, *self.dataset.meta_validation}
        return self.split != "unseen-classes" or name not in seen


@cache
def plan() -> Plan:
    """Return the plan that the package carries."""
    text = (resources.files("inoculate.benchmark") / "scenarios.toml").read_text(encoding="utf-8")
    return Plan.model_validate(tomllib.loads(text))


def scenarios(
    datasets: Sequence[Dataset], tasks: Sequence[TaskShape], *, only: Sequence[str] = ()
) -> Iterator[Scenario]:
    """Yield every scenario whose id fits one of the patterns, dataset by dataset.

    A tiny dataset meets the kind ``rank`` only, and no other dataset does.

    Args:
        datasets: tables.
        tasks: kinds of task.
        only: patterns of ids, ``*/detect/5`` say, or dataset names; all when there is none.
    """
    for dataset in datasets:
        for split in dataset.splits:
            for task in (t for t in tasks if (t.kind == "rank") == dataset.tiny):
                found = Scenario(dataset, split, task)
                if not only or any(fnmatchcase(found.id, p) or p == dataset.name for p in only):
                    yield found
