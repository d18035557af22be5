"""Which columns a detector may look at."""

import numpy as np

from inoculate.domain import Column, View
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.columns import blank, both_sides_know, narrow, without_context

NAN = np.nan
VIEW = View(
    "v", (Column("a", "1", "a"), Column("b", "1", "b"), Column("c", "1", "c", context=True))
)


def support(examples, background):
    x = Encoded({"v": np.array(examples, np.float32)})
    y = np.zeros(x.n_records, np.int64)
    return Support(Labelled(x, y), Encoded({"v": np.array(background, np.float32)}), ("t",))


def test_a_column_that_one_side_never_knows_is_not_kept():
    s = support([[1, NAN, 3], [NAN, NAN, 3]], [[1, 2, 3], [NAN, 2, NAN]])
    assert both_sides_know([VIEW], s)["v"].tolist() == [True, False, True]


def test_context_columns_are_told_by_their_flag():
    assert without_context([VIEW])["v"].tolist() == [True, True, False]


def test_narrowing_drops_columns_and_blanking_hides_them():
    s = support([[1, 2, 3]], [[4, 5, 6]])
    keep = {"v": np.array([True, False, True])}
    views, narrowed = narrow([VIEW], s, keep)
    assert [c.name for c in views[0].columns] == ["a", "c"]
    assert narrowed.background["v"].tolist() == [[4, 6]]
    hidden = blank(s, keep)
    assert np.isnan(hidden.examples.x["v"][0, 1])
    assert hidden.background["v"][0, 0] == 4
