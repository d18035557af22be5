"""Meta-gradients of perceptrons for many tasks: chunk by chunk, thread by thread.

``torch.func`` serves any network, but differentiates a differentiation. For perceptrons
``nn.unrolled_mlp`` does the same by hand, in a fraction of the time. It serves two layers or
more, one inner rate for all parameters, and supports of up to a few times as many records as
columns (``applies``); everything else falls back to ``vmap`` (``outer_loop.over_problems``).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from inoculate.nn.encoders import Parameters
from inoculate.nn.outer_loop import one_thread
from inoculate.nn.unrolled_mlp import Chunk, Half, Inner

_IN_CACHE = 54_000  # numbers in one array of a chunk; a pass has a few dozen of them
_SHAPES = 4  # shapes of chunks kept between calls


def applies(parameters: Parameters, n_support: int) -> bool:
    """Return whether this module serves a perceptron of these parameters, and is worth it.

    Args:
        parameters: ``w0``, ``b0``, ``w1`` ..., as ``encoders.layers`` names them.
        n_support: records; their products take ``n_support^2`` numbers a task.
    """
    depth = len(parameters) // 2
    names = {f"{kind}{i}" for i in range(depth) for kind in "wb"}
    return depth > 1 and set(parameters) == names and n_support <= 4 * parameters["w0"].shape[0]


class BatchedMlp:
    """Computes outer losses and meta-gradients of perceptrons, some tasks at a time.

    Keeps its arrays from call to call: about ``(10 + 10 steps) * task_chunk * records * width``
    numbers for each thread, half of that where ``relu``.

    Args:
        task_chunk: tasks at a time; None: up to 8, as fit into a processor's cache.
        threads: that chunks are shared among; results do not depend on it.
    """

    def __init__(self, *, task_chunk: int | None = None, threads: int = 1) -> None:
        self.task_chunk = task_chunk
        self.threads = threads
        self._idle: dict[tuple[object, ...], list[Chunk]] = {}

    def loss(self, parameters: Parameters, support: Half, query: Half, inner: Inner) -> Tensor:
        """Return the mean outer loss, which can be differentiated once by the parameters."""

        def both(values: Parameters, wanted: bool) -> tuple[Tensor, Parameters]:
            return self._both(values, support, query, inner, wanted)

        found: Tensor = _Loss.apply(  # type: ignore[no-untyped-call]
            both, tuple(parameters), *parameters.values()
        )
        return found

    @torch.no_grad()
    def gradient(
        self, parameters: Parameters, support: Half, query: Half, inner: Inner
    ) -> tuple[Tensor, Parameters]:
        """Return the mean outer loss over tasks and its gradient by the parameters."""
        return self._both(parameters, support, query, inner, True)

    def _both(
        self, parameters: Parameters, support: Half, query: Half, inner: Inner, wanted: bool
    ) -> tuple[Tensor, Parameters]:
        n, size = len(support.x), self._size(support, parameters)
        chunks = [slice(i, i + size) for i in range(0, n, size)]

        def one(which: slice) -> tuple[Tensor, Parameters]:
            with torch.inference_mode():
                return self._run(
                    parameters, support.tasks(which), query.tasks(which), inner, wanted
                )

        with one_thread():
            if self.threads == 1 or len(chunks) == 1:
                found = [one(c) for c in chunks]
            else:
                found = list(_workers(self.threads).map(one, chunks))
        loss = torch.stack([loss for loss, _ in found]).sum() / n
        each = [slopes for _, slopes in found]
        return loss, {k: torch.stack([s[k] for s in each]).sum(0) / n for k in each[0]}

    def _size(self, support: Half, parameters: Parameters) -> int:
        """Return tasks at a time, near the same in each chunk."""
        n, m = support.x.shape[:2]
        most = self.task_chunk or max(1, min(8, _IN_CACHE // (m * parameters["w0"].shape[1])))
        return -(-n // -(-n // most))

    def _run(
        self, parameters: Parameters, support: Half, query: Half, inner: Inner, wanted: bool
    ) -> tuple[Tensor, Parameters]:
        x, widths = support.x, [parameters[f"b{i}"].shape[0] for i in range(len(parameters) // 2)]
        key = (*widths, x.shape, query.x.shape, x.dtype, x.device, inner.steps, inner.relu)
        if len(self._idle) > _SHAPES:
            self._idle.clear()
        stock = self._idle.setdefault(key, [])
        try:
            chunk = stock.pop()
        except IndexError:
            chunk = Chunk(widths, x, query.x.shape[1], inner)
        chunk.inner, chunk.wanted = inner, wanted
        found = chunk.run(parameters, support, query)
        stock.append(chunk)
        return found


class _Loss(torch.autograd.Function):
    """The loss, with the gradient that was computed beside it."""

    @staticmethod
    def forward(
        ctx: Any,
        both: Callable[[Parameters, bool], tuple[Tensor, Parameters]],
        names: tuple[str, ...],
        *values: Tensor,
    ) -> Tensor:
        loss, slopes = both(dict(zip(names, values, strict=True)), any(ctx.needs_input_grad))
        ctx.save_for_backward(*slopes.values())
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(slope * s for s in ctx.saved_tensors)


@cache
def _workers(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,))


os.register_at_fork(after_in_child=_workers.cache_clear)  # threads do not survive a fork
