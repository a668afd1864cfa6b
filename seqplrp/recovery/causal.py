"""Causal truth: which planted or annotated motif instances the model uses, found by shuffling them where they stand.

A planted motif is the truth of the data, not of the model: it may have learned one motif of two, or not read a weak
instance at all. So each instance is ablated, and counts if the explained score falls by more than it does when equally
long windows outside motifs are ablated alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

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

FEWEST_DRAWS = 10
"""Shuffles of a window, below which their mean says little of it."""

_NULL_COLUMNS = ("width", "target", "copies", "record", "start", "effect")
_NUMBERS = ("effect", "error", "threshold", "p_alone", "effect_without", "p_without", "_p_alone", "_p_without")


@dataclass(frozen=True)
class CausalTruth:
    """Motif instances with what their ablation does to the explained score.

    Attributes
    ----------
    instances : DataFrame
        The instances given, in their order, with ``effect`` (the score minus its mean over the shuffles), ``error``
        (standard error of that over the draws), ``threshold`` (what an effect has to exceed if it is tested alone),
        ``p_alone`` (share of windows of the null, the instance counted in, that fall as deep or deeper);
        ``effect_without`` and ``p_without``, the same where its copies are shuffled as
        well (NaN where it has none); ``p`` of both, ``causal`` (p <= 1 - level), and ``opposes`` (its ablation *raises*
        the score likewise).
    null : DataFrame
        ``width, target, copies, record, start, effect`` of the windows outside motifs; ``copies`` says whether a motif
        with its copies was shuffled beside them.
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
    copies: str | None = None,
    draws: int = 20,
    null_windows: int = NULL_WINDOWS,
    level: float = 0.95,
    untestable: Literal["refuse", "leave"] = "refuse",
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
    copies : str, optional
        A column that tells which instances of a sequence can stand in for one another, such as ``motif``. Each is then
        tested twice, alone and with its copies shuffled as well, and counts if either shows. Without it, an instance is
        not causal where a copy does as well, as in a net that takes the maximum over positions.
    draws : int
        Shuffles of each window, 10 or more; their mean is its effect.
    null_windows : int
        Windows of each width and explained output that the null is made of, drawn without replacement from all places
        that overlap no instance and hold no unknown base. Where there are fewer places, all of them.
    level : float
        Share of the null that an instance has to exceed.
    untestable : {"refuse", "leave"}
        What becomes of instances for whose width and output there are too few places for a null (`fewest_windows`):
        an error, or they are left with a NaN ``p`` and are not causal.
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
        null (19 at level 0.95, 39 where copies are shuffled, too) and they are to be refused.

    Notes
    -----
    With M windows in the null, p = (1 + windows at least as deep) / (M + 1), and an instance with an effect above 0 is
    causal if p <= 1 - level: of instances that the model treats like any other window, at most 1 - level are called
    causal. Each width and output has a null of its own. Of two tests (`copies`) p is twice the smaller one. There is no
    correction over instances.
    """
    bench = _Bench.of(score, x, target, draws, seed, batch_size)
    where = _checked(instances, bench.codes, draws, null_windows, level)
    groups = _copies(instances, where, copies)
    goals = bench.goal.cpu().numpy()[where["record"]]
    widths = (where["end"] - where["start"]).to_numpy()
    free = ~covered(where, bench.codes.shape) & (bench.codes != UNKNOWN)
    table, nulls = instances.reset_index(drop=True).assign(**dict.fromkeys(_NUMBERS, np.nan)), []
    for width, output in sorted(set(zip(widths.tolist(), goals.tolist()))):
        here = (widths == width) & (goals == output)
        for beside, rows in ((False, np.flatnonzero(here)), (True, np.flatnonzero(here & (groups[:, 0] >= 0)))):
            if not len(rows):
                continue
            places, context = bench.null(where, free, groups if beside else None, width, output, null_windows)
            if len(places) < fewest_windows(level, copies=beside):
                if untestable == "refuse":
                    raise _too_few(len(places), width, output)
                continue
            null = bench.effects(places, context).mean(axis=1)
            own = bench.effects(where.to_numpy()[rows], _spans(where, groups[rows]) if beside else None)
            names = ("effect_without", "p_without", "_p_without") if beside else ("effect", "p_alone", "_p_alone")
            effect = own.mean(axis=1)
            for name, values in zip(names, (effect, _p(effect, null), _p(-effect, -null))):
                table.loc[rows, name] = values
            if not beside:
                table.loc[rows, "error"] = own.std(axis=1, ddof=1) / np.sqrt(draws)
                table.loc[rows, "threshold"] = _threshold(null, level)
            named = {"width": width, "target": output, "copies": beside, "record": places[:, 0], "start": places[:, 1]}
            nulls.append(pd.DataFrame({**named, "effect": null}))
    null_table = pd.concat(nulls, ignore_index=True) if nulls else pd.DataFrame(columns=list(_NULL_COLUMNS))
    return CausalTruth(_judged(table, groups[:, 0] >= 0, level), null_table, level, bench.codes.shape)


@dataclass(frozen=True)
class _Bench:
    """Where windows are ablated and what comes of it is scored. Windows are (M, 3): record, start, end."""

    score: Score
    x: Tensor
    codes: Codes
    goal: Tensor
    start: FloatArray
    draws: int
    seed: int
    batch_size: int

    @classmethod
    def of(cls, score: Score, x: Tensor, target: Any, draws: int, seed: int, batch_size: int) -> _Bench:
        codes, goal = codes_of(x), as_target(target, x)
        return cls(score, x, codes, goal, batched_scores(score, x, goal, batch_size), draws, seed, batch_size)

    def effects(self, windows: IntArray, context: IntArray | None) -> FloatArray:
        """Return how far the score falls in each draw, (M, D), where context (M, K, 2) is shuffled already."""
        step = max(1, self.batch_size // self.draws)
        parts = [
            self._falls(windows[first : first + step], None if context is None else context[first : first + step])
            for first in range(0, len(windows), step)
        ]
        return np.concatenate(parts)

    def _falls(self, windows: IntArray, context: IntArray | None) -> FloatArray:
        record = windows[:, 0]
        letters = np.repeat(self.codes[record][:, None], self.draws, axis=1)
        before = self.start[record][:, None]
        if context is not None:
            for number in range(context.shape[1]):
                self._shuffle(letters, record, context[:, number])
            before = self._scores(letters, record)
        self._shuffle(letters, record, windows[:, 1:])
        return before - self._scores(letters, record)

    def _shuffle(self, letters: Codes, record: IntArray, spans: IntArray) -> None:
        """Shuffle a span (start, end) of each row of letters (M, D, L); one without width is none."""
        widths = spans[:, 1] - spans[:, 0]
        for width in np.unique(widths[widths > 0]):
            rows = np.flatnonzero(widths == width)
            begin = spans[rows, 0]
            columns = begin[:, None] + np.arange(width)
            # The key of a window is its sequence and where it lies, whatever else is ablated beside it.
            keys = np.column_stack([self.codes[record[rows]], begin])
            own = self.codes[record[rows][:, None], columns]
            shuffled = shuffled_windows(own, self.draws, row_generators(keys, self.seed, int(width)))
            letters[rows[:, None, None], np.arange(self.draws)[:, None], columns[:, None]] = shuffled

    def _scores(self, letters: Codes, record: IntArray) -> FloatArray:
        changed = codes_to_one_hot(letters.reshape(-1, letters.shape[2]), self.x.dtype).to(self.x.device)
        goal = self.goal[torch.from_numpy(record.copy())].repeat_interleave(self.draws)
        return batched_scores(self.score, changed, goal, self.batch_size).reshape(-1, self.draws)

    def null(
        self, where: pd.DataFrame, free: BoolArray, groups: IntArray | None, width: int, output: int, most: int
    ) -> tuple[IntArray, IntArray | None]:
        """Draw windows on free positions alone, with the motif and its copies that are shuffled beside each."""
        rng = np.random.default_rng(seed_from(self.seed, width, output, int(groups is not None)))
        allowed = free & (self.goal.cpu().numpy() == output)[:, None]
        if groups is None:
            return _free_windows(allowed, width, most, rng), None
        several = np.flatnonzero(groups[:, 0] >= 0)
        records = where["record"].to_numpy()[several]
        allowed &= np.isin(np.arange(len(allowed)), records)[:, None]
        windows = _free_windows(allowed, width, most, rng)
        # A random instance that has copies, of the window's own sequence: of these the highest of random numbers.
        chance = np.where(records == windows[:, :1], rng.random((len(windows), len(several))), -1.0)
        chosen = several[chance.argmax(axis=1)] if len(windows) else several[:0]
        return windows, _spans(where, np.column_stack([chosen, groups[chosen]]))


def _copies(instances: pd.DataFrame, where: pd.DataFrame, column: str | None) -> IntArray:
    """Return the rows of each instance's copies, (I, K), filled up with -1."""
    if column is None:
        return np.full((len(where), 1), -1, dtype=np.int64)
    if column not in instances.columns:
        raise SeqplrpError("copies", f"{column!r} is no column of instances", "name the one that holds the motif")
    keys = [where["record"].to_numpy(), instances[column].astype(str).to_numpy()]
    members = list(where.groupby(keys, sort=False).indices.values())
    most = max([len(of) for of in members], default=1)
    found = np.full((len(where), max(1, most - 1)), -1, dtype=np.int64)
    for of in members:
        for row in of:
            others = np.asarray(of)[np.asarray(of) != row]
            found[row, : len(others)] = others
    return found


def _spans(where: pd.DataFrame, rows: IntArray) -> IntArray:
    """Return start and end of the instances named by rows (M, K), (M, K, 2); 0 and 0 where the row is -1."""
    table = np.vstack([where[["start", "end"]].to_numpy(), [[0, 0]]])
    return np.asarray(table[rows])


def _p(effect: FloatArray, null: FloatArray) -> FloatArray:
    as_deep = len(null) - np.searchsorted(np.sort(null), effect, side="left")
    return np.asarray((1 + as_deep) / (1 + len(null)))


def _threshold(null: FloatArray, level: float) -> float:
    """Return the effect above which p is 1 - level at most, not below 0."""
    deeper = int(np.floor((1 - level) * (len(null) + 1) + 1e-9)) - 1
    return max(0.0, float(np.sort(null)[-1 - deeper]))


def _judged(table: pd.DataFrame, copied: BoolArray, level: float) -> pd.DataFrame:
    """Put the two tests of each instance together; columns that begin with _ are of the other direction.

    An instance that is `copied` (I,) has two; without either its p is NaN.
    """
    judged = {}
    for sign, verdict, prefix in ((1, "causal", ""), (-1, "opposes", "_")):
        alone, without = (table[f"{prefix}p_{name}"] for name in ("alone", "without"))
        p = alone.where(~copied, np.minimum(1.0, 2 * np.minimum(alone, without)))
        # The effect that speaks: of the smaller p, the one alone where there is no other.
        speaks = table["effect_without"].where(without < alone, table["effect"])
        judged[verdict] = (p <= 1 - level + 1e-9) & (sign * speaks > 0)
        if sign == 1:
            judged["p"] = p
    kept = table.drop(columns=["_p_alone", "_p_without"])
    return kept.assign(p=judged["p"], causal=judged["causal"], opposes=judged["opposes"])


def fewest_windows(level: float = 0.95, *, copies: bool = False) -> int:
    """Return below how many windows a null can't show an effect at a level, whatever it is: p is at least 1 / (M + 1).

    Parameters
    ----------
    level : float
        Share of the null that an instance has to exceed.
    copies : bool
        Where its copies are shuffled, too, it is tested twice and has to exceed more.
    """
    of_one = (1 - level) / (2 if copies else 1)
    return math.ceil(1 / of_one - 1 - 1e-9)


def _too_few(windows: int, width: int, output: int) -> SeqplrpError:
    return SeqplrpError(
        "instances",
        f"leave {windows} places outside motifs for windows of {width} bases (output {output}), too few for a null",
        "give more sequences, all explained for that output, more null_windows, or a lower level",
    )


def _free_windows(free: BoolArray, width: int, most: int, rng: np.random.Generator) -> IntArray:
    """Draw windows (record, start, end) that lie on free positions alone, without replacement."""
    if width > free.shape[1]:
        return np.zeros((0, 3), dtype=np.int64)
    taken = np.pad((~free).cumsum(axis=1), ((0, 0), (1, 0)))
    places = np.argwhere(taken[:, width:] == taken[:, :-width])
    if len(places) > most:
        places = places[np.sort(rng.choice(len(places), most, replace=False))]
    return np.column_stack([places, places[:, 1] + width])


def _checked(instances: pd.DataFrame, codes: Codes, draws: int, null_windows: int, level: float) -> pd.DataFrame:
    missing = [name for name in ("record", "start", "end") if name not in instances.columns]
    if missing:
        raise SeqplrpError("instances", f"lack {', '.join(missing)}", "give a table of record, start, end")
    if not 0 < level < 1:
        raise SeqplrpError("level", f"is {level}", "give a number between 0 and 1, such as 0.95")
    for name, value, least in (("draws", draws, FEWEST_DRAWS), ("null_windows", null_windows, 1)):
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
