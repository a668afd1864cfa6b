"""The networks of the DNA benchmark: those of the zoo, trained on each task by each seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.benchmark import Architecture, Entry, Fact, Network
from seqplrp.genomics import codes_to_one_hot
from seqplrp.models import (
    SequenceModel,
    TrainOptions,
    build_model,
    check_architecture,
    load_model,
    save_training,
    train_model,
)
from seqplrp.recovery.benchmark.tasks import TaskData

FACTS = (
    Fact("auroc", "AUROC", 3),
    Fact("auprc", "AUPRC", 3),
    Fact("accuracy"),
    Fact("parameters", "parameters"),
    Fact("epochs"),
)
_TRIED_ON = 100  # bases


@dataclass(frozen=True)
class ZooArchitecture(Architecture):
    """A network under a name: a name of `seqplrp.models.ARCHITECTURES`, its options and its own training options."""

    architecture: str
    options: Mapping[str, Any]
    training: Mapping[str, Any]

    def train_options(self, training: Mapping[str, Any], seed: int) -> TrainOptions:
        """Return how one model is trained, where all are trained so unless this one has its own way."""
        return TrainOptions(**{**training, **self.training}, seed=seed)

    def check(self, training: Mapping[str, Any]) -> None:
        """Raise `SeqplrpError` where no model can be trained in this way."""
        self.train_options(training, 0).validate()

    def recipe(self, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return all that decides a trained model beside its task, as plain values."""
        return {
            "architecture": self.architecture,
            "options": asdict(check_architecture(self.architecture, self.options)),
            "training": asdict(self.train_options(training, seed)),
        }

    def make(self, data: TaskData, training: Mapping[str, Any], seed: int, folder: Path) -> None:
        """Train a model and save it."""
        options = self.train_options(training, seed)
        save_training(train_model(data.data, self.architecture, options=self.options, training=options), folder)

    def load(self, folder: Path) -> Network:
        """Return the model that was saved, with what its training found of it on test sequences."""
        model = load_model(folder)
        assert isinstance(model, SequenceModel)
        metrics, training = model.config.metrics["test"]["macro"], model.config.training
        facts = {key: float(metrics[key]) for key in ("auroc", "auprc", "accuracy")}
        return Network(model, {**facts, "parameters": training["parameters"], "epochs": training["epochs_run"]})

    def trial(self) -> tuple[nn.Module, Tensor]:
        """Return an untrained model of two outputs and two random sequences."""
        random = torch.Generator().manual_seed(0)
        codes = torch.randint(0, 4, (2, _TRIED_ON), generator=random, dtype=torch.uint8)
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.architecture, length=_TRIED_ON, n_outputs=2, **self.options).eval()
        return model, codes_to_one_hot(codes.numpy())


def read_architecture(name: str, entry: Entry) -> ZooArchitecture:
    """Read one network of a configuration.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    given = entry.mapping(("architecture", "options", "training")) if entry.value is not None else {}
    which = given["architecture"].text() if "architecture" in given else name
    options = given["options"].mapping() if "options" in given else {}
    plain = {key: one.plain() for key, one in options.items()}
    given.get("options", entry).told(lambda: check_architecture(which, plain))
    training = read_training(given["training"]) if "training" in given else {}
    return ZooArchitecture(name, which, plain, training)


def read_training(entry: Entry) -> dict[str, Any]:
    """Read how networks are trained: fields of `seqplrp.models.TrainOptions`, but for the seed.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    return entry.checked_fields(TrainOptions, leave_out=("seed",))
