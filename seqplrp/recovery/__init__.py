"""The DNA benchmark: are known motifs found? Reading explanations back, scoring them, looking at them."""

from __future__ import annotations

from seqplrp.recovery.audit import (
    AUDIT_CHECKS,
    Audit,
    AuditLimits,
    AuditOptions,
    CheckResult,
    ExplainFunction,
    Finding,
    HasMaps,
    Retraining,
    audit_json,
    audit_page,
    pool_strides,
    run_audit,
)
from seqplrp.recovery.explanations import ExplanationSet, read_explanations
from seqplrp.recovery.filter_report import ALIKE, FilterReport, report_filters
from seqplrp.recovery.filters import BestWindows, FilterTally, LayerFilter, leading_filters
from seqplrp.recovery.first_layers import FirstLayer, first_layers
from seqplrp.recovery.kmers import peak_kmers
from seqplrp.recovery.labels import read_labels
from seqplrp.recovery.layer_reading import Reading, reading_of
from seqplrp.recovery.looking import parse_region, sequence_panel
from seqplrp.recovery.roar import (
    ImportanceFunction,
    RoarOptions,
    evidence_for_prediction,
    roar_summary,
    run_roar,
)
from seqplrp.recovery.scoring import MEASURE_NAMES, Scores, score_explanations
from seqplrp.recovery.tomtom import FEWEST_TARGETS, MotifMatch, best_matches, require_memelite
from seqplrp.recovery.truth import UNINFORMATIVE_BITS, MotifMasks, Places

__all__ = [
    "ALIKE",
    "AUDIT_CHECKS",
    "FEWEST_TARGETS",
    "MEASURE_NAMES",
    "UNINFORMATIVE_BITS",
    "Audit",
    "AuditLimits",
    "AuditOptions",
    "BestWindows",
    "CheckResult",
    "ExplainFunction",
    "ExplanationSet",
    "FilterReport",
    "FilterTally",
    "Finding",
    "FirstLayer",
    "HasMaps",
    "ImportanceFunction",
    "LayerFilter",
    "MotifMasks",
    "MotifMatch",
    "Places",
    "Reading",
    "Retraining",
    "RoarOptions",
    "Scores",
    "audit_json",
    "audit_page",
    "best_matches",
    "evidence_for_prediction",
    "first_layers",
    "leading_filters",
    "parse_region",
    "peak_kmers",
    "pool_strides",
    "read_explanations",
    "read_labels",
    "reading_of",
    "report_filters",
    "require_memelite",
    "roar_summary",
    "run_audit",
    "run_roar",
    "score_explanations",
    "sequence_panel",
]
