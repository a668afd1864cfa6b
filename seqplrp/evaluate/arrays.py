"""What every measure takes: maps and masks, checked once and brought to one form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def as_map(values: Any, name: str = "relevance") -> FloatArray:
    """Bring per-base relevance to a finite float64 array (N, L).

    Parameters
    ----------
    values : array-like or torch.Tensor, shape (N, L) or (L,)
        One row per sequence.
    name : str
        What to call it in an error.

    Raises
    ------
    SeqplrpError
        If it has another number of axes, has no positions, or holds a value that is not finite.
    """
    array = np.atleast_2d(np.asarray(to_host(values), dtype=np.float64))
    if array.ndim != 2 or array.shape[1] == 0:
        raise SeqplrpError(
            name, f"has shape {np.shape(values)}, expected (N, L)", "pass one row of relevance per sequence"
        )
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        bad = int((~np.isfinite(array[row])).sum())
        raise SeqplrpError(
            name,
            f"sequence {row} has {bad} values that are not finite",
            "find out why the explanation broke down before it is scored",
        )
    return array


def as_mask(values: Any, shape: tuple[int, int], name: str) -> BoolArray:
    """Bring a mask to bool (N, L); None is a mask that is False everywhere.

    Raises
    ------
    SeqplrpError
        If the shape is another one, or the values are something else than 0 and 1.
    """
    if values is None:
        return np.zeros(shape, dtype=bool)
    array = np.atleast_2d(np.asarray(to_host(values)))
    if array.shape != shape:
        raise SeqplrpError(
            name, f"has shape {array.shape}, the relevance has {shape}", "pass one value per base of the map"
        )
    if array.dtype != np.bool_:
        if not np.isin(array, (0, 1)).all():
            raise SeqplrpError(name, "holds other values than 0 and 1", "pass a boolean mask")
        array = array.astype(bool)
    return array


def scaled_to_one(values: FloatArray) -> FloatArray:
    """Divide each row by its largest absolute value (rows of zeros stay).

    The measures of mass do not depend on a map's size; at size one neither very small nor very large
    relevance can underflow or overflow when it is squared or summed.
    """
    largest = np.abs(values).max(axis=1, keepdims=True)
    out = np.zeros_like(values)
    np.divide(values, largest, out=out, where=largest > 0)
    return out


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike, defined: npt.ArrayLike = True) -> FloatArray:
    """Divide, with NaN where the quotient is undefined (``defined`` is False or the denominator is 0)."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=out, where=np.asarray(defined, dtype=bool) & (bottom != 0))
    return out


def to_host(values: Any) -> Any:
    """Return a tensor's values as a NumPy array; anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values
