"""Byte entropy and printable share, by hand and against the definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inoculate.features.byte_statistics import MOST_BYTES, byte_statistics


def statistics(strings):
    data = np.frombuffer(b"".join(strings) + b"\0", np.uint8)
    size = np.array([len(s) for s in strings], np.int64)
    return byte_statistics(data, np.cumsum(size) - size, size)


def test_known_strings_by_hand():
    entropy, printable = statistics([b"aaaa", b"abcd", b"ab\n\x80", b"", bytes(range(256))])
    assert entropy.tolist() == pytest.approx([0, 2, 2, math.nan, 8], nan_ok=True)
    assert printable.tolist() == pytest.approx([1, 1, 0.5, math.nan, 95 / 256], nan_ok=True)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=20))
def test_any_strings_agree_with_the_definition(strings):
    entropy, printable = statistics(strings)
    for i, string in enumerate(strings):
        head = string[:MOST_BYTES]
        if not head:
            assert math.isnan(entropy[i]) and math.isnan(printable[i])
            continue
        shares = [head.count(b) / len(head) for b in set(head)]
        assert entropy[i] == pytest.approx(-sum(p * math.log2(p) for p in shares), abs=1e-9)
        assert printable[i] == pytest.approx(sum(32 <= b < 127 for b in head) / len(head))


def test_many_strings_are_handled_in_parts():
    entropy, _ = statistics([bytes([i % 7]) * (i % 5 + 1) + b"x" for i in range(3000)])
    expected = [-(p * math.log2(p) + (1 - p) * math.log2(1 - p)) for p in (1 / 2, 1 / 3)]
    assert entropy[[0, 2991]].tolist() == pytest.approx([expected[0], expected[1]])
