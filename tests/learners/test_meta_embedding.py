"""What only meta-embeddings promise; the common contract is in test_contracts.py."""

from functools import cache

import numpy as np
import pytest
import torch

from inoculate.checks import toy_tasks
from inoculate.errors import ArtifactError, TaskError
from inoculate.features.space import problems
from inoculate.learners import protonet
from inoculate.learners.meta_embedding import MetaEmbedding
from inoculate.nn.encoders import draw
from inoculate.nn.inner_loop import adapt_parameters
from inoculate.nn.outer_loop import pack
from inoculate.nn.self_check import check_meta_gradient
from inoculate.task import BACKGROUND, Encoded, Labelled, Support, Task

WIDTH = 8
N_WAY = 2


def view_tasks(n, *, seed, n_shot=3, n_background=30, n_query=20):
    """Tasks of two views; in each, one view tells the classes and the other is noise."""
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        told = int(rng.integers(2))
        support_y = np.repeat(np.arange(N_WAY), n_shot)
        query_y = np.repeat(np.arange(BACKGROUND, N_WAY), n_query)
        moves = np.zeros((N_WAY + 1, WIDTH), np.float32)  # the last row is background's
        moves[:N_WAY] = rng.choice([-2.5, 0, 2.5], (N_WAY, WIDTH), p=[0.15, 0.7, 0.15])

        def records(y, rng=rng, told=told, moves=moves):
            x = rng.normal(size=(2, len(y), WIDTH)).astype(np.float32)
            x[1 - told] *= rng.choice([0.3, 6], (len(y), 1))  # noise that looks like a threat
            x[told] += moves[y]
            return Encoded({"a": x[0], "b": x[1]})

        background = records(np.full(n_background, BACKGROUND))
        support = Support(Labelled(records(support_y), support_y), background, ("one", "two"))
        yield told, Task(support, Labelled(records(query_y), query_y), "toy")


def tasks(n, **kwargs):
    return [task for _, task in view_tasks(n, **kwargs)]


class Equal(MetaEmbedding):
    """The same learner with attention made constant."""

    def weigh(self, parameters, statistics, known):
        return known / known.sum().clamp_min(1)


def small(kind=MetaEmbedding):
    return kind(hidden=16, embedding=8, batch_size=8, rate=8e-3)


@cache
def trained(kind=MetaEmbedding):
    return small(kind).meta_fit(tasks(400, seed=0))


def auroc(learner, found):
    areas = []
    for task in found:
        scores, y = learner.adapt(task.support).score(task.query.x), task.query.y
        for c in range(N_WAY):
            gap = scores.threat[y == c, c][:, None] - scores.threat[y == BACKGROUND, c][None]
            areas.append((gap > 0).mean())
    return float(np.mean(areas))


def test_attention_set_by_the_support_beats_equal_mixing():
    found = tasks(40, seed=99)
    attentive, equal = auroc(trained(), found), auroc(trained(Equal), found)
    assert attentive > equal + 0.02, (attentive, equal)


def test_attention_goes_to_the_view_that_tells():
    right = []
    for told, task in view_tasks(40, seed=98):
        weights = trained().view_weights(task.support)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
        right += list(weights[:, told])
    assert np.mean(right) > 0.75, np.mean(right)


class Drawn(MetaEmbedding):
    """The same learner, but generator and attention do not start at 0, so slopes reach them."""

    def layout(self, width):
        return {k: plan._replace(fill=None) for k, plan in super().layout(width).items()}


class Detached(Drawn):
    """The common error: the step on the cold loss is not differentiated."""

    def _warm(self, side, y, w):
        moved = adapt_parameters(
            lambda p: self._support_loss(side | p, y, w),
            {"embedding": side["embedding"]},
            steps=self.warm_steps,
            rate=self.warm_rate,
            first_order=True,
        )
        return side | moved


def few():
    return tasks(1, seed=5, n_shot=2, n_background=6, n_query=4)


def tiny(kind, **kwargs):
    """An unlearned learner that knows its views."""
    learner = kind(hidden=5, embedding=3, warm_rate=0.3, **kwargs)
    learner.views_ = (WIDTH, WIDTH)
    return learner


@pytest.mark.parametrize("warm_steps", [1, 3])
def test_the_loss_is_differentiated_through_attention_generator_and_steps(warm_steps):
    check_meta_gradient(tiny(MetaEmbedding, warm_steps=warm_steps), few()[0])
    check_meta_gradient(tiny(Drawn, warm_steps=warm_steps), few()[0])


def test_a_step_that_is_not_differentiated_is_found():
    with pytest.raises(AssertionError, match="off by"):
        check_meta_gradient(tiny(Detached), few()[0])


def setting(kind=Drawn, **kwargs):
    """A learner, its parameters and one problem, in double precision."""
    learner = tiny(kind, **kwargs)
    batch = pack(list(problems(few()))[:1]).to(torch.float64)
    parameters = draw(learner.layout(batch.support.shape[-1]), seed=1, dtype=torch.float64)
    return learner, parameters, batch


def test_the_embedding_takes_one_gradient_step_on_the_cold_loss():
    learner, parameters, batch = setting()
    x, y, w = learner.embed(parameters, batch.support[0]), batch.target[0], batch.weight[0]
    cold, warm = learner._cold(parameters, x, y, w), learner.fit_side(parameters, x, y, w)
    start, slope = cold["embedding"], torch.zeros_like(cold["embedding"])
    for i in range(start.shape[0]):
        for j in range(start.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = start.clone()
                moved[i, j] += sign * 1e-6
                ends.append(learner._support_loss(cold | {"embedding": moved}, y, w))
            slope[i, j] = (ends[0] - ends[1]) / 2e-6
    torch.testing.assert_close(warm["embedding"], start - 0.3 * slope, rtol=1e-6, atol=1e-8)
    assert (warm["embedding"] - start).abs().max() > 1e-3


def test_the_generator_corrects_the_mean_within_one():
    learner, parameters, batch = setting(warm_steps=0)
    x, y, w = learner.embed(parameters, batch.support[0]), batch.target[0], batch.weight[0]
    mine, rest = x[y == 1][..., :-1].mean(0), x[(y == 0) & (w == 1)][..., :-1].mean(0)
    told = torch.cat([mine, rest, torch.full((2, 1), 0.5, dtype=torch.float64)], -1)
    expected = mine + torch.tanh(told @ parameters["generator"])
    torch.testing.assert_close(learner.fit_side(parameters, x, y, w)["embedding"], expected)


def test_the_meta_loss_mixes_cold_and_warm():
    losses = {}
    for share in (0.0, 0.25, 1.0):
        learner, parameters, batch = setting(cold_share=share)
        losses[share] = learner.meta_loss(parameters, batch)
    torch.testing.assert_close(losses[0.25], 0.25 * losses[1.0] + 0.75 * losses[0.0])
    assert abs(losses[1.0] - losses[0.0]) > 1e-3
    learner, parameters, batch = setting(cold_share=1.0)
    torch.testing.assert_close(losses[1.0], learner.meta_loss(parameters, other_query(batch)))


def other_query(batch):
    names = ("support", "target", "weight", "query_target", "query_weight")
    return type(batch)(query=batch.query + 1, **{n: getattr(batch, n) for n in names})


def test_one_view_without_generator_and_steps_is_a_prototypical_network():
    learner = MetaEmbedding(hidden=5, embedding=3, warm_steps=0)
    found = list(problems(toy_tasks(1, seed=0, n_shot=2, n_background=8)))
    batch = pack(found).to(torch.float64)
    parameters = draw(learner.layout(batch.support.shape[-1]), seed=1, dtype=torch.float64)
    x, query = (learner.embed(parameters, r) for r in (batch.support[0], batch.query[0]))
    y, w = batch.target[0], batch.weight[0]
    odds = learner.log_odds(parameters, learner.fit_side(parameters, x, y, w), query)
    expected = protonet.log_odds(query[:, 0, :-1], x[:, 0, :-1], y, w)
    torch.testing.assert_close(odds, expected)


def test_problems_of_one_batch_do_not_touch_each_other():
    learner, parameters, _ = setting()
    found = [p for n in (1, 3) for p in problems(tasks(1, seed=n, n_shot=n, n_background=4 + n))]
    whole = learner.meta_loss(parameters, pack(found).to(torch.float64))
    alone = [learner.meta_loss(parameters, pack([p]).to(torch.float64)) for p in found]
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_the_order_of_the_support_changes_nothing():
    (task,) = tasks(1, seed=7)
    s, rng = task.support, np.random.default_rng(0)
    order, usual = rng.permutation(len(s.examples)), rng.permutation(s.background.n_records)
    examples = Labelled(s.examples.x.take(order), s.examples.y[order])
    turned = Support(examples, s.background.take(usual), s.classes)
    a, b = (trained().adapt(x).score(task.query.x) for x in (s, turned))
    np.testing.assert_allclose(a.threat, b.threat, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(a.novelty, b.novelty, rtol=1e-4, atol=1e-4)


def lost(x, view):
    return Encoded({k: np.full_like(v, np.nan) if k == view else v for k, v in x.items()})


@pytest.mark.parametrize("where", ["examples", "background"])
def test_a_view_that_one_side_does_not_know_counts_nothing(where):
    (task,) = tasks(1, seed=8)
    s = task.support
    examples = lost(s.examples.x, "a") if where == "examples" else s.examples.x
    background = lost(s.background, "a") if where == "background" else s.background
    support = Support(Labelled(examples, s.examples.y), background, s.classes)
    np.testing.assert_allclose(trained().view_weights(support), [[0, 1], [0, 1]], atol=1e-6)
    detector = trained().adapt(support)
    a, b = (detector.score(x).threat for x in (task.query.x, lost(task.query.x, "a")))
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_query_is_judged_by_the_views_it_knows_and_without_any_not_at_all():
    gaps = []
    for told, task in view_tasks(20, seed=9):
        detector, y = trained().adapt(task.support), task.query.y
        kept = detector.score(lost(task.query.x, "ab"[1 - told])).threat
        assert np.isfinite(kept).all()
        gaps.append(np.median(kept[y == 0, 0]) - np.median(kept[y == BACKGROUND, 0]))
        nothing = detector.score(lost(lost(task.query.x, "a"), "b")).threat
        np.testing.assert_allclose(nothing, 0, atol=1e-5)
    assert np.median(gaps) > 1, gaps


def test_the_state_carries_the_views_and_is_checked():
    state = trained().state()
    assert state["views"].tolist() == [WIDTH, WIDTH]
    again = small().load_state(dict(state))
    (task,) = tasks(1, seed=10)
    a, b = (m.adapt(task.support).score(task.query.x).threat for m in (trained(), again))
    np.testing.assert_array_equal(a, b)
    for views in ([WIDTH], [WIDTH + 1, WIDTH - 2], [0, 2 * WIDTH], [7.5, 8.5], [np.nan, WIDTH]):
        with pytest.raises(ArtifactError):
            small().load_state(dict(state) | {"views": np.array(views, np.float32)})
    with pytest.raises(ArtifactError, match="do not fit"):
        small().load_state({k: v for k, v in state.items() if k != "views"})
    assert small().load_state({}).state() == {}


def test_other_views_are_refused():
    (task,) = tasks(1, seed=11)
    learner = small().meta_fit(tasks(8, seed=0))
    halves = Encoded({"a": np.zeros((3, WIDTH - 1), np.float32)})
    halves = Encoded({**halves, "b": np.zeros((3, WIDTH + 1), np.float32)})
    other = Support(Labelled(halves, np.zeros(3, np.int64)), halves, ("one",))
    with pytest.raises(TaskError, match=r"views of \(8, 8\) columns, the support has \(7, 9\)"):
        learner.adapt(other)
    with pytest.raises(TaskError, match="needs meta-training"):
        small().adapt(task.support)
    mixed = [task, Task(other, Labelled(halves, np.zeros(3, np.int64)), "toy")]
    with pytest.raises(TaskError, match="tasks have views"):
        learner.meta_fit(mixed)
    assert learner.adapt(task.support).score(task.query.x).threat.shape == (len(task.query), N_WAY)


def test_meta_training_makes_unseen_classes_easier():
    found = tasks(30, seed=97)
    assert auroc(trained(), found) > auroc(small().meta_fit(tasks(1, seed=0)), found) + 0.05
