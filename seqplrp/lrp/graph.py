"""What a traced model is: nodes that run ATen operations on each other's values.

The graph holds names, shapes and operations, never weights: those are read from the model each time that a plan is
made of it, so a cached graph can't go stale when the model trains on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Operation = Callable[..., Any]


@dataclass(frozen=True)
class Ref:
    """A reference to another node's value among a node's arguments."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes
    ----------
    name : str
        Unique name of the node and of its value.
    op : callable
        The ATen overload, or a Python operator on sizes.
    args, kwargs : tuple, dict
        Its arguments, with `Ref` in place of other nodes' values.
    path : str
        Module path of the call, "" for the model's own forward.
    shape : tuple of (int or None), or None
        The value's shape with None for sizes that vary; None where the value is no tensor.
    sizes : tuple of int, or None
        The value's sizes as it was traced, with a batch of `TRACED_BATCH`; 0 where a size depends on values.
    calls : tuple of (str, int)
        The modules that it runs in, outermost first, each with the number of its call in forward.
    """

    name: str
    op: Operation
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    path: str
    shape: tuple[int | None, ...] | None
    sizes: tuple[int, ...] | None = None
    calls: tuple[tuple[str, int], ...] = ()

    @property
    def op_name(self) -> str:
        """The operation's short name, for example ``conv1d``."""
        return op_name(self.op)

    @property
    def overload(self) -> OpOverload:
        """The operation, where it is known to be one of ATen's."""
        assert isinstance(self.op, OpOverload)
        return self.op

    @property
    def call(self) -> int:
        """Which call of its own module the node runs in."""
        return self.calls[-1][1] if self.calls else 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the operation by its name, as torch's own can't be pickled."""
        op = str(self.op) if isinstance(self.op, OpOverload) else self.op
        return _node_of, ({**vars(self), "op": op},)

    def refs(self) -> list[str]:
        """Return the names of the nodes that this one reads, in the order of its arguments."""
        return refs_of((self.args, dict(self.kwargs)))

    def reading(self, names: Mapping[str, str]) -> Node:
        """Return this node with references renamed."""
        return replace(self, args=renamed(self.args, names), kwargs=renamed(dict(self.kwargs), names))


def _node_of(fields: dict[str, Any]) -> Node:
    """Return the node that was pickled."""
    op = fields["op"]
    if isinstance(op, str):
        op = attrgetter(op)(torch.ops)  # aten.relu.default
    return Node(**{**fields, "op": op})


def op_name(op: Operation) -> str:
    """Return an operation's short name: ``aten.conv1d.default`` is ``conv1d``."""
    packet = getattr(op, "overloadpacket", None)
    return str(getattr(packet or op, "__name__", op)).removeprefix("_")


def refs_of(value: Any) -> list[str]:
    """Return the names of all references in nested arguments, in order."""
    if isinstance(value, Ref):
        return [value.name]
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return [name for item in value for name in refs_of(item)]
    return []


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return nested arguments with references renamed."""
    if isinstance(value, Ref):
        return Ref(names.get(value.name, value.name))
    if isinstance(value, tuple | list):
        return type(value)(renamed(item, names) for item in value)
    if isinstance(value, dict):
        return {key: renamed(item, names) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Graph:
    """A traced model.

    Attributes
    ----------
    nodes : tuple of Node
        In an order in which they can run.
    input : str
        Name of the explained input's value.
    input_shape : tuple of (int or None)
        Its shape, None for the batch, and for the length where any length will do.
    input_sizes : tuple of int
        Its sizes as it was traced.
    fixed_inputs : tuple of str
        Names of the further inputs' values, which are held fixed.
    weights : dict
        Value name -> name of the parameter, buffer or plain tensor attribute in the model.
    constants : dict
        Value name -> tensor, for what is no attribute of the model.
    output : str
        Name of the explained output's value.
    output_shape : tuple of (int or None)
        Its shape.
    left_out : str or None
        The closing activation that was left out ("sigmoid", "softmax", "log_softmax"), if any.
    closing : Node or None
        Its operation, where its result is the model's output as it is.
    """

    nodes: tuple[Node, ...]
    input: str
    input_shape: tuple[int | None, ...]
    weights: Mapping[str, str]
    constants: Mapping[str, Tensor]
    output: str
    output_shape: tuple[int | None, ...]
    input_sizes: tuple[int, ...]
    fixed_inputs: tuple[str, ...] = ()
    left_out: str | None = None
    closing: Node | None = None
