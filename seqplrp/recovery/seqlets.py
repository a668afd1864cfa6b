"""Where relevance gathers: seqlets of signed tracks, at a stated false discovery rate, dense or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.recovery.seqlet_windows import take_windows

SEQLET_WIDTHS = (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 25)
"""Widths of the windows looked at; what is called is then trimmed, so that it may be of any width up to the last."""

SEQLET_COLUMNS = ("sequence", "start", "end", "sign", "mass", "score", "e_value", "q")

_FEWEST_HIGH = 3  # positions that must be high for relevance to have gathered
_LEAST_SCORE = 3.0  # nats; windows below it are common in any track
_NULL_BASES = 500_000
_MOST_ROUNDS = 100
_TILTS = np.geomspace(1e-2, 1e5, 56)
_GRID = 128  # places of a rate function's table
_TAIL = 100  # null scores that the tail's rate is fitted to
_FLATNESS = 1e-9
_CELLS_AT_ONCE = 1 << 21
_MOST_POOLED = 200_000

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def call_seqlets(
    relevance: Any,
    *,
    null: Any = None,
    fdr: float = 0.05,
    widths: Sequence[int] = SEQLET_WIDTHS,
    seed: int = 0,
) -> pd.DataFrame:
    """Find the stretches in which more relevance gathers than chance would bring together.

    Parameters
    ----------
    relevance : array-like or Tensor, shape (N, L)
        Signed relevance of each position.
    null : array-like or Tensor, shape (M, L), optional
        The same model's and method's maps of sequences without motifs, dinucleotide shuffles best. With them a seqlet
        is what stands out from what the model makes of such sequences, which is the question to ask of dense maps:
        there neighbouring positions share relevance for no better reason than a convolution's width. Without them the
        null is the track itself with its positions in random order, and a seqlet is where relevance gathers at all.
    fdr : float
        Expected share of false ones among the seqlets of each sign, above 0 and at most 1. For motif discovery, where
        false ones fall out when seqlets are clustered, TF-MoDISco takes 0.2; so should a comparison that includes dense
        maps, of which 0.05 leaves much less.
    widths : sequence of int
        Widths of the windows; those wider than L are left out.
    seed : int
        Of the random orders.

    Returns
    -------
    DataFrame
        One row a seqlet, by sequence and start, none overlapping another: ``sequence`` (row number), ``start`` and
        ``end`` (0-based, half-open), ``sign`` (+1 or -1), ``mass`` (signed sum of its relevance), ``score`` (nats),
        ``e_value`` (how many seqlets of this sign the null would give with such a score, in all N sequences together)
        and ``q`` (the lowest `fdr` at which it is still called).

    Raises
    ------
    SeqplrpError
        If the shapes do not fit, a value is not finite, or `fdr` or `widths` are none.

    Notes
    -----
    Scores are of the square roots of relevance, with its sign, of which those above the third largest of the track are
    made equal to it: one value alone is no seqlet, however large, and hides no other. A window of w positions whose
    mean is m scores ``w I(m)``, with I the rate function (Cramer 1938) of the values of its own track, or of all null
    maps: by Chernoff's bound no more than ``exp(-score)`` of windows of values drawn from these score as high. So
    nothing is assumed of the values' distribution: where most are exactly zero, few values in a row score high already,
    and where they are dense, many high ones must come together. Windows are taken greedily, the highest score first,
    none overlapping another, and their ends trimmed to positions above the track's mean (and 0).

    The scores are not trusted but calibrated: the same caller runs on the null, as often as gives half a million bases
    (100 times at the most), and E(s) counts what it calls there, above its hundredth highest score as an exponential
    tail of a rate no higher than Chernoff's. The q-value is the smallest E(t) / #(seqlets of score >= t) over t <= s
    (Benjamini and Hochberg 1995, in its empirical form; Storey and Tibshirani 2003). A random order of a track is as
    probable as the track if its positions are exchangeable, whatever their distribution.
    """
    tracks = _checked(relevance, "relevance")
    maps = None if null is None else _checked(null, "null")
    if maps is not None and maps.shape[1] != tracks.shape[1]:
        what = f"its maps have {maps.shape[1]} positions, those to be searched {tracks.shape[1]}"
        raise SeqplrpError("null", what, "explain shuffles of the same sequences")
    if not 0 < fdr <= 1:
        raise SeqplrpError("fdr", f"is {fdr!r}", "give a rate above 0 and up to 1, such as 0.05")
    fitting = _fitting(widths, tracks.shape[1])
    tamed, tamed_maps = _tamed(tracks), None if maps is None else _tamed(maps)
    called = []
    for sign in (1, -1):
        rng = np.random.default_rng([seed, sign + 1])
        found, expected = _call_one_sign(sign * tamed, None if tamed_maps is None else sign * tamed_maps, fitting, rng)
        q = _q_values(found.score, expected)
        keep = q <= fdr
        table = pd.DataFrame(
            {
                "sequence": found.row[keep],
                "start": found.start[keep],
                "end": found.end[keep],
                "sign": sign,
                "mass": _sums(tracks, found.row[keep], found.start[keep], found.end[keep]),
                "score": found.score[keep],
                "e_value": expected[keep],
                "q": q[keep],
            },
            columns=list(SEQLET_COLUMNS),
        )
        called.append(table.astype({"sign": np.int64}))
    both = pd.concat(called, ignore_index=True)
    return _without_overlaps(both)


def _checked(values: Any, where: str) -> Floats:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        what = f"has shape {array.shape} and dtype {array.dtype}, not numbers of shape (N, L)"
        raise SeqplrpError(where, what, "give relevance summed over the bases, as Explanation.per_base has it")
    if not np.isfinite(array).all():
        raise SeqplrpError(where, "holds NaN or infinite values", "check the model's weights")
    return array.astype(np.float64)


def _tamed(values: Floats) -> Floats:
    """Return signed square roots, those of each sign cut down to their third largest in the track."""
    roots = np.sign(values) * np.sqrt(np.abs(values))
    if roots.shape[1] < _FEWEST_HIGH:
        return np.zeros_like(roots)
    ordered = np.partition(roots, (_FEWEST_HIGH - 1, -_FEWEST_HIGH), axis=1)
    low, high = ordered[:, _FEWEST_HIGH - 1], ordered[:, -_FEWEST_HIGH]
    return np.asarray(np.clip(roots, np.minimum(low, 0.0)[:, None], np.maximum(high, 0.0)[:, None]))


def _fitting(widths: Sequence[int], length: int) -> Integers:
    given = np.unique(np.asarray(widths))
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu" or given[0] < 1:
        raise SeqplrpError("widths", f"are {widths!r}", "give whole numbers of 1 or more")
    return given[given <= length].astype(np.int64)


@dataclass(frozen=True)
class _Found:
    """Windows that were taken, in the order of their rows."""

    row: Integers
    start: Integers
    end: Integers
    score: Floats


@dataclass(frozen=True)
class _Rates:
    """Rate functions: ``table[r, g]`` is I at ``mean + (g / _GRID)^2 span``; one row a track, or one for all.

    The grid is finer near the mean, where the bulk of heavy-tailed values lies.
    """

    mean: Floats  # (R,)
    span: Floats  # (R,), from the mean to the largest value; 0 where the track is flat
    table: npt.NDArray[np.float32]  # (R, _GRID + 2)

    def rows(self, part: slice) -> _Rates:
        return self if len(self.mean) == 1 else _Rates(self.mean[part], self.span[part], self.table[part])


def _call_one_sign(
    tracks: Floats, maps: Floats | None, widths: Integers, rng: np.random.Generator
) -> tuple[_Found, Floats]:
    """Find the windows of positive sums, and how many of such a score the null would give: (n,)."""
    if maps is not None:
        pooled = maps.ravel()
        if pooled.size > _MOST_POOLED:
            pooled = rng.choice(pooled, _MOST_POOLED, replace=False)
        rates = _rates(pooled[None, :])
        scores = _search(maps, rates, widths).score
        return _with_expected(_search(tracks, rates, widths), scores, maps.size / tracks.size)
    rates = _rates(tracks)
    rounds = int(np.clip(np.ceil(_NULL_BASES / tracks.size), 1, _MOST_ROUNDS))
    alive = rates.span > 0
    shuffled, theirs = tracks[alive], _Rates(rates.mean[alive], rates.span[alive], rates.table[alive])
    parts = [_search(rng.permuted(shuffled, axis=1), theirs, widths).score for _ in range(rounds if alive.any() else 0)]
    return _with_expected(_search(tracks, rates, widths), np.concatenate([*parts, np.zeros(0)]), rounds)


def _with_expected(found: _Found, null: Floats, times: float) -> tuple[_Found, Floats]:
    """Count the null's scores from each score on, for one data set: `times` is how many the null is as large as."""
    ordered = np.sort(null)
    at_least = len(ordered) - np.searchsorted(ordered, found.score, side="left")
    # The one more is the data set itself, which under the null is one of the random orders.
    expected = (at_least + 1) / times
    if len(ordered) >= _TAIL:
        limit = ordered[-_TAIL]
        rate = min(1.0, 1.0 / max(float((ordered[-_TAIL:] - limit).mean()), 1e-12))
        fitted = _TAIL * np.exp(-rate * (found.score - limit))
        beyond = found.score > limit
        expected[beyond] = np.maximum(at_least, fitted)[beyond] / times
    return found, expected


def _q_values(scores: Floats, expected: Floats) -> Floats:
    """Return the smallest estimated rate of false ones at which each is called."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    as_high = np.searchsorted(-ordered, -ordered, side="right")  # ties are called together
    rate = np.minimum(expected[order] / np.maximum(as_high, 1), 1.0)
    q = np.empty_like(rate)
    q[order] = np.minimum.accumulate(rate[::-1])[::-1]
    return q


def _rates(values: Floats) -> _Rates:
    """Tabulate the rate function of each row's values: I(m) = max over tilts t of t m - log mean exp(t x)."""
    mean = values.mean(axis=1)
    span = values.max(axis=1) - mean
    span[span <= _FLATNESS * np.abs(values).max(axis=1)] = 0.0  # what is left of a constant by rounding
    place = np.minimum(np.arange(_GRID + 2) / _GRID, 1.0) ** 2
    table = np.zeros((len(values), _GRID + 2), dtype=np.float32)
    rows_at_once = max(1, _CELLS_AT_ONCE // values.shape[1])
    uneven = np.flatnonzero(span > 0)
    for first in range(0, len(uneven), rows_at_once):
        rows = uneven[first : first + rows_at_once]
        # never above 0, and 0 at the largest value, so that no exponential overflows and no mean of them is 0
        below_top = (values[rows] - values[rows].max(axis=1, keepdims=True)) / span[rows, None]
        best = np.zeros((len(rows), _GRID + 2))
        for tilt in _TILTS:
            log_mean = tilt + np.log(np.exp(tilt * below_top).mean(axis=1))
            np.maximum(best, tilt * place - log_mean[:, None], out=best)
        table[rows] = best
    return _Rates(mean, span, table)


def _search(tracks: Floats, rates: _Rates, widths: Integers) -> _Found:
    """Take the best windows of each track, from the highest score down, none overlapping another, and trim them."""
    found: list[tuple[Any, ...]] = []
    if widths.size:
        rows_at_once = max(1, _CELLS_AT_ONCE // (tracks.shape[1] * widths.size))
        for first in range(0, len(tracks), rows_at_once):
            part = slice(first, first + rows_at_once)
            row, start, end, score = take_windows(
                _window_scores(tracks[part], rates.rows(part), widths), widths, _LEAST_SCORE
            )
            found.append((row + first, start, end, score))
    none = np.zeros(0, dtype=np.int64)
    row, start, end, score = (np.concatenate(parts) for parts in zip(*found, (none, none, none, np.zeros(0))))
    floor = np.maximum(rates.mean, 0.0)
    start, end = _trimmed(tracks, row, start, end, floor[row] if len(floor) > 1 else np.full(len(row), floor[0]))
    return _Found(row, start, end, score)


def _window_scores(tracks: Floats, rates: _Rates, widths: Integers) -> npt.NDArray[np.float32]:
    """Score the window of each width from each start on: (n, widths, L), 0 where it does not fit."""
    n, length = tracks.shape
    sums = np.zeros((n, length + 1))
    np.cumsum(tracks, axis=1, out=sums[:, 1:])
    scores = np.zeros((n, len(widths), length), dtype=np.float32)
    flat = rates.table.ravel()
    first_cell = np.arange(len(rates.table), dtype=np.int32)[:, None] * np.int32(_GRID + 2)
    span = np.where(rates.span > 0, rates.span, np.inf)[:, None]
    for number, width in enumerate(widths.tolist()):
        above = (sums[:, width:] - sums[:, :-width]) / width
        above -= rates.mean[:, None]
        above /= span
        np.maximum(above, 0.0, out=above)
        # Beyond the largest null value a convex rate grows at least in proportion.
        beyond = np.maximum(above, 1.0)
        place = np.sqrt(np.minimum(above, 1.0)).astype(np.float32) * np.float32(_GRID)
        cell = place.astype(np.int32)
        place -= cell
        cell += first_cell
        low = flat[cell]
        scores[:, number, : length - width + 1] = (low + place * (flat[cell + 1] - low)) * (width * beyond)
    return scores


def _trimmed(tracks: Floats, row: Integers, start: Integers, end: Integers, floor: Floats) -> tuple[Integers, Integers]:
    """Cut off the ends that do not rise above the floor."""
    if not len(row):
        return start, end
    values, inside = _cut(tracks, row, start, end)
    high = inside & (values > floor[:, None])
    # A window of a score above 0 has a mean above the track's, so some position is; the floor of 0 may still be higher.
    some = high.any(axis=1)
    first = np.where(some, high.argmax(axis=1), 0)
    last = np.where(some, high.shape[1] - high[:, ::-1].argmax(axis=1), end - start)
    return start + first, start + last


def _sums(tracks: Floats, row: Integers, start: Integers, end: Integers) -> Floats:
    return _cut(tracks, row, start, end)[0].sum(axis=1) if len(row) else np.zeros(0)


def _cut(tracks: Floats, row: Integers, start: Integers, end: Integers) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return stretches side by side, filled up with 0, and where they are not filled up: (n, widest) each."""
    offsets = np.arange(int((end - start).max()))
    inside = offsets < (end - start)[:, None]
    at = np.minimum(start[:, None] + offsets, tracks.shape[1] - 1)
    return np.where(inside, tracks[row[:, None], at], 0.0), inside


def _without_overlaps(table: pd.DataFrame) -> pd.DataFrame:
    """Where seqlets of opposite signs overlap, keep the one of the higher score."""
    table = table.sort_values(["sequence", "start", "end"], kind="stable", ignore_index=True)
    while len(table) > 1:
        sequence, start, end, score = (table[name].to_numpy() for name in ("sequence", "start", "end", "score"))
        overlap = (sequence[1:] == sequence[:-1]) & (start[1:] < end[:-1])
        if not overlap.any():
            break
        lose = np.zeros(len(table), dtype=bool)
        lose[:-1] |= overlap & (score[:-1] < score[1:])
        lose[1:] |= overlap & (score[:-1] >= score[1:])
        # What lost to a loser may stay: in a chain of three the best goes first, and the next round looks again.
        spared = np.zeros(len(table), dtype=bool)
        spared[:-1] |= overlap & lose[1:] & (score[:-1] < score[1:])
        spared[1:] |= overlap & lose[:-1] & (score[:-1] >= score[1:])
        table = table[~lose | spared].reset_index(drop=True)
    return table
