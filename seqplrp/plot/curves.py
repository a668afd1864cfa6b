"""How training went: losses and validation measures by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqplrp.plot.figures import plain_text
from seqplrp.plot.tables import check_table

_LOSSES = {"train_loss": ("training", "#9FB6CD"), "validation_loss": ("validation", "#22577A")}
_MEASURES = {
    "validation_auroc": ("AUROC", "#22577A"),
    "validation_auprc": ("AUPRC", "#D98E04"),
    "validation_accuracy": ("accuracy", "#7A9E7E"),
}


def learning_curve(history: pd.DataFrame, *, best_epoch: int | None = None, title: str = "") -> Figure:
    """Draw the losses and the validation measures of a training run by epoch, side by side.

    Parameters
    ----------
    history : DataFrame
        One row per epoch: the columns epoch, train_loss, validation_loss, validation_auroc, validation_auprc and
        validation_accuracy, as ``history.tsv`` has them.
    best_epoch : int, optional
        Marked by a line in both panels: the epoch whose weights were kept.
    title : str
        Stands over all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeqplrpError
        If there is no epoch or a column is missing.
    """
    _check(history)
    figure = Figure(figsize=(8.4, 3.1 if title else 2.8), facecolor="white", layout="constrained")
    losses, measures = figure.subplots(1, 2)
    _draw(losses, history, _LOSSES, best_epoch)
    losses.set_ylabel("loss")
    losses.set_ylim(bottom=0)
    _draw(measures, history, _MEASURES, best_epoch)
    measures.set_ylabel("on the validation set")
    measures.set_ylim(top=1.005)
    if title:
        plain_text(figure.suptitle(title, fontsize=10))
    return figure


def _draw(axes: Axes, history: pd.DataFrame, lines: Mapping[str, tuple[str, str]], best_epoch: int | None) -> None:
    for column, (label, colour) in lines.items():
        # Dots, too: a run of one epoch has no line.
        axes.plot(history["epoch"], history[column], color=colour, label=label, marker="o", markersize=3)
    if best_epoch is not None:
        axes.axvline(best_epoch, color="#888888", linewidth=0.8, linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _check(history: pd.DataFrame) -> None:
    check_table(history, ("epoch", *_LOSSES, *_MEASURES), name="history", remedy="give the history that training wrote")
