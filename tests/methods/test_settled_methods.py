"""A method with its defaults written out says what it does, and does the same."""

from __future__ import annotations

import pytest
import torch

import seqplrp as sp
from seqplrp.methods import METHODS, resolve_method, settled


def test_the_default_says_its_rules_and_its_budget() -> None:
    found = repr(settled("plrp"))
    assert "rule={'@first': ConservingRelative(eps=1e-06), '*': Gamma(gamma=0.25, eps=1e-06)}" in found
    assert "budget=0.5" in found


def test_a_method_inside_another_one_is_written_out_too() -> None:
    assert "budget=0.5" in repr(settled(sp.SmoothGrad(over="plrp")))
    assert "sparsity=0.9" in repr(settled(sp.SmoothGrad(over="neuron-mct")))


def test_what_was_given_stays() -> None:
    given = sp.PLRP(rule=sp.Epsilon(), p=0.3, p_neg=0.2, center="uniform")
    assert settled(given) == given
    assert settled(sp.NeuronMCT(max_change=0.15)).sparsity is None


def test_another_default_is_another_description(monkeypatch) -> None:
    before = repr(settled("plrp"))
    monkeypatch.setattr("seqplrp.methods.settling.DEFAULT_BUDGET", 0.95)
    assert repr(settled("plrp")) != before


@pytest.mark.parametrize("name", ["plrp", "lrp", "r-lrp", "neuron-mct", "neuron-intgrad", "gradient-x-input"])
def test_the_map_is_the_same_to_the_bit(name: str) -> None:
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 14, 2)
    ).eval()
    x = sp.one_hot(["ACGTACGATTTACGGGACAT", "TTGACCATGGCAATCCGTTA"])
    methods = [name, sp.PLRP(p=0.5), sp.PLRP(rule="gamma", threshold="gain")] if name == "plrp" else [name]
    for method in methods:
        one, other = (sp.explain(model, x, target=1, method=m).relevance for m in (method, settled(method)))
        assert torch.equal(one, other)


def test_every_method_can_be_settled_twice() -> None:
    for name in METHODS:
        if name == "background":
            continue  # needs references
        assert settled(settled(name)) == settled(resolve_method(name))
