"""Every attribution method in one call shape."""

from seqplrp.methods.base import Attribution, Batch, Center, Method, Prepared
from seqplrp.methods.ensemble import EnsembleExplanation, together
from seqplrp.methods.explainer import Explainer, Target, explain
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.gradients import GradientTimesInput, Saliency
from seqplrp.methods.names import METHODS, RULES, options_of, parse_rule, resolve_method
from seqplrp.methods.relevance import LRP, PLRP

__all__ = [
    "LRP",
    "METHODS",
    "PLRP",
    "RULES",
    "Attribution",
    "Batch",
    "Center",
    "EnsembleExplanation",
    "Explainer",
    "Explanation",
    "GradientTimesInput",
    "Method",
    "Prepared",
    "Saliency",
    "Target",
    "explain",
    "options_of",
    "parse_rule",
    "resolve_method",
    "together",
]
