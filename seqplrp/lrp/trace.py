"""From a torch model to a graph of ATen operations, through torch.export, without touching the model.

The graph holds names, shapes and operations, never weights: those are read from the model each time that a plan is
made of it, so a cached graph can't go stale when the model trains on.
"""

from __future__ import annotations

import io
import logging
import operator
import re
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.fx import Node as FxNode
from torch.utils._pytree import tree_unflatten

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.shapes import recurrent_shapes_only

aten = torch.ops.aten
Operation = Callable[..., Any]
Target = Callable[[Any], Tensor]

_REMEDY = "rewrite that part of forward with plain tensor operations, or explain the model up to the layer before it"


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
    def call(self) -> int:
        """Which call of its own module the node runs in."""
        return self.calls[-1][1] if self.calls else 0

    def refs(self) -> list[str]:
        """Return the names of the nodes that this one reads, in the order of its arguments."""
        return refs_of((self.args, dict(self.kwargs)))

    def reading(self, names: Mapping[str, str]) -> Node:
        """Return this node with references renamed."""
        return replace(self, args=renamed(self.args, names), kwargs=renamed(dict(self.kwargs), names))


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


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back into its own mode afterwards, come what may."""
    was_training = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        # not Module.train, which users override (to keep batch norms frozen, say)
        for module, training in was_training:
            module.training = training


Layout = Literal["NCL", "NLC"]


class Program(nn.Module):
    """A program that `torch.export.save` saved, explained as it is: its graph is read, its code is not run again.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        With tensors as its inputs, the explained one first.

    Notes
    -----
    Where the program fixes its batch size, inputs are explained in batches of that size.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        spec = program.call_spec.in_spec
        if spec is not None and tree_unflatten([None] * spec.num_leaves, spec)[1]:
            raise SeqplrpError("program", "takes inputs by name", "export the model with positional inputs")
        self.exported = program
        self.runner = program.module()

    def train(self, mode: bool = True) -> Program:
        """Stay as exported: a program has one mode."""
        return self

    def forward(self, *inputs: Tensor) -> Any:
        """Run the program."""
        return self.runner(*inputs)


class Explained(nn.Module):
    """A model as it is explained: input (N, C, L) whatever the model takes, and the function that picks the score."""

    def __init__(self, model: nn.Module, target: Target | None = None, layout: Layout = "NCL") -> None:
        super().__init__()
        self.model = model
        self._target = target
        self._transposed = layout == "NLC"
        self.training = False

    def forward(self, x: Tensor, *others: Tensor) -> Any:
        """Return the model's outputs, or the score."""
        outputs = self.model(x.transpose(1, 2) if self._transposed else x, *others)
        return outputs if self._target is None else self._target(outputs)


Others = tuple[Tensor, ...]


def trace(
    model: nn.Module,
    example: Tensor,
    target: Target | None = None,
    others: Others = (),
    *,
    layout: Layout = "NCL",
    any_length: bool = False,
) -> Graph:
    """Trace a model with `torch.export`.

    Parameters
    ----------
    model : nn.Module
        Left as it is: weights, buffers, training flags, hooks.
    example : Tensor
        (N, ...) with N >= 1; only its shape, dtype and device matter. The batch size stays free.
    target : callable, optional
        From the model's outputs to the explained score (N,); traced with the model.
    others : tuple of Tensor
        Further inputs (N, ...), held fixed.
    layout : {"NCL", "NLC"}
        What the model takes; the example is (N, C, L) all the same.
    any_length : bool
        Whether the input's last axis stays free, too, where the model allows it; ``Graph.input_shape`` says whether it
        did.

    Raises
    ------
    SeqplrpError
        Where the model can't be exported, or has no tensor output.
    """
    batches = [_batch_of(tensor) for tensor in (example, *others)]
    auto = torch.export.Dim.AUTO
    shapes = [{0: auto} for _ in batches]
    if any_length:
        shapes = [{0: auto, batch.dim() - 1: auto} for batch in batches]
    if isinstance(model, Program):
        return _without_closing_activation(_program_graph(model, example, target, others, layout))
    wrapper = Explained(model, target, layout)
    with evaluation_mode(model), torch.no_grad(), warnings.catch_warnings(), _quietly(), recurrent_shapes_only():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(
                wrapper,
                tuple(batches),
                dynamic_shapes=(shapes[0], tuple(shapes[1:])) if others else (shapes[0],),
                strict=False,
            ).run_decompositions({})
        except Exception as error:  # the exporter raises whatever the model or the tracer raised
            shown = " and ".join(str(tuple(tensor.shape)) for tensor in (example, *others))
            raise SeqplrpError(
                type(model).__name__,
                f"torch.export can't trace the model with an input {shown}: {_first_line(error)}",
                _REMEDY,
            ) from error
    return _without_closing_activation(_read(exported, model))


def _program_graph(program: Program, example: Tensor, target: Target | None, others: Others, layout: Layout) -> Graph:
    """Read a saved program; a callable target is traced by itself and put behind it."""
    given = [tuple(t.shape) for t in (example.transpose(1, 2) if layout == "NLC" else example, *others)]
    builder = _Builder(program, prefix="runner.")
    with warnings.catch_warnings(), _quietly(), recurrent_shapes_only():
        warnings.simplefilter("ignore")
        exported = program.exported.run_decompositions({})
    results = builder.read(exported)
    if len(builder.inputs) != len(given):
        raise SeqplrpError("program", f"takes {len(builder.inputs)} inputs, given are {len(given)}", "give them all")
    for (_, wanted), found in zip(builder.inputs, given, strict=True):
        if len(wanted) != len(found) or any(w not in (None, s) for w, s in zip(wanted[1:], found[1:], strict=True)):
            shown = ", ".join("N" if size is None else str(size) for size in wanted)
            raise SeqplrpError(
                "X", f"gives the program an input {found}, exported for ({shown})", "give inputs of that shape"
            )
    if layout == "NLC":
        name, shape = builder.inputs[0]
        for at, node in enumerate(builder.nodes):
            builder.nodes[at] = node.reading({name: f"{name}.NLC"})
        sizes = builder.input_sizes[0]
        builder.nodes.insert(0, Node(f"{name}.NLC", aten.transpose.int, (Ref(name), 1, 2), {}, "", shape, sizes))
        builder.inputs[0] = (name, (shape[0], *reversed(shape[1:])))
        builder.input_sizes[0] = (sizes[0], *reversed(sizes[1:]))
    if target is None:
        return builder.finish(results)
    values = program.exported.call_spec.out_spec
    metas = [node.meta["val"] for node in results]
    examples = [torch.zeros([_size(size) for size in m.shape], dtype=m.dtype) for m in metas]
    wrapper = _Target(target, values)
    free = not isinstance(metas[0].shape[0], int)
    with torch.no_grad(), warnings.catch_warnings(), _quietly():
        warnings.simplefilter("ignore")
        try:
            scoring = torch.export.export(
                wrapper,
                tuple(examples),
                dynamic_shapes=(tuple({0: torch.export.Dim.AUTO} if free else {} for _ in examples),),
                strict=False,
            ).run_decompositions({})
        except Exception as error:  # whatever the target raised
            raise SeqplrpError("target", f"can't be traced: {_first_line(error)}", _REMEDY) from error
    return builder.finish(builder.read(scoring, behind=results))


class _Target(nn.Module):
    """A function of a program's outputs."""

    def __init__(self, target: Target, spec: Any) -> None:
        super().__init__()
        self._target, self._spec = target, spec

    def forward(self, *flat: Tensor) -> Any:
        return self._target(tree_unflatten(list(flat), self._spec))


TRACED_BATCH = 13
"""How many sequences a model is traced with.

torch.export takes a batch of 1 for a constant, and one that a model compares with a size of its own, with 2 layers or 2
heads say, for that size; a number that no such size is likely to be stays free.
"""


def _batch_of(tensor: Tensor) -> Tensor:
    return tensor[:1].expand(TRACED_BATCH, *tensor.shape[1:]).clone()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter from logging and printing graphs and tracebacks of failures that we tell in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _read(exported: torch.export.ExportedProgram, model: nn.Module) -> Graph:
    """Turn an exported program into a Graph."""
    builder = _Builder(model, prefix="model.")
    return builder.finish(builder.read(exported))


@dataclass
class _Builder:
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
                    self.place(node), f"the traced graph holds a {node.op} node, which the engine can't run", _REMEDY
                )
        raise AssertionError("an exported graph ends with an output node")

    def name_of(self, node: FxNode, mark: str | None = None) -> str:
        """Return the name under which a node's value is known."""
        name = (self.mark if mark is None else mark) + node.name
        return self.aliases.get(name, name)

    def placeholder(self, node: FxNode, attribute: str | None, constants: Mapping[str, Any]) -> None:
        name = self.mark + node.name
        self.shapes[name] = _shape(node)
        if attribute is None:
            self.inputs.append((name, _shape(node) or ()))
            self.input_sizes.append(_sizes(node) or ())
        elif attribute in constants and not self.has(attribute):
            # made in forward, or held by the model in a list, say: shared, so that a change in place is seen
            self.constants[name] = constants[attribute].detach()
        elif self.path_in_model(attribute) is not None:
            self.weights[name] = str(self.path_in_model(attribute))
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
        value: Any = self.model
        for name in (path or "").split("."):
            value = getattr(value, name, None)
        return path is not None and isinstance(value, Tensor)

    @property
    def model_name(self) -> str:
        return type(self.model).__name__

    def call(self, node: FxNode) -> None:
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
            raise SeqplrpError(self.place(node), f"{node.target!r} is not an operation", _REMEDY)
        if node.target not in _SPLITS:
            self.append(node, node.target, self._arguments(node.args), self._arguments(dict(node.kwargs)))

    def append(self, node: FxNode, op: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        name = self.mark + node.name
        self.shapes[name] = _shape(node)
        path = "(target)" if self.mark else _path(node)
        self.nodes.append(Node(name, op, args, kwargs, path, _shape(node), _sizes(node), _calls(node)))

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
        if not all(isinstance(size, int) for size in sizes):
            raise SeqplrpError(self.place(node), "splits an axis of no fixed size", "give the length to trace it with")
        start = sum(sizes[:place])
        self.append(node, aten.slice.Tensor, (source, axis, start, start + sizes[place]), {})

    def _arguments(self, value: Any) -> Any:
        if isinstance(value, FxNode):
            return Ref(self.name_of(value))
        if isinstance(value, tuple | list):
            return tuple(self._arguments(item) for item in value)
        if isinstance(value, dict):
            return {key: self._arguments(item) for key, item in value.items()}
        return value

    def finish(self, outputs: Sequence[FxNode]) -> Graph:
        if len(outputs) != 1 or not isinstance(outputs[0], FxNode):
            raise SeqplrpError(
                self.model_name,
                f"the model returns {len(outputs)} values",
                "give a target that picks the score: target=lambda outputs: outputs[0][:, 0], say",
            )
        name, shape = self.inputs[0]
        output = self.name_of(outputs[0])
        output_shape = self.shapes[output]
        if output_shape is None:
            raise SeqplrpError(self.model_name, "the model's output is no tensor", "give a target that picks a tensor")
        if shape[:1] != (None,) and not isinstance(self.model, Program):
            raise SeqplrpError(
                self.model_name,
                "forward fixes the batch size, so sequences can't be explained in batches",
                "take the batch size from x.shape[0] in forward",
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

    def place(self, node: FxNode) -> str:
        return "target" if self.mark else _path(node) or self.model_name


_SPLITS = {
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.chunk.default,
    aten.tensor_split.sections,
    aten.unbind.int,
}
"""Operations that give several pieces of a value; each piece is a slice of it, and moves relevance as one."""


def _reads_others(node: FxNode) -> bool:
    """Say whether a result other than the first is read."""
    return any(user.target is operator.getitem and user.args[1] != 0 and user.users for user in node.users)


def _shape(node: FxNode) -> tuple[int | None, ...] | None:
    value = node.meta.get("val")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        return None
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _sizes(node: FxNode) -> tuple[int, ...] | None:
    """Return a value's sizes as it was traced; None where it is no tensor."""
    value = node.meta.get("val")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        return None
    return tuple(_size(size) for size in value.shape)


def _size(size: Any) -> int:
    """Return a size as it was traced; 0 where it depends on values."""
    hint = size if isinstance(size, int) else size.node.hint
    return 0 if hint is None else int(hint)


def _path(node: FxNode) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    if not paths or paths[-1] == "_empty_nn_module_stack_from_metadata_hook":  # a size that the exporter asked for
        return ""
    # a module that is called twice appears as name@1 the second time
    return str(paths[-1]).partition("@")[0].removeprefix("model").removeprefix(".")  # of Explained


def _calls(node: FxNode) -> tuple[tuple[str, int], ...]:
    """Return the modules that a node runs in, outermost first, each with the number of its call."""
    calls = []
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        # torch 2.15 writes the number into the stack's key, others into the path: ...conv@1
        numbers = re.findall(r"@(\d+)$", str(path)) or re.findall(r"@(\d+)$", str(key))
        name = str(path).partition("@")[0].removeprefix("model").removeprefix(".")
        if name:
            calls.append((name, int(numbers[-1]) if numbers else 0))
    return tuple(calls)


_CLOSING = {
    aten.sigmoid.default: "sigmoid",
    aten.softmax.int: "softmax",
    aten._softmax.default: "softmax",
    aten.log_softmax.int: "log_softmax",
    aten._log_softmax.default: "log_softmax",
}
# what may stand between a closing activation and the output without mixing its values
_PICKS = {
    aten.select.int,
    aten.slice.Tensor,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    aten.unsqueeze.default,
    aten.view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.clone.default,
    aten.alias.default,
}


def _without_closing_activation(graph: Graph) -> Graph:
    """Leave out a sigmoid or softmax at the end, so that the logit is explained (METHODS.md, section 1)."""
    by_name = {node.name: node for node in graph.nodes}
    node = by_name.get(graph.output)
    while node is not None and node.op in _PICKS:
        node = by_name.get(node.refs()[0])
    if node is None or node.op not in _CLOSING:
        return graph
    source = node.refs()[0]
    renames = {node.name: source}
    nodes = tuple(n.reading(renames) for n in graph.nodes if n.name != node.name)
    return replace(
        graph,
        nodes=nodes,
        output=renames.get(graph.output, graph.output),
        left_out=_CLOSING[node.op],
        closing=node if node.name == graph.output else None,
    )


_CACHE: weakref.WeakKeyDictionary[nn.Module, dict[Any, tuple[Graph, Target | None]]] = weakref.WeakKeyDictionary()
_GRAPHS_PER_MODEL = 16


def cached_trace(
    model: nn.Module,
    example: Tensor,
    target: Target | None = None,
    others: Others = (),
    *,
    layout: Layout = "NCL",
    any_length: bool = False,
) -> Graph:
    """Trace a model, or return the graph of an earlier trace of it in the same shape.

    Two calls share a graph if the model object, the target, the inputs' shapes (but for the batch), dtypes and devices,
    and the model's structure agree: its modules, their plain attributes (sizes, flags, functions) and the shapes of its
    tensors. The graph holds no weights. A model of which `any_length` was asked and that allows it has one graph for
    all lengths.
    """
    last = -1 if any_length else None
    shapes = tuple((tuple(t.shape[1:last]), t.dtype, t.device) for t in (example, *others))
    key = (any_length, layout, shapes, _function(target), _structure(model))
    graphs = _CACHE.setdefault(model, {})
    if key not in graphs:
        while len(graphs) >= _GRAPHS_PER_MODEL:
            graphs.pop(next(iter(graphs)))
        # The target stays beside its graph, so that no other object can take over an id that the key holds; not so
        # where it holds the model, which would then never be freed.
        graph = trace(model, example, target, others, layout=layout, any_length=any_length)
        graphs[key] = (graph, None if _reaches(target, model) else target)
    return graphs[key][0]


def forget(model: nn.Module) -> None:
    """Drop a model's cached graphs."""
    _CACHE.pop(model, None)


def _function(target: Target | None) -> Any:
    """Tell targets apart by what they do."""
    return None if target is None else _frozen(target)


def _held(function: Any) -> dict[str, Any]:
    """Return what a function's result may depend on besides its arguments, by name."""
    code = function.__code__
    held = {f"{name} (global)": function.__globals__[name] for name in code.co_names if name in function.__globals__}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that is still empty
            held[name] = cell.cell_contents
    # each as it is: a tuple made here would be told by its id, a new one each time
    held["defaults"], held["keyword defaults"] = function.__defaults__, function.__kwdefaults__
    held["self"] = getattr(function, "__self__", None)
    return held


def _reaches(value: Any, model: nn.Module, depth: int = 4) -> bool:
    """Say whether something holds the model: a bound method of it, a closure over it, an object with it inside."""
    if value is model:
        return True
    if depth == 0 or isinstance(value, Tensor | type | ModuleType):
        return False
    if isinstance(value, nn.Module):
        return any(module is model for module in value.modules())
    if isinstance(value, tuple | list | set | frozenset):
        held: list[Any] = list(value)
    elif isinstance(value, dict):
        held = list(value.values())
    elif hasattr(value, "__code__"):
        held = [item for name, item in _held(value).items() if not name.endswith("(global)")]
    else:
        held = list(getattr(value, "__dict__", {}).values())
    return any(_reaches(item, model, depth - 1) for item in held)


_BOOKKEEPING = {"training", "_parameters", "_buffers", "_modules"}


def _structure(model: nn.Module) -> tuple[Any, ...]:
    """Describe what a trace of the model depends on besides its weights, as far as it can be seen from outside."""
    parts: list[Any] = []
    for path, module in model.named_modules(remove_duplicate=False):
        attributes = tuple(
            (name, _frozen(value))
            for name, value in vars(module).items()
            if name not in _BOOKKEEPING and not (name.endswith("_hooks") and not value)
        )
        tensors = tuple(
            (name, tuple(tensor.shape), tensor.dtype, tensor.device)
            for group in (module._parameters, module._buffers)
            for name, tensor in group.items()
            if tensor is not None
        )
        parts.append((path, type(module), attributes, tensors))
    return tuple(parts)


_DEPTH = 3  # of objects within objects: enough for configurations, little enough for what knows half the process


def _frozen(value: Any, depth: int = _DEPTH) -> Any:
    """Return something hashable that differs where a trace may differ, and holds none of the user's objects."""
    if value is None or isinstance(value, bool | int | float | str | bytes | torch.dtype | torch.device):
        return (type(value).__name__, value)  # 1, 1.0 and True are equal, but trace differently
    if isinstance(value, Tensor):
        # a tensor that is an attribute is read anew for every plan; one inside a list or an object is part of the trace
        return ("tensor", tuple(value.shape), value.dtype, value.device, None if depth == _DEPTH else id(value))
    name = (type(value).__qualname__, id(value))
    if depth == 0 or isinstance(value, nn.Module | type | ModuleType):
        return name
    if isinstance(value, tuple | list | set | frozenset):
        return (type(value).__name__, tuple(_frozen(item, depth - 1) for item in value))
    if isinstance(value, dict):
        return tuple((str(key), _frozen(item, depth - 1)) for key, item in value.items())
    if hasattr(value, "__code__"):
        # by what it does, not by its id: a lambda written anew in each call of a loop is one function, not many
        return (value.__code__, tuple((key, _frozen(item, depth - 1)) for key, item in _held(value).items()))
    return (*name, tuple((key, _frozen(item, depth - 1)) for key, item in getattr(value, "__dict__", {}).items()))
