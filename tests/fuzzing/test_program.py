"""A compiled program as an environment: coverage, planted bugs, seeds kept, exact repetition."""

import random
from pathlib import Path

import pytest

from inoculate.agent import Action
from inoculate.errors import InputError
from inoculate.fuzzing.corpus import SEED_SEEN, Corpus, Seed
from inoculate.fuzzing.history import OBSERVED, SPACE, History, Round, worth
from inoculate.fuzzing.operators import FAMILIES
from inoculate.fuzzing.program import ProgramEnvironment
from inoculate.fuzzing.target import (
    BAD_END,
    ENDLESS,
    NEW,
    OTHER_PATH,
    PLANTED,
    SIGNAL,
    InProcess,
    compile_program,
)

SOURCE = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>
extern void planted_bug(int id);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) {
    if (n < 2) return 0;
    if (d[0] == 'A') {
        if (d[1] == 'B') {
            if (n > 6 && *(const uint32_t *)(d + 2) == 0x12345678) planted_bug(7);
            return 3;
        }
        return 2;
    }
    if (d[0] == 'L') for (volatile int i = 0; ; i++) if (d[1] == 'x' && i > 3) break;
    if (d[0] == 'S') *(volatile int *)0 = 1;
    for (size_t i = 1; i < n && d[i] == 'r'; i++) d++;
    return 1;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    source = folder / "program.c"
    source.write_text(SOURCE)
    return compile_program(source, folder / "program.so")


@pytest.fixture
def target(library):
    made = InProcess(library, max_steps=5_000)
    made.start()
    return made


def test_coverage_is_new_once(target):
    assert target.run(b"zz", 0) & NEW
    path = target.outcome().path
    assert target.run(b"yy", path) == 0
    assert target.run(b"AB", path) == NEW | OTHER_PATH
    assert target.outcome().new_edges > 0


def test_another_count_of_a_known_edge_is_new_but_no_new_edge(target):
    target.run(b"zr", 0)
    target.run(b"zrrr", 0)
    assert target.run(b"zrrrrrrrrr", 0) & NEW
    assert (target.outcome().new_edges, target.outcome().new_counts > 0) == (0, True)


def test_a_planted_bug_tells_its_number(target):
    assert target.run(b"AB\x78\x56\x34\x12.", 0) & BAD_END
    assert (target.outcome().status, target.outcome().number) == (PLANTED, 7)


def test_a_signal_and_an_endless_input_are_survived(target):
    assert target.run(b"S.", 0) & BAD_END
    assert target.outcome().status == SIGNAL
    assert target.run(b"L.", 0) & BAD_END
    assert target.outcome().status == ENDLESS
    assert not target.run(b"Lx", 0) & BAD_END


def test_edges_count_the_inputs_that_touched_them(target):
    for data in (b"zz", b"zz", b"AB"):
        target.run(data, 0)
    rarest = target.outcome().rarest
    assert target.hits(rarest) == 1
    target.run(b"AB", 0)
    assert target.hits(rarest) == 2


def test_compared_constants_become_words_in_both_orders(target):
    target.run(b"ABxxxx.", 0)
    assert {b"\x12\x34\x56\x78", b"\x78\x56\x34\x12"} <= set(target.words())


def test_start_forgets(target):
    target.run(b"AB", 0)
    target.start()
    assert target.run(b"AB", 0) & NEW
    assert target.words() == []


def test_a_program_of_several_files_has_coverage_in_all_of_them(tmp_path):
    (tmp_path / "main.c").write_text(
        "#include <stddef.h>\nint other(const unsigned char *d);\n"
        "int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n)"
        " { return n ? other(d) : 0; }\n"
    )
    (tmp_path / "other.c").write_text(
        "volatile int x;\nint other(const unsigned char *d) { if (*d == 'A') x = 1; return x; }\n"
    )
    target = InProcess(
        compile_program(tmp_path / "main.c", tmp_path / "both.so", more=(tmp_path / "other.c",))
    )
    target.start()
    target.run(b"z", 0)
    assert target.run(b"A", 0) & NEW


def test_which_of_several_files_does_not_compile_is_said(tmp_path):
    (tmp_path / "fine.c").write_text("int x;")
    (tmp_path / "broken.c").write_text("int main(")
    with pytest.raises(InputError, match=r"^broken\.c does not compile"):
        compile_program(tmp_path / "fine.c", tmp_path / "fine.so", more=(tmp_path / "broken.c",))


def test_what_does_not_compile_is_said_in_one_line(tmp_path):
    source = tmp_path / "broken.c"
    source.write_text("int main(")
    with pytest.raises(InputError, match=r"^broken\.c does not compile: [^\n]+$"):
        compile_program(source, tmp_path / "broken.so")


def environment(library, **settings):
    return ProgramEnvironment(InProcess(library), [b"ab", b"Ax"], name="program", **settings)


def play(env, *, seed, policy_seed=0):
    rng = random.Random(policy_seed)
    seen, done, log = env.reset(seed=seed), False, []
    while not done:
        step = env.step(Action(*(rng.randrange(n) for n in SPACE.actions)))
        log.append((step.reward, step.bug, step.lineage, step.observation.tobytes()))
        assert step.observation.shape == (len(OBSERVED),)
        done = step.done
    return seen.tobytes(), log, dict(env.found), env.edges


def test_the_same_seed_repeats_a_trajectory_exactly(library):
    env = environment(library, executions=8_000)
    first, again = play(env, seed=3), play(env, seed=3)
    assert [first[0], first[1], first[3]] == [again[0], again[1], again[3]]
    assert play(env, seed=4)[1] != first[1]


def test_a_taste_given_before_the_reset_chooses_the_seeds(library):
    def breadths(taste):
        env = environment(library, executions=8_000)
        env.taste = taste
        env.reset(seed=1)
        found = []
        for operator in range(200):
            env.step(Action(operator % len(FAMILIES), 2, 0, 0))
            named = dict(zip(SEED_SEEN, env.seed_seen(), strict=True))
            found.append(named["breadth"])
        return sum(found) / 200

    few, any_, many = (
        breadths(taste and [taste * (name == "breadth") for name in SEED_SEEN])
        for taste in (-5, None, 5)
    )
    assert few + 0.2 < any_ < many - 0.2


def test_the_bug_is_found_and_its_ancestors_are_told(library):
    env = environment(library, executions=60_000)
    _, log, found, _ = play(env, seed=0)
    assert set(found) == {7}
    at = next(i for i, (_, bug, _, _) in enumerate(log) if bug == 7)
    assert found[7][0] in range(at * 16, at * 16 + 17)
    assert log[at][2][-1] == at
    assert list(log[at][2]) == sorted(set(log[at][2]))
    assert [bug for _, bug, _, _ in log].count(7) == 1, "a bug found again is not told again"


def test_seeds_that_end_badly_are_no_seeds(library):
    env = ProgramEnvironment(InProcess(library), [b"S."], name="bad", executions=64)
    env.reset(seed=0)
    assert [s.path for s in env.corpus.seeds] == [0]
    assert env.step(Action(2, 0, 0, 0)).executions == 16


def test_rules_choose_what_their_names_say():
    corpus = Corpus(random.Random(0), {1: 5, 2: 1}.__getitem__)
    old = Seed(b"long" * 50, rarest=1, chosen=9, steps=10)
    new = Seed(b"s", rarest=2, chosen=0, steps=10)
    corpus.seeds += [old, new]
    for rule in (1, 2, 3, 4):  # newest, rarest, fresh, cheapest
        picked = [corpus.choose(rule) for _ in range(200)]
        assert picked.count(new) > 110, rule
    assert 70 < [corpus.choose(0) for _ in range(200)].count(new) < 130


def test_text_and_entropy_of_a_seed():
    assert Seed(b"abcd").text == 1.0
    assert Seed(bytes(range(256))).entropy == 8.0
    assert Seed(b"").entropy == 0.0


def test_a_dear_round_earns_less():
    cheap, dear = History(), History()
    for history, steps in ((cheap, 100), (dear, 300)):
        history.note(Action(0, 0, 0, 0), Round(16, 0.0, 100))
        history.reward = history.note(Action(0, 0, 0, 0), Round(16, 2.0, steps))
    assert cheap.reward == 2.0
    assert dear.reward == pytest.approx(2.0 / 3.0)


def test_worth_of_a_mutant():
    assert worth(0, 0) == 0.0
    assert worth(0, 5) == 0.05
    assert worth(1, 0) == 2.0
    assert worth(3, 9) == 3.0


def test_history_goes_on_from_its_memory():
    one, two = History(), History()
    corpus = Corpus(random.Random(0))
    corpus.seeds.append(Seed(b"abc"))
    for i in range(5):
        one.note(Action(i, 1, 2, 3), Round(16, float(i), 100 + i))
    two.remember(one.memory())
    for history in (one, two):
        history.note(Action(1, 1, 1, 1), Round(16, 1.0, 90))
    seen = [h.observe(corpus.seeds[0], corpus, known=9) for h in (one, two)]
    assert (seen[0] == seen[1]).all()


def test_the_harness_is_beside_the_module():
    import inoculate.fuzzing.target as module

    assert Path(module.__file__).with_name("inprocess.c").exists()
