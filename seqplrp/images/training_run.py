"""A training run in a directory: each finished epoch is kept, a stopped run goes on, and the files come at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from seqplrp.images.checkpoints import Checkpoint
from seqplrp.images.labelled import LabelledImages
from seqplrp.images.trained import TrainedImageNetwork, save_image_training
from seqplrp.images.training import ImageTrainOptions, train_image_network
from seqplrp.models import current_versions
from seqplrp.plot import learning_curve, save_figure
from seqplrp.storage import RunDirectory

STATE = "part-training.safetensors"
"""The finished epochs, among the parts of the run's directory."""


def train_in_directory(
    place: RunDirectory,
    data: LabelledImages,
    architecture: str = "vgg16-slim",
    *,
    training: ImageTrainOptions | None = None,
    progress: bool | None = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> TrainedImageNetwork:
    """Train a slim network and write it, its measures and its learning curve; see `train_image_network`.

    Parameters
    ----------
    place : RunDirectory
        Where. One that goes on must have been begun with the same images, network, options and versions.
    data, architecture, training, progress, on_epoch
        As in `train_image_network`.

    Raises
    ------
    SeqplrpError
        As `train_image_network`, for a place that can't be written, and for a run that was begun with something else.

    Notes
    -----
    A run that was stopped and went on ends with the same weights, to the bit, as one that was not.
    """
    settings = training or ImageTrainOptions()
    settings.validate()
    with place.opened(_description(data, architecture, settings)) as still_there:
        result = train_image_network(
            data,
            architecture,
            training=settings,
            checkpoint=Checkpoint(place.parts / STATE, before=still_there),
            progress=progress,
            on_epoch=on_epoch,
        )
        still_there()
        with place.finishing() as stage:
            save_image_training(result, stage)
            title = f"{architecture}, seed {settings.seed}"
            figure = learning_curve(result.history, best_epoch=result.best_epoch, title=title)
            for suffix in ("svg", "png"):
                save_figure(figure, stage / f"learning_curve.{suffix}")
    return result


def _description(data: LabelledImages, architecture: str, settings: ImageTrainOptions) -> dict[str, Any]:
    """Return all that decides the weights, as JSON can hold it."""
    return {
        "versions": current_versions(),
        "images_sha256": _digest(data),
        "architecture": architecture,
        "training": asdict(settings),
    }


def _digest(data: LabelledImages) -> str:
    digest = hashlib.sha256(repr((data.names, data.classes, data.split.tolist())).encode())
    digest.update(data.labels.tobytes())
    digest.update(data.pixels.tobytes())
    return digest.hexdigest()
