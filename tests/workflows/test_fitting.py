"""Which columns a detector looks at, and how it is checked."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.domain import Column, View
from inoculate.learners.k_nearest import KNearest
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.fitting import fit

VIEW = View(
    "v",
    (
        Column("size", "byte", "size"),
        Column("gap", "s", "gap"),
        Column("busy", "1", "busy", context=True),
    ),
)


def support(*, size_tells, k=5, m=300):
    """Return examples that differ in ``busy``, and in ``size`` when ``size_tells``."""
    rng = np.random.default_rng(0)
    background = rng.normal(size=(m, 3)).astype(np.float32)
    examples = rng.normal(size=(k, 3)).astype(np.float32)
    examples[:, 2] += 30
    examples[:, 0] += 30 * size_tells
    x = Encoded({"v": examples})
    return Support(Labelled(x, np.zeros(k, np.int64)), Encoded({"v": background}), ("t",))


def names(fitted):
    return [c.name for view in fitted.views for c in view.columns]


def test_context_is_left_out_where_the_records_tell_enough_themselves():
    fitted = fit(KNearest(), [VIEW], support(size_tells=True), rate=0.01, seed=0)
    assert names(fitted) == ["size", "gap"]
    assert fitted.found(0.01) == 5
    assert not fitted.notes


def test_context_is_taken_where_the_records_do_not_tell_and_the_user_is_told():
    fitted = fit(KNearest(), [VIEW], support(size_tells=False), rate=0.01, seed=0)
    assert names(fitted) == ["size", "gap", "busy"]
    assert "do not suffice" in fitted.notes[0]


@pytest.mark.parametrize(("context", "n"), [("yes", 3), ("no", 2)])
def test_the_user_decides_about_context(context, n):
    s = support(size_tells=False)
    fitted = fit(KNearest(), [VIEW], s, rate=0.01, seed=0, context=context)
    assert len(names(fitted)) == n


def test_a_column_that_one_side_never_knows_is_left_out_and_said():
    s = support(size_tells=True)
    x = s.examples.x["v"].copy()
    x[:, 1] = np.nan
    s = replace(s, examples=Labelled(Encoded({"v": x}), s.examples.y))
    fitted = fit(KNearest(), [VIEW], s, rate=0.01, seed=0)
    assert names(fitted) == ["size"]
    assert fitted.notes == ("1 of 3 columns are unknown on one side and left out",)


def test_an_example_is_judged_without_itself():
    """Four examples far out and one amid the background: only that one is not found."""
    s = support(size_tells=True)
    x = s.examples.x["v"].copy()
    x[4] = 0.0
    s = replace(s, examples=Labelled(Encoded({"v": x}), s.examples.y))
    fitted = fit(KNearest(), [VIEW], s, rate=0.01, seed=0, context="no")
    assert fitted.left_out == (0, 1, 2, 3, 4)
    assert fitted.found(0.01) == 4
    assert fitted.p_values[4] > 0.05


def test_an_only_example_cannot_be_left_out():
    fitted = fit(KNearest(), [VIEW], support(size_tells=True, k=1), rate=0.01, seed=0)
    assert fitted.left_out == ()
    assert names(fitted) == ["size", "gap"]
