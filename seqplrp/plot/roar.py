"""ROAR as a picture: what retrained networks reach when more and more bases are taken away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.plot.figures import plain_text
from seqplrp.plot.tables import check_table

_COLUMNS = ("method", "input", "percent", "seed", "auroc")
_CONTROLS = {"random": ("#888888", "--"), "truth": ("#111111", ":")}
_COLOURS = ("#22577A", "#D98E04", "#3B9A7C", "#C1443C", "#8E5EA2", "#7A9E7E", "#9FB6CD", "#B07D62")
_UNCHANGED = "unchanged"


def roar_curves(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw AUROC after retraining against the share of bases replaced; beside it what the masks alone tell.

    Lines are means over seeds, bands reach from the lowest to the highest seed. Shares stand at equal distances.

    Parameters
    ----------
    table : DataFrame
        From `seqplrp.recovery.run_roar`: columns method, input, percent, seed, auroc.
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
    check_table(table, _COLUMNS, remedy="give what run_roar() returned")
    percents = sorted({0.0, *table["percent"]})
    methods = [method for method in pd.unique(table["method"]) if method != _UNCHANGED]
    inputs = [kind for kind in ("sequence", "mask") if (table["input"] == kind).any()]
    figure = Figure(figsize=(1.6 + 3.9 * len(inputs), 3.6 if title else 3.3), facecolor="white", layout="constrained")
    panels = figure.subplots(1, len(inputs), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, inputs):
        part = table[table["input"] == kind]
        start = table.loc[table["method"] == _UNCHANGED, "auroc"] if kind == "sequence" else pd.Series(dtype=float)
        for number, method in enumerate(methods):
            _draw(axes, part[part["method"] == method], start, percents, str(method), number)
        axes.axhline(0.5, color="#BBBBBB", linewidth=0.7)
        axes.set_xticks(range(len(percents)), [f"{p:g}" for p in percents])
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("% of the bases replaced", fontsize=8.5)
        heading = "retrained on what is left" if kind == "sequence" else "trained on the mask alone: leakage"
        axes.set_title(heading, fontsize=9, loc="left")
    panels[0].set_ylabel("test AUROC", fontsize=8.5)
    _legend(figure, panels)
    if title:
        plain_text(figure.suptitle(title, fontsize=10))
    return figure


def _draw(
    axes: Axes, rows: pd.DataFrame, start: pd.Series, percents: Sequence[float], method: str, number: int
) -> None:
    if rows.empty:
        return
    at = rows.groupby("percent")["auroc"].agg(["mean", "min", "max"])
    if len(start):
        at.loc[0.0] = [start.mean(), start.min(), start.max()]
    at = at.sort_index()
    where = np.array([list(percents).index(p) for p in at.index])
    colour, line = _CONTROLS.get(method, (_COLOURS[number % len(_COLOURS)], "-"))
    axes.fill_between(where, at["min"], at["max"], color=colour, alpha=0.12, linewidth=0)
    axes.plot(where, at["mean"], color=colour, linestyle=line, marker="o", markersize=3, linewidth=1.4, label=method)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside right center")
    for text in legend.get_texts():
        plain_text(text)
