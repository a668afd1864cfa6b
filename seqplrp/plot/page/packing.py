"""Numbers as text that a page can hold: small whole numbers with a scale for each sequence, deflated, in base64."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import numpy.typing as npt

FINE, COARSE = 32767, 127
"""The largest whole number of what is kept in two bytes, and in one."""

BLOCK_POSITIONS = 1 << 16
"""Positions of a block of sequences: what is unpacked at once when one of them is looked at."""

Floats = npt.NDArray[np.float32]


def blocks_of(offsets: npt.NDArray[np.int64], most: int = BLOCK_POSITIONS) -> list[tuple[int, int]]:
    """Cut sequences, one after the other, into blocks of so many positions, or of one sequence if it is longer.

    Parameters
    ----------
    offsets : (N + 1,) array of int
        Where each sequence begins, and where the last ends.
    most : int
        Positions of a block.

    Returns
    -------
    list of (int, int)
        First sequence and one past the last; together they are all of them.
    """
    found, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1
        last = max(first + 1, last)
        found.append((first, last))
        first = last
    return found


def scales(values: npt.ArrayLike, offsets: npt.NDArray[np.int64], levels: int) -> Floats:
    """Return what one step stands for in each sequence, so that its largest |value| is `levels` steps: (N,).

    Parameters
    ----------
    values : (..., total) array
        Flat over all sequences; several rows of one sequence share its scale.
    offsets : (N + 1,) array of int
    levels : int
        `FINE` or `COARSE`.
    """
    size = np.abs(np.asarray(values, dtype=np.float64))
    highest = size if size.ndim == 1 else size.max(axis=tuple(range(size.ndim - 1)))
    top = np.zeros(len(offsets) - 1)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if filled.size:  # reduceat would give an empty sequence its neighbour's value
        top[filled] = np.maximum.reduceat(highest, offsets[:-1][filled])
    # float32 is what the page multiplies by; rounded up, no value is beyond the last level
    steps = (top / levels).astype(np.float32)
    low = steps.astype(np.float64) * levels < top
    steps[low] = np.nextafter(steps[low], np.float32(np.inf))
    return steps


def quantised(values: npt.ArrayLike, offsets: npt.NDArray[np.int64], steps: Floats) -> npt.NDArray[np.int16]:
    """Return values as whole numbers of steps, off by half a step at most; 0 stays 0, and others may become it.

    Parameters
    ----------
    values : (total,) array
    offsets : (N + 1,) array of int
    steps : (N,) array
        From `scales`.
    """
    step = np.repeat(np.where(steps > 0, steps, 1).astype(np.float64), np.diff(offsets))
    return np.rint(np.asarray(values, dtype=np.float64) / step).astype(np.int16)


def packed(*parts: npt.NDArray[np.generic]) -> str:
    """Return arrays, one after the other, deflated (zlib) and in base64.

    Of two- and four-byte numbers the lowest bytes of all come first, then the next: equal bytes then stand together.
    """
    raw = b"".join(_planes(part) for part in parts)
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _planes(part: npt.NDArray[np.generic]) -> bytes:
    little = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
    size = little.dtype.itemsize
    return little.tobytes() if size == 1 else little.reshape(-1).view(np.uint8).reshape(-1, size).T.tobytes()


def profile(values: Floats, offsets: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.int8]:
    """Return each sequence at a glance: the value of largest size in each of so many equal stretches, of -127 to 127.

    Parameters
    ----------
    values : (total,) array
    offsets : (N + 1,) array of int
    bins : int
        Stretches; a sequence of fewer positions repeats them.

    Returns
    -------
    (N, bins) array of int8
    """
    steps = scales(values, offsets, COARSE)
    small = quantised(values, offsets, steps)
    found = np.zeros((len(offsets) - 1, bins), dtype=np.int8)
    for row, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist())):
        length = end - start
        if not length:
            continue
        edges = start + (np.arange(bins) * length) // bins
        here = small[start:end]
        high, low = (np.asarray(f.reduceat(here, edges - start)) for f in (np.maximum, np.minimum))
        found[row] = np.where(high >= -low, high, low)
    return found


def number_list(column: npt.ArrayLike) -> list[float | None]:
    """Return a column of numbers as JSON can hold it: six digits, null for what is not finite."""
    values = np.asarray(column, dtype=np.float64)
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values.tolist()]
