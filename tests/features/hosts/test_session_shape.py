"""Sessions as numbers, by hand."""

import numpy as np
import polars as pl

from inoculate.features.hosts.session_shape import (
    SHAPE,
    line_words,
    session_shape,
    template_words,
)

AT = {c.name: i for i, c in enumerate(SHAPE.columns)}


def test_the_shape_by_hand():
    frame = pl.DataFrame(
        {
            "templates": [["login failed", "login failed", "ERROR disk", "ok"]],
            "after_s": [[0.0, 3.0, None, 10.0]],
            "named": [True],
            "goes_on": [False],
            "n_new": [1],
        }
    )
    (row,) = session_shape(frame)
    expected = {
        "length": np.log2(5), "distinct": 0.75, "distinct_pairs": 1.0, "entropy": 1.5,
        "repeats": 1 / 3, "top": 0.5, "says_fatal_share": 0.0, "says_error_share": 0.25,
        "says_warning_share": 0.0, "says_failed_share": 0.5, "says_denied_share": 0.0,
        "duration": np.log2(11), "longest_gap": 3.0, "named": 1.0, "goes_on": 0.0,
        "new_share": 0.25,
    }  # fmt: skip
    np.testing.assert_allclose(row, [expected[c.name] for c in SHAPE.columns], rtol=1e-6)


def test_what_a_frame_lacks_is_unknown():
    frame = pl.DataFrame({"templates": [["a"], [], None]})
    shape = session_shape(frame)
    unknown = [AT[n] for n in ("duration", "longest_gap", "named", "goes_on", "new_share")]
    assert np.isnan(shape[:, unknown]).all()
    assert np.isfinite(shape[0, AT["top"]])
    assert np.isnan(shape[2]).all()
    alone = session_shape(frame.with_columns(after_s=pl.Series([[5.0], [], [None]])))
    np.testing.assert_array_equal(alone[0, [AT["duration"], AT["longest_gap"]]], [0.0, np.nan])


def test_times_that_go_back_are_no_negative_gap():
    frame = pl.DataFrame({"templates": [["a", "b"]], "after_s": [[0.0, -7.0]]})
    (row,) = session_shape(frame)
    assert (row[AT["duration"]], row[AT["longest_gap"]]) == (3.0, 0.0)


def test_words_of_each_kind_of_line_count_once_a_session():
    fields = template_words(pl.Series([["a=b c", "a=b c", "d"], None, ["d"]]))
    assert fields.counts().tolist() == [2, 0, 1]
    assert line_words("user", "bob from <ip> port <num>") == [
        "user", "bob", "from", "<ip>", "port", "<num>",
    ]  # fmt: skip
