"""The engine: layer-wise relevance propagation on the exported graph of any torch model.

Knows torch alone. A model is traced once (`cached_trace`), turned into a plan with its present weights and a rule for
each layer (`make_plan`), run forward (`run_forward`) and back (`start_at`, `propagate`), pruned on the way if a
`Pruning` is given.
"""

from seqplrp.lrp.batch import BatchAxis, by_sample, from_samples
from seqplrp.lrp.cache import cached_trace, forget
from seqplrp.lrp.checks import check_handler, check_rule
from seqplrp.lrp.coefficients import Obstacle, obstacle_to_coefficients
from seqplrp.lrp.explained import TRACING, Explained, Layout, Program, evaluation_mode
from seqplrp.lrp.graph import Graph
from seqplrp.lrp.ledger import NUMBERS, Ledger, LedgerRow
from seqplrp.lrp.placement import COMPOSITES, LayerInfo, Rules, Window, composite
from seqplrp.lrp.plan import Plan, PrunePoint, make_plan
from seqplrp.lrp.propagate import Propagated, output_of, propagate, run_forward, start_at
from seqplrp.lrp.prune import DEFAULT_BUDGET, Pruning
from seqplrp.lrp.registry import check_handler_plugin, register
from seqplrp.lrp.roles import AttentionWeights
from seqplrp.lrp.rules import (
    AlphaBeta,
    Branch,
    ConservingRelative,
    Epsilon,
    Flat,
    Gamma,
    Relative,
    Rule,
    Term,
    WSquare,
    ZBox,
    ZPlus,
)
from seqplrp.lrp.steps import Contribution, Handler, MoveHandler, Run, Step
from seqplrp.lrp.trace import trace

__all__ = [
    "COMPOSITES",
    "DEFAULT_BUDGET",
    "NUMBERS",
    "TRACING",
    "AlphaBeta",
    "AttentionWeights",
    "BatchAxis",
    "Branch",
    "ConservingRelative",
    "Contribution",
    "Epsilon",
    "Explained",
    "Flat",
    "Gamma",
    "Graph",
    "Handler",
    "LayerInfo",
    "Layout",
    "Ledger",
    "LedgerRow",
    "MoveHandler",
    "Obstacle",
    "Plan",
    "Program",
    "Propagated",
    "PrunePoint",
    "Pruning",
    "Relative",
    "Rule",
    "Rules",
    "Run",
    "Step",
    "Term",
    "WSquare",
    "Window",
    "ZBox",
    "ZPlus",
    "by_sample",
    "cached_trace",
    "check_handler",
    "check_handler_plugin",
    "check_rule",
    "composite",
    "evaluation_mode",
    "forget",
    "from_samples",
    "make_plan",
    "obstacle_to_coefficients",
    "output_of",
    "propagate",
    "register",
    "run_forward",
    "start_at",
    "trace",
]
