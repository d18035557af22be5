"""Runs scenarios for learners, one result after another; what a file already holds is not redone.

A result is one learner on one scenario, all classes and draws: one line of JSON. It is known by
a digest of all that decides it, so changed data, hyperparameters, weights or draws are measured
again; a change in code that several learners share is not seen: use another file then.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inoculate.benchmark.scenario import Dataset, Kind, Scenario
from inoculate.benchmark.tables import Data
from inoculate.benchmark.tasks import Figures, cases, draw, judge
from inoculate.domain import View
from inoculate.errors import InputError, TaskError
from inoculate.learner import Learner

REVISION = 1
"""Raised when a figure gets another meaning."""


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """A learner as it takes part.

    Attributes:
        learner: ready to adapt.
        views: columns a meta-trained learner is tied to; None where it has none.
        seen: SHA-256 of files it was meta-trained or chosen on.
        baseline: one of the simple methods that a prior must beat.
        kinds: of task that it can do; None for all.
        shown: name to report; several of one name take part where their columns fit.
    """

    learner: Learner
    views: tuple[View, ...] | None = None
    seen: frozenset[str] = frozenset()
    baseline: bool = True
    kinds: frozenset[Kind] | None = None
    shown: str = ""

    def may(self, data: Data, scenario: Scenario) -> bool:
        """Return True where kind and columns fit and the split's rule is kept."""
        if self.kinds is not None and scenario.task.kind not in self.kinds:
            return False
        if scenario.split != "unseen-classes" and data.dataset.sha256 in self.seen:
            return False
        free = not self.learner.meta_trained or self.learner.schema_free
        return free or (self.views is not None and self.views == data.views)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is drawn.

    Attributes:
        seed: of all draws.
        draws: support draws a class.
        n_query: queries a class.
        most_classes: judge the first few classes only; None for all.
    """

    seed: int
    draws: int
    n_query: int
    most_classes: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One learner on one scenario.

    Attributes:
        scenario: its id.
        group: what is averaged over datasets.
        kind: of the tasks.
        dataset: name of it.
        learner: name of it.
        baseline: whether it is one of the simple methods.
        digest: of all that decides the figures.
        classes: the figures of each draw, by class.
        failed: why there are none.
    """

    scenario: str
    group: str
    kind: str
    dataset: str
    learner: str
    baseline: bool
    digest: str
    classes: dict[str, list[Figures]] = field(default_factory=dict)
    failed: str = ""


def run(
    scenarios: Sequence[Scenario],
    entrants: Mapping[str, Entrant],
    load: Callable[[Dataset], Data],
    budget: Budget,
    file: Path,
) -> Iterator[Result]:
    """Yield the result of every entrant on every scenario it may take part in.

    Args:
        scenarios: in any order; a dataset is loaded once for each run of neighbours.
        entrants: learners by the name to report.
        load: returns a dataset's records; not called where every result is known.
        budget: how much to draw.
        file: JSON lines; read first, each new result is appended at once.

    Raises:
        InputError: the file cannot be read or written.
    """
    known = {r.digest: r for r in read_results(file)}
    marks = {name: _learner_digest(e.learner) for name, e in entrants.items()}
    data: Data | None = None
    for scenario in scenarios:
        for key, entrant in entrants.items():
            name = entrant.shown or key
            digest = _digest(scenario, name, marks[key], budget)
            if digest in known:
                yield known[digest]
                continue
            if data is None or data.dataset != scenario.dataset:
                data = load(scenario.dataset)
            if entrant.may(data, scenario) and cases(data.pool, scenario):
                result = measure(scenario, name, entrant, data, budget, digest)
                _append(file, result)
                yield result


def measure(
    scenario: Scenario, name: str, entrant: Entrant, data: Data, budget: Budget, digest: str = ""
) -> Result:
    """Return one result; a learner that refuses a task has failed and says why."""
    classes: dict[str, list[Figures]] = {}
    failed = ""
    try:
        for case in cases(data.pool, scenario)[: budget.most_classes]:
            classes[case] = [
                judge(
                    entrant.learner, _drawn(data, scenario, case, i, budget), scenario.task, seed=i
                )
                for i in range(budget.draws)
            ]
    except TaskError as err:
        classes, failed = {}, str(err)
    return Result(
        scenario=scenario.id,
        group=scenario.group,
        kind=scenario.task.kind,
        dataset=scenario.dataset.name,
        learner=name,
        baseline=entrant.baseline,
        digest=digest,
        classes=classes,
        failed=failed,
    )


def _drawn(data: Data, scenario: Scenario, case: str, number: int, budget: Budget) -> Any:
    return draw(data.pool, scenario, case, seed=budget.seed, number=number, n=budget.n_query)


def read_results(file: Path) -> list[Result]:
    """Return the results of a file, none where it is not there; a line cut short is left out.

    Raises:
        InputError: the file cannot be read, or is none of results.
    """
    if not file.exists():
        return []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"{file}: cannot be read: {err}") from err
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(Result(**json.loads(line)))
        except (ValueError, TypeError) as err:
            if number < len(lines):  # a whole line of something else; the last one was cut
                raise InputError(f"{file}:{number}: no result of a benchmark: {err}") from err
    return found


def _append(file: Path, result: Result) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _drop_cut_line(file)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(result)) + "\n")
    except OSError as err:
        raise InputError(f"{file}: cannot be written: {err.strerror or err}") from err


def _drop_cut_line(file: Path) -> None:
    """Remove what an interrupted run left of a line, or the next result would be lost with it."""
    if not file.exists():
        return
    with file.open("rb+") as old:
        content = old.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            old.truncate(whole)


def _learner_digest(learner: Learner) -> str:
    """Return a digest of a learner's own code, hyperparameters and arrays."""
    cls = type(learner)
    found = hashlib.sha256(f"{cls.__module__}.{cls.__qualname__}".encode())
    found.update(inspect.getsource(cls).encode())
    found.update(json.dumps(learner.hyperparameters(), sort_keys=True, default=str).encode())
    for name, array in sorted(learner.state().items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _digest(scenario: Scenario, name: str, mark: str, budget: Budget) -> str:
    parts = {
        "revision": REVISION,
        "dataset": scenario.dataset.model_dump(),
        "split": scenario.split,
        "task": scenario.task.model_dump(exclude={"smoke"}),
        "budget": asdict(budget),
        "name": name,
        "learner": mark,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
