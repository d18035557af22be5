"""What adapts when nothing is asked for."""

import polars as pl
import pytest

from inoculate.domain import Batch, Column, View
from inoculate.registry import DOMAINS
from inoculate.workflows.usual import usual

TABLE = (View("table", (Column("a", "1", "a"),)),)


def test_a_kind_s_own_prior_comes_first():
    for examples in (True, False):
        assert usual("domain_name", TABLE, examples=examples) == (None, "domain_names")


def test_pairs_of_code_have_a_prior_and_single_examples_of_it_do_not():
    domain = DOMAINS.load("source")()
    frame = pl.DataFrame({"origin": ["x"], "text": ["f()"], "language": ["c"]})
    views = domain.views(Batch(frame))
    assert usual("code", views, examples=True, twins=True) == (None, "code")
    assert usual("code", views, examples=True) == ("committee", None)


@pytest.mark.parametrize("name", ["urls", "log_lines", "cloud_audit", "pe", "elf"])
def test_hashed_columns_without_a_prior_go_to_the_committee(name):
    domain = DOMAINS.load(name)()
    frame = pl.DataFrame({"origin": ["x"], "text": ["x"]})
    assert usual(domain.kind, domain.views(Batch(frame)), examples=True) == ("committee", None)


def test_a_table_goes_to_trees_and_without_examples_to_auto():
    assert usual("table", TABLE, examples=True) == ("extra_trees", None)
    assert usual("flow", TABLE, examples=False) == (None, "auto")
