"""Which bases a share of an order takes away, and what stands in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Masks = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

UNKNOWN = 4


def order_of(importance: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Order each row's positions from the highest value down, equal values at random: (N, L)."""
    values = np.asarray(importance)
    return np.asarray(np.lexsort((rng.random(values.shape), -values), axis=-1))


def top_mask(order: npt.NDArray[np.intp], codes: Codes, percent: float) -> Masks:
    """Mark the first `percent` of each sequence's known bases in an order, at least one: (N, L).

    Unknown bases (N) are passed over: there is nothing to replace.
    """
    known = np.take_along_axis(codes, order, axis=1) < UNKNOWN
    wanted = np.maximum(1, np.round(percent / 100 * known.sum(axis=1, keepdims=True)))
    taken = known & (known.cumsum(axis=1) <= wanted)
    mask = np.zeros(codes.shape, dtype=bool)
    np.put_along_axis(mask, order, taken, axis=1)
    return mask


def replaced_at(codes: Codes, mask: Masks, composition: Floats, rng: np.random.Generator) -> Codes:
    """Draw the masked bases anew, independently of what they were: one that must differ would tell what was there."""
    drawn = codes.copy()
    drawn[mask] = rng.choice(4, size=int(mask.sum()), p=composition)
    return drawn


def mask_alone(mask: Masks) -> Codes:
    """Write a mask as codes that a DNA model reads: A where it is, N (a column of zeros) elsewhere."""
    return np.where(mask, 0, UNKNOWN).astype(np.uint8)
