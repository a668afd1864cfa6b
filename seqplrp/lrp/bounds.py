"""Bounds written as tensors of one number: ``torch.maximum(h, torch.zeros_like(h))`` is a ReLU, and clamps h at 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from seqplrp.lrp.graph import Graph, Node, Operation, Ref

aten = torch.ops.aten

_NUMBERS: dict[Operation, int] = {
    aten.zeros.default: 0,
    aten.zeros_like.default: 0,
    aten.new_zeros.default: 0,
    aten.ones.default: 1,
    aten.ones_like.default: 1,
    aten.new_ones.default: 1,
}
_NUMBER_AT: dict[Operation, int] = {aten.full.default: 1, aten.full_like.default: 1, aten.new_full.default: 2}
"""Where operations that fill a tensor with a number have it among their arguments."""

_LOWER: set[Operation] = {aten.maximum.default, aten.max.other, aten.fmax.default}
_UPPER: set[Operation] = {aten.minimum.default, aten.min.other, aten.fmin.default}
_CLAMPS: dict[Operation, Operation] = {
    aten.clamp.Tensor: aten.clamp.default,
    aten.clip.Tensor: aten.clamp.default,
    aten.clamp_min.Tensor: aten.clamp_min.default,
    aten.clamp_max.Tensor: aten.clamp_max.default,
}


def with_numbers_as_bounds(graph: Graph) -> Graph:
    """Return a graph in which values that are bounded by tensors of one number are clamped by the number.

    Such a tensor has the size of the batch, so it is known at run time alone, when no plan can be made any more.
    """
    numbers = {node.name: number for node in graph.nodes if (number := _number(node)) is not None}
    sizes = {node.name: node.sizes for node in graph.nodes} | {graph.input: graph.input_sizes}
    return replace(graph, nodes=tuple(_clamping(node, numbers, sizes) for node in graph.nodes))


def _number(node: Node) -> int | float | None:
    """Return the number that a node fills a tensor with; None where it does something else."""
    at = _NUMBER_AT.get(node.op)
    number = _NUMBERS.get(node.op) if at is None else node.args[at]
    return number if isinstance(number, int | float) else None


def _clamping(node: Node, numbers: Mapping[str, int | float], sizes: Mapping[str, tuple[int, ...] | None]) -> Node:
    """Return a node that clamps by a number, if that is what it does; itself if not."""

    def value_of(argument: Any) -> Any:
        return numbers.get(argument.name, argument) if isinstance(argument, Ref) else argument

    op, args = node.op, tuple(map(value_of, node.args))
    if op in _LOWER | _UPPER:
        bounded, bound = args if isinstance(args[0], Ref) else reversed(args)
        op, args = (aten.clamp_min.default if op in _LOWER else aten.clamp_max.default), (bounded, bound)
    elif op in _CLAMPS and not node.kwargs:
        op = _CLAMPS[op]
    else:
        return node
    bounded, *bounds = args
    is_all_numbers = all(isinstance(bound, int | float | None) for bound in bounds)
    if not isinstance(bounded, Ref) or not is_all_numbers or sizes.get(bounded.name) != node.sizes:
        return node  # a bound that is wider than the value widens it
    return replace(node, op=op, args=args)
