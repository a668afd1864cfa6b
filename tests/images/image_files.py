"""Small images and masks in files, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (6, 9)  # height, width
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, SIZE, dtype=np.uint8)
OBJECT = np.zeros(SIZE, dtype=bool)
OBJECT[2:4, 3:8] = True


def put(path: Path, values: np.ndarray = COLOURS, **options: object) -> Path:
    """Write an array as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def put_mask(path: Path, mask: np.ndarray = OBJECT) -> Path:
    return put(path, mask.astype(np.uint8) * np.uint8(255))


def three(greys: np.ndarray) -> np.ndarray:
    """Grey as three equal channels."""
    return np.repeat(greys[:, :, None], 3, 2)
