"""A bar with live metrics for training, on terminals alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Takes steps and epochs, shows nothing."""

    def step(self) -> None:
        """One optimiser step is done."""

    def epoch(self, row: Mapping[str, float], best_epoch: int) -> None:
        """One epoch is done, with its row of the history and the best epoch so far."""


class _Bar(TrainingProgress):
    def __init__(self, bar: Progress, task: TaskID, epochs: int, steps: int) -> None:
        self.bar, self.task, self.epochs, self.steps = bar, task, epochs, steps

    def step(self) -> None:
        self.bar.advance(self.task)

    def epoch(self, row: Mapping[str, float], best_epoch: int) -> None:
        metrics = (
            f"loss {row['train_loss']:.3f}, {row['validation_loss']:.3f}  AUPRC {row['validation_auprc']:.3f} "
            f"(best: epoch {best_epoch})"
        )
        done = int(row["epoch"])
        label = f"epoch {min(done + 1, self.epochs)}/{self.epochs}"
        self.bar.update(self.task, completed=done * self.steps, description=label, metrics=metrics)


@contextmanager
def training_progress(show: bool | None, epochs: int, steps_per_epoch: int) -> Iterator[TrainingProgress]:
    """Show a bar on standard error while the block runs.

    Parameters
    ----------
    show : bool or None
        None: only on a terminal.
    epochs, steps_per_epoch : int
        How much there is to do.

    Yields
    ------
    TrainingProgress
        To be told of every step and epoch.
    """
    console = Console(stderr=True)
    if not (console.is_terminal if show is None else show):
        yield TrainingProgress()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
    )
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task(f"epoch 1/{epochs}", total=epochs * steps_per_epoch, metrics="")
        yield _Bar(bar, task, epochs, steps_per_epoch)
