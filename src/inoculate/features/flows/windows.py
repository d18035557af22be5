"""Statistics of many overlapping windows at once, exact: sums of whole numbers that are subtracted.

A window is rows ``first`` to ``last`` of one array, both included.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_UNIT = 2.0**30
_TICKS_PER_S = (2.0**22, 2.0**12, 2.0**2)
_LONGEST_SPAN = 2.0**32


class Counts:
    """How often each row's size class is among some rows before it.

    Counts of four classes share a 64-bit word: windows are shorter than 2**16 rows, so that
    differences of the running sums are exact even where the sums themselves overflow.
    """

    def __init__(self, classes: npt.NDArray[np.int8]) -> None:
        n = len(classes)
        kind = (classes + 1).astype(np.int64)  # 0 is unknown
        self._shift = ((kind & 3) << 4).astype(np.uint64)
        self._word = (kind >> 2) * (n + 1)
        table = np.zeros((int(kind.max(initial=0)) // 4 + 1, n + 1), np.uint64)
        table.ravel()[self._word + np.arange(1, n + 1)] = np.uint64(1) << self._shift
        self._sums = np.cumsum(table, axis=1).ravel()

    def between(self, start: Ints, stop: Ints) -> Ints:
        """Return for each row how many of rows ``start`` to ``stop`` - 1 have its class."""
        words = self._sums[self._word + stop] - self._sums[self._word + start]
        return _low_16(words >> self._shift)

    def unknown(self, start: Ints, stop: Ints) -> Ints:
        """Return for each row how many of rows ``start`` to ``stop`` - 1 have no class."""
        return _low_16(self._sums[stop] - self._sums[start])


def _low_16(words: npt.NDArray[np.uint64]) -> Ints:
    return np.asarray(words & np.uint64(0xFFFF), np.int64)


def entropy(known: npt.NDArray[np.bool_], counts: Counts, firsts: Ints, gone: Ints) -> Floats:
    """Return log2 N - sum c log2 c / N over the size classes in each row's window, in bits.

    The sum is kept up as rows enter and leave, in whole units of 2**-30: no error adds up, and
    a window of one class has entropy 0 exactly.
    """
    rows = np.arange(len(known))
    entering, leaving = counts.between(firsts, rows), counts.between(rows, gone) - 1
    n = rows + 1 - firsts - counts.unknown(firsts, rows + 1)
    c = np.arange(int(n.max(initial=0)) + 2)
    c_log_c = np.rint(c * np.log2(np.maximum(c, 1)) * _UNIT).astype(np.int64)
    growth = np.diff(c_log_c, append=0)
    gained = np.cumsum(growth[entering * known] * known)
    lost = np.concatenate([[0], np.cumsum(growth[leaving * known] * known)])
    bits = (c_log_c[n] - (gained - lost[firsts])) / (np.maximum(n, 1) * _UNIT)
    return np.where(n > 0, bits, np.nan)


class Gaps:
    """Regularity of the gaps between consecutive rows of a window.

    Squared gaps are summed as whole numbers of ticks modulo 2**64, so that differences of the
    running sums are exact, also for small gaps after huge ones. The tick (2**-22 s, the step of
    a float64 near today's times) is 2**10 or 2**20 times as long where a window lasts so long
    that its sum could overflow.
    """

    def __init__(self, t: Floats) -> None:
        self._ticks, self._sums = [], []
        for per_s in _TICKS_PER_S:
            ticks = np.rint(t * per_s).astype(np.int64)
            gaps = np.diff(ticks, prepend=ticks[:1]).view(np.uint64)
            self._ticks.append(ticks)
            self._sums.append(np.cumsum(gaps * gaps))

    def regularity(self, first: Ints, last: Ints) -> Floats:
        """Return 1 / (1 + s / m) of the gaps from row ``first`` to ``last``, 1 for a beacon.

        NaN for fewer than three rows, when all are at one time, or over 34 years apart.
        """
        span, squares = self._between(0, first, last)
        long = np.flatnonzero(span >= _LONGEST_SPAN)
        for level in range(1, len(_TICKS_PER_S)):
            span[long], squares[long] = self._between(level, first[long], last[long])
            long = long[span[long] >= _LONGEST_SPAN]
        span[long] = 0
        n_gaps = last - first
        mean = np.where((n_gaps >= 2) & (span > 0), span, np.nan) / np.maximum(n_gaps, 1)
        variance = np.maximum(squares / np.maximum(n_gaps, 1) - mean * mean, 0.0)
        return np.asarray(1.0 / (1.0 + np.sqrt(variance) / mean))

    def _between(self, level: int, first: Ints, last: Ints) -> tuple[Floats, Floats]:
        ticks, sums = self._ticks[level], self._sums[level]
        return (ticks[last] - ticks[first]).astype(float), (sums[last] - sums[first]).astype(float)
