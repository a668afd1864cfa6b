"""Motifs as information logos, each over the known motif that it is like, column over column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif
from seqplrp.plot.figures import plain_text
from seqplrp.plot.logos import draw_logo, logo_frame

_SHARE_COLOUR, _REST_COLOUR, _FLANK_COLOUR = "#22577A", "#E4E8EC", "#F2F2F2"
_INVISIBLE = 0.01  # bits: half a pixel; drawing its four letters would take as long as any others

# All lengths in inches.
_PER_BASE, _NARROWEST = 0.15, 3.4
_LOGO, _HEAD, _CAPTION, _UNDER = 0.62, 0.3, 0.2, 0.06
_LEFT, _RIGHT, _TOP, _BETWEEN = 0.42, 0.22, 0.36, 0.16
_LETTER = 0.075  # mean width of a letter of the head, the bold ones'


@dataclass(frozen=True)
class MotifCell:
    """One motif of a grid.

    Parameters
    ----------
    name, note : str
        Stand over it, at the left and at the right.
    share : float
        0 to 1, shown as a bar under them.
    motif : Motif or None
        What is drawn; None leaves the place empty.
    core : (start, end), optional
        The part of it that was compared; what lies outside is shaded.
    caption : str
        Stands under it: the known motif's name, or why there is none.
    known : Motif, optional
        Drawn under the caption, as it stands beside the motif.
    offset : int
        Position of `motif` over the first column of `known`.
    """

    name: str
    note: str
    share: float
    motif: Motif | None
    core: tuple[int, int] | None = None
    caption: str = ""
    known: Motif | None = None
    offset: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """First and one past the last position that either motif covers."""
        spans = [(0, self.motif.width)] if self.motif is not None else [(0, 1)]
        if self.known is not None:
            spans.append((self.offset, self.offset + self.known.width))
        return min(start for start, _ in spans), max(end for _, end in spans)


def motif_grid(cells: Sequence[MotifCell], *, columns: int = 2, title: str = "") -> Figure:
    """Draw motifs in a grid, row by row, letters as high as their information in bits.

    Parameters
    ----------
    cells : sequence of MotifCell
        In reading order. All are drawn to one scale: a base is equally wide everywhere.
    columns : int
        Cells in a row.
    title : str
        Stands over all.

    Returns
    -------
    matplotlib.figure.Figure
        To be written by :func:`seqplrp.plot.save_figure`.

    Raises
    ------
    SeqplrpError
        If there is no cell, or ``columns`` is below 1.
    """
    if not cells or columns < 1:
        raise SeqplrpError("cells", f"{len(cells)} in {columns} columns", "pass at least one motif and one column")
    columns = min(columns, len(cells))
    positions = max(end - start for start, end in (cell.span for cell in cells))
    per_base = max(_PER_BASE, _NARROWEST / positions)
    wide = positions * per_base
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    heights = [max(_height(cell) for cell in row) for row in rows]
    top = _TOP if title else 0.1
    width = columns * (_LEFT + wide + _RIGHT)
    height = top + sum(heights) + len(rows) * _BETWEEN
    figure = Figure(figsize=(width, height), facecolor="white")
    if title:
        plain_text(
            figure.suptitle(title, x=0.1 / width, y=1 - 0.09 / height, ha="left", fontsize=10, fontweight="bold")
        )
    above = height - top
    for row, high in zip(rows, heights):
        for number, cell in enumerate(row):
            left = number * (_LEFT + wide + _RIGHT) + _LEFT
            _draw_cell(_Place(figure, left, above, wide, per_base), cell)
        above -= high + _BETWEEN
    return figure


@dataclass(frozen=True)
class _Place:
    """Where a cell is drawn, in inches from the figure's lower left corner."""

    figure: Figure
    left: float
    top: float
    width: float
    per_base: float

    def axes(self, down: float, height: float, width: float | None = None) -> Axes:
        """Return axes whose upper edge lies so far below the cell's."""
        w, h = self.figure.get_size_inches()
        box = (self.left / w, (self.top - down - height) / h, (width or self.width) / w, height / h)
        return self.figure.add_axes(box)


def _height(cell: MotifCell) -> float:
    logos = _HEAD + _LOGO + _CAPTION
    return logos + _LOGO + _UNDER if cell.known is not None else logos + _UNDER


def _draw_cell(place: _Place, cell: MotifCell) -> None:
    head = place.axes(_HEAD - 0.075, 0.035)
    head.set_axis_off()
    head.set_xlim(0, 1)
    head.set_ylim(0, 1)
    head.barh([0.5], [1.0], height=1.0, color=_REST_COLOUR)
    head.barh([0.5], [cell.share], height=1.0, color=_SHARE_COLOUR)
    name = _shortened(cell.name, int(place.width / _LETTER) - len(cell.note) - 2)
    for text, x, side, weight in ((name, 0.0, "left", "bold"), (cell.note, 1.0, "right", "normal")):
        plain_text(head.text(x, 2.2, text, ha=side, va="bottom", fontsize=8, fontweight=weight))
    start, end = cell.span
    long = (end - start) * place.per_base
    ax = place.axes(_HEAD, _LOGO, long)
    if cell.motif is None:
        ax.set_axis_off()
    else:
        _draw_information(ax, cell.motif, 0, (start, end))
        for low, high in _flanks(cell):
            ax.axvspan(low - 0.5, high - 0.5, color=_FLANK_COLOUR, linewidth=0, zorder=-1)
    caption = place.axes(_HEAD + _LOGO, _CAPTION)
    caption.set_axis_off()
    plain_text(caption.text(0, 0.25, cell.caption, ha="left", va="bottom", fontsize=7.5, color="#333333"))
    if cell.known is not None:
        _draw_information(place.axes(_HEAD + _LOGO + _CAPTION, _LOGO, long), cell.known, cell.offset, (start, end))


def _shortened(name: str, most: int) -> str:
    """Cut a module path from the left, where it says least."""
    return name if len(name) <= most else "\u2026" + name[len(name) - max(most - 1, 1) :]


def _flanks(cell: MotifCell) -> list[tuple[int, int]]:
    if cell.motif is None or cell.core is None:
        return []
    pairs = [(0, cell.core[0]), (cell.core[1], cell.motif.width)]
    return [(low, high) for low, high in pairs if low < high]


def _draw_information(ax: Axes, motif: Motif, start: int, span: tuple[int, int]) -> None:
    frame = information_frame(motif, start=start)
    draw_logo(ax, frame, limits=(0.0, 2.0))
    ax.set_xlim(span[0] - 0.5, span[1] - 0.5)
    ax.set_ylim(0, 2)
    ax.set_yticks([0, 1, 2])
    ax.set_xticks([])
    ax.set_ylabel("bits", fontsize=7, labelpad=2)
    ax.tick_params(axis="y", labelsize=6.5, length=2, color="#777777")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines["left"].set_color("#777777")


def information_frame(motif: Motif, *, start: int = 0) -> pd.DataFrame:
    """Make the table of an information logo: probability times the position's information in bits.

    Positions of less than 0.01 bit are 0 altogether: nobody could see them.
    """
    bits = motif.information_content()
    heights: npt.NDArray[np.float64] = motif.probabilities * np.where(bits < _INVISIBLE, 0.0, bits)[:, None]
    return logo_frame(heights.T, start=start)
