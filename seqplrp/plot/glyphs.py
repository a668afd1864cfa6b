"""The letters of a logo as one collection of paths: what logomaker draws, letter for letter, for long tracks."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

_WIDTH = 0.95  # of a position: these three are logomaker's own
_WEIGHT = "bold"
_WIDEST_STRETCH = "E"  # no letter is stretched more than this one is


def draw_glyphs(ax: Axes, frame: pd.DataFrame, *, colours: dict[str, str], font: str, fade_below: float) -> None:
    """Draw a logo table's letters: positive ones upwards, the largest on top, negative ones hanging and paler.

    Parameters
    ----------
    ax : matplotlib Axes
        Its limits are left as they are.
    frame : DataFrame
        As `logo_frame` makes it.
    colours : dict of str to str
        By base.
    font : str
        Family of the letters.
    fade_below : float
        How much paler letters below the axis are, 0 to 1.
    """
    values = frame.to_numpy(np.float64)
    order = np.argsort(values, axis=1)
    heights = np.take_along_axis(values, order, axis=1)  # from the bottom of each stack to its top
    sizes = np.abs(heights)
    floors = np.minimum(heights, 0).sum(1, keepdims=True) + np.cumsum(sizes, axis=1) - sizes
    row, place = np.nonzero(heights)
    below = heights[row, place] < 0
    # as logomaker draws them, since neighbours share pixels: those above the axis from the bottom of each stack, then
    # those below it column by column
    turn = np.lexsort((np.where(below, order[row, place], place), row, below))
    row, place, below = row[turn], place[turn], below[turn]
    bases = np.array(frame.columns)[order[row, place]]
    middles = frame.index.to_numpy(np.float64)[row]
    paths, faces = [], []
    shades = {
        (base, under): (*to_rgb(colours[base]), 1 - fade_below * under) for base in colours for under in (False, True)
    }
    for base, under, x, y, size in zip(bases, below, middles, floors[row, place], sizes[row, place], strict=True):
        vertices, codes = _letter(base, font, bool(under))
        paths.append(Path(vertices * (1.0, size) + (x, y), codes))
        faces.append(shades[base, bool(under)])
    letters = PathCollection(paths, facecolors=faces, edgecolors="none", linewidths=0, zorder=0)  # under the axis' line
    ax.add_collection(letters, autolim=False)


@cache
def outline_of(letter: str, font: str) -> TextPath:
    """Return a letter's outline as the font has it, in the weight that all letters of logos have."""
    return TextPath((0, 0), letter, size=1, prop=FontProperties(family=font, weight=_WEIGHT))


@cache
def _letter(base: str, font: str, hanging: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return a letter's outline: over 0, as wide as logomaker draws it, from 0 to 1 in height."""
    outline = outline_of(base, font)
    box, widest = outline.get_extents(), outline_of(_WIDEST_STRETCH, font).get_extents()
    stretch = min(_WIDTH / box.width, _WIDTH / widest.width)
    vertices = np.array(outline.vertices, np.float64)
    found = np.empty_like(vertices)
    found[:, 0] = (vertices[:, 0] - (box.x0 + box.x1) / 2) * stretch
    found[:, 1] = (vertices[:, 1] - box.y0) / box.height
    if hanging:
        found[:, 1] = 1 - found[:, 1]
    codes: npt.NDArray[np.uint8] = np.asarray(outline.codes, np.uint8)
    return found, codes
