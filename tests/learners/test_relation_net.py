"""What only relation networks promise; the common contract is in test_contracts.py."""

import numpy as np
import torch

from inoculate.checks import toy_tasks
from inoculate.features.space import problems
from inoculate.learners.relation_net import RelationNet, relations
from inoculate.nn.encoders import draw, mlp, part
from inoculate.nn.outer_loop import pack
from inoculate.nn.self_check import check_meta_gradient


def small():
    return RelationNet(hidden=5, embedding=4, n_prototypes=3)


def setting():
    learner = small()
    return learner, draw(learner.layout(24), seed=1, dtype=torch.float64)


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_every_query_is_paired_with_every_prototype():
    _, parameters = setting()
    network = part(parameters, "relation.")
    query, found = draws(6, 4), draws(3, 4, seed=1)
    got = relations(network, query, found)
    for i in range(6):
        for j in range(3):
            pair = torch.cat([query[i], found[j], (query[i] - found[j]) ** 2])
            torch.testing.assert_close(got[i, j], mlp(network, pair)[0])


def test_prototypes_are_means_and_padding_counts_nothing():
    learner, parameters = setting()
    x = draws(7, 4)
    y = torch.tensor([1.0, 1, 0, 0, 0, 1, 0]).double()
    w = torch.tensor([1.0, 1, 1, 1, 1, 0, 0]).double()
    side = learner.fit_side(parameters, x, y, w)
    torch.testing.assert_close(side["mine"], x[:2].mean(0, keepdim=True))
    shares = torch.softmax(x[2:5] @ parameters["assign"], dim=1)
    for j in range(3):
        mean = (shares[:, j, None] * x[2:5]).sum(0) / shares[:, j].sum()
        torch.testing.assert_close(side["rest"][j], mean)


def test_equal_prototypes_of_the_rest_weigh_as_one():
    learner, parameters = setting()
    query, mine, rest = draws(5, 4), draws(1, 4, seed=1), draws(1, 4, seed=2)
    odds = learner.log_odds(parameters, {"mine": mine, "rest": rest.expand(3, 4)}, query)
    network = part(parameters, "relation.")
    expected = relations(network, query, mine) - relations(network, query, rest)
    torch.testing.assert_close(odds, expected[:, 0])


def test_problems_of_one_batch_do_not_touch_each_other():
    learner, parameters = setting()
    found = list(problems(toy_tasks(1, seed=0, n_shot=2, n_background=8)))
    whole = learner.meta_loss(parameters, pack(found).to(torch.float64))
    alone = [learner.meta_loss(parameters, pack([p]).to(torch.float64)) for p in found]
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_the_loss_is_differentiated_through_the_support_too():
    (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
    check_meta_gradient(small(), task)


def test_meta_training_makes_unseen_classes_easier():
    def accuracy(learner):
        found = []
        for task in toy_tasks(20, seed=99, n_shot=1):
            scores = learner.adapt(task.support).score(task.query.x)
            found.append((scores.best() == task.query.y)[task.query.y >= 0].mean())
        return np.mean(found)

    few = RelationNet(hidden=16, embedding=8).meta_fit(toy_tasks(1, seed=0))
    many = RelationNet(hidden=16, embedding=8).meta_fit(toy_tasks(200, seed=0, n_shot=1))
    assert accuracy(many) > accuracy(few) + 0.1
