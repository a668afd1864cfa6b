"""Which steps relevance passes through: a product hands all of it to the signal, and its gate is held constant."""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem

from seqplrp.lrp.steps import Handler, Step
from seqplrp.lrp.trace import Graph


def assign_roles(graph: Graph, steps: Sequence[Step]) -> None:
    """Prepare the steps that relevance passes through, and hold the others constant.

    What a product's gate is made of, the scores of an attention say, is run as it was traced, and needs no handler.

    Raises
    ------
    SeqplrpError
        Where relevance would have to pass an operation without a handler, or one whose arguments its handler can't
        serve.
    """
    levels = {graph.input: 0}
    for step in steps:
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
