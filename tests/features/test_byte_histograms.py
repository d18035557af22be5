"""Histograms of bytes against a slow reading of their definition."""

import math
from collections import Counter

import numpy as np
import pytest

from inoculate.features import byte_histograms
from inoculate.features.byte_histograms import byte_entropy, byte_shares, counted, entropy


def slow_byte_entropy(data: bytes) -> list[float]:
    n_steps = -(-len(data) // 1024)
    total = Counter()
    for k in range(max(1, n_steps - 1)):
        window = data[1024 * k : 1024 * k + 2048]
        nibbles = Counter(b >> 4 for b in window)
        shares = [n / len(window) for n in nibbles.values()]
        bits = -sum(p * math.log2(p) for p in shares) * 2
        for nibble, n in nibbles.items():
            total[min(15, int(bits * 2)), nibble // 4] += n
    return [total[i, j] / total.total() for i in range(16) for j in range(4)]


@pytest.mark.parametrize("size", [1, 5, 1023, 1024, 1025, 2048, 3000, 10_001])
def test_bytes_by_entropy_are_as_defined(size):
    rng = np.random.default_rng(size)
    data = (rng.integers(0, 256, size) & rng.choice([0x0F, 0xFF, 0xF0], size)).astype(np.uint8)
    np.testing.assert_allclose(byte_entropy(data), slow_byte_entropy(data.tobytes()), atol=1e-12)


def test_blocks_do_not_show(monkeypatch):
    data = np.random.default_rng(0).integers(0, 256, 20_000).astype(np.uint8)
    data[:9000] //= 5
    expected = byte_entropy(data), counted(data)
    for block in (1024, 2048, 4096):
        monkeypatch.setattr(byte_histograms, "_BLOCK", block)
        np.testing.assert_allclose(byte_entropy(data), expected[0], atol=1e-12)
        np.testing.assert_array_equal(counted(data), expected[1])


def test_one_and_all_bytes_have_known_entropies():
    assert entropy(counted(np.zeros(100, np.uint8))) == 0
    assert entropy(counted(np.arange(256, dtype=np.uint8))) == pytest.approx(8)
    assert entropy(np.zeros(256, np.int64)) == 0


def test_shares_sum_to_one_and_nothing_has_none():
    shares = byte_shares(counted(np.array([0, 7, 8, 255], np.uint8)))
    assert shares[[0, 1, 31]].tolist() == [0.5, 0.25, 0.25]
    assert byte_shares(np.zeros(256, np.int64)).sum() == 0
    assert byte_entropy(np.zeros(0, np.uint8)).sum() == 0
