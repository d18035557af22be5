"""How a file's bytes are spread: shares, entropy, and bytes by the entropy around them.

References:
    Saxe and Berlin, "Deep Neural Network Based Malware Detection Using Two Dimensional Binary
    Program Features", MALWARE 2015, section 3.1 (windows of bytes by their entropy).
    Anderson and Roth, "EMBER: An Open Dataset for Training Static PE Malware Machine Learning
    Models", arXiv:1804.04637, section 3.2: windows of 2048 bytes every 1024, entropy of the
    upper four bits times 2, 16 x 16 bins. Departures: 16 rows of entropy are kept, four
    neighbours of the 16 upper-bit columns are summed, which leaves 64; a byte histogram of 32
    columns, each of eight neighbouring bytes; shares, not counts; the last window of a
    file may be shorter.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

SHARES = 32
"""Columns of the byte histogram."""
STEP = 1_024
"""Bytes from window to window; a window is two steps."""
_BLOCK = 4 << 20


def counted(data: Bytes) -> npt.NDArray[np.int64]:
    """Return how often each byte occurs, (256,)."""
    total = np.zeros(256, np.int64)
    for start in range(0, len(data), _BLOCK):  # bincount widens its input to 8 bytes each
        total += np.bincount(data[start : start + _BLOCK], minlength=256)
    return total


def entropy(counts: npt.NDArray[np.int64]) -> float:
    """Return the entropy of a histogram in bits; 0 for an empty one."""
    n = int(counts.sum())
    if not n:
        return 0.0
    p = counts[counts > 0] / n
    return max(0.0, float(-(p * np.log2(p)).sum()))


def byte_shares(counts: npt.NDArray[np.int64]) -> Float64:
    """Return the share of each eight neighbouring bytes, (32,), sum 1; zeros without bytes."""
    return np.asarray(counts.reshape(SHARES, -1).sum(axis=1) / max(1, int(counts.sum())))


def byte_entropy(data: Bytes) -> Float64:
    """Return the share of bytes by entropy of their window and by their two upper bits, (64,).

    Column 4 i + j: window entropy i / 2 to (i + 1) / 2 bits (upper four bits, times 2, 0 to 8),
    bytes 64 j to 64 j + 63. Every byte counts once for each window that it is in.
    """
    total = np.zeros((16, 4))
    # a block reads one step over its end, so that the window over the border is whole
    for start in range(0, max(1, len(data) - STEP), _BLOCK):
        total += _block(data[start : start + _BLOCK + STEP])
    return np.asarray(total.ravel() / max(1.0, total.sum()))


def _block(data: Bytes) -> Float64:
    n_steps = -(-len(data) // STEP)
    cell = np.zeros(n_steps * STEP, np.intp)
    cell[: len(data)] = data >> 4
    cell = (cell.reshape(-1, STEP) + np.arange(0, n_steps * 16, 16)[:, None]).ravel()
    counts = np.bincount(cell[: len(data)], minlength=n_steps * 16).reshape(-1, 16)
    windows = counts[:-1] + counts[1:] if n_steps > 1 else counts
    n = windows.sum(axis=1, keepdims=True)
    p = windows / np.maximum(n, 1)
    bits = -(p * np.log2(p, where=p > 0, out=np.zeros_like(p))).sum(axis=1) * 2
    row = np.clip((bits * 2).astype(np.int64), 0, 15)
    out = np.zeros((16, 16))
    np.add.at(out, row, windows)
    return np.asarray(out.reshape(16, 4, 4).sum(axis=2))
