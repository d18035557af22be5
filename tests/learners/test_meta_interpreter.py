import numpy as np
import pytest

from inoculate.errors import ArtifactError, TaskError
from inoculate.registry import LEARNERS
from inoculate.task import Encoded, Labelled, Support, Task

WIDTH = 30


def functions(rng, n):
    """Functions: counts, mostly 0."""
    return rng.poisson(0.1, size=(n, WIDTH)).astype(np.float32)


def fixed(rng, before):
    """What fixes have in common: a guard (column 0) is added, a copy (column 1) is gone."""
    after = before.copy()
    after[:, 0] += rng.integers(1, 3, len(after))
    after[:, 1] = 0
    after[:, 3:] += rng.random((len(after), WIDTH - 3)) < 0.05
    return after


def weakness(seed, n_pairs=40, kin=5):
    """A task: all its functions use the same call, column ``kin``."""
    rng = np.random.default_rng(seed)
    before = functions(rng, n_pairs)
    before[:, 1] += 2
    before[:, kin] += 6
    after = fixed(rng, before)
    background = functions(rng, 200)
    support = Support(
        Labelled(Encoded({"v": before}), np.zeros(n_pairs, np.int64)),
        Encoded({"v": np.concatenate([after, background])}),
        ("w",),
        n_pairs,
    )
    nothing = Labelled(Encoded({"v": before[:0]}), np.zeros(0, np.int64))
    return Task(support, nothing, "code")


def trained(**how):
    learner = LEARNERS.load("meta_interpreter")(penalty=1.0, strength=100.0, **how)
    return learner.meta_fit(weakness(i, kin=5 + i) for i in range(6))


def few(task, k, with_twins=True):
    """The first k pairs of a task as support; the other pairs as before and after."""
    before, after = task.support.pairs()
    usual = task.support.usual()["v"]
    background = np.concatenate([after[:k], usual]) if with_twins else usual
    support = Support(
        Labelled(Encoded({"v": before[:k]}), np.zeros(k, np.int64)),
        Encoded({"v": background}),
        ("w",),
        k if with_twins else 0,
    )
    return support, Encoded({"v": before[k:]}), Encoded({"v": after[k:]})


def alarm(detector, x):
    return detector.score(x).alarm()


def test_what_fixes_have_in_common_ranks_even_where_the_pair_at_hand_lacks_it():
    support, before, after = few(weakness(99, kin=20), 1)
    support.background["v"][0, :3] = before["v"][0, :3]
    detector = trained().adapt(support)
    assert (alarm(detector, before) > alarm(detector, after)).mean() > 0.9


def test_without_what_other_weaknesses_taught_a_pair_without_guard_does_not():
    support, before, after = few(weakness(99, kin=20), 1)
    support.background["v"][0, :3] = before["v"][0, :3]
    learner = trained()
    learner.learned_["direction"] *= 0
    learner.learned_["strength"] *= 1e6
    detector = learner.adapt(support)
    assert (alarm(detector, before) > alarm(detector, after)).mean() < 0.8


def test_kin_are_looked_at_before_what_only_lacks_a_guard():
    support, before, _ = few(weakness(99, kin=20), 5)
    detector = trained().adapt(support)
    strangers = functions(np.random.default_rng(7), 300)
    strangers[:, 0] = 0
    assert np.median(alarm(detector, before)) > np.quantile(
        alarm(detector, Encoded({"v": strangers})), 0.95
    )


def test_without_twins_before_and_after_are_found_alike():
    support, before, after = few(weakness(99, kin=20), 5, with_twins=False)
    detector = trained(most_steps=0).adapt(support)
    strangers = Encoded({"v": functions(np.random.default_rng(7), 300)})
    limit = np.quantile(alarm(detector, strangers), 0.99)
    assert (alarm(detector, before) > limit).mean() > 0.7
    assert (alarm(detector, after) > limit).mean() > 0.7


def test_a_rule_is_believed_where_it_finds_the_example_left_out_and_covers_no_twin():
    support, before, after = few(weakness(99, kin=20), 6)
    rule = trained().adapt(support).judges[0].rule
    assert rule is not None
    facts = [Encoded(x)["v"] > 0 for x in (before, after)]
    assert rule.covers(facts[0]).mean() > 0.9
    assert rule.covers(facts[1]).mean() < 0.1


def test_a_rule_that_does_not_find_the_others_is_not_believed():
    rng = np.random.default_rng(5)
    before, after = functions(rng, 6), functions(rng, 6)
    support = Support(
        Labelled(Encoded({"v": before}), np.zeros(6, np.int64)),
        Encoded({"v": np.concatenate([after, functions(rng, 100)])}),
        ("w",),
        6,
    )
    assert trained().adapt(support).judges[0].rule is None


def test_facts_that_fixes_often_undo_cost_least():
    cost = trained().learned_["cost"]
    assert cost[:, 0].argmin() == 1
    assert cost.min() == pytest.approx(cost[1, 0])


def test_a_pair_without_its_twin_known_says_nothing_of_fixes():
    support, before, _ = few(weakness(99, kin=20), 2)
    twins = support.background["v"].copy()
    twins[:2] = np.nan
    detector = trained().adapt(Support(support.examples, Encoded({"v": twins}), support.classes, 2))
    assert np.isfinite(alarm(detector, before)).all()


def test_other_columns_than_the_priors_are_refused():
    x = Encoded({"v": np.ones((3, 4), np.float32)})
    support = Support(Labelled(x, np.zeros(3, np.int64)), x, ("w",))
    with pytest.raises(TaskError, match="4 columns, the prior has 30"):
        trained().adapt(support)


@pytest.mark.parametrize("name", ["scale", "spread", "cost", "strength"])
def test_a_damaged_prior_is_refused(name):
    learner = trained()
    state = {k: v.copy() for k, v in learner.state().items()}
    state[name] = -np.ones_like(state[name])
    with pytest.raises(ArtifactError, match=name):
        LEARNERS.load("meta_interpreter")().load_state(state)
    del state[name]
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        LEARNERS.load("meta_interpreter")().load_state(state)


def marked_class(seed, own=5, n=60):
    """A task of marked functions: column 0 tells bad from good in all classes, ``own`` in one."""
    rng = np.random.default_rng(seed)
    bad, good, usual = (functions(rng, m) for m in (n, n, 200))
    about = rng.integers(0, 9)
    for rows in (bad, good, usual):
        rows[:, 10] += about  # what a class is about, in bad and good alike
    bad[:, 0] += rng.random(n) < 0.8
    bad[:, own] += 2 * (rng.random(n) < 0.5)
    return Task(
        Support(
            Labelled(Encoded({"v": bad}), np.zeros(n, np.int64)),
            Encoded({"v": np.concatenate([good, usual])}),
            ("w",),
            n,
        ),
        Labelled(Encoded({"v": bad[:0]}), np.zeros(0, np.int64)),
        "code",
    )


def trained_on_marks():
    learner = LEARNERS.load("meta_interpreter")(marked=True, most_steps=0)
    return learner.meta_fit(marked_class(i, own=12 + i) for i in range(6))


def test_marked_functions_are_told_by_what_classes_have_in_common_and_by_their_own():
    learner = trained_on_marks()
    support, bad, good = few(marked_class(99, own=25), 5)
    detector = learner.adapt(support)
    assert (alarm(detector, bad) > 0.5).mean() > 0.7 < (alarm(detector, good) < 0.5).mean()
    (judge,) = detector.judges
    assert judge.direction[0] > 0 and judge.direction[25] > 2 * np.abs(judge.direction[1:10]).mean()


def test_what_other_classes_taught_of_marks_helps_where_few_are_known():
    learner = trained_on_marks()
    alone = LEARNERS.load("meta_interpreter")(marked=True, most_steps=0)
    nothing = {k: 0 * v for k, v in learner.learned_.items() if k in ("direction", "offset")}
    alone.load_state({**learner.learned_, **nothing})
    right = []
    for seed in range(90, 98):
        support, bad, good = few(marked_class(seed, own=25), 3)
        both = learner.adapt(support), alone.adapt(support)
        right.append([(alarm(d, bad) > 0.5).mean() + (alarm(d, good) < 0.5).mean() for d in both])
    taught, untaught = np.mean(right, axis=0)
    assert taught > untaught + 0.1


def test_without_marks_a_learner_of_marks_scores_kinship():
    support, bad, _ = few(marked_class(99, own=25), 5, with_twins=False)
    detector = trained_on_marks().adapt(support)
    scores = alarm(detector, bad)
    assert np.isfinite(scores).all() and not len(detector.judges[0].steps)
