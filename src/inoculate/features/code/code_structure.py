"""The structure of many parsed records at once: steps in their trees, and counts of nodes.

One table holds the nodes of all records one after another, so that NumPy is asked a few times
for a megabyte of code and not a dozen times for each function.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.features.code.code_known import step_texts
from inoculate.features.code.code_roles import role, role_names
from inoculate.features.code.code_schema import ROLES, SIZES
from inoculate.features.hashing import MOST_TOKENS, Rows

Counts = npt.NDArray[np.float64]
_BODY, _PARAMS, _NAME = map(role, ("body", "params", "name"))
_GIVEN = 5


@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """The nodes of n records.

    Attributes:
        role, parent, stop: as in ``code_tree.Nodes``, (nodes,), each record counted from 0.
        sizes: (n, 5 + kinds) nodes, nodes before the text, lines, bytes and depth of each
            record, and how many facts it has of the kinds of ``code_schema.KINDS``.
        owner: (nodes,) the record of each node.
        first: (n,) the first node of each record.
    """

    role: Rows
    parent: Rows
    stop: Rows
    sizes: Rows
    owner: Rows
    first: Rows

    @classmethod
    def of(cls, columns: Sequence[Sequence[int]], sizes: Rows) -> "NodeTable":
        """Return a table of role, parent and stop of the nodes of all records."""
        n_nodes = sizes[:, 0]
        owner = np.repeat(np.arange(len(sizes)), n_nodes)
        first = np.cumsum(n_nodes) - n_nodes
        roles, parents, stops = (np.array(c, np.int64) for c in columns)
        return cls(roles, parents, stops, sizes, owner, first)

    def keys(self, *, in_order: bool = False) -> tuple[Rows, Rows]:
        """Return the steps in the trees as numbers, and the record of each.

        A step is a node with the one above it, or with the one above that; of each record the
        first ``MOST_TOKENS`` are told.

        Args:
            in_order: tell record by record, first each node's near step, then the far ones.
        """
        many = len(role_names())
        least = np.maximum(0, self.sizes[:, 1] - 1)[self.owner]
        inside = np.flatnonzero(self.parent > least)
        owner = self.owner[inside]
        above = self.parent[inside] + self.first[owner]
        further = self.parent[above]
        is_far = further > least[inside]
        its = self.role[inside]
        near = self.role[above] * many + its
        far = (self.role[further[is_far] + self.first[owner[is_far]]] + many) * many + its[is_far]
        told, owners = np.concatenate([near, far]), np.concatenate([owner, owner[is_far]])
        sorted_ = np.bincount(owners, minlength=1) > (-1 if in_order else MOST_TOKENS)
        if not sorted_.any():
            return told, owners
        its = sorted_[owners]
        order = np.flatnonzero(its)[np.argsort(owners[its], kind="stable")]
        some, whose = cut(told[order], owners[order])
        return np.concatenate([told[~its], some]), np.concatenate([owners[~its], whose])

    def steps(self) -> tuple[Rows, Rows, list[str]]:
        """Return each node with the one above it, then each with the one above that.

        Returns:
            the steps of all records one after another as places in the names; how many each
            record has; the names.
        """
        told, owners = self.keys(in_order=True)
        unique, place = np.unique(told, return_inverse=True)
        lengths = np.bincount(owners, minlength=len(self.sizes))
        return place, lengths, step_texts(unique.tolist())

    def shape(self) -> Counts:
        """Return the columns of ``SHAPE`` before the logarithm, (n, columns)."""
        n_groups = len(ROLES) + 1
        place = np.arange(len(self.role)) - self.first[self.owner]
        written = place >= self.sizes[self.owner, 1]
        keys = self.owner * n_groups + _groups()[self.role]
        counted = np.bincount(keys[written], minlength=len(self.sizes) * n_groups)
        n_nodes, before, lines, n_bytes, depth = self.sizes[:, :_GIVEN].T
        sizes = {
            "lines": lines,
            "bytes": n_bytes,
            "nodes": n_nodes - before,
            "depth": depth,
            "parameters": self._parameters(),
            "deepest_block": self._deepest(),
        }
        told = [sizes[name] for name in SIZES]
        of_roles = counted.reshape(-1, n_groups)[:, 1:]
        return np.column_stack([*told, of_roles, self.sizes[:, _GIVEN:]]).astype(np.float64)

    def _parameters(self) -> Rows:
        """Return how many names are in the first list of parameters."""
        out = np.zeros(len(self.sizes), np.int64)
        records, at = np.unique(self.owner[lists := self._where(_PARAMS)], return_index=True)
        first = lists[at]
        n_names = np.concatenate([[0], np.cumsum(self.role == _NAME)])
        out[records] = n_names[self.stop[first] + self.first[records]] - n_names[first]
        return out

    def _deepest(self) -> Rows:
        """Return how deep blocks are inside each other."""
        out = np.zeros(len(self.sizes), np.int64)
        at = self._where(_BODY)
        owners = self.owner[at]
        stops = (self.stop[at] + self.first[owners]).tolist()
        open_until: list[int] = []
        for i, owner, stop in zip(at.tolist(), owners.tolist(), stops, strict=True):
            while open_until and open_until[-1] <= i:
                open_until.pop()
            open_until.append(stop)
            out[owner] = max(out[owner], len(open_until))
        return out

    def _where(self, code: int) -> Rows:
        return np.flatnonzero(self.role == code)


def cut(values: Rows, owners: Rows) -> tuple[Rows, Rows]:
    """Return the first ``MOST_TOKENS`` values of each owner, and their owners, in order."""
    lengths = np.bincount(owners, minlength=1)
    if lengths.max() <= MOST_TOKENS:
        return values, owners
    rank = np.arange(len(values)) - (np.cumsum(lengths) - lengths)[owners]
    return values[rank < MOST_TOKENS], owners[rank < MOST_TOKENS]


_GROUP: list[int] = []


def _groups() -> Rows:
    """Return by role the number of the column of ``ROLES`` that counts it, from 1; 0 for none."""
    if len(_GROUP) < len(role_names()):
        column = {name: i for i, (_, some) in enumerate(ROLES.values(), 1) for name in some}
        _GROUP[:] = [column.get(name, 0) for name in role_names()]
    return np.array(_GROUP, np.int64)
