"""The hand-written parsers: each holds the flaw it says, and its fixed build does not."""

import re
from pathlib import Path

import numpy as np
import pytest

from inoculate.fuzzing.made.program_maker_c import PROLOGUE
from tests.fuzzing.c_builds import ASAN, STRICT, batch, build, mutations, seen_as

HERE = Path(__file__).parents[2] / "benchmarks" / "parsers"
NAMES = sorted(path.stem for path in HERE.glob("*.c"))


def seeds(name):
    return [path.read_bytes() for path in sorted((HERE / "seeds" / name).iterdir())]


def said_of(name):
    """Return (CWE, how it is seen) from the comment that a parser begins with."""
    comment = (HERE / f"{name}.c").read_text().split("*/")[0]
    found = re.search(r"CWE-(\d+), seen as ([\w-]+)\.", comment)
    return int(found[1]), found[2]


def test_there_are_at_least_twenty_of_80_to_200_lines_with_small_seeds():
    assert len(NAMES) >= 20
    for name in NAMES:
        assert 80 <= len((HERE / f"{name}.c").read_text().splitlines()) <= 200, name
        assert 1 <= len(seeds(name)) <= 3
        assert all(0 < len(seed) <= 1024 for seed in seeds(name)), name


def test_the_header_is_the_prologue_of_generated_programs():
    assert (HERE / "planted.h").read_text() == PROLOGUE


def test_the_table_says_what_the_files_say():
    rows = re.findall(
        r"^\| `(\w+)` \|[^|]+\| (\d+) \| ([\w-]+) \|", (HERE / "README.md").read_text(), re.M
    )
    assert {row[0]: (int(row[1]), row[2]) for row in rows} == {n: said_of(n) for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_trigger_shows_the_flaw_and_seeds_do_not(name, tmp_path):
    program = build(HERE / f"{name}.c", tmp_path / "plain", *ASAN, "-DMAIN")
    assert seen_as(program, (HERE / "triggers" / name).read_bytes()) == said_of(name)[1]
    assert [seen_as(program, seed) for seed in seeds(name)] == ["none"] * len(seeds(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_fixed_build_takes_the_trigger_and_2000_mutations(name, tmp_path):
    program = build(HERE / f"{name}.c", tmp_path / "fixed", *STRICT, "-DFIXED", driver=True)
    known = [*seeds(name), (HERE / "triggers" / name).read_bytes()]
    inputs = [*known, *mutations(known, np.random.default_rng(7), 2000)]
    assert batch(program, inputs) == [0] * len(inputs)


@pytest.mark.parametrize("name", NAMES)
def test_the_planted_build_tells_of_the_flaw_before_any_damage(name, tmp_path):
    program = build(HERE / f"{name}.c", tmp_path / "planted", *STRICT, "-DPLANTED", driver=True)
    trigger = (HERE / "triggers" / name).read_bytes()
    more = mutations([*seeds(name), trigger], np.random.default_rng(8), 500)
    reached = batch(program, [*seeds(name), trigger, trigger, *more])
    n = len(seeds(name))
    assert reached[: n + 2] == [0] * n + [1, 1]
    assert set(reached) == {0, 1}
