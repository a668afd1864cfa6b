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
from seqplrp.plot.explained import explanation_html, explanation_logo, short_name
from seqplrp.plot.figures import Picture, check_suffix, save_figure
from seqplrp.plot.heatmaps import HeatMap, ImagePanel, Show, heat_colours, heat_limit, heat_map_grid, overlay
from seqplrp.plot.line_panels import line_panels
from seqplrp.plot.logos import BASE_COLOURS, Renderer, draw_logo, logo_frame, logo_values
from seqplrp.plot.motifs import MotifCell, information_frame, motif_grid
from seqplrp.plot.page.tables import (
    Explorer,
    PageBlock,
    PageHeading,
    PageList,
    PagePicture,
    PageTable,
    PageText,
    TablesPage,
)
from seqplrp.plot.page.tracks import (
    ACCOUNT_COLUMNS,
    DARK_BASE_COLOURS,
    AccountPattern,
    PageAccounts,
    PageCheck,
    PageColumn,
    PageLane,
    PageMark,
    PagePlaces,
    PageTrack,
    TracksPage,
)
from seqplrp.plot.panels import LogoTrack, Mark, SequencePanel, comparison_panel, logo_panel
from seqplrp.plot.ranks import critical_difference
from seqplrp.plot.roar import roar_curves
from seqplrp.plot.sweeps import sweep_curves
from seqplrp.plot.tradeoffs import trade_off

__all__ = [
    "ACCOUNT_COLUMNS",
    "BASE_COLOURS",
    "DARK_BASE_COLOURS",
    "AccountPattern",
    "Explorer",
    "HeatMap",
    "ImagePanel",
    "LogoTrack",
    "Mark",
    "MotifCell",
    "PageAccounts",
    "PageBlock",
    "PageCheck",
    "PageColumn",
    "PageHeading",
    "PageLane",
    "PageList",
    "PageMark",
    "PagePicture",
    "PagePlaces",
    "PageTable",
    "PageText",
    "PageTrack",
    "Picture",
    "Renderer",
    "SequencePanel",
    "Show",
    "TablesPage",
    "TracksPage",
    "amplitude_picture",
    "check_suffix",
    "comparison_panel",
    "critical_difference",
    "distractor_picture",
    "draw_logo",
    "explanation_html",
    "explanation_logo",
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
    "short_name",
    "strand_picture",
    "sweep_curves",
    "trade_off",
]
