"""How the axes of all pictures of curves and points look, and the one legend beneath several of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.plot.figures import plain_text

GREY = "#777777"
"""Of what is there to be read by, not to be looked at."""


def open_axes(ax: Axes, *, labelsize: float) -> None:
    """Leave the left and the lower line of a frame, in grey."""
    ax.tick_params(labelsize=labelsize, color=GREY)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)


def legend_beneath(figure: Figure, axes: Sequence[Axes], order: Sequence[str] = (), **look: Any) -> None:
    """Draw one legend for all axes, each name once.

    Parameters
    ----------
    figure : Figure
    axes : sequence of Axes
    order : sequence of str
        Names in their order, where it is not that in which the axes have them.
    **look
        What matplotlib's legend takes.
    """
    known: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels()):
            known.setdefault(str(name), handle)
    names = [name for name in order if name in known] or list(known)
    handles = [known[name] for name in names]
    legend = figure.legend(
        handles, names, loc="outside lower center", ncols=min(4, len(names)), fontsize=8, frameon=False, **look
    )
    for text in legend.get_texts():
        plain_text(text)
