"""Entropy and printable share of many short byte strings at once."""

import numpy as np
import numpy.typing as npt

MOST_BYTES = 256
"""How many bytes of a string count."""
_AT_ONCE = 1024

_COUNTS = np.arange(MOST_BYTES + 1, dtype=np.float64)
_C_LOG_C = _COUNTS * np.log2(np.maximum(_COUNTS, 1))


def byte_statistics(
    data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], size: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return byte entropy (bits, 0-8) and share of printable ASCII (0x20-0x7e) of each string.

    Args:
        data: what the strings lie in.
        at: (n,) where each begins.
        size: (n,) bytes of each; at most the first ``MOST_BYTES`` count. 0 gives NaN.
    """
    size = np.minimum(size, MOST_BYTES)
    entropy, printable = np.full(len(at), np.nan), np.full(len(at), np.nan)
    rows = np.flatnonzero(size)
    for some in np.split(rows, range(_AT_ONCE, len(rows), _AT_ONCE)):
        n = size[some]
        before = np.cumsum(n) - n
        place = np.repeat(at[some] - before, n) + np.arange(n.sum())
        cell = np.repeat(np.arange(len(some)) * 256, n) + data[place]
        counts = np.bincount(cell, minlength=len(some) * 256).reshape(-1, 256)
        # H = log2 n - (sum of c log2 c) / n, with the sum from a table of c = 0..256.
        entropy[some] = np.maximum(np.log2(n) - _C_LOG_C[counts].sum(1) / n, 0.0)
        printable[some] = counts[:, 0x20:0x7F].sum(1) / n
    return entropy, printable
