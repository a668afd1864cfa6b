"""Every attribution method in one call shape."""

from seqplrp.methods.background import Background
from seqplrp.methods.base import Attribution, Batch, Center, Chosen, Method, Prepared, chosen_of
from seqplrp.methods.checks import check_method
from seqplrp.methods.ensemble import EnsembleExplanation, together
from seqplrp.methods.explainer import Explainer, Target, explain
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.floors import Random
from seqplrp.methods.gradients import GradientTimesInput, Saliency, ScoreGradient, plan_scores, score_gradients
from seqplrp.methods.names import METHODS, RULES, options_of, parse_rule, resolve_method
from seqplrp.methods.peers import ISM, DeepLIFTSHAP, IntegratedGradients
from seqplrp.methods.pruned_network import NeuronIntGrad, NeuronMCT
from seqplrp.methods.references import References
from seqplrp.methods.relevance import LRP, PLRP
from seqplrp.methods.settling import settled
from seqplrp.methods.smoothing import SmoothGrad
from seqplrp.methods.sweep import Sweep

__all__ = [
    "ISM",
    "LRP",
    "METHODS",
    "PLRP",
    "RULES",
    "Attribution",
    "Background",
    "Batch",
    "Center",
    "Chosen",
    "DeepLIFTSHAP",
    "EnsembleExplanation",
    "Explainer",
    "Explanation",
    "GradientTimesInput",
    "IntegratedGradients",
    "Method",
    "NeuronIntGrad",
    "NeuronMCT",
    "Prepared",
    "Random",
    "References",
    "Saliency",
    "ScoreGradient",
    "SmoothGrad",
    "Sweep",
    "Target",
    "check_method",
    "chosen_of",
    "explain",
    "options_of",
    "parse_rule",
    "plan_scores",
    "resolve_method",
    "score_gradients",
    "settled",
    "together",
]
