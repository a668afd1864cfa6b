"""The training loop: from labelled images to a slim network, its history and its measures."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from seqplrp.errors import SeqplrpError
from seqplrp.images.batches import Augmentation, augmented, normalised, predict_images, usual_preprocessing
from seqplrp.images.checkpoints import Checkpoint, TrainingState, flattened, unflattened
from seqplrp.images.labelled import TEST, TRAIN, VALIDATION, LabelledImages
from seqplrp.images.networks import ImageNetwork
from seqplrp.images.slim import SLIM, SlimVGG, build_slim, check_slim, without_batch_norm
from seqplrp.images.trained import (
    TRAINED_HERE,
    TrainedImageNetwork,
    advice_of,
    described,
    measured,
    prediction_table,
)
from seqplrp.models import (
    check_losses,
    choose_device,
    decayed_groups,
    memory_told,
    own_generators,
    schedule_factor,
    training_progress,
)

_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class ImageTrainOptions:
    """How to train.

    Parameters
    ----------
    epochs : int or None
        Passes over the training images, which the schedule spans; None: the network's own number.
    batch_size : int
        Images per step.
    learning_rate : float or None
        The schedule's peak; None: the network's own.
    weight_decay : float
        AdamW's, on the weights of convolutions and linear layers (not on biases and batch norms).
    warmup : float
        Share of all steps over which the learning rate rises; it falls along a cosine afterwards.
    augment : {"turns", "flips", "none"}
        "turns": each image in one of the eight ways in which a square can be laid, drawn anew every time; "flips": as
        it is or mirrored left to right, for classes that have an upper side.
    shift : float
        By how much images are moved at most, as a share of their side, drawn anew every time; edges are mirrored.
    half : bool
        Round the trained weights to 16 bits, which halves their file; they are measured after it.
    seed : int
        Of weights, batches, augmentation and dropout. On the CPU the same seed, data and number of threads give the
        same network to the bit, whether the run was stopped in between or not.
    device : str
        "auto", "cpu", "cuda", ...
    """

    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float | None = None
    weight_decay: float = 0.05
    warmup: float = 0.1
    augment: Augmentation = "turns"
    shift: float = 1 / 16
    half: bool = False
    seed: int = 0
    device: str = "auto"

    def validate(self) -> None:
        """Raise `SeqplrpError` for values with which nothing can be trained."""
        limits = {
            "epochs": (self.epochs is None or self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 2, "at least 2"),
            "learning_rate": (
                self.learning_rate is None or (self.learning_rate > 0 and math.isfinite(self.learning_rate)),
                "more than 0",
            ),
            "weight_decay": (0 <= self.weight_decay < math.inf, "0 or more"),
            "warmup": (0 <= self.warmup < 1, "a share from 0 up to, but not including, 1"),
            "augment": (self.augment in get_args(Augmentation), "turns, flips or none"),
            "shift": (0 <= self.shift < 0.5, "a share from 0 up to, but not including, 0.5"),
            "seed": (0 <= self.seed < 2**63, "0 or more"),
        }
        for name, (fits, expected) in limits.items():
            if not fits:
                raise SeqplrpError(name, f"is {getattr(self, name)!r}", f"give {expected}")


def train_image_network(
    data: LabelledImages,
    architecture: str = "vgg16-slim",
    *,
    training: ImageTrainOptions | None = None,
    checkpoint: Checkpoint | None = None,
    progress: bool | None = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> TrainedImageNetwork:
    """Train a slim network and measure it on the test images.

    AdamW with a warm-up and a cosine schedule, gradients clipped; the epoch with the best validation accuracy is kept
    (of equal ones, that of the least loss).

    Parameters
    ----------
    data : LabelledImages
        From `load_labelled_images`.
    architecture : str
        A name in `SLIM`.
    training : ImageTrainOptions, optional
        How to train.
    checkpoint : Checkpoint, optional
        Where the state is kept after every epoch, and taken from if it is there: it must be of the same data, network
        and options.
    progress : bool or None
        Show a bar with live metrics on standard error; None: if that is a terminal.
    on_epoch : callable, optional
        Called with each epoch's row of the history, after the checkpoint was written.

    Returns
    -------
    TrainedImageNetwork

    Raises
    ------
    SeqplrpError
        For settings that can't be, a loss that is not a number, a checkpoint that can't be read, or too little memory
        on the device.

    Notes
    -----
    torch's global generators are as before afterwards.
    """
    settings = training or ImageTrainOptions()
    settings.validate()
    device = choose_device(settings.device)
    with own_generators(settings.seed, device), memory_told(settings.device, settings.batch_size):
        run = _Run(data, architecture, settings, device)
        _fit(run, checkpoint, progress, on_epoch)
        module = _finished(run)
    logits = {split: predict_images(module, run.preprocessing, data.pixels[data.rows(split)]) for split in _HELD_OUT}
    metrics = {split: measured(values, data, split) for split, values in logits.items()}
    advice = advice_of(metrics[VALIDATION])
    classes = data.classes
    network = ImageNetwork(architecture, module, run.preprocessing, classes, TRAINED_HERE)
    return TrainedImageNetwork(
        network=network,
        description=described(network, data, _outcome(run), metrics, advice),
        history=pd.DataFrame(run.rows),
        predictions=prediction_table(data, logits[TEST].numpy()),
        advice=advice,
    )


_HELD_OUT = (VALIDATION, TEST)


class _Run:
    """What stays the same over the epochs of one training run, and how far it has come."""

    def __init__(
        self, data: LabelledImages, architecture: str, settings: ImageTrainOptions, device: torch.device
    ) -> None:
        self.data, self.settings, self.device, self.architecture = data, settings, device, architecture
        check_slim(architecture)
        entry = SLIM[architecture]
        trained = build_slim(entry.trained_as or architecture, n_classes=len(data.classes), image_size=data.size)
        self.model: nn.Module = trained.to(device).to(memory_format=torch.channels_last)
        self.preprocessing = usual_preprocessing(data.size)
        rows = data.rows(TRAIN)
        self.pixels = torch.from_numpy(data.pixels[rows]).to(device)
        self.labels = torch.from_numpy(data.labels[rows]).to(device)
        self.batch_size = min(settings.batch_size, len(rows))
        self.steps = len(rows) // self.batch_size
        self.epochs = settings.epochs or entry.epochs
        self.peak = settings.learning_rate or entry.learning_rate
        self.optimiser = torch.optim.AdamW(decayed_groups(self.model, settings.weight_decay), lr=self.peak)
        self.rows: list[dict[str, float]] = []
        self.best_epoch, self.best = 0, self.model.state_dict()
        self._cpu_before, self._cpu_start = 0.0, time.process_time()

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, that of the runs that this one goes on with among it."""
        return self._cpu_before + time.process_time() - self._cpu_start

    def state(self) -> TrainingState:
        """Return what a checkpoint has to hold."""
        optimiser = flattened(self.optimiser.state_dict())
        return TrainingState(
            self.rows, self.best_epoch, self.cpu_seconds, self.model.state_dict(), self.best, optimiser
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a checkpoint."""
        self.model.load_state_dict(state.model)
        self.optimiser.load_state_dict(unflattened(state.optimiser, self.optimiser.state_dict()))
        self.rows, self.best_epoch, self.best = state.rows, state.best_epoch, state.best
        self._cpu_before = state.cpu_seconds


def _fit(
    run: _Run,
    checkpoint: Checkpoint | None,
    progress: bool | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> None:
    state = checkpoint.load() if checkpoint is not None else None
    if state is not None:
        run.restore(state)
    with training_progress(progress, run.epochs, run.steps) as show:
        if run.rows:
            show.epoch(run.rows[-1], run.best_epoch)
        for epoch in range(len(run.rows) + 1, run.epochs + 1):
            # of the epoch alone, so that a run that goes on draws what it would have drawn
            torch.manual_seed(_epoch_seed(run.settings.seed, epoch))
            row = _one_epoch(run, epoch, show.step)
            run.rows.append(row)
            if run.best_epoch == 0 or _rank(row) > _rank(run.rows[run.best_epoch - 1]):
                run.best_epoch, run.best = epoch, copy.deepcopy(run.model.state_dict())
            if checkpoint is not None:
                checkpoint.save(run.state())
            show.epoch(row, run.best_epoch)
            if on_epoch is not None:
                on_epoch(row)


def _one_epoch(run: _Run, epoch: int, step: Callable[[], None]) -> dict[str, float]:
    started = time.perf_counter()
    train_loss = _train(run, epoch, step)
    model, data = run.model.eval(), run.data
    logits = predict_images(model, run.preprocessing, data.pixels[data.rows(VALIDATION)])
    labels = torch.from_numpy(data.labels[data.rows(VALIDATION)])
    row = {
        "epoch": epoch,
        "learning_rate": run.optimiser.param_groups[0]["lr"],
        "train_loss": train_loss,
        "validation_loss": float(F.cross_entropy(logits, labels)),
    }
    check_losses(row, run.peak)
    macro = measured(logits, data, VALIDATION)["macro"]
    row |= {f"validation_{key}": macro[key] for key in ("auroc", "auprc", "accuracy")}
    return {**row, "seconds": time.perf_counter() - started}


def _train(run: _Run, epoch: int, step: Callable[[], None]) -> float:
    model, settings = run.model.train(), run.settings
    order = torch.randperm(len(run.labels))
    total = torch.zeros((), device=run.device)
    for number in range(run.steps):
        # the last, incomplete batch is left to another epoch's draw: batch norm on a handful of images is noise
        index = order[number * run.batch_size : (number + 1) * run.batch_size].to(run.device)
        images = augmented(run.pixels[index], settings.augment, round(settings.shift * run.data.size))
        loss = F.cross_entropy(model(normalised(images, run.preprocessing)), run.labels[index])
        run.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        done = (epoch - 1) * run.steps + number
        for group in run.optimiser.param_groups:
            group["lr"] = run.peak * schedule_factor(done, run.steps * run.epochs, settings.warmup)
        run.optimiser.step()
        total += loss.detach()
        step()
    return float(total) / run.steps


def _finished(run: _Run) -> nn.Module:
    """Return the network of the best epoch, in the form that was asked for."""
    module = run.model
    module.load_state_dict(run.best)
    module = module.cpu().eval()
    if SLIM[run.architecture].trained_as is not None:
        assert isinstance(module, SlimVGG)
        module = without_batch_norm(module)
    if run.settings.half:
        for value in module.state_dict().values():
            value.copy_(value.half() if value.is_floating_point() else value)
    return module.to(memory_format=torch.contiguous_format)


# ---- how it goes


def _rank(row: dict[str, float]) -> tuple[float, float]:
    return row["validation_accuracy"], -row["validation_loss"]


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


def _outcome(run: _Run) -> dict[str, Any]:
    """Return how the network was trained, and what came of it."""
    return {
        **asdict(run.settings),
        "trained_as": SLIM[run.architecture].trained_as,
        "epochs": run.epochs,
        "learning_rate": run.peak,
        "batch_size": run.batch_size,
        "best_epoch": run.best_epoch,
        "epochs_run": len(run.rows),
        "seconds": round(sum(row["seconds"] for row in run.rows), 2),
        "cpu_seconds": round(run.cpu_seconds, 2),
        "threads": torch.get_num_threads(),
        "device": run.device.type,
    }
