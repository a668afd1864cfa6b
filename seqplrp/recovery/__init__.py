"""The DNA benchmark: are known motifs found? Reading explanations back, scoring them, looking at them."""

from __future__ import annotations

from seqplrp.recovery.explanations import ExplanationSet, read_explanations
from seqplrp.recovery.filter_report import ALIKE, FilterReport, report_filters
from seqplrp.recovery.filters import BestWindows, FilterTally, LayerFilter, leading_filters
from seqplrp.recovery.first_layers import FirstLayer, first_layers
from seqplrp.recovery.kmers import peak_kmers
from seqplrp.recovery.labels import read_labels
from seqplrp.recovery.layer_reading import Reading, reading_of
from seqplrp.recovery.looking import parse_region, sequence_panel
from seqplrp.recovery.scoring import MEASURE_NAMES, Scores, score_explanations
from seqplrp.recovery.tomtom import FEWEST_TARGETS, MotifMatch, best_matches, require_memelite
from seqplrp.recovery.truth import UNINFORMATIVE_BITS, MotifMasks, Places

__all__ = [
    "ALIKE",
    "FEWEST_TARGETS",
    "MEASURE_NAMES",
    "UNINFORMATIVE_BITS",
    "BestWindows",
    "ExplanationSet",
    "FilterReport",
    "FilterTally",
    "FirstLayer",
    "LayerFilter",
    "MotifMasks",
    "MotifMatch",
    "Places",
    "Reading",
    "Scores",
    "best_matches",
    "first_layers",
    "leading_filters",
    "parse_region",
    "peak_kmers",
    "read_explanations",
    "read_labels",
    "reading_of",
    "report_filters",
    "require_memelite",
    "score_explanations",
    "sequence_panel",
]
