"""Is a map better, or only sparser? Dense maps cut down to another map's sparsity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, as_mask, ratio, scaled_to_one, to_host

MET, SPARSER, DENSER, UNDEFINED = "met", "sparser already", "can't be as sparse", "undefined"
"""What became of a map: brought to the goal, left as it was, cut to its largest value, or without a goal or a shape."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class MatchedSparsity:
    """Maps cut down to given Gini indices.

    Attributes
    ----------
    relevance : ndarray, shape (N, L)
        The maps; what was cut is 0, the rest is as it was. A map without a goal is 0 throughout, so that measures of
        where its relevance lies are undefined: it must not be measured as if it were matched.
    kept : ndarray of bool, shape (N, L)
        What was not cut; zeros of the given maps count as cut.
    gini : ndarray, shape (N,)
        What was reached.
    status : ndarray of str, shape (N,)
        `MET`; `SPARSER`: the map is sparser than the goal already and is left as it is; `DENSER`: the goal lies
        above what even its largest value alone has; `UNDEFINED`: the goal is NaN or the map is 0.
    """

    relevance: FloatArray
    kept: BoolArray
    gini: FloatArray
    status: npt.NDArray[np.str_]

    @property
    def met(self) -> BoolArray:
        """Whether the goal was met, (N,)."""
        return np.asarray(self.status == MET)


def match_gini(relevance: Any, goal: Any, *, ignore: Any = None) -> MatchedSparsity:
    """Set the smallest |r| of every map to 0 until its Gini index is as near to a goal as it can be.

    The index rises with every value that is cut, and is known for every cut at once from the sorted values: so the
    nearest is found exactly. Both signs are cut by size alike, equal sizes together, and the largest size always stays.

    Parameters
    ----------
    relevance : array-like, shape (N, L)
        Per-base relevance.
    goal : float or array-like, shape (N,)
        Gini indices, as `gini` gives them for the maps to be matched; NaN where there is none.
    ignore : array-like of bool, shape (N, L), optional
        Positions that are not counted, and left as they are.

    Returns
    -------
    MatchedSparsity

    Raises
    ------
    SeqplrpError
        If shapes do not fit or a goal lies outside 0 to 1.
    """
    values = as_map(relevance)
    counted = ~as_mask(ignore, (values.shape[0], values.shape[1]), "ignore")
    wanted = _goals(goal, len(values))
    size = np.where(counted, np.abs(scaled_to_one(np.where(counted, values, 0.0))), -1.0)
    ascending = np.sort(size, axis=1)
    steps, possible = _gini_of_cuts(ascending, counted.sum(axis=1))
    away = np.where(possible, np.abs(steps - wanted[:, None]), np.inf)
    # Of two cuts equally near the milder one; where nothing is possible, no cut.
    cut = np.where(np.isnan(away), np.inf, away).argmin(axis=1)[:, None]
    threshold = np.take_along_axis(ascending, cut, axis=1)
    kept = counted & (size >= threshold) & (size > 0)
    lowest, highest = (np.where(possible, steps, edge) for edge in (np.inf, -np.inf))
    low, high = lowest.min(axis=1), highest.max(axis=1)
    undefined = np.isnan(wanted) | ~possible.any(axis=1)
    status = np.select(
        [undefined, wanted < low - _ROUNDING, wanted > high + _ROUNDING], [UNDEFINED, SPARSER, DENSER], MET
    )
    return MatchedSparsity(
        relevance=np.where(undefined[:, None] | (counted & ~kept), 0.0, values),
        kept=kept & ~undefined[:, None],
        gini=np.where(undefined, np.nan, np.take_along_axis(steps, cut, axis=1)[:, 0]),
        status=status,
    )


def _goals(goal: Any, n: int) -> FloatArray:
    given = np.asarray(to_host(goal), dtype=np.float64)
    if given.shape not in ((), (n,)):
        raise SeqplrpError("goal", f"has shape {given.shape} for {n} maps", "give one Gini index a map")
    if ((given < 0) | (given > 1)).any():
        raise SeqplrpError("goal", "holds values outside 0 to 1", "give Gini indices")
    return np.broadcast_to(given, (n,))


def _gini_of_cuts(ascending: FloatArray, n: npt.NDArray[np.int64]) -> tuple[FloatArray, BoolArray]:
    """Gini index when all values before a place are 0, for every place (N, L), and whether one may cut there.

    Values below 0 are not counted; they come first. With T the sum of the values kept and R that of rank times value,
    ranks from 1 to n over all counted values, the index is ``(2 R - (n + 1) T) / (n T)``.
    """
    length = ascending.shape[1]
    rank = np.arange(1, length + 1) - (length - n)[:, None]
    x = np.maximum(ascending, 0.0)
    kept = np.cumsum(x[:, ::-1], axis=1)[:, ::-1]
    ranked = np.cumsum((rank * x)[:, ::-1], axis=1)[:, ::-1]
    size = n[:, None].astype(np.float64)
    steps = ratio(2 * ranked - (size + 1) * kept, size * kept)
    # Only in front of a size that is new: equal sizes are cut together. Zeros are cut in any case.
    new = np.ones(ascending.shape, dtype=bool)
    new[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    return steps, new & (ascending > 0)
