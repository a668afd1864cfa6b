"""Small folders of labelled images for tests: easy to learn, quick to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_easy_images(
    place: Path, *, n: int = 48, size: int = 32, classes: tuple[str, ...] = ("dark", "light")
) -> Path:
    """Noise about a brightness that is the class; every fourth image is for testing."""
    rng = np.random.default_rng(0)
    for folder in ("images", "ground_truth_mask"):
        (place / folder).mkdir(parents=True)
    lines = ["id\tclass\tsplit\n"]
    for index in range(n):
        label = index % len(classes)
        level = 60 + 130 * label / (len(classes) - 1)
        pixels = rng.normal(level, 20, (size, size, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / "images" / f"i{index:03d}.png")
        Image.fromarray(np.full((size, size), 255, np.uint8)).save(place / "ground_truth_mask" / f"i{index:03d}.png")
        lines.append(f"i{index:03d}\t{classes[label]}\t{'test' if index // len(classes) % 4 == 3 else 'train'}\n")
    (place / "labels.tsv").write_text("".join(lines))
    return place
