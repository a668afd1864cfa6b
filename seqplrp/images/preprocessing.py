"""From an image to what a network takes, and back: size, crop, normalisation; masks by the same geometry."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.images.extras import imported

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["nearest", "nearest-exact", "bilinear", "bicubic", "box", "hamming", "lanczos"]
Size = int | tuple[int, int] | None
Channels = tuple[float, float, float]
BoolArray = npt.NDArray[np.bool_]

LARGEST = 10_000
"""Pixels of a side: what asks for more is a mistake, or no good file."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before a network sees it, as torchvision does it; by default that of ImageNet.

    Parameters
    ----------
    resize : int, (int, int) or None
        The shorter side's length in pixels, the longer's in proportion; height and width; or None to leave the size.
    crop : int, (int, int) or None
        Height and width of what is cut from the middle, one number for a square; black is added where the image is
        smaller. None to cut nothing.
    mean, std : (float, float, float)
        Of red, green and blue, each between 0 and 1: what is subtracted, and what is then divided by.
    interpolation : {"bilinear", "bicubic", "nearest", "nearest-exact", "box", "hamming", "lanczos"}
        How sizes are changed; of masks it is always the nearest pixel.
    antialias : bool
        Whether what is made smaller is smoothed first. Without, the image is resized as a tensor, which can do only
        bilinear, bicubic and nearest.

    Raises
    ------
    SeqplrpError
        Where a value is none of these.
    """

    resize: Size = 256
    crop: Size = 224
    mean: Channels = (0.485, 0.456, 0.406)
    std: Channels = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if size is not None and not _is_size(size):
                remedy = f"give pixels such as 224, at most {LARGEST:,}; (height, width); or None"
                raise SeqplrpError(name, f"{reprlib.repr(size)} is no size", remedy)
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if not _are_channels(numbers):
                raise SeqplrpError(
                    name,
                    f"{reprlib.repr(numbers)} is not one finite number a channel",
                    "give three, as (0.5, 0.5, 0.5)",
                )
        if min(self.std) <= 0:
            raise SeqplrpError("std", f"{self.std!r} has a number that is not positive", "give three positive numbers")
        if self.interpolation not in get_args(Interpolation):
            known = ", ".join(get_args(Interpolation))
            raise SeqplrpError(
                "interpolation", f"{reprlib.repr(self.interpolation)} is not known", f"use one of {known}"
            )
        if not isinstance(self.antialias, bool):
            raise SeqplrpError("antialias", f"{reprlib.repr(self.antialias)} is neither", "use True or False")
        if not self.antialias and self.interpolation in ("box", "hamming", "lanczos"):
            raise SeqplrpError("antialias", f"{self.interpolation} always smooths", "use bilinear, or antialias=True")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of what comes out; None where they are the image's own."""
        if self.crop is not None:
            return _both(self.crop)
        return self.resize if isinstance(self.resize, tuple) else None

    def apply(self, image: Image) -> Tensor:
        """Make what the network takes.

        Parameters
        ----------
        image : PIL.Image.Image
            In RGB, as `open_image` gives it.

        Returns
        -------
        Tensor
            (3, H, W), float32, normalised.

        Raises
        ------
        SeqplrpError
            Where the image is not in RGB.
        """
        if image.mode != "RGB":
            raise SeqplrpError("image", f"is in mode {image.mode}, not RGB", "open it with seqplrp.images.open_image")
        functional = _functional()
        placed = self._placed(image if self.antialias else functional.pil_to_tensor(image), self.interpolation)
        if not isinstance(placed, Tensor):
            placed = functional.pil_to_tensor(placed)
        pixels: Tensor = functional.convert_image_dtype(placed, torch.float32)
        normalised: Tensor = functional.normalize(pixels, list(self.mean), list(self.std))
        return normalised

    def apply_mask(self, mask: npt.ArrayLike) -> BoolArray:
        """Bring a mask to where the image's pixels go: resized by the nearest pixel, cut, outside of it False.

        Parameters
        ----------
        mask : array-like of bool, shape (H, W)
            Of the image's size.

        Returns
        -------
        ndarray of bool
            (H, W) of what the network takes.
        """
        flags = np.asarray(mask)
        if flags.dtype != bool or flags.ndim != 2:
            raise SeqplrpError("mask", f"is {flags.dtype} {flags.shape}", "give an array of bool (H, W)")
        as_image = imported("PIL.Image", "preprocessing").fromarray(flags.astype(np.uint8) * np.uint8(255))
        return np.asarray(self._placed(as_image, "nearest")) > 0

    def _placed(self, image: Any, interpolation: str) -> Any:
        """Resize and cut an image of Pillow's, or a tensor (C, H, W)."""
        functional = _functional()
        if self.resize is not None:
            wanted = [self.resize] if isinstance(self.resize, int) else list(self.resize)
            mode = imported("torchvision.transforms", "preprocessing").InterpolationMode(interpolation)
            image = functional.resize(image, wanted, interpolation=mode, antialias=self.antialias or None)
        return image if self.crop is None else functional.center_crop(image, list(_both(self.crop)))

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the lowest and the highest value of a pixel that the network sees: black and white, normalised.

        Returns
        -------
        tuple of Tensor
            Two of shape (3, 1, 1), float32: what the z-box rule takes as `low` and `high`.
        """
        mean, std = self._normalisation()
        return (0 - mean) / std, (1 - mean) / std

    def undo(self, pixels: Tensor) -> npt.NDArray[np.uint8]:
        """Return the picture of what the network saw, to be drawn.

        Parameters
        ----------
        pixels : Tensor
            (3, H, W), normalised.

        Returns
        -------
        ndarray of uint8
            (H, W, 3), red, green and blue.
        """
        mean, std = self._normalisation()
        plain = pixels.detach().float().cpu() * std + mean
        bytes_: npt.NDArray[np.uint8] = plain.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
        return bytes_

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.mean).view(3, 1, 1), torch.tensor(self.std).view(3, 1, 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them; `from_dict` reads them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Return what `as_dict` wrote.

        Raises
        ------
        SeqplrpError
            Where there are other fields, or values that are none.
        """
        if not isinstance(content, Mapping):
            raise SeqplrpError("preprocessing", f"is {reprlib.repr(content)}, no settings by name", "save it again")
        unknown = set(content) - {field.name for field in fields(cls)}
        if unknown:
            raise SeqplrpError(
                "preprocessing", f"there is no setting {reprlib.repr(sorted(unknown)[0])}", "leave it out"
            )
        given: dict[str, Any] = {name: _tuple_of(value) for name, value in content.items()}
        return cls(**given)

    @classmethod
    def of_transforms(cls, transforms: Any) -> Preprocessing:
        """Return what a classifier's transforms of torchvision do (``weights.transforms()``).

        Raises
        ------
        SeqplrpError
            Where they are no image classifier's.
        """
        names = ("resize_size", "crop_size", "mean", "std", "interpolation", "antialias")
        if not all(hasattr(transforms, name) for name in names):
            raise SeqplrpError(
                "transforms", f"{type(transforms).__name__} is no image classifier's", "give a Preprocessing"
            )
        return cls(
            resize=_one_or_two(transforms.resize_size),
            crop=_one_or_two(transforms.crop_size),
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            interpolation=transforms.interpolation.value,
            antialias=bool(transforms.antialias),
        )


def _functional() -> Any:
    return imported("torchvision.transforms.functional", "preprocessing")


def _is_size(size: object) -> bool:
    numbers = size if isinstance(size, tuple) and len(size) == 2 else (size,)
    return all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= LARGEST for n in numbers)


def _are_channels(numbers: object) -> bool:
    if not isinstance(numbers, tuple) or len(numbers) != 3:
        return False
    return all(isinstance(n, int | float) and not isinstance(n, bool) and -1e9 < n < 1e9 for n in numbers)


def _tuple_of(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _both(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _one_or_two(size: list[int]) -> int | tuple[int, int]:
    """Return a size as torchvision holds it: one number, or two."""
    return size[0] if len(size) == 1 else (size[0], size[1])


IMAGENET = Preprocessing()
"""What networks that were trained on ImageNet usually expect."""
