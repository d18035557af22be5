"""Views of a record: encoders that do not touch, distances under weights, statistics by hand."""

import numpy as np
import torch

from inoculate.nn.encoders import draw, init_mlp
from inoculate.nn.view_embedding import (
    N_STATISTICS,
    attend,
    embed,
    encoders,
    log_odds,
    means,
    mixed,
    soft_nearest,
    view_distances,
    view_statistics,
    without_self,
)

VIEWS = (2, 3)


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def embedded(*shape, seed=0):
    """Random embedded records of which every view is known."""
    x = draws(*shape, seed=seed)
    return torch.cat([x, torch.ones_like(x[..., :1])], -1)


def encoded(x):
    parameters = draw(encoders(VIEWS, 7, 4), seed=0, dtype=torch.float64)
    return embed(parameters, VIEWS, x)


def test_each_view_has_its_own_encoder():
    x = draws(6, 10).abs() + 0.1
    before = encoded(x)
    for columns, view in (((0, 1, 5, 6), 0), ((2, 3, 4, 7, 8, 9), 1)):
        for column in columns:
            moved = x.clone()
            moved[:, column] += 1
            after = encoded(moved)
            assert (after[:, view] != before[:, view]).any(-1).all()
            torch.testing.assert_close(after[:, 1 - view], before[:, 1 - view])


def test_a_view_is_known_where_one_of_its_columns_is():
    flags = torch.tensor([[0.0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    x = torch.cat([torch.zeros(4, 5), flags], -1).double()
    assert encoded(x)[..., -1].tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]


def test_distances_are_mixed_over_the_views_that_both_know():
    a, b, weights = embedded(2, 2, 3), embedded(3, 2, 3, seed=1), torch.tensor([0.3, 0.7]).double()
    a[1, 0, -1] = b[2, 1, -1] = 0
    found = mixed(view_distances(a, b), weights)
    for i in range(2):
        for j in range(3):
            each = ((a[i] - b[j])[:, :-1] ** 2).sum(-1)
            both = weights * a[i, :, -1] * b[j, :, -1]
            expected = (both * each).sum() / both.sum() if both.sum() else torch.zeros(())
            torch.testing.assert_close(found[i, j], expected.double())
    assert found[1, 2] == 0  # no view in common


def test_means_are_over_those_that_know_the_view():
    x, weight = embedded(4, 2, 3), torch.tensor([1.0, 1, 0, 1]).double()
    x[0, 1, -1] = 0
    found = means(x, weight)
    torch.testing.assert_close(found[0, :-1], x[[0, 1, 3], 0, :-1].mean(0))
    torch.testing.assert_close(found[1, :-1], x[[1, 3], 1, :-1].mean(0))
    assert means(x, torch.zeros(4).double())[:, -1].tolist() == [0, 0]


def test_the_rest_is_the_mean_of_its_records_and_never_infinite():
    near, far = draws(5).abs(), draws(5, 4, seed=1).abs()
    rest = torch.tensor([1.0, 0, 1, 1]).double()
    expected = -near - torch.exp(-far[:, [0, 2, 3]]).mean(1).log()
    torch.testing.assert_close(log_odds(near, far, rest), expected)
    far.requires_grad_()
    soft_nearest(far, torch.zeros(4).double()).sum().backward()
    assert torch.isfinite(far.grad).all()


def statistics(x, y, w=None):
    w = torch.ones_like(y) if w is None else w
    return view_statistics(x, y, w, without_self(view_distances(x, x)))


def test_statistics_by_hand():
    x = embedded(5, 1, 2)
    y = torch.tensor([1.0, 1, 0, 0, 0]).double()
    found = statistics(x, y)[0]
    p = x[:, 0, :2].numpy()
    mine, rest = p[:2].mean(0), p[2:].mean(0)

    def square(a, b):
        return float(((a - b) ** 2).sum())

    def nearest(i, others):
        return -np.log(np.mean([np.exp(-square(p[i], p[j])) for j in others]))

    # one of the rest is at 1e4 from itself: it counts in the mean, with 0
    margin = np.mean([nearest(i, (2, 3, 4)) - square(p[i], p[1 - i]) for i in (0, 1)])
    share = np.log(3 / 2)
    usual = np.mean(
        [
            square(p[i], mine) - nearest(i, [j for j in (2, 3, 4) if j != i]) - share
            for i in (2, 3, 4)
        ]
    )
    expected = [
        np.log1p(square(mine, rest)),
        np.log1p(np.mean([square(p[i], mine) for i in (0, 1)])),
        np.log1p(np.mean([square(p[i], rest) for i in (2, 3, 4)])),
        np.log1p(-np.log(np.mean([np.exp(-square(p[i], mine)) for i in (2, 3, 4)]))),
        np.arcsinh(margin),
        np.arcsinh(usual),
        0.5,
        1,
        1,
    ]
    assert len(expected) == N_STATISTICS
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_padding_and_order_change_no_statistic():
    x, y = embedded(6, 2, 3), torch.tensor([1.0, 1, 0, 0, 0, 0]).double()
    w = torch.tensor([1.0, 1, 1, 1, 1, 0]).double()
    whole = statistics(x, y, w)
    torch.testing.assert_close(whole, statistics(x[:5], y[:5]))
    order = torch.tensor([4, 0, 3, 2, 1])
    torch.testing.assert_close(whole, statistics(x[order], y[order]))


def test_weights_sum_to_one_and_an_unknown_view_has_none():
    network = init_mlp((N_STATISTICS, 4, 1), seed=0, dtype=torch.float64)
    told = draws(3, N_STATISTICS)
    free = attend(network, told, torch.ones(3).double())
    assert abs(float(free.sum()) - 1) < 1e-12
    held = attend(network, told, torch.tensor([1.0, 0, 1]).double())
    torch.testing.assert_close(held, free * torch.tensor([1.0, 0, 1]) / (1 - free[1]))
    assert attend(network, told, torch.zeros(3).double()).tolist() == [0, 0, 0]
