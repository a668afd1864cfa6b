"""From one row per sequence, method and measure to what may be said of methods: means, intervals, tests, ranks.

A run tries every method on the same sequences of the same trained models. Three things follow, which a plain average
and a plain test over all rows would miss.

*What is drawn.* Tasks and architectures are chosen; training seeds and test sequences are drawn. So every pair of task
and architecture (a cell) counts the same, and intervals cover both kinds of draws: seeds are resampled within every
cell, sequences within every task. The models of one task explain *the same* test sequences, so by default a resampled
sequence goes to all of them (``sequences="shared"``, the pigeonhole bootstrap of Owen 2007). ``"within"`` resamples
them within every model anew, as the plain hierarchical bootstrap does: right only if each model has sequences of its
own, too narrow otherwise. Of n seeds or sequences n - 1 are drawn, so that few seeds do not make intervals too narrow;
of one cell alone they are still a little so: in 300 simulated runs of one cell that shared their sequences, 95 %
intervals held the truth in 90 % with five seeds of 100 sequences and in 94 % with eight of 25 (``"within"``: 88 % and
82 %).

*What is independent.* The rows of one sequence under five seeds are not five pieces of evidence. Tests over sequences
take one difference for each sequence, its mean over the models; tests over models one for each model, its mean over the
sequences. A claim about methods should hold in both.

*What is undefined.* A NaN, and a row that is not there where another method has one, are left out of means and pairs
and counted in every table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, FloatArray, ratio
from seqplrp.evaluate.design import Design, Grid, IntArray, Sequences
from seqplrp.evaluate.measures import MEASURES, PROTOCOL_MEASURES
from seqplrp.evaluate.ranks import Better, PostHoc, RankComparison, rank_methods
from seqplrp.evaluate.statistics import Alternative, check_interval, holm, paired_wilcoxon


def summarise_runs(
    table: pd.DataFrame,
    *,
    by: Sequence[str] = ("task", "architecture"),
    sequences: Sequences = "shared",
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Give the mean of every method and measure with a bootstrap interval over training seeds and sequences.

    Parameters
    ----------
    table : DataFrame
        Columns `RUN_COLUMNS`; ``value`` NaN where undefined. Every row of its own.
    by : sequence of str
        One mean for each combination of these columns, which may be ``task``, ``architecture`` and columns of your own
        that tell tasks apart. ``()`` gives the mean over all.
    sequences : {"shared", "within"}
        Whether the models of a task explain the same sequences; see the module.
    confidence, draws, seed
        Of the percentile interval.

    Returns
    -------
    DataFrame
        The columns of `by`, ``method``, ``measure``, ``mean`` (over cells, each the mean of its defined values),
        ``low``, ``high`` (NaN where no cell has two defined values, so that nothing varies), ``n`` (defined values),
        ``undefined``, ``missing`` (no row), ``sequences``, ``models``, ``cells`` and ``empty_cells`` (without a defined
        value, so not in the mean).

    Raises
    ------
    SeqplrpError
        If columns are missing, rows are there twice, values are infinite, or an argument is out of its range.
    """
    _check(confidence, draws, sequences)
    grid, parts = Grid.of(table, by), []
    for labels, rows in grid.groups():
        values = grid.values[rows].reshape(len(rows), -1)
        present = grid.present[rows].reshape(len(rows), -1)
        design = Design.of(grid.units.iloc[rows])
        mean, drawn = design.means(values, sequences, draws, seed)
        defined = ~np.isnan(values)
        low, high = _interval(drawn, confidence, _varies(defined, design))
        filled = np.stack([defined[cell].any(axis=0) for cell in design.cells])
        part: pd.DataFrame = pd.DataFrame(
            {
                **labels,
                "method": np.repeat(np.array(grid.methods, dtype=object), len(grid.measures)),
                "measure": np.tile(np.array(grid.measures, dtype=object), len(grid.methods)),
                "mean": mean,
                "low": low,
                "high": high,
                "n": defined.sum(axis=0),
                "undefined": (present & ~defined).sum(axis=0),
                "missing": (~present).sum(axis=0),
                "sequences": len(np.unique(design.sequence)),
                "models": len(np.unique(design.model)),
                "cells": len(design.cells),
                "empty_cells": (~filled).sum(axis=0),
            }
        )
        parts.append(part.loc[np.flatnonzero(present.any(axis=0))])  # no row at all: it was not measured here
    return pd.concat(parts, ignore_index=True)


def compare_runs(
    table: pd.DataFrame,
    reference: str,
    *,
    peers: Sequence[str] | None = None,
    by: Sequence[str] = (),
    family: Sequence[str] = ("measure",),
    alternative: Alternative = "two-sided",
    sequences: Sequences = "shared",
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Test one method against each of its peers on every measure, in pairs, with Holm's correction.

    Parameters
    ----------
    table, by, sequences, confidence, draws, seed
        As in `summarise_runs`.
    reference : str
        The method that is compared; differences are reference - other, whichever way is better.
    peers : sequence of str, optional
        All other methods by default. Holm's correction counts them, so name those that the claim is about.
    family : sequence of str
        Columns (``measure`` and those of `by`) within each combination of which tests are corrected together.
        ``("measure",)``: all peers and all groups of one measure. ``()``: all tests of the table.
    alternative : {"two-sided", "greater", "less"}
        "greater" asks whether the reference is above the other.

    Returns
    -------
    DataFrame
        The columns of `by`, ``measure, reference, other``; ``difference`` with its interval ``low, high``;
        the test over sequences (one difference each): ``n, undefined`` (pairs of values), ``median_difference,
        rank_biserial, superiority, cohens_d, p, p_holm``; the test over models: ``models, models_above`` (in how many
        the reference is above on average), ``rank_biserial_models, p_models, p_models_holm``. Which way a test points
        is the sign of its rank-biserial correlation, not that of the difference of means: where few large differences
        stand against many small ones, the two are of opposite signs.

    Raises
    ------
    SeqplrpError
        If a method is not in the table, or as `summarise_runs` does.
    """
    _check(confidence, draws, sequences)
    grid, parts = Grid.of(table, by), []
    others = [name for name in grid.methods if name != reference] if peers is None else list(peers)
    for name in (reference, *others):
        if name not in grid.methods:
            raise SeqplrpError("method", f"{name!r} has no row", f"choose from {', '.join(grid.methods)}")
    if reference in others:
        raise SeqplrpError("peers", f"hold the reference {reference!r} itself", "leave it out")
    bad = [name for name in family if name not in (*by, "measure")]
    if bad:
        raise SeqplrpError("family", f"has {bad[0]!r}", "use measure and columns of by")
    at = [grid.methods.index(name) for name in others]
    for labels, rows in grid.groups():
        values = grid.values[rows]
        differences = values[:, [grid.methods.index(reference)]] - values[:, at]  # (units, peers, measures)
        design = Design.of(grid.units.iloc[rows])
        flat = differences.reshape(len(rows), -1)
        mean, drawn = design.means(flat, sequences, draws, seed)
        low, high = _interval(drawn, confidence, _varies(~np.isnan(flat), design))
        tests = [_tested(column, design, alternative) for column in flat.T]
        names = {
            "measure": np.tile(np.array(grid.measures, dtype=object), len(others)),
            "reference": reference,
            "other": np.repeat(np.array(others, dtype=object), len(grid.measures)),
        }
        intervals = {"difference": mean, "low": low, "high": high}
        part = pd.DataFrame({**labels, **names, **intervals}, index=np.arange(flat.shape[1]))
        parts.append(pd.concat([part, pd.DataFrame(tests)], axis=1))
    found = pd.concat(parts, ignore_index=True)
    for name in ("p", "p_models"):
        found.insert(found.columns.tolist().index(name) + 1, f"{name}_holm", _holm_within(found, name, family))
    return found


def rank_runs(
    table: pd.DataFrame,
    measure: str,
    *,
    methods: Sequence[str] | None = None,
    better: Better | None = None,
    alpha: float = 0.05,
    post_hoc: PostHoc = "nemenyi",
) -> RankComparison:
    """Rank methods on every trained model by their mean over its sequences; see `rank_methods`.

    Parameters
    ----------
    table : DataFrame
        As in `summarise_runs`.
    measure : str
    methods : sequence of str, optional
        Those to rank; all by default.
    better : {"higher", "lower"}, optional
        As the measure itself says by default.
    alpha, post_hoc
        As in `rank_methods`.

    Raises
    ------
    SeqplrpError
        If the measure or a method has no row, or the measure judges nothing and `better` is not given.

    Notes
    -----
    A model's means are over those sequences on which all methods are defined, so that all have the same ones. A model
    without such a sequence is a block left out.
    """
    here = table[table["measure"] == measure] if "measure" in table.columns else table
    if here.empty:
        raise SeqplrpError("measure", f"{measure!r} has no row", "choose one that was measured")
    direction = better if better is not None else _better(measure)
    grid = Grid.of(here, ())
    chosen = grid.methods if methods is None else list(methods)
    for name in chosen:
        if name not in grid.methods:
            raise SeqplrpError("method", f"{name!r} has no row", f"choose from {', '.join(grid.methods)}")
    values = grid.values[:, [grid.methods.index(name) for name in chosen], 0]
    whole = ~np.isnan(values).any(axis=1)
    model = Design.of(grid.units).model
    count = np.bincount(model, weights=whole)
    sums = np.stack([np.bincount(model, weights=np.where(whole, column, 0.0)) for column in values.T], axis=1)
    return rank_methods(
        pd.DataFrame(ratio(sums, count[:, None]), columns=chosen), better=direction, alpha=alpha, post_hoc=post_hoc
    )


def _varies(defined: BoolArray, design: Design) -> BoolArray:
    """Say in which columns (C,) any cell has two defined values: drawing from single ones always gives the same."""
    return np.asarray(np.stack([defined[cell].sum(axis=0) > 1 for cell in design.cells]).any(axis=0))


def _interval(drawn: FloatArray, confidence: float, varies: BoolArray) -> tuple[FloatArray, FloatArray]:
    low, high = (np.full(drawn.shape[1], np.nan) for _ in range(2))
    some = ~np.isnan(drawn).all(axis=0) & varies
    if some.any():
        tail = (1 - confidence) / 2
        low[some], high[some] = np.nanquantile(drawn[:, some], [tail, 1 - tail], axis=0)
    return low, high


def _tested(difference: FloatArray, design: Design, alternative: Alternative) -> dict[str, Any]:
    """Test differences (units,) over sequences and over models."""
    sequences, models = (_means_within(difference, within) for within in (design.sequence, design.model))
    over_sequences, over_models = (
        paired_wilcoxon(means, np.zeros(len(means)), alternative=alternative) for means in (sequences, models)
    )
    return {
        "n": over_sequences.n,
        "undefined": int(np.isnan(difference).sum()),
        "median_difference": over_sequences.median_difference,
        "rank_biserial": over_sequences.rank_biserial,
        "superiority": over_sequences.superiority,
        "cohens_d": over_sequences.cohens_d,
        "p": over_sequences.p,
        "models": over_models.n,
        "models_above": int((models > 0).sum()),
        "rank_biserial_models": over_models.rank_biserial,
        "p_models": over_models.p,
    }


def _means_within(values: FloatArray, within: IntArray) -> FloatArray:
    """Mean of the defined values of each number; NaN where there is none."""
    defined = ~np.isnan(values)
    sums = np.bincount(within, weights=np.where(defined, values, 0.0))
    return ratio(sums, np.bincount(within, weights=defined))


def _holm_within(table: pd.DataFrame, name: str, family: Sequence[str]) -> FloatArray:
    adjusted = np.full(len(table), np.nan)
    rows = [np.arange(len(table))]
    if family:
        rows = [np.asarray(of) for of in table.groupby(list(family), sort=False, dropna=False).indices.values()]
    for row in rows:
        adjusted[row] = holm(table[name].to_numpy(dtype=np.float64)[row])
    return adjusted


def _better(measure: str) -> Better:
    known = {**MEASURES, **PROTOCOL_MEASURES}.get(measure)
    if known is None or known.better == "neither":
        raise SeqplrpError("better", f"is not known for {measure!r}", "say better='higher' or better='lower'")
    return known.better


def _check(confidence: float, draws: int, sequences: Sequences) -> None:
    check_interval(confidence, draws)
    if sequences not in ("shared", "within"):
        raise SeqplrpError("sequences", f"is {sequences!r}", "choose shared or within")
