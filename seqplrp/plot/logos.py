"""Relevance as a sequence logo: the table a logo is made of, and its drawing with logomaker's glyphs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import encode
from seqplrp.plot.glyphs import draw_glyphs

ALPHABET = "ACGT"

BASE_COLOURS: dict[str, str] = {"A": "#009E73", "C": "#00509E", "G": "#E69F00", "T": "#B8380A"}
"""Green, blue, orange and red after Okabe and Ito's palette, its blue and vermillion darkened.

The usual genomics colours put red beside green. Okabe and Ito's own blue and green come close under
tritanopia, their orange and vermillion under deuteranopia (17 and 18 apart in CIE 1976 L*a*b*). In these any
two bases stay at least 28 apart under protanopia, deuteranopia and tritanopia, and a test keeps it so.
"""

FONT = "DejaVu Sans"  # ships with matplotlib, so a logo looks the same on every machine
_FADE_BELOW = 0.35
_MARGIN = 0.08

Renderer = Literal["auto", "logomaker", "paths"]
LETTERS_BY_LOGOMAKER = 120
"""Up to so many letters logomaker draws, in about a third of a second: it takes 3 ms a letter. Ours take 0.01 ms each
beyond what an empty figure takes, so longer tracks are ours to draw (benchmarks/logos.py, docs/logos.md)."""


def logo_frame(values: Any, sequence: str | npt.ArrayLike | None = None, *, start: int = 0) -> pd.DataFrame:
    """Make logomaker's table: one row per position, one column per base, the letters' signed heights inside.

    Parameters
    ----------
    values : array-like or torch.Tensor, shape (4, L) or (L,)
        Relevance or hypothetical contributions over ACGT; or per-base relevance, which needs the sequence.
    sequence : str or array of uint8, shape (L,), optional
        Letters or codes (A = 0 ... T = 3, N = 4). The value of each position goes to its letter; N has none,
        so its value must be 0.
    start : int
        Position of the first row, 0-based.

    Returns
    -------
    DataFrame
        Index ``pos``, columns A, C, G, T; ready for ``logomaker.Logo`` and to be changed by hand.

    Raises
    ------
    SeqplrpError
        If shapes do not fit, a value is not finite, or an N carries relevance.
    """
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise SeqplrpError("values", "holds values that are not finite", "a logo needs finite heights")
    if array.ndim == 2 and array.shape[0] == 4:
        heights = array.T
    elif array.ndim == 1 and sequence is not None:
        heights = _to_letters(array, sequence)
    else:
        raise SeqplrpError("values", f"has shape {array.shape}", "pass (4, L), or (L,) together with the sequence")
    index = pd.RangeIndex(start, start + len(heights), name="pos")
    return pd.DataFrame(heights, index=index, columns=list(ALPHABET))


def logo_values(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Give a logo table back as an array (4, L) over ACGT; bases without a column are 0.

    Raises
    ------
    SeqplrpError
        If a column is no base.
    """
    _check_columns(frame)
    values: npt.NDArray[np.float64] = frame.reindex(columns=list(ALPHABET), fill_value=0.0).to_numpy(np.float64)
    return values.T


def _check_columns(frame: pd.DataFrame) -> None:
    unknown = [str(c) for c in frame.columns if c not in tuple(ALPHABET)]
    if unknown:
        raise SeqplrpError("frame", f"has a column {unknown[0]!r}", "name the columns A, C, G and T")


def _check_frame(frame: pd.DataFrame) -> None:
    _check_columns(frame)
    if len(frame) == 0:
        raise SeqplrpError("frame", "has no position", "give at least one")
    if not np.isfinite(frame.to_numpy(dtype=np.float64)).all():
        raise SeqplrpError("frame", "holds values that are not finite", "a logo needs finite heights")


def value_range(frame: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest point of a logo's stacks, 0 included."""
    values = frame.to_numpy(dtype=np.float64)
    if values.size == 0:
        return 0.0, 0.0
    return float(np.minimum(values, 0).sum(axis=1).min()), float(np.maximum(values, 0).sum(axis=1).max())


def draw_logo(
    ax: Axes, frame: pd.DataFrame, *, limits: tuple[float, float] | None = None, renderer: Renderer = "auto"
) -> None:
    """Draw a logo table on an axes: positive letters upwards, negative ones hanging upside down and paler.

    Short logos are logomaker's drawing; long ones are drawn by us, letter for letter the same.

    Parameters
    ----------
    ax : matplotlib Axes
        Its x axis is set to the frame's positions. The letter of position i stands over i, so a 0-based
        half-open interval reaches from start - 1/2 to end - 1/2.
    frame : DataFrame
        As :func:`logo_frame` makes it.
    limits : (float, float), optional
        Lowest and highest value on the y axis; those of the frame if None.
    renderer : {"auto", "logomaker", "paths"}
        Who draws the letters; by their number unless given.

    Raises
    ------
    SeqplrpError
        If the table has other columns than bases, a value that is not finite, or no position.
    """
    _check_frame(frame)
    shown = frame.loc[(frame != 0).any(axis=1)]
    letters = int((frame != 0).to_numpy().sum())
    if renderer == "paths" or (renderer == "auto" and letters > LETTERS_BY_LOGOMAKER):
        draw_glyphs(ax, shown, colours=BASE_COLOURS, font=FONT, fade_below=_FADE_BELOW)
    elif len(shown):
        # Imported here: logomaker takes a second to import, which pictures without letters need not wait for.
        import logomaker

        logomaker.Logo(
            shown,
            ax=ax,
            color_scheme=BASE_COLOURS,
            font_name=FONT,
            fade_below=_FADE_BELOW,
            baseline_width=0,
        )
    low, high = value_range(frame) if limits is None else limits
    if low == high:
        low, high = -1.0, 1.0
    pad = _MARGIN * (high - low)
    ax.set_ylim(low - (pad if low < 0 else 0), high + (pad if high > 0 else 0))
    ax.set_xlim(frame.index[0] - 0.5, frame.index[-1] + 0.5)
    ax.axhline(0, color="#555555", linewidth=0.6, zorder=0.5)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    if not len(shown):
        ax.set_yticks([])
        ax.text(0.5, 0.53, "no relevance here", transform=ax.transAxes, ha="center", color="#666666", fontsize=8)


def _to_letters(per_base: npt.NDArray[np.float64], sequence: str | npt.ArrayLike) -> npt.NDArray[np.float64]:
    codes = encode(sequence)[0] if isinstance(sequence, str) else np.asarray(sequence)
    if codes.shape != per_base.shape:
        raise SeqplrpError(
            "sequence", f"has {codes.size} letters for {per_base.size} values", "pass one letter per value"
        )
    known = codes < 4
    if per_base[~known].any():
        where = int(np.flatnonzero(~known & (per_base != 0))[0])
        raise SeqplrpError(
            "values",
            f"position {where} is N and carries relevance",
            "check that the sequence is that of the map",
        )
    heights = np.zeros((codes.size, 4))
    heights[np.flatnonzero(known), codes[known]] = per_base[known]
    return heights
