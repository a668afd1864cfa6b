"""Figures without global state, and files that come out the same every time."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError

SUFFIXES = (".svg", ".png", ".pdf")

_NOTEBOOK_DPI = 110

# matplotlib writes the time into a file unless told not to; the key differs by format.
_UNDATED: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".png": {},
    ".pdf": {"CreationDate": None},
}


class Picture(Figure):
    """A figure that a notebook shows where it stands last in a cell, whether or not pyplot was ever imported."""

    def _repr_png_(self) -> bytes:
        """Return it as a PNG file; the same figure gives the same bytes."""
        file = BytesIO()
        self.savefig(file, format="png", dpi=_NOTEBOOK_DPI, metadata=_UNDATED[".png"])
        return file.getvalue()


def check_suffix(path: Path | str) -> str:
    """Return a picture's lower-case suffix.

    Commands call it before any work, so that a slip of the pen costs nothing.

    Raises
    ------
    SeqplrpError
        If it is none of ``SUFFIXES``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise SeqplrpError(
            path,
            f"ends in {suffix!r}, which names no picture format here" if suffix else "has no suffix",
            f"end the name in {' or '.join(SUFFIXES)}",
        )
    return suffix


def save_figure(figure: Figure, path: Path | str, *, dpi: int = 150) -> None:
    """Write a figure in the format that the path's suffix names.

    The same figure gives the same bytes: no date, and SVG ids from a fixed salt.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made by any function of this room; no pyplot is needed and no window opens.
    path : path-like
        Ends in .svg, .png or .pdf.
    dpi : int
        Dots per inch of a PNG.

    Raises
    ------
    SeqplrpError
        If the suffix is another one.
    """
    suffix = check_suffix(path)
    with mpl.rc_context({"svg.hashsalt": "seqplrp", "svg.fonttype": "path"}):
        figure.savefig(path, format=suffix[1:], dpi=dpi, metadata=_UNDATED[suffix])


def plain_text(artist: Any) -> Any:
    """Keep matplotlib from reading ``$`` in names (of records, motifs) as mathematics."""
    artist.set_parse_math(False)
    return artist
