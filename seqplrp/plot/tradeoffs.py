"""Two measures of the same methods against one another: sparsity or cost against recovery."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from seqplrp.errors import SeqplrpError
from seqplrp.plot.axes import open_axes
from seqplrp.plot.figures import plain_text
from seqplrp.plot.sweeps import COLOURS
from seqplrp.plot.tables import check_table

_OTHERS = "#6E8FAF"
_HIGHLIGHT = "#D98E04"
_SIZE = 7.5  # points
_COLUMNS = ("method", "x", "y")


def trade_off(
    table: pd.DataFrame,
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    highlight: str | None = None,
    named: Collection[str] | None = None,
    frontier: bool = False,
    title: str = "",
) -> Figure:
    """Draw methods as named points, with their intervals as crosses and sweeps as lines.

    Parameters
    ----------
    table : DataFrame
        Columns method, x, y; optionally x_low, x_high, y_low, y_high (intervals) and family: methods of one family
        are joined by a line in the order of the rows. Rows with a NaN x or y are left out.
    x_label, y_label : str
    log_x : bool
        Whether the x axis is logarithmic, as for cost; x must then be above 0.
    highlight : str, optional
        A method whose point is coloured.
    named : collection of str, optional
        The methods whose names are written; the others are small pale points without intervals. All unless given.
    frontier : bool
        Draw the line of the methods that no other one beats in both (lower x, higher y).
    title : str
        Stands over it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If a column is missing, no row has both values, or an x of a logarithmic axis is not above 0.
    """
    rows = _check(table, log_x)
    figure = Figure(figsize=(7.2, 5.0), facecolor="white", layout="constrained")
    ax = figure.subplots()
    if log_x:
        ax.set_xscale("log")
    _draw_families(ax, rows)
    if frontier:
        _draw_frontier(ax, rows)
    told = rows if named is None else rows[rows["method"].isin(named)].reset_index(drop=True)
    ax.plot(rows["x"], rows["y"], "o", markersize=3, color=_OTHERS, alpha=0.45, markeredgewidth=0, zorder=2)
    _draw_points(ax, told, highlight)
    ax.margins(x=0.08, y=0.08)
    plain_text(ax.set_xlabel(x_label, fontsize=9))
    plain_text(ax.set_ylabel(y_label, fontsize=9))
    open_axes(ax, labelsize=8)
    if log_x:
        ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    if title:
        plain_text(ax.set_title(title, fontsize=10, fontweight="bold", loc="left"))
    _name_points(figure, ax, told, highlight)
    return figure


def _check(table: pd.DataFrame, log_x: bool) -> pd.DataFrame:
    check_table(table, _COLUMNS)
    rows = table[table["x"].notna() & table["y"].notna()].reset_index(drop=True)
    if rows.empty:
        raise SeqplrpError("table", "has no row with both values", "pass at least one method that was measured")
    if log_x and (rows["x"] <= 0).any():
        raise SeqplrpError("table", "has an x that is not above 0 on a logarithmic axis", "pass log_x=False")
    return rows


def _draw_families(ax: Axes, rows: pd.DataFrame) -> None:
    if "family" not in rows:
        return
    for number, (_, members) in enumerate(rows.groupby("family", sort=False)):
        if len(members) > 1:
            ax.plot(members["x"], members["y"], color=COLOURS[(number + 1) % len(COLOURS)], linewidth=1, alpha=0.6)


def _draw_frontier(ax: Axes, rows: pd.DataFrame) -> None:
    cheapest_first = rows.sort_values(["x", "y"], ascending=[True, False])
    best = cheapest_first[cheapest_first["y"] > cheapest_first["y"].cummax().shift(fill_value=-np.inf)]
    ax.step(
        best["x"], best["y"], where="post", color="#BBBBBB", linewidth=5, alpha=0.5, zorder=0, solid_capstyle="round"
    )


def _draw_points(ax: Axes, rows: pd.DataFrame, highlight: str | None) -> None:
    for row in rows.to_dict(orient="records"):
        colour = _HIGHLIGHT if row["method"] == highlight else _OTHERS
        ax.errorbar(
            row["x"],
            row["y"],
            xerr=_span(row, "x"),
            yerr=_span(row, "y"),
            fmt="o",
            markersize=7 if row["method"] == highlight else 5,
            color=colour,
            ecolor=colour,
            elinewidth=0.9,
            zorder=3,
        )


def _span(row: Mapping[Any, Any], axis: str) -> npt.NDArray[np.float64] | None:
    low, high = row.get(f"{axis}_low", np.nan), row.get(f"{axis}_high", np.nan)
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return np.array([[max(0.0, row[axis] - low)], [max(0.0, high - row[axis])]])


def _name_points(figure: Figure, ax: Axes, rows: pd.DataFrame, highlight: str | None) -> None:
    """Write names beside the points, each where it covers the least of what is drawn already."""
    figure.draw_without_rendering()  # so that places in inches are known
    scale = figure.dpi / 72
    points = ax.transData.transform(rows[["x", "y"]].to_numpy(dtype=float).reshape(-1, 2))
    frame = ax.get_window_extent()
    taken = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in points]
    crowded = np.argsort([-_near(points, i) for i in range(len(points))], kind="stable")
    for i in crowded:
        name = str(rows["method"].iloc[i])
        width, height = 0.52 * _SIZE * len(name) * scale, 1.25 * _SIZE * scale
        places = list(_places(points[i], width, height, scale))
        box, (dx, dy, align) = min(places, key=lambda place: _overlap(place[0], taken, frame))
        taken.append(box)
        far = abs(dy) > 12
        label = ax.annotate(
            name,
            (rows["x"].iloc[i], rows["y"].iloc[i]),
            xytext=(dx, dy),
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=_SIZE,
            fontweight="bold" if name == highlight else "normal",
            color="#222222",
            arrowprops={"arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.6} if far else None,
            zorder=4,
            path_effects=[withStroke(linewidth=2.5, foreground="white", alpha=0.85)],
        )
        plain_text(label)
        label.set_in_layout(False)


_Box = tuple[float, float, float, float]
_RISES = (0.0, *(sign * 11.0 * step for step in range(1, 15) for sign in (1, -1)))  # points, the nearest first


def _places(
    point: Sequence[float], width: float, height: float, scale: float
) -> list[tuple[_Box, tuple[float, float, str]]]:
    found = []
    for rise in _RISES:
        for side, align in ((1.0, "left"), (-1.0, "right")):
            dx = side * (7.0 if abs(rise) < 12 else 14.0 if abs(rise) < 60 else 40.0)
            x, y = point[0] + dx * scale, point[1] + rise * scale
            left = x if side > 0 else x - width
            found.append(((left, y - height / 2, left + width, y + height / 2), (dx, rise, align)))
    return found


def _overlap(box: _Box, taken: Sequence[_Box], frame: Bbox) -> float:
    """Area of a box that covers others or sticks out of the frame (which counts more)."""
    total = 0.0
    for other in taken:
        wide = min(box[2], other[2]) - max(box[0], other[0])
        high = min(box[3], other[3]) - max(box[1], other[1])
        total += max(0.0, wide) * max(0.0, high)
    left, bottom, right, top = (float(edge) for edge in frame.extents)
    outside = max(0.0, left - box[0]) + max(0.0, box[2] - right)
    above = max(0.0, bottom - box[1]) + max(0.0, box[3] - top)
    return total + 10 * (outside * (box[3] - box[1]) + above * (box[2] - box[0]))


def _near(points: npt.NDArray[np.float64], i: int) -> int:
    """How many other points lie about as near as a label is long."""
    away = np.abs(points - points[i])
    return int(((away[:, 0] < 120) & (away[:, 1] < 25)).sum())
