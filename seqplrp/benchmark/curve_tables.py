"""Curves of all models as one table a protocol: means over models, with intervals over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.benchmark.cell import Cell
from seqplrp.benchmark.curves import curves_from_plain
from seqplrp.benchmark.number_text import number_text, percent_text
from seqplrp.benchmark.summary import Summary

FloatArray = npt.NDArray[np.float64]
ALL = "all"
DRAWS = 1000
_SCOPE = ("group", "task", "architecture")


@dataclass(frozen=True)
class CurveTable:
    """How a protocol's curves stand in a table.

    Attributes
    ----------
    file : str
        The table's name in the run's directory.
    x, at : str
        What its columns call where a point stands, and what stands there.
    levels : tuple of tuple of str
        What means are over: all models of a group, or of one of its tasks or architectures, or of a pair of them.
    changes : bool
        Whether values are scores, of which the change from each curve's first point is asked.
    """

    file: str
    x: str
    at: str
    levels: tuple[tuple[str, ...], ...]
    changes: bool


CURVE_TABLES = {
    "faithfulness": CurveTable(
        "curves.tsv",
        "share",
        "bases",
        (("group",), ("group", "architecture"), ("group", "task"), ("group", "task", "architecture")),
        changes=True,
    ),
    # the layers of one architecture are none of another's
    "randomisation": CurveTable(
        "randomisation_depths.tsv",
        "depth",
        "layer",
        (("group", "architecture"), ("group", "task", "architecture")),
        changes=False,
    ),
}
"""By the protocol's name."""


def curves_of_run(summary: Summary) -> dict[str, pd.DataFrame]:
    """Return `curve_summaries` of a run's scored cells."""
    return curve_summaries([(one.cell, one.manifest) for one in summary.cells if one.scored], summary.methods)


def curve_summaries(cells: Iterable[tuple[Cell, Mapping[str, Any]]], methods: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the means over models of all curves that finished cells kept, by protocol; see `curve_means`."""
    listed = list(cells)
    found = {name: curve_means(curve_points(name, listed, methods), kind) for name, kind in CURVE_TABLES.items()}
    return {name: table for name, table in found.items() if len(table)}


def curve_points(
    protocol: str, cells: Iterable[tuple[Cell, Mapping[str, Any]]], methods: Sequence[str]
) -> pd.DataFrame:
    """Return every point of every model's curves.

    Parameters
    ----------
    protocol : str
        A key of `CURVE_TABLES`.
    cells : iterable of (Cell, mapping)
        Finished cells, each with its manifest. Those of before curves were kept have none.
    methods : sequence of str

    Returns
    -------
    DataFrame
        group, task, architecture, seed, method, ``curve``, ``x``, ``at``, ``value`` (NaN where undefined), ``n``; and
        for scores ``change`` and ``relative``: from the curve's first point on, and that as a share of the mean score
        of the inputs as they are (or of all that insertion can bring back).
    """
    rows = []
    for cell, manifest in cells:
        head = (cell.task.group, cell.task.name, cell.architecture.name, cell.seed)
        kept = manifest.get("curves", {})
        for method in methods:
            for curve in curves_from_plain(kept.get(method, {}).get(protocol, ())):
                points = zip(curve.x, curve.at, curve.values, curve.n, strict=True)
                rows += [(*head, method, curve.name, x, at, value, n) for x, at, value, n in points]
    columns = [*_SCOPE, "seed", "method", "curve", "x", "at", "value", "n"]
    table = pd.DataFrame(rows, columns=columns).astype({"x": float, "value": float})
    if CURVE_TABLES[protocol].changes and len(table):
        table = _with_changes(table)
    return table


def _with_changes(table: pd.DataFrame) -> pd.DataFrame:
    of_curve = table.groupby([*_SCOPE, "seed", "method", "curve"], sort=False)["value"]
    change = table["value"] - of_curve.transform("first")
    # deletion starts at the score of the inputs as they are; what insertion brings back is held against the same
    begin = table[(table["x"] == 0) & table["curve"].str.startswith("deletion")]
    scores = begin.groupby([*_SCOPE, "seed"], sort=False)["value"].mean().rename("score")
    score = table.join(scores, on=[*_SCOPE, "seed"])["score"].abs()
    return table.assign(change=change, relative=change / score.where(score > 0))


def curve_means(points: pd.DataFrame, kind: CurveTable) -> pd.DataFrame:
    """Average curves over models, each counting the same.

    Returns
    -------
    DataFrame
        One row a scope, method, curve and point: group, task, architecture (``all`` where not one alone), method,
        curve, the columns that `kind` names, ``mean`` (of the score, or the likeness), for scores ``change`` (its mean
        change) and ``relative``; ``low`` and ``high``, the 95 % percentile interval of the change (or else of the mean)
        of a bootstrap over models, NaN for one model; ``models``, on which it is defined.
    """
    if points.empty:
        return pd.DataFrame()
    parts = []
    for level in kind.levels:
        for key, part in points.groupby(list(level), sort=False):
            scope = dict.fromkeys(_SCOPE, ALL) | dict(zip(level, map(str, key), strict=True))
            parts.append(_scope_means(part, kind).assign(**scope))
    whole = pd.concat(parts, ignore_index=True)
    return whole[[*_SCOPE, *(name for name in whole.columns if name not in _SCOPE)]]


def _scope_means(part: pd.DataFrame, kind: CurveTable) -> pd.DataFrame:
    keys = ["method", "curve", "x"]
    order = part[keys].drop_duplicates()
    grouped = part.groupby(keys, sort=False)
    found = order.set_index(keys)
    at = grouped["at"]
    found[kind.at] = at.first() if part["at"].map(lambda one: isinstance(one, str)).all() else at.mean()
    found["mean"] = grouped["value"].mean()
    column = "value"
    if kind.changes:
        column = "change"
        found["change"], found["relative"] = grouped["change"].mean(), grouped["relative"].mean()
    by_model = part.pivot_table(index=[*_SCOPE, "seed"], columns=keys, values=column, sort=False, dropna=False)
    low, high, models = _intervals(by_model.reindex(columns=found.index).to_numpy(dtype=np.float64))
    found = found.assign(low=low, high=high, models=models)
    return found.reset_index().rename(columns={"x": kind.x})


def _intervals(values: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Bootstrap the mean of each column over the rows, with the same draws for all: low, high, defined values."""
    defined = np.isfinite(values)
    n = len(values)
    drawn = np.random.default_rng(0).integers(n, size=(DRAWS, n))
    times = np.zeros((DRAWS, n))
    np.add.at(times, (np.arange(DRAWS)[:, None], drawn), 1)
    counts = times @ defined
    means = np.divide(times @ np.where(defined, values, 0), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    models = defined.sum(axis=0)
    means[:, models < 2] = np.nan  # of one model nothing is known beyond it
    several = models >= 2
    low, high = (np.full(values.shape[1], np.nan) for _ in range(2))
    if several.any():
        low[several], high[several] = np.nanpercentile(means[:, several], [2.5, 97.5], axis=0)
    return low, high, models


MARKS = (0.01, 0.05, 0.1)
"""Shares of positions at which reports say how much of the score is lost."""


def half_lost(share: FloatArray, relative: FloatArray) -> float:
    """Return the share of positions at which a deletion curve has first lost half of the score, or else NaN."""
    below = np.flatnonzero(relative <= -0.5)
    if not len(below) or below[0] == 0:
        return float("nan")
    last = below[0]
    return float(np.interp(0.5, -relative[last - 1 : last + 1], share[last - 1 : last + 1]))


def curve_grids(
    means: Mapping[str, pd.DataFrame], group: str, parts: str = "bases"
) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """Return what a page says of the curves of a group of tasks: each a heading, a text, a head and rows of text."""
    found = []
    table = means.get("faithfulness", pd.DataFrame())
    if len(table) and ((table["group"] == group) & (table["task"] == ALL) & (table["architecture"] == ALL)).any():
        here = table[(table["group"] == group) & (table["task"] == ALL) & (table["architecture"] == ALL)]
        text = (
            f"Share of the score that is lost when the most relevant {parts} are replaced, mean over the "
            f"{int(here['models'].max())} models whose curves were kept, and the share of {parts} at which half of it "
            f"is lost (beyond 100 % the score is below 0); beside it what is left when half of the {parts} are "
            "replaced, the least relevant first (beyond 100 % it rises, as what speaks against the class goes). All "
            f"points, with intervals over models, are in {CURVE_TABLES['faithfulness'].file}."
        )
        head = ["method", *(f"lost at {100 * share:g} %" for share in MARKS), "half lost at", "left at 50 %"]
        found.append((f"How the score falls as {parts} are replaced", text, head, _deletion_rows(here)))
    table = means.get("randomisation", pd.DataFrame())
    if len(table):
        here = table[(table["group"] == group) & (table["task"] == ALL) & (table["curve"] == "spearman_abs")]
        for architecture, part in here.groupby("architecture", sort=False):
            text = (
                f"{architecture}: how alike maps stay (Spearman of |r|) as layers are re-initialised from the top, "
                "each with all above it; the last column is the measure of the tables."
            )
            layers = part.drop_duplicates("depth").sort_values("depth")["layer"]
            rows = [
                [str(method), *(number_text(value, 2) for value in of.sort_values("depth")["mean"])]
                for method, of in part.groupby("method", sort=False)
            ]
            first = architecture == here["architecture"].iloc[0]
            title = "What is left of a map when layers are re-initialised" if first else ""
            found.append((title, text, ["method", *map(str, layers)], rows))
    return found


def _deletion_rows(here: pd.DataFrame) -> list[list[str]]:
    rows = []
    for method, of in here.groupby("method", sort=False):
        most, least = (of[of["curve"] == f"deletion_{order}"].sort_values("share") for order in ("most", "least"))
        at = dict(zip(most["share"].round(6), most["relative"], strict=True))
        half = _half(most["share"].to_numpy(dtype=float), most["relative"].to_numpy(dtype=float))
        left = dict(zip(least["share"].round(6), 1 + least["relative"], strict=True)).get(0.5, np.nan)
        lost = [percent_text(-at.get(share, np.nan)) for share in MARKS]
        rows.append([str(method), *lost, half, percent_text(left)])
    return rows


def _half(share: FloatArray, relative: FloatArray) -> str:
    if len(share) > 1 and relative[1] <= -0.5:  # within the first step, where the curve is not read
        return f"{percent_text(share[1])} or less"
    return percent_text(half_lost(share, relative)) or "never"
