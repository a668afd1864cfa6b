"""From a torch model to a graph of ATen operations, through torch.export, without touching the model.

The graph holds names, shapes and operations, never weights: those are read from the model each time that a plan is
made of it, so a cached graph can't go stale when the model trains on.
"""

from __future__ import annotations

import io
import logging
import operator
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node as FxNode

from seqplrp.errors import SeqplrpError

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
    """

    name: str
    op: Operation
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    path: str
    shape: tuple[int | None, ...] | None

    @property
    def op_name(self) -> str:
        """The operation's short name, for example ``conv1d``."""
        return op_name(self.op)

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
        Its shape, None for the batch.
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


class _Explained(nn.Module):
    """The model, and on it the function that picks the explained score."""

    def __init__(self, model: nn.Module, target: Target | None) -> None:
        super().__init__()
        self.model = model
        self._target = target

    def forward(self, x: Tensor) -> Any:
        outputs = self.model(x)
        return outputs if self._target is None else self._target(outputs)


_PREFIX = "model."


def trace(model: nn.Module, example: Tensor, target: Target | None = None) -> Graph:
    """Trace a model with `torch.export`.

    Parameters
    ----------
    model : nn.Module
        Left as it is: weights, buffers, training flags, hooks.
    example : Tensor
        (N, ...) with N >= 1; only its shape, dtype and device matter. The batch size stays free.
    target : callable, optional
        From the model's outputs to the explained score (N,); traced with the model.

    Raises
    ------
    SeqplrpError
        Where the model can't be exported, or has no tensor output.
    """
    pair = example[:1].expand(2, *example.shape[1:]).clone()  # torch.export takes a batch of 1 for a constant
    wrapper = _Explained(model, target)
    wrapper.training = False
    with evaluation_mode(model), torch.no_grad(), warnings.catch_warnings(), _quietly():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(
                wrapper, (pair,), dynamic_shapes=({0: torch.export.Dim.AUTO},)
            ).run_decompositions({})
        except Exception as error:  # the exporter raises whatever the model or the tracer raised
            raise SeqplrpError(
                type(model).__name__,
                f"torch.export can't trace the model with an input {tuple(example.shape)}: {_first_line(error)}",
                _REMEDY,
            ) from error
    return _without_closing_activation(_read(exported, model))


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
    signature = exported.graph_signature
    lifted = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    builder = _Builder(model)
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            builder.placeholder(node, lifted.get(node.name), exported.constants)
        elif node.op == "call_function":
            builder.call(node)
        elif node.op == "output":
            return builder.finish(node, len(signature.buffers_to_mutate))
        else:
            raise SeqplrpError(
                builder.place(node),
                f"the traced graph holds a {node.op} node, which the engine can't run",
                _REMEDY,
            )
    raise AssertionError("an exported graph ends with an output node")


@dataclass
class _Builder:
    model: nn.Module
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[tuple[str, tuple[int | None, ...]]] = field(default_factory=list)
    # getitem(node, 0) of an op with several results stands for the node's own (first) value
    aliases: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...] | None] = field(default_factory=dict)

    def placeholder(self, node: FxNode, attribute: str | None, constants: Mapping[str, Any]) -> None:
        self.shapes[node.name] = _shape(node)
        if attribute is None:
            self.inputs.append((node.name, _shape(node) or ()))
        elif attribute in constants and not self.has(attribute):
            # made in forward, or held by the model in a list, say: shared, so that a change in place is seen
            self.constants[node.name] = constants[attribute].detach()
        elif attribute.startswith(_PREFIX):
            self.weights[node.name] = attribute.removeprefix(_PREFIX)
        else:
            raise SeqplrpError(
                "target", "is a module with weights of its own", "explain torch.nn.Sequential(model, target) instead"
            )

    def has(self, attribute: str) -> bool:
        """Say whether a name is one of the model's attributes, and not one that the exporter made up."""
        value: Any = self.model
        for name in attribute.removeprefix(_PREFIX).split("."):
            value = getattr(value, name, None)
        return attribute.startswith(_PREFIX) and isinstance(value, Tensor)

    @property
    def model_name(self) -> str:
        return type(self.model).__name__

    def call(self, node: FxNode) -> None:
        if node.target is operator.getitem and isinstance(node.args[0], FxNode) and node.args[1] == 0:
            source = node.args[0]
            if isinstance(source.meta.get("val"), tuple | list):
                self.aliases[node.name] = self.aliases.get(source.name, source.name)
                self.shapes[self.aliases[node.name]] = _shape(node)
                at = next(i for i, n in enumerate(self.nodes) if n.name == self.aliases[node.name])
                self.nodes[at] = replace(self.nodes[at], shape=_shape(node))
                return
        if not callable(node.target):
            raise SeqplrpError(self.place(node), f"{node.target!r} is not an operation", _REMEDY)
        self.shapes[node.name] = _shape(node)
        self.nodes.append(
            Node(
                node.name,
                node.target,
                self._arguments(node.args),
                self._arguments(dict(node.kwargs)),
                _path(node),
                _shape(node),
            )
        )

    def _arguments(self, value: Any) -> Any:
        if isinstance(value, FxNode):
            return Ref(self.aliases.get(value.name, value.name))
        if isinstance(value, tuple | list):
            return tuple(self._arguments(item) for item in value)
        if isinstance(value, dict):
            return {key: self._arguments(item) for key, item in value.items()}
        return value

    def finish(self, node: FxNode, mutated: int) -> Graph:
        results = node.args[0]
        # buffers that forward writes to come first among the results; they are no business of the explanation
        outputs = list(results)[mutated:] if isinstance(results, tuple | list) else [results]
        if len(outputs) != 1 or not isinstance(outputs[0], FxNode):
            raise SeqplrpError(
                self.model_name,
                f"the model returns {len(outputs)} values",
                "give a target that picks the score: target=lambda outputs: outputs[0][:, 0], say",
            )
        if len(self.inputs) != 1:
            raise SeqplrpError(
                self.model_name, f"the model takes {len(self.inputs)} inputs", "wrap it so that it takes one"
            )
        name, shape = self.inputs[0]
        output = self.aliases.get(outputs[0].name, outputs[0].name)
        output_shape = self.shapes[output]
        if output_shape is None:
            raise SeqplrpError(self.model_name, "the model's output is no tensor", "give a target that picks a tensor")
        if shape[:1] != (None,):
            raise SeqplrpError(
                self.model_name,
                "forward fixes the batch size, so sequences can't be explained in batches",
                "take the batch size from x.shape[0] in forward",
            )
        return Graph(tuple(self.nodes), name, shape, self.weights, self.constants, output, output_shape)

    def place(self, node: FxNode) -> str:
        return _path(node) or self.model_name


def _shape(node: FxNode) -> tuple[int | None, ...] | None:
    value = node.meta.get("val")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        return None
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _path(node: FxNode) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    if not paths or paths[-1] == "_empty_nn_module_stack_from_metadata_hook":  # a size that the exporter asked for
        return ""
    # a module that is called twice appears as name@1 the second time
    return str(paths[-1]).partition("@")[0].removeprefix("model").removeprefix(".")


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


def cached_trace(model: nn.Module, example: Tensor, target: Target | None = None) -> Graph:
    """Trace a model, or return the graph of an earlier trace of it in the same shape.

    Two calls share a graph if the model object, the target, the input's shape (but for the batch), dtype and device,
    and the model's structure agree: its modules, their plain attributes (sizes, flags, functions) and the shapes of its
    tensors. The graph holds no weights.
    """
    key = (tuple(example.shape[1:]), example.dtype, example.device, _function(target), _structure(model))
    graphs = _CACHE.setdefault(model, {})
    if key not in graphs:
        while len(graphs) >= _GRAPHS_PER_MODEL:
            graphs.pop(next(iter(graphs)))
        # The target stays beside its graph, so that no other object can take over an id that the key holds; not so
        # where it holds the model, which would then never be freed.
        graphs[key] = (trace(model, example, target), None if _reaches(target, model) else target)
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
    held["defaults"] = (function.__defaults__, function.__kwdefaults__)
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
