"""Networks as plain functions of (parameters, input), so that gradients can pass through updates.

References:
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16, for the initial weights.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Parameters = dict[str, Tensor]


class Plan(NamedTuple):
    """What one array of parameters is before anything is learned.

    Attributes:
        shape: of the array.
        fill: value of every entry; None for drawn weights, (inputs, outputs).
    """

    shape: tuple[int, ...]
    fill: float | None = None


Layout = dict[str, Plan]


def layers(widths: Sequence[int], prefix: str = "") -> Layout:
    """Return the plan of a multi-layer perceptron: ``w0``, ``b0``, ``w1`` ...

    Args:
        widths: of the input, of each hidden layer, of the output.
        prefix: of the names.
    """
    layout: Layout = {}
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        layout[f"{prefix}w{i}"] = Plan((n_in, n_out))
        layout[f"{prefix}b{i}"] = Plan((n_out,), 0.0)
    return layout


def draw(layout: Layout, *, seed: int, dtype: torch.dtype = torch.float32) -> Parameters:
    """Return initial parameters; the same seed draws the same."""
    rng = np.random.default_rng(seed)
    parameters: Parameters = {}
    for name, (shape, fill) in layout.items():
        if fill is None:
            limit = np.sqrt(6 / sum(shape))
            parameters[name] = torch.tensor(rng.uniform(-limit, limit, size=shape), dtype=dtype)
        else:
            parameters[name] = torch.full(shape, fill, dtype=dtype)
    return parameters


def init_mlp(widths: Sequence[int], *, seed: int, dtype: torch.dtype = torch.float32) -> Parameters:
    """Return initial weights of a multi-layer perceptron; see ``layers``."""
    return draw(layers(widths), seed=seed, dtype=dtype)


def part(parameters: Mapping[str, Tensor], prefix: str) -> Parameters:
    """Return the arrays whose names start with a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in parameters.items() if k.startswith(prefix)}


def mlp(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return the network's output, (..., widths[-1]); GELU between layers, none at the end.

    Smooth activations: a second derivative of ReLU is zero almost everywhere, which would hide
    part of a second-order meta-gradient.
    """
    n_layers = sum(f"w{i}" in parameters for i in range(len(parameters)))
    for i in range(n_layers):
        x = x @ parameters[f"w{i}"] + parameters[f"b{i}"]
        if i < n_layers - 1:
            x = torch.nn.functional.gelu(x)
    return x
