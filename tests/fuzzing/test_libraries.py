"""Coverage of real libraries: what is compared, and that no other sources are measured."""

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def libraries(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("fuzz_libraries")


def trial(program, agent, seed, edges):
    return {"program": program, "agent": agent, "seed": seed, "edges": edges}


def trials(libraries):
    return libraries.by_program(
        [
            trial(program, agent, seed, [start + seed, end + seed])
            for program in "ab"
            for agent, start, end in (("uniform", 10, 100), ("ucb_bandit", 10, 200))
            for seed in range(3)
        ]
    )


def test_more_edges_are_better(libraries):
    made = trials(libraries)
    gap = libraries.edge_gap(made, "ucb_bandit", "uniform", ["a", "b"], 2)
    assert gap["a12"] == 1.0
    assert libraries.edge_gap(made, "uniform", "ucb_bandit", ["a", "b"], 2)["a12"] == 0.0


def test_a_checkpoint_is_compared_by_itself(libraries):
    gap = libraries.edge_gap(trials(libraries), "ucb_bandit", "uniform", ["a", "b"], 1)
    assert gap["a12"] == 0.5


def test_every_library_has_its_harness_and_small_seeds(libraries):
    for library in libraries.LIBRARIES:
        assert (libraries.HERE / f"{library.name}.c").is_file()
        seeds = [path.read_bytes() for path in (libraries.HERE / "seeds" / library.name).iterdir()]
        assert 2 <= len(seeds) <= 3
        assert all(0 < len(seed) <= 256 for seed in seeds)


def test_another_archive_is_refused(libraries, tmp_path):
    library = libraries.LIBRARIES[0]
    (tmp_path / library.archive).write_bytes(b"other")
    with pytest.raises(ValueError, match="another file than the one that was measured"):
        libraries.build(library, tmp_path, tmp_path / "out")
