"""Tasks on tables that never were: records of random structural causal models.

A model draws each record's kind (the services of a network, say), then passes noise around the
kind's centre through a few layers of random functions; columns are nodes of all layers, turned
into counts, shares, sizes, yes/no values and the like. A threat is a kind that background does
not have, or a kind in which a mechanism was interfered with, so what tells it apart may lie in
one column, in many, or in how columns go together.

References:
    Hollmann et al., "TabPFN: A Transformer That Solves Small Tabular Classification Problems in
    a Second", ICLR 2023, section 4.1, for tasks from random structural causal models.
    Pearl, "Causality", 2nd edition, 2009, section 3.2, for interventions.
    Departures: kinds of records; classes are interventions, not cuts of an output.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.sampling import Shape
from inoculate.task import BACKGROUND, Encoded, FloatArray, IntArray, Labelled, Support, Task

_Floats = npt.NDArray[np.float64]
_FUNCTIONS: tuple[Callable[[_Floats], _Floats], ...] = (
    lambda x: x,
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sin,
    np.abs,
    lambda x: x * np.abs(x),
    np.sign,
    lambda x: np.floor(2 * x) / 2,
)
_MOST_EXPONENT = 20.0
_SHAPE = Shape()


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Nodes that depend on those before: weights (w, h), bias, noise and function of each."""

    weights: _Floats
    bias: _Floats
    noise: _Floats
    function: IntArray

    def values(self, x: _Floats, rng: np.random.Generator) -> _Floats:
        y = x @ self.weights + self.bias
        for i, function in enumerate(_FUNCTIONS):
            mine = self.function == i
            y[:, mine] = function(y[:, mine])
        return np.asarray(y + self.noise * rng.normal(size=y.shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """An intervention: some nodes of one layer are fixed, shifted, stretched or shuffled."""

    layer: int
    nodes: IntArray
    how: IntArray
    amount: _Floats
    noise: float

    def apply(self, x: _Floats, rng: np.random.Generator) -> _Floats:
        x = x.copy()
        spread = x.std(0) + 1e-3
        for node, how, amount in zip(self.nodes, self.how, self.amount, strict=True):
            if how == 0:
                x[:, node] = spread[node] * (amount + self.noise * rng.normal(size=len(x)))
            elif how == 1:
                x[:, node] += amount * spread[node]
            elif how == 2:
                x[:, node] *= np.exp(amount)
            else:
                x[:, node] = rng.permutation(x[:, node])
        return x


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """Centres and spreads of the first nodes by kind (kinds, w), and the layers after them."""

    centres: _Floats
    spreads: _Floats
    layers: tuple[_Layer, ...]

    @classmethod
    def draw(cls, n_kinds: int, rng: np.random.Generator) -> "_Model":
        width = int(rng.integers(3, 13))
        centres = rng.normal(size=(n_kinds, width)) * rng.uniform(0.5, 3)
        spreads = np.exp(0.7 * rng.normal(size=(n_kinds, width)) - 0.5)
        layers, n_nodes = [], int(rng.integers(8, 25))
        for _ in range(rng.integers(1, 4)):
            linked = rng.random((width, n_nodes)) < min(1, 4 / width)
            weights = rng.normal(size=(width, n_nodes)) * linked * rng.uniform(0.5, 2)
            noise = np.exp(rng.normal(size=n_nodes) - 2.5) * (rng.random(n_nodes) < 0.7)
            functions = rng.integers(len(_FUNCTIONS), size=n_nodes)
            layers.append(_Layer(weights, rng.normal(size=n_nodes) / 2, noise, functions))
            width = n_nodes
        return cls(centres, spreads, tuple(layers))

    def change(self, rng: np.random.Generator) -> _Change:
        layer = int(rng.integers(len(self.layers) + 1)) if rng.random() < 0.6 else 0
        width = self.layers[layer - 1].weights.shape[1] if layer else self.centres.shape[1]
        n = max(1, round(width * rng.beta(1, 4)))
        nodes = rng.choice(width, n, replace=False)
        amount = rng.normal(size=n) * rng.uniform(0.5, 4)
        return _Change(layer, nodes, rng.integers(4, size=n), amount, 0.3 * rng.random())

    def records(
        self, kind: IntArray, rng: np.random.Generator, change: _Change | None = None
    ) -> _Floats:
        """Return all nodes of records of the given kinds, (n, all nodes)."""
        x = self.centres[kind] + self.spreads[kind] * rng.normal(size=self.centres[kind].shape)
        nodes = []
        for i in range(len(self.layers) + 1):
            if change is not None and change.layer == i:
                x = change.apply(x, rng)
            nodes.append(x)
            if i < len(self.layers):
                x = self.layers[i].values(x / (1 + np.abs(x).mean(0)) if i else x, rng)
        return np.concatenate(nodes, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Warp:
    """How each node's value becomes a column's: a kind of column, its scale and its place."""

    kind: IntArray
    scale: _Floats
    place: _Floats

    @classmethod
    def draw(cls, d: int, rng: np.random.Generator) -> "_Warp":
        return cls(rng.integers(8, size=d), np.exp(rng.normal(size=d)), rng.random(d))

    def columns(self, x: _Floats, usual: _Floats) -> _Floats:
        """Return nodes x (n, d) as columns, by where they lie among the usual ones."""
        middle, spread = usual.mean(0), usual.std(0) + 1e-6
        z, ground = (x - middle) / spread, (usual - middle) / spread
        parts = zip(z.T, ground.T, self.kind, self.scale, self.place, strict=True)
        return np.stack([_column(*part) for part in parts], axis=1)


def _column(z: _Floats, ground: _Floats, kind: int, scale: float, place: float) -> _Floats:
    """Return one column: plain, large, a count, yes/no, in steps, mostly zero, or capped."""

    def bounded(exponent: _Floats) -> _Floats:
        return np.exp(np.clip(exponent, -_MOST_EXPONENT, _MOST_EXPONENT))

    if kind < 2:
        return z * scale
    if kind == 2:
        return bounded(z * (1 + scale))
    if kind == 3:
        return np.floor(bounded(1.5 * z + 1))
    if kind == 4:
        return (z > np.quantile(ground, 0.05 + 0.9 * place)).astype(float)
    if kind == 5:
        return np.round(z * (0.5 + 2 * place))
    if kind == 6:
        least = np.quantile(ground, 0.3 + 0.65 * place)
        return np.where(z > least, bounded(2 * (z - least)), 0.0)
    return np.clip(z, np.quantile(ground, 0.1 * place), np.quantile(ground, 1 - 0.3 * place))


def structural_tasks(
    n: int,
    *,
    seed: int,
    shape: Shape = _SHAPE,
    n_way: tuple[int, int] = (1, 1),
    n_shot: tuple[int, int] = (1, 10),
    n_columns: tuple[int, int] = (8, 32),
) -> Iterator[Task]:
    """Yield n tasks, each on a table of its own; the i-th depends on seed and i only.

    Args:
        n: number of tasks.
        seed: of all draws.
        shape: size of each task; its ``n_shot`` is replaced, its contamination not looked at.
        n_way: fewest and most classes of a task.
        n_shot: fewest and most examples a class.
        n_columns: fewest and most columns.
    """
    for i in range(n):
        rng = np.random.default_rng([seed, i, 3])
        ways, shots, d = (int(rng.integers(a, b + 1)) for a, b in (n_way, n_shot, n_columns))
        yield _task(rng, ways, shots, d, shape)


def _task(rng: np.random.Generator, n_way: int, n_shot: int, d: int, shape: Shape) -> Task:
    n_kinds = int(rng.integers(1, 9))
    model = _Model.draw(n_kinds + 2 * n_way, rng)
    shares = rng.dirichlet(np.full(n_kinds, 0.6))
    n_clean, each = shape.n_background + shape.n_benign, n_shot + shape.n_query
    usual = model.records(rng.choice(n_kinds, n_clean, p=shares), rng)
    columns = rng.choice(usual.shape[1], d, replace=usual.shape[1] < d)
    warp, usual = _Warp.draw(d, rng), usual[:, columns]
    parts = [_threat(model, w, each, shares, rng)[:, columns] for w in range(n_way)]
    x = np.concatenate([warp.columns(part, usual) for part in (*parts, usual)])
    encoded = Encoded({"made": _with_gaps(x.astype(np.float32), rng)})
    y = np.repeat([*range(n_way), BACKGROUND], [each] * n_way + [n_clean])
    place = np.concatenate([np.tile(np.arange(each), n_way), np.arange(n_clean)])
    examples = np.flatnonzero((y >= 0) & (place < n_shot))
    background = np.flatnonzero((y < 0) & (place < shape.n_background))
    query = np.setdiff1d(np.arange(len(y)), np.concatenate([examples, background]))
    labelled = Labelled(encoded.take(examples), y[examples])
    names = tuple(f"structural {w}" for w in range(n_way))
    support = Support(labelled, encoded.take(background), names)
    return Task(support, Labelled(encoded.take(query), y[query]), "structural")


def _threat(model: _Model, way: int, n: int, shares: _Floats, rng: np.random.Generator) -> _Floats:
    """Return the nodes of a threat: new kinds, or usual ones interfered with."""
    chance, new = rng.random(), len(shares) + 2 * way
    if chance < 0.35:
        return model.records(np.full(n, new), rng)
    if chance < 0.8:
        kind = np.full(n, rng.integers(len(shares)))
        if rng.random() < 0.3:
            kind = rng.choice(len(shares), n, p=shares)
        return model.records(kind, rng, model.change(rng))
    change = model.change(rng) if rng.random() < 0.5 else None
    return model.records(new + (rng.random(n) < 0.5), rng, change)


def _with_gaps(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return columns, a few of which are unknown in some records."""
    gaps = rng.random(x.shape[1]) < 0.1 * rng.random()
    x[(rng.random(x.shape) < rng.random(x.shape[1])) & gaps] = np.nan
    x[~np.isfinite(x)] = np.nan
    return x
