"""Generated programs: their triggers reach their flaws, their seeds do not, builds do as told."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.fuzzing.made import program_maker_held_out, program_maker_unseen
from inoculate.fuzzing.made.program_maker import (
    META_TEST,
    META_TRAIN,
    META_UNSEEN,
    TRAIN_GRAMMARS,
    ProgramSettings,
    make_program,
)
from inoculate.fuzzing.made.program_maker_c import PROLOGUE
from tests.fuzzing.c_builds import ASAN, STRICT, batch, build, mutations, seen_as

FAMILIES = {"meta-train": META_TRAIN, "meta-test": META_TEST, "unseen": META_UNSEEN}
SEEN_AS = {
    "stack_copy": "stack-buffer-overflow",
    "heap_copy": "heap-buffer-overflow",
    "index_write": "heap-buffer-overflow",
    "off_by_one": "heap-buffer-overflow",
    "index_read": "heap-buffer-overflow",
    "null_dereference": "SEGV",
    "divide_by_zero": "FPE",
    "short_allocation": "heap-buffer-overflow",
    "use_after_free": "heap-use-after-free",
    "double_free": "double-free",
    "endless_loop": "hang",
    "format_string": "SEGV",
    "uninitialised_read": "SEGV",
    "recursion": "stack-overflow",
}


def drawn(family):
    """Return 16 or more programs: every settings of the family, two seeds each."""
    return [make_program(settings, seed) for settings in FAMILIES[family] for seed in (0, 1)]


def written(program, folder):
    path = folder / "program.c"
    path.write_text(program.source)
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_triggers_reach_their_flaws_and_seeds_reach_none(family, tmp_path):
    programs = drawn(family)
    assert len(programs) >= 10
    for program in programs:
        path = written(program, tmp_path)
        built = build(path, tmp_path / "planted", "-O0", "-DPLANTED", driver=True)
        reached = batch(built, [*program.seeds, *(bug.trigger for bug in program.bugs)])
        assert reached == [0] * len(program.seeds) + [bug.id for bug in program.bugs], program.name


@pytest.mark.parametrize(
    ("settings", "seed"),
    [(META_TRAIN[7], 5), (META_TEST[7], 4), (META_UNSEEN[5], 3), (META_UNSEEN[7], 7)],
)
def test_a_unit_that_would_complete_a_path_is_left_out_of_a_seed(settings, seed, tmp_path):
    program = make_program(settings, seed)
    path = written(program, tmp_path)
    built = build(path, tmp_path / "planted", "-O0", "-DPLANTED", driver=True)
    assert set(batch(built, program.seeds)) == {0}


def every_flaw_in_a_family():
    """Return (kind of flaw, settings), the settings of the unseen family in turn."""
    for i, kind in enumerate(SEEN_AS):
        yield kind, META_TEST[2] if kind in META_TEST[2].flaws else META_TRAIN[0]
        if kind in META_UNSEEN[0].flaws:
            yield kind, META_UNSEEN[0 if kind == "recursion" else i % len(META_UNSEEN)]


@pytest.mark.parametrize(("kind", "settings"), [*every_flaw_in_a_family()])
def test_a_flaw_is_real_and_its_fixed_build_has_none(kind, settings, tmp_path):
    program = make_program(replace(settings, flaws=(kind,), bugs=(1, 1)), 5)
    (bug,) = program.bugs
    path = written(program, tmp_path)
    plain = build(path, tmp_path / "plain", *ASAN, "-DMAIN")
    assert seen_as(plain, bug.trigger) == SEEN_AS[kind]
    assert all(seen_as(plain, seed) == "none" for seed in program.seeds)
    fixed = build(path, tmp_path / "fixed", *STRICT, "-DFIXED", driver=True)
    near = mutations([*program.seeds, bug.trigger], np.random.default_rng(3), 1000)
    assert set(batch(fixed, [bug.trigger, *near])) == {0}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_planted_build_damages_nothing(family, tmp_path):
    for settings in FAMILIES[family][::3]:
        program = make_program(settings, 11)
        path = written(program, tmp_path)
        planted = build(path, tmp_path / "planted", *STRICT, "-DPLANTED", driver=True)
        known = [*program.seeds, *(bug.trigger for bug in program.bugs)]
        reached = batch(planted, known + mutations(known, np.random.default_rng(4), 1000))
        assert set(reached) >= {bug.id for bug in program.bugs}


@pytest.mark.parametrize("settings", META_UNSEEN[1::2], ids=lambda settings: settings.kind)
def test_parts_repeated_without_end_and_cut_inputs_damage_nothing(settings, tmp_path):
    program = make_program(settings, 13)
    path = written(program, tmp_path)
    fixed = build(path, tmp_path / "fixed", *STRICT, "-DFIXED", driver=True)
    data = max(program.seeds, key=len)
    hostile = [data[:at] for at in range(len(data))]
    for size in (1, 2, 3, 5, 8, 13):
        hostile += [(data[:at] + data[at : at + size] * 512)[:512] for at in range(len(data))]
    assert set(batch(fixed, hostile)) == {0}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_program_and_another_one_another(family):
    first, again, other = (make_program(FAMILIES[family][0], seed) for seed in (3, 3, 4))
    assert first == again
    assert first.source != other.source


@pytest.mark.parametrize("family", FAMILIES)
def test_programs_are_small_files_with_one_to_three_bugs(family):
    for program in drawn(family):
        own = len(program.source.splitlines()) - len(PROLOGUE.splitlines())
        assert 60 <= own <= 300
        assert 1 <= len(program.bugs) <= 3
        assert [bug.id for bug in program.bugs] == list(range(1, len(program.bugs) + 1))
        assert all(len(data) <= 512 for data in program.seeds)
        assert all(len(bug.trigger) <= 512 for bug in program.bugs)
        assert program.source.count("#include") == 5


def test_the_families_share_no_grammar_and_no_constant():
    kinds = [settings.kind for family in FAMILIES.values() for settings in family[::2]]
    assert len(kinds) == len(set(kinds)) == 25
    tests = program_maker_held_out.GRAMMARS | program_maker_unseen.GRAMMARS
    for grammars, parity in ((TRAIN_GRAMMARS, 0), (tests, 1)):
        for draw in grammars.values():
            grammar = draw(np.random.default_rng(1), False)
            assert grammar.room.parity == parity
            rng = np.random.default_rng(2)
            found = [grammar.room.byte(rng) for _ in range(200)]
            found += [grammar.room.number(rng, 2, 9999) for _ in range(200)]
            assert {c % 2 for c in found} == {parity}


def test_every_kind_of_flaw_is_in_a_family():
    planted = {kind for settings in META_TRAIN + META_TEST + META_UNSEEN for kind in settings.flaws}
    assert planted == set(SEEN_AS)
    assert META_UNSEEN[0].flaws == META_TEST[0].flaws
    assert set(META_TEST[0].flaws) - set(META_TRAIN[0].flaws) == {
        "double_free", "format_string", "recursion", "short_allocation",
    }  # fmt: skip


def test_bugs_are_as_many_as_asked_for():
    settings = ProgramSettings("records", bugs=(3, 3))
    assert {len(make_program(settings, seed).bugs) for seed in range(5)} == {3}
