"""Decoding: each encoding by example, layers, and the limits that hostile text meets."""

import base64
from html.entities import html5

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inoculate.features.text.decoding import (
    DECODING_COLUMNS,
    MOST_LAYERS,
    decode,
    decode_texts,
    decoding_shape,
)
from inoculate.features.text.text_shape import MOST_CHARS


def b64(text, encoding="utf-8"):
    return base64.b64encode(text.encode(encoding)).decode()


@pytest.mark.parametrize(
    "text, plain, counts",
    [
        ("a%20b%3D1", "a b=1", (2, 0, 0, 0)),
        ("%C3%A9 %F1", "é ñ", (2, 0, 0, 0)),
        ("%c0%af..%c0%ae", "/...", (2, 0, 0, 0)),
        ("%u0027%U003c", "'<", (1, 0, 0, 0)),
        ("100% %zz %4", "100% %zz %4", (0, 0, 0, 0)),
        ("&lt;b&#62;&#x41;", "<b>A", (0, 3, 0, 0)),
        ("a=1&copy=2&lt;", "a=1&copy=2<", (0, 1, 0, 0)),
        ("&#0;&#xd800;&#1114112;", "\0\ufffd\ufffd", (0, 3, 0, 0)),
        (r"\u003cb\u{1F600}", "<b😀", (0, 0, 2, 0)),
        (r"\ud83d\ude00 \ud800", "😀 \ufffd", (0, 0, 2, 0)),
        (r"\x41\x42\101\102", "ABAB", (0, 0, 2, 0)),
        (r"C:\x86\tool C:\101", r"C:\x86\tool C:\101", (0, 0, 0, 0)),
        (f"echo {b64('whoami; id -a')}", "echo whoami; id -a", (0, 0, 0, 1)),
        (b64("Get-Item 'a'", "utf-16-le"), "Get-Item 'a'", (0, 0, 0, 1)),
        (f"/x/{b64('<?php system(1);')}", "/x/<?php system(1);", (0, 0, 0, 1)),
        (b64("<?php echo 'é';").rstrip("="), "<?php echo 'é';", (0, 0, 0, 1)),
        ("/usr/local/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages", (0,) * 4),
        ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef", (0,) * 4),
        ("internationalization_of_things", "internationalization_of_things", (0,) * 4),
    ],
)
def test_each_encoding_is_undone(text, plain, counts):
    found = decode(text)
    assert (found.text, found.counts) == (plain, counts)
    assert found.layers == (1 if any(counts) else 0)


def test_layers_are_undone_one_after_another_up_to_three():
    text = "'"
    for layers in range(1, 6):
        text = text.replace("%", "%25") if layers > 1 else "%27"
        found = decode(text)
        assert found.layers == min(layers, MOST_LAYERS)
        assert (found.text == "'") == (layers <= MOST_LAYERS)


def test_encodings_may_be_mixed():
    inner = b64("<script>alert(1)</script>")
    assert decode(inner.replace("=", "%3D")).text == "<script>alert(1)</script>"
    assert decode("&#37;3c").text == "<"


def test_plus_is_a_blank_in_forms_only():
    assert decode("a+b%2Bc", plus=True).text == "a b+c"
    assert decode("a+b").text == "a+b"


def nested(n):
    text = "whoami"
    for _ in range(n):
        text = b64(text)[: 3 * MOST_CHARS]
    return text


@pytest.mark.parametrize(
    "bomb",
    [
        *("%25" * 9_000, "%" + "25" * 9_000 + "41", "&#" * 9_000, "\\u" * 9_000, "&" * 9_000),
        *("\\x41" * 9_000, "a/" * 9_000, "%u0025" * 5_000, "A" * 30_000, nested(20)),
        *("&lt;" * 9_000, b64("A" * 20_000), "\\u{" * 9_000, "=" * 30_000, "&nGt;" * 9_000),
    ],
)
def test_a_bomb_stays_within_the_limits(bomb):
    found = decode(bomb)
    assert len(found.text) <= MOST_CHARS and found.layers <= MOST_LAYERS
    assert sum(found.counts) <= MOST_LAYERS * 4 * MOST_CHARS


@given(st.text(max_size=60) | st.text("%25&#x41;\\u{}=+/Aa0-_", max_size=60))
@example("&NotNestedGreaterGreater;" * 3)
def test_any_text_is_decoded_within_the_limits(text):
    found = decode(text)
    assert len(found.text) <= len(text) and 0 <= found.layers <= MOST_LAYERS
    assert (found.layers == 0) == (not any(found.counts))
    found.text.encode()  # no half surrogates
    again = decode_texts(pl.Series([text, None, text]))
    assert again["text"].to_list() == [found.text, None, found.text]
    assert again["layers"].to_list() == [found.layers, 0, found.layers]


def test_no_name_of_a_character_is_shorter_than_what_it_stands_for():
    assert all(len(text) <= len(name) + 1 for name, text in html5.items())


def test_a_series_is_decoded_as_each_text_is_and_stays_as_it_was():
    texts = pl.Series(["a%20b", "plain", None, "x+y", "p+q"])
    decoded = decode_texts(texts, plus=pl.Series([False, False, False, False, True]))
    assert decoded["text"].to_list() == ["a b", "plain", None, "x+y", "p q"]
    assert decoded["percent"].to_list() == [1, 0, 0, 0, 0]
    assert texts.to_list() == ["a%20b", "plain", None, "x+y", "p+q"]


def test_figures_of_decoding_by_hand():
    texts = pl.Series(["%41%20%2541", "", None])
    x = decoding_shape(texts, decode_texts(texts))
    assert x.shape == (3, len(DECODING_COLUMNS))
    assert x[0].tolist() == [2.0, 2.0, 0.0, 0.0, 0.0, pytest.approx(3 / 11)]
    assert x[1].tolist() == [0, 0, 0, 0, 0, 1]
    assert np.isnan(x[2]).all()
