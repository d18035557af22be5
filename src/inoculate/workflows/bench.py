"""Use case: measure learners and priors on scenarios, on the user's own table if one is named."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate import __version__
from inoculate.benchmark.page import page
from inoculate.benchmark.probes import OneColumn
from inoculate.benchmark.report import Committed, against_baselines, as_json, markdown
from inoculate.benchmark.runner import Budget, Entrant, Result, run
from inoculate.benchmark.scenario import Dataset, Scenario, plan, scenarios
from inoculate.benchmark.statistics import Table, tables
from inoculate.benchmark.tables import Data, made_up, pool_of, read
from inoculate.domain import Batch, View
from inoculate.errors import InputError, MissingExtraError, NotFoundError
from inoculate.registry import LEARNERS
from inoculate.store.artifact import shipped
from inoculate.store.detector import load_prior
from inoculate.task import Encoded
from inoculate.workflows.intake import Intake, sample_records

RESULTS = "results.jsonl"
MOST_RECORDS = 200_000
"""Of the user's own table; more are sampled."""

DATA = "../shared/datasets"
_SMOKE = Budget(seed=0, draws=2, n_query=100, most_classes=2)


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        output: folder of the report and of the results that a later run goes on from.
        file: the user's own table; None for the scenarios of the plan.
        label: its column with each record's class.
        benign: values of it that are no threat.
        input_format: how to read it; told from the bytes by default.
        full: the full size; else the one that takes seconds.
        learners: names to take part; all when empty.
        priors: more priors, by the name to report.
        only: patterns of scenario ids, or dataset names; all when empty.
        draws: support draws a class; None for the plan's.
        classes: most classes of a scenario, the first by name; None for all of the full size.
        seed: of all draws; None for the plan's.
        folder: of the data; else ``INOCULATE_DATA``. The small size uses made tables unless a
            folder is named here.
    """

    output: Path
    file: str | None = None
    label: str | None = None
    benign: tuple[str, ...] = ()
    input_format: str | None = None
    full: bool = False
    learners: tuple[str, ...] = ()
    priors: Mapping[str, Path] | None = None
    only: tuple[str, ...] = ()
    draws: int | None = None
    classes: int | None = None
    seed: int | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What was measured, and what the user must be told.

    Attributes:
        tables: one for each kind of task in each kind of split.
        regressions: figures below those that the package carries.
        notes: learners and classes that were left out, and why.
    """

    tables: tuple[Table, ...]
    regressions: tuple[str, ...]
    notes: tuple[str, ...]


def bench(
    request: Request,
    *,
    extra: Mapping[str, Entrant] | None = None,
    on_result: Callable[[Result], None] = lambda _: None,
) -> Outcome:
    """Run what is asked for and write report.md, report.json and report.html.

    Args:
        request: what to measure.
        extra: more learners by name, such as peers of other packages.
        on_result: called with each result as it comes.

    Raises:
        InputError: no scenario or no learner is left, or data are missing or wrong.
    """
    notes: list[str] = []
    budget = _budget(request)
    work, load = _work(request)
    if not work:
        raise InputError(f"no scenario fits {', '.join(request.only)}")
    entrants = _entrants(request, extra or {}, notes)
    results = []
    for result in run(work, entrants, load, budget, request.output / RESULTS):
        results.append(result)
        on_result(result)
    if not results:
        raise InputError("no class has records enough for any scenario")
    met = {(r.scenario, r.learner) for r in results}
    notes += [
        f"{name} took no part: its columns or kinds of task do not fit, or it has seen all the data"
        for name in entrants
        if not any(n == (entrants[name].shown or name) for _, n in met)
    ]
    found = write_report(request.output, results, _facts(request, budget))
    regressions = () if request.full or request.learners else against_baselines(found, baselines())
    return Outcome(found, tuple(regressions if _is_made(work) else ()), tuple(notes))


def baselines() -> Committed:
    """Return the committed figures of the small size on made tables."""
    path = resources.files("inoculate.benchmark") / "baselines.json"
    found: Committed = json.loads(path.read_text(encoding="utf-8"))
    return found


def _is_made(work: Sequence[Scenario]) -> bool:
    return all(s.dataset.domain == "made" for s in work)


def _budget(request: Request) -> Budget:
    base = _SMOKE
    if request.full:
        base = Budget(plan().seed, plan().draws, plan().n_query)
    seed = base.seed if request.seed is None else request.seed
    most = request.classes or base.most_classes
    return Budget(seed, request.draws or base.draws, base.n_query, most)


def _work(request: Request) -> tuple[list[Scenario], Callable[[Dataset], Data]]:
    """Return the scenarios, and what loads their records."""
    kinds = [t for t in plan().task if request.full or t.smoke]
    if request.file is not None:
        own = _own(request)
        return list(scenarios([own.dataset], kinds, only=request.only)), lambda _: own
    folder = request.folder or Path(os.environ.get("INOCULATE_DATA", DATA))
    if request.full or request.folder is not None:
        found = scenarios(plan().dataset, kinds, only=request.only)
        return list(found), lambda dataset: read(dataset, folder)
    made = {d.dataset.name: d for d in made_up()}
    found = scenarios([d.dataset for d in made.values()], kinds, only=request.only)
    return list(found), lambda dataset: made[dataset.name]


def _own(request: Request) -> Data:
    """Return the user's own table, read by whichever format fits.

    Raises:
        InputError: no label column or benign value is named, or the table lacks them.
    """
    file = str(request.file)
    if request.label is None or not request.benign:
        raise InputError(f"{file}: --label COLUMN and --benign VALUE say what its classes are")
    intake = Intake(format=request.input_format)
    sample = sample_records(intake, [file], most=MOST_RECORDS, seed=request.seed or 0)
    frame = sample.frame
    if request.label not in frame.columns:
        have = ", ".join(c for c in frame.columns[:30])
        raise InputError(f"{file}: no column {request.label!r}; have {have}")
    label = frame[request.label].cast(pl.String).fill_null("").to_numpy().astype(str)
    batch = Batch(frame)
    views = _without(sample.domain.views(batch), request.label)
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in Path(file).stem) or "stdin"
    encoded = sample.domain.encode(batch, views)
    dataset = Dataset(
        domain=sample.domain.kind,
        name=name,
        sha256=_digest(file, encoded, label),
        label=request.label,
        benign=request.benign,
        splits=("own",),
    )
    return Data(dataset, pool_of(dataset, encoded, label), views)


def _digest(file: str, x: Encoded, label: npt.NDArray[np.str_]) -> str:
    """Return the digest of a file, as priors name what they saw; of a pipe, its records'."""
    try:
        if Path(file).is_file():
            with Path(file).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as err:
        raise InputError(f"{file}: {err.strerror or err}") from err
    found = hashlib.sha256(np.ascontiguousarray(x.stacked()).tobytes())
    found.update("\n".join(label.tolist()).encode())
    return found.hexdigest()


def _without(views: Sequence[View], label: str) -> tuple[View, ...]:
    return tuple(
        View(v.name, tuple(c for c in v.columns if label not in (c.name, c.source))) for v in views
    )


def _entrants(
    request: Request, extra: Mapping[str, Entrant], notes: list[str]
) -> dict[str, Entrant]:
    """Return every learner that needs no prior, every prior, and what the caller adds."""
    found = dict(_simple(notes))
    paths: dict[str, str | Path] = {n: n for n in shipped()}
    for name, path in (paths | dict(request.priors or {})).items():
        try:
            prior = load_prior(path)
        except MissingExtraError as err:
            notes.append(str(err))
            continue
        seen = frozenset(d.sha256 for d in prior.manifest.data if d.sha256)
        label = name if name not in found else f"{name} (prior)"
        # of the priors that are tied to columns, the one of the records' kind takes part
        shown = "" if prior.learner.schema_free else prior.manifest.learner.name
        found[label] = Entrant(prior.learner, prior.views, seen, baseline=False, shown=shown)
    found |= extra
    if unknown := sorted(set(request.learners) - {*found, *(e.shown for e in found.values())}):
        raise NotFoundError(f"no learner or prior {unknown}; have {', '.join(sorted(found))}")
    wanted = set(request.learners)
    return {n: e for n, e in found.items() if not wanted or n in wanted or e.shown in wanted}


def _simple(notes: list[str]) -> Iterator[tuple[str, Entrant]]:
    for name in LEARNERS.names():
        try:
            learner = LEARNERS.load(name)
        except MissingExtraError as err:
            notes.append(str(err))
            continue
        if not learner.meta_trained:
            yield name, Entrant(learner(), baseline=learner.baseline)
    yield "one_column", Entrant(OneColumn())


def _facts(request: Request, budget: Budget) -> dict[str, str]:
    size = "full" if request.full else "smoke"
    return {
        "Made by": f"inoculate bench --size {size}, version {__version__}",
        "Draws": f"{budget.draws} a class, up to {budget.n_query} queries, seed {budget.seed}",
    }


def write_report(
    output: Path, results: Sequence[Result], facts: Mapping[str, str]
) -> tuple[Table, ...]:
    """Write report.md, report.json and report.html of results, and return their tables.

    Args:
        output: folder of the report.
        results: within a group of scenarios, all of the same draws.
        facts: lines about how they were made.

    Raises:
        InputError: the folder cannot be written.
    """
    machine = f"{platform.machine()}, Python {platform.python_version()}, one process"
    found, facts = tables(results), {**facts, "Machine": machine}
    texts = {
        "report.md": markdown(found, facts),
        "report.json": json.dumps(as_json(found, facts), indent=1) + "\n",
        "report.html": page(found, facts),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (output / name).write_text(text, encoding="utf-8")
    except OSError as err:
        raise InputError(f"{output}: cannot be written: {err.strerror or err}") from err
    return tuple(found)
