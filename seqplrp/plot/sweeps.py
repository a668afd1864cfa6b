"""Measures against what a method was swept over, such as p."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.evaluate import MEASURES, PROTOCOL_MEASURES, Measure
from seqplrp.plot.axes import legend_beneath, open_axes
from seqplrp.plot.figures import plain_text
from seqplrp.plot.tables import check_table

COLOURS = ("#D98E04", "#22577A", "#7A9E7E", "#A23B72", "#5B3A8C", "#8C510A", "#4C9BB8", "#777777")
"""Line colours in the order of their use; with markers of their own, lines can be told apart without them."""

_MARKERS = "osD^vP*X"
_MOST_BANDS = 6  # of more lines, bands are one grey area
_COLUMNS = ("family", "x", "measure", "mean", "low", "high")


def sweep_curves(
    table: pd.DataFrame,
    *,
    label: str = "p",
    references: Mapping[str, Mapping[str, float]] | None = None,
    known: Mapping[str, Measure] | None = None,
    columns: int = 3,
    title: str = "",
) -> Figure:
    """Draw means against a setting: a panel a measure, a line a family of methods; intervals for up to six of them.

    Parameters
    ----------
    table : DataFrame
        Columns family, x (a number), measure, mean, low, high; measures and families in the order in which they come
        first. Points with a NaN mean are left out of their line.
    label : str
        What x is.
    references : mapping of str to mapping of str to float, optional
        Per name the means, by measure, of methods without that setting: horizontal lines.
    known : mapping of str to Measure, optional
        Titles and directions of measures that `seqplrp.evaluate` does not have.
    columns : int
        Panels in a row.
    title : str
        Stands over all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If a column is missing or there is no row.
    """
    check_table(table, _COLUMNS)
    measures = list(pd.unique(table["measure"]))
    families = list(pd.unique(table["family"]))
    columns = max(1, min(columns, len(measures)))
    rows = -(-len(measures) // columns)
    figure = Figure(figsize=(2.9 * columns + 0.2, 2.35 * rows + 0.75), facecolor="white", layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax, measure in zip(axes, measures):
        of = table[table["measure"] == measure]
        for number, family in enumerate(families):
            _draw_line(ax, of[of["family"] == family], str(family), number, with_band=len(families) <= _MOST_BANDS)
        for number, (name, means) in enumerate((references or {}).items()):
            if np.isfinite(means.get(measure, np.nan)):
                style = (0, ((4, 2), (1, 1.5), (5, 1.5, 1, 1.5), (2, 2))[number % 4])
                ax.axhline(means[measure], color="#555555", linewidth=1, linestyle=style, label=name, zorder=1)
        _style(ax, str(measure), known, label)
    for ax in axes[len(measures) :]:
        ax.set_axis_off()
    legend_beneath(figure, axes[: len(measures)])
    if title:
        plain_text(figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left"))
    return figure


def measure_title(measure: str, known: Mapping[str, Measure] | None = None) -> str:
    """Return a measure's label with an arrow towards what is better."""
    found = {**MEASURES, **PROTOCOL_MEASURES, **(known or {})}.get(measure)
    if found is None:
        return measure
    return found.label + {"higher": " \u2191", "lower": " \u2193"}.get(found.better, "")


def _draw_line(ax: Axes, rows: pd.DataFrame, family: str, number: int, *, with_band: bool) -> None:
    rows = rows[rows["mean"].notna()].sort_values("x")
    if rows.empty:
        return
    colour = COLOURS[number % len(COLOURS)]
    x = rows["x"].to_numpy(dtype=float)
    low, high = rows["low"].to_numpy(dtype=float), rows["high"].to_numpy(dtype=float)
    if with_band:
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.plot(
        x,
        rows["mean"].to_numpy(dtype=float),
        color=colour,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        linewidth=1.4,
        label=family,
    )


def _style(ax: Axes, measure: str, known: Mapping[str, Measure] | None, label: str) -> None:
    plain_text(ax.set_title(measure_title(measure, known), fontsize=9.5, loc="left"))
    plain_text(ax.set_xlabel(label, fontsize=8.5))
    open_axes(ax, labelsize=7.5)
    ax.margins(y=0.12)
