"""The image networks that are explained: slim ones, trained on each task by each seed, and networks with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.benchmark import Architecture, Entry, Fact, Network
from seqplrp.errors import SeqplrpError
from seqplrp.images.benchmark.tasks import TaskImages
from seqplrp.images.networks import NETWORKS, RANDOM, ImageNetwork, load_network
from seqplrp.images.preprocessing import IMAGENET, Preprocessing
from seqplrp.images.slim import SLIM, build_slim
from seqplrp.images.trained import CONFIG_FILE, save_image_training
from seqplrp.images.training import ImageTrainOptions, train_image_network
from seqplrp.images.weights import WEIGHTS_FILE
from seqplrp.storage import read_json

FACTS = (Fact("accuracy", "accuracy", 3), Fact("auroc"), Fact("parameters", "parameters"), Fact("epochs"))
_TRIED_ON = 64  # pixels of a side
_CHANGES = ("size", "mean", "std")


@dataclass(frozen=True)
class ClassifierNetwork(Network):
    """A cell's network.

    Attributes
    ----------
    preprocessing : Preprocessing
        Of which the normalisation serves: sizes are the task's.
    name : str
        As tables call it, for errors.
    """

    preprocessing: Preprocessing = IMAGENET
    name: str = "network"


@dataclass(frozen=True)
class SlimArchitectureOf(Architecture):
    """A slim network, trained here.

    Attributes
    ----------
    network : str
        A name of `seqplrp.images.SLIM`.
    training : mapping
        Its own training options.
    """

    network: str
    training: Mapping[str, Any]

    def train_options(self, training: Mapping[str, Any], seed: int) -> ImageTrainOptions:
        """Return how one network is trained, where all are trained so unless this one has its own way."""
        return ImageTrainOptions(**{**training, **self.training}, seed=seed)

    def check(self, training: Mapping[str, Any]) -> None:
        """Raise `SeqplrpError` where no network can be trained in this way."""
        self.train_options(training, 0).validate()

    def recipe(self, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return all that decides a trained network beside its task, as plain values."""
        options = {key: value for key, value in asdict(self.train_options(training, seed)).items() if key != "device"}
        return {"network": self.network, "training": options}

    def make(self, data: TaskImages, training: Mapping[str, Any], seed: int, folder: Path) -> None:
        """Train a network and save it."""
        if data.training is None:
            raise SeqplrpError(
                f"network {self.name}", "is to be trained, and the task has no images for that", "give it weights"
            )
        options = self.train_options(training, seed)
        save_image_training(train_image_network(data.training, self.network, training=options), folder)

    def load(self, folder: Path) -> ClassifierNetwork:
        """Return the network that was saved, with what its training found of it on test images."""
        network = load_network(str(folder / WEIGHTS_FILE))
        said = read_json(folder / CONFIG_FILE, keys=("metrics", "training", "parameters"))
        metrics = said["metrics"]["test"]["macro"]
        facts = {
            "accuracy": float(metrics["accuracy"]),
            "auroc": float(metrics["auroc"]),
            "parameters": said["parameters"],
            "epochs": said["training"]["epochs_run"],
        }
        return ClassifierNetwork(network.module, facts, network.preprocessing, self.name)

    def trial(self) -> tuple[nn.Module, Tensor]:
        """Return an untrained network of two outputs and two random images."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_slim(self.network, n_classes=2, image_size=_TRIED_ON).eval()
        return model, _random_images(_TRIED_ON)


@dataclass(frozen=True)
class GivenNetwork(Architecture):
    """A network whose weights are there, or are to be random.

    Attributes
    ----------
    network, weights : str
        As `seqplrp.images.load_network` takes them.
    changed : tuple of (str, value)
        What it expects of images, where the weights don't say, or say otherwise.
    """

    network: str
    weights: str | None
    changed: tuple[tuple[str, Any], ...] = ()

    making = "loading"

    @property
    def is_trained(self) -> bool:
        """Nothing is trained."""
        return False

    def check(self, training: Mapping[str, Any]) -> None:
        """Load it, so that what is wrong with it is told before anything is computed."""
        self._loaded()

    def recipe(self, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return what decides the network: the hash of its weights."""
        network = self._loaded()
        return {
            "network": self.network,
            "weights_sha256": network.weights_sha256,
            "preprocessing": network.preprocessing.as_dict(),
        }

    def make(self, data: TaskImages, training: Mapping[str, Any], seed: int, folder: Path) -> None:
        """Leave nothing: the weights stay where they are."""

    def load(self, folder: Path) -> ClassifierNetwork:
        """Return the network."""
        network = self._loaded()
        facts = {"parameters": sum(one.numel() for one in network.module.parameters())}
        return ClassifierNetwork(network.module, facts, network.preprocessing, self.name)

    def trial(self) -> tuple[nn.Module, Tensor]:
        """Return the network and two random images."""
        network = self._loaded()
        size = (network.preprocessing.size or (224, 224))[0]
        # those that are known pool any size to one, and methods are tried sooner on a small one
        return network.module, _random_images(min(size, _TRIED_ON) if network.name in NETWORKS else size)

    def _loaded(self) -> ImageNetwork:
        return _given(self.network, self.weights, self.changed)


@cache
def _given(network: str, weights: str | None, changed: tuple[tuple[str, Any], ...]) -> ImageNetwork:
    """Load a network once for all cells."""
    return load_network(network, weights=weights, changed=dict(changed))


def _random_images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def read_architecture(name: str, entry: Entry) -> Architecture:
    """Read one network of a configuration: a slim one to be trained, or one with weights.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    given = entry.mapping(("network", "weights", "training", *_CHANGES)) if entry.value is not None else {}
    which = given["network"].text() if "network" in given else name
    if which in SLIM and "weights" not in given:
        for key in _CHANGES:
            if key in given:
                raise given[key].error("is of networks with weights", "leave it out: the task and training decide")
        return SlimArchitectureOf(name, which, read_training(given["training"]) if "training" in given else {})
    if "training" in given:
        raise given["training"].error(f"{which} is not trained here", f"leave it out, or choose of {', '.join(SLIM)}")
    weights = given["weights"].text() if "weights" in given else None
    if weights is not None and weights not in (RANDOM, "DEFAULT"):
        beside = Path(entry.file).parent / weights
        weights = str(beside) if beside.is_file() else weights
    return GivenNetwork(name, which, weights, _changed(given))


def _changed(given: Mapping[str, Entry]) -> tuple[tuple[str, Any], ...]:
    """Read what a network expects of images; what it is tried on has its size."""
    found: dict[str, Any] = {}
    if "size" in given:
        size = given["size"].whole(1)
        found |= {"resize": size, "crop": size}
    for key in ("mean", "std"):
        if key in given:
            found[key] = tuple(one.number(-1e9, 1e9) for one in given[key].items())
            given[key].told(lambda: replace(IMAGENET, **found))
    return tuple(found.items())


def read_training(entry: Entry) -> dict[str, Any]:
    """Read how networks are trained: fields of `seqplrp.images.ImageTrainOptions`, but for the seed.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    return entry.checked_fields(ImageTrainOptions, leave_out=("seed",))
