"""The first images of a run as heat maps, method beside method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from seqplrp.benchmark import Examples
from seqplrp.images.benchmark.scenes import ImageScene
from seqplrp.plot import HeatMap, ImagePanel, heat_map_grid

_FILE = "examples.npz"


def kept_examples(scene: ImageScene, most: int, folder: Path) -> list[dict[str, Any]]:
    """Keep the first images' pixels and masks in a file of the cell, and return what else pictures say of them."""
    at = scene.candidates
    np.savez_compressed(folder / _FILE, pixels=at.pixels[:most], truth=at.truth[:most], allow_pickle=False)
    rows = range(min(most, len(scene)))
    return [{"id": at.ids[row], "score": float(scene.scores[row]), "target": int(at.targets[row])} for row in rows]


def draw_heat_maps(
    examples: Sequence[Mapping[str, Any]], maps: Mapping[str, npt.NDArray[np.float64]], folder: Path
) -> Figure:
    """Draw images that were kept, each by several methods, with the object's outline."""
    with np.load(folder / _FILE, allow_pickle=False) as arrays:
        pixels, truth = arrays["pixels"], arrays["truth"]
    panels = []
    for row, one in enumerate(examples):
        found = [HeatMap(name, relevance[row]) for name, relevance in maps.items()]
        panels.append(ImagePanel(one["id"], pixels[row].transpose(1, 2, 0) / 255.0, found, truth[row]))
    return heat_map_grid(panels)


HEAT_MAPS = Examples(
    name="heat_maps",
    keep=kept_examples,
    draw=draw_heat_maps,
    caption="The first images of {title}, chosen before any was looked at; the object is outlined.",
)
