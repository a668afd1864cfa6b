"""What image networks are trained on and explained for: shapes that are drawn, and data sets with masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seqplrp.benchmark import TASK_KEYS, BenchmarkTask, Entry, task_head
from seqplrp.images.classes import read_classes
from seqplrp.images.folders import read_ecssd, read_imagenet_s, read_images_and_masks
from seqplrp.images.labelled import TEST, TRAIN, VALIDATION, LabelledImages
from seqplrp.images.preprocessing import Preprocessing
from seqplrp.images.records import ImageCollection
from seqplrp.images.shapes import ShapesSettings, draw_scene, is_test

UNLABELLED = -1
"""The target of an image without a label: each network's own prediction is explained."""

_VALIDATED = 0.1


@dataclass(frozen=True)
class ImageSet:
    """Images of one size as networks see them before normalisation, with the truth about each.

    Attributes
    ----------
    ids : list of str
    pixels : ndarray of uint8, shape (N, 3, H, W)
    labels : ndarray of int64, shape (N,)
        `UNLABELLED` where there is none.
    truth, distractor, ignore : ndarray of bool, shape (N, H, W)
    """

    ids: list[str]
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    truth: npt.NDArray[np.bool_]
    distractor: npt.NDArray[np.bool_]
    ignore: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TaskImages:
    """A task's images.

    Attributes
    ----------
    training : LabelledImages or None
        What networks are trained on; None where the task has no such images.
    choose : callable
        From how many at most, and a seed, to the test images that are explained; fewer are the first of more.
    """

    training: LabelledImages | None
    choose: Callable[[int, int], ImageSet]


@dataclass(frozen=True)
class ShapesTask(BenchmarkTask):
    """Shapes data, drawn by `seqplrp.images.shapes`.

    Parameters
    ----------
    settings : ShapesSettings
        With the task's seed.
    """

    settings: ShapesSettings

    keys: ClassVar[tuple[str, ...]] = (
        "kind",
        *(field.name for field in fields(ShapesSettings) if field.name != "seed"),
        *TASK_KEYS,
    )

    def load(self) -> TaskImages:
        """Draw the images."""
        settings = self.settings
        scenes = [draw_scene(settings, index) for index in range(settings.n)]
        labels = np.array([scene.label for scene in scenes], dtype=np.int64)
        split = np.array([TEST if is_test(settings, index) else TRAIN for index in range(settings.n)], dtype="U10")
        rng = np.random.default_rng([self.seed, 12])
        for label in range(len(settings.classes)):  # some of every class
            rows = rng.permutation(np.flatnonzero((labels == label) & (split == TRAIN)))
            split[rows[: max(1, round(_VALIDATED * len(rows)))]] = VALIDATION
        training = LabelledImages(
            pixels=np.stack([scene.image.transpose(2, 0, 1) for scene in scenes]),
            labels=labels,
            names=tuple(f"shape{index:05d}" for index in range(settings.n)),
            classes=settings.classes,
            split=split,
        )

        def choose(most: int, seed: int) -> ImageSet:
            rows = np.random.default_rng([seed, 11]).permutation(training.rows(TEST))[:most]
            truth = np.stack([scenes[row].mask for row in rows])
            return ImageSet(
                ids=[training.names[row] for row in rows],
                pixels=training.pixels[rows],
                labels=training.labels[rows],
                truth=truth,
                distractor=np.stack([scenes[row].distractor_mask for row in rows]),
                ignore=np.zeros_like(truth),
            )

        return TaskImages(training, choose)

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the images, as plain values."""
        return {"kind": "shapes", **{key: _plain(value) for key, value in asdict(self.settings).items()}}

    @property
    def says(self) -> str:
        """One line for reports."""
        at = self.settings
        least, most = at.distractors
        return (
            f"{at.n} drawn images of {at.size} x {at.size} pixels, one in five for testing: one of "
            f"{len(at.classes)} shapes among {least} to {most} distractors on a texture"
        )


@dataclass(frozen=True)
class FolderTask(BenchmarkTask):
    """Images with masks in folders; nothing is trained on them.

    Parameters
    ----------
    images : ImageCollection
    geometry : Preprocessing
        By which images and masks come to one size; networks bring their own normalisation.
    where : str
        For the report.
    """

    images: ImageCollection
    geometry: Preprocessing
    where: str

    keys: ClassVar[tuple[str, ...]] = (
        "kind",
        "directory",
        "layout",
        "masks",
        "labels",
        "classes",
        "categories",
        "split",
        "resize",
        "crop",
        *TASK_KEYS,
    )

    def load(self) -> TaskImages:
        """Return what opens the images that are explained."""
        return TaskImages(None, self._chosen)

    def _chosen(self, most: int, seed: int) -> ImageSet:
        chosen = np.random.default_rng([seed, 11]).permutation(len(self.images))[:most]
        records = [self.images[int(row)] for row in chosen]
        loaded = [record.load(self.geometry) for record in records]
        masks = [mask for _, mask in loaded if mask is not None]
        truth = np.stack([mask.object for mask in masks])
        nothing = np.zeros_like(truth)
        ignored = [np.zeros_like(mask.object) if mask.ignored is None else mask.ignored for mask in masks]
        return ImageSet(
            ids=[record.name for record in records],
            pixels=np.stack([self.geometry.undo(pixels).transpose(2, 0, 1) for pixels, _ in loaded]),
            labels=np.array([UNLABELLED if one.label is None else one.label for one in records], dtype=np.int64),
            truth=truth,
            distractor=nothing,
            ignore=np.stack(ignored),
        )

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the images, as plain values."""
        images, geometry = self.images.digest(), self.geometry.as_dict()
        return {"kind": "folder", "images": images, "geometry": geometry, "seed": self.seed}

    @property
    def says(self) -> str:
        """One line for reports."""
        size = self.geometry.size or ("?", "?")
        labelled = sum(record.label is not None for record in self.images)
        what = (
            "the label is explained" if labelled == len(self.images) else "each network's own prediction is explained"
        )
        return f"{len(self.images)} images with masks of {self.where}, brought to {size[1]} x {size[0]} pixels; {what}"


def read_task(name: str, entry: Entry) -> BenchmarkTask:
    """Read one task of a configuration.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    kinds: dict[str, tuple[tuple[str, ...], Callable[[str, Entry], BenchmarkTask]]] = {
        "shapes": (ShapesTask.keys, _shapes),
        "folder": (FolderTask.keys, _folder),
    }
    every = tuple(dict.fromkeys(key for keys, _ in kinds.values() for key in keys))
    kind = entry.mapping(every, required=("kind",))["kind"].choice(tuple(kinds))
    return kinds[kind][1](name, entry)


def _shapes(name: str, entry: Entry) -> ShapesTask:
    given = entry.mapping(ShapesTask.keys, required=("group",))
    head = task_head(name, given)
    own = {field.name for field in fields(ShapesSettings)} - {"seed"}
    values = {key: _settled(one.plain()) for key, one in given.items() if key in own}
    settings = entry.told(lambda: ShapesSettings(**values, seed=head[2]))
    entry.told(settings.validate)
    return ShapesTask(*head, settings)


def _folder(name: str, entry: Entry) -> FolderTask:
    given = entry.mapping(FolderTask.keys, required=("group", "directory"))
    layout = given["layout"].choice(("ecssd", "imagenet-s", "masks")) if "layout" in given else "ecssd"
    place = given["directory"].location()
    classes = read_classes(given["classes"].location()) if "classes" in given else None
    split = given["split"].text() if "split" in given else None
    if (layout == "masks") != ("masks" in given):
        raise given.get("masks", entry).error(f"the layout {layout} and masks don't go together", "give both, or none")
    for key, whose in (("labels", "masks"), ("categories", "imagenet-s")):
        if key in given and layout != whose:
            raise given[key].error(f"has no use with the layout {layout}", f"leave it out, or choose {whose}")
    categories = given["categories"].location() if "categories" in given else None

    def found() -> ImageCollection:
        if layout == "masks":
            labels = given["labels"].location() if "labels" in given else None
            return read_images_and_masks(place, given["masks"].location(), labels=labels, classes=classes, split=split)
        if layout == "imagenet-s":
            return read_imagenet_s(place, split=split or "validation", classes=classes, categories=categories)
        return read_ecssd(place, classes=classes, split=split)

    images = entry.told(found)
    if classes is None:  # names in the folder's own order are not a network's numbers
        images = replace(images, records=tuple(replace(one, label=None) for one in images.records))
    entry.told(images.check_files)
    crop = given["crop"].whole(1) if "crop" in given else 224
    resize = given["resize"].whole(1) if "resize" in given else round(crop * 8 / 7)
    geometry = Preprocessing(resize=resize, crop=crop, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return FolderTask(*task_head(name, given), images, geometry, place.name)


def _settled(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
