"""What all domains of texts share, on a small one."""

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Column, View
from inoculate.errors import RecordError
from inoculate.features.hashing import hashed_view
from inoculate.features.text.text_domain import (
    HashedView,
    TextDomain,
    finished,
    refuse,
    with_client,
)

SHAPE = View("shape", (Column("length", "character", "length"), Column("one", "1", "one")))
GRAMS = HashedView(hashed_view("gram", 64, "characters"), (1, 2))
WORDS = HashedView(hashed_view("word", 64, "words"), (1,), of_tokens=True)


class Small(TextDomain):
    kind, unit, shape_view, hashed = "small", "text", SHAPE, (GRAMS, WORDS)

    def sniff(self, source):
        return 0.0

    def read(self, source, *, on_bad=None):
        yield from ()

    def parts(self, frame):
        text = frame["text"]
        lengths = text.str.len_chars().cast(pl.Float32).to_numpy()
        shape = np.stack([lengths, np.ones_like(lengths)], axis=1)
        return shape, {"gram": text, "word": text.str.split(" ")}


def batch(*texts):
    frame = pl.DataFrame({"origin": [str(i) for i in range(len(texts))], "text": texts})
    return Batch(frame)


def test_views_are_the_shape_and_the_hashed_ones():
    assert [v.name for v in Small().views(batch("a"))] == ["shape", "gram", "word"]
    x = Small().encode(batch("a b", "c"), Small().views(batch("a")))
    assert {k: v.shape for k, v in x.items()} == {"shape": (2, 2), "gram": (2, 64), "word": (2, 64)}


def test_wanted_columns_only_and_unknown_ones_as_nan():
    wanted = View("shape", (Column("new", "1", "new"), SHAPE.columns[0]))
    x = Small().encode(batch("abc"), (wanted, View("other", SHAPE.columns)))
    np.testing.assert_array_equal(x["shape"], [[np.nan, 3]])
    assert np.isnan(x["other"]).all() and list(x) == ["other", "shape"]


def test_a_frame_without_text_is_refused_by_name():
    with pytest.raises(RecordError, match=r"a:1: column 'text' is missing; has origin"):
        Small().encode(Batch(pl.DataFrame({"origin": ["a:1"]})), (SHAPE,))


def test_hashed_columns_are_quoted_in_the_records_words():
    record = {"text": "whoami whoami " + "x" * 40}
    x = Small().encode(batch(record["text"]), (WORDS.view, GRAMS.view))
    quotes = {Small().quote(record, WORDS.view.columns[i].name) for i in np.flatnonzero(x["word"])}
    assert quotes == {"'whoami'", "'" + "x" * 24 + "'"}
    for i in np.flatnonzero(x["gram"]):
        pieces = Small().quote(record, GRAMS.view.columns[i].name).split("' '")
        assert 1 <= len(pieces) <= 4
    assert Small().quote(record, "length") == "" == Small().quote({"text": None}, "gram_00")


def test_rows_get_their_place_and_time():
    frame = pl.DataFrame({"text": list("abc"), "n": [3, 4, 5], "timestamp": ["1.5", "x", "inf"]})
    out = finished(frame, "a.csv", "n")
    assert out["origin"].to_list() == ["a.csv:3", "a.csv:4", "a.csv:5"]
    assert out["ts"].to_list() == [1.5, None, None] and "n" not in out.columns
    late = finished(frame.with_columns(timestamp=pl.lit("1767322800500")), "a", "n", mark="#")
    assert late["ts"][0] == 1767322800.5 and late["origin"][0] == "a#3"
    assert "ts" not in finished(frame.drop("timestamp"), "a", "n").columns


def test_refused_rows_name_their_line():
    frame = pl.DataFrame({"text": ["a", "b", None], "n": [3, 4, 5]})
    rest, (error,) = refuse(frame, pl.col("text") == "b", "is b", "x", "n")
    assert rest["n"].to_list() == [3, 5] and str(error) == "x:4: is b"
    rest, errors = refuse(frame, pl.col("text") == "z", "is z", "x", "n")
    assert rest.height == 3 and not errors


def test_who_asked_is_known_where_a_column_says_it():
    frame = pl.DataFrame({"text": ["a"], "id.orig_h": ["192.0.2.1"]})
    assert with_client(frame)["client"].to_list() == ["192.0.2.1"]
    assert with_client(frame.drop("id.orig_h"))["client"].to_list() == [None]
