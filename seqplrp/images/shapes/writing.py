"""Shapes data as a directory of files, in ECSSD's layout."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from seqplrp._version import __version__
from seqplrp.errors import SeqplrpError
from seqplrp.images.extras import imported
from seqplrp.images.folders import LABELS_FILE
from seqplrp.images.shapes.scenes import Scene, draw_scene, is_test
from seqplrp.images.shapes.settings import ShapesSettings
from seqplrp.storage import naming, write_json

ImageFormat = Literal["png", "jpg"]

IMAGES, MASKS, DISTRACTOR_MASKS = "images", "ground_truth_mask", "distractor_mask"
"""Folders: the images, and what of each image's pixels shows the class's shape, and what shows distractors."""

OBJECTS_FILE = "objects.tsv"
SETTINGS_FILE = "settings.json"
HASHES_FILE = "SHA256SUMS"

_JPEG_QUALITY = 95
_LABEL_COLUMNS = "id\tclass\tsplit\n"
_OBJECT_COLUMNS = "id\tdepth\tkind\tis_class\tx\ty\tradius\trotation\thidden\n"


def write_shapes(
    directory: Path | str,
    settings: ShapesSettings | None = None,
    *,
    image_format: ImageFormat = "png",
    progress: Callable[[int], None] | None = None,
) -> None:
    """Draw shapes data and write them.

    Parameters
    ----------
    directory : path
        Made if it is not there; files of the same names in it are replaced.
    settings : ShapesSettings, optional
        What is drawn.
    image_format : {"png", "jpg"}
        Of the images; masks are always PNG. JPEG (quality 95) takes six tenths of the space, and blurs edges a little.
    progress : callable, optional
        Called with the number of images that were written since.

    Notes
    -----
    ``images/ID.png``
        The images, RGB.
    ``ground_truth_mask/ID.png``
        255 where the class's shape is visible, 0 elsewhere.
    ``distractor_mask/ID.png``
        The same of the distractors.
    ``labels.tsv``
        ``id``, ``class``, ``split`` (train or test: one in five).
    ``objects.tsv``
        What is in each image, from the lowest (depth 1) to the uppermost: ``id``, ``depth``, ``kind``, ``is_class`` (1
        or 0), ``x`` and ``y`` of the centroid and ``radius`` of a circle of its area in pixels, ``rotation`` in
        degrees, ``hidden`` (the share of it that others cover).
    ``settings.json``
        The settings, the seed among them, and the versions that drew them: the same of both give the same bytes.
    ``SHA256SUMS``
        Of every other file, as ``sha256sum --check`` reads it.

    Raises
    ------
    SeqplrpError
        For settings with which nothing can be drawn.
    """
    asked = settings or ShapesSettings()
    asked.validate()
    if image_format not in get_args(ImageFormat):
        raise SeqplrpError("image_format", f"is {image_format!r}", "give png or jpg")
    place = _Place(Path(directory))
    width = max(4, len(str(asked.n)))  # as ECSSD's own names
    labels, objects = [_LABEL_COLUMNS], [_OBJECT_COLUMNS]
    for index in range(asked.n):
        scene, name = draw_scene(asked, index), f"{index + 1:0{width}d}"
        place.write(f"{IMAGES}/{name}.{image_format}", _encoded(scene.image, image_format))
        place.write(f"{MASKS}/{name}.png", _encoded(_black_and_white(scene.mask), "png"))
        place.write(f"{DISTRACTOR_MASKS}/{name}.png", _encoded(_black_and_white(scene.distractor_mask), "png"))
        labels.append(f"{name}\t{asked.classes[scene.label]}\t{'test' if is_test(asked, index) else 'train'}\n")
        objects += _rows(name, scene)
        if progress is not None:
            progress(1)
    place.write(LABELS_FILE, "".join(labels).encode())
    place.write(OBJECTS_FILE, "".join(objects).encode())
    place.write_settings(_described(asked, image_format))
    place.write_hashes()


def _described(settings: ShapesSettings, image_format: str) -> dict[str, Any]:
    pillow = imported("PIL", "shapes data").__version__
    return {
        "format": "seqplrp-shapes",
        "format_version": 1,
        "settings": asdict(settings),
        "image_format": image_format,
        "classes": list(settings.classes),
        "versions": {"seqplrp": __version__, "numpy": np.__version__, "pillow": pillow},
    }


def _rows(name: str, scene: Scene) -> list[str]:
    return [
        f"{name}\t{depth}\t{item.kind}\t{int(item.is_class)}\t{item.x:.3f}\t{item.y:.3f}\t{item.radius:.3f}\t"
        f"{item.rotation:.2f}\t{abs(item.hidden):.4f}\n"
        for depth, item in enumerate(scene.objects, start=1)
    ]


def _black_and_white(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return mask.astype(np.uint8) * np.uint8(255)


def _encoded(pixels: npt.NDArray[np.uint8], image_format: str) -> bytes:
    """Return an image file's bytes; without anything that tells when or where it was made."""
    image = imported("PIL.Image", "shapes data").fromarray(pixels)
    content = io.BytesIO()
    if image_format == "png":
        image.save(content, "PNG")
    else:
        image.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return content.getvalue()


class _Place:
    """A directory that is filled, and the hash of each file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hashes: dict[str, str] = {}
        for folder in (IMAGES, MASKS, DISTRACTOR_MASKS):
            (directory / folder).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        path = self.directory / name
        with naming(path):
            path.write_bytes(content)
        self.hashes[name] = hashlib.sha256(content).hexdigest()

    def write_settings(self, content: dict[str, Any]) -> None:
        path = self.directory / SETTINGS_FILE
        write_json(path, content)
        self.hashes[SETTINGS_FILE] = hashlib.sha256(path.read_bytes()).hexdigest()

    def write_hashes(self) -> None:
        self.write(HASHES_FILE, "".join(f"{digest}  {name}\n" for name, digest in self.hashes.items()).encode())
