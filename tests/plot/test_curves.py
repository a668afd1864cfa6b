"""The learning curve shows the history's own numbers and the epoch that was kept."""

from __future__ import annotations

import pandas as pd
import pytest

from seqplrp import SeqplrpError
from seqplrp.plot import learning_curve, save_figure

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [0.7, 0.4, 0.2],
        "validation_loss": [0.6, 0.3, 0.35],
        "validation_auroc": [0.6, 0.9, 0.88],
        "validation_auprc": [0.55, 0.85, 0.84],
        "validation_accuracy": [0.5, 0.8, 0.79],
    }
)


def lines(ax) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}


def test_losses_and_measures_are_the_historys_numbers() -> None:
    losses, measures = learning_curve(HISTORY).axes
    assert lines(losses) == {"training": [0.7, 0.4, 0.2], "validation": [0.6, 0.3, 0.35]}
    assert lines(measures) == {
        "AUROC": [0.6, 0.9, 0.88],
        "AUPRC": [0.55, 0.85, 0.84],
        "accuracy": [0.5, 0.8, 0.79],
    }


def test_the_kept_epoch_is_marked_in_both_panels() -> None:
    for ax in learning_curve(HISTORY, best_epoch=2).axes:
        (mark,) = [line for line in ax.get_lines() if line.get_label() == "kept: epoch 2"]
        assert list(mark.get_xdata()) == [2, 2]


def test_a_run_of_one_epoch_is_drawn_and_written_as_svg_and_png(tmp_path) -> None:
    figure = learning_curve(HISTORY.head(1), best_epoch=1, title="basset-small, seed 0")
    for suffix in ("svg", "png"):
        save_figure(figure, tmp_path / f"curve.{suffix}")
        assert (tmp_path / f"curve.{suffix}").stat().st_size > 1000


def test_a_history_without_its_columns_or_epochs_is_refused() -> None:
    with pytest.raises(SeqplrpError, match="history: has no column 'validation_auprc'; give the history"):
        learning_curve(HISTORY.drop(columns="validation_auprc"))
    with pytest.raises(SeqplrpError, match="has no row"):
        learning_curve(HISTORY.head(0))
