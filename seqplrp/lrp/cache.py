"""Graphs of earlier traces, for as long as their models live and look the same."""

from __future__ import annotations

import weakref
from contextlib import suppress
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.lrp.explained import Layout, Others, Target
from seqplrp.lrp.graph import Graph
from seqplrp.lrp.trace import trace

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
    key = (any_length, layout, shapes, _frozen(target), _structure(model))
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
