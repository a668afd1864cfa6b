"""Images, their masks and their labels: files that are opened when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.images.opening import WHITE, Mask, open_image, open_mask, size_of
from seqplrp.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ImageRecord:
    """An image, where its object is, and what it shows; its files are opened when they are asked for.

    Parameters
    ----------
    name : str
        Its path within the data set, without its suffix.
    image : Path
        The image's file.
    mask : Path or None
        Its mask's file.
    label : int or None
        The number of its class.
    mask_identifier : int or None
        The class's number in masks of ImageNet-S.
    """

    name: str
    image: Path
    mask: Path | None = None
    label: int | None = None
    mask_identifier: int | None = None

    def open(self, *, background: tuple[int, int, int] = WHITE) -> Image:
        """Open the image; see `open_image`."""
        return open_image(self.image, background=background)

    def open_mask(self) -> Mask | None:
        """Open the mask, if there is one; see `seqplrp.images.open_mask`."""
        return None if self.mask is None else open_mask(self.mask, identifier=self.mask_identifier)

    def load(
        self, preprocessing: Preprocessing, *, background: tuple[int, int, int] = WHITE
    ) -> tuple[Tensor, Mask | None]:
        """Make what a network takes of the image, and the mask by the same geometry.

        Parameters
        ----------
        preprocessing : Preprocessing
            The network's.
        background : (int, int, int)
            See `open_image`.

        Returns
        -------
        pixels : Tensor
            (3, H, W), float32, normalised.
        mask : Mask or None
            (H, W) each; empty where the object lies outside of what the network sees.

        Raises
        ------
        SeqplrpError
            Where a file can't be opened, or the mask is of another size than the image.
        """
        image, mask = self.open(background=background), self.open_mask()
        pixels = preprocessing.apply(image)
        if mask is None:
            return pixels, None
        self._check_sizes((image.height, image.width), mask.object.shape)
        ignored = None if mask.ignored is None else preprocessing.apply_mask(mask.ignored)
        return pixels, Mask(preprocessing.apply_mask(mask.object), ignored)

    def check_files(self) -> None:
        """Read the beginnings of both files, and raise where one is no image, or their sizes differ."""
        size = size_of(self.image)
        if self.mask is not None:
            self._check_sizes(size, size_of(self.mask))

    def _check_sizes(self, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
        if image != mask:
            raise SeqplrpError(
                self.mask,
                f"is {mask[1]} x {mask[0]} pixels, its image {self.image.name} {image[1]} x {image[0]}",
                "give a mask of the image's size",
            )


@dataclass(frozen=True)
class ImageCollection(Sequence[ImageRecord]):
    """Images in the order of their names.

    Parameters
    ----------
    records : tuple of ImageRecord
        The images.
    class_numbers : mapping of str to int, or None
        The classes that labels may be, by name; None where there are no labels.
    remarks : tuple of str
        What was left out and what was assumed.
    """

    records: tuple[ImageRecord, ...]
    class_numbers: Mapping[str, int] | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.records)

    def __iter__(self) -> Iterator[ImageRecord]:
        """Go through the images."""
        return iter(self.records)

    @overload
    def __getitem__(self, place: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, place: slice) -> ImageCollection: ...

    def __getitem__(self, place: int | slice) -> ImageRecord | ImageCollection:
        """Return one image, or a collection of some of them."""
        return replace(self, records=self.records[place]) if isinstance(place, slice) else self.records[place]

    def check_files(self) -> None:
        """Read the beginning of every file, so that no work is done before one proves unreadable.

        Raises
        ------
        SeqplrpError
            For the first that is no image, is missing or unreadable, or whose mask is of another size. Damage further
            on in a file shows when it is opened.
        """
        for record in self.records:
            record.check_files()

    def digest(self) -> str:
        """Return a hash of what images and masks hold, and of their names and labels: the same hash, the same data."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(f"{record.name}\0{record.label}\0{record.mask_identifier}\0".encode())
            for path in (record.image, record.mask):
                digest.update(b"-" if path is None else hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def check_labels(self, outputs: int) -> None:
        """Raise where an image's label is none of a network's outputs.

        Parameters
        ----------
        outputs : int
            How many there are.
        """
        for record in self.records:
            if record.label is not None and not 0 <= record.label < outputs:
                raise SeqplrpError(
                    record.image,
                    f"has the label {record.label}; the network's outputs are 0 to {outputs - 1}",
                    "give the classes of this network",
                )
