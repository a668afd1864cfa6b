"""Every rule on every kind of linear layer, against dense matrices in NumPy (naive_lrp.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from engine import back_through, seeded, signed
from naive_lrp import (
    connections_of,
    kept_by_mass,
    matrix_of,
    quotients,
    rescaled,
    share,
    share_again,
    shared_anew,
    stab,
)
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import (
    AlphaBeta,
    Branch,
    ConservingRelative,
    Epsilon,
    Flat,
    Gamma,
    Pruning,
    Relative,
    Rule,
    Term,
    WSquare,
    ZBox,
    ZPlus,
    make_plan,
    run_forward,
    trace,
)

# a stabiliser that can be seen: 1e-6 would let a forgotten sign pass
RULES: dict[str, tuple[Rule, str, dict]] = {
    "epsilon": (Epsilon(eps=0.05), "epsilon", {"eps": 0.05}),
    "epsilon as published": (Epsilon(), "epsilon", {"eps": 1e-6}),
    "gamma": (Gamma(0.25, eps=0.05), "gamma", {"gamma": 0.25, "eps": 0.05}),
    "gamma strong": (Gamma(3.0), "gamma", {"gamma": 3.0}),
    "gamma 0 is epsilon": (Gamma(0.0, eps=0.05), "epsilon", {"eps": 0.05}),
    "zplus": (ZPlus(eps=0.05), "zplus", {"eps": 0.05}),
    "alphabeta 2 1": (AlphaBeta(2, 1, eps=0.05), "alphabeta", {"alpha": 2, "beta": 1, "eps": 0.05}),
    "alphabeta 1.5 0.5": (AlphaBeta(1.5, 0.5), "alphabeta", {"alpha": 1.5, "beta": 0.5}),
    "alphabeta 1 0 is zplus": (AlphaBeta(1, 0, eps=0.05), "zplus", {"eps": 0.05}),
    "relative": (Relative(), "relative", {}),
    "conserving relative": (ConservingRelative(eps=0.05), "conserving", {"eps": 0.05}),
    "flat": (Flat(eps=0.05), "flat", {"eps": 0.05}),
    "wsquare": (WSquare(eps=0.05), "wsquare", {"eps": 0.05}),
    "zbox": (ZBox(-4.0, 5.0, eps=0.05), "zbox", {"low": -4.0, "high": 5.0, "eps": 0.05}),
}
PROPORTIONAL = [name for name, (_, kind, _) in RULES.items() if kind not in ("flat", "wsquare", "zbox")]

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: nn.Conv1d(4, 3, 3), (4, 7)),
    "conv1d padded": (lambda: nn.Conv1d(4, 3, 5, padding=3), (4, 7)),
    "conv1d stride that leaves a rest": (lambda: nn.Conv1d(3, 4, 3, stride=3, padding=1), (3, 12)),
    "conv1d stride above kernel": (lambda: nn.Conv1d(3, 4, 2, stride=4), (3, 11)),
    "conv1d dilated, grouped": (lambda: nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), (4, 9)),
    "conv1d depthwise": (lambda: nn.Conv1d(4, 4, 3, padding=1, groups=4), (4, 6)),
    "conv1d same, even kernel": (lambda: nn.Conv1d(4, 3, 4, padding="same"), (4, 8)),
    "conv1d same, even kernel, dilated, grouped": (
        lambda: nn.Conv1d(4, 4, 2, padding="same", dilation=3, groups=2),
        (4, 8),
    ),
    "conv1d valid": (lambda: nn.Conv1d(4, 3, 3, padding="valid", stride=2), (4, 8)),
    "conv1d without bias": (lambda: nn.Conv1d(4, 3, 3, padding=1, bias=False), (4, 6)),
    "conv2d": (lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (2, 6, 5)),
    "conv2d same, even kernels, grouped": (lambda: nn.Conv2d(2, 4, (2, 4), padding="same", groups=2), (2, 4, 5)),
    "conv2d stride that leaves a rest, no bias": (lambda: nn.Conv2d(2, 3, 3, stride=(2, 3), bias=False), (2, 6, 7)),
    "linear": (lambda: nn.Linear(9, 5), (9,)),
    "linear without bias": (lambda: nn.Linear(9, 5, bias=False), (9,)),
    "linear on the last of three axes": (lambda: nn.Linear(5, 4), (3, 5)),
}
# every rule on the layers that differ most; the rules with the most terms on all
THOROUGH = ("gamma", "epsilon", "flat", "zbox", "relative", "conserving relative")
PAIRS = [
    (layer, rule)
    for number, layer in enumerate(LAYERS)
    for at, rule in enumerate(RULES)
    if rule in THOROUGH or (number + at) % 4 == 0 or layer in ("linear", "conv1d padded")
]


@dataclass(frozen=True)
class Dense:
    """A layer, and the same as matrices."""

    layer: nn.Module
    shape: tuple[int, ...]
    W: np.ndarray
    b: np.ndarray
    connected: np.ndarray

    def linked(self, rule: str) -> dict[str, np.ndarray]:
        return {"connected": self.connected} if rule == "flat" else {}


@cache
def dense(name: str) -> Dense:
    build, shape = LAYERS[name]
    layer = seeded(build, seed=sum(map(ord, name)))
    connected = connections_of(layer, shape)
    return Dense(layer, shape, *matrix_of(layer, shape), connected)


def inputs(shape: tuple[int, ...], kind: str) -> Tensor:
    if kind == "both signs":
        return signed(3, *shape, seed=1)
    channel = signed(3, *shape, seed=2).argmax(1, keepdim=True)
    return torch.zeros(3, *shape, dtype=torch.float64).scatter_(1, channel, 1.0)


@pytest.mark.parametrize("kind", ["both signs", "one-hot"])
@pytest.mark.parametrize(("layer", "rule"), PAIRS)
def test_shares_of_inputs_bias_and_stabiliser_equal_the_dense_formula(layer: str, rule: str, kind: str) -> None:
    d = dense(layer)
    engine_rule, naive, how = RULES[rule]
    x = inputs(d.shape, kind)
    with torch.no_grad():
        z = d.layer(x)
    R = signed(*z.shape, seed=3)
    assert (z < 0).any()
    assert (z > 0).any()
    found = back_through(d.layer, x, R, engine_rule)
    (row,) = found.ledger.rows
    for n in range(len(x)):
        a = x[n].numpy().ravel()
        expected = share(naive, a, d.W, d.b, R[n].numpy().ravel(), **how, **d.linked(naive))
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-11)
        assert float(row.numbers["relevance_out"][n]) == pytest.approx(float(R[n].sum()), abs=1e-11)
        assert float(row.numbers["relevance_in"][n]) == pytest.approx(float(expected.relevance.sum()), abs=1e-10)
        assert float(row.numbers["size"][n]) == pytest.approx(float(R[n].abs().sum()))
        if naive == "relative":
            assert float(row.numbers["scale"][n]) == pytest.approx(expected.scale)
            assert "unexplained" not in row.numbers
        else:
            assert float(row.numbers["bias"][n]) == pytest.approx(expected.bias, abs=1e-10)
            assert float(row.numbers["stabiliser"][n]) == pytest.approx(expected.stabiliser, abs=1e-10)
            # the dense shares add up, so the ledger must have nothing left
            assert abs(float(row.numbers["unexplained"][n])) < 1e-10 * (1 + float(R[n].abs().sum()))


@pytest.mark.parametrize("rule", PROPORTIONAL)
def test_coefficients_are_the_shares_of_a_base_that_would_be_present(rule: str) -> None:
    """METHODS.md, section 4: c_i is what input i's share divided by its value would be, were it positive."""
    d = dense("conv1d padded")
    engine_rule, naive, how = RULES[rule]
    x = inputs(d.shape, "one-hot")
    R = signed(*d.layer(x).shape, seed=5)
    found = back_through(d.layer, x, R, engine_rule)
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)
    c = found.coefficient[0].numpy().ravel()
    a, r = x[0].numpy().ravel(), R[0].numpy().ravel()
    if naive == "relative":
        expected = d.W @ r / share(naive, a, d.W, d.b, r).scale
    else:
        eps, expected = how.get("eps", 1e-6), np.zeros_like(a)
        terms = {name: value for name, value in how.items() if name != "eps"}
        present = quotients(naive, np.ones_like(a), d.W, d.b, **terms)
        for q, p in zip(quotients(naive, a, d.W, d.b, **terms), present, strict=True):
            anew = shared_anew(naive, r, q.denominator, eps)
            expected += p.numerators @ (np.where(q.serves, q.coefficient * anew, 0) / stab(q.denominator, eps))
    np.testing.assert_allclose(c, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rule", ["flat", "wsquare", "zbox"])
def test_rules_that_are_not_proportional_to_the_input_have_no_coefficients(rule: str) -> None:
    d = dense("conv1d")
    assert back_through(d.layer, inputs(d.shape, "one-hot"), None, RULES[rule][0]).coefficient is None


def test_a_box_may_differ_by_channel() -> None:
    d = dense("conv1d padded")
    low, high = torch.tensor([-1.0, -2, -3, -4])[:, None], torch.tensor([1.0, 2, 3, 4])[:, None]
    x = signed(2, *d.shape, seed=4).clamp(-1, 1)
    R = signed(*d.layer(x).shape, seed=5)
    found = back_through(d.layer, x, R, ZBox(low, high)).relevance
    bounds = [np.broadcast_to(t.numpy(), d.shape).reshape(-1, 1) for t in (low, high)]
    expected = share("zbox", x[0].numpy().ravel(), d.W, d.b, R[0].numpy().ravel(), low=bounds[0], high=bounds[1])
    np.testing.assert_allclose(found[0].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("tau", [0.0, 0.2, 0.6])
def test_matrix_mode_shares_again_among_kept_inputs_only(rule: str, tau: float) -> None:
    """One hidden layer, so that the pruned activation's readers are one linear layer under each rule."""
    if rule == "relative":
        pytest.skip("relative has no denominator: matrix is lambda there (tested with the golden vectors)")
    engine_rule, naive, how = RULES[rule]
    net = hidden_net()
    x = inputs((4, 7), "both signs")
    R = signed(3, 2, 3, seed=8)
    found = back_through(net, x, R, {"0": Epsilon(), "2": engine_rule}, Pruning(p=0.5, mode="matrix", tau=tau))
    prune_row = next(row for row in found.ledger.rows if row.op == "prune")
    W, b = matrix_of(net[2], (3, 5))
    W0, b0 = matrix_of(net[0], (4, 7))
    for n in range(len(x)):
        x_n = x[n].numpy().ravel()
        a = np.maximum(x_n @ W0 + b0, 0)
        linked = {"connected": connections_of(net[2], (3, 5))} if naive == "flat" else {}
        before = share(naive, a, W, b, R[n].numpy().ravel(), **how, **linked).relevance
        kept = kept_by_mass(before, 0.5, 0.25)
        after, guarded = share_again(naive, a, W, b, R[n].numpy().ravel(), kept, tau, **how, **linked)
        after = rescaled(after, before) if tau > 0 else after
        expected = share("epsilon", x_n, W0, b0, after).relevance
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected, rtol=1e-8, atol=1e-9)
        assert float(prune_row.numbers["guarded"][n]) == guarded


@cache
def hidden_net() -> nn.Sequential:
    net = seeded(lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3)), seed=11)
    assert isinstance(net, nn.Sequential)
    return net


@cache
def dying_net(dtype: torch.dtype) -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(15, 2))).to(dtype)


@pytest.mark.parametrize("rule", [Epsilon(0), Epsilon(1e-60), Gamma(eps=0), ZPlus(eps=0)], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_stabiliser_dead_units_do_not_make_nan(rule: Rule, dtype: torch.dtype) -> None:
    """A ReLU's zero outputs carry no relevance; 0 / 0 there is 0."""
    net = dying_net(dtype)
    x = inputs((4, 7), "both signs").to(dtype)
    found = back_through(net, x, None, rule)
    assert torch.isfinite(found.relevance).all()
    assert found.relevance.any()


def test_a_branch_that_shares_nothing_does_not_divide_by_zero() -> None:
    """z = -1: the branch of outputs with z >= 0 has the denominator -1 there, which eps = 1 would cancel."""
    layer = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 0.0]]))
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    found = back_through(layer, x, None, Gamma(1.0, eps=1.0)).relevance
    assert found.tolist() == [[pytest.approx(-2 / 3), 0]]


def test_a_rule_of_ones_own_needs_branches_and_eps_alone() -> None:
    """Epsilon, written by a user."""

    @dataclass(frozen=True)
    class Mine:
        eps: float = 0.05

        def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
            return (Branch((Term("input", weight),), bias),)

    d = dense("conv1d padded")
    x = inputs(d.shape, "both signs")
    R = signed(*d.layer(x).shape, seed=5)
    ours = back_through(d.layer, x, R, Mine()).relevance
    torch.testing.assert_close(ours, back_through(d.layer, x, R, Epsilon(0.05)).relevance, rtol=1e-12, atol=1e-12)


def test_a_batch_with_negative_inputs_gives_each_sample_what_it_gets_alone() -> None:
    """One sample's sign must not change the branch that another's shares are worked out by."""
    d = dense("conv1d padded")
    x = torch.cat([inputs(d.shape, "one-hot"), inputs(d.shape, "both signs")])
    R = signed(*d.layer(x).shape, seed=5)
    for rule in (Gamma(), ZPlus(), AlphaBeta()):
        whole = back_through(d.layer, x, R, rule)
        alone = back_through(d.layer, x[:3], R[:3], rule)
        torch.testing.assert_close(whole.relevance[:3], alone.relevance, rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(whole.coefficient[:3], alone.coefficient, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Epsilon(-1e-6), "stabiliser"),
        (lambda: Epsilon(float("nan")), "stabiliser"),
        (lambda: Gamma(-0.1), "gamma must be"),
        (lambda: Gamma("0.25"), "gamma must be"),
        (lambda: Gamma(float("inf")), "gamma must be"),
        (lambda: AlphaBeta(2, 2), "alpha - beta must be 1"),
        (lambda: AlphaBeta(0.5, -0.5), "beta >= 0"),
        (lambda: AlphaBeta(float("nan"), float("nan")), "alpha - beta must be 1"),
        (lambda: AlphaBeta("2", 1), "alpha - beta must be 1"),
        (lambda: ZBox(1, 0), "low is above high"),
        (lambda: ZBox(torch.tensor([0.0, 2.0]), 1.0), "low is above high"),
        (lambda: ZBox("a", 1), "number"),
        (lambda: ZBox(0, float("nan")), "number"),
    ],
)
def test_values_that_make_no_rule_are_errors(build: Callable[[], Rule], text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        build()


def test_the_plan_keeps_a_rule_readable() -> None:
    d = dense("linear")
    plan = make_plan(trace(d.layer, signed(2, 9)), d.layer, Gamma(0.5))
    assert [row[3] for row in plan.table()] == ["Gamma(gamma=0.5, eps=1e-06)"]
    assert run_forward(plan, signed(2, 9)).values[plan.graph.output].shape == (2, 5)


def test_the_conserving_relative_rule_keeps_each_signs_total_where_there_is_no_bias() -> None:
    """And its map is R-LRP's but for the constant where all relevance that arrives has one sign."""
    layer = seeded(lambda: nn.Conv1d(4, 6, 5, padding=2, bias=False), seed=4)
    x, R = inputs((4, 12), "one-hot"), signed(3, 6, 12, seed=9)
    found = back_through(layer, x, R, ConservingRelative(eps=0))
    torch.testing.assert_close(found.relevance.sum((1, 2)), R.sum((1, 2)), rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        active = R.abs() * (layer(x) > 0)
    one_sign = back_through(layer, x, active, ConservingRelative(eps=0)).relevance
    relative = back_through(layer, x, active, Relative()).relevance
    scales = one_sign.sum((1, 2), keepdim=True) / relative.sum((1, 2), keepdim=True)
    torch.testing.assert_close(one_sign, relative * scales, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stride", [3, 1], ids=["windows apart", "overlapping windows"])
def test_the_conserving_relative_rule_does_not_see_how_a_max_pool_is_written(stride: int) -> None:
    """A unit that wins several windows, with relevance of either sign from them, counts by its whole relevance."""

    class Pooled(nn.Module):
        def __init__(self, readers: int) -> None:
            super().__init__()
            self.readers = readers
            self.conv, self.last = nn.Conv1d(4, 5, 3), nn.Linear(5 * (10 // stride + 1), 3)

        def forward(self, x: Tensor) -> Tensor:
            z = self.conv(x).relu()
            y = self.last(nn.functional.max_pool1d(z, 3, stride).flatten(1))
            # read by another, too, the layer is not run at the pool's winners alone
            return torch.cat([y, y[:, :1] if self.readers == 1 else z[:, :1, 0]], 1)

    x, R = inputs((4, 15), "one-hot"), signed(3, 4, seed=2)
    R[:, 3] = 0  # of what is there for the sake of its reader
    nets = [seeded(lambda readers=readers: Pooled(readers), seed=6) for readers in (1, 2)]
    maps = [
        back_through(net, x, R, {"conv": ConservingRelative(), "last": Epsilon()}, Pruning(p=0)).relevance
        for net in nets
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-9, atol=1e-12)
    assert bool((maps[0] != 0).any())
