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
    OtherOutputs,
    Retraining,
    audit_json,
    audit_page,
    pool_strides,
    run_audit,
)
from seqplrp.recovery.best_windows import BestWindows
from seqplrp.recovery.causal import CausalTruth, causal_truth
from seqplrp.recovery.discovery import Discovery, compare_with_truth, relatives
from seqplrp.recovery.explanations import ExplanationSet, read_explanations
from seqplrp.recovery.filter_report import ALIKE, FilterReport, report_filters
from seqplrp.recovery.filters import FilterTally, LayerFilter, leading_filters
from seqplrp.recovery.first_layers import FirstLayer, first_layers
from seqplrp.recovery.kmers import peak_kmers
from seqplrp.recovery.labels import read_labels
from seqplrp.recovery.layer_reading import Reading, reading_of
from seqplrp.recovery.looking import parse_region, sequence_panel
from seqplrp.recovery.marginalisation import Marginal, marginalise, random_word_effects
from seqplrp.recovery.modisco import (
    MOST_ZERO_WINDOWS,
    ModiscoInput,
    modisco_input,
    modisco_input_of,
    read_modisco,
    read_modisco_input,
    require_modisco,
    run_modisco,
)
from seqplrp.recovery.patterns import FEWEST_SEQLETS, Pattern, find_patterns
from seqplrp.recovery.perturbation import DinucleotideShuffle, RandomBases, unknown_bases
from seqplrp.recovery.report import MOST_SEQUENCES, MarkOptions, Runs, read_runs, tracks_page
from seqplrp.recovery.roar import (
    ImportanceFunction,
    RoarOptions,
    evidence_for_prediction,
    roar_summary,
    run_roar,
)
from seqplrp.recovery.scoring import MEASURE_NAMES, Scores, score_explanations
from seqplrp.recovery.seqlets import SEQLET_COLUMNS, call_seqlets
from seqplrp.recovery.tomtom import FEWEST_TARGETS, MotifMatch, all_matches, best_matches, require_memelite
from seqplrp.recovery.truth import UNINFORMATIVE_BITS, MotifMasks, Places

__all__ = [
    "ALIKE",
    "AUDIT_CHECKS",
    "FEWEST_SEQLETS",
    "FEWEST_TARGETS",
    "MEASURE_NAMES",
    "MOST_SEQUENCES",
    "MOST_ZERO_WINDOWS",
    "SEQLET_COLUMNS",
    "UNINFORMATIVE_BITS",
    "Audit",
    "AuditLimits",
    "AuditOptions",
    "BestWindows",
    "CausalTruth",
    "CheckResult",
    "DinucleotideShuffle",
    "Discovery",
    "ExplainFunction",
    "ExplanationSet",
    "FilterReport",
    "FilterTally",
    "Finding",
    "FirstLayer",
    "HasMaps",
    "ImportanceFunction",
    "LayerFilter",
    "Marginal",
    "MarkOptions",
    "ModiscoInput",
    "MotifMasks",
    "MotifMatch",
    "OtherOutputs",
    "Pattern",
    "Places",
    "RandomBases",
    "Reading",
    "Retraining",
    "RoarOptions",
    "Runs",
    "Scores",
    "all_matches",
    "audit_json",
    "audit_page",
    "best_matches",
    "call_seqlets",
    "causal_truth",
    "compare_with_truth",
    "evidence_for_prediction",
    "find_patterns",
    "first_layers",
    "leading_filters",
    "marginalise",
    "modisco_input",
    "modisco_input_of",
    "parse_region",
    "peak_kmers",
    "pool_strides",
    "random_word_effects",
    "read_explanations",
    "read_labels",
    "read_modisco",
    "read_modisco_input",
    "read_runs",
    "reading_of",
    "relatives",
    "report_filters",
    "require_memelite",
    "require_modisco",
    "roar_summary",
    "run_audit",
    "run_modisco",
    "run_roar",
    "score_explanations",
    "sequence_panel",
    "tracks_page",
    "unknown_bases",
]
