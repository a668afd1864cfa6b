"""Every operation: forward as torch runs it, relevance back as an independent oracle has it.

Oracles: autograd's vector-Jacobian product for moves and max pools; for what is linear in its input, the contribution
formula r = x * J^T (R / stab(y)), again with autograd's J.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, forward_of, graph_of, one_hot, seeded, signed
from naive_lrp import matrix_of, share
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import (
    Epsilon,
    Flat,
    Gamma,
    Pruning,
    Relative,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
    make_plan,
    run_forward,
)

EPS = 1e-6
Op = Callable[[Tensor], Tensor]

MOVES: dict[str, tuple[Op, tuple[int, ...]]] = {
    "flatten": (lambda x: x.flatten(1), (3, 4)),
    "flatten inner axes": (lambda x: torch.flatten(x, 2, 3), (2, 3, 4)),
    "view": (lambda x: x.view(x.size(0), -1), (3, 4)),
    "reshape": (lambda x: x.reshape(x.shape[0], 2, -1), (3, 4)),
    "unflatten": (lambda x: x.unflatten(1, (2, 3)), (6, 2)),
    "unsqueeze, squeeze": (lambda x: x.unsqueeze(2).squeeze(2).unsqueeze(-1).squeeze(), (3, 4)),
    "permute": (lambda x: x.permute(0, 2, -1, 1), (2, 3, 4)),
    "transpose": (lambda x: x.transpose(-1, 1), (2, 3)),
    "mT": (lambda x: x.mT, (2, 3)),
    "flip": (lambda x: x.flip(1, -1), (4, 5)),
    "clone, contiguous, detach": (lambda x: x.transpose(1, 2).contiguous().clone(), (3, 4)),
    "dropout": (lambda x: F.dropout(F.dropout1d(x, training=False), training=False), (3, 4)),
    "slice": (lambda x: x[:, 1:3, 2:], (4, 6)),
    "slice from the end": (lambda x: x[..., -4:-1], (3, 6)),
    "slice with steps": (lambda x: x[:, ::2, 1::3], (5, 8)),
    "slice beyond the end": (lambda x: x[..., 2:100], (3, 6)),
    "narrow": (lambda x: x.narrow(2, 1, 3), (3, 6)),
    "select": (lambda x: x[:, 1], (3, 4)),
    "select from the end": (lambda x: x.select(-1, -2), (3, 4)),
    "pad": (lambda x: F.pad(x, (2, 1)), (3, 4)),
    "pad two axes": (lambda x: F.pad(x, (0, 1, 2, 0)), (3, 4)),
    "pad by cropping": (lambda x: F.pad(x, (-1, 2, 1, -1)), (4, 5)),
    "pad by cropping all but one": (lambda x: F.pad(x, (-2, -2)), (3, 5)),
    "expand": (lambda x: x.expand(-1, 3, -1, 2), (3, 4, 1)),
    "cat": (lambda x: torch.cat([x[:, :1], x, x[:, 1:]], 1), (3, 4)),
    "cat of one value twice": (lambda x: torch.cat([x, x], -1), (3, 4)),
    "cat of both strands": (lambda x: torch.cat([x, x.flip(1, 2)], 1), (4, 5)),
}

MAX_POOLS: dict[str, tuple[Op, tuple[int, ...]]] = {
    "max pool": (nn.MaxPool1d(2), (3, 8)),
    "max pool that leaves a rest": (nn.MaxPool1d(3), (2, 8)),
    "max pool, overlapping": (nn.MaxPool1d(3, stride=1), (3, 7)),
    "max pool, gaps": (nn.MaxPool1d(2, stride=3), (3, 9)),
    "max pool, dilated, padded": (nn.MaxPool1d(3, stride=2, padding=1, dilation=2), (2, 9)),
    "max pool, ceil mode": (nn.MaxPool1d(3, stride=2, ceil_mode=True), (2, 8)),
    "max pool of the whole length": (lambda x: F.max_pool1d(x, x.shape[-1]), (3, 6)),
    "max pool 2d, overlapping": (nn.MaxPool2d(3, stride=2, padding=1), (2, 6, 5)),
    "max pool 2d, uneven, ceil": (nn.MaxPool2d((2, 3), stride=(1, 2), dilation=(2, 1), ceil_mode=True), (2, 5, 6)),
    "adaptive max pool": (nn.AdaptiveMaxPool1d(3), (2, 8)),
    "adaptive max pool to one": (nn.AdaptiveMaxPool1d(1), (2, 8)),
    "adaptive max pool 2d": (nn.AdaptiveMaxPool2d((2, 3)), (2, 5, 7)),
}

CONTRIBUTIONS: dict[str, tuple[Op, tuple[int, ...]]] = {
    "avg pool": (nn.AvgPool1d(2), (3, 8)),
    "avg pool, overlapping, padded": (nn.AvgPool1d(3, stride=2, padding=1), (2, 7)),
    "avg pool, padding not counted": (nn.AvgPool1d(3, stride=2, padding=1, count_include_pad=False), (2, 7)),
    "avg pool, ceil mode": (nn.AvgPool1d(3, stride=2, ceil_mode=True), (2, 8)),
    "avg pool 2d": (nn.AvgPool2d((2, 3), stride=(2, 1), padding=(1, 1)), (2, 6, 5)),
    "avg pool 2d, own divisor, ceil": (nn.AvgPool2d(2, ceil_mode=True, divisor_override=3), (2, 5, 5)),
    "adaptive avg pool": (nn.AdaptiveAvgPool1d(3), (2, 8)),
    "adaptive avg pool 2d to one": (nn.AdaptiveAvgPool2d(1), (2, 4, 5)),
    "mean of the last axis": (lambda x: x.mean(-1), (3, 5)),
    "mean of two axes, kept": (lambda x: x.mean((1, -1), keepdim=True), (3, 4, 2)),
    "mean of an inner axis": (lambda x: x.mean(1), (3, 4, 2)),
    "sum of an axis": (lambda x: x.sum(2), (3, 5)),
    "sum of all but the batch": (lambda x: x.sum((1, 2)), (3, 5)),
    "sum of the first inner axis, kept": (lambda x: x.sum(1, keepdim=True), (3, 5)),
    "times a number": (lambda x: -1.7 * x, (3, 4)),
    "divided by a number": (lambda x: x / -4, (3, 4)),
    "times a tensor": (lambda x: x * constant(1, 3, 1), (3, 4)),
    "times a tensor that widens it": (lambda x: x * constant(3, 4), (1, 4)),
    "divided by a tensor": (lambda x: x / constant(4), (3, 4)),
    "x + x": (lambda x: x + x, (3, 4)),
}

# y = J x + shift, where the shift takes its share as a bias does
SHIFTED: dict[str, tuple[Op, tuple[int, ...], Callable[[], Tensor | float]]] = {
    "plus a number": (lambda x: x + 0.7, (3, 4), lambda: 0.7),
    "number plus": (lambda x: -0.7 + x, (3, 4), lambda: -0.7),
    "minus a tensor": (lambda x: x - constant(3, 1), (3, 4), lambda: -constant(3, 1)),
    "tensor minus": (lambda x: constant(3, 4) - x, (3, 4), lambda: constant(3, 4)),
    "plus a tensor that widens it": (lambda x: x + constant(3, 4), (1, 4), lambda: constant(3, 4)),
}


@cache
def constant(*shape: int) -> Tensor:
    return signed(*shape, seed=99)


@cache
def module(name: str) -> nn.Module:
    op = {**MOVES, **MAX_POOLS, **CONTRIBUTIONS, **SHIFTED}[name][0]
    return Calls(lambda self, x: op(x)).eval()


def case(name: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """An input of both signs, and relevance for the output."""
    shape = {**MOVES, **MAX_POOLS, **CONTRIBUTIONS, **SHIFTED}[name][1]
    x = signed(3, *shape, seed=1, dtype=dtype)
    return x, signed(*module(name)(x).shape, seed=2, dtype=dtype)


def vector_jacobian(name: str, x: Tensor, v: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (back,) = torch.autograd.grad(module(name)(leaf), leaf, v)
    return back


@pytest.mark.parametrize("name", [*MOVES, *MAX_POOLS, *CONTRIBUTIONS, *SHIFTED])
def test_the_plan_computes_what_torch_computes(name: str) -> None:
    x, _ = case(name)
    torch.testing.assert_close(forward_of(module(name), x), module(name)(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", [*MOVES, *MAX_POOLS])
def test_relevance_moves_back_as_gradients_do(name: str) -> None:
    x, R = case(name)
    found = back_through(module(name), x, R)
    expected = vector_jacobian(name, x, R)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-14, atol=1e-14)
    assert found.ledger.rows == []


@pytest.mark.parametrize("name", [*CONTRIBUTIONS, *SHIFTED])
def test_averages_sums_and_scales_share_by_contribution(name: str) -> None:
    x, R = case(name)
    y = module(name)(x)
    per_output = R / torch.where(y < 0, y - EPS, y + EPS)
    found = back_through(module(name), x, R)
    expected = x * vector_jacobian(name, x, per_output)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-11, atol=1e-12)
    total = sum(row.numbers["unexplained"].abs() / (1 + row.numbers["size"]) for row in found.ledger.rows)
    assert (total < 1e-12).all()
    taken = {"stabiliser": EPS * torch.where(y < 0, -per_output, per_output)}
    if name in SHIFTED:
        taken["bias"] = per_output * SHIFTED[name][2]()
    if len(found.ledger.rows) == 1:
        for column, value in taken.items():
            value = value.reshape(len(x), -1).sum(1)
            torch.testing.assert_close(found.ledger.rows[0].numbers[column], value, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", [*MOVES, *MAX_POOLS, *CONTRIBUTIONS, *SHIFTED])
def test_each_sample_is_passed_back_as_if_alone_in_either_precision(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        if dtype == torch.float32 and "tensor" in name:
            continue  # the constants of these tests are float64
        x, R = case(name, dtype)
        whole = back_through(module(name), x, R).relevance
        assert whole.dtype == dtype
        alone = back_through(module(name), x[1:2], R[1:2]).relevance
        assert torch.equal(alone[0], whole[1])


@pytest.mark.parametrize("name", list(MAX_POOLS))
def test_ties_in_a_max_pool_go_to_the_first(name: str) -> None:
    x, R = case(name)
    level = torch.ones_like(x)
    R = R.abs()
    found = back_through(module(name), level, R).relevance
    torch.testing.assert_close(found.sum(), R.sum())
    torch.testing.assert_close(found, vector_jacobian(name, level, R))


def test_of_equal_winners_the_first_takes_all() -> None:
    pooled = nn.MaxPool1d(4, stride=3)
    ties = torch.tensor([[[1.0, 2, 2, 0, 2, 2, 2]]], dtype=torch.float64)
    assert back_through(pooled, ties, torch.ones(1, 1, 2).double()).relevance.tolist() == [[[0, 1, 0, 0, 1, 0, 0]]]


def sum_of(one: Tensor, other: Tensor) -> Tensor:
    return one + other


def difference_of(one: Tensor, other: Tensor) -> Tensor:
    return one - other


# (two layers' input shape, how the second branch is shaped against the first)
BRANCHES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Op, Op]] = {
    "sum": (sum_of, lambda a: a, lambda b: b),
    "difference": (difference_of, lambda a: a, lambda b: b),
    "sum, the second broadcast over length": (sum_of, lambda a: a, lambda b: b[..., :1]),
    "sum, the first broadcast over channels": (sum_of, lambda a: a[:, :1], lambda b: b),
    "difference, the second without a channel axis": (difference_of, lambda a: a[:, :1], lambda b: b),
}


@pytest.mark.parametrize("name", list(BRANCHES))
def test_two_branches_share_by_what_they_add(name: str) -> None:
    combine, first, second = BRANCHES[name]
    net = seeded(
        lambda: Calls(
            lambda self, x: combine(first(self.one(x)), second(self.two(x))),
            one=nn.Conv1d(4, 3, 1),
            two=nn.Conv1d(4, 3, 1),
        ),
        seed=4,
    )
    x = signed(3, 4, 5, seed=7)
    one, two = first(net.one(x)).detach().requires_grad_(), second(net.two(x)).detach().requires_grad_()
    y = combine(one, two)
    R = signed(*y.shape, seed=8)
    per_output = R / torch.where(y < 0, y - EPS, y + EPS)
    back_one, back_two = torch.autograd.grad(y, (one, two), per_output)
    found = back_through(net, x, R)
    total = torch.zeros_like(x)
    for branch, at, shape in ((net.one, first, one * back_one), (net.two, second, two * back_two)):
        z = branch(x).detach().requires_grad_()
        (into,) = torch.autograd.grad(at(z), z, shape.detach())
        W, b = matrix_of(branch, (4, 5))
        for n in range(len(x)):
            r = share("epsilon", x[n].numpy().ravel(), W, b, into[n].numpy().ravel()).relevance
            total[n] += torch.from_numpy(r).view(4, 5)
    torch.testing.assert_close(found.relevance, total, rtol=1e-9, atol=1e-11)
    added = next(row for row in found.ledger.rows if row.op in ("add", "sub"))
    assert (added.numbers["unexplained"].abs() < 1e-11).all()


def test_sums_keep_the_hypothetical_contributions_of_the_input() -> None:
    """A skip from the very input: x + conv(x) hands coefficients, not products, back to x."""
    net = seeded(lambda: Calls(lambda s, x: x + s.conv(x), conv=nn.Conv1d(4, 4, 3, padding=1)))
    x = one_hot(3, 6)
    found = back_through(net, x, signed(3, 4, 6))
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)
    assert (found.coefficient[x == 0] != 0).any()


SUMS_OF_THE_INPUT: dict[str, Callable[[Tensor], Tensor]] = {
    "both strands": lambda x: x + x.flip(1, 2),
    "windows": lambda x: nn.functional.avg_pool1d(x, 3, 2, 1),
    "to a size": lambda x: nn.functional.adaptive_avg_pool1d(x, 5),
    "all that came before": lambda x: x.cumsum(2),
    "a mean beside the bases": lambda x: torch.cat([x, x.mean(2, keepdim=True).expand_as(x)], 2),
    "a sum over bases, scaled": lambda x: (x.sum(1, keepdim=True) * 0.5).expand(-1, 4, -1) + x,
}


@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), Relative()])
@pytest.mark.parametrize("name", list(SUMS_OF_THE_INPUT))
def test_what_sums_the_input_without_weights_is_part_of_the_first_layer(name: str, rule: Rule) -> None:
    """So hypothetical contributions are those of the sum, sent back; not 0 where bases that are absent sum to 0."""
    summed = SUMS_OF_THE_INPUT[name]
    net = seeded(
        lambda: Calls(lambda s, x: s.two(s.one(x).relu()), one=nn.Conv1d(4, 6, 3), two=nn.Conv1d(6, 2, 2)), seed=3
    )
    whole = Calls(lambda s, x: s.net(summed(x)), net=net)
    x = one_hot(3, 10)
    R = signed(*net(summed(x)).shape, seed=5)
    for pruning in (None, Pruning(p=0.5)):
        found = back_through(whole, x, R, rule, pruning)
        inner = back_through(net, summed(x), R, rule, pruning)
        assert found.coefficient is not None
        assert inner.coefficient is not None
        (expected,) = torch.autograd.functional.vjp(summed, x, inner.coefficient)[1:]
        torch.testing.assert_close(found.coefficient, expected, rtol=1e-11, atol=1e-13)
        assert torch.equal(found.relevance, x * found.coefficient)
        if not isinstance(rule, Relative):
            per_sample = found.relevance.sum((1, 2)) - inner.relevance.sum((1, 2))
            assert (per_sample.abs() < 1e-11).all()


@pytest.mark.parametrize("rule", [Flat(), WSquare(), ZBox(0.0, 2.0)], ids=repr)
@pytest.mark.parametrize("name", list(SUMS_OF_THE_INPUT))
def test_rules_without_coefficients_have_none_behind_a_sum_of_the_input_either(name: str, rule: Rule) -> None:
    """They hand relevance to sums of 0, too; divided by that it would be millions, and centring would spread it."""
    summed = SUMS_OF_THE_INPUT[name]
    net = seeded(lambda: Calls(lambda s, x: s.conv(summed(x)).relu(), conv=nn.Conv1d(4, 6, 3)), seed=3)
    found = back_through(net, one_hot(3, 10), None, rule)
    assert found.coefficient is None
    assert (found.ledger.rows[-1].numbers["unexplained"].abs() < 1e-12).all()


def test_a_mean_of_the_input_beside_features_keeps_its_coefficients() -> None:
    """Where a layer reads both, what arrives at the mean is relevance, but 0 where the mean is."""
    net = seeded(
        lambda: Calls(
            lambda s, x: s.last(torch.cat([s.conv(x).relu().mean(2), x.mean(2)], 1)),
            conv=nn.Conv1d(4, 6, 3),
            last=nn.Linear(10, 2),
        )
    )
    x = one_hot(3, 10)
    found = back_through(net, x, signed(3, 2))
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)


def test_a_difference_of_the_input_is_shared_by_contribution() -> None:
    """Its sign is not known, so that it is no input of one-hot kind to rules that tell signs apart."""
    net = seeded(lambda: Calls(lambda s, x: s.conv(x - x.flip(2)), conv=nn.Conv1d(4, 3, 3)))
    found = back_through(net, one_hot(3, 6), signed(3, 3, 4))
    row = next(row for row in found.ledger.rows if row.op == "sub")
    assert (row.numbers["unexplained"].abs() < 1e-12).all()


def test_constants_beside_an_input_take_their_share_into_the_ledger() -> None:
    """A cat with constants, of both signs, in front of a layer: what they take is a bias."""
    net = seeded(
        lambda: Calls(
            lambda s, x: s.last(torch.cat([s.first(x).relu(), -s.extra.weight[None].expand(x.shape[0], -1, -1)], 1)),
            first=nn.Conv1d(4, 3, 3),
            extra=nn.Linear(4, 2),
            last=nn.Conv1d(5, 2, 2),
        )
    )
    x = one_hot(3, 6)
    for rule in (Epsilon(), Gamma(), ZPlus()):
        found = back_through(net, x, None, rule)
        row = next(row for row in found.ledger.rows if row.op == "cat")
        assert (row.numbers["bias"].abs() > 1e-3).any()
        taken = sum(
            row.numbers[name] for row in found.ledger.rows for name in ("bias", "stabiliser") if name in row.numbers
        )
        start = net(x).detach().sum((1, 2))
        torch.testing.assert_close(found.relevance.sum((1, 2)) + taken, start, rtol=1e-10, atol=1e-11)
        # the dense formula at the last layer, constants and all
        joined = torch.cat([net.first(x).relu(), -net.extra.weight[None].expand(3, -1, -1)], 1).detach()
        W, b = matrix_of(net.last, (5, 4))
        kind = {"Epsilon": "epsilon", "Gamma": "gamma", "ZPlus": "zplus"}[type(rule).__name__]
        r = share(kind, joined[0].numpy().ravel(), W, b, net.last(joined)[0].detach().numpy().ravel()).relevance
        assert float(row.numbers["bias"][0]) == pytest.approx(r.reshape(5, 4)[3:].sum(), abs=1e-10)


@pytest.mark.parametrize("rule", [Gamma(), ZPlus()], ids=repr)
def test_a_constant_made_for_the_batch_may_be_negative(rule) -> None:
    """What is known of signs decides which terms are left out: a ReLU's value plus a constant may be negative."""
    net = seeded(
        lambda: Calls(
            lambda s, x: s.last(s.first(x).relu() + torch.full((x.shape[0], 3, 4), -0.5, dtype=x.dtype)),
            first=nn.Conv1d(4, 3, 3),
            last=nn.Conv1d(3, 2, 2),
        )
    )
    x = one_hot(3, 6)
    found = back_through(net, x, None, {"first": Epsilon(), "last": rule})
    h = net.first(x).relu().detach() - 0.5
    assert (h < 0).any()
    kind = "gamma" if isinstance(rule, Gamma) else "zplus"
    row = next(row for row in found.ledger.rows if row.layer == "last")
    for n in range(3):
        expected = share(kind, h[n].numpy().ravel(), *matrix_of(net.last, (3, 4)), net(x)[n].detach().numpy().ravel())
        assert float(row.numbers["relevance_in"][n]) == pytest.approx(float(expected.relevance.sum()), abs=1e-10)
        assert float(row.numbers["bias"][n]) == pytest.approx(expected.bias, abs=1e-10)


def test_constants_that_stand_beside_the_very_input_keep_its_hypothetical_contributions() -> None:
    net = seeded(
        lambda: Calls(
            lambda s, x: s.conv(torch.cat([x, torch.ones(x.shape[0], 1, 6, dtype=x.dtype)], 1)), conv=nn.Conv1d(5, 2, 3)
        )
    )
    x = one_hot(3, 6)
    found = back_through(net, x)
    assert torch.equal(found.relevance, x * found.coefficient)
    taken = sum(
        row.numbers[name] for row in found.ledger.rows for name in ("bias", "stabiliser") if name in row.numbers
    )
    torch.testing.assert_close(found.relevance.sum((1, 2)) + taken, net(x).detach().sum((1, 2)), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("rule", [Epsilon(), ZPlus(), Gamma(), Relative()], ids=repr)
def test_what_a_move_needs_is_not_freed_before_it(rule) -> None:
    """Rules differ in what they keep of the forward pass; a slice must find its own sizes under each."""
    net = seeded(
        lambda: Calls(
            lambda s, x: s.last(s.middle(s.first(x)[..., 1:-1:2]).relu()[:, 0, 1:].flip(-1)),
            first=nn.Conv1d(4, 3, 3),
            middle=nn.Conv1d(3, 2, 2),
            last=nn.Linear(2, 1),
        )
    )
    x = one_hot(2, 12)
    found = back_through(net, x, None, rule)
    assert torch.isfinite(found.relevance).all()
    assert found.relevance.any()


NORMED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 3, 3, padding=1), nn.BatchNorm1d(3)), (4, 6), 1),
    "conv1d without bias": (lambda: nn.Sequential(nn.Conv1d(4, 3, 3, bias=False), nn.BatchNorm1d(3)), (4, 6), 1),
    "conv1d grouped": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6)), (4, 6), 1),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), (2, 5, 4), 1),
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), (6,), 1),
    "twice": (lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)), (4, 6), 1),
    "without scale and shift": (
        lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3, affine=False, eps=0.1)),
        (4, 6),
        1,
    ),
}


@pytest.mark.parametrize("name", list(NORMED))
def test_a_batch_norm_after_a_layer_is_part_of_that_layer(name: str) -> None:
    build, shape, _ = NORMED[name]
    net = seeded(build, seed=5)
    x = signed(3, *shape, seed=6)
    torch.testing.assert_close(forward_of(net, x), net(x).detach(), rtol=1e-12, atol=1e-12)
    W, b = matrix_of(net, shape)  # conv and norm together are one affine map
    R = signed(*net(x).shape, seed=7)
    for rule, kind in ((Epsilon(), "epsilon"), (Gamma(), "gamma")):
        found = back_through(net, x, R, rule)
        assert [row.op for row in found.ledger.rows] in (["conv1d"], ["conv2d"], ["linear"])
        for n in range(3):
            expected = share(kind, x[n].numpy().ravel(), W, b, R[n].numpy().ravel())
            np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)
            assert float(found.ledger.rows[0].numbers["bias"][n]) == pytest.approx(expected.bias, rel=1e-10, abs=1e-10)


def test_a_batch_norm_before_a_padded_conv_is_a_layer_of_its_own() -> None:
    """Folding it into the conv would move its shift into the padding."""
    net = seeded(lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Conv1d(4, 3, 3, padding=1)), seed=5)
    x, R = one_hot(3, 6), signed(3, 3, 6, seed=7)
    found = back_through(net, x, R, Gamma())
    assert [row.layer for row in found.ledger.rows] == ["1", "0"]
    norm, conv = matrix_of(net[0], (4, 6)), matrix_of(net[1], (4, 6))
    for n in range(3):
        a = x[n].numpy().ravel()
        upper = share("gamma", a @ norm[0] + norm[1], *conv, R[n].numpy().ravel())
        lower = share("epsilon", a, *norm, upper.relevance)
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), lower.relevance, rtol=1e-8, atol=1e-10)
        assert float(found.ledger.rows[1].numbers["bias"][n]) == pytest.approx(lower.bias, abs=1e-9)


def test_a_conv_that_something_else_reads_too_keeps_its_own_output() -> None:
    """Then the batch norm can't be folded: the other reader wants the conv as it is."""
    net = seeded(SharedConv, seed=5)
    x = one_hot(3, 6)
    torch.testing.assert_close(forward_of(net, x), net(x).detach(), rtol=1e-12, atol=1e-12)
    found = back_through(net, x)
    layers = {row.layer for row in found.ledger.rows}
    (addition,) = layers - {"norm", "conv"}
    assert addition.startswith("(forward) add")  # torch before 2.7 puts a number behind it
    assert len(layers) == 3
    taken = sum(row.numbers[k] for row in found.ledger.rows for k in ("bias", "stabiliser") if k in row.numbers)
    torch.testing.assert_close(found.relevance.sum((1, 2)) + taken, net(x).detach().sum((1, 2)), rtol=1e-9, atol=1e-10)


class SharedConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return h + self.norm(h)


def test_a_norm_over_the_wrong_axis_is_not_folded() -> None:
    """Linear on (N, L, C) makes channels on the last axis, but the batch norm scales axis 1."""
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(3)), seed=5)
    x = signed(2, 3, 4)
    torch.testing.assert_close(forward_of(net, x), net(x).detach(), rtol=1e-12, atol=1e-12)
    assert [row.layer for row in back_through(net, x).ledger.rows] == ["1", "0"]


def test_matrix_products_with_constants_are_linear_layers() -> None:
    weight = signed(6, 4, seed=3)
    products = {
        "matmul": Calls(lambda s, x: x @ weight),
        "addmm": Calls(lambda s, x: torch.addmm(weight[0], x, weight)),
    }
    x, R = signed(3, 6, seed=1), signed(3, 4, seed=2)
    for name, net in products.items():
        bias = weight[0].numpy() if name == "addmm" else np.zeros(4)
        found = back_through(net, x, R, Gamma())
        for n in range(3):
            expected = share("gamma", x[n].numpy(), weight.numpy(), bias, R[n].numpy()).relevance
            np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda s, x: torch.add(x, x, alpha=2), "alpha=2"),
        (lambda s, x: F.dropout(x, training=True), "dropout stays switched on"),
        (lambda s, x: F.batch_norm(x, None, None, training=True), "one sequence's output depend on the others"),
    ],
)
def test_what_a_handler_can_not_serve_is_an_error_with_a_remedy(forward, text: str) -> None:
    net = Calls(forward)
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, 4, 4)), net)
    assert caught.value.where.startswith("(forward) ")
    assert caught.value.remedy


def test_values_that_nothing_needs_any_more_are_freed() -> None:
    net = seeded(
        lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5), nn.ReLU()),
    )
    x = one_hot(2, 6)
    plan = make_plan(graph_of(net, x), net)
    with torch.inference_mode():
        kept = run_forward(plan, x)
    held = {name for name, value in kept.values.items() if isinstance(value, Tensor)}
    assert len(held) < len(plan.steps)
