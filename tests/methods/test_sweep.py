"""A sweep gives what separate explainers give, bit for bit, from one forward pass."""

from __future__ import annotations

import pytest
import torch
from nets import binary, classifier, without_biases

import seqplrp as sp
from seqplrp.lrp.ops.branches import Parts
from seqplrp.methods import Sweep, relevance

PRUNINGS = (
    {"p": 0.0},
    {"p": 0.25},
    {"p": 0.9, "p_neg": 0.1},
    {"budget": 0.75},
    {"p": 0.5, "mode": "matrix"},
    {"p": 0.5, "mode": "matrix", "tau": 0.0},
    {"threshold": "gain"},
    {"p": 0.5, "prune_input": True},
)


def sequences(n: int = 7, length: int = 20) -> torch.Tensor:
    codes = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.one_hot(codes, 4).transpose(1, 2).to(torch.float64)
    x[0, :, 3] = 0  # an N
    return x


@pytest.mark.parametrize(
    "rule", [sp.Epsilon(), sp.Gamma(0.25), sp.ZPlus(), sp.AlphaBeta(2, 1), sp.Relative()], ids=repr
)
@pytest.mark.parametrize("net", [classifier, without_biases])
def test_every_member_equals_a_call_of_its_own_bit_for_bit(net, rule) -> None:
    x, target = sequences(), [0, 1, 2, 0, 1, 2, 0]
    methods = [sp.LRP(rule=rule, center="composition")]
    methods += [sp.PLRP(rule=rule, center="composition", **pruning) for pruning in PRUNINGS]
    for batch_size in (None, 3):
        for found, method in zip(Sweep(net(), x, methods)(x, target, batch_size=batch_size), methods, strict=True):
            alone = sp.Explainer(net(), x, method)(x, target, batch_size=batch_size)
            assert found.method == method
            assert torch.equal(found.relevance, alone.relevance)
            assert torch.equal(found.hypothetical, alone.hypothetical)
            assert torch.equal(found.output, alone.output)
            assert torch.equal(found.target, alone.target)
            assert found.ledger.equals(alone.ledger)


def test_order_makes_no_difference_so_one_way_back_leaves_nothing_for_the_next() -> None:
    x = sequences()
    methods = [sp.PLRP(**pruning) for pruning in PRUNINGS]
    there = Sweep(classifier(), x, methods)(x, 1)
    back = Sweep(classifier(), x, methods[::-1])(x, 1)[::-1]
    assert all(torch.equal(a.relevance, b.relevance) for a, b in zip(there, back, strict=True))


def test_both_strands_are_averaged_as_alone_with_the_forward_strands_target() -> None:
    x = sequences()
    methods = [sp.PLRP(p=p, rule=sp.Relative(), reverse_complement=True) for p in (0.2, 0.8)]
    for found, method in zip(Sweep(classifier(), x, methods)(x, "predicted"), methods, strict=True):
        alone = sp.Explainer(classifier(), x, method)(x, "predicted")
        assert torch.equal(found.relevance, alone.relevance)
        assert torch.equal(found.target, alone.target)


def test_the_forward_pass_is_run_once_a_batch(monkeypatch) -> None:
    x, passes = sequences(), []
    sweep = Sweep(binary(), x, [sp.PLRP(p=p) for p in (0.1, 0.5, 0.9)])
    real = relevance.run_forward
    monkeypatch.setattr(relevance, "run_forward", lambda *a, **k: passes.append(1) or real(*a, **k))
    sweep(x, batch_size=3)
    assert len(passes) == 3  # 7 sequences by 3, not 9


def test_rules_with_bounds_a_channel_are_alike_by_their_values_and_can_be_swept() -> None:
    low, high = torch.full((4, 1), -1.0, dtype=torch.float64), torch.full((4, 1), 2.0, dtype=torch.float64)
    assert sp.ZBox(low, high) == sp.ZBox(low.clone(), high.clone())
    assert hash(sp.ZBox(low, high)) == hash(sp.ZBox(low.clone(), high.clone()))
    assert sp.ZBox(low, high) != sp.ZBox(low, high + 1)
    assert sp.ZBox(low, high) != sp.ZBox(-1.0, 2.0)
    rules = [{"@first": sp.ZBox(low.clone(), high.clone()), "*": sp.Epsilon()} for _ in range(2)]
    x, methods = sequences(), [sp.PLRP(rule=rule, p=p) for rule, p in zip(rules, (0.25, 0.5), strict=True)]
    for found, method in zip(Sweep(classifier(), x, methods)(x, 1), methods, strict=True):
        assert torch.equal(found.relevance, sp.explain(classifier(), x, 1, method).relevance)


@pytest.mark.parametrize("rule", [sp.Gamma(0.25), sp.ZPlus(), sp.AlphaBeta(2, 1)], ids=repr)
def test_a_rules_own_sums_are_made_once_a_batch_for_all_members_and_targets(rule, monkeypatch) -> None:
    x, made = sequences(), []
    real = Parts.numerator_sums
    monkeypatch.setattr(Parts, "numerator_sums", lambda *a, **k: made.append(1) or real(*a, **k))

    def counted(work) -> int:
        made.clear()
        work()
        return len(made)

    methods = [sp.PLRP(rule=rule, p=p) for p in (0.1, 0.5, 0.9)]
    alone = counted(lambda: sp.Explainer(classifier(), x, methods[0])(x, 1))
    assert alone > 0
    assert counted(lambda: Sweep(classifier(), x, methods)(x, 1)) == alone
    assert counted(lambda: sp.Explainer(classifier(), x, methods[0]).many(x, [0, 1, 2])) == alone


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ([], "methods: is empty"),
        ([sp.PLRP(), sp.GradientTimesInput()], "is neither LRP nor PLRP"),
        ([sp.PLRP(rule=sp.Gamma()), sp.PLRP(rule=sp.Epsilon())], "differ in rule"),
        ([sp.PLRP(), sp.PLRP(center="uniform")], "differ in center"),
        ([sp.PLRP(), sp.PLRP(reverse_complement=True)], "differ in reverse_complement"),
    ],
)
def test_what_can_not_share_a_forward_pass_is_refused(methods, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told):
        Sweep(classifier(), sequences(), methods)


def test_a_pattern_for_p_that_names_no_layer_is_refused_as_alone() -> None:
    with pytest.raises(sp.SeqplrpError, match="no pattern of the mapping matches this layer"):
        Sweep(classifier(), sequences(), [sp.PLRP(p=0.5), sp.PLRP(p={"nowhere*": 0.5})])
