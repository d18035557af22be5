"""Networks as plain functions of (parameters, input), so that gradients can pass through updates.

References:
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16, for the initial weights.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Parameters = dict[str, Tensor]


def init_mlp(widths: Sequence[int], *, seed: int, dtype: torch.dtype = torch.float32) -> Parameters:
    """Return weights ``w0``, ``b0``, ``w1`` ... of a multi-layer perceptron.

    Args:
        widths: of the input, of each hidden layer, of the output.
        seed: of the draws.
        dtype: of the tensors.
    """
    rng = np.random.default_rng(seed)
    parameters: Parameters = {}
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        limit = np.sqrt(6 / (n_in + n_out))
        draw = rng.uniform(-limit, limit, size=(n_in, n_out))
        parameters[f"w{i}"] = torch.tensor(draw, dtype=dtype)
        parameters[f"b{i}"] = torch.zeros(n_out, dtype=dtype)
    return parameters


def mlp(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return the network's output, (..., widths[-1]); GELU between layers, none at the end.

    Smooth activations: a second derivative of ReLU is zero almost everywhere, which would hide
    part of a second-order meta-gradient.
    """
    n_layers = len(parameters) // 2
    for i in range(n_layers):
        x = x @ parameters[f"w{i}"] + parameters[f"b{i}"]
        if i < n_layers - 1:
            x = torch.nn.functional.gelu(x)
    return x
