"""Images of one size with labels and a split, in memory: what a network is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.images.folders import LABELS_FILE, read_ecssd
from seqplrp.images.records import ImageRecord

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Square images of one size; `load_labelled_images` makes checked ones.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (N, 3, S, S)
        Red, green and blue.
    labels : ndarray of int64, shape (N,)
        Numbers of classes.
    names : tuple of str
        One an image.
    classes : tuple of str
        Names of the classes, in the order of their numbers.
    split : ndarray of str, shape (N,)
        "train", "validation" or "test".
    remarks : tuple of str
        What was left out and what was assumed.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    split: npt.NDArray[np.str_]
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return int(self.pixels.shape[2])

    def rows(self, split: str) -> npt.NDArray[np.intp]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Images per split: ``n`` and the number of each class."""
        table = {}
        for name in SPLITS:
            numbers = np.bincount(self.labels[self.rows(name)], minlength=len(self.classes)).tolist()
            table[name] = {"n": sum(numbers), **dict(zip(self.classes, numbers, strict=True))}
        return table


def load_labelled_images(
    directory: Path | str,
    *,
    validation_fraction: float = 0.1,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> LabelledImages:
    """Load images with labels, and hold out a share of the training images of every class for validation.

    Parameters
    ----------
    directory : path
        In ECSSD's layout, with a `LABELS_FILE` whose column ``split`` says train or test, as ``seqplrp image simulate``
        writes it.
    validation_fraction : float
        Share of the training images; at least one of each class is held out.
    seed : int
        Of which they are.
    progress : callable, optional
        Called with the number of images that were read since.

    Returns
    -------
    LabelledImages
        The training images (those for validation among them), then the test images.

    Raises
    ------
    SeqplrpError
        For a folder that is not such, an image that can't be read or is of another size than the first, and a class
        without enough images.
    """
    place = Path(directory)
    if not 0 < validation_fraction < 1:
        raise SeqplrpError("validation_fraction", f"is {validation_fraction}", "give a share between 0 and 1, as 0.1")
    if not (place / LABELS_FILE).is_file():
        what = f"there is no {LABELS_FILE} in it" if place.is_dir() else "there is no such folder"
        raise SeqplrpError(place, what, "name a folder as `seqplrp image simulate` writes it")
    parts = {split: read_ecssd(place, split=split) for split in (TRAIN, TEST)}
    numbers = parts[TRAIN].class_numbers or {}
    records = [record for part in parts.values() for record in part]
    labels = np.array([record.label for record in records], dtype=np.int64)
    split = np.array([name for name, part in parts.items() for _ in part], dtype="U10")
    classes = tuple(sorted(numbers, key=lambda name: numbers[name]))
    _check_classes(labels, split, classes, place / LABELS_FILE)
    return LabelledImages(
        pixels=_pixels(records, progress),
        labels=labels,
        names=tuple(record.name for record in records),
        classes=classes,
        split=_with_validation(labels, split, validation_fraction, seed),
        remarks=parts[TRAIN].remarks,
    )


def _check_classes(
    labels: npt.NDArray[np.int64], split: npt.NDArray[np.str_], classes: tuple[str, ...], table: Path
) -> None:
    if len(classes) < 2:
        raise SeqplrpError(table, f"names one class, {classes[0]!r}", "give images of two classes or more")
    for number, name in enumerate(classes):
        train, test = (int(((labels == number) & (split == part)).sum()) for part in (TRAIN, TEST))
        if train < 2 or test < 1:
            raise SeqplrpError(
                table,
                f"class {name!r} has {train} images for training and {test} for testing",
                "give at least two and one, and some hundred for a network that learns",
            )


def _with_validation(
    labels: npt.NDArray[np.int64], split: npt.NDArray[np.str_], fraction: float, seed: int
) -> npt.NDArray[np.str_]:
    """Draw the images for validation from every class alike."""
    rng = np.random.default_rng([seed, 0])
    drawn = split.copy()
    for number in np.unique(labels):
        rows = rng.permutation(np.flatnonzero((labels == number) & (split == TRAIN)))
        drawn[rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))]] = VALIDATION
    return drawn


def _pixels(records: list[ImageRecord], progress: Callable[[int], None] | None) -> npt.NDArray[np.uint8]:
    first = np.asarray(records[0].open())
    height, width = first.shape[:2]
    if height != width:
        raise SeqplrpError(records[0].image, f"is {width} x {height} pixels", "cut all images to squares of one size")
    pixels = np.empty((len(records), 3, height, width), dtype=np.uint8)
    for row, record in enumerate(records):
        image = np.asarray(record.open())
        if image.shape != first.shape:
            raise SeqplrpError(
                record.image,
                f"is {image.shape[1]} x {image.shape[0]} pixels, {records[0].image.name} is {width} x {height}",
                "cut all images to squares of one size",
            )
        pixels[row] = image.transpose(2, 0, 1)
        if progress is not None:
            progress(1)
    return pixels
