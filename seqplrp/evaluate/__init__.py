"""Measures and statistics of explanations, on arrays, for any kind of input."""

from seqplrp.evaluate.localisation import (
    auprc,
    auroc,
    distractor_mass,
    localisation,
    pointing_game,
    rma,
    rra,
    snr,
)
from seqplrp.evaluate.measures import LOCALISATION_MEASURES, MEASURES, SPARSITY_MEASURES, Measure
from seqplrp.evaluate.ranks import RankComparison, critical_difference, rank_methods
from seqplrp.evaluate.sparsity import entropy, gini, hoyer, sparsity, zero_share
from seqplrp.evaluate.statistics import (
    MeanInterval,
    PairedTest,
    bootstrap_mean,
    compare_methods,
    holm,
    paired_wilcoxon,
    summarise,
)

__all__ = [
    "LOCALISATION_MEASURES",
    "MEASURES",
    "SPARSITY_MEASURES",
    "MeanInterval",
    "Measure",
    "PairedTest",
    "RankComparison",
    "auprc",
    "auroc",
    "bootstrap_mean",
    "compare_methods",
    "critical_difference",
    "distractor_mass",
    "entropy",
    "gini",
    "holm",
    "hoyer",
    "localisation",
    "paired_wilcoxon",
    "pointing_game",
    "rank_methods",
    "rma",
    "rra",
    "snr",
    "sparsity",
    "summarise",
    "zero_share",
]
