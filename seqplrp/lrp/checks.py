"""Checks for rules and handlers of your own: what ours are held to, in one call each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Graph
from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.plan import Plan, make_plan
from seqplrp.lrp.propagate import Propagated, output_of, propagate, run_forward
from seqplrp.lrp.prune import Pruning
from seqplrp.lrp.rules import Branch, Relative, Rule, Term
from seqplrp.lrp.trace import trace

_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def check_rule(rule: Rule, *, seed: int = 0) -> None:
    """Check a rule as the package's own rules are checked.

    On convolutions (padded, strided, dilated, grouped) and linear layers, with and without bias, with inputs of one and
    of both signs: the rule's branches have the layer's shapes and keep what they promise; the ledger balances; one
    sequence's relevance does not depend on the others; single precision agrees with double; pruning works under it; the
    layer's weights are left alone.

    Parameters
    ----------
    rule : Rule
        A frozen dataclass with ``eps`` and ``branches(weight, bias)``.
    seed : int
        Of the random weights and inputs.

    Raises
    ------
    SeqplrpError
        Naming the first check that fails, and on which layer.

    Examples
    --------
    >>> from seqplrp.lrp import Gamma, check_rule
    >>> check_rule(Gamma(0.1))
    """
    if not isinstance(rule, Rule) or isinstance(rule, type):
        raise _failed(rule, "the rule itself", "it lacks eps or branches", "see the protocol seqplrp.lrp.Rule")
    if not is_dataclass(rule) or not rule.__dataclass_params__.frozen:
        raise _failed(rule, "the rule itself", "it is no frozen dataclass", "decorate it with @dataclass(frozen=True)")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer, shape in _layers():
            layer.double()
            inputs = torch.randn(3, *shape, dtype=torch.float64)
            graph = trace(layer, inputs)
            for signs, x in (("inputs of both signs", inputs), ("inputs >= 0", inputs.abs())):
                where = f"{layer}, {signs}"
                _check_branches(rule, layer, x, where)
                _check_relevance(rule, graph, layer, x, where)
        _check_under_pruning(rule)


def check_handler(module: nn.Module, x: Tensor) -> None:
    """Check the handlers of a module's operations as the package's own are checked.

    The plan computes what the module computes; the ledger balances at every row, in double and in single precision; one
    sequence's relevance does not depend on the others; relevance is finite; the module is left as it was.

    Parameters
    ----------
    module : nn.Module
        That runs the operation whose handler was registered, alone or among others.
    x : Tensor
        (N, ...) with N >= 2, float64.

    Raises
    ------
    SeqplrpError
        Naming the first check that fails.
    """
    if x.dtype != torch.float64 or len(x) < 2:
        raise SeqplrpError("check_handler", f"x is {x.dtype} of {len(x)} samples", "give two or more, in float64")
    where = type(module).__name__
    before = {name: value.clone() for name, value in module.state_dict().items()}
    plan = make_plan(trace(module, x), module)
    with torch.inference_mode():
        mine = output_of(plan, run_forward(plan, x))
        theirs = module(x)
    if mine.shape != theirs.shape or not torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12):
        raise _failed(where, "forward", "the plan computes something else than the module", "look at Handler.forward")
    start = torch.randn(mine.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = _back(plan, x, start)
    _check_finite(where, found)
    _check_balance(where, found.ledger, torch.float64)
    for n in range(len(x)):
        alone = _back(plan, x[n : n + 1], start[n : n + 1])
        _check_close(where, "batch independence", alone.relevance[0], found.relevance[n], 1e-10)
    alike = _single(module)
    single = _back(make_plan(trace(alike, x.float()), alike), x.float(), start.float())
    _check_balance(where, single.ledger, torch.float32)
    for name, value in module.state_dict().items():
        if not torch.equal(value, before[name]):
            raise _failed(where, "the module", f"its {name} has changed", "copy weights before changing them")


Layer = nn.Linear | nn.Conv1d | nn.Conv2d


def _layers() -> Iterator[tuple[Layer, tuple[int, ...]]]:
    yield nn.Linear(6, 4), (6,)
    yield nn.Conv1d(4, 6, 3, padding=1), (4, 8)
    yield nn.Conv1d(4, 6, 3, padding=1, bias=False), (4, 8)
    yield nn.Conv1d(4, 6, 3, stride=2, dilation=2, groups=2), (4, 9)
    yield nn.Conv2d(2, 3, 2), (2, 4, 3)


def _check_branches(rule: Rule, layer: Layer, x: Tensor, where: str) -> None:
    """Check what a rule says about a layer: shapes, promises, coefficients."""
    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    kept = weight.clone()
    branches = rule.branches(weight, bias)
    if not torch.equal(weight, kept):
        raise _failed(rule, where, "branches changed the layer's weight in place", "work on a copy")
    if not branches or not all(isinstance(branch, Branch) and branch.terms for branch in branches):
        raise _failed(rule, where, "branches gives no Branch with a Term", "return at least one")
    for branch in branches:
        for term in branch.terms:
            if not isinstance(term, Term) or term.weight.shape != weight.shape:
                raise _failed(rule, where, "a term's weight has another shape than the layer's", "keep its shape")
        if branch.bias is not None and branch.bias.shape != weight.shape[:1]:
            raise _failed(rule, where, "a branch's bias is not (outputs,)", "keep the layer's shape")
    for served in ("nonnegative", "negative"):
        total = sum(branch.coefficient for branch in branches if branch.outputs in ("all", served))
        if abs(total - 1) > 1e-9:
            raise _failed(
                rule, where, f"the coefficients that serve {served} outputs sum to {total:g}", "let them sum to 1"
            )
    _check_promises(rule, branches, layer, x, where)


def _check_promises(rule: Rule, branches: tuple[Branch, ...], layer: Layer, x: Tensor, where: str) -> None:
    """Check that denominators said to be the output, or not negative, are."""
    weight = layer.weight.detach().clone()
    parts: dict[str, Callable[[Tensor], Tensor]] = {
        "input": lambda v: v,
        "positive": lambda v: v.clamp(min=0),
        "negative": lambda v: v.clamp(max=0),
        "one": torch.ones_like,
    }
    with torch.no_grad():
        z = layer(x)
        zero = layer(torch.zeros_like(x))  # the bias, in the output's shape
        for branch in branches:
            if any(term.part not in parts for term in branch.terms):
                continue  # bounds of the input are the rule's own
            total = torch.zeros_like(z)
            for term in branch.terms:
                layer.weight.data = term.weight
                total = total + layer(parts[term.part](x)) - zero
                layer.weight.data = weight
            if branch.bias is not None:
                total = total + branch.bias.view(-1, *(1,) * (z.dim() - 2))
            serves = torch.ones_like(z, dtype=torch.bool)
            if branch.outputs != "all":
                serves = (z >= 0) if branch.outputs == "nonnegative" else (z < 0)
            if branch.is_forward and not torch.allclose(total, z, rtol=1e-9, atol=1e-9):
                raise _failed(rule, where, "a branch that says is_forward is not the layer's output", "leave it False")
            if branch.nonnegative and bool((total[serves] < -1e-9).any()):
                raise _failed(rule, where, "a denominator said not to be negative is", "leave nonnegative False")


def _check_relevance(rule: Rule, graph: Graph, layer: Layer, x: Tensor, where: str) -> None:
    plan = make_plan(graph, layer, rule)
    start = output_of(plan, run_forward(plan, x)).detach()
    found = _back(plan, x, start)
    _check_finite(f"{rule!r} on {where}", found)
    if not isinstance(rule, Relative):
        _check_balance(f"{rule!r} on {where}", found.ledger, torch.float64)
    for n in range(len(x)):
        alone = _back(plan, x[n : n + 1], start[n : n + 1])
        _check_close(f"{rule!r} on {where}", "batch independence", alone.relevance[0], found.relevance[n], 1e-10)
    single = _back(make_plan(graph, _single(layer), rule), x.float(), start.float())
    if not isinstance(rule, Relative):
        _check_balance(f"{rule!r} on {where}", single.ledger, torch.float32)


def _check_under_pruning(rule: Rule) -> None:
    """Check that p = 0 is plain LRP bit for bit, and that either mode keeps the sums that it prunes."""
    net = nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Conv1d(5, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    net = net.double()
    x = torch.rand(3, 4, 8, dtype=torch.float64)
    plan = make_plan(trace(net, x), net, rule)
    start = output_of(plan, run_forward(plan, x)).detach()
    plain = _back(plan, x, start)
    modes: tuple[Literal["lambda", "matrix"], ...] = ("lambda", "matrix")
    for mode, p in product(modes, (0.0, 0.4)):
        found = _back(plan, x, start, Pruning(p=p, mode=mode))
        where = f"{rule!r} pruned by p={p}, mode={mode}"
        _check_finite(where, found)
        if p == 0 and not torch.equal(found.relevance, plain.relevance):
            raise _failed(where, "p = 0", "is not plain LRP bit for bit", "report it: this is the engine's promise")
        if not isinstance(rule, Relative):
            _check_balance(where, found.ledger, torch.float64)


def _single(module: nn.Module) -> nn.Module:
    """Return a copy of a module in single precision."""
    return copy.deepcopy(module).float()


def _back(plan: Plan, x: Tensor, start: Tensor, pruning: Pruning | None = None) -> Propagated:
    with torch.inference_mode():
        return propagate(plan, run_forward(plan, x), start, pruning)


def _check_finite(where: str, found: Propagated) -> None:
    if not bool(torch.isfinite(found.relevance).all()):
        raise _failed(where, "relevance", "is not finite", "stabilise what it is divided by")


def _check_balance(where: str, ledger: Ledger, dtype: torch.dtype) -> None:
    worst = ledger.largest_unexplained()
    if worst is not None and not worst.share <= _TOLERANCE[dtype]:
        raise _failed(
            where,
            "the ledger",
            f"leaves {worst.share:.2g} of |relevance| unexplained at {worst.layer} ({worst.op}) in {dtype}",
            "enter what biases and stabilisers take, or hand on all that arrives",
        )


def _check_close(where: str, what: str, a: Tensor, b: Tensor, tolerance: float) -> None:
    if not torch.allclose(a, b, rtol=tolerance, atol=tolerance):
        raise _failed(
            where, what, f"one sequence differs by {float((a - b).abs().max()):.2g} in company", "mix no sequences"
        )


def _failed(where: object, check: str, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(f"{where} ({check})", what, remedy)
