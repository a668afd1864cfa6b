"""The letters' outlines, those of the logos that are drawn as files, as paths that a browser can draw."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.path import Path

from seqplrp.plot.glyphs import outline_of
from seqplrp.plot.logos import ALPHABET, FONT

_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@cache
def glyph_paths() -> dict[str, str]:
    """Return the outline of each base's letter as SVG path data, in the unit square, y upwards."""
    return {base: _unit_path(base) for base in ALPHABET}


def _unit_path(letter: str) -> str:
    outline = outline_of(letter, FONT)
    box = outline.get_extents()  # of the curves, not of the points that draw them
    corner = np.asarray(box.min)
    extent = np.asarray(box.max) - corner
    words = []
    for vertices, code in outline.iter_segments(simplify=False, curves=True):
        words.append(_COMMANDS[code])
        if code != Path.CLOSEPOLY:
            points = (np.asarray(vertices).reshape(-1, 2) - corner) / extent
            words += [f"{value:.4g}" for value in points.ravel()]
    return " ".join(words)
