"""The first images of a run as heat maps, method beside method."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from seqplrp.benchmark import Examples
from seqplrp.errors import SeqplrpError, first_line
from seqplrp.images.benchmark.scenes import ImageScene
from seqplrp.plot import HeatMap, ImagePanel, heat_map_grid
from seqplrp.storage import npz_arrays, write_whole

_FILE = "examples.npz"


def kept_examples(scene: ImageScene, most: int, folder: Path) -> list[dict[str, Any]]:
    """Keep the first images' pixels and masks in a file of the cell, and return what else pictures say of them."""
    at = scene.candidates
    content = io.BytesIO()
    np.savez_compressed(content, pixels=at.pixels[:most], truth=at.truth[:most])
    write_whole(folder / _FILE, content.getvalue())
    rows = range(min(most, len(scene)))
    return [{"id": at.ids[row], "score": float(scene.scores[row]), "target": int(at.targets[row])} for row in rows]


def draw_heat_maps(
    examples: Sequence[Mapping[str, Any]], maps: Mapping[str, npt.NDArray[np.float64]], folder: Path
) -> Figure:
    """Draw images that were kept, each by several methods, with the object's outline.

    Raises
    ------
    SeqplrpError
        If the cell's file of them is missing or damaged.
    """
    pixels, truth = _kept(folder / _FILE)
    panels = []
    for row, one in enumerate(examples):
        found = [HeatMap(name, relevance[row]) for name, relevance in maps.items()]
        panels.append(ImagePanel(one["id"], pixels[row].transpose(1, 2, 0) / 255.0, found, truth[row]))
    return heat_map_grid(panels)


def _kept(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    try:
        arrays = dict(npz_arrays(path))
        return arrays["pixels"], arrays["truth"]
    except (FileNotFoundError, ValueError, KeyError) as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else f"is damaged ({first_line(error)})"
        raise SeqplrpError(path, what, "remove the cell's folder, and run again") from error


HEAT_MAPS = Examples(
    name="heat_maps",
    keep=kept_examples,
    draw=draw_heat_maps,
    caption="The first images of {title}, chosen before any was looked at; the object is outlined.",
)
