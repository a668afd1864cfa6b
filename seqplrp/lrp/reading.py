"""Read what torch.export made: its nodes, shapes and module paths, and where its tensors live in the model."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node as FxNode

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.explained import Program
from seqplrp.lrp.graph import Graph, Node, Operation, Ref

aten = torch.ops.aten

REMEDY = "rewrite that part of forward with plain tensor operations, or explain the model up to the layer before it"


@dataclass
class GraphReader:
    """Reads one exported program, or one behind another, into nodes."""

    model: nn.Module
    prefix: str
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[tuple[str, tuple[int | None, ...]]] = field(default_factory=list)
    input_sizes: list[tuple[int, ...]] = field(default_factory=list)
    # getitem(node, 0) of an op with several results, of which no other is read, stands for the node's own value
    aliases: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...] | None] = field(default_factory=dict)
    mark: str = ""  # before the names of nodes of a program that stands behind another
    batch: Any = None  # the number of sequences, as the exporter has it
    by_target: bool = False  # whether a callable picks what is explained

    def read(self, exported: torch.export.ExportedProgram, behind: Sequence[FxNode] = ()) -> list[FxNode]:
        """Append a program's nodes; return those of its results.

        With `behind`, its inputs are results of the program that was read before.
        """
        signature = exported.graph_signature
        lifted = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        sources = iter(behind)
        self.mark = "target." if behind else ""
        for node in exported.graph.nodes:
            if node.op == "placeholder" and behind and node.name not in lifted:
                source = self.name_of(next(sources), mark="")
                self.aliases[self.mark + node.name] = source
            elif node.op == "placeholder":
                self.placeholder(node, lifted.get(node.name), exported.constants)
            elif node.op == "call_function":
                self.call(node)
            elif node.op == "output":
                # buffers that forward writes to come first among the results; they are no business of the explanation
                results = node.args[0]
                flat = list(results) if isinstance(results, tuple | list) else [results]
                return flat[len(signature.buffers_to_mutate) :]
            else:
                raise SeqplrpError(
                    self.place(node), f"the traced graph holds a {node.op} node, which the engine can't run", REMEDY
                )
        raise AssertionError("an exported graph ends with an output node")

    def name_of(self, node: FxNode, mark: str | None = None) -> str:
        """Return the name under which a node's value is known."""
        name = (self.mark if mark is None else mark) + node.name
        return self.aliases.get(name, name)

    def placeholder(self, node: FxNode, attribute: str | None, constants: Mapping[str, Any]) -> None:
        """Read an input, a weight or a constant."""
        name = self.mark + node.name
        self.shapes[name] = _shape(node)
        if attribute is None:
            self.batch = node.meta["val"].shape[0] if not self.inputs and _shape(node) else self.batch
            self.inputs.append((name, _shape(node) or ()))
            self.input_sizes.append(_sizes(node) or ())
        elif attribute in constants and not self.has(attribute):
            # made in forward, or held by the model in a list, say: shared, so that a change in place is seen
            self.constants[name] = constants[attribute].detach()
        elif (path := self.path_in_model(attribute)) is not None:
            self.weights[name] = path
        else:
            raise SeqplrpError(
                "target", "is a module with weights of its own", "explain torch.nn.Sequential(model, target) instead"
            )

    def path_in_model(self, attribute: str) -> str | None:
        """Return the name that a lifted tensor has in the model; None where it is not the model's."""
        if isinstance(self.model, Program):
            return None if self.mark else self.prefix + attribute
        return attribute.removeprefix(self.prefix) if attribute.startswith(self.prefix) else None

    def has(self, attribute: str) -> bool:
        """Say whether a name is one of the model's attributes, and not one that the exporter made up."""
        path = self.path_in_model(attribute)
        if path is None:
            return False
        value: Any = self.model
        for name in path.split("."):
            value = getattr(value, name, None)
        return isinstance(value, Tensor)

    @property
    def model_name(self) -> str:
        """What errors call the model."""
        return type(self.model).__name__

    def call(self, node: FxNode) -> None:
        """Read an operation, or what picks one of several results."""
        if node.target is operator.getitem and isinstance(node.args[0], FxNode):
            source = node.args[0]
            if source.target in _SPLITS:
                self.piece(node, source)
                return
            if node.args[1] == 0 and isinstance(source.meta.get("val"), tuple | list) and not _reads_others(source):
                name = self.name_of(source)
                self.aliases[self.mark + node.name] = name
                self.shapes[name] = _shape(node)
                at = next(i for i, n in enumerate(self.nodes) if n.name == name)
                self.nodes[at] = replace(self.nodes[at], shape=_shape(node), sizes=_sizes(node))
                return
        if not callable(node.target):
            raise SeqplrpError(self.place(node), f"{node.target!r} is not an operation", REMEDY)
        if node.target not in _SPLITS:
            self.append(node, node.target, self._arguments(node.args), self._arguments(dict(node.kwargs)))

    def append(self, node: FxNode, op: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Append a node that makes another's value."""
        name = self.mark + node.name
        self.shapes[name] = _shape(node)
        path = "(target)" if self.mark else self.path(node)
        self.nodes.append(Node(name, op, args, kwargs, path, _shape(node), _sizes(node), self.calls(node)))

    def piece(self, node: FxNode, split: FxNode) -> None:
        """Read one piece of a split as the slice (or the index) that it is."""
        place, source = node.args[1], self._arguments(split.args[0])
        at = 1 if split.target is aten.unbind.int else 2
        axis = split.args[at] if len(split.args) > at else split.kwargs.get("dim", 0)
        assert isinstance(place, int)
        assert isinstance(axis, int)
        if split.target is aten.unbind.int:
            self.append(node, aten.select.int, (source, axis, place), {})
            return
        sizes = [piece.shape[axis] for piece in split.meta["val"]]
        if all(isinstance(size, int) for size in sizes):
            start = sum(sizes[:place])
            self.append(node, aten.slice.Tensor, (source, axis, start, start + sizes[place]), {})
        elif all(self.is_one_batch(size) for size in sizes):
            self.batch_of_several(node, source, axis % node.meta["val"].dim(), place, len(sizes))
        else:
            raise SeqplrpError(
                self.place(node),
                "splits the batch, or a length that is left free, into pieces of unknown size",
                "split an axis of fixed size, or what is several batches into these: both strands, by .chunk(2)",
            )

    def is_one_batch(self, size: Any) -> bool:
        """Say whether a size is the number of sequences, however it was worked out: (2 n + 1) // 2, say."""
        if isinstance(size, int) or isinstance(self.batch, int | None):
            return False
        number, symbol = size.node.expr, self.batch.node.expr
        return number.free_symbols == {symbol} and all(number.subs(symbol, n) == n for n in (1, 2, 7, 64))

    def batch_of_several(self, node: FxNode, source: Any, axis: int, place: int, count: int) -> None:
        """Read one of several whole batches that follow each other along an axis."""
        name = self.mark + node.name
        bounds = []
        for multiple in (place, place + 1):
            bounds.append(Ref(f"{name}.{multiple}"))
            self.nodes.append(Node(bounds[-1].name, _batches, (Ref(self.inputs[0][0]), multiple), {}, "", None))
        first, last = place == 0, place == count - 1
        self.append(node, aten.slice.Tensor, (source, axis, 0 if first else bounds[0], None if last else bounds[1]), {})

    def _arguments(self, value: Any) -> Any:
        if isinstance(value, FxNode):
            return Ref(self.name_of(value))
        if isinstance(value, tuple | list):
            return tuple(self._arguments(item) for item in value)
        if isinstance(value, dict):
            return {key: self._arguments(item) for key, item in value.items()}
        # torch.save can't pickle a memory format; operations take its number as well
        return _MEMORY_FORMATS.get(value, value) if isinstance(value, torch.memory_format) else value

    def finish(self, outputs: Sequence[FxNode]) -> Graph:
        """Return the graph that ends with these results, of which there must be one."""
        where, what = ("target", "the callable") if self.by_target else (self.model_name, "the model")
        if len(outputs) != 1:
            raise SeqplrpError(
                where,
                f"{what} returns {len(outputs)} values",
                "give a target that picks the score: target=lambda outputs: outputs[0][:, 0], say",
            )
        (result,) = outputs
        output = self.name_of(result) if isinstance(result, FxNode) else ""
        output_shape = self.shapes.get(output)
        if output_shape is None:
            shown = "a number" if output else repr(result)
            raise SeqplrpError(
                where,
                f"{what} returns {shown}, no tensor",
                "return (N,) as it is computed from the outputs" if self.by_target else "give a target that picks one",
            )
        name, shape = self.inputs[0]
        if self.by_target and not self.depends(output, name):
            raise SeqplrpError(
                where,
                "what the callable returns does not depend on the explained input",
                "return (N,) as it is computed from the model's outputs: target=lambda y: y[:, 0], say",
            )
        if shape[:1] != (None,) and not isinstance(self.model, Program):
            raise SeqplrpError(
                self.model_name,
                "forward fixes the batch size: torch.export can trace it for one size of the batch only",
                "take the batch size from x.shape[0] in forward, not from len(x); write torch.take_along_dim as "
                "torch.gather",
            )
        others = tuple(other for other, _ in self.inputs[1:])
        return Graph(
            tuple(self.nodes),
            name,
            shape,
            self.weights,
            self.constants,
            output,
            output_shape,
            self.input_sizes[0],
            others,
        )

    def depends(self, value: str, on: str) -> bool:
        """Say whether a value is computed from another, and not from its shape alone."""
        reached = {on}
        for node in self.nodes:
            of_shape_alone = node.op_name.endswith("_like") or node.op_name.startswith("new_")
            if node.shape is not None and not of_shape_alone and not reached.isdisjoint(node.refs()):
                reached.add(node.name)
        return value in reached

    def place(self, node: FxNode) -> str:
        """Return what errors say where a node stands."""
        return "target" if self.mark else self.path(node) or self.model_name

    def path(self, node: FxNode) -> str:
        """Return the path of the module that a node runs in; empty for the model's own forward."""
        paths = [path for path, _ in _module_stack(node).values()]
        if not paths or paths[-1] == "_empty_nn_module_stack_from_metadata_hook":  # a size that the exporter asked for
            return ""
        return self.module(paths[-1])

    def calls(self, node: FxNode) -> tuple[tuple[str, int], ...]:
        """Return the modules that a node runs in, outermost first, each with the number of its call."""
        calls = []
        for key, (path, _) in _module_stack(node).items():
            # torch 2.15 writes the number into the stack's key, others into the path: ...conv@1
            numbers = re.findall(r"@(\d+)$", str(path)) or re.findall(r"@(\d+)$", str(key))
            name = self.module(path)
            if name:
                calls.append((name, int(numbers[-1]) if numbers else 0))
        return tuple(calls)

    def module(self, path: object) -> str:
        """Return a module's path in the user's model, given that in the exporter's stack."""
        name = str(path).partition("@")[0]  # one that is called twice appears as name@1 the second time
        # a model is traced within `Explained`, which calls it its model; a program was exported by itself
        return name if isinstance(self.model, Program) else name.removeprefix("model").removeprefix(".")


_MEMORY_FORMATS = {
    torch.contiguous_format: 0,
    torch.preserve_format: 1,
    torch.channels_last: 2,
    torch.channels_last_3d: 3,
}

_SPLITS = {
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.chunk.default,
    aten.tensor_split.sections,
    aten.unbind.int,
}
"""Operations that give several pieces of a value; each piece is a slice of it, and moves relevance as one."""


def _batches(explained: Tensor, multiple: int) -> int:
    """Return so many times the number of sequences."""
    return len(explained) * multiple


def _reads_others(node: FxNode) -> bool:
    """Say whether a result other than the first is read."""
    return any(user.target is operator.getitem and user.args[1] != 0 and user.users for user in node.users)


def _module_stack(node: FxNode) -> Mapping[str, tuple[str, Any]]:
    return node.meta.get("nn_module_stack") or {}


def _traced_value(node: FxNode) -> Tensor | None:
    """Return a node's value as it was traced, the first of several; None where it is no tensor."""
    value = node.meta.get("val")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, Tensor) else None


def _shape(node: FxNode) -> tuple[int | None, ...] | None:
    """Return a value's shape, None for sizes that vary; None where it is no tensor."""
    value = _traced_value(node)
    return None if value is None else tuple(map(_known, value.shape))


def _known(size: Any) -> int | None:
    """Return a size that is fixed; None for one that varies. What was free may have been fixed on the way."""
    known: int | None = size if isinstance(size, int) else size.node.maybe_as_int()
    return known


def _sizes(node: FxNode) -> tuple[int, ...] | None:
    """Return a value's sizes as it was traced; None where it is no tensor."""
    value = _traced_value(node)
    return None if value is None else tuple(size_of(size) for size in value.shape)


def size_of(size: Any) -> int:
    """Return a size as it was traced; 0 where it depends on values."""
    hint = size if isinstance(size, int) else size.node.hint
    return 0 if hint is None else int(hint)
