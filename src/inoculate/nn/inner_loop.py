"""The inner loop: a few gradient steps on one support set, differentiable as a whole.

References:
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, equation 1 (the step) and section 5.2 (first-order approximation).
    Li, Zhou, Chen and Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", arXiv
    1707.09835, 2017, algorithm 1, for a rate of each parameter.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from inoculate.nn.encoders import Parameters

Loss = Callable[[Parameters], Tensor]


def adapt_parameters(
    loss: Loss,
    parameters: Parameters,
    *,
    steps: int,
    rate: float | Parameters,
    first_order: bool = False,
) -> Parameters:
    """Return parameters after gradient steps on a loss.

    Gradients flow from the result back to ``parameters``; with ``first_order`` as if each step
    had been a constant shift, which saves the second derivatives.

    Args:
        loss: of the support set, a scalar.
        parameters: where to start; not changed.
        steps: number of gradient steps.
        rate: size of each; one for all, or of each entry of each array.
        first_order: detach the steps.
    """
    rates = rate if isinstance(rate, dict) else dict.fromkeys(parameters, rate)
    for _ in range(steps):
        slopes = torch.func.grad(loss)(parameters)
        if first_order:
            slopes = {k: s.detach() for k, s in slopes.items()}
        parameters = {k: p - rates[k] * slopes[k] for k, p in parameters.items()}
    return parameters


def adapt_linear(
    head: Parameters,
    x: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    steps: int,
    rate: float,
    first_order: bool = False,
) -> Parameters:
    """Return a linear head after steps on ``balanced_log_loss``, as ``adapt_parameters`` would.

    The slopes are written out, which is several times faster than to differentiate.

    Args:
        head: ``w0`` (e, 1) and ``b0`` (1,); not changed.
        x: (n, e) records.
        target: (n,) 0 or 1.
        weight: (n,) 0 for padding.
        steps: number of gradient steps.
        rate: size of each.
        first_order: detach the steps.
    """
    w, b, share = head["w0"], head["b0"], balanced_weights(target, weight)[:, None]
    for _ in range(steps):
        error = share * ((x @ w + b).sigmoid() - target[:, None])
        slopes = x.mT @ error, error.sum(0)
        if first_order:
            slopes = slopes[0].detach(), slopes[1].detach()
        w, b = w - rate * slopes[0], b - rate * slopes[1]
    return {"w0": w, "b0": b}


def balanced_log_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean log loss in which both sides weigh half.

    Args:
        logits: (n,) of the positive class.
        target: (n,) 0 or 1.
        weight: (n,) 0 for padding.
    """
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    total = logits.new_zeros(())
    for side in (target, 1 - target):
        w = side * weight
        total = total + 0.5 * (losses * w).sum() / w.sum().clamp_min(1e-12)
    return total


def balanced_weights(target: Tensor, weight: Tensor) -> Tensor:
    """Return weights with which both sides weigh half in total, (..., n).

    Args:
        target: (..., n) 0 or 1.
        weight: (..., n) 0 for padding.
    """
    total = torch.zeros_like(weight)
    for side in (target * weight, (1 - target) * weight):
        total = total + 0.5 * side / side.sum(-1, keepdim=True).clamp_min(1e-12)
    return total
