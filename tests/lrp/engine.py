"""How the engine's tests run it below the public call: one traced module, any relevance at its output."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from seqplrp.lrp import Graph, Propagated, Pruning, Rule, make_plan, propagate, run_forward, trace

_GRAPHS: dict[int, tuple[nn.Module, tuple[int, ...], Graph]] = {}


def graph_of(module: nn.Module, x: Tensor) -> Graph:
    """Trace a module once for each input shape (a trace takes most of these tests' time)."""
    known = _GRAPHS.get(id(module))
    if known is None or known[1] != tuple(x.shape[1:]):
        known = (module, tuple(x.shape[1:]), trace(module, x))
        _GRAPHS[id(module)] = known
    return known[2]


def forward_of(module: nn.Module, x: Tensor) -> Tensor:
    """Return the plan's output."""
    plan = make_plan(graph_of(module, x), module)
    with torch.inference_mode():
        return run_forward(plan, x).values[plan.graph.output].clone()


def back_through(
    module: nn.Module,
    x: Tensor,
    relevance: Tensor | None = None,
    rule: Rule | dict[str, Rule] | None = None,
    pruning: Pruning | None = None,
) -> Propagated:
    """Pass relevance at a module's output (its own output unless given) back to its input."""
    plan = make_plan(graph_of(module, x), module, rule)
    with torch.inference_mode():
        run = run_forward(plan, x)
        start = run.values[plan.graph.output] if relevance is None else relevance
        return propagate(plan, run, start, pruning)


class Calls(nn.Module):
    """A module whose forward is a function of the module and the input."""

    def __init__(self, function, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


@functools.cache
def one_hot(n: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random one-hot DNA (n, 4, length)."""
    codes = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(codes, 4).permute(0, 2, 1).to(dtype).contiguous()


def signed(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal random numbers of both signs."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def seeded(build, seed: int = 0) -> nn.Module:
    """Build a module with the same float64 weights every time, in evaluation mode, its biases and norms not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build().double().eval()
        for sub in module.modules():
            if isinstance(sub, nn.BatchNorm1d | nn.BatchNorm2d):
                sub.running_mean.normal_(0, 0.3)
                sub.running_var.uniform_(0.5, 1.5)
                if sub.affine:
                    nn.init.normal_(sub.weight, 1.0, 0.3)
                    nn.init.normal_(sub.bias, 0.0, 0.3)
        return module
