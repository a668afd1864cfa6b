"""Does the model need what the map points at? Deletion and insertion curves (METHODS, section 6).

Positions are put in order of their relevance and replaced, more and more of them, while the explained score is watched.
In a faithful map the score falls at once when the highest positions go first, and stays when the lowest go first; the
area between the two curves (ABPC) is the measure. Insertion starts from a wholly perturbed input and puts the original
positions back.

What "most relevant" means for a signed map: the highest signed value. Positions of negative relevance speak against the
explained score, so they are the least relevant: they go last, and first in the other curve, where a faithful map makes
the score rise above where it began. So ABPC asks for the right signs too. ``order="size"`` ranks by |r| instead and
asks only whether the positions matter.

Equal values are put in random order, anew in every draw: a pruned map has many exact zeros, and an order by position
would be a gift or a punishment. So a map of zeros is the random order, and a truth mask the order of the truth, with
chance inside and outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, ratio
from seqplrp.evaluate.draws import check_draws, check_key, row_generators, seed_from
from seqplrp.evaluate.perturbing import Perturber, fixed_positions, perturbed, positions_of, replaced
from seqplrp.evaluate.scoring import Progress, Score, as_target, batched_scores, check_batch_size, scores_of
from seqplrp.evaluate.statistics import bootstrap_mean

Kind = Literal["deletion", "insertion"]
Order = Literal["signed", "size"]

STEPS: tuple[float, ...] = (*(k / 100 for k in range(1, 11)), *(k / 10 for k in range(2, 10)))
"""Shares of positions at which curves are read: 1 % to 10 %, then 20 % to 90 %."""

EARLY = 0.1
"""The share of positions that the first, steepest part of a curve covers."""

_REPLACEMENTS, _TIES = 1, 2  # which random numbers a key is for

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Curves:
    """Scores as more and more positions are deleted, or inserted; means over the draws.

    Attributes
    ----------
    fractions : ndarray, shape (S,)
        Shares of the counted positions, from 0.
    most, least : ndarray, shape (N, S)
        The score with the most, and the least, relevant positions first.
    abpc : ndarray, shape (N,)
        Area between the two, over the width of `fractions`: so many units of the score they lie apart on average.
        Above 0 where the map is faithful (deletion: least - most; insertion: most - least), 0 in expectation for a
        random order.
    abpc_error : ndarray, shape (N,)
        Its standard error over the draws; NaN where there is one draw.
    """

    fractions: FloatArray
    most: FloatArray
    least: FloatArray
    abpc: FloatArray
    abpc_error: FloatArray

    @property
    def most_area(self) -> FloatArray:
        """Mean height of the curve with the most relevant positions first, (N,)."""
        return area(self.fractions, self.most)

    @property
    def least_area(self) -> FloatArray:
        """Mean height of the curve with the least relevant positions first, (N,)."""
        return area(self.fractions, self.least)

    @property
    def early(self) -> FloatArray:
        """Mean change, over the first tenth of positions, with the most relevant first: (N,), NaN without such steps.

        Above 0 for a rise: deletion gives a negative number for a faithful map.
        """
        first = self.fractions <= EARLY + 1e-9
        if first.sum() < 2:
            return np.full(len(self.most), np.nan)
        return area(self.fractions[first], self.most[:, first]) - self.most[:, 0]


@dataclass(frozen=True)
class Faithfulness:
    """What came of perturbing inputs in the order of one map.

    Attributes
    ----------
    deletion, insertion : Curves or None
        None where it was not asked for.
    start : ndarray, shape (N,)
        The scores of the inputs as they are.
    positions : ndarray of int, shape (N,)
        How many positions were counted; where none was, every value is NaN.
    draws : int
    """

    deletion: Curves | None
    insertion: Curves | None
    start: FloatArray
    positions: IntArray
    draws: int

    def measures(self) -> dict[str, FloatArray]:
        """Give one value per input: keys are the names in `FAITHFULNESS_MEASURES` that were asked for."""
        found: dict[str, FloatArray] = {}
        if self.deletion is not None:
            found["abpc"] = self.deletion.abpc
            found["deletion_most"] = self.deletion.most_area
            found["deletion_least"] = self.deletion.least_area
            found["deletion_early"] = -self.deletion.early
        if self.insertion is not None:
            found["insertion_abpc"] = self.insertion.abpc
            found["insertion_most"] = self.insertion.most_area
            found["insertion_early"] = self.insertion.early
        return found

    def table(self) -> pd.DataFrame:
        """Give all points of all curves: ``kind, order, fraction, input, score``, one row a point of an input."""
        parts = []
        for kind, order, fractions, values in self._lines():
            n, steps = values.shape
            points = {"fraction": np.tile(fractions, n), "input": np.repeat(np.arange(n), steps)}
            parts.append(pd.DataFrame({"kind": kind, "order": order, **points, "score": values.ravel()}))
        return pd.concat(parts, ignore_index=True)

    def _lines(self) -> Iterator[tuple[Kind, Literal["most", "least"], FloatArray, FloatArray]]:
        """Yield each curve that was asked for: its kind, its order, shares (S,) and scores (N, S)."""
        if self.deletion is not None:
            yield "deletion", "most", self.deletion.fractions, self.deletion.most
            yield "deletion", "least", self.deletion.fractions, self.deletion.least
        if self.insertion is not None:
            yield "insertion", "most", self.insertion.fractions, self.insertion.most
            yield "insertion", "least", self.insertion.fractions, self.insertion.least


def faithfulness(
    score: Score,
    x: Tensor,
    target: Any,
    relevance: Any,
    perturb: Perturber,
    *,
    ignore: Any = None,
    kinds: Sequence[Kind] = ("deletion", "insertion"),
    order: Order = "signed",
    steps: Sequence[float] = STEPS,
    draws: int = 10,
    seed: int = 0,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> Faithfulness:
    """Delete and insert positions in the order of their relevance, and watch the explained score.

    Parameters
    ----------
    score : callable
        From inputs (B, ...) and targets (B,) to scores (B,); see `model_score`. Give logits: a probability saturates.
    x : Tensor, shape (N, C, L), (N, C, H, W) or (N, L)
        The explained inputs.
    target : int or (N,) integers
        What was explained, and stays so.
    relevance : array-like, shape (N, L), or None
        Per position; None is the random order. Images: (N, H * W). Other orders to compare with (of ISM, of the truth)
        are maps like any other.
    perturb : callable
        See `Perturber`.
    ignore : array-like of bool, shape (N, L), optional
        Positions that are never perturbed nor counted, beside those that the perturber can't perturb.
    kinds : sequence of {"deletion", "insertion"}
        Insertion shares most of its points with deletion: both cost 1.5 times deletion alone.
    order : {"signed", "size"}
        What makes a position relevant: its signed value, or |r|.
    steps : sequence of float
        Shares of the counted positions, rising, above 0 and at most 1.
    draws : int
        Replacements and orders of ties that are averaged.
    seed : int
        A draw puts the same replacements at the same positions of the same input, whatever the map, so that methods
        can be compared in pairs. Curves do not depend on `batch_size`, but for the rounding of the model's own sums.
    batch_size : int
        Inputs that are scored at a time.
    progress : callable, optional
        Is told (done, total) in scored inputs.

    Returns
    -------
    Faithfulness

    Raises
    ------
    SeqplrpError
        If shapes do not fit, an argument is out of its range, or `score` or `perturb` gives what it must not.

    Notes
    -----
    Areas and the comparison of the two orders follow Samek et al. (IEEE TNNLS 28:2660, 2017) and Bluecher et al. (TMLR
    2024, symmetric relevance gain).
    """
    setting = _Setting.of(x, target, relevance, perturb, ignore, order)
    shares = _check_steps(steps)
    _check_kinds(kinds, order)
    check_draws(draws)
    check_key(seed)
    check_batch_size(batch_size)
    wanted = _wanted(shares, kinds)
    counter = _Counter(progress, len(x) * (1 + draws * _states(wanted)))
    start = batched_scores(score, x, setting.target, batch_size)
    counter.add(len(x))
    points = [_draw(score, setting, perturb, wanted, (seed, d), start, batch_size, counter) for d in range(draws)]
    table = np.stack(points)  # (draws, 2, N, wanted)
    table[:, :, setting.size == 0] = np.nan
    column = {share: i for i, share in enumerate(wanted)}
    found = {}
    for kind in kinds:
        at = [column[share if kind == "deletion" else _rest(share)] for share in shares]
        # What the most relevant do when inserted is what the least relevant do when deleted down to them.
        first, last = (0, 1) if kind == "deletion" else (1, 0)
        found[kind] = _curves(kind, np.array(shares), table[:, first][..., at], table[:, last][..., at])
    return Faithfulness(found.get("deletion"), found.get("insertion"), start, setting.size, draws)


def mean_curves(
    results: Mapping[str, Faithfulness],
    *,
    relative: bool = False,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Average the curves of several maps over the inputs, with bootstrap intervals, to draw or print them.

    Parameters
    ----------
    results : mapping of str to Faithfulness
        By method.
    relative : bool
        Divide each input's curves by the size of its own score before anything is perturbed, so that every input counts
        the same; those whose score is 0 are left out.
    confidence, draws, seed
        Of the percentile interval over inputs. All points see the same draws.

    Returns
    -------
    DataFrame
        ``method, kind, order, fraction, mean, low, high, n, undefined``, one row a point.
    """
    parts = []
    for method, result in results.items():
        for kind, order, fractions, values in result._lines():
            shown = ratio(values, np.abs(result.start)[:, None]) if relative else values
            points = [bootstrap_mean(column, confidence=confidence, draws=draws, seed=seed) for column in shown.T]
            named = pd.DataFrame({"method": method, "kind": kind, "order": order, "fraction": fractions})
            parts.append(pd.concat([named, pd.DataFrame([vars(point) for point in points])], axis=1))
    return pd.concat(parts, ignore_index=True)


def area(fractions: FloatArray, values: FloatArray) -> FloatArray:
    """Area under curves (..., S) by trapezoids, over the width of `fractions` (S,): their mean height."""
    height = (values[..., 1:] + values[..., :-1]) / 2
    total: FloatArray = (height * np.diff(fractions)).sum(axis=-1) / (fractions[-1] - fractions[0])
    return total


@dataclass(frozen=True)
class _Setting:
    """Inputs with their maps, checked."""

    x: Tensor
    target: Tensor
    key: FloatArray  # (N, L), high for what is relevant
    counted: BoolArray  # (N, L)

    @classmethod
    def of(cls, x: Tensor, target: Any, relevance: Any, perturb: Perturber, ignore: Any, order: Order) -> _Setting:
        shape = (len(x), positions_of(x))
        values = np.zeros(shape) if relevance is None else as_map(relevance)
        positions_of(x, values.shape[1])
        if len(values) != len(x):
            raise SeqplrpError("relevance", f"has {len(values)} rows for {len(x)} inputs", "give one row an input")
        key = np.abs(values) if order == "size" else values
        return cls(x, as_target(target, x), key, ~fixed_positions(perturb, x, ignore))

    @property
    def size(self) -> IntArray:
        """Counted positions of each input."""
        return np.asarray(self.counted.sum(axis=1))

    def places(self, key: tuple[int, ...]) -> IntArray:
        """Return each position's place, the most relevant 0; those that are not counted come last."""
        noise = np.stack([generator.random(self.key.shape[1]) for generator in row_generators(self.x, *key)])
        order = np.lexsort((noise, np.where(self.counted, -self.key, np.inf)), axis=-1)
        places: IntArray = np.empty_like(order)
        np.put_along_axis(places, order, np.arange(order.shape[1])[None], axis=1)
        return places


class _Counter:
    """Tells how many inputs have been scored."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)


def _check_steps(steps: Sequence[float]) -> list[float]:
    shares = [0.0, *(round(float(step), 9) for step in steps)]
    if len(shares) < 2 or not all(a < b for a, b in pairwise(shares)) or shares[-1] > 1:
        remedy = "give rising shares above 0 and at most 1, such as 0.01, 0.1"
        raise SeqplrpError("steps", f"are {tuple(steps)}", remedy)
    return shares


def _check_kinds(kinds: Sequence[Kind], order: Order) -> None:
    if isinstance(kinds, str) or not kinds or not set(kinds) <= {"deletion", "insertion"}:
        raise SeqplrpError("kinds", f"is {kinds!r}", 'give ("deletion", "insertion") or one of them')
    if order not in ("signed", "size"):
        raise SeqplrpError("order", f"is {order!r}", "choose signed or size")


def _rest(share: float) -> float:
    return round(1 - share, 9)


def _wanted(shares: Sequence[float], kinds: Sequence[Kind]) -> list[float]:
    """Return the shares of positions to perturb from which all curves can be read."""
    deleted = set(shares) if "deletion" in kinds else {0.0}
    return sorted(deleted | ({_rest(share) for share in shares} if "insertion" in kinds else set()))


def _states(wanted: Sequence[float]) -> int:
    """Return how many perturbed inputs a draw has: two for each share, but one where all is perturbed."""
    return sum(1 if share == 1 else 2 for share in wanted if share > 0)


def _draw(
    score: Score,
    setting: _Setting,
    perturb: Perturber,
    wanted: Sequence[float],
    key: tuple[int, int],
    start: FloatArray,
    batch_size: int,
    counter: _Counter,
) -> FloatArray:
    """Score one draw: (2, N, shares) with the most, then the least, relevant positions perturbed."""
    whole = perturbed(perturb, setting.x, seed_from(*key, _REPLACEMENTS))
    places = torch.from_numpy(setting.places((*key, _TIES))).to(setting.x.device)
    size = setting.size[:, None]
    count = np.floor(np.array(wanted) * size + 0.5).astype(np.int64)  # (N, shares)
    inner = [i for i, share in enumerate(wanted) if share > 0]
    # The k least relevant are the places from n - k on; where all go, both orders are one.
    twice = [i for i in inner if wanted[i] < 1]
    low = np.concatenate([np.zeros_like(count[:, inner]), (size - count)[:, twice]], axis=1)
    high = np.concatenate([count[:, inner], np.broadcast_to(size, (len(size), len(twice)))], axis=1)
    found = _score_ranges(score, setting, whole, places, low, high, batch_size, counter)
    values = np.repeat(start[None, :, None], len(wanted), axis=2).repeat(2, axis=0)
    values[0][:, inner] = values[1][:, inner] = found[:, : len(inner)]
    values[1][:, twice] = found[:, len(inner) :]
    return values


def _score_ranges(
    score: Score,
    setting: _Setting,
    whole: Tensor,
    places: Tensor,
    low: IntArray,
    high: IntArray,
    batch_size: int,
    counter: _Counter,
) -> FloatArray:
    """Score every input with the places from low to high perturbed, for each column of both, in full batches."""
    device = setting.x.device
    rows = torch.arange(len(low)).repeat_interleave(low.shape[1]).to(device)
    first, last = (torch.from_numpy(np.ascontiguousarray(edge).ravel()).to(device) for edge in (low, high))
    found = np.empty(len(rows))
    for begin in range(0, len(rows), batch_size):
        part = slice(begin, begin + batch_size)
        row = rows[part]
        place = places[row]
        gone = (place >= first[part, None]) & (place < last[part, None])
        found[part] = scores_of(score, replaced(setting.x[row], whole[row], gone), setting.target[row])
        counter.add(len(row))
    return found.reshape(low.shape)


def _curves(kind: Kind, shares: FloatArray, most: FloatArray, least: FloatArray) -> Curves:
    """Average draws (D, N, S)."""
    between = area(shares, most - least) * (-1 if kind == "deletion" else 1)
    draws = len(between)
    error = np.full(between.shape[1], np.nan) if draws < 2 else between.std(axis=0, ddof=1) / np.sqrt(draws)
    return Curves(shares, most.mean(axis=0), least.mean(axis=0), between.mean(axis=0), error)
