"""Causal truth: which planted or annotated motif instances the model uses, found by shuffling them where they stand.

A planted motif is the truth of the data, not of the model: it may have learned one motif of two, or not read a weak
instance at all. So each instance is ablated, and counts if the explained score falls by more than it does when equally
long windows outside motifs are ablated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import Score, as_target, batched_scores, row_generators, seed_from
from seqplrp.genomics import codes_to_one_hot
from seqplrp.recovery.perturbation import UNKNOWN, Codes, codes_of, shuffled_windows

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NULL_WINDOWS = 500
"""Windows of the null for each width and explained output: the level is then met to about one percent point."""

_NULL_COLUMNS = ("width", "target", "record", "start", "effect")


@dataclass(frozen=True)
class CausalTruth:
    """Motif instances with what their ablation does to the explained score.

    Attributes
    ----------
    instances : DataFrame
        The instances given, in their order, with ``effect`` (the score minus its mean over the shuffles), ``error``
        (standard error of that over the draws), ``threshold``, ``p`` (share of windows of the null, the instance
        counted in, that fall as deep or deeper), ``causal`` and ``opposes`` (its ablation *raises* the score beyond the
        null likewise).
    null : DataFrame
        ``width, target, record, start, effect`` of the windows outside motifs.
    level : float
    shape : (int, int)
        N, L.
    """

    instances: pd.DataFrame
    null: pd.DataFrame
    level: float
    shape: tuple[int, int]

    def masks(self, instances: pd.Series | None = None) -> tuple[BoolArray, BoolArray]:
        """Give the positions of causal instances, and of those that are in others alone: (N, L) each.

        Beside a planted truth: ``truth & used`` is the causal truth, and ``unused`` goes to what is ignored, since an
        instance that was not shown to matter was not shown to be idle either.

        Parameters
        ----------
        instances : Series of bool, optional
            Which instances to look at, such as ``causal.instances["supports"]``. All by default.
        """
        table = self.instances if instances is None else self.instances[instances.to_numpy(dtype=bool)]
        chosen = table["causal"].to_numpy(dtype=bool)
        used, other = (covered(table[rows], self.shape) for rows in (chosen, ~chosen))
        return used, other & ~used


def covered(instances: pd.DataFrame, shape: tuple[int, int]) -> BoolArray:
    """Return the mask (N, L) of the positions of instances (``record``, ``start``, ``end``)."""
    edges = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    record = instances["record"].to_numpy(dtype=np.int64)
    np.add.at(edges, (record, instances["start"].to_numpy(dtype=np.int64)), 1)
    np.add.at(edges, (record, instances["end"].to_numpy(dtype=np.int64)), -1)
    return np.asarray(edges.cumsum(axis=1)[:, :-1] > 0)


def causal_truth(
    score: Score,
    x: Tensor,
    target: Any,
    instances: pd.DataFrame,
    *,
    draws: int = 20,
    null_windows: int = NULL_WINDOWS,
    level: float = 0.95,
    seed: int = 0,
    batch_size: int = 256,
) -> CausalTruth:
    """Ablate every motif instance by shuffling it in place, and test what that does against a null.

    Parameters
    ----------
    score : callable
        See :func:`seqplrp.evaluate.model_score`; give logits.
    x : Tensor, shape (N, 4, L)
        One-hot DNA.
    target : int or (N,) integers
        The explained outputs.
    instances : DataFrame
        ``record`` (row of `x`), ``start``, ``end`` (0-based half-open); other columns are kept. Give all known
        instances, distractors too: the null stays away from every one of them.
    draws : int
        Shuffles of each window, 10 or more; their mean is its effect.
    null_windows : int
        Windows of each width and explained output that the null is made of, drawn without replacement from all places
        that overlap no instance and hold no unknown base. Where there are fewer places, all of them.
    level : float
        Share of the null that an instance has to exceed.
    seed : int
        Of the shuffles (which depend on the sequence and the window alone) and of the null's places.
    batch_size : int
        Sequences that are scored at a time.

    Returns
    -------
    CausalTruth

    Raises
    ------
    SeqplrpError
        If an instance lies outside its sequence, an argument is out of its range, or there are too few places for a
        null (19 at level 0.95).

    Notes
    -----
    With M windows in the null, an instance is causal if its effect is above 0 and above all but k of them, where k =
    floor((1 - level) (M + 1)) - 1; this is p <= 1 - level with p = (1 + windows at least as deep) / (M + 1). So of
    instances that the model treats like any other window, at most 1 - level are called causal, each width and output
    by itself, no correction over instances.

    One window is ablated at a time. Where a second copy does as well, as in a net that takes the maximum over
    positions, neither is causal alone. Such instances are in the second mask of `masks`, which is why that is to be
    ignored, not to be called background.
    """
    bench = _Bench(score, x, codes_of(x), as_target(target, x), draws, seed, batch_size)
    where = _checked(instances, bench.codes, draws, null_windows, level)
    table = instances.reset_index(drop=True).assign(
        effect=np.nan, error=np.nan, threshold=np.nan, p=np.nan, causal=False, opposes=False
    )
    goals = bench.goal.cpu().numpy()
    widths, outputs = (where["end"] - where["start"]).to_numpy(), goals[where["record"].to_numpy()]
    free = ~covered(where, bench.codes.shape) & (bench.codes != UNKNOWN)
    start = batched_scores(score, x, bench.goal, batch_size)
    nulls = []
    for width, output in sorted(set(zip(widths.tolist(), outputs.tolist()))):
        rows = np.flatnonzero((widths == width) & (outputs == output))
        places = _null_places(free & (goals == output)[:, None], width, null_windows, seed_from(seed, width, output))
        _check_null(len(places), width, output, level)
        null = bench.effects(places, width, start).mean(axis=1)
        effects = bench.effects(where.loc[rows, ["record", "start"]].to_numpy(), width, start)
        for name, values in _judged(effects, null, level).items():
            table.loc[rows, name] = values
        named = {"width": width, "target": output, "record": places[:, 0], "start": places[:, 1], "effect": null}
        nulls.append(pd.DataFrame(named))
    null_table = pd.concat(nulls, ignore_index=True) if nulls else pd.DataFrame(columns=list(_NULL_COLUMNS))
    return CausalTruth(table, null_table, level, bench.codes.shape)


@dataclass(frozen=True)
class _Bench:
    """Where windows are ablated and what comes of it is scored."""

    score: Score
    x: Tensor
    codes: Codes
    goal: Tensor
    draws: int
    seed: int
    batch_size: int

    def effects(self, places: IntArray, width: int, start: FloatArray) -> FloatArray:
        """Return how far the score falls in each draw (M, D), for windows of (record, start) (M, 2)."""
        step = max(1, self.batch_size // self.draws)
        parts = [self._scores(places[first : first + step], width) for first in range(0, len(places), step)]
        return start[places[:, 0]][:, None] - np.concatenate(parts)

    def _scores(self, places: IntArray, width: int) -> FloatArray:
        record = places[:, 0]
        columns = places[:, 1:] + np.arange(width)
        # The key of a window is its sequence and where it lies, whatever else is ablated beside it.
        keys = np.column_stack([self.codes[record], places[:, 1]])
        windows = shuffled_windows(
            self.codes[record[:, None], columns], self.draws, row_generators(keys, self.seed, width)
        )
        letters = np.repeat(self.codes[record][:, None], self.draws, axis=1)
        np.put_along_axis(letters, np.repeat(columns[:, None], self.draws, axis=1), windows, axis=2)
        changed = codes_to_one_hot(letters.reshape(-1, letters.shape[2]), self.x.dtype).to(self.x.device)
        goal = self.goal[torch.from_numpy(record.copy())].repeat_interleave(self.draws)
        return batched_scores(self.score, changed, goal, self.batch_size).reshape(-1, self.draws)


def _judged(effects: FloatArray, null: FloatArray, level: float) -> dict[str, npt.NDArray[Any]]:
    """Test the effects (M, D) of instances against those of the null (K,)."""
    effect = effects.mean(axis=1)
    ascending = np.sort(null)
    allowed = _allowed(len(null), level)
    high, low = max(float(ascending[-1 - allowed]), 0.0), min(float(ascending[allowed]), 0.0)
    as_deep = len(null) - np.searchsorted(ascending, effect, side="left")
    return {
        "effect": effect,
        "error": effects.std(axis=1, ddof=1) / np.sqrt(effects.shape[1]),
        "threshold": np.full(len(effect), high),
        "p": (1 + as_deep) / (1 + len(null)),
        "causal": effect > high,
        "opposes": effect < low,
    }


def _allowed(windows: int, level: float) -> int:
    """Return how many windows of the null may exceed what is called causal; below 0 where there are too few."""
    return int(np.floor((1 - level) * (windows + 1) + 1e-9)) - 1


def _check_null(windows: int, width: int, output: int, level: float) -> None:
    if _allowed(windows, level) < 0:
        raise SeqplrpError(
            "instances",
            f"leave {windows} places outside motifs for windows of {width} bases (output {output}), too few for a null",
            "give more sequences, all explained for that output, or a lower level",
        )


def _null_places(free: BoolArray, width: int, most: int, seed: int) -> IntArray:
    """Draw places (record, start) of windows that lie on free positions alone."""
    if width > free.shape[1]:
        return np.zeros((0, 2), dtype=np.int64)
    taken = np.pad((~free).cumsum(axis=1), ((0, 0), (1, 0)))
    places = np.argwhere(taken[:, width:] == taken[:, :-width])
    if len(places) > most:
        places = places[np.sort(np.random.default_rng(seed).choice(len(places), most, replace=False))]
    return places


def _checked(instances: pd.DataFrame, codes: Codes, draws: int, null_windows: int, level: float) -> pd.DataFrame:
    missing = [name for name in ("record", "start", "end") if name not in instances.columns]
    if missing:
        raise SeqplrpError("instances", f"lack {', '.join(missing)}", "give a table of record, start, end")
    if not 0 < level < 1:
        raise SeqplrpError("level", f"is {level}", "give a number between 0 and 1, such as 0.95")
    for name, value, least in (("draws", draws, 10), ("null_windows", null_windows, 1)):
        if value < least:
            raise SeqplrpError(name, f"is {value}", f"give {least} or more")
    where = instances[["record", "start", "end"]].astype(np.int64).reset_index(drop=True)
    outside = (where["record"] < 0) | (where["record"] >= len(codes))
    outside |= (where["start"] < 0) | (where["end"] > codes.shape[1]) | (where["start"] >= where["end"])
    if outside.any():
        row = int(np.argmax(outside))
        bad = where.iloc[row]
        what = f"row {row} is {bad['start']} to {bad['end']} of record {bad['record']}, sequences are {codes.shape}"
        raise SeqplrpError("instances", what, "give 0-based half-open places inside the sequences")
    return where
