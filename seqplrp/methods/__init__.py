"""Every attribution method in one call shape."""

from seqplrp.methods.background import Background
from seqplrp.methods.base import Attribution, Batch, Center, Method, Prepared
from seqplrp.methods.ensemble import EnsembleExplanation, together
from seqplrp.methods.explainer import Explainer, Target, explain
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.floors import Random
from seqplrp.methods.gradients import GradientTimesInput, Saliency
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
    "SmoothGrad",
    "Sweep",
    "Target",
    "explain",
    "options_of",
    "parse_rule",
    "resolve_method",
    "settled",
    "together",
]
