"""What every operation's handler must do, whatever the operation: one check for all of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import ModuleType

import engine
import torch
from engine import back_through, graph_of
from torch import Tensor, nn

from seqplrp.lrp import Graph, Propagated, Rule, make_plan, propagate, run_forward, trace
from seqplrp.lrp.registry import HANDLERS

TAKEN = ("bias", "stabiliser", "fixed_inputs", "residue")


def with_zeros(x: Tensor) -> Tensor:
    """Set every fifth number to 0, the others of both signs as they are."""
    x = x.clone()
    x.view(-1)[::5] = 0
    return x


def taken(found: Propagated) -> Tensor:
    """Return what biases and stabilisers took in all (N,)."""
    return sum(row.numbers[name] for row in found.ledger.rows for name in TAKEN if name in row.numbers) + torch.zeros(1)


def assert_balanced(found: Propagated, start: Tensor, tolerance: float) -> None:
    """Every row explains its layer, and what reached the input and what was taken on the way make up the start."""
    for row in found.ledger.rows:
        if "unexplained" in row.numbers:
            assert (row.numbers["unexplained"].abs() <= tolerance * row.numbers["size"]).all(), (row.layer, row.op)
    if any(row.rule == "Relative" for row in found.ledger.rows):
        return  # it claims no completeness
    whole = start.double().reshape(len(start), -1).sum(1)
    size = sum(row.numbers["size"] for row in found.ledger.rows) + start.double().abs().reshape(len(start), -1).sum(1)
    rest = found.relevance.double().flatten(1).sum(1) + taken(found) - whole
    assert (rest.abs() <= tolerance * size).all()


class _Together(nn.Module):
    """Modules that read the same input, each one's output marked by an operation that nobody uses."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.cases = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.digamma(case(x)).reshape(x.shape[0], -1) for case in self.cases], 1)


def trace_together(modules: Sequence[nn.Module], x: Tensor) -> None:
    """Trace many modules for one input shape at the price of one, so that `graph_of` knows each one's graph."""
    whole = trace(_Together(modules).eval(), x)
    outputs = [node.refs()[0] for node in whole.nodes if node.op is torch.ops.aten.digamma.default]
    for place, (module, output) in enumerate(zip(modules, outputs, strict=True)):
        engine._GRAPHS[id(module)] = (module, tuple(x.shape[1:]), _part_of(whole, output, f"cases.{place}"))


def _part_of(whole: Graph, output: str, path: str) -> Graph:
    """Return the graph of what one output needs, as if its module had been traced by itself."""
    wanted, nodes = {output}, []
    for node in reversed(whole.nodes):
        if node.name in wanted:
            wanted.update(node.refs())
            nodes.append(replace(node, path=node.path.removeprefix(path).removeprefix(".")))
    return replace(
        whole,
        nodes=tuple(reversed(nodes)),
        weights={name: at.removeprefix(f"{path}.") for name, at in whole.weights.items() if name in wanted},
        constants={name: tensor for name, tensor in whole.constants.items() if name in wanted},
        output=output,
        output_shape=next(node.shape for node in nodes if node.name == output),
    )


def check_handler(module: nn.Module, x: Tensor, relevance: Tensor, rule: Rule | None = None) -> Propagated:
    """Check a float64 module in evaluation mode with relevance of both signs at its output, and return what it gives.

    Forward as torch computes it in both precisions; the ledger balanced; the dtype kept; each sequence explained as if
    it were alone.
    """
    with torch.no_grad():
        expected = module(x)
    plan = make_plan(graph_of(module, x), module, rule)
    with torch.inference_mode():
        run = run_forward(plan, x)
        torch.testing.assert_close(run.values[plan.graph.output], expected, rtol=1e-13, atol=1e-13)
        found = propagate(plan, run, relevance)
    assert found.relevance.shape == x.shape
    assert found.relevance.isfinite().all()
    assert_balanced(found, relevance, 1e-12)
    alone = back_through(module, x[1:2], relevance[1:2], rule)
    torch.testing.assert_close(alone.relevance[0], found.relevance[1], rtol=1e-12, atol=1e-12)
    _check_float32(module, x, rule)
    return found


def _check_float32(module: nn.Module, x: Tensor, rule: Rule | None) -> None:
    """The same in float32, from the module's own output as the relevance, as it is when a model is explained."""
    small = copy.deepcopy(module).float()
    plan = make_plan(in_float32(graph_of(module, x)), small, rule)
    with torch.inference_mode():
        run = run_forward(plan, x.float())
        output = run.values[plan.graph.output]
        torch.testing.assert_close(output, small(x.float()), rtol=1e-5, atol=1e-6)
        found = propagate(plan, run, output)
    assert output.dtype == found.relevance.dtype == torch.float32
    assert_balanced(found, output, 1e-5)


def in_float32(graph: Graph) -> Graph:
    """Return a float64 module's graph as a trace in float32 would be: numbers made in forward have the other type."""

    def small(value: object) -> object:
        if value is torch.float64:
            return torch.float32
        if isinstance(value, Tensor) and value.dtype == torch.float64:
            return value.float()
        if isinstance(value, tuple):
            return tuple(small(item) for item in value)
        return value

    return replace(
        graph,
        nodes=tuple(
            replace(node, args=small(node.args), kwargs={key: small(value) for key, value in node.kwargs.items()})
            for node in graph.nodes
        ),
        constants={name: small(tensor) for name, tensor in graph.constants.items()},
    )


def operations_of(room: ModuleType) -> set[str]:
    """Return the names of the operations that a room's handlers serve."""
    return {str(op) for op, handler in HANDLERS.items() if type(handler).__module__ == room.__name__}


def operations_in(module: nn.Module, x: Tensor) -> set[str]:
    """Return the names of the operations in a module's traced graph."""
    return {str(node.op) for node in graph_of(module, x).nodes}
