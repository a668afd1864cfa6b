"""Lines against a number, a panel a question: curves of several methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError
from seqplrp.plot.axes import legend_beneath, open_axes
from seqplrp.plot.figures import plain_text
from seqplrp.plot.sweeps import COLOURS
from seqplrp.plot.tables import check_table

_COLUMNS = ("panel", "line", "x", "mean", "low", "high")
_STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)))
_MOST_BANDS = 4  # of more lines, the highlighted one alone has a band


def line_panels(
    table: pd.DataFrame,
    *,
    x_label: str = "",
    y_label: str = "",
    columns: int = 3,
    spread: Literal["even", "root"] = "even",
    ticks: Mapping[str, tuple[Sequence[float], Sequence[str]]] | None = None,
    highlight: str | None = None,
    controls: Mapping[str, str] | None = None,
    zero: bool = False,
    title: str = "",
) -> Figure:
    """Draw means against a number: a panel a group of rows, a line each method, bands where few are drawn.

    Parameters
    ----------
    table : DataFrame
        Columns panel, line, x, mean, low, high; panels and lines in the order in which they come first. Points with a
        NaN mean are left out of their line, and bands where low or high is NaN.
    x_label, y_label : str
        What the axes are; all panels of a row share the second.
    columns : int
        Panels in a row.
    spread : {"even", "root"}
        How x is spread: "root" by its square root, which gives small values more room (x >= 0).
    ticks : mapping of str to (values, texts), optional
        Places of x that are marked, by panel; matplotlib's choice for others.
    highlight : str, optional
        A line that is drawn broad, beneath the others, with its band.
    controls : mapping of str to str, optional
        Lines that are no methods, with their colours; they are dotted.
    zero : bool
        Whether 0 is marked.
    title : str
        Stands over all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If a column is missing, there is no row, or x has no root.
    """
    check_table(table, _COLUMNS)
    if spread == "root" and (table["x"] < 0).any():
        raise SeqplrpError("table, x", "is below 0, where there is no root", "spread it evenly")
    panels, lines = list(pd.unique(table["panel"])), list(pd.unique(table["line"]))
    styles = _styles(lines, highlight, controls or {})
    columns = max(1, min(columns, len(panels)))
    rows = -(-len(panels) // columns)
    longest = max((len(text) for _, texts in (ticks or {}).values() for text in texts), default=0)
    height = (2.7 + 0.05 * longest) * rows + 0.16 * -(-len(lines) // 4) + 0.5
    figure = Figure(figsize=(3.5 * columns + 0.3, height), facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for number, (axes, panel) in enumerate(zip(grid.ravel(), panels)):
        of = table[table["panel"] == panel]
        for line in lines:
            banded = len(lines) <= _MOST_BANDS or line == highlight
            _draw(axes, of[of["line"] == line], str(line), styles[line], banded=banded)
        _place(axes, spread, (ticks or {}).get(panel))
        if zero:
            axes.axhline(0, color="#BBBBBB", linewidth=0.7, zorder=0)
        plain_text(axes.set_title(str(panel), fontsize=9, loc="left"))
        axes.set_xlabel(x_label, fontsize=8.5)
        if number % columns == 0:
            axes.set_ylabel(y_label, fontsize=8.5)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_axis_off()
    legend_beneath(figure, list(grid.ravel()[: len(panels)]), list(map(str, lines)), handlelength=3)
    if title:
        plain_text(figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left"))
    return figure


def _styles(lines: Sequence[str], highlight: str | None, controls: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Give each line a colour, and more dashes where the colours are used up."""
    found: dict[str, dict[str, Any]] = {}
    number = 0
    first, others = COLOURS[0], COLOURS[1:]
    for line in lines:
        if line in controls:
            found[line] = {"color": controls[line], "linestyle": ":", "linewidth": 1.6}
        elif line == highlight:
            found[line] = {"color": first, "linestyle": "-", "linewidth": 3.0, "zorder": 1.9}
        else:
            style = _STYLES[number // len(others) % len(_STYLES)]
            found[line] = {"color": others[number % len(others)], "linestyle": style, "linewidth": 1.3}
            number += 1
    return found


def _draw(axes: Axes, rows: pd.DataFrame, line: str, style: Mapping[str, Any], *, banded: bool) -> None:
    rows = rows[rows["mean"].notna()].sort_values("x")
    if rows.empty:
        return
    x, mean, low, high = (rows[name].to_numpy(dtype=float) for name in ("x", "mean", "low", "high"))
    if banded and np.isfinite(low).any():
        axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    marker = "o" if len(rows) < 12 else None
    axes.plot(x, mean, marker=marker, markersize=3, label=line, **style)


def _place(axes: Axes, spread: str, ticks: tuple[Sequence[float], Sequence[str]] | None) -> None:
    if spread == "root":
        axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
        axes.set_xlim(left=0)
    if ticks is not None:
        slanted = max(map(len, ticks[1]), default=0) > 4
        axes.set_xticks(list(ticks[0]), list(ticks[1]), rotation=90 if slanted else 0)
        axes.minorticks_off()
    open_axes(axes, labelsize=7.5)
