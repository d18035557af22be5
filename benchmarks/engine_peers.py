"""One meta-iteration of MAML by each contender of ``engine.py``: same network, same tasks.

A contender is a function of a plain ``nn.Sequential`` that returns ``backward(batch)``, which
leaves the mean outer loss's gradient in the network's ``grad``. Peers are used as their own
documentation shows: a loop over tasks, a backward pass for each.

learn2learn does not install from the package index on Python 3.11; unpack its source
distribution 0.2.0, compile its three Cython files with ``pip install "cython>=3"`` and ``python
setup.py build_ext --inplace``, and name the folder in ``LEARN2LEARN``. Its official source is
used unmodified; its package file is passed over, because it imports gym and torchvision.
Its data path needs requests and tqdm. The others: ``pip install --no-deps higher torchopt
optree``. What is not installed is left out, and said to be.
"""

import importlib
import os
import sys
import types
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inoculate.nn.batched_mlp import BatchedMlp
from inoculate.nn.unrolled_mlp import Half, Inner

STEPS, RATE = 5, 0.1


class Batch(NamedTuple):
    """B tasks: support (B, m, d) and labels (B, m), query (B, q, d) and labels (B, q)."""

    x: Tensor
    y: Tensor
    query: Tensor
    query_y: Tensor


Backward = Callable[[Batch], None]


def network(n_way: int, dtype: torch.dtype, gelu: bool = False) -> nn.Sequential:
    """Return the perceptron 78-128-128-n; the same each time."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise((78, 128, 128, n_way)):
        parts += [nn.Linear(n_in, n_out), nn.GELU() if gelu else nn.ReLU()]
    return nn.Sequential(*parts[:-1]).to(dtype)


def ours(net: nn.Sequential, *, first_order: bool, threads: int = 1) -> Backward:
    """Return the hand-written meta-gradient."""
    layers = [m for m in net if isinstance(m, nn.Linear)]
    inner = Inner(STEPS, RATE, first_order, relu=not isinstance(net[1], nn.GELU))
    engine = BatchedMlp(threads=threads)

    def half(x: Tensor, y: Tensor) -> Half:
        target = nn.functional.one_hot(y, layers[-1].out_features).to(x.dtype)
        return Half(x, target, x.new_full((*y.shape, 1), 1 / y.shape[1]))

    def backward(batch: Batch) -> None:
        parameters = {f"w{i}": m.weight.detach().mT.contiguous() for i, m in enumerate(layers)}
        parameters |= {f"b{i}": m.bias.detach() for i, m in enumerate(layers)}
        halves = half(batch.x, batch.y), half(batch.query, batch.query_y)
        _, slopes = engine.gradient(parameters, *halves, inner)
        for i, m in enumerate(layers):
            m.weight.grad, m.bias.grad = slopes[f"w{i}"].mT, slopes[f"b{i}"]

    return backward


def vmap(net: nn.Sequential, *, first_order: bool, threads: int = 1) -> Backward:
    """Return torch.func's: vmap over tasks of grad of the inner loss."""
    call = torch.func.functional_call

    def inner_loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(call(net, p, (x,)), y)

    def outer(p: dict[str, Tensor], x: Tensor, y: Tensor, q: Tensor, q_y: Tensor) -> Tensor:
        for _ in range(STEPS):
            slopes = torch.func.grad(inner_loss)(p, x, y)
            if first_order:
                slopes = {k: s.detach() for k, s in slopes.items()}
            p = {k: v - RATE * slopes[k] for k, v in p.items()}
        return inner_loss(p, q, q_y)

    def backward(batch: Batch) -> None:
        start = dict(net.named_parameters())
        torch.func.vmap(lambda *task: outer(start, *task))(*batch).mean().backward()

    return backward


def learn2learn(net: nn.Sequential, *, first_order: bool, threads: int = 1) -> Backward:
    """Return learn2learn's ``MAML``: clone, adapt, backward."""
    maml = learn2learn_part("algorithms.maml").MAML(net, lr=RATE, first_order=first_order)

    def backward(batch: Batch) -> None:
        for x, y, q, q_y in zip(*batch, strict=True):
            learner = maml.clone()
            for _ in range(STEPS):
                learner.adapt(cross_entropy(learner(x), y))
            (cross_entropy(learner(q), q_y) / len(batch.x)).backward()

    return backward


def higher(net: nn.Sequential, *, first_order: bool, threads: int = 1) -> Backward:
    """Return higher's ``innerloop_ctx``; it has no first order that is MAML's."""
    if first_order:
        raise ModuleNotFoundError("higher has no first-order MAML")
    package = importlib.import_module("higher")
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)

    def backward(batch: Batch) -> None:
        for x, y, q, q_y in zip(*batch, strict=True):
            with package.innerloop_ctx(net, optimiser, copy_initial_weights=False) as (f, steps):
                for _ in range(STEPS):
                    steps.step(cross_entropy(f(x), y))
                (cross_entropy(f(q), q_y) / len(batch.x)).backward()

    return backward


def torchopt(net: nn.Sequential, *, first_order: bool, threads: int = 1) -> Backward:
    """Return TorchOpt's ``MetaSGD``, its parameters put back after each task."""
    package = importlib.import_module("torchopt")
    if first_order:
        raise ModuleNotFoundError("torchopt's MetaSGD has no first order")
    optimiser = package.MetaSGD(net, lr=RATE)

    def backward(batch: Batch) -> None:
        start = package.extract_state_dict(net, by="reference")
        began = package.extract_state_dict(optimiser)
        for x, y, q, q_y in zip(*batch, strict=True):
            for _ in range(STEPS):
                optimiser.step(cross_entropy(net(x), y))
            (cross_entropy(net(q), q_y) / len(batch.x)).backward()
            package.recover_state_dict(net, start)
            package.recover_state_dict(optimiser, began)

    return backward


CONTENDERS = {
    "ours": ours,
    "torch.func vmap": vmap,
    "learn2learn": learn2learn,
    "higher": higher,
    "TorchOpt": torchopt,
}


def learn2learn_part(name: str) -> types.ModuleType:
    """Return a module of learn2learn without running its package file.

    Raises:
        ModuleNotFoundError: ``LEARN2LEARN`` does not name an unpacked, compiled copy.
    """
    root = Path(os.environ.get("LEARN2LEARN", "nowhere")) / "learn2learn"
    if not root.is_dir():
        raise ModuleNotFoundError("LEARN2LEARN names no unpacked copy")
    for package in ("learn2learn", "learn2learn.algorithms"):
        if package not in sys.modules:
            module = types.ModuleType(package)
            module.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
            sys.modules[package] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"learn2learn.{name}")
