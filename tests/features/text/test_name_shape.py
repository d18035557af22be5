"""Names of hosts: their parts, and their columns by hand."""

import numpy as np
import polars as pl
import pytest

from inoculate.features.text.name_shape import (
    LONGEST_NAME,
    NAME_COLUMNS,
    name_shape,
    split_names,
    suffix_tokens,
)


def shape(name):
    row = name_shape(split_names(pl.Series([name], dtype=pl.String)))[0]
    return dict(zip([c.name for c in NAME_COLUMNS], row.tolist(), strict=True))


@pytest.mark.parametrize(
    "name, stem, suffix, tokens",
    [
        ("WWW.Example.COM.", "www.example", "com", ["com"]),
        ("shop.example.co.uk", "shop.example", "co.uk", ["co.uk", "uk"]),
        ("com.br", "com", "br", ["br"]),
        ("example.com.info", "example.com", "info", ["info"]),
        ("localhost", "localhost", "", []),
        ("", "", "", []),
        ("a.", "a", "", []),
        ("x..", "x", "", []),
    ],
)
def test_a_name_is_split_from_what_it_is_registered_under(name, stem, suffix, tokens):
    parts = split_names(pl.Series([name]))
    assert parts["stem", "suffix"].row(0) == (stem, suffix)
    assert suffix_tokens(parts).to_list() == [tokens]


def test_columns_by_hand():
    x = shape("the-q9.aab12.co.uk")
    expected = {
        "length": 18, "labels": 4, "suffix_length": 5, "stem_length": 12, "longest_label": 6,
        "letters": 7 / 11, "digits": 3 / 11, "vowels": 3 / 7, "hex": 7 / 11, "rare": 1 / 7,
        # of th, he, aa, ab two are common
        "common_pairs": 2 / 4, "distinct": 10 / 11, "commonest": 2 / 11,
        "entropy": 9 / 11 * np.log2(11) + 2 / 11 * np.log2(11 / 2),
        "hyphens": 1, "underscores": 0, "longest_consonants": 2, "consonant_runs": 3,
        "longest_vowels": 2, "longest_number": 2, "numbers": 2, "longest_repeat": 2,
        "non_ascii": 0, "punycode": 0,
    }  # fmt: skip
    assert x == pytest.approx(expected, rel=1e-5)


def test_punycode_is_decoded_and_what_is_none_stays():
    x = shape("xn--mnchen-3ya.example")
    assert x["length"] == len("münchen.example") and x["non_ascii"] == 1 and x["punycode"] == 1
    assert x["longest_label"] == 7
    for bad in (
        "xn--\x00.com",
        "xn--99999999.com",
        "xn--" + "a" * 80 + ".com",
        "xn--é.com",
        "xn--",
    ):
        assert np.isfinite(shape(bad)["length"])


def test_null_is_unknown_and_the_empty_name_is_known():
    assert all(np.isnan(v) for v in shape(None).values())
    x = shape("")
    assert x["length"] == x["labels"] == x["entropy"] == 0 and np.isnan(x["digits"])


def test_what_is_beyond_the_longest_name_does_not_count():
    assert shape("a" * LONGEST_NAME) == pytest.approx(shape("a" * 999), nan_ok=True)
