"""Where the batch stands in a value: some modules, attention among them, work on (L, N, C) or on (L * N, C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from operator import getitem
from sys import maxsize
from typing import Any

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Graph, Node

aten = torch.ops.aten


@dataclass(frozen=True)
class BatchAxis:
    """A batch axis that is not the first.

    Attributes
    ----------
    lead : int
        How many entries of one sequence stand before it: L in (L, N, C), and in (L * N, C), too.
    units : int
        How many entries one sequence has in all.
    """

    lead: int
    units: int


def samples_in(tensor: Tensor, axis: BatchAxis | None = None) -> int:
    """Return the number of sequences N in a tensor."""
    return len(tensor) if axis is None else tensor.numel() // axis.units


def by_sample(tensor: Tensor, axis: BatchAxis | None = None) -> Tensor:
    """Return a tensor as (N, units)."""
    if axis is None:
        return tensor.reshape(len(tensor), -1)
    n = tensor.numel() // axis.units
    return tensor.reshape(axis.lead, n, -1).transpose(0, 1).reshape(n, -1)


def from_samples(samples: Tensor, like: Tensor, axis: BatchAxis | None = None) -> Tensor:
    """Undo `by_sample`: (N, units), or (N, 1) that broadcasts, in the shape of another tensor."""
    if axis is None:
        return samples.reshape(like.shape)
    n = len(samples)
    return samples.view(n, axis.lead, -1).transpose(0, 1).reshape(like.shape)


def per_sample_factor(factor: Tensor, like: Tensor, axis: BatchAxis | None = None) -> Tensor:
    """Return one factor a sequence (N,) in a shape that multiplies a tensor of that batch axis."""
    if axis is None:
        return factor.view(-1, *(1,) * (like.dim() - 1))
    return from_samples(factor.view(-1, 1).expand(-1, axis.units), like, axis)


SAME_ORDER = (
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
)
"""Operations that give the same entries, in their order, another shape."""

_ALONG = {
    aten.softmax.int: 1,
    aten._softmax.default: 1,
    aten.log_softmax.int: 1,
    aten._log_softmax.default: 1,
    aten.cumsum.default: 1,
    aten.cumprod.default: 1,
    aten.logcumsumexp.default: 1,
    aten.cummax.default: 1,
    aten.cummin.default: 1,
    aten.sort.default: 1,
    aten.argsort.default: 1,
    aten.flip.default: 1,
    aten.roll.default: 2,
}
"""Operations that keep a value's shape and mix what stands along an axis, by where that axis is among the arguments."""

_REMOVES = {
    aten.select.int,
    aten.sum.dim_IntList,
    aten.mean.dim,
    aten.amax.default,
    aten.amin.default,
    aten.max.dim,
    aten.min.dim,
    aten.argmax.default,
    aten.argmin.default,
    aten.logsumexp.default,
}
"""Operations that run over the axes that their second argument names, which are gone then, or 1 long."""

_RECURRENT = {aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input}

_MADE_LIKE = {
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
    aten.new_empty.default,
}

_JOINS = {aten.cat.default, aten.concat.default, aten.concatenate.default, aten.vstack.default}


def batch_axes(graph: Graph) -> dict[str, BatchAxis]:
    """Find the values of a graph in which the batch does not come first, or is merged with another axis.

    Raises
    ------
    SeqplrpError
        Where that can't be told: the batch axis is moved while the length is free, or after it was merged with another.
    """
    follower = _Follower(graph)
    for node in graph.nodes:
        follower.visit(node)
    return follower.found


def with_marked_batch(graph: Graph) -> Graph:
    """Return a graph whose values' shapes have None where the batch stands, as if its size were free.

    Only a saved program may fix it; handlers tell the batch from other axes by that mark.

    Raises
    ------
    SeqplrpError
        Where the batch is moved: by its size alone it can't be told from other axes.
    """
    if graph.input_shape[0] is None:
        return graph
    follower = _Follower(graph)
    nodes = []
    for node in graph.nodes:
        try:
            follower.visit(node)
        except SeqplrpError as error:
            remedy = "export it with a free batch size: dynamic_shapes=({0: torch.export.Dim.AUTO},)"
            raise SeqplrpError(error.where, f"{error.what} in a program of a fixed batch size", remedy) from error
        nodes.append(replace(node, shape=follower.marked(node)))
    return replace(graph, nodes=tuple(nodes))


class _Follower:
    """Follows the batch axis through the sizes that the values had when they were traced."""

    def __init__(self, graph: Graph) -> None:
        self.found: dict[str, BatchAxis] = {}
        self.sizes: dict[str, tuple[int, ...]] = {graph.input: graph.input_sizes}
        self.recurrent: set[str] = set()
        self.batch = graph.input_sizes[0]
        self.is_free = graph.input_shape[0] is None
        self.has_free_length = any(size is None for size in graph.input_shape[1:])

    def visit(self, node: Node) -> None:
        """Find the batch axis of one node's value."""
        sources = [name for name in node.refs() if name in self.sizes]
        if node.sizes is None or node.shape is None or not sources:
            return
        if node.op in _MADE_LIKE and None not in node.shape:
            return  # of a value's type, not of its size
        self.check_along(node, sources[0])
        if node.op in _RECURRENT:
            self.recurrent.add(node.name)
        sizes = tuple(size or 1 for size in node.sizes)
        self.sizes[node.name] = sizes
        lead = self.lead(node, sources, sizes, node.shape)
        if lead == 1 and sizes[:1] == (self.batch,):
            return
        if 0 in node.sizes:  # as many as a mask lets through, say
            raise _untold(node, "of a value whose size is known at run time alone")
        if self.has_free_length:
            raise _untold(node, "while the length is free")
        self.found[node.name] = BatchAxis(lead, prod(sizes) // self.batch)

    def lead(self, node: Node, sources: Sequence[str], sizes: tuple[int, ...], shape: tuple[int | None, ...]) -> int:
        first = sources[0]
        if node.op in SAME_ORDER:
            return self.lead_of(first)
        if node.op in (aten.permute.default, aten.transpose.int, aten.t.default):
            return self.moved(node, first)
        moved = [name for name in sources if name in self.found]
        if not self.is_free:
            told = self.by_arguments(node, sources, sizes)
            if told is not None:
                return told
        if not moved and sizes[:1] == (self.batch,) and (shape[0] is None or not self.is_free):
            return 1
        merged = next((name for name in moved if self.at(name) is None), None)
        if merged is not None:
            within = self.axis_that_holds(merged)
            if sizes[: within + 1] == self.sizes[merged][: within + 1]:
                return self.lead_of(merged)
            if self.picks_a_copy(node, merged, sizes):
                return prod(sizes[:within])
            raise _untold(node, "after it was merged with another axis")
        if self.is_free and shape.count(None) == 1:
            free = shape.index(None)
            if sizes[free] == self.batch:
                return prod(sizes[:free])
            if self.puts_copies_side_by_side(node, sizes[free]):
                return prod(sizes[: free + 1]) // self.batch
            if node.op is aten.repeat_interleave.self_int:  # each sequence several times
                return prod(sizes[:free])
            raise _untold(node, "so that it can't be found again")
        if self.is_free and None not in shape:
            raise self.without_batch(node, sizes)
        at = self.at(first)
        if at is None or sizes[at : at + 1] != (self.batch,) or len(sizes) != len(self.sizes[first]):
            raise _untold(node, "so that it can't be found again")
        return prod(sizes[:at])

    def by_arguments(self, node: Node, sources: Sequence[str], sizes: tuple[int, ...]) -> int | None:
        """Tell by what an operation is asked to do, where sizes alone can't: other axes may be as long as the batch."""
        first = sources[0]
        dims, places = len(self.sizes[first]), self.places(first)
        if first in self.recurrent and node.op is getitem and node.args[1] > 0:
            return sizes[0]  # last states: (layers and directions, N, units)
        if node.op in _REMOVES and places and len(node.args) > 1:
            axes = [node.args[1]] if isinstance(node.args[1], int) else node.args[1]
            removed = {axis % dims for axis in axes or range(dims)}
            at = next((place for place in places if place not in removed), None)
            if at is None:
                raise self.without_batch(node, ())
            return prod(size for axis, size in enumerate(self.sizes[first][:at]) if axis not in removed)
        axis: Any = node.args[1] if len(node.args) > 1 else 0
        if node.op is aten.stack.default and places:
            return prod(sizes[: places[0] + (axis % (dims + 1) <= places[0])])
        if node.op in (aten.repeat.default, aten.tile.default) and first not in self.found and len(axis) == dims:
            return int(axis[0])
        if node.op is aten.repeat_interleave.self_int and first not in self.found:
            return 1  # each sequence several times
        if node.op in _JOINS and axis % dims == 0 and first not in self.found:
            parts = [getattr(part, "name", None) for part in node.args[0]]
            if all(part in self.sizes and part not in self.found for part in parts):
                return len(parts)
        return None

    def check_along(self, node: Node, source: str) -> None:
        """Raise where an operation runs along the batch; in what is held constant, too, where no handler looks."""
        if node.op not in _ALONG:
            return
        dims, at = len(self.sizes[source]), _ALONG[node.op]
        axes = node.args[at] if len(node.args) > at else node.kwargs.get("dim", () if node.op_name == "roll" else -1)
        along = [axis % dims for axis in ([axes] if isinstance(axes, int) else axes or range(dims))]
        if self.axis_that_holds(source) in along:
            raise SeqplrpError(
                node.path or node.name,
                f"{node.op_name} along the batch mixes its sequences: one's output depends on the others",
                "leave the batch axis out of it",
            )

    def without_batch(self, node: Node, sizes: tuple[int, ...]) -> SeqplrpError:
        if self.batch in sizes:
            return SeqplrpError(
                node.path or node.name,
                f"torch.export can trace {node.op_name} for one size of the batch only",
                "write it with other operations (torch.gather in place of torch.take_along_dim, say)",
            )
        return SeqplrpError(
            node.path or node.name,
            f"{node.op_name} mixes the sequences of a batch: there is no score a sequence",
            "return (N,) or (N, outputs) from the model, or from a callable target",
        )

    def puts_copies_side_by_side(self, node: Node, size: int) -> bool:
        """Whether whole batches follow each other along one axis: both strands, ``torch.cat([x, x.flip(1, 2)], 0)``."""
        if node.op in _JOINS:
            parts = node.args[0]
            return len(parts) * self.batch == size and all(getattr(part, "name", None) in self.sizes for part in parts)
        return node.op in (aten.repeat.default, aten.tile.default)

    def picks_a_copy(self, node: Node, merged: str, sizes: tuple[int, ...]) -> bool:
        """Whether a slice takes one of several batches that follow each other apart again: ``y[:n]``, ``y[n:]``."""
        within = self.axis_that_holds(merged)
        lead, before = self.lead_of(merged), self.sizes[merged]
        starts = node.args[2] if node.op is aten.slice.Tensor and len(node.args) > 2 else 0
        return (
            node.op is aten.slice.Tensor
            and node.args[1] % len(before) == within
            and before[within] == lead // prod(before[:within]) * self.batch
            and sizes == (*before[:within], self.batch, *before[within + 1 :])
            # a number of sequences, or none
            and not (isinstance(starts, int) and starts % (sizes[within] if not self.is_free else maxsize))
        )

    def marked(self, node: Node) -> tuple[int | None, ...] | None:
        """Return a value's shape with None where the batch stands, alone or merged with another axis."""
        if node.shape is None or node.name not in self.sizes:
            return node.shape
        holds = self.axis_that_holds(node.name)
        return tuple(None if axis == holds else size for axis, size in enumerate(node.shape))

    def lead_of(self, name: str) -> int:
        return self.found[name].lead if name in self.found else 1

    def at(self, name: str) -> int | None:
        """Return the index of a value's batch axis; None where it is merged with another."""
        return next(iter(self.places(name)), None)

    def places(self, name: str) -> list[int]:
        """Return the axes that may be a value's batch axis: one, or for a batch of 1 each that is 1 long there."""
        lead, sizes = self.lead_of(name), self.sizes[name]
        return [i for i in range(len(sizes)) if prod(sizes[:i]) == lead and sizes[i] == self.batch]

    def axis_that_holds(self, name: str) -> int:
        """Return the axis that the batch is on, alone or merged with another."""
        lead, sizes, alone = self.lead_of(name), self.sizes[name], self.at(name)
        if alone is not None:
            return alone
        return next(i for i in range(len(sizes)) if prod(sizes[: i + 1]) >= lead * self.batch)

    def moved(self, node: Node, source: str) -> int:
        """Follow the batch axis through a permutation."""
        sizes = self.sizes[source]
        order = list(range(len(sizes)))
        if node.op is aten.t.default:
            order.reverse()
        elif node.op is aten.transpose.int:
            a, b = (int(i) % len(sizes) for i in node.args[1:3])
            order[a], order[b] = order[b], order[a]
        else:
            order = [int(i) % len(sizes) for i in node.args[1]]
        holds = self.axis_that_holds(source)
        beside = self.lead_of(source) // prod(sizes[:holds])  # what comes before the batch on that very axis
        return prod(sizes[i] for i in order[: order.index(holds)]) * beside


def _untold(node: Node, when: str) -> SeqplrpError:
    return SeqplrpError(
        node.path or node.name,
        f"moves the batch axis {when}: sequences can't be told apart",
        "keep the batch in front (batch_first=True), or trace the model for one length",
    )
