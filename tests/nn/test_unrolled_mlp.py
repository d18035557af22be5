"""One chunk of tasks: losses by torch's own, and a way back that ends where it began."""

import pytest
import torch

from inoculate.nn.encoders import init_mlp
from inoculate.nn.unrolled_mlp import Chunk, Half, Inner


def half(n_classes, n=6):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(2, n, 3, generator=generator, dtype=torch.float64)
    target = torch.rand(2, n, n_classes, generator=generator, dtype=torch.float64)
    target = target / target.sum(-1, keepdim=True) if n_classes > 1 else target
    return Half(x, target, torch.rand(2, n, 1, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_slope_and_bend_are_the_derivatives_of_the_loss(n_classes):
    side = half(n_classes)
    z = torch.randn_like(side.target).requires_grad_()
    along = torch.randn_like(z)
    (slope,) = torch.autograd.grad(side.loss(z), z, create_graph=True)
    (bend,) = torch.autograd.grad((slope * along).sum(), z)
    p = side.probabilities(z.detach())
    torch.testing.assert_close(side.slope(p, torch.empty_like(p)), slope.detach())
    torch.testing.assert_close(side.bend(p, along.clone()), bend)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_logits_of_any_size_give_finite_losses_and_probabilities(n_classes):
    side = half(n_classes)
    z = torch.linspace(-1e4, 1e4, side.target.numel()).double().view(side.target.shape)
    assert torch.isfinite(side.loss(z))
    assert torch.isfinite(side.probabilities(z)).all()


@pytest.mark.parametrize("relu", [False, True])
def test_the_way_back_ends_at_the_weights_it_began_with(relu):
    parameters = init_mlp((3, 4, 4, 2), seed=0, dtype=torch.float64)
    inner = Inner(4, 0.5, relu=relu)
    support, query = half(2), half(2, 7)
    chunk = Chunk([4, 4, 2], support.x, 7, inner)
    chunk.run(parameters, support, query)
    for i, weight in enumerate(chunk.w, 1):
        torch.testing.assert_close(weight, parameters[f"w{i}"].expand_as(weight))
    assert float(chunk.moved.abs().max()) < 1e-15


def test_without_a_gradient_only_the_loss_is_computed():
    parameters = init_mlp((3, 4, 2), seed=0, dtype=torch.float64)
    support, query = half(2), half(2, 7)
    chunk = Chunk([4, 2], support.x, 7, Inner(2))
    loss, slopes = chunk.run(parameters, support, query)
    chunk.wanted = False
    assert slopes
    assert chunk.run(parameters, support, query) == (loss, {})


def test_shares_say_which_step_counts():
    assert [Inner(2).share(t) for t in range(3)] == [0, 0, 1]
    assert Inner(1, shares=(0.25, 0.75)).share(0) == 0.25
