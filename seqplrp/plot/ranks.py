"""Mean ranks of methods on one line, and which of them can't be told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError
from seqplrp.plot.figures import plain_text

_HIGHLIGHT = "#B36F00"
_ROW = 0.23  # inches


def critical_difference(
    ranks: Mapping[str, float], difference: float, *, highlight: str | None = None, title: str = ""
) -> Figure:
    """Draw a critical-difference diagram (Demsar 2006, JMLR 7:1, figure 1).

    Parameters
    ----------
    ranks : mapping of str to float
        Mean rank of each method, 1 the best.
    difference : float
        The critical difference: methods whose mean ranks are nearer are joined by a bar. NaN draws none.
    highlight : str, optional
        A method whose name is coloured.
    title : str
        Stands over it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If there are fewer than two methods, or a rank is not a number of at least 1.
    """
    if len(ranks) < 2:
        raise SeqplrpError("ranks", f"of {len(ranks)} method", "pass two or more")
    for name, rank in ranks.items():
        if not (np.isfinite(rank) and rank >= 1):
            raise SeqplrpError("ranks", f"{rank} of {name!r} is no mean rank", "pass numbers of at least 1")
    order = sorted(ranks, key=lambda name: (ranks[name], name))
    half = -(-len(order) // 2)
    cliques = joined(sorted(ranks.values()), difference)
    top = 0.75 if title else 0.45
    below = 0.2 + 0.09 * len(cliques)
    height = top + below + _ROW * half + 0.15
    names = 0.076 * max(len(name) for name in order) + 0.6
    width = 2 * names + 3.6
    figure = Figure(figsize=(width, height), facecolor="white")
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    ax.set_axis_off()
    low, high = 1, max(len(order), int(np.ceil(max(ranks.values()))))

    def at(rank: float) -> float:
        return names + (width - 2 * names) * (rank - low) / (high - low)

    axis = height - top
    _draw_axis(ax, at, axis, low, high)
    if np.isfinite(difference):
        _draw_difference(ax, at, axis + 0.3, min(difference, high - low), difference)
    for number, (left, right) in enumerate(cliques):
        y = axis - 0.12 - 0.09 * number
        ax.plot([at(left) - 0.04, at(right) + 0.04], [y, y], color="#222222", linewidth=3, solid_capstyle="butt")
    for number, name in enumerate(order):
        left = number < half
        row = number if left else len(order) - 1 - number
        y = axis - below - _ROW * (row + 0.5)
        edge = names - 0.1 if left else width - names + 0.1
        colour = _HIGHLIGHT if name == highlight else "#222222"
        ax.plot([at(ranks[name]), at(ranks[name]), edge], [axis, y, y], color=colour, linewidth=0.8)
        text = f"{name}  {ranks[name]:.2f}" if left else f"{ranks[name]:.2f}  {name}"
        label = ax.text(
            edge - 0.06 if left else edge + 0.06,
            y,
            text,
            ha="right" if left else "left",
            va="center",
            fontsize=8.5,
            color=colour,
            fontweight="bold" if name == highlight else "normal",
        )
        plain_text(label)
    if title:
        plain_text(ax.text(0.1, height - 0.12, title, fontsize=10, fontweight="bold", va="top"))
    return figure


def joined(ranks: list[float], difference: float) -> list[tuple[float, float]]:
    """Return the longest stretches of sorted ranks that are not farther apart than a difference.

    Parameters
    ----------
    ranks : list of float
        Ascending.
    difference : float
        The critical difference; NaN joins nothing.

    Returns
    -------
    list of (float, float)
        First and last rank of each stretch of two or more that lies in no longer one.
    """
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        near = [i for i in range(first, len(ranks)) if ranks[i] - ranks[first] < difference]
        last = near[-1] if near else first
        if last > first and not any(last <= end for _, end in found):
            found.append((first, last))
    return [(ranks[first], ranks[last]) for first, last in found]


def _draw_axis(ax: Axes, at: Callable[[float], float], y: float, low: int, high: int) -> None:
    ax.plot([at(low), at(high)], [y, y], color="#222222", linewidth=1)
    step = 1 if high - low <= 16 else 2
    for rank in range(low, high + 1, step):
        x = at(rank)
        ax.plot([x, x], [y, y + 0.05], color="#222222", linewidth=1)
        ax.text(x, y + 0.07, str(rank), ha="center", va="bottom", fontsize=7.5, color="#444444")


def _draw_difference(ax: Axes, at: Callable[[float], float], y: float, shown: float, difference: float) -> None:
    left, right = at(1), at(1 + shown)
    ax.plot([left, right], [y, y], color="#555555", linewidth=1.2)
    for x in (left, right):
        ax.plot([x, x], [y - 0.03, y + 0.03], color="#555555", linewidth=1.2)
    ax.text(right + 0.07, y, f"critical difference {difference:.2f}", va="center", fontsize=7.5, color="#555555")
