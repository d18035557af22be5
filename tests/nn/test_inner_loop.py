"""The inner loop: steps by hand, and gradients that pass through them."""

import pytest
import torch

from inoculate.nn.inner_loop import adapt_linear, adapt_parameters, balanced_log_loss


def quadratic(p):
    return (p["a"] ** 2).sum() * 3


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_steps_on_a_quadratic_by_hand(steps):
    start = {"a": torch.tensor([2.0, -1.0])}
    got = adapt_parameters(quadratic, start, steps=steps, rate=0.1)["a"]
    torch.testing.assert_close(got, start["a"] * (1 - 0.6) ** steps)
    assert start["a"].tolist() == [2.0, -1.0]


def test_first_order_drops_only_the_second_derivatives():
    start = {"a": torch.tensor([2.0], requires_grad=True)}
    slopes = []
    for first_order in (False, True):
        end = adapt_parameters(quadratic, start, steps=2, rate=0.1, first_order=first_order)
        (slope,) = torch.autograd.grad(end["a"].sum(), start["a"])
        slopes.append(slope.item())
    assert slopes == pytest.approx([0.4**2, 1.0])


def test_both_sides_weigh_half_and_padding_nothing():
    logits = torch.tensor([0.0, 2.0, -1.0, 50.0])
    target, weight = torch.tensor([1.0, 0, 0, 1]), torch.tensor([1.0, 1, 1, 0])
    log1p_exp = torch.nn.functional.softplus(torch.tensor([0.0, 2.0, -1.0]))
    expected = 0.5 * log1p_exp[0] + 0.25 * (log1p_exp[1] + log1p_exp[2])
    torch.testing.assert_close(balanced_log_loss(logits, target, weight), expected)


def test_a_side_without_records_counts_nothing():
    loss = balanced_log_loss(torch.zeros(2), torch.zeros(2), torch.ones(2))
    torch.testing.assert_close(loss, torch.tensor(0.5).log().neg() / 2)


@pytest.mark.parametrize("first_order", [False, True])
def test_a_linear_head_moves_and_is_differentiated_as_by_autograd(first_order):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    target, weight = torch.tensor([1.0, 0, 0, 1, 0, 1]).double(), torch.ones(6).double()
    weight[-1] = 0
    head = {"w0": torch.ones(3, 1).double().requires_grad_(), "b0": torch.ones(1).double()}
    how = {"steps": 3, "rate": 0.5, "first_order": first_order}

    def loss(p):
        return balanced_log_loss((x @ p["w0"] + p["b0"])[:, 0], target, weight)

    ends = adapt_linear(head, x, target, weight, **how), adapt_parameters(loss, head, **how)
    for name in head:
        torch.testing.assert_close(ends[0][name], ends[1][name])
    inputs = [head["w0"]] if first_order else [head["w0"], x]
    slopes = [torch.autograd.grad((end["w0"] ** 2).sum() + end["b0"].sum(), inputs) for end in ends]
    torch.testing.assert_close(slopes[0], slopes[1])
