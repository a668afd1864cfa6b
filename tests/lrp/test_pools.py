"""Pools, reductions, resampling: oracles are autograd's Jacobians, dense matrices, and sums written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, seeded, signed
from handler_checks import check_handler, operations_in, operations_of, with_zeros
from naive_lrp import matrix_of, share
from scipy import special
from torch import Tensor, nn

import seqplrp as sp
import seqplrp.lrp.plan as plan_module
from seqplrp.lrp import Gamma, ZPlus, make_plan, propagate, run_forward
from seqplrp.lrp.ops import pooling, reductions, resampling

EPS = 1e-6
aten = torch.ops.aten
Op = Callable[[Tensor], Tensor]

# what is linear in its input, and shares by contribution
LINEAR: dict[str, tuple[Op, tuple[int, ...]]] = {
    "avg pool": (nn.AvgPool1d(3), (2, 8)),
    "avg pool, overlapping, padded": (nn.AvgPool1d(4, stride=3, padding=2), (2, 9)),
    "avg pool, padding not counted, ceil": (
        nn.AvgPool1d(4, stride=3, padding=1, ceil_mode=True, count_include_pad=False),
        (2, 9),
    ),
    "avg pool, gaps": (nn.AvgPool1d(2, stride=3), (2, 8)),
    "avg pool without a channel axis": (lambda x: F.avg_pool1d(x, 2), (7,)),
    "avg pool over a row": (lambda x: F.avg_pool2d(x, (1, 2)), (3, 6)),
    "avg pool 2d, uneven, padded, ceil": (
        nn.AvgPool2d((2, 3), stride=(1, 2), padding=(1, 1), ceil_mode=True, count_include_pad=False),
        (2, 4, 6),
    ),
    "avg pool 2d, own divisor": (nn.AvgPool2d(2, stride=1, divisor_override=7), (2, 3, 4)),
    "avg pool 3d": (nn.AvgPool3d((1, 2, 2), stride=1, padding=(0, 1, 0)), (2, 2, 3, 3)),
    "adaptive avg pool that does not divide": (nn.AdaptiveAvgPool1d(5), (2, 7)),
    "adaptive avg pool that widens": (nn.AdaptiveAvgPool1d(5), (2, 3)),
    "adaptive avg pool 2d that does not divide": (nn.AdaptiveAvgPool2d((2, 4)), (2, 5, 7)),
    "adaptive avg pool 2d of one axis": (nn.AdaptiveAvgPool2d((2, None)), (2, 5, 3)),
    "adaptive avg pool 2d, the other": (lambda x: aten._adaptive_avg_pool2d(x, [2, 2]), (2, 3, 3)),
    "adaptive avg pool 3d": (nn.AdaptiveAvgPool3d((1, 2, 2)), (2, 2, 3, 3)),
    "adaptive avg pool 3d, the other": (lambda x: aten._adaptive_avg_pool3d(x, [1, 2, 2]), (2, 2, 3, 3)),
    "interpolated by area": (lambda x: F.interpolate(x, scale_factor=0.5, mode="area"), (2, 7)),
    "mean of an axis, kept": (lambda x: x.mean(-2, keepdim=True), (3, 5)),
    "mean of several axes": (lambda x: x.mean((3, 1)), (3, 2, 4)),
    "sum of several axes, kept": (lambda x: x.sum((-1, 1), keepdim=True), (3, 2, 4)),
    "cumsum": (lambda x: x.cumsum(1), (4, 3)),
    "cumsum from the end": (lambda x: x.flip(-1).cumsum(-1), (2, 5)),
    "linear upsampling": (nn.Upsample(scale_factor=2, mode="linear"), (2, 4)),
    "linear upsampling by a broken factor": (lambda x: F.interpolate(x, scale_factor=1.7, mode="linear"), (2, 5)),
    "linear upsampling, its size worked out again": (
        lambda x: F.interpolate(x, scale_factor=1.7, mode="linear", recompute_scale_factor=True),
        (2, 5),
    ),
    "linear upsampling to a size": (lambda x: F.interpolate(x, size=9, mode="linear", align_corners=True), (2, 4)),
    "linear downsampling": (lambda x: F.interpolate(x, size=3, mode="linear"), (2, 7)),
    "linear upsampling, the other": (lambda x: aten.upsample_linear1d(x, [7], False, 2.5), (2, 3)),
    "bilinear upsampling": (nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), (2, 3, 4)),
    "bilinear upsampling, corners aligned": (
        lambda x: F.interpolate(x, size=(5, 6), mode="bilinear", align_corners=True),
        (2, 3, 4),
    ),
    "bilinear, antialiased": (
        lambda x: F.interpolate(x, scale_factor=0.6, mode="bilinear", antialias=True),
        (2, 6, 7),
    ),
    "bilinear, antialiased, the other": (lambda x: aten._upsample_bilinear2d_aa(x, [2, 3], False), (2, 4, 5)),
    "bicubic upsampling": (nn.Upsample(scale_factor=2, mode="bicubic"), (2, 3, 4)),
    "bicubic, antialiased": (
        lambda x: F.interpolate(x, scale_factor=0.6, mode="bicubic", antialias=True),
        (2, 6, 7),
    ),
    "bicubic, antialiased, the other": (lambda x: aten._upsample_bicubic2d_aa(x, [2, 3], False), (2, 4, 5)),
    "trilinear upsampling": (nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 2, 3)),
    "trilinear upsampling, the other": (lambda x: aten.upsample_trilinear3d(x, [3, 3, 4], False), (1, 2, 2, 3)),
    "fold": (lambda x: F.fold(x, (4, 3), (2, 2)), (8, 6)),
}

# what copies values, or picks some of them
MOVED: dict[str, tuple[Op, tuple[int, ...]]] = {
    "max pool": (nn.MaxPool1d(3, stride=2, padding=1), (2, 7)),
    "max pool, dilated, ceil": (nn.MaxPool1d(3, stride=2, dilation=2, ceil_mode=True), (2, 10)),
    "max pool with indices": (lambda x: F.max_pool1d(x, 3, stride=1, return_indices=True)[0], (2, 7)),
    "max pool 2d with indices": (lambda x: F.max_pool2d(x, 2, stride=1, return_indices=True)[0], (2, 3, 4)),
    "max pool 3d": (nn.MaxPool3d((1, 2, 2), stride=1, padding=(0, 1, 0), dilation=(1, 1, 2)), (2, 2, 3, 4)),
    "max pool 3d with indices": (lambda x: F.max_pool3d(x, 2, return_indices=True)[0], (2, 2, 3, 4)),
    "max pool without a channel axis": (lambda x: F.max_pool1d(x, 3, stride=2), (9,)),
    "max pool over a row": (lambda x: F.max_pool2d(x, (1, 3), stride=(1, 2)), (3, 7)),
    "max pool over channels, too": (lambda x: F.max_pool2d(x, (2, 3), stride=1), (3, 7)),
    "adaptive max pool that does not divide": (nn.AdaptiveMaxPool1d(5), (2, 7)),
    "adaptive max pool 2d that does not divide": (nn.AdaptiveMaxPool2d((2, 4)), (2, 5, 7)),
    "adaptive max pool 2d of one axis": (nn.AdaptiveMaxPool2d((2, None)), (2, 5, 3)),
    "adaptive max pool 3d": (nn.AdaptiveMaxPool3d((1, 2, 2)), (2, 2, 3, 3)),
    "adaptive max pool without a channel axis": (lambda x: F.adaptive_max_pool1d(x, 4), (9,)),
    "amax": (lambda x: x.amax(1), (4, 3)),
    "amax of two axes that are apart, kept": (lambda x: x.amax((1, -1), keepdim=True), (3, 2, 4)),
    "amin": (lambda x: x.amin(-1), (3, 4)),
    "amin of two axes": (lambda x: x.amin((2, 3)), (2, 3, 4)),
    "max of an axis": (lambda x: x.max(1).values, (4, 3)),
    "max of the last axis, kept": (lambda x: torch.max(x, -1, keepdim=True)[0], (3, 4)),
    "min of an axis": (lambda x: x.min(2)[0], (3, 4)),
    "the largest few": (lambda x: x.topk(3, 1).values, (5, 2)),
    "the smallest few": (lambda x: x.topk(2, largest=False).values, (3, 5)),
    "sorted": (lambda x: x.sort(1, descending=True).values, (4, 3)),
    "sorted, stable": (lambda x: x.sort(dim=2, stable=True).values, (3, 4)),
    "the third": (lambda x: x.kthvalue(3, -1).values, (2, 5)),
    "the second, kept": (lambda x: x.kthvalue(2, 1, keepdim=True).values, (5, 2)),
    "median": (lambda x: x.median(-1).values, (3, 5)),
    "largest so far": (lambda x: x.cummax(-1).values, (3, 6)),
    "smallest so far": (lambda x: x.cummin(1).values, (6, 2)),
    "nearest upsampling": (nn.Upsample(scale_factor=2), (2, 4)),
    "nearest upsampling by a broken factor": (lambda x: F.interpolate(x, scale_factor=1.7), (2, 5)),
    "nearest upsampling to a size": (lambda x: F.interpolate(x, size=x.shape[-1] * 2 + 1), (2, 4)),
    "nearest downsampling": (lambda x: F.interpolate(x, size=3), (2, 7)),
    "nearest upsampling, the other": (lambda x: aten.upsample_nearest1d(x, [7], 2.5), (2, 3)),
    "nearest 2d": (nn.Upsample(scale_factor=(2, 1.5)), (2, 3, 4)),
    "nearest 2d, the other": (lambda x: aten.upsample_nearest2d(x, [5, 6]), (2, 3, 4)),
    "nearest 3d": (nn.Upsample(scale_factor=2), (1, 2, 2, 3)),
    "nearest 3d, the other": (lambda x: aten.upsample_nearest3d(x, [3, 3, 4]), (1, 2, 2, 3)),
    "nearest, exact": (nn.Upsample(size=7, mode="nearest-exact"), (2, 4)),
    "nearest, exact, the other": (lambda x: aten._upsample_nearest_exact1d(x, [7]), (2, 4)),
    "nearest, exact, 2d": (nn.Upsample(scale_factor=1.5, mode="nearest-exact"), (2, 3, 4)),
    "nearest, exact, 2d, the other": (lambda x: aten._upsample_nearest_exact2d(x, [5, 6]), (2, 3, 4)),
    "nearest, exact, 3d": (nn.Upsample(scale_factor=1.5, mode="nearest-exact"), (1, 2, 3, 4)),
    "nearest, exact, 3d, the other": (lambda x: aten._upsample_nearest_exact3d(x, [3, 3, 4]), (1, 2, 2, 3)),
    "windows": (lambda x: x.unfold(-1, 3, 2), (2, 8)),
    "windows along an inner axis": (lambda x: x.unfold(1, 2, 1), (4, 3)),
    "patches": (nn.Unfold((2, 3), dilation=(1, 2), stride=(2, 1)), (2, 4, 7)),
}

SOFT: dict[str, tuple[Op, tuple[int, ...], tuple[int, ...]]] = {
    "logsumexp": (lambda x: x.logsumexp(1), (4, 3), (1,)),
    "logsumexp of two axes that are apart, kept": (
        lambda x: torch.logsumexp(x, (3, 1), keepdim=True),
        (3, 2, 4),
        (1, 3),
    ),
    "logsumexp of the last axes": (lambda x: x.logsumexp((-1, -2)), (3, 4), (1, 2)),
}

CASES = {name: (op, shape) for name, (op, shape) in [*LINEAR.items(), *MOVED.items()]}
CASES |= {name: (op, shape) for name, (op, shape, _) in SOFT.items()}


@cache
def module(name: str) -> nn.Module:
    op = CASES[name][0]
    return op.eval() if isinstance(op, nn.Module) else Calls(lambda self, x: op(x)).eval()


@cache
def case(name: str) -> tuple[Tensor, Tensor]:
    """Return an input with zeros, and relevance of both signs."""
    x = with_zeros(signed(3, *CASES[name][1], seed=1))
    return x, signed(*module(name)(x).shape, seed=2)


def vector_jacobian(name: str, x: Tensor, v: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (back,) = torch.autograd.grad(module(name)(leaf), leaf, v)
    return back


@pytest.mark.parametrize("name", list(LINEAR))
def test_what_is_linear_shares_as_its_dense_matrix_does(name: str) -> None:
    x, R = case(name)
    found = check_handler(module(name), x, R)
    W, b = matrix_of(module(name), CASES[name][1])
    assert not b.any()
    (row,) = found.ledger.rows
    for n in range(3):
        expected = share("epsilon", x[n].numpy().ravel(), W, b, R[n].numpy().ravel())
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)
        assert float(row.numbers["stabiliser"][n]) == pytest.approx(expected.stabiliser, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("name", list(MOVED))
def test_what_copies_or_picks_values_moves_relevance_as_gradients_move(name: str) -> None:
    x = signed(3, *CASES[name][1], seed=1)  # no two are equal
    R = case(name)[1]
    found = check_handler(module(name), x, R)
    torch.testing.assert_close(found.relevance, vector_jacobian(name, x, R), rtol=1e-13, atol=1e-13)
    assert found.ledger.rows == []


@pytest.mark.parametrize("name", list(MOVED))
def test_among_equals_one_gets_all(name: str) -> None:
    x, R = torch.zeros_like(case(name)[0]), case(name)[1].abs()
    found = back_through(module(name), x, R)
    torch.testing.assert_close(found.relevance.flatten(1).sum(1), R.flatten(1).sum(1))


@pytest.mark.parametrize(
    ("op", "picked"),
    [
        (lambda x: x.amax(1), 1),
        (lambda x: x.amax((1, 2)), 1),
        (lambda x: x.max(1).values, 1),
        (lambda x: x.amin(1), 0),
        (lambda x: x.min(1).values, 0),
        (lambda x: F.adaptive_max_pool1d(x.transpose(1, 2), 1), 1),
        (lambda x: F.max_pool2d(x.transpose(1, 2), (1, 5)), 1),
    ],
)
def test_of_equals_the_first_gets_all(op: Op, picked: int) -> None:
    x = torch.tensor([0.0, 2, 0, 2, 2], dtype=torch.float64).view(1, 5, 1)
    net = Calls(lambda s, x: op(x)).eval()
    found = back_through(net, x, torch.ones_like(net(x))).relevance
    assert found.flatten().tolist() == [float(i == picked) for i in range(5)]


@pytest.mark.parametrize("name", list(SOFT))
def test_a_soft_maximum_shares_by_its_weights_and_keeps_its_entropy(name: str) -> None:
    x, R = case(name)
    axes = SOFT[name][2]
    found = check_handler(module(name), x, R)
    (row,) = found.ledger.rows
    weights = special.softmax(x.numpy(), axis=axes)
    y = special.logsumexp(x.numpy(), axis=axes, keepdims=True)
    quotient = R.numpy().reshape(y.shape) / np.where(y < 0, y - EPS, y + EPS)
    np.testing.assert_allclose(found.relevance.numpy(), weights * x.numpy() * quotient, rtol=1e-10, atol=1e-12)
    entropy = special.entr(weights).sum(axes, keepdims=True)
    expected = (entropy * quotient).reshape(3, -1).sum(1)
    np.testing.assert_allclose(row.numbers["bias"].numpy(), expected, rtol=1e-10, atol=1e-11)


def test_a_soft_maximum_is_nearly_a_maximum_where_one_stands_out() -> None:
    x = torch.tensor([[[1.0, 30.0, -2.0]]], dtype=torch.float64)
    found = back_through(Calls(lambda s, x: x.logsumexp(-1)), x, torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close(found.relevance, torch.tensor([[[0.0, 1.0, 0.0]]]).double(), rtol=0, atol=1e-6)


def test_every_operation_of_the_rooms_is_among_the_cases() -> None:
    tested = set().union(*(operations_in(module(name), case(name)[0]) for name in CASES))
    known = {"aten.max_pool1d.default", "aten.max_pool2d.default", "aten.sum.default", "aten.mean.default"}
    for room in (pooling, reductions, resampling):
        assert operations_of(room) - tested <= known


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_step_promises_of_signs_and_zeros_holds(name: str) -> None:
    x, R = case(name)
    net = module(name)
    plan = make_plan(graph_of(net, x), net)
    step = next(s for s in plan.steps if s.output == plan.graph.output)
    if step.handler.nonnegative(step, (True,)):
        assert (net(x.abs()) >= 0).all()
    assert not step.handler.nonnegative(step, (False,))
    assert step.handler.vanishing in ("always", "with output")
    if step.handler.vanishing == "with output":
        R = R.masked_fill(net(x) == 0, 0)
    assert not back_through(net, x, R).relevance[x == 0].any()


@pytest.mark.parametrize("rule", [Gamma(), ZPlus()], ids=repr)
@pytest.mark.parametrize(
    "pool",
    [
        lambda h: h.amax(-1),
        lambda h: h.max(-1).values,
        lambda h: h.topk(2, -1).values.flatten(1),
        lambda h: F.max_pool2d(h, (1, 2)).flatten(1),
        lambda h: F.max_pool2d(h, 2).flatten(1),
        lambda h: h.logsumexp(-1),
        lambda h: F.interpolate(h, scale_factor=1.5, mode="linear").cumsum(1).flatten(1),
        lambda h: F.lp_pool1d(h, 2, 2).flatten(1),
    ],
    ids=["amax", "max", "topk", "max pool over a row", "max pool over channels", "logsumexp", "linear", "lp pool"],
)
def test_pools_behind_a_layer_and_its_relu_add_up_with_it(pool: Op, rule, monkeypatch) -> None:
    """What a pool promises makes the layer leave out branches and work at the winners alone."""
    net = seeded(
        lambda: Calls(lambda s, x: s.last(pool(s.first(x).relu())), first=nn.Conv1d(4, 4, 3), last=nn.LazyLinear(2)),
        seed=1,
    )
    x = signed(3, 4, 8, seed=3)
    net(x)
    found = check_handler(net, x, net(x).detach(), rule)
    plan = make_plan(graph_of(net, x), net, rule)
    assert any(step.gated for step in plan.steps)
    # the same without promises: a plan whose layers take any relevance
    monkeypatch.setattr(plan_module, "_promise", lambda step: "never")
    plan = make_plan(graph_of(net, x), net, rule)
    assert not any(step.gated for step in plan.steps)
    with torch.inference_mode():
        run = run_forward(plan, x)
        free = propagate(plan, run, run.values[plan.graph.output])
    torch.testing.assert_close(found.relevance, free.relevance, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda s, x: x.amax(0, keepdim=True) + x, "amax over the batch"),
        (lambda s, x: x.max() + x[:, 0], "max"),
        (lambda s, x: x + x.mean(0), "mean over the batch"),
        (lambda s, x: x + x.sum(), "sum over the batch"),
        (lambda s, x: x + x.logsumexp((0, 1)), "logsumexp over the batch"),
        (lambda s, x: x.cumsum(0), "cumsum over the batch"),
        (lambda s, x: x.sort(0).values, "sort over the batch"),
        (lambda s, x: x.cummax(0).values, "cummax over the batch"),
        (lambda s, x: x + x.topk(1, 0).values, "topk over the batch"),
        (lambda s, x: x + x.median(0).values, "median over the batch"),
        (lambda s, x: x.prod(1), "prod"),
        (lambda s, x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2), "places are read"),
    ],
)
def test_what_mixes_the_batch_or_has_no_handler_is_an_error_with_a_remedy(forward, text: str) -> None:
    net = Calls(forward)
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, 4, 4)), net)
    assert caught.value.where.startswith("(forward) ")
    assert caught.value.remedy


def test_an_axis_of_another_name_than_the_batch_may_come_first() -> None:
    net = Calls(lambda s, x: x.permute(2, 0, 1).max(0).values + x.permute(1, 2, 0).sum(1).mT)
    x = signed(3, 4, 4, seed=1)
    check_handler(net, x, signed(3, 4, seed=2))


def test_a_maximum_whose_position_is_read_hands_relevance_to_its_value_alone() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        values, positions = x.max(-1, keepdim=True)
        return values * torch.sigmoid(positions)

    x, R = signed(3, 2, 5, seed=1), signed(3, 2, 1, seed=2)
    found = check_handler(Calls(forward), x, R)
    expected = torch.zeros_like(x).scatter_(-1, x.argmax(-1, keepdim=True), R)
    torch.testing.assert_close(found.relevance, expected)


def test_relevance_for_a_position_is_an_error() -> None:
    net = Calls(lambda s, x: x.max(-1).values * x.max(-1).indices)
    x = signed(2, 2, 5, seed=1)
    with pytest.raises(sp.SeqplrpError, match="at the positions that max returns"):
        back_through(net, x)


def test_the_padding_of_patches_takes_nothing() -> None:
    net = nn.Unfold((2, 3), dilation=(1, 2), padding=(0, 1), stride=(2, 1))
    x = with_zeros(signed(3, 2, 4, 5, seed=1))
    R = signed(*net(x).shape, seed=2) * net(torch.ones_like(x))  # no rule has any for values of 0 there
    found = check_handler(net, x, R)
    leaf = x.clone().requires_grad_()
    torch.testing.assert_close(found.relevance, torch.autograd.grad(net(leaf), leaf, R)[0])
