"""How far out in the background's tails a record lies, column by column.

References:
    Li et al., "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution
    Functions", TKDE 35, 2023, section 3.2. Departure: the smaller tail of each column counts,
    column by column; the mean, not the sum.
"""

from dataclasses import dataclass

import numpy as np

from inoculate.task import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """A background's columns in order.

    Attributes:
        ordered: (d, m) values without NaN, each column in increasing order.
    """

    ordered: FloatArray

    @classmethod
    def of(cls, background: FloatArray) -> "Tails":
        """Return the tails of a background, (m, d) without NaN."""
        return cls(np.sort(background, axis=0).T)

    def score(self, x: FloatArray, *, own: bool = False) -> FloatArray:
        """Return the mean over columns of -log of the smaller tail's share, (n,).

        Args:
            x: (n, d) without NaN.
            own: they are the background's own records, which do not count themselves.
        """
        m = self.ordered.shape[1] - int(own)
        total = np.zeros(len(x), np.float32)
        for ordered, values in zip(self.ordered, x.T, strict=True):
            below = np.searchsorted(ordered, values, "right") - int(own)
            above = m + int(own) - np.searchsorted(ordered, values, "left") - int(own)
            total -= np.log((np.minimum(below, above) + 1) / (m + 1)).astype(np.float32)
        return total / np.float32(max(len(self.ordered), 1))
