"""Use case: from a recipe to an agent of fuzzing on disk, trained on generated programs."""

import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inoculate import __version__
from inoculate.agent import Environment
from inoculate.domain import Column, View
from inoculate.errors import InputError
from inoculate.fuzzing.history import OBSERVED
from inoculate.fuzzing.made.program_maker import META_TRAIN, Program, make_program
from inoculate.fuzzing.program import ProgramEnvironment
from inoculate.fuzzing.target import InProcess, compile_program
from inoculate.registry import AGENTS
from inoculate.store.agent import save_agent
from inoculate.store.manifest import DataEntry, LearnerEntry, Manifest, describe_views


class ProgramsPart(BaseModel):
    """Programs to meta-train on.

    Attributes:
        n: how many, in turn of every training setting of the generator.
        executions: budget of one trajectory.
        first_seed: of the generator.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=1, le=100_000)
    executions: int = Field(ge=100, le=100_000_000)
    first_seed: int = Field(default=0, ge=0)


class ParsersPart(BaseModel):
    """Parsers to meta-train on too: C files with ``planted.h``, as ``benchmarks/parsers`` are.

    Attributes:
        folder: of the files, from the recipe's own; first inputs are in its ``seeds/NAME``.
        names: of the files, without their ending.
        times: trajectories on each, in a sweep.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    names: tuple[Annotated[str, Field(pattern=r"^\w+$")], ...] = Field(min_length=1)
    times: int = Field(default=1, ge=1, le=1000)


class AgentRecipe(BaseModel):
    """A recipe whose ``agent`` is to be trained.

    Attributes:
        name: of the artifact.
        agent: file name of the agent.
        usual: taken when nothing is asked for.
        hyperparameters: of the agent.
        programs: generated ones.
        parsers: written by hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    agent: str
    seed: int = Field(default=0, ge=0)
    usual: bool = False
    notes: tuple[str, ...] = ()
    hyperparameters: dict[str, Any] = {}
    programs: ProgramsPart
    parsers: ParsersPart | None = None


@dataclass(frozen=True, slots=True)
class TrainedAgent:
    """What was written.

    Attributes:
        manifest: of the artifact.
        n_programs: trained on.
    """

    manifest: Manifest
    n_programs: int


def is_agent_recipe(recipe: Path) -> bool:
    """Tell a recipe of an agent from one of a prior, by its key ``agent``."""
    try:
        return "agent" in tomllib.loads(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def train_agent(recipe: Path, out: Path) -> TrainedAgent:
    """Generate programs, compile them, meta-train an agent on them, and write it.

    Args:
        recipe: the TOML file.
        out: the artifact to be.

    Raises:
        InputError: the recipe is wrong.
        MissingExtraError: there is no C compiler.
    """
    parsed = _read(recipe)
    agent = AGENTS.load(parsed.agent)(**parsed.hyperparameters)
    data = [
        DataEntry(
            role="meta-train",
            name=f"generated programs {parsed.programs.first_seed} and on",
            records=parsed.programs.n,
            licence="Apache-2.0",
        )
    ]
    with training_programs(parsed.programs, parsed.parsers, recipe.parent) as environments:
        agent.meta_fit(environments, seed=parsed.seed)
    if parsed.parsers:
        names = parsed.parsers.names
        data.append(
            DataEntry(
                role="meta-train",
                name=f"parsers {', '.join(names)}",
                records=len(names),
                licence="Apache-2.0",
            )
        )
    manifest = Manifest(
        artifact="agent",
        name=parsed.name,
        inoculate_version=__version__,
        kind="program",
        unit="execution",
        domain="program",
        usual=parsed.usual,
        views=describe_views((View("observation", tuple(_column(name) for name in OBSERVED)),)),
        learner=LearnerEntry(
            name=parsed.agent, hyperparameters=agent.hyperparameters(), seed=parsed.seed
        ),
        data=tuple(data),
        notes=parsed.notes,
    )
    save_agent(out, manifest, agent)
    return TrainedAgent(manifest, parsed.programs.n)


@contextmanager
def training_programs(
    part: ProgramsPart, parsers: ParsersPart | None = None, beside: Path = Path()
) -> Iterator[list[Environment]]:
    """Compile the programs into a temporary folder; it is gone afterwards.

    Args:
        part: generated programs.
        parsers: parsers written by hand.
        beside: the folder that theirs is named from.
    """
    with tempfile.TemporaryDirectory(prefix="inoculate-programs-") as folder:
        made = [
            _environment(
                make_program(META_TRAIN[i % len(META_TRAIN)], part.first_seed + i),
                Path(folder),
                part.executions,
            )
            for i in range(part.n)
        ]
        if parsers:
            for name in parsers.names:
                source = beside / parsers.folder / f"{name}.c"
                made += [_parser(source, Path(folder), part.executions)] * parsers.times
        yield made


def _environment(program: Program, folder: Path, executions: int) -> Environment:
    source = folder / f"{program.name}.c"
    source.write_text(program.source, encoding="utf-8")
    library = compile_program(source, source.with_suffix(".so"), flags=("-DPLANTED",))
    return ProgramEnvironment(
        InProcess(library),
        program.seeds,
        name=program.name,
        dictionary=program.dictionary,
        executions=executions,
    )


def _parser(source: Path, folder: Path, executions: int) -> Environment:
    first = source.parent / "seeds" / source.stem
    for needed in (source, first):
        if not needed.exists():
            raise InputError(f"{needed}: no such file")
    flags = ("-DPLANTED", f"-I{source.parent}")
    library = compile_program(source, folder / f"{source.stem}.so", flags=flags)
    return ProgramEnvironment(
        InProcess(library),
        [path.read_bytes() for path in sorted(first.iterdir())],
        name=source.stem,
        executions=executions,
    )


def _column(about: str) -> Column:
    return Column(about.replace(" ", "_").replace("'", ""), "1", about)


def _read(recipe: Path) -> AgentRecipe:
    try:
        return AgentRecipe.model_validate(tomllib.loads(recipe.read_text(encoding="utf-8")))
    except OSError as err:
        raise InputError(f"{recipe}: {err.strerror or err}") from err
    except ValidationError as err:
        problem = err.errors(include_url=False)[0]
        place = ".".join(str(p) for p in problem["loc"])
        raise InputError(f"{recipe}: {place}: {problem['msg']}") from err
    except ValueError as err:
        raise InputError(f"{recipe}: not TOML: {err}") from err
