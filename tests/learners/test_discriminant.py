"""What only the discriminant promises; the common contract is in test_contracts.py."""

import numpy as np
import pytest

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.discriminant import logs
from inoculate.learners.discriminant import Discriminant
from inoculate.metrics import recall_at
from inoculate.task import BACKGROUND, Encoded, Labelled, Support, Task

WIDTH, RELEVANT = 60, 6


def task(seed: int, name: str, *, n_shot: int = 5) -> Task:
    """Threats differ in two of the first six columns; all others scatter as background does."""
    rng = np.random.default_rng([seed, 1])
    move = np.zeros(WIDTH)
    move[rng.choice(RELEVANT, 2, replace=False)] = 2.0
    x = rng.normal(size=(n_shot + 400, WIDTH)).astype(np.float32)
    x[: n_shot + 100] += move
    examples, queries, rest = np.split(x, [n_shot, n_shot + 100])
    background, benign = np.split(rest, [100])
    support = Support(
        Labelled(Encoded({"v": examples}), np.zeros(n_shot, np.int64)),
        Encoded({"v": background}),
        (name,),
    )
    y = np.array([0] * 100 + [BACKGROUND] * 200)
    return Task(support, Labelled(Encoded({"v": np.concatenate([queries, benign])}), y), "made")


@pytest.fixture(scope="module")
def prior() -> Discriminant:
    return Discriminant().meta_fit(task(i, f"c{i}") for i in range(30))


def recall(learner: Discriminant, seeds=range(100, 112)) -> float:
    found = []
    for seed in seeds:
        t = task(seed, "new")
        alarm = learner.adapt(t.support, seed=0).score(t.query.x).alarm()
        found.append(recall_at(alarm[t.query.y == BACKGROUND], alarm[t.query.y == 0], 0.05))
    return float(np.mean(found))


def test_learned_relevance_finds_what_no_five_examples_show(prior):
    blind = Discriminant(relevance=0.0).load_state(prior.state())
    assert recall(prior) > recall(blind) + 0.05


def test_what_is_learned_is_which_columns_tell(prior):
    relevance = prior.state()["relevance"]
    assert relevance[:RELEVANT].min() > 2 * relevance[RELEVANT:].max()


def test_the_discriminant_weighs_columns_by_relevance_over_scale(prior):
    t = task(7, "new")
    detector = prior.adapt(t.support)
    weight = prior.state()["relevance"].astype(float) ** 0.5 / prior.state()["scale"]
    background = logs(t.support.background.stacked())
    middle = background.mean(axis=0)
    c = (background - middle) * weight
    covariance = c.T @ c / len(c)
    sphere = np.trace(covariance) / WIDTH * (0.3 + 340 / len(c))
    mean = ((logs(t.support.examples.x.stacked()) - middle) * weight).mean(axis=0)
    w = np.linalg.solve(covariance + sphere * np.eye(WIDTH), mean)
    expected = w / np.sqrt(w @ covariance @ w)
    np.testing.assert_allclose(detector.directions[:, 0], expected, rtol=1e-4, atol=1e-7)


def test_without_examples_it_is_the_distance_from_background(prior):
    t = task(8, "new")
    none = Labelled(t.support.examples.x.take(np.arange(0)), np.zeros(0, np.int64))
    scores = prior.adapt(Support(none, t.support.background, ())).score(t.query.x)
    assert scores.threat.shape == (300, 0)
    threat = t.query.y == 0
    assert np.median(scores.novelty[threat]) > np.median(scores.novelty[~threat])


def test_other_columns_and_no_training_are_refused(prior):
    t = task(9, "new")
    with pytest.raises(TaskError, match="meta-training"):
        Discriminant().adapt(t.support)
    with pytest.raises(TaskError, match="no task"):
        Discriminant().meta_fit([])
    narrow = Encoded({"v": t.support.background["v"][:, :5]})
    examples = Labelled(Encoded({"v": t.support.examples.x["v"][:, :5]}), t.support.examples.y)
    with pytest.raises(TaskError, match="5 columns"):
        prior.adapt(Support(examples, narrow, ("new",)))


@pytest.mark.parametrize(
    "state",
    [
        {"scale": np.ones(3)},
        {"scale": np.ones(3), "relevance": np.ones(4)},
        {"scale": np.array([1.0, np.nan]), "relevance": np.ones(2)},
        {"scale": np.array([1.0, 0.0]), "relevance": np.ones(2)},
    ],
)
def test_damaged_arrays_are_refused(state):
    with pytest.raises(ArtifactError):
        Discriminant().load_state(state)
