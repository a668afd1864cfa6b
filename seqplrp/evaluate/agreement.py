"""How alike are two maps of the same input? Correlations, distance, and the overlap of what is highest.

Every function takes two maps (N, L), leaves positions in ``ignore`` out, and gives one value per row. A value is NaN
where it is undefined: where nothing is counted, or one of the maps has no shape (is constant for correlations, 0 for
the others).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, as_mask, ratio, scaled_to_one

TOP = 0.1
"""Share of the positions that `top_overlap` looks at unless told."""


def pearson(a: Any, b: Any, *, ignore: Any = None) -> FloatArray:
    """Correlation of the values."""
    first, second, counted = _both(a, b, ignore)
    return _correlation(scaled_to_one(first), scaled_to_one(second), counted)


def spearman(a: Any, b: Any, *, ignore: Any = None, size: bool = False) -> FloatArray:
    """Correlation of the ranks of the values, or of |r| with `size`; equal values share the mean of their ranks."""
    first, second, counted = _both(a, b, ignore)
    if size:
        first, second = np.abs(first), np.abs(second)
    return _correlation(_ranks(first, counted), _ranks(second, counted), counted)


def cosine(a: Any, b: Any, *, ignore: Any = None) -> FloatArray:
    """Cosine of the angle between the maps; unlike a correlation it knows where 0 is."""
    first, second, _ = _both(a, b, ignore)
    first, second = scaled_to_one(first), scaled_to_one(second)
    return ratio((first * second).sum(axis=1), np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1)))


def relative_l1(a: Any, b: Any, *, ignore: Any = None) -> FloatArray:
    """Distance ``2 sum |a - b| / (sum |a| + sum |b|)``: 0 for equal maps, 2 where none of their mass is common."""
    first, second, _ = _both(a, b, ignore)
    scale = np.maximum(np.abs(first).max(axis=1), np.abs(second).max(axis=1))[:, None]
    first, second = (ratio(values, scale) for values in (first, second))  # NaN where both are 0
    return ratio(2 * np.abs(first - second).sum(axis=1), np.abs(first).sum(axis=1) + np.abs(second).sum(axis=1))


def top_overlap(a: Any, b: Any, *, ignore: Any = None, top: float = TOP) -> FloatArray:
    """Share of the k positions of largest |r| that two maps have in common.

    k is `top` of the counted positions (1 at least), but no more than either map has nonzero positions: which of many
    zeros come next would be chance. With ties at the edge it is the expected share under random order within ties, each
    map's by itself. Two unrelated maps share k/n on average.

    Parameters
    ----------
    a, b : array-like, shape (N, L)
    ignore : array-like of bool, shape (N, L), optional
    top : float
        Above 0 and at most 1.
    """
    if not 0 < top <= 1:
        raise SeqplrpError("top", f"is {top}", "give a share above 0 and at most 1, such as 0.1")
    first, second, counted = _both(a, b, ignore)
    first, second = np.abs(first), np.abs(second)
    nonzero = np.minimum((first > 0).sum(axis=1), (second > 0).sum(axis=1))
    k = np.minimum(np.maximum(1, np.floor(top * counted.sum(axis=1) + 0.5)), nonzero).astype(np.int64)
    both = _chance_at_top(first, k) * _chance_at_top(second, k)
    return ratio(both.sum(axis=1), k)


def _both(a: Any, b: Any, ignore: Any) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return both maps, 0 where they are not counted, and the mask of what is."""
    first, second = as_map(a, "a"), as_map(b, "b")
    if first.shape != second.shape:
        raise SeqplrpError("b", f"has shape {second.shape}, a has {first.shape}", "pass maps of the same inputs")
    counted = ~as_mask(ignore, (first.shape[0], first.shape[1]), "ignore")
    return np.where(counted, first, 0.0), np.where(counted, second, 0.0), counted


def _correlation(a: FloatArray, b: FloatArray, counted: BoolArray) -> FloatArray:
    n = counted.sum(axis=1, keepdims=True)
    centred = []
    flat = np.zeros(len(a), dtype=bool)
    for values in (a, b):
        mean = ratio(np.where(counted, values, 0.0).sum(axis=1, keepdims=True), n)
        centred.append(np.where(counted, values - mean, 0.0))
        # A constant has no correlation; told by its values, since its mean may be off by a rounding.
        low = np.where(counted, values, np.inf).min(axis=1)
        flat |= low == np.where(counted, values, -np.inf).max(axis=1)
    first, second = centred
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return ratio((first * second).sum(axis=1), size, ~flat)


def _ranks(values: FloatArray, counted: BoolArray) -> FloatArray:
    """Mean ranks of the counted values of each row."""
    from scipy.stats import rankdata

    ranks: FloatArray = rankdata(np.where(counted, values, np.inf), axis=1)  # the others rank behind all of these
    return ranks


def _chance_at_top(size: FloatArray, k: np.ndarray) -> FloatArray:
    """Chance of each position to be among the k largest of its row when ties are in random order."""
    if size.shape[1] == 0:
        return size
    last = np.take_along_axis(-np.sort(-size, axis=1), np.maximum(k - 1, 0)[:, None], axis=1)  # the k-th largest
    above, level = size > last, size == last
    left = k - above.sum(axis=1)
    chance: FloatArray = above + level * ratio(left, level.sum(axis=1))[:, None]
    return chance
