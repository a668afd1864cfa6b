"""A table of means as a picture: one column per measure, one row per method, intervals on the bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import MEASURES, PROTOCOL_MEASURES
from seqplrp.plot.figures import plain_text
from seqplrp.plot.sweeps import measure_title
from seqplrp.plot.tables import check_table

_BAR = "#9FB6CD"
_HIGHLIGHT = "#D98E04"
_KNOWN = {**MEASURES, **PROTOCOL_MEASURES}
_COLUMNS = ("method", "measure", "mean", "low", "high")


def measure_bars(
    table: pd.DataFrame,
    *,
    measures: Sequence[str] | None = None,
    highlight: str | None = None,
    title: str = "",
) -> Figure:
    """Draw means with their intervals, methods as rows and measures as columns.

    The best mean of each measure is set in bold (a measure whose direction is unknown has no best).

    Parameters
    ----------
    table : DataFrame
        Columns method, measure, mean, low, high, one row for each pair; methods and measures are drawn in the
        order in which they come first. A NaN mean is shown as "undefined", a pair without a row as "not
        measured".
    measures : sequence of str, optional
        Which measures, in this order; all if None.
    highlight : str, optional
        A method whose bars are coloured.
    title : str
        Stands over all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If a column is missing, a pair comes twice, or a measure or the highlighted method has no row.
    """
    _check(table, measures, highlight)
    methods = list(pd.unique(table["method"]))
    shown = list(pd.unique(table["measure"])) if measures is None else list(measures)
    names = 0.075 * max(len(str(m)) for m in methods) + 0.3
    top = 0.62 if title else 0.34
    width, height = names + 1.75 * len(shown) + 0.15, top + 0.3 * len(methods) + 0.15
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(
        left=names / width, right=1 - 0.15 / width, top=1 - top / height, bottom=0.15 / height, wspace=0.1
    )
    for ax, measure in zip(axes, shown):
        rows = table[table["measure"] == measure].set_index("method")
        cells = [rows.loc[m] if m in rows.index else None for m in methods]
        _draw_measure(ax, cells, str(measure), None if highlight is None else methods.index(highlight))
        _style(ax, str(measure))
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    axes[0].set_yticks(range(len(methods)), [str(m) for m in methods], fontsize=8.5)
    for method, label in zip(methods, axes[0].get_yticklabels()):
        plain_text(label)
        label.set_fontweight("bold" if method == highlight else "normal")
    if title:
        plain_text(
            figure.suptitle(title, x=0.1 / width, y=1 - 0.08 / height, ha="left", fontsize=10, fontweight="bold")
        )
    return figure


def _check(table: pd.DataFrame, measures: Sequence[str] | None, highlight: str | None) -> None:
    check_table(table, _COLUMNS)
    twice = table[table.duplicated(["method", "measure"])]
    if len(twice):
        pair = f"{twice['method'].iloc[0]!r} and {twice['measure'].iloc[0]!r}"
        raise SeqplrpError("table", f"has several rows for {pair}", "pass one row per method and measure")
    for measure in measures or ():
        if measure not in set(table["measure"]):
            raise SeqplrpError("measures", f"{measure!r} has no row in the table", "leave it out or measure it")
    if highlight is not None and highlight not in set(table["method"]):
        raise SeqplrpError("highlight", f"{highlight!r} has no row in the table", "name one of its methods")


def _draw_measure(ax: Axes, rows: Sequence[pd.Series | None], measure: str, highlight: int | None) -> None:
    means = np.array([np.nan if row is None else float(row["mean"]) for row in rows])
    lows = np.array([np.nan if row is None else float(row["low"]) for row in rows])
    highs = np.array([np.nan if row is None else float(row["high"]) for row in rows])
    best = _best(means, measure)
    left = min(0.0, float(np.nanmin(np.append(lows, 0.0))))
    right = max(0.0, float(np.nanmax(np.append(highs, 0.0))))
    span = (right - left) or 1.0
    place = np.arange(len(rows))
    drawn = ~np.isnan(means)
    colours = [_HIGHLIGHT if i == highlight else _BAR for i in place[drawn]]
    ax.barh(place[drawn], means[drawn], height=0.62, color=colours)
    ax.hlines(place[drawn], lows[drawn], highs[drawn], color="#222222", linewidth=1.2)
    for i, row in enumerate(rows):
        text = "not measured" if row is None else f"{means[i]:.3f}" if drawn[i] else "undefined"
        at = max(highs[i], 0.0) if drawn[i] else 0.0
        ax.text(
            at + 0.04 * span,
            i,
            text,
            va="center_baseline",
            fontsize=7.5,
            fontweight="bold" if i in best else "normal",
            color="#222222" if drawn[i] else "#777777",
        )
    ax.set_xlim(left - (0.05 * span if left < 0 else 0), right + 0.42 * span)


def _style(ax: Axes, measure: str) -> None:
    plain_text(ax.set_title(measure_title(measure), fontsize=9, loc="left", pad=4))
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines["left"].set_color("#777777")
    ax.tick_params(axis="y", length=0)
    ax.set_xticks([])
    ax.axvline(0, color="#777777", linewidth=0.8)


def _best(means: np.ndarray, measure: str) -> set[int]:
    known = _KNOWN.get(measure)
    if known is None or known.better == "neither" or np.isnan(means).all():
        return set()
    target = np.nanmax(means) if known.better == "higher" else np.nanmin(means)
    return {int(i) for i in np.flatnonzero(means == target)}
