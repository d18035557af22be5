"""Distances between records whose values may be unknown.

References:
    Aggarwal, Hinneburg and Keim, "On the Surprising Behavior of Distance Metrics in High
    Dimensional Space", ICDT 2001, section 3: city-block distances keep their contrast where
    Euclidean ones lose it. Departure: the mean over the columns known on both sides.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.features.reference import Z_LIMIT
from inoculate.task import FloatArray

_PAIRS = 262_144  # pairs at a time: a block of pairs stays in the cache
_COARSEST = 4  # steps a unit; below, whole numbers are too rough and float32 is used

Cells = npt.NDArray[np.float32] | npt.NDArray[np.int16]


def nearest(x: FloatArray, points: FloatArray, *, unmatched: float) -> FloatArray:
    """Return each record's mean absolute difference to its nearest point, (n,).

    Only columns known on both sides count. O(n m d).

    Args:
        x: (n, d) float32 within ``Z_LIMIT``, NaN where unknown.
        points: (m, d) likewise, m > 0.
        unmatched: distance of a pair that has no known column in common.
    """
    out = np.empty(len(x), np.float32)
    rows = max(1, _PAIRS // len(points))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        out[start : start + rows] = distances(block, points, unmatched=unmatched).min(axis=1)
    return out


def distances(x: FloatArray, points: FloatArray, *, unmatched: float) -> FloatArray:
    """Return mean absolute differences of all pairs, (n, m); see ``nearest``.

    Up to 680 columns values are rounded to steps that let a whole sum fit 16 bits: three times
    as fast, and off by about 0.001 in the mean.
    """
    d = x.shape[1]
    scale = int(32_767 // (2 * Z_LIMIT * max(d, 1)))
    a, b = (_cells(v, scale) for v in (x, points))
    known_x, known_p = np.asarray(np.isfinite(x.T)), np.asarray(np.isfinite(points.T))
    whole_x, whole_p = _whole(known_x), _whole(known_p)
    total: Any = np.zeros((len(points), len(x)), a.dtype)  # records lie whole: long inner loops
    step = np.empty_like(total)
    for j in range(d):
        np.subtract(a[j], b[j][:, None], out=step)
        np.abs(step, out=step)
        if not whole_x[j]:
            np.multiply(step, known_x[j], out=step)
        if not whole_p[j]:
            np.multiply(step, known_p[j][:, None], out=step)
        total += step
    mean = total.T / np.float32(max(scale, 1) if scale >= _COARSEST else 1)
    if all(whole_x) and all(whole_p):
        return np.asarray(mean / max(d, 1), np.float32)
    count = known_x.T.astype(np.float32) @ known_p.astype(np.float32)
    np.divide(mean, count, out=mean, where=count > 0)
    mean[count == 0] = unmatched
    return np.asarray(mean, np.float32)


def _cells(x: FloatArray, scale: int) -> Cells:
    """Return columns, (d, n), unknown as 0: in whole steps where they are fine enough."""
    values = np.nan_to_num(x.T, nan=0.0)
    if scale < _COARSEST:
        return np.ascontiguousarray(values)
    return np.rint(np.clip(values, -Z_LIMIT, Z_LIMIT) * scale).astype(np.int16, order="C")


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


def _whole(known: npt.NDArray[np.bool_]) -> list[bool]:
    return [bool(column.all()) for column in known]
