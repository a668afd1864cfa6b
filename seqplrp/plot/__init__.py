"""Pictures: sequence logos, panels of methods, tables of measures."""

from __future__ import annotations

from seqplrp.plot.audit import (
    amplitude_picture,
    distractor_picture,
    permutation_picture,
    profile_picture,
    strand_picture,
)
from seqplrp.plot.bars import measure_bars
from seqplrp.plot.curves import learning_curve
from seqplrp.plot.figures import check_suffix, save_figure
from seqplrp.plot.heatmaps import HeatMap, ImagePanel, Show, heat_colours, heat_limit, heat_map_grid, overlay
from seqplrp.plot.line_panels import line_panels
from seqplrp.plot.logos import BASE_COLOURS, draw_logo, logo_frame, logo_values
from seqplrp.plot.motifs import MotifCell, information_frame, motif_grid
from seqplrp.plot.panels import LogoTrack, Mark, SequencePanel, comparison_panel, logo_panel
from seqplrp.plot.ranks import critical_difference
from seqplrp.plot.roar import roar_curves
from seqplrp.plot.sweeps import sweep_curves
from seqplrp.plot.tradeoffs import trade_off

__all__ = [
    "BASE_COLOURS",
    "HeatMap",
    "ImagePanel",
    "LogoTrack",
    "Mark",
    "MotifCell",
    "SequencePanel",
    "Show",
    "amplitude_picture",
    "check_suffix",
    "comparison_panel",
    "critical_difference",
    "distractor_picture",
    "draw_logo",
    "heat_colours",
    "heat_limit",
    "heat_map_grid",
    "information_frame",
    "learning_curve",
    "line_panels",
    "logo_frame",
    "logo_panel",
    "logo_values",
    "measure_bars",
    "motif_grid",
    "overlay",
    "permutation_picture",
    "profile_picture",
    "roar_curves",
    "save_figure",
    "strand_picture",
    "sweep_curves",
    "trade_off",
]
