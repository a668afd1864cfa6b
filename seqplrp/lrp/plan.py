"""From a traced graph, a model's weights and rules to a plan: typed steps that run forward and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import ops
from seqplrp.lrp.batch import BatchAxis, batch_axes, with_marked_batch
from seqplrp.lrp.graph import Graph, Node, Ref
from seqplrp.lrp.ops.elementwise import SCALED_INPUT, is_positive_scale
from seqplrp.lrp.ops.linear import LinearHandler
from seqplrp.lrp.ops.movement import Pad
from seqplrp.lrp.ops.sharing import SharedByContribution, SummedInput
from seqplrp.lrp.placement import LayerInfo, Rules, layers_of, place_rules
from seqplrp.lrp.prune import Pruning, described, shares_of
from seqplrp.lrp.registry import handler_of
from seqplrp.lrp.roles import AttentionWeights, assign_roles
from seqplrp.lrp.shortcuts import fold_batch_norms, infer_signs, pool_before_relu
from seqplrp.lrp.steps import Handler, Step

assert ops  # imported so that its handlers are registered

aten = torch.ops.aten


@dataclass(frozen=True)
class PrunePoint:
    """An activation that is pruned.

    Attributes
    ----------
    value : str
        Its name.
    readers : tuple of str
        Module paths of the conv and linear layers that read it, as it is or moved.
    batch : BatchAxis or None
        Where the batch stands in it, if not first.
    """

    value: str
    readers: tuple[str, ...]
    batch: BatchAxis | None = None


@dataclass(frozen=True)
class Plan:
    """A model as steps, with private weights, ready to run forward and back.

    Attributes
    ----------
    graph : Graph
        What was traced.
    steps : tuple of Step
        In the order of the forward pass.
    input_like : frozenset of str
        Values that are the explained input, moved, scaled or summed: what arrives there is kept as coefficients.
    prune_points : dict of str to PrunePoint
        By the value's name.
    chains : dict of str to tuple of Step
        For each conv or linear step (by its output), the moves from its prune point to its input.
    depth : int
        Number of prune points on the longest path from input to output.
    last_forward_use : dict of str to int
        For each value that the way back does not need: the step after which it can go.
    first_backward_use : dict of str to int
        For each value that the way back needs: the step (counted forward) after whose way back it can go.
    layers : tuple of LayerInfo
        The conv and linear layers, in the order of the forward pass.
    values : dict of str to (str or None)
        For each module path that runs, the name of the value that it makes; None where it runs several times, which
        ``path@0``, ``path@1`` ... tell apart.
    """

    graph: Graph
    steps: tuple[Step, ...]
    input_like: frozenset[str]
    prune_points: Mapping[str, PrunePoint]
    chains: Mapping[str, tuple[Step, ...]]
    depth: int
    last_forward_use: Mapping[str, int]
    first_backward_use: Mapping[str, int]
    layers: tuple[LayerInfo, ...]
    values: Mapping[str, str | None]

    def value_of(self, layer: str) -> str:
        """Return the name of the value that a module makes.

        Raises
        ------
        SeqplrpError
            Where no module of that path runs, it runs several times, or no relevance reaches what it makes.
        """
        if layer not in self.values:
            known = ", ".join(self.values)
            raise SeqplrpError(f"layers: {layer!r}", "is no module of the traced graph", f"those are {known}")
        value = self.values[layer]
        if value is None:
            raise SeqplrpError(
                f"layers: {layer!r}", "runs more than once in forward", f"name the call: {layer}@0, {layer}@1, ..."
            )
        if value in self.input_like:
            raise SeqplrpError(f"layers: {layer!r}", "makes the input itself", "its relevance is the map")
        if not any(step.output == value and step.inputs for step in self.steps):
            raise SeqplrpError(
                f"layers: {layer!r}", "is held constant, as a gate, so it has no relevance", "ask for another layer"
            )
        return value

    def check(self, pruning: Pruning) -> None:
        """Raise a SeqplrpError where shares by pattern leave out a layer before which is pruned, or name none."""
        readers = [point.readers for point in self.prune_points.values()]
        for layers in readers:
            shares_of(pruning, layers, self.depth)
        for pattern in pruning.p if isinstance(pruning.p, Mapping) else ():
            if not any(fnmatchcase(layer, pattern) for layers in readers for layer in layers):
                known = ", ".join(layer for layers in readers for layer in layers)
                raise SeqplrpError(f"p[{pattern!r}]", "matches no layer before which is pruned", f"those are {known}")

    def table(self, pruning: Pruning | None = None) -> list[tuple[str, str, str, str, str]]:
        """Return the plan as rows: step, module path, op, rule, pruning of the value that the step makes."""
        rows = []
        for number, step in enumerate(self.steps):
            if not step.inputs:  # a size that later steps ask for
                continue
            point = self.prune_points.get(step.output)
            pruned = ""
            if point is not None and pruning is not None:
                shares = shares_of(pruning, point.readers, self.depth)
                if shares.prunes:
                    pruned = f"{described(pruning, shares)}, {pruning.mode}"
            rows.append((str(number), step.path, step.op, step.handler.describe(step), pruned))
        return rows


def make_plan(
    graph: Graph,
    model: nn.Module,
    rules: Rules | None = None,
    device: torch.device | None = None,
    *,
    attention: AttentionWeights = "constant",
) -> Plan:
    """Build a plan with the model's present weights.

    Parameters
    ----------
    graph : Graph
        From `trace` of this model.
    model : nn.Module
        Its weights are read, and copied where a batch norm is folded.
    rules : Rule, str or mapping, optional
        One rule for every conv and linear layer; the name of a `composite`; or a mapping to rules, of which the first
        key that matches a layer serves: a module-path pattern (``fnmatch``), ``@first`` or ``@last``, ``@conv`` or
        ``@linear``, or ``@`` and an operation such as ``@conv1d``. Epsilon unless given.
    device : torch.device, optional
        Where to run, if not where the model's weights are; the model itself stays there.
    attention : {"constant", "attnlrp"}
        Whether attention weights are held constant, or share in the relevance by AttnLRP's rules.

    Raises
    ------
    SeqplrpError
        Where an operation has no handler, or a mapping of rules leaves a layer out or names none.
    """
    graph = with_marked_batch(graph)
    with torch.inference_mode(False), torch.no_grad():
        steps = _live(graph, _make_steps(graph, model, device))
        assign_roles(graph, steps, attention)
        _place_batch(graph, steps)
        steps, folded = fold_batch_norms(steps, graph.output)
        input_like = _input_like(graph, steps)
        place_rules(steps, layers_of(graph, steps, input_like), rules)
        layers = layers_of(graph, steps, input_like)
        infer_signs(graph, steps)
        steps, moved = pool_before_relu(graph, steps)
    for step in steps:
        step.reads_input = tuple(name in input_like for name in step.inputs)
    values = {
        path: value if value is None else moved.get(folded.get(value, value), folded.get(value, value))
        for path, value in _values_of_modules(graph).items()
    }
    points, chains = _prune_points(graph, steps, input_like)
    forward_use, backward_use = _uses(graph, steps)
    return Plan(
        graph,
        tuple(steps),
        input_like,
        points,
        chains,
        _depth(graph, steps, points),
        forward_use,
        backward_use,
        tuple(layers.values()),
        values,
    )


_READ_SHAPES_ALONE = {
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.full_like.default,
    aten.empty_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
    aten.new_empty.default,
}
"""Operations that give constants in the shape of a value, whatever the value."""


def _make_steps(graph: Graph, model: nn.Module, device: torch.device | None) -> list[Step]:
    """Split the graph into what can be computed now (weights), sizes, and steps that depend on the input."""
    tensors = dict(graph.constants)
    tensors.update({name: _attribute(model, path) for name, path in graph.weights.items()})
    # copies: a plan stays what it is while the model trains on, and is not torn between old and new weights
    known: dict[str, Any] = {name: tensor.to(device, copy=True) for name, tensor in tensors.items()}
    data = {graph.input}
    steps: list[Step] = []
    fixed = set(graph.fixed_inputs)  # those, and what is made of them
    runtime = set(graph.fixed_inputs)  # those, sizes, and what is made of such alone
    for node in graph.nodes:
        node = _on(node, device)
        refs = node.refs()
        reads_values = node.op not in _READ_SHAPES_ALONE
        if data.intersection(refs) and node.shape is not None and reads_values:
            step = _plain_step(node, known)
            step.handler = handler_of(node)
            step.inputs = tuple(name for name in node.refs() if name in data)  # x + x reads x twice: it has two shares
            step.fixed = frozenset(fixed.intersection(refs))
            steps.append(step)
            data.add(node.name)
        elif data.intersection(refs) or runtime.intersection(refs):
            runtime.add(node.name)
            if fixed.intersection(refs) and reads_values:
                fixed.add(node.name)
            steps.append(_plain_step(node, known))
        else:
            known[node.name] = node.op(*_resolved(node.args, known), **_resolved(dict(node.kwargs), known))
    if graph.output not in data:
        raise SeqplrpError(type(model).__name__, "the explained output does not depend on the input", "check forward")
    return steps


def _on(node: Node, device: torch.device | None) -> Node:
    """Let what forward makes, the first states of a recurrent layer say, be made where the plan runs."""
    if device is None or node.kwargs.get("device") is None:
        return node
    return replace(node, kwargs={**node.kwargs, "device": device})


def _attribute(model: nn.Module, path: str) -> Tensor:
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name)
    if not isinstance(value, Tensor):
        raise SeqplrpError(path, "was a tensor when the model was traced and is none now", "trace the model anew")
    return value.detach()


def _resolved(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return known.get(value.name, value)
    if isinstance(value, tuple | list):
        return tuple(_resolved(item, known) for item in value)
    if isinstance(value, dict):
        return {key: _resolved(item, known) for key, item in value.items()}
    return value


def _plain_step(node: Node, known: Mapping[str, Any]) -> Step:
    return Step(
        node,
        Handler(),
        (),
        node.name,
        _resolved(node.args, known),
        _resolved(dict(node.kwargs), known),
        value_of_output=node.name,
    )


def _place_batch(graph: Graph, steps: Sequence[Step]) -> None:
    """Tell every step where the batch stands in its values."""
    axes = batch_axes(graph)
    if graph.output in axes:
        raise SeqplrpError("output", "the batch is not its first axis", "return (N,) or (N, outputs) from the model")
    for step in steps:
        step.batch = axes.get(step.output)
        step.input_batches = tuple(axes.get(name) for name in step.inputs)


def _live(graph: Graph, steps: list[Step]) -> list[Step]:
    """Drop what the explained output does not need."""
    wanted = {graph.output}
    live = []
    for step in reversed(steps):
        if step.output in wanted:
            wanted.update(step.refs())
            live.append(step)
    return live[::-1]


def _values_of_modules(graph: Graph) -> dict[str, str | None]:
    """Return the name of the value that each module makes, and of each call where it is called several times."""
    by_call: dict[str, dict[int, str]] = {}
    for node in graph.nodes:
        if node.shape is None:
            continue
        for path, call in node.calls:
            by_call.setdefault(path, {})[call] = node.name
    values: dict[str, str | None] = {}
    for path, calls in by_call.items():
        values[path] = next(iter(calls.values())) if len(calls) == 1 else None
        if len(calls) > 1:
            values.update({f"{path}@{call}": value for call, value in calls.items()})
    return values


def _input_like(graph: Graph, steps: Sequence[Step]) -> frozenset[str]:
    """Return the values that are the input, only moved, summed without weights, or in another unit of measure."""
    found = {graph.input}
    shapes = {graph.input: graph.input_shape}
    for step in steps:
        if step.inputs and step.inputs[0] in found and is_positive_scale(step, shapes[step.inputs[0]]):
            step.handler = SCALED_INPUT
        if (
            isinstance(step.handler, SharedByContribution)
            and step.handler.is_plain_sum(step)
            and found.issuperset(step.inputs)
        ):
            step.handler = SummedInput(step.handler)
        shapes[step.output] = step.node.shape or ()
        if step.handler.moves and step.inputs and all(name in found for name in step.inputs):
            found.add(step.output)
    return frozenset(found)


def _prune_points(
    graph: Graph, steps: Sequence[Step], input_like: frozenset[str]
) -> tuple[dict[str, PrunePoint], dict[str, tuple[Step, ...]]]:
    """Find the activations that feed conv or linear layers (METHODS.md, section 3).

    What stands between, a reshape or a pad say, moves the same units, so the point is the value before it: the way that
    a model is written must not change where it is pruned.
    """
    made_by = {step.output: step for step in steps}
    readers: dict[str, list[str]] = {}
    chains: dict[str, tuple[Step, ...]] = {}
    for step in steps:
        if not isinstance(step.handler, LinearHandler):
            continue
        value, chain = step.inputs[0], []
        while value in made_by and made_by[value].handler.hoists:
            chain.append(made_by[value])
            value = made_by[value].inputs[0]
        if not step.extra.gives_coefficients and any(isinstance(move.handler, Pad) for move in chain):
            step.padded_by = tuple(reversed(chain))
        if value in input_like:
            continue
        readers.setdefault(value, []).append(step.path)
        chains[step.output] = tuple(reversed(chain))
    points = {
        value: PrunePoint(value, tuple(dict.fromkeys(paths)), made_by[value].batch) for value, paths in readers.items()
    }
    return points, chains


def _depth(graph: Graph, steps: Sequence[Step], points: Mapping[str, PrunePoint]) -> int:
    """Return the number of prune points on the longest path from input to output."""
    depth = {graph.input: 0}
    for step in steps:
        if step.inputs:
            depth[step.output] = max(depth[name] for name in step.inputs) + (step.output in points)
    return depth[graph.output]


def _uses(graph: Graph, steps: Sequence[Step]) -> tuple[dict[str, int], dict[str, int]]:
    """Work out when each value can be freed."""
    forward: dict[str, int] = {}
    backward: dict[str, int] = {}
    for number, step in enumerate(steps):
        for name in step.refs():
            forward[name] = number
        for name in step.handler.needs(step):
            backward.setdefault(name, number)
    # sizes, and what is held fixed, are asked for again on the way back of the steps that read them
    for number, step in enumerate(steps):
        for name in step.refs() if step.inputs else ():
            if name not in step.inputs:
                backward.setdefault(name, number)
    sizes = [step.output for step in steps if step.node.shape is None]
    for name in (graph.input, graph.output, *graph.fixed_inputs, *sizes):
        backward[name] = 0
    return {name: at for name, at in forward.items() if name not in backward}, backward
