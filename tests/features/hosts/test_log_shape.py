"""Shapes of log lines: counted again, slowly, in Python."""

import math
import re

import numpy as np
import polars as pl
import pytest

from inoculate.features.hosts.log_masks import masked, messages, words
from inoculate.features.hosts.log_shape import OF_MASK, OF_MESSAGE, mask_shape, message_shape

LINES = [
    "",
    "abc",
    "7",
    "Failed X for 10.0.0.12 (port 4433)",
    "ünï 7 \t!",
    "0xAB12",
    "\nA\n9",
    None,
]


def slowly(line: str) -> list[float]:
    data = line.replace("\n", " ").encode()
    least = max(1, len(data))
    plain = [chr(b) for b in data]
    runs = [len(r) for r in re.findall(rb"[0-9A-Za-z]+", data)]
    numbers = [len(r) for r in re.findall(rb"[0-9]+", data)]
    symbols = sum(
        b < 128 and not c.isalnum() and c != " " for b, c in zip(data, plain, strict=True)
    )
    return [
        math.log2(1 + len(data)),
        sum(numbers) / least,
        sum(65 <= b < 91 for b in data) / least,
        symbols / least,
        sum(b > 127 for b in data) / least,
        math.log2(1 + max(runs, default=0)),
        max(numbers, default=0),
        math.log2(1 + len(numbers)),
    ]


def test_messages_are_counted_as_python_would():
    x = message_shape(pl.Series(LINES, dtype=pl.String))
    assert x.shape == (len(LINES), len(OF_MESSAGE)) and x.dtype == np.float32
    for row, line in zip(x, LINES, strict=True):
        np.testing.assert_allclose(row, slowly(line or ""), rtol=1e-6, err_msg=repr(line))
    for i, line in enumerate(LINES):
        alone = message_shape(pl.Series([line], dtype=pl.String))
        np.testing.assert_array_equal(alone[0], x[i])


def of_mask(line: str) -> dict[str, float]:
    texts, _ = masked(messages(pl.Series([line])))
    (row,) = mask_shape(texts, words(texts))
    return dict(zip((c.name for c in OF_MASK), row.tolist(), strict=True))


def test_masked_texts_by_hand():
    found = of_mask("ERROR: access denied user=bob from 10.0.0.1 to /etc/shadow at http://a/b '7'")
    ones = {"says_error", "says_denied", "user_parts", "ip_parts", "urls", "paths", "pairs"}
    assert {k for k, v in found.items() if v == 1} == ones
    assert found["quotes"] == pytest.approx(math.log2(3))
    assert found["says_accepted"] == found["hex_parts"] == found["mac_parts"] == 0
    assert of_mask("broken terror")["says_error"] == 0


def test_entropy_is_that_of_the_characters():
    assert of_mask("abab")["entropy"] == pytest.approx(1)
    assert of_mask("aaaa")["entropy"] == of_mask("")["entropy"] == 0
    assert of_mask("abcdefgh")["entropy"] == pytest.approx(3)


def test_no_line_gives_no_row():
    nothing = pl.Series([], dtype=pl.String)
    assert message_shape(nothing).shape == (0, len(OF_MESSAGE))
