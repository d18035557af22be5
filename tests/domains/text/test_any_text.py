"""What every format of texts promises of any text at all."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inoculate.domain import Batch
from inoculate.domains.text.commands import Commands
from inoculate.domains.text.domain_names import DomainNames
from inoculate.domains.text.http_requests import HttpRequests
from inoculate.domains.text.urls import Urls

DOMAINS = [Commands, DomainNames, HttpRequests, Urls]
TEXTS = (
    st.text(max_size=40)
    | st.text("aZ0./\\:@?=&%+-_'\"[]()<>{}$;|^`\0\n xn", max_size=60)
    | st.just(None)
)
NASTY = [
    *("xn--" * 200, "http://" * 500, "[" * 9_000, "%25" * 9_000, "a." * 5_000, "?&=" * 5_000),
    *("GET /" + "/" * 9_000, "GET " * 3_000, "'+'" * 5_000, "\\\\" * 5_000, "\U0010ffff" * 9_000),
    *("@" * 9_000, "1." * 9_000, "-" * 9_000, "0" * 70_000, "\0" * 9_000, " " * 9_000),
]


def encode(domain, texts):
    batch = Batch(pl.DataFrame({"text": texts}, schema={"text": pl.String}))
    return domain.encode(batch, domain.views(batch))


@pytest.mark.parametrize("kind", DOMAINS)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@example(texts=NASTY)
@settings(max_examples=60, deadline=None)
def test_any_text_is_encoded_alone_as_among_others(kind, texts):
    domain = kind()
    whole = encode(domain, texts)
    for i, text in enumerate(texts):
        for name, view in encode(domain, [text]).items():
            np.testing.assert_array_equal(view[0], whole[name][i])
            assert np.isnan(view).all() == (text is None)
            assert not np.isinf(view).any()


@pytest.mark.parametrize("kind", DOMAINS)
@given(text=st.text(min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_every_hashed_column_that_counts_something_can_be_quoted(kind, text):
    domain = kind()
    x = encode(domain, [text])
    for hashed in domain.hashed:
        row = x[hashed.view.name][0]
        for i in (*np.flatnonzero(row)[:3], *np.flatnonzero(row == 0)[:3]):
            quoted = domain.quote({"text": text}, hashed.view.columns[i].name)
            assert bool(quoted) == bool(row[i])


@pytest.mark.parametrize("kind", DOMAINS)
def test_no_text_at_all_is_no_row(kind):
    assert encode(kind(), []).n_records == 0


@pytest.mark.parametrize("kind", DOMAINS)
def test_a_record_has_at_most_640_columns_of_unique_names(kind):
    views = kind().views(Batch(pl.DataFrame({"text": ["a"]})))
    names = [c.name for v in views for c in v.columns]
    assert len(names) == len(set(names)) <= 640
