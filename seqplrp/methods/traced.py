"""What was traced, run as a torch module of its own: for gradients at inner activations, and for others' libraries.

The plan that propagates relevance folds batch norms and pools before a ReLU; this runs the model's own operations one
by one, under autograd, up to the logit that is explained. It works on copies of the weights, so whatever a library
hooks, changes or leaves behind here never touches the user's model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.lrp import Graph, Plan, Run, make_plan
from seqplrp.methods.base import Batch, Chosen, Method, Prepared, chosen_of, score_of

Change = Callable[[str, Tensor], Tensor]
Wrap = Callable[[Any, frozenset[str], Run], nn.Module | None]
"""From a node, the names of what depends on the explained input, and what is constant, to a module that runs it."""


class TracedModel(nn.Module):
    """A traced model, from its inputs to the output that is explained.

    Parameters
    ----------
    graph : Graph
        What was traced.
    model : nn.Module
        Its weights are read, and copied.
    device : torch.device, optional
        Where to run, if not where the weights are.
    wrap : callable, optional
        Makes modules of operations that a library wants to hook.
    """

    def __init__(
        self, graph: Graph, model: nn.Module, device: torch.device | None = None, wrap: Wrap | None = None
    ) -> None:
        super().__init__()
        self.graph = graph
        self.training = False
        tensors = dict(graph.constants) | {name: _attribute(model, path) for name, path in graph.weights.items()}
        inputs = {graph.input, *graph.fixed_inputs}
        depends, data = set(inputs), {graph.input}
        with torch.inference_mode(False), torch.no_grad():
            known = Run({name: tensor.detach().to(device, copy=True) for name, tensor in tensors.items()})
            self._picked = frozenset(node.refs()[0] for node in graph.nodes if node.op is getitem)
            steps = []
            for node in graph.nodes:
                if device is not None and node.kwargs.get("device") is not None:
                    node = replace(node, kwargs={**node.kwargs, "device": device})
                refs = node.refs()
                if depends.isdisjoint(refs):
                    args, kwargs = _filled(known, node)
                    known.values[node.name] = self._first(node, node.op(*args, **kwargs))
                    continue
                depends.add(node.name)
                if node.shape is not None and not data.isdisjoint(refs):
                    data.add(node.name)
                steps.append(node)
        self._known = dict(known.values)
        self._steps = _live(steps, graph.output)
        self._frees = _last_uses(self._steps, keep={graph.output, *self._known})
        self.wrapped = nn.ModuleDict()
        self._module_of: dict[str, str] = {}
        for number, node in enumerate(self._steps):
            module = None if wrap is None or node.name in self._picked else wrap(node, frozenset(data), known)
            if module is not None:
                self._module_of[node.name] = key = f"{number}_{node.op_name}"
                self.wrapped[key] = module.eval()

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Return the explained output, (N,) or (N, outputs)."""
        run = self._start(x, others)
        for number, node in enumerate(self._steps):
            self._do(node, run)
            for name in self._frees.get(number, ()):
                del run.values[name]
        output: Tensor = run.values[self.graph.output]
        return output

    def run(self, x: Tensor, others: Sequence[Tensor] = (), change: Change | None = None) -> dict[str, Any]:
        """Return every value by its name; `change` may replace each as it is made."""
        run = self._start(x, others)
        for node in self._steps:
            self._do(node, run, change)
        return run.values

    def rerun(self, values: Mapping[str, Any], name: str, value: Tensor) -> Tensor:
        """Return the output where one value is another, and only what depends on it is run again."""
        run = Run({**values, name: value})
        anew = {name}
        for node in self._steps:
            if node.name != name and not anew.isdisjoint(node.refs()):
                anew.add(node.name)
                self._do(node, run)
        output: Tensor = run.values[self.graph.output]
        return output

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The operations that depend on the inputs, in the order in which they run."""
        return tuple(self._steps)

    def _start(self, x: Tensor, others: Sequence[Tensor]) -> Run:
        inputs = dict(zip(self.graph.fixed_inputs, others, strict=True))
        return Run({**self._known, **inputs, self.graph.input: x})

    def _do(self, node: Any, run: Run, change: Change | None = None) -> None:
        args, kwargs = _filled(run, node)
        key = self._module_of.get(node.name)
        if key is None:
            value = self._first(node, node.op(*args, **kwargs))
        else:
            value = self.wrapped[key](*(run.values[name] for name in node.refs() if name not in self._known))
        run.values[node.name] = value if change is None else change(node.name, value)

    def _first(self, node: Any, result: Any) -> Any:
        """Return the one result of an operation that is read, of several, as the graph's names have it."""
        return result[0] if isinstance(result, tuple | list) and node.name not in self._picked else result


def _filled(run: Run, node: Any) -> tuple[list[Any], dict[str, Any]]:
    return run.filled(node.args), run.filled(dict(node.kwargs))


def _attribute(model: nn.Module, path: str) -> Tensor:
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name)
    assert isinstance(value, Tensor)  # the plan, which is made first, has told the user otherwise
    return value


def _live(steps: Sequence[Any], output: str) -> list[Any]:
    """Drop what the explained output does not need."""
    wanted, live = {output}, []
    for node in reversed(steps):
        if node.name in wanted:
            wanted.update(node.refs())
            live.append(node)
    return live[::-1]


def _last_uses(steps: Sequence[Any], keep: set[str]) -> dict[int, list[str]]:
    """Say after which step each value can go; inputs and weights stay."""
    made = {node.name for node in steps}
    last = {name: number for number, node in enumerate(steps) for name in (node.name, *node.refs())}
    ends: dict[int, list[str]] = {}
    for name, number in last.items():
        if name in made and name not in keep:
            ends.setdefault(number, []).append(name)
    return ends


@dataclass(frozen=True)
class PreparedTraced(Prepared):
    """A prepared model with its traced operations as a module.

    Attributes
    ----------
    traced : TracedModel
        On copies of the weights.
    """

    traced: TracedModel


@dataclass(frozen=True, kw_only=True)
class TracedMethod(Method):
    """A method that runs the model's own operations."""

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> PreparedTraced:
        plan = make_plan(graph, model, self.rules(), device)
        return PreparedTraced(model, graph, plan, TracedModel(plan.graph, model, device, self.wrapper(plan)))

    def wrapper(self, plan: Plan) -> Wrap | None:
        """Return what makes modules of operations, where the method needs any."""
        return None


def traced_of(prepared: Prepared) -> TracedModel:
    """Return the module of a model that a `TracedMethod` prepared."""
    assert isinstance(prepared, PreparedTraced)
    return prepared.traced


def with_autograd() -> ExitStack:
    """Let gradients be taken, whatever mode the caller is in."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    return stack


def outside_inference(batch: Batch) -> Batch:
    """Return a batch whose tensors autograd may use, though they were made in inference mode."""

    def copied(target: Chosen) -> Chosen:
        return target.clone() if isinstance(target, Tensor) else target

    return replace(
        batch,
        x=batch.x.detach().clone(),
        others=tuple(other.clone() for other in batch.others),
        targets=[copied(target) for target in batch.targets],
    )


def scores_of(traced: TracedModel, batch: Batch) -> list[tuple[Tensor, Tensor | None]]:
    """Return the explained score (N,) and the index of the explained output for each target, from one forward pass."""
    with torch.no_grad():
        output = traced(batch.x, *batch.others)
    targets = [chosen_of(output, asked) for asked in batch.targets]
    return [(score_of(output, target), target) for target in targets]
