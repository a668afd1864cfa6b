"""Images, masks, and what belongs to them."""

from __future__ import annotations

import io
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fuzzed_readers.framing import headed, unheaded
from fuzzed_readers.reader import Reader, Seeds, texts


@cache
def _images() -> Seeds:
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (8, 9, 4), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "png": (colours, {}),
        "jpeg": (colours, {"exif": turned}),
        "gif": (colours, {}),
        "tiff": (colours, {}),
        "webp": (alpha, {"lossless": True}),
        "palette": (colours.quantize(7), {"format": "png", "transparency": 2}),
        "deep": (Image.fromarray(rng.integers(0, 65536, (8, 9), dtype=np.uint16)), {"format": "png"}),
    }
    return {name: _saved(image, **{"format": name, **options}) for name, (image, options) in kinds.items()}


def _saved(image: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


@cache
def _masks() -> Seeds:
    from PIL import Image

    white = Image.fromarray((np.arange(72).reshape(8, 9) % 5 == 0).astype(np.uint8) * np.uint8(255))
    return {"grey": _saved(white, format="png"), "bits": _saved(white.convert("1"), format="png")}


@cache
def _numbered_masks() -> Seeds:
    from PIL import Image

    numbers = np.arange(72).reshape(8, 9) % 5 * 250
    rgb = np.dstack([numbers % 256, numbers // 256, 0 * numbers]).astype(np.uint8)
    return {"rgb": _saved(Image.fromarray(rgb), format="png")}


def _image(path: Path) -> None:
    from seqplrp.images import open_image

    open_image(path)


def _mask(path: Path, identifier: int | None = None) -> None:
    from seqplrp.images import open_mask

    open_mask(path, identifier=identifier)


def _classes(path: Path) -> None:
    from seqplrp.images import read_classes

    read_classes(path)


def _image_labels(path: Path) -> None:
    from seqplrp.images import read_ecssd

    read_ecssd(path.parent, split="test", classes=("ring", "star"))


def _labelled_images() -> Seeds:
    image, mask = _images()["png"], _masks()["grey"]
    files = {}
    for name in ("a", "b"):
        files |= {f"images/{name}.png": image, f"ground_truth_mask/{name}.png": mask}
    return files


@cache
def _saved_network() -> Seeds:
    import torch
    from safetensors.torch import save

    from seqplrp.images import Preprocessing
    from seqplrp.images.weights import described

    beside = described("resnet18", "random", Preprocessing(None, 64), ("ring", "star"))
    return {"ours": unheaded(save({"fc.bias": torch.zeros(2)}, metadata=beside))}


def _network(path: Path) -> None:
    from seqplrp.images.weights import told_by

    told_by(path)


READERS = (
    Reader("image", "in.png", _images, _image),
    Reader("mask", "mask.png", _masks, _mask),
    Reader("mask-of-numbers", "mask.png", _numbered_masks, partial(_mask, identifier=3)),
    Reader(
        "image-classes",
        "classes.txt",
        texts(
            names=b"ring\nstar\n",
            numbers=b"ring\t3\nstar\t0\n",
            ids=b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
            listed=b'["ring", "star"]',
            table=b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
        ),
        _classes,
    ),
    Reader(
        "image-labels",
        "labels.tsv",
        texts(plain=b"id\tsplit\tclass\na\ttest\tstar\nb.png\ttrain\tring\n"),
        _image_labels,
        _labelled_images,
        cost=2,
    ),
    Reader("saved-network-header", "net.safetensors", _saved_network, _network, encode=headed),
)
