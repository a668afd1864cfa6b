"""Explain the images of a collection: maps are kept image by image, and files made of them when all are there."""

from __future__ import annotations

import copy
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp._version import __version__
from seqplrp.errors import SeqplrpError, as_options
from seqplrp.evaluate import gini, localisation
from seqplrp.images.batches import scores_of
from seqplrp.images.classes import number_of
from seqplrp.images.networks import ImageNetwork
from seqplrp.images.opening import Mask
from seqplrp.images.records import ImageCollection, ImageRecord
from seqplrp.images.wording import of_images
from seqplrp.methods import Explainer, Explanation, Method, settled
from seqplrp.models import choose_device
from seqplrp.storage import RunDirectory, npz_arrays, parse_json, write_whole

PREDICTED, LABEL = "predicted", "label"
MEASURES = ("rma", "rra", "pointing", "auroc")
"""What is said of a map where the image has a mask; see `seqplrp.evaluate.localisation`."""

_Target = list[int] | int | Literal["predicted"]
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """What is explained, and how.

    Parameters
    ----------
    network : ImageNetwork
        The network.
    images : ImageCollection
        What it sees.
    methods : mapping of str to Method
        By the names that files and pictures have.
    target : str or int
        ``predicted``, the class that the network finds most probable; ``label``, the image's own; a class's name, or
        its number.
    batch_size : int
        Images that are opened and explained together.
    device : str
        "auto", "cpu", "cuda", ...
    check : bool
        Whether to stop where a layer's relevance does not add up.
    """

    network: ImageNetwork
    images: ImageCollection
    methods: Mapping[str, Method]
    target: str | int = PREDICTED
    batch_size: int = 16
    device: str = "auto"
    check: bool = False


@dataclass(frozen=True)
class ImageMaps:
    """An image as the network saw it, with what was found.

    Attributes
    ----------
    name : str
        Of the image.
    pixels : ndarray of uint8, shape (H, W, 3)
        What the network saw, before normalisation.
    relevance : dict of str to ndarray, shape (3, H, W)
        Of every method, float32, by channel.
    mask : Mask or None
        The object, by the geometry of `pixels`.
    rows : tuple of dict
        For each method, what a table says of the map.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    relevance: Mapping[str, npt.NDArray[np.float32]]
    mask: Mask | None
    rows: tuple[dict[str, Any], ...]


@dataclass
class ImageRun:
    """What a run came to.

    Attributes
    ----------
    images, made : int
        How many there are, and how many were explained now; the others were there.
    seconds : float
        Spent on explaining those.
    notes : list of str
        What a reader of the maps must know.
    """

    images: int
    made: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


@contextmanager
def explained_images(request: ImageRequest, place: RunDirectory, progress: Progress) -> Iterator[ImageRun]:
    """Explain all images that are not explained yet; within the block, `kept_maps` reads what was found.

    Parameters
    ----------
    request : ImageRequest
        What is explained.
    place : RunDirectory
        Where each image's maps are kept as soon as they are there.
    progress : callable
        Takes a description and a total, and gives a context whose value is called with how many more are done.

    Raises
    ------
    SeqplrpError
        Where an image can't be opened, there is no such class, or the run that is there is another's.
    """
    targets = _targets(request)
    request.images.check_files()
    run = ImageRun(len(request.images), notes=[*request.network.notes, *request.images.remarks])
    with place.opened(description_of(request)) as check:
        missing = {number for number in range(run.images) if _kept(place, number, request.images[number]) is None}
        worker = _Worker(request)
        with progress("explaining", run.images) as advance:
            advance(run.images - len(missing))
            for first in range(0, run.images, request.batch_size):
                # whole batches, wherever a run was stopped: a convolution's last bits depend on how many it is given
                some = range(first, min(first + request.batch_size, run.images))
                made = missing.intersection(some)
                if not made:
                    continue
                began = time.perf_counter()
                for number, maps in worker.explained(some, targets):
                    if number in made:
                        check()
                        write_whole(_part(place, number), _as_bytes(maps))
                run.seconds += time.perf_counter() - began
                run.made += len(made)
                advance(len(made))
        run.notes += [note for note in worker.told() if note not in run.notes]
        yield run


def kept_maps(request: ImageRequest, place: RunDirectory) -> Iterator[ImageMaps]:
    """Read what was found, image by image, in their order.

    Raises
    ------
    SeqplrpError
        Where a part is damaged.
    """
    for number, record in enumerate(request.images):
        found = _kept(place, number, record)
        if found is None:
            raise SeqplrpError(_part(place, number), "is not there, or damaged", "make it again with --resume")
        yield found


def description_of(request: ImageRequest) -> dict[str, Any]:
    """Say what decides a run's maps, as JSON: another run's parts are told by it."""
    return {
        "images": request.images.digest(),
        "network": request.network.name,
        "weights_sha256": request.network.weights_sha256,
        "preprocessing": request.network.preprocessing.as_dict(),
        "methods": {name: repr(settled(method)) for name, method in request.methods.items()},
        "target": request.target,
        "seqplrp": __version__,
        "torch": torch.__version__,
    }


def _targets(request: ImageRequest) -> _Target:
    """Return what to call an explainer with: ``predicted``, one number for all, or one each."""
    if request.target == PREDICTED:
        return "predicted"
    if request.target == LABEL:
        for record in request.images:
            if record.label is None:
                raise SeqplrpError(record.image, "has no label", "give the images' classes, or --target predicted")
        return [record.label for record in request.images if record.label is not None]
    text = str(request.target)
    return int(text) if text.isdecimal() else number_of(text, request.network.class_numbers or {}, "--target")


class _Worker:
    """A network made ready for each size of image that comes up."""

    def __init__(self, request: ImageRequest) -> None:
        self.request = request
        self._notes: dict[str, None] = {}
        self._scores: dict[str, list[float]] = {name: [] for name in request.methods}
        self._of_negatives: dict[str, str] = {}
        self.device = choose_device(request.device)
        self.module = request.network.module
        if any(one.device != self.device for one in self.module.parameters()):
            self.module = copy.deepcopy(self.module).to(self.device)  # the caller's network stays where it is
        self._ready: tuple[tuple[int, ...], dict[str, Explainer]] | None = None

    def told(self) -> list[str]:
        """Return what a reader of the maps must know, in one line each, however many batches said it."""
        negatives = [
            f"{name}: {sum(score < 0 for score in self._scores[name])} of {len(self._scores[name])} {rest}"
            for name, rest in self._of_negatives.items()
        ]
        return [of_images(note) for note in (*negatives, *self._notes)]

    def _heard(self, name: str, found: Explanation) -> None:
        """Take in what is to be known of a batch's maps."""
        self._scores[name] += found.output.tolist()
        for note in found.notes:
            counted = re.fullmatch(r"\d+ of \d+ (scores are negative.*)", note)
            if counted is not None:
                self._of_negatives[name] = counted[1]
            else:
                self._notes[f"{name}: {note}"] = None

    def explained(self, numbers: Sequence[int], targets: _Target) -> Iterator[tuple[int, ImageMaps]]:
        """Explain some images, those of one size together."""
        network = self.request.network
        loaded = {number: self.request.images[number].load(network.preprocessing) for number in numbers}
        sizes: dict[tuple[int, ...], list[int]] = {}
        for number, (pixels, _) in loaded.items():
            sizes.setdefault(tuple(pixels.shape), []).append(number)
        for same in sizes.values():
            x = torch.stack([loaded[number][0] for number in same])
            chosen = [targets[number] for number in same] if isinstance(targets, list) else targets
            rows, relevance = self._batch(x, chosen, [self.request.images[number] for number in same])
            for place, number in enumerate(same):
                mask = loaded[number][1]
                maps = {name: found[place] for name, found in relevance.items()}
                told = tuple({**rows[name][place], **_measured(maps[name], mask)} for name in self.request.methods)
                name = self.request.images[number].name
                yield number, ImageMaps(name, network.preprocessing.undo(x[place]), maps, mask, told)

    def _batch(
        self, x: Tensor, targets: _Target, records: Sequence[ImageRecord]
    ) -> tuple[dict[str, list[dict[str, Any]]], dict[str, npt.NDArray[np.float32]]]:
        network = self.request.network
        with as_options("batch_size"):
            scores = scores_of(self.module, x.to(self.device), f"network {network.name}")
        self._check_targets(targets, scores.shape[1])
        rows, relevance = {}, {}
        for name, explainer in self._explainers(x).items():
            found: Explanation = explainer(x, targets, check=self.request.check)
            self._heard(name, found)
            relevance[name] = found.relevance.float().cpu().numpy()
            rows[name] = self._rows(name, found, _probabilities(scores, explainer.graph.left_out), records)
        return rows, relevance

    def _check_targets(self, targets: _Target, outputs: int) -> None:
        named = self.request.network.classes or ()
        if len(named) > outputs:
            raise SeqplrpError(
                "--classes",
                f"number {len(named) - 1} is {named[-1]!r}; the network's outputs are 0 to {outputs - 1}",
                "give the classes of this network",
            )
        if isinstance(targets, list):
            self.request.images.check_labels(outputs)
        elif isinstance(targets, int) and targets >= outputs:
            raise SeqplrpError(
                "--target", f"{targets} is no class of a network of {outputs}", f"give a number from 0 to {outputs - 1}"
            )

    def _explainers(self, x: Tensor) -> dict[str, Explainer]:
        shape = tuple(x.shape[1:])
        if self._ready is None or self._ready[0] != shape:
            methods = self.request.methods
            made = {name: Explainer(self.module, x[:1], method) for name, method in methods.items()}
            self._ready = (shape, made)
        return self._ready[1]

    def _rows(
        self, name: str, found: Explanation, probabilities: Tensor, records: Sequence[ImageRecord]
    ) -> list[dict[str, Any]]:
        classes = self.request.network.classes
        target = torch.zeros(len(records), dtype=torch.long) if found.target is None else found.target.cpu()
        probability = probabilities.gather(1, target[:, None])[:, 0]
        pixels = found.relevance.sum(1).flatten(1).double().cpu().numpy()
        return [
            {
                "image": record.name,
                "method": name,
                "target": int(target[at]),
                "class": classes[int(target[at])] if classes and int(target[at]) < len(classes) else "",
                "output": float(found.output[at]),
                "probability": None if probability[at].isnan() else float(probability[at]),
                "predicted": int(probabilities[at].argmax()),
                "label": record.label,
                "relevance_sum": float(pixels[at].sum()),
                "kept_share": float((pixels[at] != 0).mean()),
                "gini": float(gini(pixels[at : at + 1])[0]),
            }
            for at, record in enumerate(records)
        ]


def _probabilities(scores: Tensor, closing: str | None) -> Tensor:
    """Return each class's probability, by the network's own closing activation if it has one; nan of a single one."""
    if closing in ("softmax", "sigmoid"):
        return scores
    return torch.softmax(scores, 1) if scores.shape[1] > 1 else torch.full_like(scores, torch.nan)


def _measured(relevance: npt.NDArray[np.float32], mask: Mask | None) -> dict[str, float | None]:
    """Say how well a map finds the object; None where there is no mask, or what the network sees has no object."""
    if mask is None:
        return dict.fromkeys(MEASURES)
    flat = relevance.sum(0, dtype=np.float64).reshape(1, -1)
    ignored = None if mask.ignored is None else mask.ignored.reshape(1, -1)
    found = localisation(flat, mask.object.reshape(1, -1), ignore=ignored)
    return {name: None if np.isnan(found[name][0]) else float(found[name][0]) for name in MEASURES}


# ---- what is kept


def _part(place: RunDirectory, number: int) -> Path:
    return place.parts / f"part-{number:07d}.npz"


def _as_bytes(maps: ImageMaps) -> bytes:
    arrays: dict[str, Any] = {
        "rows": np.frombuffer(json.dumps([maps.name, *maps.rows]).encode(), dtype=np.uint8),
        "pixels": maps.pixels,
        **{f"relevance_{number}": found for number, found in enumerate(maps.relevance.values())},
    }
    if maps.mask is not None:
        arrays["object"] = maps.mask.object
        if maps.mask.ignored is not None:
            arrays["ignored"] = maps.mask.ignored
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _kept(place: RunDirectory, number: int, record: ImageRecord) -> ImageMaps | None:
    """Return an image's part; None where there is none, or a damaged one, which is made again."""
    path = _part(place, number)
    if not path.exists():
        return None
    try:
        arrays = dict(npz_arrays(path))
        name, *rows = parse_json(arrays["rows"].tobytes())
        mask = Mask(arrays["object"], arrays.get("ignored")) if "object" in arrays else None
        relevance = {row["method"]: arrays[f"relevance_{at}"] for at, row in enumerate(rows)}
        pixels = arrays["pixels"]
    except (ValueError, KeyError, TypeError):
        return None
    return None if name != record.name else ImageMaps(name, pixels, relevance, mask, tuple(rows))
