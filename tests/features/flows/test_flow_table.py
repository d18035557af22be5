"""The table of open flows against a dict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inoculate.features.flows.flow_state import new_state
from inoculate.features.flows.flow_table import NO_ROW, FlowTable


def flows(keys, numbers):
    state = new_state(len(keys))
    state["key"], state["number"] = np.array(keys, np.uint64), np.array(numbers, np.int64)
    state["seen"] = state["number"]
    return state


@given(st.lists(st.lists(st.integers(0, 40), max_size=30, unique=True), max_size=20))
def test_it_holds_what_a_dict_would(steps):
    table, known, count = FlowTable(), {}, 0
    for keys in steps:
        rows = table.find(np.array(keys, np.uint64))
        assert [r != NO_ROW for r in rows] == [k in known for k in keys]
        old = [k for k in keys if k in known]
        assert table.take(rows[rows != NO_ROW])["number"].tolist() == [known[k] for k in old]
        table.remove(rows[rows != NO_ROW][::2])
        for k in old[::2]:
            del known[k]
        new = {k: count + i for i, k in enumerate(keys) if k not in known}
        count += len(keys)
        table.add(flows(list(new), list(new.values())))
        known |= new
        assert len(table) == len(known)
        rows = table.rows()
        pairs = zip(table.column("key", rows), table.column("number", rows), strict=True)
        assert dict(pairs) == known


def test_rows_grow_beyond_the_first_and_freed_ones_are_used_again():
    table = FlowTable()
    table.add(flows(range(5000), range(5000)))
    table.remove(table.find(np.arange(4000, dtype=np.uint64)))
    table.add(flows(range(6000, 9999), range(3999)))
    assert len(table) == 4999
    assert table.rows().max() < 5000
    assert table.column("number", table.find(np.array([4999, 9998], np.uint64))).tolist() == [
        4999, 3998,
    ]  # fmt: skip


def test_the_quietest_and_the_due_are_found():
    table = FlowTable()
    table.add(flows([9, 8, 7], [30, 10, 20]))
    assert table.column("number", table.quietest(2)).tolist() == [10, 20]
    assert sorted(table.column("number", table.due(40, 20, 5)).tolist()) == [10, 20]
    state = table.take(table.find(np.array([9], np.uint64)))
    state["closing"][:] = 4
    table.put(table.find(np.array([9], np.uint64)), state)
    assert len(table.due(40, 20, 5)) == 3
