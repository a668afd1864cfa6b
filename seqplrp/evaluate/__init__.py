"""Measures and statistics of explanations, on arrays, for any kind of input."""

from seqplrp.evaluate.agreement import cosine, pearson, relative_l1, spearman, top_overlap
from seqplrp.evaluate.design import RUN_COLUMNS
from seqplrp.evaluate.draws import row_generators, seed_from
from seqplrp.evaluate.faithfulness import STEPS, Curves, Faithfulness, area, faithfulness, mean_curves
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
from seqplrp.evaluate.matching import MatchedSparsity, match_gini
from seqplrp.evaluate.measures import (
    FAITHFULNESS_MEASURES,
    LOCALISATION_MEASURES,
    MEASURES,
    PROTOCOL_MEASURES,
    RANDOMISATION_MEASURES,
    ROBUSTNESS_MEASURES,
    SPARSITY_MEASURES,
    Measure,
)
from seqplrp.evaluate.perturbing import Perturber
from seqplrp.evaluate.randomisation import Randomisation, layer_randomisation
from seqplrp.evaluate.ranks import RankComparison, critical_difference, rank_methods
from seqplrp.evaluate.reinitialising import Layer, layers_of, reinitialised
from seqplrp.evaluate.robustness import flip_consistency, substitution_robustness
from seqplrp.evaluate.runs import compare_runs, rank_runs, summarise_runs
from seqplrp.evaluate.scoring import Score, as_target, batched_scores, model_score
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
    "FAITHFULNESS_MEASURES",
    "LOCALISATION_MEASURES",
    "MEASURES",
    "PROTOCOL_MEASURES",
    "RANDOMISATION_MEASURES",
    "ROBUSTNESS_MEASURES",
    "RUN_COLUMNS",
    "SPARSITY_MEASURES",
    "STEPS",
    "Curves",
    "Faithfulness",
    "Layer",
    "MatchedSparsity",
    "MeanInterval",
    "Measure",
    "PairedTest",
    "Perturber",
    "Randomisation",
    "RankComparison",
    "Score",
    "area",
    "as_target",
    "auprc",
    "auroc",
    "batched_scores",
    "bootstrap_mean",
    "compare_methods",
    "compare_runs",
    "cosine",
    "critical_difference",
    "distractor_mass",
    "entropy",
    "faithfulness",
    "flip_consistency",
    "gini",
    "holm",
    "hoyer",
    "layer_randomisation",
    "layers_of",
    "localisation",
    "match_gini",
    "mean_curves",
    "model_score",
    "paired_wilcoxon",
    "pearson",
    "pointing_game",
    "rank_methods",
    "rank_runs",
    "reinitialised",
    "relative_l1",
    "rma",
    "row_generators",
    "rra",
    "seed_from",
    "snr",
    "sparsity",
    "spearman",
    "substitution_robustness",
    "summarise",
    "summarise_runs",
    "top_overlap",
    "zero_share",
]
