"""The DNA benchmark: are known motifs found? Reading explanations back, scoring them, looking at them."""

from __future__ import annotations

from seqplrp.recovery.explanations import ExplanationSet, read_explanations
from seqplrp.recovery.kmers import peak_kmers
from seqplrp.recovery.labels import read_labels
from seqplrp.recovery.looking import parse_region, sequence_panel
from seqplrp.recovery.scoring import MEASURE_NAMES, Scores, score_explanations
from seqplrp.recovery.truth import UNINFORMATIVE_BITS, MotifMasks, Places

__all__ = [
    "MEASURE_NAMES",
    "UNINFORMATIVE_BITS",
    "ExplanationSet",
    "MotifMasks",
    "Places",
    "Scores",
    "parse_region",
    "peak_kmers",
    "read_explanations",
    "read_labels",
    "score_explanations",
    "sequence_panel",
]
