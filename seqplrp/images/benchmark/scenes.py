"""The images that all methods of one network see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from seqplrp.benchmark import SCORED, Candidates, Network, Scene, scored_rows
from seqplrp.errors import SeqplrpError
from seqplrp.images.batches import normalised, predict_images
from seqplrp.images.benchmark.networks import ClassifierNetwork
from seqplrp.images.benchmark.tasks import UNLABELLED, TaskImages
from seqplrp.images.composites import image_composite
from seqplrp.images.preprocessing import IMAGENET, Preprocessing
from seqplrp.methods import LRP, Method

NO_TRUTH = "no object in sight"
MISSED = "another class predicted"
NOT_POSITIVE = "score not above 0"


@dataclass(frozen=True)
class ShownImages(Candidates):
    """The images of a task that are to be explained.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (N, 3, H, W)
    """

    pixels: npt.NDArray[np.uint8]

    def rows(self, chosen: npt.NDArray[np.intp]) -> Self:
        """Return some of them, in this order."""
        return replace(super().rows(chosen), pixels=self.pixels[chosen])

    @classmethod
    def of(cls, task: TaskImages, most: int, seed: int) -> ShownImages:
        """Draw them from a task's test images."""
        found = task.choose(most, seed)
        return cls(found.ids, found.labels, found.truth, found.ignore, found.distractor, found.pixels)


@dataclass(frozen=True)
class ImageScene(Scene):
    """The images of a network that are scored.

    Attributes
    ----------
    candidates : ShownImages
    preprocessing : Preprocessing
        The network's.
    """

    candidates: ShownImages
    preprocessing: Preprocessing = IMAGENET

    def suited(self, method: Method) -> Method:
        """Return a method whose rules, where a composite names them, know the bounds of this network's pixels."""
        if isinstance(method, LRP) and isinstance(method.rule, str) and method.rule.endswith("-box"):
            return replace(method, rule=image_composite(method.rule, self.preprocessing))
        over = getattr(method, "over", None)
        if not isinstance(over, Method):
            return method
        around: dict[str, Any] = {"over": self.suited(over)}  # a field of those alone that go around another one
        return replace(method, **around)


def _check_labels(candidates: ShownImages, outputs: int) -> None:
    beyond = np.flatnonzero(candidates.targets >= outputs)
    if beyond.size:
        raise SeqplrpError(
            f"image {candidates.ids[beyond[0]]}",
            f"has the label {candidates.targets[beyond[0]]}; the network's outputs are 0 to {outputs - 1}",
            "give the classes of this network",
        )


def scene_of(network: Network, data: TaskImages, candidates: ShownImages, seed: int) -> ImageScene:
    """Choose what is scored of a network: images with an object that it classifies right, by a score above 0."""
    assert isinstance(network, ClassifierNetwork)
    found = predict_images(network.module, network.preprocessing, candidates.pixels, f"network {network.name}")
    logits = found.numpy().astype(np.float64)
    _check_labels(candidates, logits.shape[1])
    predicted = logits.argmax(axis=1)
    targets = np.where(candidates.targets == UNLABELLED, predicted, candidates.targets)
    scores = logits[np.arange(len(logits)), targets]
    applies = (~candidates.truth.any(axis=(1, 2)), predicted != targets, ~(scores > 0))
    status = np.select(applies, (NO_TRUTH, MISSED, NOT_POSITIVE), SCORED).astype(object)
    kept, left_out = scored_rows(status)
    chosen = replace(candidates, targets=targets.astype(np.int64)).rows(kept)
    x = normalised(torch.from_numpy(chosen.pixels), network.preprocessing).contiguous()
    return ImageScene(network.module, chosen, x, scores[kept], seed, left_out, preprocessing=network.preprocessing)
