"""Image and mask files, opened and checked: whatever form they are stored in, one form comes out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.images.extras import imported

if TYPE_CHECKING:
    from PIL.Image import Image

BoolArray = npt.NDArray[np.bool_]

WHITE = (255, 255, 255)
"""What shows through where an image is transparent, unless another colour is given."""

IGNORED = 1000
"""What ImageNet-S writes where annotators were not sure."""

_ORIENTATION = 0x0112  # EXIF's tag
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Mask:
    """Where an image's object is.

    Parameters
    ----------
    object : ndarray of bool
        (H, W), True on the object.
    ignored : ndarray of bool or None
        (H, W), True where nobody knows: neither object nor background. None where all is known.
    """

    object: BoolArray
    ignored: BoolArray | None = None


def open_image(path: Path | str, *, background: tuple[int, int, int] = WHITE) -> Image:
    """Open an image as red, green and blue.

    Parameters
    ----------
    path : path
        Whatever Pillow reads, of one frame or with the first frame serving. Grey, palette and CMYK images are
        converted; 16 bits are brought to 8; what a camera's EXIF says of the orientation is done.
    background : (int, int, int)
        Red, green and blue, 0 to 255, of what shows through where the image is transparent.

    Returns
    -------
    PIL.Image.Image
        In mode RGB, in memory.

    Raises
    ------
    SeqplrpError
        With the file's name: where it is missing, no image, cut short or damaged, so large that it may be a
        decompression bomb, or of values that can't be brought to 8 bits in one way only.
    """
    file = Path(path)
    with _opened(file) as image:
        return _as_rgb(_upright(image), background, file)


def open_mask(path: Path | str, *, identifier: int | None = None) -> Mask:
    """Open a mask.

    Parameters
    ----------
    path : path
        Black and white, the object white, in whatever mode: values of 128 and more, or of 1 where none is larger. With
        an identifier, as ImageNet-S stores masks: red + 256 green is what a pixel shows.
    identifier : int, optional
        The number of the object's class in an ImageNet-S mask.

    Raises
    ------
    SeqplrpError
        As `open_image`, and where the mask is not black and white, or has no red and green for an identifier.
    """
    file = Path(path)
    with _opened(file) as image:
        upright = _upright(image)
        if identifier is not None:
            return _of_identifier(upright, identifier, file)
        return Mask(_is_white(_grey(upright, file), file))


def size_of(path: Path | str) -> tuple[int, int]:
    """Return the height and width that an image or mask will have, from the beginning of its file alone.

    Raises
    ------
    SeqplrpError
        As `open_image`, but for damage further on in the file.
    """
    with _opened(Path(path), load=False) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)


@contextmanager
def _opened(path: Path, *, load: bool = True) -> Iterator[Any]:
    """Open a file with Pillow and say in one line what is wrong with it."""
    pillow = imported("PIL.Image", "opening images")
    bombs = (pillow.DecompressionBombWarning, pillow.DecompressionBombError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities in what surrounds the pixels
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path) as image:
                if load:
                    image.load()
                yield image
    except (SeqplrpError, MemoryError):
        raise
    except bombs as error:
        million = pillow.MAX_IMAGE_PIXELS / 1e6
        raise SeqplrpError(
            path,
            f"has more than {million:.0f} million pixels, as a decompression bomb has",
            "make the image smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it",
        ) from error
    except pillow.UnidentifiedImageError as error:
        raise SeqplrpError(path, "is no image that can be read", "save it as PNG or JPEG") from error
    except Exception as error:  # a decoder fails in whatever way damaged bytes lead it to
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SeqplrpError:
    if isinstance(error, FileNotFoundError):
        return SeqplrpError(path, "there is no such file", "check its name")
    if isinstance(error, OSError) and error.strerror is not None:
        return SeqplrpError(path, f"can't be read ({error.strerror.lower()})", "check the file")
    return SeqplrpError(path, f"is cut short or damaged ({first_line(error)})", "restore the file")


def _upright(image: Any) -> Any:
    """Turn an image as its EXIF says; grey PNGs of 16 bits that Pillow holds in 32 become what they are."""
    turned = imported("PIL.ImageOps", "opening images").exif_transpose(image)
    return turned.convert("I;16") if image.mode == "I" and image.format == "PNG" else turned


def _as_rgb(image: Any, background: tuple[int, int, int], path: Path) -> Image:
    if image.mode in _SIXTEEN_BITS:
        image = imported("PIL.Image", "opening images").fromarray(_from_16_bits(image))
    if image.mode in ("I", "F"):
        kind = "whole numbers of 32 bits" if image.mode == "I" else "floats"
        raise SeqplrpError(path, f"holds {kind}, of which nobody knows what is white", "save it with 8 or 16 bits")
    if image.has_transparency_data:
        canvas = imported("PIL.Image", "opening images").new("RGBA", image.size, (*background, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    try:
        converted: Image = image.convert("RGB")
    except ValueError as error:
        raise SeqplrpError(path, f"is in the mode {image.mode}, which can't be converted", "save it as RGB") from error
    return converted


def _from_16_bits(image: Any) -> npt.NDArray[np.uint8]:
    """Bring grey values of 16 bits to 8, white to white."""
    return ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)


def _grey(image: Any, path: Path) -> npt.NDArray[np.uint8]:
    """Return a mask's values (H, W); colours and transparency are no mask's."""
    if image.mode in _SIXTEEN_BITS:
        values = np.asarray(image)
        return values.astype(np.uint8) if values.max() <= 1 else _from_16_bits(image)
    if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
        raise SeqplrpError(path, "is a mask that is transparent in places", "save it black and white")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    colours = np.asarray(_as_rgb(image, WHITE, path)).astype(np.int16)
    if (colours.max(2) - colours.min(2)).max() > 8:  # JPEG shifts the greys of white's edges a little
        raise SeqplrpError(
            path, "is a mask in colour, and which of them is the object is unknown", "save it black and white"
        )
    return colours[:, :, 0].astype(np.uint8)


def _is_white(values: npt.NDArray[np.uint8], path: Path) -> BoolArray:
    largest = int(values.max())
    if 1 < largest < 128:
        raise SeqplrpError(
            path,
            f"is a mask whose largest value is {largest}: neither black and white nor 0 and 1",
            "save the object as 255",
        )
    return values >= (1 if largest <= 1 else 128)


def _of_identifier(image: Any, identifier: int, path: Path) -> Mask:
    if image.mode != "RGB":
        raise SeqplrpError(path, f"is in the mode {image.mode}; masks of ImageNet-S are RGB", "restore the file")
    values = np.asarray(image).astype(np.int32)
    shown = values[:, :, 0] + 256 * values[:, :, 1]
    return Mask(shown == identifier, shown == IGNORED)
