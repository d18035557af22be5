"""The inner loop: steps by hand, and gradients that pass through them."""

import pytest
import torch

from inoculate.nn.inner_loop import adapt_parameters, balanced_log_loss


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
