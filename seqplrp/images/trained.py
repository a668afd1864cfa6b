"""What came of training: the network, its measures, what is doubtful about them, and the files that tell it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from seqplrp.images.labelled import TEST, LabelledImages
from seqplrp.images.networks import ImageNetwork, save_network
from seqplrp.images.slim import SLIM
from seqplrp.images.weights import WEIGHTS_FILE
from seqplrp.models import Advice, current_versions, evaluate_predictions
from seqplrp.storage import write_json

CONFIG_FILE = "config.json"
HISTORY_FILE = "history.tsv"
PREDICTIONS_FILE = "test_predictions.tsv"
CONFUSION_FILE = "confusion.tsv"

TRAINED_HERE = "seqplrp image train"
"""Where the weights of a network that was trained here are from."""

_LEARNED_SHARE = 0.2
"""The least part of the way from guessing to always right that the validation accuracy has to go."""


@dataclass(frozen=True, eq=False)
class TrainedImageNetwork:
    """What training gives.

    Parameters
    ----------
    network : ImageNetwork
        With the best epoch's weights, on the CPU, in evaluation mode.
    description : dict
        What ``config.json`` says: the network, how it was trained and on what, versions, ``metrics`` of the validation
        and the test images (see `seqplrp.models.evaluate_predictions`), warnings.
    history : DataFrame
        One row per epoch: epoch, learning_rate, train_loss, validation_loss, validation_auroc, validation_auprc,
        validation_accuracy, seconds.
    predictions : DataFrame
        The test images: id, class, predicted, and the logits as ``logit:CLASS``.
    advice : list of Advice
        What is doubtful about the result; empty for a sound run.
    """

    network: ImageNetwork
    description: dict[str, Any]
    history: pd.DataFrame
    predictions: pd.DataFrame
    advice: list[Advice]

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, whose weights were kept."""
        return int(self.description["training"]["best_epoch"])

    def confusion(self) -> pd.DataFrame:
        """Count the test images by class (rows) and predicted class (columns)."""
        classes = list(self.network.classes or ())
        counts = pd.crosstab(self.predictions["class"], self.predictions["predicted"])
        return counts.reindex(index=classes, columns=classes, fill_value=0)


def save_image_training(result: TrainedImageNetwork, directory: Path | str) -> None:
    """Write what training gave.

    Parameters
    ----------
    result : TrainedImageNetwork
    directory : path
        Made if it is not there.

    Notes
    -----
    ``model.safetensors``
        The network; `seqplrp.images.load_network` takes it. In 16 bits where it was trained so.
    ``config.json``
        `TrainedImageNetwork.description`.
    ``history.tsv``, ``test_predictions.tsv``, ``confusion.tsv``
        The tables; in the last, a row for each class and a column for each predicted one.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    network = result.network
    if result.description["training"]["half"]:
        network = replace(network, module=copy.deepcopy(network.module).half())
    save_network(network, folder / WEIGHTS_FILE)
    write_json(folder / CONFIG_FILE, result.description)
    _write_table(result.history, folder / HISTORY_FILE)
    _write_table(result.predictions, folder / PREDICTIONS_FILE)
    _write_table(result.confusion().reset_index(), folder / CONFUSION_FILE)


def measured(logits: Tensor, data: LabelledImages, split: str) -> dict[str, Any]:
    """Measure the logits of a split's images; see `seqplrp.models.evaluate_predictions`."""
    labels = np.eye(len(data.classes), dtype=np.float32)[data.labels[data.rows(split)]]
    return evaluate_predictions(logits.numpy(), labels, "multiclass", data.classes)


def advice_of(metrics: dict[str, Any]) -> list[Advice]:
    """Say whether a network learned hardly anything of the images that were measured."""
    guess = max(row["base_rate"] for row in metrics["classes"].values())
    accuracy = metrics["macro"]["accuracy"]
    if accuracy - guess >= _LEARNED_SHARE * (1 - guess):
        return []
    what = f"the validation accuracy is {accuracy:.3f}, and guessing gives {guess:.3f}"
    return [Advice("hardly trained", what, "try more epochs, more images, another seed or a lower learning rate")]


def described(
    network: ImageNetwork,
    data: LabelledImages,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    advice: Sequence[Advice],
) -> dict[str, Any]:
    """Return what ``config.json`` says; `training` is how it was trained, the seed among it, and what came of it."""
    return {
        "format": "seqplrp-image-network",
        "format_version": 1,
        "architecture": network.name,
        "full_network": SLIM[network.name].full,
        "image_size": data.size,
        "classes": list(data.classes),
        "preprocessing": network.preprocessing.as_dict(),
        "weights_sha256": network.weights_sha256,
        "parameters": sum(p.numel() for p in network.module.parameters()),
        "metrics": dict(metrics),
        "versions": current_versions(),
        "training": dict(training),
        "data": {"splits": data.counts(), "remarks": list(data.remarks)},
        "warnings": [str(item) for item in advice],
    }


def prediction_table(data: LabelledImages, logits: Any) -> pd.DataFrame:
    """Return the table of the test images, of their logits ``(N, C)``."""
    rows, classes = data.rows(TEST), np.array(data.classes, dtype=object)
    table = {
        "id": [data.names[row] for row in rows],
        "class": classes[data.labels[rows]],
        "predicted": classes[logits.argmax(axis=1)],
    }
    return pd.DataFrame({**table, **{f"logit:{name}": logits[:, k] for k, name in enumerate(data.classes)}})


def _write_table(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
