"""The open flows: found by key, changed in place, so that a block costs what it touches."""

import numpy as np

from inoculate.features.flows.flow_boundaries import is_closed
from inoculate.features.flows.flow_state import State, new_state, take
from inoculate.features.flows.packets import Ints, Words

NO_ROW = -1
_SMALLEST = 1024


class FlowTable:
    """Rows of flow states, at most one a key.

    A row keeps its place until it is removed; freed rows are used again, and the table grows by
    half when there are none. A sorted index leads from key to row.
    """

    def __init__(self) -> None:
        self._state = new_state(0)
        self._keys = np.empty(0, np.uint64)
        self._rows = np.empty(0, np.int64)
        self._free = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Return the number of flows."""
        return len(self._keys)

    def find(self, keys: Words) -> Ints:
        """Return each key's row, or ``NO_ROW``."""
        if not len(self._keys):
            return np.full(len(keys), NO_ROW)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._rows[place], NO_ROW)

    def column(self, name: str, rows: Ints) -> Ints:
        """Return one column of some rows."""
        values: Ints = self._state[name][rows]
        return values

    def take(self, rows: Ints) -> State:
        """Return a copy of some rows."""
        return take(self._state, rows)

    def put(self, rows: Ints, state: State) -> None:
        """Replace rows by new states of the same keys."""
        for name, values in state.items():
            self._state[name][rows] = values

    def add(self, state: State) -> None:
        """Add flows whose keys are not in the table and differ from each other."""
        n = len(state["key"])
        self._grow(n)
        rows, self._free = self._free[:n], self._free[n:]
        self.put(rows, state)
        order = np.argsort(state["key"])
        keys = state["key"][order]
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._rows = np.insert(self._rows, place, rows[order])

    def remove(self, rows: Ints) -> None:
        """Free some rows."""
        if len(rows):
            gone = np.zeros(len(self._state["key"]), np.bool_)
            gone[rows] = True
            keep = ~gone[self._rows]
            self._keys, self._rows = self._keys[keep], self._rows[keep]
            self._free = np.concatenate([self._free, rows])

    def due(self, now: int, idle: int, linger: int) -> Ints:
        """Return the rows quiet at ``now`` for ``linger`` ticks if closed, else ``idle``."""
        quiet = now - self._state["seen"][self._rows]
        closed = is_closed(self._state["closing"][self._rows])
        return self._rows[quiet >= np.where(closed, linger, idle)]

    def quietest(self, n: int) -> Ints:
        """Return the n rows that were last seen the longest ago."""
        seen = self._state["seen"][self._rows]
        return self._rows[np.argsort(seen, kind="stable")[:n]]

    def rows(self) -> Ints:
        """Return all rows in use."""
        return self._rows

    def _grow(self, n: int) -> None:
        lacking = n - len(self._free)
        if lacking > 0:
            have = len(self._state["key"])
            more = max(lacking, have // 2, _SMALLEST)
            # One column at a time, so that not all of them are held twice.
            for name, values in new_state(more).items():
                self._state[name] = np.concatenate([self._state[name], values])
            self._free = np.concatenate([self._free, np.arange(have, have + more)])
