"""Why a plan may have no hypothetical contributions: what stands between the explained input and its first layers."""

from __future__ import annotations

from dataclasses import dataclass

from seqplrp.lrp.ops.attention import Attention, Softmax
from seqplrp.lrp.ops.elementwise import Product
from seqplrp.lrp.ops.linear import LinearHandler
from seqplrp.lrp.ops.recurrent import Recurrent
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.plan import Plan
from seqplrp.lrp.steps import LinearLayer, Step


@dataclass(frozen=True)
class Obstacle:
    """A step that hands the explained input relevance as it is, not as the input times something.

    Attributes
    ----------
    path, op : str
        Where it is, and what.
    rule : str or None
        For a conv or linear layer, the rule that has no coefficients; None where the operation itself has none.
    """

    path: str
    op: str
    rule: str | None


def obstacle_to_coefficients(plan: Plan) -> Obstacle | None:
    """Return the first step that hands the explained input relevance without a coefficient; None where none does.

    Hypothetical contributions are coefficients of the input (METHODS.md, section 4). One such step is enough for there
    to be none, as what arrives at the input is a sum.
    """
    for step in plan.steps:
        if any(step.reads_input) and step.output not in plan.input_like and not _gives_coefficients(step):
            is_layer = isinstance(step.handler, LinearHandler)
            return Obstacle(step.path, step.op, repr(step.extra.rule) if is_layer else None)
    return None


def _gives_coefficients(step: Step) -> bool:
    if isinstance(step.handler, LinearHandler):
        layer: LinearLayer = step.extra
        return layer.gives_coefficients
    if isinstance(step.handler, Product) and step.extra is None:  # with a gate, or another signal
        return False
    return isinstance(step.handler, SharedByContribution | Recurrent | Attention | Softmax)
