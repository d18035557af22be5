"""Distances between records whose values may be unknown.

References:
    Aggarwal, Hinneburg and Keim, "On the Surprising Behavior of Distance Metrics in High
    Dimensional Space", ICDT 2001, section 3: city-block distances keep their contrast where
    Euclidean ones lose it. Departure: the mean over the columns known on both sides.
"""

import numpy as np
import numpy.typing as npt

from inoculate.task import FloatArray

_PAIRS = 262_144  # pairs at a time: a block of float32 pairs stays in the cache


def nearest(x: FloatArray, points: FloatArray, *, unmatched: float) -> FloatArray:
    """Return each record's mean absolute difference to its nearest point, (n,).

    Only columns known on both sides count. O(n m d).

    Args:
        x: (n, d) float32, NaN where unknown.
        points: (m, d) float32, NaN where unknown, m > 0.
        unmatched: distance of a pair that has no known column in common.
    """
    out = np.empty(len(x), np.float32)
    rows = max(1, _PAIRS // len(points))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        out[start : start + rows] = distances(block, points, unmatched=unmatched).min(axis=1)
    return out


def distances(x: FloatArray, points: FloatArray, *, unmatched: float) -> FloatArray:
    """Return mean absolute differences of all pairs, (n, m); see ``nearest``."""
    total = np.zeros((len(points), len(x)), np.float32)  # records lie whole: long inner loops
    step = np.empty_like(total)
    gaps = np.logical_or(np.isnan(x).any(axis=0), np.isnan(points).any(axis=0)).tolist()
    columns, across = np.ascontiguousarray(x.T), np.ascontiguousarray(points.T)
    for j, gap in enumerate(gaps):
        np.subtract(columns[j], across[j][:, None], out=step)
        np.abs(step, out=step)
        if gap:
            np.fmax(step, 0, out=step)  # NaN adds nothing
        total += step
    if not any(gaps):
        total /= max(len(gaps), 1)
        return total.T
    known = _known(points) @ _known(x).T
    np.divide(total, known, out=total, where=known > 0)
    total[known == 0] = unmatched
    return total.T


def spread_points(points: FloatArray, most: int) -> npt.NDArray[np.intp]:
    """Return indices of at most ``most`` points that cover all, increasing.

    Starts with the point nearest to the origin and goes on with the farthest one left.

    References:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985, section 3.
    """
    if len(points) <= most:
        return np.arange(len(points))
    origin = np.zeros((1, points.shape[1]), np.float32)
    chosen = [int(distances(points, origin, unmatched=0.0).argmin())]
    left = distances(points, points[chosen], unmatched=0.0)[:, 0]
    while len(chosen) < most and left.max() > 0:
        chosen.append(int(left.argmax()))
        last = distances(points, points[chosen[-1:]], unmatched=0.0)[:, 0]
        left = np.minimum(left, last)
    return np.sort(np.array(chosen))


def _known(x: FloatArray) -> FloatArray:
    return (~np.isnan(x)).astype(np.float32)
