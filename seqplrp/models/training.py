"""The training loop: from labelled sequences to a model, its history and its measures."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqplrp.errors import SeqplrpError
from seqplrp.models.batches import choose_device, expand, flip_strands, predict
from seqplrp.models.config import Advice, ModelConfig, current_versions
from seqplrp.models.dataset import TEST, TRAIN, VALIDATION, SequenceData
from seqplrp.models.metrics import LEARNED_SHARE, evaluate_predictions, scores, training_warnings
from seqplrp.models.optimisation import check_losses, decayed_groups, memory_told, own_generators, schedule_factor
from seqplrp.models.progress import training_progress
from seqplrp.models.storage import save_model
from seqplrp.models.zoo import (
    ARCHITECTURES,
    SequenceModel,
    build_model,
    count_parameters,
    initialise_output,
    resolve_architecture,
)

HISTORY_FILE = "history.tsv"
PREDICTIONS_FILE = "test_predictions.tsv"

MINIMUM_STEPS = 300
"""Small data sets get smaller batches, down to `SMALLEST_BATCH`, so that all epochs together have this many steps."""

LARGEST_BATCH, SMALLEST_BATCH = 128, 16

# An epoch counts as better if its AUPRC is; within this margin the validation loss decides, because on
# easy tasks AUPRC is 1 long before the model has settled.
_AUPRC_MARGIN = 1e-3


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Parameters
    ----------
    epochs : int
        Passes over the training sequences, at most; the schedule spans them.
    batch_size : int or None
        Sequences per step; None: 128, or less for small data sets (see `MINIMUM_STEPS`).
    learning_rate : float or None
        The schedule's peak; None: the architecture's own.
    weight_decay : float
        AdamW's, on the weights of convolutions and dense layers (not on biases and batch norms). On some thousand
        sequences the large default generalises better than the customary 0.01 (GABPA peaks: validation AUROC 0.92
        to 0.93 against 0.89) and costs nothing on easy tasks.
    warmup : float
        Share of all steps over which the learning rate rises; it falls along a cosine afterwards.
    patience : int
        Stop after so many epochs without a better validation AUPRC (macro mean over classes). A model that is still
        at the base rate is given half of all epochs first: tasks in which no single motif tells the classes apart
        begin with a plateau.
    class_weights : {"balanced", "none"}
        "balanced" weighs each class so that its positives count as much as its negatives (multi-class: as much as
        every other class), at most twenty-fold. Nothing changes where classes are equally frequent.
    reverse_complement : bool
        Show each training sequence on a strand drawn anew every time. Wrong where the classes differ by strand.
    seed : int
        Of weights, batches, strands and dropout. On the CPU the same seed, data and number of threads give the same
        model to the bit.
    device : str
        "auto", "cpu", "cuda", ...
    """

    epochs: int = 15
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.5
    warmup: float = 0.15
    patience: int = 5
    class_weights: Literal["balanced", "none"] = "balanced"
    reverse_complement: bool = True
    seed: int = 0
    device: str = "auto"

    def validate(self) -> None:
        """Raise `SeqplrpError` for values with which nothing can be trained."""
        limits = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size is None or self.batch_size >= 2, "at least 2"),
            "learning_rate": (
                self.learning_rate is None or (self.learning_rate > 0 and math.isfinite(self.learning_rate)),
                "more than 0",
            ),
            "weight_decay": (0 <= self.weight_decay < math.inf, "0 or more"),
            "warmup": (0 <= self.warmup < 1, "a share from 0 up to, but not including, 1"),
            "patience": (self.patience >= 1, "at least 1"),
            "class_weights": (self.class_weights in ("balanced", "none"), "'balanced' or 'none'"),
            "seed": (0 <= self.seed < 2**63, "0 or more"),
        }
        for name, (fits, expected) in limits.items():
            if not fits:
                raise SeqplrpError(name, f"is {getattr(self, name)!r}", f"give {expected}")


@dataclass(frozen=True)
class TrainedModel:
    """What training gives.

    Parameters
    ----------
    model : SequenceModel
        With the best epoch's weights, on the CPU, in eval mode, with ``.config``.
    config : ModelConfig
        Its description, with validation and test metrics and warnings.
    history : DataFrame
        One row per epoch: epoch, learning_rate, train_loss, validation_loss, validation_auroc, validation_auprc,
        validation_accuracy, seconds.
    predictions : DataFrame
        The test set: id, and for each class ``label:CLASS``, ``logit:CLASS`` and ``score:CLASS`` (probability).
    advice : list of Advice
        What is doubtful about the data and the result; empty for a sound run. ``config.warnings`` has it as text.
    """

    model: SequenceModel
    config: ModelConfig
    history: pd.DataFrame
    predictions: pd.DataFrame
    advice: list[Advice]

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, whose weights were kept."""
        return int(self.config.training["best_epoch"])


def train_model(
    data: SequenceData,
    architecture: str = "basset-small",
    *,
    options: Mapping[str, Any] | None = None,
    training: TrainOptions | None = None,
    progress: bool | None = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> TrainedModel:
    """Train a model of the zoo and measure it on the test set.

    AdamW with a warm-up and a cosine schedule; the epoch with the best validation AUPRC is kept.

    Parameters
    ----------
    data : SequenceData
        From `make_dataset`, `read_labelled_directory` or `read_positives_negatives`.
    architecture : str
        A name in `ARCHITECTURES`.
    options : mapping, optional
        Fields of the architecture's configuration.
    training : TrainOptions, optional
        How to train.
    progress : bool or None
        Show a bar with live metrics on standard error; None: if that is a terminal.
    on_epoch : callable, optional
        Called with each epoch's row of the history.

    Returns
    -------
    TrainedModel

    Raises
    ------
    SeqplrpError
        For settings that can't be, a loss that is not a number, or too little memory on the device.

    Notes
    -----
    torch's global generators are as before afterwards.
    """
    settings = training or TrainOptions()
    settings.validate()
    name = resolve_architecture(architecture)
    device = choose_device(settings.device)
    started = time.perf_counter()
    batch_size = settings.batch_size or f"automatic, at most {LARGEST_BATCH}"
    with own_generators(settings.seed, device), memory_told(settings.device, batch_size):
        model = build_model(name, length=data.length, n_outputs=len(data.classes), **(options or {}))
        run = _Run(model.to(device), data, settings, ARCHITECTURES[name].learning_rate, device)
        rows, best = _fit(run, progress, on_epoch)
        model.load_state_dict(best.weights)
        model.cpu().eval()
        validation, test = (predict(model, data.codes[data.rows(split)]) for split in (VALIDATION, TEST))
    outcome = {
        "best_epoch": best.epoch,
        "epochs_run": len(rows),
        "seconds": round(time.perf_counter() - started, 2),
        "device": device.type,
        "parameters": count_parameters(model),
    }
    metrics = {
        name: evaluate_predictions(logits.numpy(), data.labels[data.rows(name)], data.kind, data.classes)
        for name, logits in ((VALIDATION, validation), (TEST, test))
    }
    n_train = len(data.rows(TRAIN))
    advice = [*data.notes, *training_warnings(validation.numpy(), metrics[VALIDATION], n_train)]
    model.config = _describe(model, run, outcome, metrics, advice)
    predictions = _prediction_table(data, test.numpy())
    return TrainedModel(model, model.config, pd.DataFrame(rows), predictions, advice)


def save_training(result: TrainedModel, directory: Path | str) -> None:
    """Write a trained model with its history and test predictions into a directory."""
    folder = Path(directory)
    save_model(result.model, folder, result.config)
    result.history.to_csv(folder / HISTORY_FILE, sep="\t", index=False, float_format="%.6g")
    result.predictions.to_csv(folder / PREDICTIONS_FILE, sep="\t", index=False, float_format="%.6g")


class _Run:
    """What stays the same over the epochs of one training run."""

    def __init__(
        self, model: SequenceModel, data: SequenceData, settings: TrainOptions, rate: float, device: torch.device
    ) -> None:
        self.model, self.data, self.settings, self.device = model, data, settings, device
        self.codes = {split: self._tensor(data.codes, split) for split in (TRAIN, VALIDATION)}
        self.labels = {split: self._tensor(data.labels, split) for split in (TRAIN, VALIDATION)}
        n_train = len(self.codes[TRAIN])
        self.batch_size = min(n_train, settings.batch_size or _fitting_batch_size(n_train, settings.epochs))
        self.steps_per_epoch = max(1, n_train // self.batch_size)
        self.learning_rate = settings.learning_rate or rate
        self.optimiser = torch.optim.AdamW(decayed_groups(model, settings.weight_decay), lr=self.learning_rate)
        steps = self.steps_per_epoch * settings.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: schedule_factor(step, steps, settings.warmup)
        )
        self.weights = _class_weights(data, settings).to(device)
        initialise_output(model, _prior_log_odds(data, self.weights.cpu()))
        # Batches and strands have a generator of their own on the CPU, so that they are the same on every device.
        self.generator = torch.Generator().manual_seed(settings.seed)

    def _tensor(self, array: Any, split: str) -> Tensor:
        return torch.from_numpy(array[self.data.rows(split)]).to(self.device)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean (weighted) cross entropy."""
        if self.data.kind == "multiclass":
            return F.cross_entropy(logits, labels.argmax(dim=1), weight=self.weights)
        return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=self.weights)


@dataclass(frozen=True)
class _Best:
    epoch: int
    weights: dict[str, Tensor]


def _fit(
    run: _Run, progress: bool | None, on_epoch: Callable[[dict[str, float]], None] | None
) -> tuple[list[dict[str, float]], _Best]:
    rows: list[dict[str, float]] = []
    best: _Best | None = None
    with training_progress(progress, run.settings.epochs, run.steps_per_epoch) as show:
        for epoch in range(1, run.settings.epochs + 1):
            started = time.perf_counter()
            rate = run.optimiser.param_groups[0]["lr"]
            train_loss = _train_epoch(run, epoch, show.step)
            row = {"epoch": epoch, "learning_rate": rate, "train_loss": train_loss, **_validate(run)}
            check_losses(row, run.learning_rate)
            row["seconds"] = time.perf_counter() - started
            rows.append(row)
            if best is None or _is_better(row, rows[best.epoch - 1]):
                best = _Best(epoch, copy.deepcopy(run.model.state_dict()))
            show.epoch(row, best.epoch)
            if on_epoch is not None:
                on_epoch(row)
            if epoch - best.epoch >= run.settings.patience and _has_begun(rows[best.epoch - 1], epoch, run):
                break
    assert best is not None
    return rows, best


def _train_epoch(run: _Run, epoch: int, step: Callable[[], None]) -> float:
    model, codes, labels = run.model.train(), run.codes[TRAIN], run.labels[TRAIN]
    order = torch.randperm(len(codes), generator=run.generator)
    total = torch.zeros((), device=run.device)
    # The last, incomplete batch is left to another epoch's draw: batch norm on a handful of sequences is noise.
    for index in torch.split(order, run.batch_size)[: run.steps_per_epoch]:
        rows = index.to(run.device)
        batch = codes[rows]
        if run.settings.reverse_complement:
            flipped = torch.rand(len(index), generator=run.generator) < 0.5
            batch = flip_strands(batch, flipped.to(run.device))
        loss = run.loss(model(expand(batch)), labels[rows])
        run.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        run.optimiser.step()
        run.schedule.step()
        total += loss.detach()
        step()
    return float(total) / run.steps_per_epoch


def _validate(run: _Run) -> dict[str, float]:
    logits = predict(run.model, run.codes[VALIDATION])
    labels = run.labels[VALIDATION].cpu()
    row = {"validation_loss": float(run.loss(logits.to(run.device), labels.to(run.device)))}
    if not logits.isfinite().all():
        return {**row, "validation_loss": math.nan}
    macro = evaluate_predictions(logits.numpy(), labels.numpy(), run.data.kind, run.data.classes)["macro"]
    return {**row, **{f"validation_{key}": macro[key] for key in ("auroc", "auprc", "accuracy")}}


def _is_better(row: Mapping[str, float], best: Mapping[str, float]) -> bool:
    gain = row["validation_auprc"] - best["validation_auprc"]
    if abs(gain) > _AUPRC_MARGIN:
        return gain > 0
    return row["validation_loss"] < best["validation_loss"]


def _has_begun(best: Mapping[str, float], epoch: int, run: _Run) -> bool:
    """Whether early stopping may be trusted: the model has left the base rate, or has had its time to."""
    base = float(run.labels[VALIDATION].mean())
    gain = (best["validation_auprc"] - base) / (1.0 - base)
    return gain >= LEARNED_SHARE or 2 * epoch >= run.settings.epochs


def _fitting_batch_size(n_train: int, epochs: int) -> int:
    size = LARGEST_BATCH
    while size > SMALLEST_BATCH and n_train // size * epochs < MINIMUM_STEPS:
        size //= 2
    return size


def _class_weights(data: SequenceData, settings: TrainOptions) -> Tensor:
    labels = data.labels[data.rows(TRAIN)]
    if settings.class_weights == "none":
        return torch.ones(labels.shape[1])
    inside = labels.sum(axis=0)
    others = len(labels) / len(inside) if data.kind == "multiclass" else len(labels) - inside
    weights = others / inside
    return torch.from_numpy(np.clip(weights, 1 / 20, 20)).to(torch.float32)


def _prior_log_odds(data: SequenceData, weights: Tensor) -> Tensor:
    """Log odds (multi-class: log shares) of the classes as the weighted loss sees them: where the bias starts."""
    share = torch.from_numpy(data.labels[data.rows(TRAIN)].mean(axis=0))
    return torch.log(weights * (share if data.kind == "multiclass" else share / (1 - share)))


def _describe(
    model: SequenceModel, run: _Run, outcome: dict[str, Any], metrics: dict[str, Any], advice: list[Advice]
) -> ModelConfig:
    data = run.data
    used = {"batch_size": run.batch_size, "learning_rate": run.learning_rate}
    return ModelConfig(
        architecture=model.architecture,
        options=dataclasses.asdict(model.options),
        length=model.length,
        flexible_length=model.options.flexible_length,
        n_outputs=model.n_outputs,
        classes=data.classes,
        kind=data.kind,
        metrics=metrics,
        seed=run.settings.seed,
        versions=current_versions(),
        training={**dataclasses.asdict(run.settings), **used, **outcome},
        data={"source": data.source, "splits": data.counts()},
        warnings=[str(item) for item in advice],
    )


def _prediction_table(data: SequenceData, logits: Any) -> pd.DataFrame:
    rows = data.rows(TEST)
    probability = scores(logits, data.kind)
    table: dict[str, Any] = {"id": [data.ids[row] for row in rows]}
    for column, name in enumerate(data.classes):
        table[f"label:{name}"] = data.labels[rows, column].astype(int)
        table[f"logit:{name}"] = logits[:, column]
        table[f"score:{name}"] = probability[:, column]
    return pd.DataFrame(table)
