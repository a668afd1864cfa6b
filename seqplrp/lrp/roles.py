"""Which steps relevance passes through: a product hands all of it to the signal, and its gate is held constant."""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem
from typing import Literal

from seqplrp.lrp.ops.attention import under_attnlrp
from seqplrp.lrp.ops.lookup import check_indices
from seqplrp.lrp.steps import Handler, Step
from seqplrp.lrp.trace import Graph

AttentionWeights = Literal["constant", "attnlrp"]
"""What a softmax is: a gate, held constant, or a signal that shares in the relevance (METHODS.md, section 2)."""


def assign_roles(graph: Graph, steps: Sequence[Step], attention: AttentionWeights = "constant") -> None:
    """Prepare the steps that relevance passes through, and hold the others constant.

    What a product's gate is made of, the scores of an attention say, is run as it was traced, and needs no handler.

    Parameters
    ----------
    graph : Graph
        The traced model.
    steps : sequence of Step
        Its steps, which are changed in place.
    attention : {"constant", "attnlrp"}
        Whether attention weights are held constant, or share in the relevance by AttnLRP's rules.

    Raises
    ------
    SeqplrpError
        Where relevance would have to pass an operation without a handler, or one whose arguments its handler can't
        serve.
    """
    levels = {graph.input: 0}
    for step in steps:
        if attention == "attnlrp":
            step.handler = under_attnlrp(step.handler)
        if step.inputs:
            levels[step.output] = step.handler.gate_level(step, levels)
    picked = {step.inputs[0] for step in steps if step.inputs and step.node.op is getitem}
    receiving = {graph.output}
    for step in reversed(steps):
        step.has_items = step.output in picked
        if not step.inputs:
            continue
        if step.output not in receiving:
            step.inputs, step.handler = (), Handler()
            continue
        step.inputs = step.handler.receivers(step, levels)
        receiving.update(step.inputs)
    # in the order of the forward pass, so that the first thing that is amiss is the one that is told
    for step in steps:
        if step.inputs:
            step.handler.prepare(step)
    check_indices(graph.input, steps)
