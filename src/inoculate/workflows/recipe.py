"""Recipes: what a prior is meta-trained on, and how, as a TOML file.

Which files with which SHA-256 and licence, which classes to meta-train on, to choose on and only
to report on, which learner with which hyperparameters, and every seed.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from inoculate.benchmark.scenario import Dataset, plan
from inoculate.errors import InputError


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
        dataset: its name in the benchmark, where that says how to read it; not set by hand.
        only: as for ``SetPart``, and so is ``made``.
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
    dataset: str = ""
    only: dict[str, tuple[str, ...]] = {}
    made: int = 0


class SetPart(_Part):
    """A dataset of the benchmark: its file, format, classes to train on and to choose by.

    Attributes:
        dataset: its name there.
        licence: terms of the data.
        train: classes to train on in place of those that the benchmark names.
        only: of a column, the values to take: records whose terms allow it, say.
        made: for domain names, so many made-up families to train on in place of its classes.
    """

    dataset: str
    licence: str
    train: tuple[str, ...] = ()
    only: dict[str, tuple[str, ...]] = {}
    made: int = Field(default=0, ge=0, le=10_000)

    def whole(self) -> DataPart:
        """Return it spelled out.

        Raises:
            InputError: the benchmark has no such dataset.
        """
        found, made = in_plan(self.dataset), tuple(f"made {i}" for i in range(self.made))
        return DataPart(
            file=found.file,
            sha256=found.sha256,
            licence=self.licence,
            format=found.format or "table",
            label=found.label,
            benign=found.benign,
            train=made or self.train or found.meta_train,
            validation=found.meta_validation,
            dataset=found.name,
            only=self.only,
            made=self.made,
        )


def in_plan(name: str) -> Dataset:
    """Return a dataset of the benchmark.

    Raises:
        InputError: it has none of that name.
    """
    found = {d.name: d for d in plan().dataset}
    if name not in found:
        raise InputError(f"the benchmark has no dataset {name!r}; it has {', '.join(found)}")
    return found[name]


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
        pairs: instead of all that, a task a class: all of its pairs, and background.
        contaminated: share of tasks whose background holds some of the threat, up to 5 %.
    """

    n: int = Field(default=1, ge=1)
    pairs: bool = False
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
    """A whole recipe; see the module.

    Attributes:
        start: a prior whose arrays to go on from.
        usual: taken for records of its kind when nothing is asked for.
    """

    name: str
    kind: str
    unit: str
    learner: str
    start: str = ""
    usual: bool = False
    seed: int = 0
    folder: str = "."
    hyperparameters: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    tasks: TaskPart
    data: tuple[DataPart | SetPart, ...]

    @property
    def parts(self) -> tuple[DataPart, ...]:
        """The data, all spelled out."""
        return tuple(p.whole() if isinstance(p, SetPart) else p for p in self.data)


def read_recipe(path: Path) -> Recipe:
    """Return a checked recipe.

    Raises:
        InputError: it cannot be read, or a field is missing, unknown or wrong.
    """
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as err:
        raise InputError(f"{path}: {err.strerror}") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}") from err
    except (ValueError, RecursionError) as err:  # not UTF-8, no TOML, or no number Python reads
        raise InputError(f"{path}: {err}") from err
