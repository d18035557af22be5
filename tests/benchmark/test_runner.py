"""The runner: seeded, resumable, and strict about what a prior has seen."""

from dataclasses import replace

import pytest

from inoculate.benchmark.runner import Budget, Entrant, read_results, run
from inoculate.benchmark.scenario import TaskShape, scenarios
from inoculate.benchmark.tables import made_up
from inoculate.errors import InputError, TaskError
from inoculate.registry import LEARNERS

MADE = {d.dataset.name: d for d in made_up()}
WORK = list(
    scenarios(
        [d.dataset for d in MADE.values()],
        [TaskShape(kind="detect", shots=2), TaskShape(kind="zero_day", shots=0)],
    )
)
BUDGET = Budget(seed=0, draws=2, n_query=20, most_classes=2)
NEAREST = {"k_nearest": Entrant(LEARNERS.load("k_nearest")())}


def load(dataset):
    return MADE[dataset.name]


def no_load(dataset):
    raise AssertionError("known results need no data")


def without_times(result):
    drop = {"adapt_s", "records_per_s"}
    return {
        c: [{k: v for k, v in d.items() if k not in drop} for d in draws]
        for c, draws in result.classes.items()
    }


def test_a_second_run_measures_nothing_and_says_the_same(tmp_path):
    file = tmp_path / "results.jsonl"
    first = list(run(WORK, NEAREST, load, BUDGET, file))
    assert len(first) == 4
    assert list(run(WORK, NEAREST, no_load, BUDGET, file)) == first


def test_the_same_seed_gives_the_same_figures_and_another_does_not(tmp_path):
    runs = [
        without_times(next(run(WORK, NEAREST, load, replace(BUDGET, seed=s), tmp_path / name)))
        for s, name in ((0, "a"), (0, "b"), (1, "c"))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_run_that_was_stopped_within_a_line_goes_on(tmp_path):
    file = tmp_path / "results.jsonl"
    first = list(run(WORK, NEAREST, load, BUDGET, file))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    again = list(run(WORK, NEAREST, load, BUDGET, file))
    assert again[:2] == first[:2]
    assert [without_times(r) for r in again] == [without_times(r) for r in first]
    assert len(read_results(file)) == 4


@pytest.mark.parametrize("change", ["draws", "hyperparameters"])
def test_other_settings_are_measured_again(tmp_path, change):
    file = tmp_path / "results.jsonl"
    list(run(WORK, NEAREST, load, BUDGET, file))
    budget = replace(BUDGET, draws=3) if change == "draws" else BUDGET
    other = NEAREST
    if change == "hyperparameters":
        other = {"k_nearest": Entrant(LEARNERS.load("k_nearest")(n_neighbours=2))}
    list(run(WORK, other, load, budget, file))
    assert len(read_results(file)) == 8


def test_a_prior_takes_no_part_where_it_was_trained_or_its_columns_do_not_fit():
    class Prior(LEARNERS.load("k_nearest")):
        meta_trained = True
        schema_free = True

    class Tied(Prior):
        schema_free = False

    data = MADE["islands"]
    data = replace(data, dataset=data.dataset.model_copy(update={"sha256": "abc"}))
    never, unseen = WORK[0], replace(WORK[0], split="unseen-classes")
    assert Entrant(Prior()).may(data, never)
    assert not Entrant(Prior(), seen=frozenset({"abc"})).may(data, never)
    assert Entrant(Prior(), seen=frozenset({"abc"})).may(data, unseen)
    assert not Entrant(Tied()).may(data, never)
    assert Entrant(Tied(), views=()).may(replace(data, views=()), never)


def test_a_learner_may_take_part_in_some_kinds_only(tmp_path):
    entrants = {"k_nearest": Entrant(LEARNERS.load("k_nearest")(), kinds=frozenset({"zero_day"}))}
    found = list(run(WORK, entrants, load, BUDGET, tmp_path / "r"))
    assert {r.kind for r in found} == {"zero_day"}


def test_a_learner_that_refuses_is_reported_and_the_others_go_on(tmp_path):
    class Refuses(LEARNERS.load("k_nearest")):
        def adapt(self, support, *, seed=0):
            raise TaskError("too few")

    entrants = {"refuses": Entrant(Refuses()), **NEAREST}
    found = list(run(WORK[:1], entrants, load, BUDGET, tmp_path / "r"))
    assert [(r.learner, r.failed, bool(r.classes)) for r in found] == [
        ("refuses", "too few", False),
        ("k_nearest", "", True),
    ]


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "r").write_text("not a result\n")
    with pytest.raises(InputError, match="r:1: no result"):
        read_results(tmp_path / "r")
