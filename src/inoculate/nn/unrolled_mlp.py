"""A perceptron's inner loop and the way back through it, by hand, for some tasks at once.

The inner gradient, and its derivative along the outer gradient, are batched matrix products
with a task axis in front; nothing is recorded. The first layer's weights are never moved: with
``z = x w``, a step ``w - rate x^T d`` is ``z - rate (x x^T) d``, and ``x x^T`` is the same at
every step. Later layers are moved in place, and moved back on the way back.

References:
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, equation 1 and section 5.2.
    Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation 6, 1994,
    section 3, for the derivative of a gradient along a direction.
    Maclaurin, Duvenaud and Adams, "Gradient-based Hyperparameter Optimization through
    Reversible Learning", ICML 2015, section 2, for undoing steps instead of storing them.
    Departure: a plain step is undone from its stored gradient, to within rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from inoculate.nn.encoders import Parameters

_PDF_0 = 0.3989422804014327  # of the standard normal distribution at 0


class Half(NamedTuple):
    """Support or query of B tasks, and the loss on it: of a sigmoid, or of a softmax.

    Attributes:
        x: (B, n, d) records.
        target: (B, n, c) wanted probability of each class; with one class that of a sigmoid.
        weight: (B, n, 1) of each record in the loss, 0 for padding.
    """

    x: Tensor
    target: Tensor
    weight: Tensor

    def tasks(self, which: slice) -> "Half":
        """Return some of the tasks."""
        return Half(self.x[which], self.target[which], self.weight[which])

    def loss(self, z: Tensor) -> Tensor:
        """Return the sum over tasks of the weighted log loss of logits (B, n, c)."""
        if z.shape[-1] == 1:
            each = torch.nn.functional.softplus(z) - self.target * z
        else:
            each = z.logsumexp(-1, keepdim=True) - (self.target * z).sum(-1, keepdim=True)
        return (each * self.weight).sum()

    def probabilities(self, z: Tensor) -> Tensor:
        """Return what the logits say, (B, n, c)."""
        if z.shape[-1] == 1:
            return z.sigmoid()
        p = (z - z.amax(-1, keepdim=True)).exp_()
        return p.div_(p.sum(-1, keepdim=True))

    def slope(self, p: Tensor, out: Tensor) -> Tensor:
        """Return the loss's derivative by the logits."""
        return torch.sub(p, self.target, out=out).mul_(self.weight)

    def bend(self, p: Tensor, along: Tensor) -> Tensor:
        """Return the derivative of ``slope`` along a change of the logits; may overwrite it."""
        if p.shape[-1] == 1:
            return along.mul_(p).mul_(1 - p).mul_(self.weight)
        moved = along.mul_(p)
        return moved.sub_(p * moved.sum(-1, keepdim=True)).mul_(self.weight)


@dataclass(frozen=True, slots=True)
class Inner:
    """How a task is learned, and what of it the outer loss counts.

    Attributes:
        steps: gradient steps.
        rate: size of each.
        first_order: leave out second derivatives.
        shares: weight of the outer loss after 0, 1 ... ``steps`` steps; None: the last alone.
        relu: the network's hidden layers are rectified; False: GELU.
    """

    steps: int = 5
    rate: float = 0.5
    first_order: bool = False
    shares: tuple[float, ...] | None = None
    relu: bool = False

    def share(self, step: int) -> float:
        """Return the weight of the outer loss after so many steps."""
        return float(step == self.steps) if self.shares is None else self.shares[step]


class _Pass:
    """Arrays of one forward and backward pass: into, out of and back from each hidden layer.

    Rectified layers share them: what goes in is overwritten by what comes out.
    """

    def __init__(self, like: Tensor, rows: int, widths: Sequence[int], *, relu: bool) -> None:
        def new() -> list[Tensor]:
            return [like.new_empty(len(like), rows, w) for w in widths]

        self.z = new()
        self.d = new()
        self.p = self.z[-1]
        self.a = self.z if relu else new()
        self.e = self.d if relu else new()
        self.s = self.z if relu else new()
        self.at = [a.mT for a in self.a]


class Chunk:
    """Some tasks on their way through the inner loop and back; arrays are used again."""

    def __init__(self, widths: Sequence[int], like: Tensor, n_query: int, inner: Inner) -> None:
        n, m = like.shape[:2]
        self.inner = inner
        self.wanted = True

        def new(*shape: int) -> Tensor:
            return like.new_empty(n, *shape)

        self.w, self.v = ([new(i, o) for i, o in pairwise(widths)] for _ in range(2))
        self.b, self.c = ([new(1, o) for o in widths[1:]] for _ in range(2))
        self.wt, self.vt = [w.mT for w in self.w], [v.mT for v in self.v]
        self.tape = [_Pass(like, m, widths, relu=inner.relu) for _ in range(inner.steps)]
        self.query = _Pass(like, n_query, widths, relu=inner.relu)
        self.dz, self.da, self.dd = ([new(m, o) for o in widths] for _ in range(3))
        self.dat = [a.mT for a in self.da]
        self.one = like.new_ones(max(m, n_query) * n * max(widths))
        self.ones = {r: like.new_ones(n, 1, r) for r in (m, n_query)}
        self.moved, self.pulled, self.up = (new(m, widths[0]) for _ in range(3))
        self.asked = new(n_query, widths[0])
        self.kernel, self.cross = new(m, m), new(n_query, m)
        self.start, self.start_query = new(m, widths[0]), new(n_query, widths[0])

    def run(self, parameters: Parameters, support: Half, query: Half) -> tuple[Tensor, Parameters]:
        """Return the outer loss, and its gradient if ``wanted``, summed over the tasks."""
        self._begin(parameters, support, query)
        steps, loss = self.inner.steps, query.x.new_zeros(())
        for t in range(steps):
            self._step(t, support)
        second_order = self.wanted and not self.inner.first_order
        for t in range(steps, -1, -1):
            if share := self.inner.share(t):
                loss += share * self._ask(query, share)
            if not second_order and not any(map(self.inner.share, range(t))):
                break
            if t:
                self._move(self.tape[t - 1], back=True)
            if t and second_order:
                self._pull(t - 1, support)
        return loss, self._collect(parameters, support, query) if self.wanted else {}

    def _begin(self, parameters: Parameters, support: Half, query: Half) -> None:
        for i, (w, b) in enumerate(zip(self.w, self.b, strict=True), 1):
            w.copy_(parameters[f"w{i}"])
            b.copy_(parameters[f"b{i}"])
        one, w0, b0 = support.x.new_ones(()), parameters["w0"], parameters["b0"]
        torch.baddbmm(one, support.x, support.x.mT, out=self.kernel)  # 1: the bias moves too
        torch.baddbmm(one, query.x, support.x.mT, out=self.cross)
        for half, z in ((support, self.start), (query, self.start_query)):
            torch.addmm(b0, half.x.flatten(0, 1), w0, out=z.view(-1, z.shape[-1]))
        for total in (self.moved, self.pulled, self.up, self.asked, *self.v, *self.c):
            total.zero_()

    def _forward(self, run: _Pass) -> Tensor:
        """Return the logits, given ``run.z[0]``."""
        last = len(self.w)
        for i, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            if self.inner.relu:
                run.z[i].clamp_min_(0)
            else:
                _gelu(run.z[i], run.a[i], run.s[i], self.one)
            torch.baddbmm(b, run.a[i], w, out=run.z[i + 1])
        return run.z[last]

    def _backward(self, run: _Pass) -> None:
        """Fill the slopes at every layer, given those of the logits, ``run.d[-1]``."""
        for i in range(len(self.w) - 1, -1, -1):
            torch.bmm(run.d[i + 1], self.wt[i], out=run.e[i])
            self._times_slope(run.e[i], run, i, run.d[i])

    def _times_slope(self, x: Tensor, run: _Pass, i: int, out: Tensor) -> None:
        if self.inner.relu:
            torch.ops.aten.threshold_backward.grad_input(x, run.a[i], 0, grad_input=out)
        else:
            torch.mul(x, run.s[i], out=out)

    def _step(self, t: int, support: Half) -> None:
        """Take one step of the inner loop."""
        run, rate = self.tape[t], self.inner.rate
        if t:
            torch.baddbmm(self.start, self.kernel, self.moved, alpha=-rate, out=run.z[0])
        else:
            run.z[0].copy_(self.start)
        run.p = support.probabilities(self._forward(run))
        support.slope(run.p, run.d[-1])
        self._backward(run)
        self._move(run)

    def _move(self, run: _Pass, *, back: bool = False) -> None:
        """Move weights down their gradient, or back up."""
        sign = 1 if back else -1
        rate = sign * self.inner.rate
        for i, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            w.baddbmm_(run.at[i], run.d[i + 1], alpha=rate)
            b.baddbmm_(self.ones[run.d[0].shape[1]], run.d[i + 1], alpha=rate)
        self.moved.add_(run.d[0], alpha=-sign)

    def _ask(self, query: Half, share: float) -> Tensor:
        """Return the loss on the query where the weights are; add its gradient to the adjoints."""
        run = self.query
        torch.baddbmm(
            self.start_query, self.cross, self.moved, alpha=-self.inner.rate, out=run.z[0]
        )
        z = self._forward(run)
        loss = query.loss(z)
        if self.wanted:
            query.slope(query.probabilities(z), run.d[-1]).mul_(share)
            self._backward(run)
            for i, (v, c) in enumerate(zip(self.v, self.c, strict=True)):
                v.baddbmm_(run.at[i], run.d[i + 1])
                c.baddbmm_(self.ones[query.x.shape[1]], run.d[i + 1])
            self.up.baddbmm_(self.cross.mT, run.d[0])
            self.asked.add_(run.d[0])
        return loss

    def _pull(self, t: int, support: Half) -> None:
        """Take the adjoints v back through a step: ``v - rate H v``, H the support's Hessian.

        ``dz``, ``da`` and ``dd`` are the derivatives of z, a and d along v.
        """
        run, rate, last = self.tape[t], self.inner.rate, len(self.w)
        change = self.up
        for i in range(last):
            self._times_slope(change, run, i, self.da[i])
            change = torch.baddbmm(self.c[i], run.a[i], self.v[i], out=self.dz[i + 1])
            change.baddbmm_(self.da[i], self.w[i])
        change = support.bend(run.p, change)
        for i in range(last - 1, -1, -1):
            e, d = self.dd[i], run.d[i + 1]
            torch.bmm(change, self.wt[i], out=e).baddbmm_(d, self.vt[i])
            self.v[i].baddbmm_(run.at[i], change, alpha=-rate)
            self.v[i].baddbmm_(self.dat[i], d, alpha=-rate)
            self.c[i].baddbmm_(self.ones[d.shape[1]], change, alpha=-rate)
            self._times_slope(e, run, i, e)
            if not self.inner.relu:
                e.addcmul_(_gelu_bend(run.z[i]).mul_(run.e[i]), self.dz[i] if i else self.up)
            change = e
        self.pulled.add_(change)
        if t:
            self.up.baddbmm_(self.kernel, change, alpha=-rate)

    def _collect(self, parameters: Parameters, support: Half, query: Half) -> Parameters:
        """Return the adjoints at the first step, summed over tasks."""
        found: Parameters = {}
        for i, (v, c) in enumerate(zip(self.v, self.c, strict=True), 1):
            found |= {f"w{i}": v.sum(0), f"b{i}": c.sum((0, 1))}
        asked, pulled = (d.view(-1, d.shape[-1]) for d in (self.asked, self.pulled))
        w0 = query.x.flatten(0, 1).mT @ asked
        w0.addmm_(support.x.flatten(0, 1).mT, pulled, alpha=-self.inner.rate)
        found |= {"w0": w0, "b0": asked.sum(0) - self.inner.rate * pulled.sum(0)}
        return {k: found[k] for k in parameters}


def _gelu(z: Tensor, out: Tensor, slope: Tensor, ones: Tensor) -> None:
    torch.ops.aten.gelu.out(z, approximate="none", out=out)
    one = ones[: z.numel()].view(z.shape)
    torch.ops.aten.gelu_backward.grad_input(one, z, approximate="none", grad_input=slope)


def _gelu_bend(z: Tensor) -> Tensor:
    """Return GELU's second derivative, ``pdf(z) (2 - z^2)``."""
    squared = z * z
    return (squared * -0.5).exp_().mul_(squared.neg_().add_(2)).mul_(_PDF_0)
