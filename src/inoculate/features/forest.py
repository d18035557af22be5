"""Extremely randomised trees as plain arrays: grown all at once, run a node at a time.

Growing goes level by level over all trees together, so 100 trees on 205 records take a few
dozen array operations instead of thousands of small ones. Running keeps one bit a leaf: each
inner node takes away the leaves on its left from the records that it sends right, and the
lowest bit left is a record's leaf; no record walks down a tree.

References:
    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006,
    section 2.1 and table 1: no bootstrap, k random columns, one uniform threshold each.
    Departure: growth stops at 64 leaves a tree, breadth first.
    Lucchese et al., "QuickScorer", SIGIR 2015, section 3. Departure: node by node over blocks
    of records, not record by record.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inoculate.task import FloatArray

MAX_LEAVES = 64
_ROWS = 8_192  # rows at a time: the bits of a block stay in the cache

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Grown trees; node 0 .. n_trees - 1 are the roots, children come after their parents.

    Attributes:
        tree: (n_nodes,) tree of each node.
        column: (n_nodes,) column that an inner node looks at; -1 for a leaf.
        threshold: (n_nodes,) float32; records with a larger value go right.
        left: (n_nodes,) left child, -1 for a leaf; the right child is the one after it.
        value: (n_nodes,) float32, weighted share of positive records.
    """

    tree: Ints
    column: Ints
    threshold: FloatArray
    left: Ints
    value: FloatArray

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self.tree.max()) + 1

    def mean_value(self, columns: FloatArray) -> FloatArray:
        """Return the mean over trees of each record's leaf value, (n,).

        Args:
            columns: (d, n) float32 without NaN: column by column, so that each lies whole.
        """
        plan = _plan(self)
        out = np.zeros(columns.shape[1], np.float32)
        for start in range(0, len(out), _ROWS):
            block = columns[:, start : start + _ROWS]
            for tree in plan:
                out[start : start + _ROWS] += tree.run(block)
        out /= self.n_trees
        return out

    def shares(self, n_columns: int) -> FloatArray:
        """Return how often each column is looked at, (n_columns,), summing to 1 or all 0."""
        used = np.bincount(self.column[self.column >= 0], minlength=n_columns)
        return np.divide(used, max(int(used.sum()), 1), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """One tree ready to run: bit i stands for the i-th leaf from the left."""

    column: list[int]
    threshold: FloatArray
    left_bits: npt.NDArray[np.unsignedinteger]
    value: FloatArray

    def run(self, columns: FloatArray) -> FloatArray:
        """Return the leaf value of each record of a block, (n,)."""
        gone = np.zeros(columns.shape[1], self.left_bits.dtype)
        step = np.empty_like(gone)
        for column, threshold, bits in zip(
            self.column, self.threshold, self.left_bits, strict=True
        ):
            np.multiply(columns[column] > threshold, bits, out=step)
            np.bitwise_or(gone, step, out=gone)
        # the lowest bit still 0 is the leaf; x ^ (x + 1) has one bit more than it has below
        np.add(gone, 1, out=step)
        np.bitwise_xor(gone, step, out=gone)
        return np.take(self.value, np.bitwise_count(gone))


def _plan(forest: Forest) -> list[_Tree]:
    leaves = np.where(forest.left < 0, 1, 0)
    for node in range(len(leaves) - 1, -1, -1):
        if forest.left[node] >= 0:
            leaves[node] = leaves[forest.left[node]] + leaves[forest.left[node] + 1]
    first = np.zeros(len(leaves), np.int64)
    for node, child in enumerate(forest.left.tolist()):
        if child >= 0:
            first[child], first[child + 1] = first[node], first[node] + leaves[child]
    plan = []
    for nodes in np.split(*_by_tree(forest.tree)):
        inner, ends = nodes[forest.left[nodes] >= 0], nodes[forest.left[nodes] < 0]
        dtype = next(t for b, t in _WORDS if len(ends) <= b)
        n_left = leaves[forest.left[inner]]
        bits = [((1 << int(k)) - 1) << int(s) for k, s in zip(n_left, first[inner], strict=True)]
        value = np.zeros(len(ends) + 1, np.float32)
        value[first[ends] + 1] = forest.value[ends]
        plan.append(
            _Tree(
                forest.column[inner].tolist(),
                forest.threshold[inner],
                np.array(bits, dtype),
                value,
            )
        )
    return plan


_WORDS = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (MAX_LEAVES, np.uint64))


def _by_tree(tree: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(tree, kind="stable")
    return order, np.flatnonzero(np.diff(tree[order])) + 1


@dataclass(slots=True)
class _Grower:
    """Growth in progress: pairs of (record, node) for every node that may still split."""

    x: FloatArray
    weight: Float64  # (n, 2): weight of a record as negative, as positive
    n_tried: int
    min_leaf: int
    rng: np.random.Generator
    tree: list[Ints] = field(default_factory=list)
    column: list[Ints] = field(default_factory=list)
    threshold: list[FloatArray] = field(default_factory=list)
    left: list[Ints] = field(default_factory=list)
    value: list[FloatArray] = field(default_factory=list)

    def grow(self, n_trees: int) -> Forest:
        """Return the trees."""
        n = len(self.x)
        records, starts = np.tile(np.arange(n), n_trees), np.arange(n_trees) * n
        tree, made = np.arange(n_trees), n_trees
        n_leaves = np.ones(n_trees, np.int64)
        while len(tree):
            sums = np.add.reduceat(self.weight[records], starts)
            split, column, threshold, right = self._split(records, starts, sums)
            split &= _within_budget(tree, split, n_leaves)
            n_leaves += np.bincount(tree[split], minlength=n_trees)
            left = np.where(split, made + 2 * (np.cumsum(split) - 1), -1)
            self.tree.append(tree)
            self.column.append(np.where(split, column, -1))
            self.threshold.append(np.where(split, threshold, 0).astype(np.float32))
            self.left.append(left)
            self.value.append((sums[:, 1] / sums.sum(axis=1)).astype(np.float32))
            records, starts = _children(records, starts, split, right)
            tree, made = np.repeat(tree[split], 2), made + 2 * int(split.sum())
        return Forest(
            np.concatenate(self.tree),
            np.concatenate(self.column),
            np.concatenate(self.threshold),
            np.concatenate(self.left),
            np.concatenate(self.value),
        )

    def _split(
        self, records: Ints, starts: Ints, sums: Float64
    ) -> tuple[Bools, Ints, FloatArray, Bools]:
        sizes = np.diff(np.append(starts, len(records)))
        node = np.repeat(np.arange(len(starts)), sizes)
        splits = (sums.min(axis=1) > 0) & (sizes >= 2 * self.min_leaf)
        column, threshold = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.float32)
        right = np.zeros(len(records), np.bool_)
        if not splits.any():
            return splits, column, threshold, right
        mine = splits[node]
        which, part = records[mine], sizes[splits]
        begin = np.concatenate([[0], np.cumsum(part)[:-1]])
        ok, c, t, r = self._best(which, begin, part, sums[splits])
        column[splits], threshold[splits], right[mine] = c, t, r
        splits[splits] = ok
        return splits, column, threshold, right

    def _best(
        self, records: Ints, starts: Ints, sizes: Ints, sums: Float64
    ) -> tuple[Bools, Ints, FloatArray, Bools]:
        """Return for each node: whether it can split, the best try's column and threshold."""
        values = self.x[records]
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        key = self.rng.random(low.shape, dtype=np.float32)
        key[low == high] = 2  # a constant column is not a try
        tried = np.argpartition(key, self.n_tried - 1, axis=1)[:, : self.n_tried]
        rows = np.arange(len(starts))[:, None]
        low, high = low[rows, tried], high[rows, tried]
        place = self.rng.random(low.shape, dtype=np.float32)
        threshold = np.minimum(low + place * (high - low), np.nextafter(high, low))
        node = np.repeat(np.arange(len(starts)), sizes)
        right = values[np.arange(len(records))[:, None], tried[node]] > threshold[node]
        weight = self.weight[records]
        to_right = np.stack(
            [np.add.reduceat(right * weight[:, k : k + 1], starts) for k in (0, 1)], axis=2
        )
        n_right = np.add.reduceat(right, starts, dtype=np.int64)
        gain = _purity(to_right) + _purity(sums[:, None] - to_right)
        small = np.minimum(n_right, sizes[:, None] - n_right) < self.min_leaf
        gain[small | (low == high)] = -1
        best = gain.argmax(axis=1)
        at = (np.arange(len(starts)), best)
        return gain[at] >= 0, tried[at], threshold[at], right[np.arange(len(right)), best[node]]


def grow_forest(
    x: FloatArray,
    weight: Float64,
    *,
    n_trees: int,
    n_tried: int,
    min_leaf: int,
    rng: np.random.Generator,
) -> Forest:
    """Return extremely randomised trees that tell positive from negative weight.

    Args:
        x: (n, d) float32, finite; without a column each tree is one leaf.
        weight: (n, 2) weight of each record as a negative and as a positive.
        n_trees: number of trees.
        n_tried: random columns (not constant in the node) tried at each node, 1 .. d.
        min_leaf: records that each side of a split keeps at least.
        rng: source of every draw.
    """
    if not x.shape[1]:
        x = np.zeros((len(x), 1), np.float32)
    tried = max(1, min(n_tried, x.shape[1]))
    return _Grower(x, weight, tried, max(1, min_leaf), rng).grow(n_trees)


def _purity(sums: Float64) -> Float64:
    total = sums.sum(axis=2)
    share = np.divide((sums**2).sum(axis=2), total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(share)


def _within_budget(tree: Ints, split: Bools, n_leaves: Ints) -> Bools:
    order = np.cumsum(split) - 1  # nodes lie by tree: count each tree's own splits
    first = np.searchsorted(tree, tree)
    before = np.concatenate([[0], np.cumsum(split)])[first]
    return np.asarray(n_leaves[tree] + (order - before) < MAX_LEAVES)


def _children(records: Ints, starts: Ints, split: Bools, right: Bools) -> tuple[Ints, Ints]:
    sizes = np.diff(np.append(starts, len(records)))
    kept = np.repeat(split, sizes)
    child = 2 * np.repeat(np.cumsum(split) - 1, sizes)[kept] + right[kept]
    order = np.argsort(child, kind="stable")
    counts = np.bincount(child, minlength=2 * int(split.sum()))
    return records[kept][order], np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
