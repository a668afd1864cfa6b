"""Which steps relevance passes through: a product hands all of it to the signal, and its gate is held constant."""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem
from typing import Literal

import torch

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Graph
from seqplrp.lrp.ops.attention import under_attnlrp
from seqplrp.lrp.ops.lookup import check_indices
from seqplrp.lrp.steps import Handler, Step

aten = torch.ops.aten

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
    _hold_what_jumps(graph, steps)
    levels = {graph.input: 0}
    for step in steps:
        if attention == "attnlrp":
            step.handler = under_attnlrp(step.handler)
        if step.inputs:
            levels[step.output] = step.handler.gate_level(step, levels)
    picked = {name for step in steps if step.node.op is getitem for name in step.refs()}
    receiving, reached = {graph.output}, []
    for step in reversed(steps):
        step.has_items = step.output in picked
        if not step.inputs:
            continue
        if step.output not in receiving:
            step.inputs, step.handler = (), Handler()
            continue
        reached.append(step)
        step.inputs = step.handler.receivers(step, levels)
        receiving.update(step.inputs)
    # in the order of the forward pass, so that the first thing that is amiss is the one that is told
    for step in reversed(reached):
        step.handler.prepare(step)
    check_indices(graph.input, steps)


_COMPARISONS = (
    aten.eq,
    aten.ne,
    aten.lt,
    aten.le,
    aten.gt,
    aten.ge,
    aten.isnan,
    aten.isinf,
    aten.isfinite,
    aten.isclose,
    aten.signbit,
    aten.logical_not,
    aten.logical_and,
    aten.logical_or,
    aten.logical_xor,
)


def _hold_what_jumps(graph: Graph, steps: Sequence[Step]) -> None:
    """Hold constant what depends on the input through comparisons alone.

    A mask made from the input is constant but where it jumps; no share of it is any input's.
    """
    held: set[str] = set()
    for step in steps:
        if not step.inputs:
            continue
        step.inputs = tuple(name for name in step.inputs if name not in held)
        packet = getattr(step.node.op, "overloadpacket", None)
        if not step.inputs or packet in _COMPARISONS:
            held.add(step.output)
            step.inputs, step.handler = (), Handler()
    if graph.output in held:
        raise SeqplrpError(
            "output",
            "depends on the input through comparisons alone, so it is constant but where it jumps",
            "explain what is compared: return the score in place of the decision",
        )
