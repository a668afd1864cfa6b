"""The golden vectors: an independent float64 implementation of METHODS.md (its section 8)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import (
    AlphaBeta,
    Epsilon,
    Gamma,
    Pruning,
    Relative,
    Rule,
    ZPlus,
    cached_trace,
    make_plan,
    output_of,
    propagate,
    run_forward,
    start_at,
)

GOLDEN = dict(np.load(Path(__file__).parents[1] / "data" / "plrp_golden.npz"))
NETWORK = {"x", "target", "output", *(f"{kind}{i}" for kind in "Wb" for i in range(1, 5))}
CASES = sorted(set(GOLDEN) - NETWORK)
RULES: dict[str, Rule] = {
    "epsilon": Epsilon(),
    "gamma": Gamma(0.25),
    "zplus": ZPlus(),
    "alphabeta": AlphaBeta(2, 1),
    "relative": Relative(),
}
_RULE = "(?P<rule>epsilon|gamma|zplus|alphabeta|relative)"


def method_of(case: str) -> tuple[sp.LRP, str]:
    """Read a key of the file: the method it names, and the attribute of the explanation that it holds."""
    if m := re.fullmatch(rf"lrp_{_RULE}", case):
        return sp.LRP(rule=RULES[m["rule"]]), "relevance"
    if m := re.fullmatch(rf"hypothetical_lrp_{_RULE}", case):
        return sp.LRP(rule=RULES[m["rule"]]), "hypothetical"
    if m := re.fullmatch(rf"centred_(?P<center>uniform|composition)_{_RULE}", case):
        return sp.LRP(rule=RULES[m["rule"]], center=m["center"]), "relevance"
    m = re.fullmatch(
        rf"plrp_(?P<mode>lambda|matrix)_(?P<threshold>mass|gain|budget)(?P<value>[\d.]+)"
        rf"(_neg(?P<neg>[\d.]+))?(_tau(?P<tau>[\d.]+))?_{_RULE}",
        case,
    )
    assert m, f"nothing covers the golden vector {case}"
    value = float(m["value"])
    options: dict = {"rule": RULES[m["rule"]], "mode": m["mode"]}
    if m["threshold"] == "gain":
        options |= {"threshold": "gain", "gain": value}
    else:
        options |= {"budget" if m["threshold"] == "budget" else "p": value}
    if m["neg"]:
        options["p_neg"] = float(m["neg"])
    if m["tau"]:
        options["tau"] = float(m["tau"])
    return sp.PLRP(**options), "relevance"


@cache
def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    model = nn.Sequential(
        nn.Conv1d(4, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(3, stride=2),
        nn.Conv1d(6, 5, 3, padding=1, dilation=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(50, 7),
        nn.ReLU(),
        nn.Linear(7, 3),
    ).double()
    layers = [m for m in model if isinstance(m, nn.Conv1d | nn.Linear)]
    with torch.no_grad():
        for i, layer in enumerate(layers, start=1):
            layer.weight.copy_(torch.from_numpy(GOLDEN[f"W{i}"]))
            layer.bias.copy_(torch.from_numpy(GOLDEN[f"b{i}"]))
    return model.to(dtype)


def golden(key: str) -> Tensor:
    return torch.from_numpy(GOLDEN[key])


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference, against each sequence's largest entry."""
    axes = tuple(range(1, expected.dim()))
    return float(((found - expected).abs().amax(axes) / expected.abs().amax(axes)).max())


def test_the_file_holds_what_methods_md_says() -> None:
    assert len(CASES) == 36
    assert golden("x").shape == (8, 4, 25)
    for case in CASES:
        method_of(case)


def test_the_network_gives_the_golden_outputs() -> None:
    with torch.no_grad():
        torch.testing.assert_close(network()(golden("x")), golden("output"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_explain_agrees_with_the_golden_vector(case: str) -> None:
    method, attribute = method_of(case)
    e = sp.explain(network(), golden("x"), target=golden("target"), method=method)
    found = getattr(e, attribute)
    assert found.dtype == torch.float64
    assert relative_error(found, golden(case)) < 1e-9
    torch.testing.assert_close(e.output, golden("output").gather(1, golden("target")[:, None])[:, 0])


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("centred")])
def test_the_engine_alone_agrees_with_the_golden_vector(case: str) -> None:
    method, attribute = method_of(case)
    pruning = method.pruning
    assert (pruning is None) == (not case.startswith("plrp"))
    x = golden("x")
    plan = make_plan(cached_trace(network(), x), network(), method.rule)
    with torch.inference_mode():
        run = run_forward(plan, x)
        found = propagate(plan, run, start_at(output_of(plan, run), golden("target")), pruning)
    result = found.coefficient if attribute == "hypothetical" else found.relevance
    assert relative_error(result, golden(case)) < 1e-9


@pytest.mark.parametrize("case", CASES)
def test_float32_agrees_with_the_golden_vector_to_rounding(case: str) -> None:
    method, attribute = method_of(case)
    e = sp.explain(network(torch.float32), golden("x").float(), target=golden("target"), method=method)
    found = getattr(e, attribute)
    assert found.dtype == torch.float32
    assert relative_error(found.double(), golden(case)) < 2e-4


def test_the_budget_spans_three_activations() -> None:
    plan = make_plan(cached_trace(network(), golden("x")), network())
    assert plan.depth == 3
    assert isinstance(sp.PLRP(budget=0.75).pruning, Pruning)


def test_one_at_a_time_gives_what_the_batch_gives() -> None:
    method = sp.PLRP(p=0.5)
    x, target = golden("x"), golden("target")
    whole = sp.explain(network(), x, target=target, method=method).relevance
    for n in range(len(x)):
        alone = sp.explain(network(), x[n : n + 1], target=int(target[n]), method=method).relevance
        torch.testing.assert_close(alone[0], whole[n], rtol=1e-12, atol=1e-14)
