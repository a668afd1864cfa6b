"""Pools, reductions, resampling: oracles are autograd's Jacobians, dense matrices, and sums written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, seeded, signed
from handler_checks import check_handler, operations_in, operations_of, trace_together, with_zeros
from naive_lrp import matrix_of, share
from scipy import special
from torch import Tensor, nn

import seqplrp as sp
import seqplrp.lrp.shortcuts as shortcuts_module
from seqplrp.lrp import Gamma, ZPlus, make_plan, propagate, run_forward
from seqplrp.lrp.ops import pooling, reductions, resampling

EPS = 1e-6
aten = torch.ops.aten
Op = Callable[[Tensor], Tensor]
# few shapes of a sample, as all cases of one are traced together
VECTOR, SIGNAL, IMAGE, VOLUME = (9,), (3, 9), (2, 4, 6), (2, 2, 3, 4)

# what is linear in its input, and shares by contribution
LINEAR: dict[str, tuple[Op, tuple[int, ...]]] = {
    "avg pool": (nn.AvgPool1d(2), SIGNAL),
    "avg pool, overlapping, padded": (nn.AvgPool1d(4, stride=3, padding=2), SIGNAL),
    "avg pool, padding not counted, ceil": (
        nn.AvgPool1d(4, stride=3, padding=1, ceil_mode=True, count_include_pad=False),
        SIGNAL,
    ),
    "avg pool, gaps": (nn.AvgPool1d(2, stride=3), SIGNAL),
    "avg pool without a channel axis": (lambda x: F.avg_pool1d(x, 2), VECTOR),
    "avg pool over a row": (lambda x: F.avg_pool2d(x, (1, 2)), SIGNAL),
    "avg pool 2d, uneven, padded, ceil": (
        nn.AvgPool2d((2, 3), stride=(1, 2), padding=(1, 1), ceil_mode=True, count_include_pad=False),
        IMAGE,
    ),
    "avg pool 2d, own divisor": (nn.AvgPool2d(2, stride=1, divisor_override=7), IMAGE),
    "avg pool 3d": (nn.AvgPool3d((1, 2, 2), stride=1, padding=(0, 1, 0)), VOLUME),
    "adaptive avg pool that does not divide": (nn.AdaptiveAvgPool1d(5), SIGNAL),
    "adaptive avg pool that widens": (nn.AdaptiveAvgPool1d(12), SIGNAL),
    "adaptive avg pool 2d that does not divide": (nn.AdaptiveAvgPool2d((2, 4)), IMAGE),
    "adaptive avg pool 2d of one axis": (nn.AdaptiveAvgPool2d((2, None)), IMAGE),
    "adaptive avg pool 2d, the other": (lambda x: aten._adaptive_avg_pool2d(x, [2, 2]), IMAGE),
    "adaptive avg pool 3d": (nn.AdaptiveAvgPool3d((1, 2, 2)), VOLUME),
    "adaptive avg pool 3d, the other": (lambda x: aten._adaptive_avg_pool3d(x, [1, 2, 2]), VOLUME),
    "interpolated by area": (lambda x: F.interpolate(x, scale_factor=0.5, mode="area"), SIGNAL),
    "mean of an axis, kept": (lambda x: x.mean(-2, keepdim=True), SIGNAL),
    "mean of several axes": (lambda x: x.mean((3, 1)), IMAGE),
    "sum of several axes, kept": (lambda x: x.sum((-1, 1), keepdim=True), IMAGE),
    "cumsum": (lambda x: x.cumsum(1), SIGNAL),
    "cumsum from the end": (lambda x: x.flip(-1).cumsum(-1), SIGNAL),
    "linear upsampling": (nn.Upsample(scale_factor=2, mode="linear"), SIGNAL),
    "linear upsampling by a broken factor": (lambda x: F.interpolate(x, scale_factor=1.7, mode="linear"), SIGNAL),
    "linear upsampling, its size worked out again": (
        lambda x: F.interpolate(x, scale_factor=1.7, mode="linear", recompute_scale_factor=True),
        SIGNAL,
    ),
    "linear upsampling to a size": (lambda x: F.interpolate(x, size=13, mode="linear", align_corners=True), SIGNAL),
    "linear downsampling": (lambda x: F.interpolate(x, size=3, mode="linear"), SIGNAL),
    "linear upsampling, the other": (lambda x: aten.upsample_linear1d(x, [22], False, 2.5), SIGNAL),
    "bilinear upsampling": (nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), IMAGE),
    "bilinear upsampling, corners aligned": (
        lambda x: F.interpolate(x, size=(7, 10), mode="bilinear", align_corners=True),
        IMAGE,
    ),
    "bilinear, antialiased": (
        lambda x: F.interpolate(x, scale_factor=0.6, mode="bilinear", antialias=True),
        IMAGE,
    ),
    "bilinear, antialiased, the other": (lambda x: aten._upsample_bilinear2d_aa(x, [2, 3], False), IMAGE),
    "bicubic upsampling": (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    "bicubic, antialiased": (
        lambda x: F.interpolate(x, scale_factor=0.6, mode="bicubic", antialias=True),
        IMAGE,
    ),
    "bicubic, antialiased, the other": (lambda x: aten._upsample_bicubic2d_aa(x, [2, 3], False), IMAGE),
    "trilinear upsampling": (nn.Upsample(scale_factor=2, mode="trilinear"), VOLUME),
    "trilinear upsampling, the other": (lambda x: aten.upsample_trilinear3d(x, [3, 4, 7], False), VOLUME),
    "fold": (lambda x: F.fold(x[:, :1].expand(-1, 4, -1), (4, 4), (2, 2)), SIGNAL),
}

# what copies values, or picks some of them
MOVED: dict[str, tuple[Op, tuple[int, ...]]] = {
    "max pool": (nn.MaxPool1d(3, stride=2, padding=1), SIGNAL),
    "max pool, dilated, ceil": (nn.MaxPool1d(3, stride=2, dilation=2, ceil_mode=True), SIGNAL),
    "max pool with indices": (lambda x: F.max_pool1d(x, 3, stride=1, return_indices=True)[0], SIGNAL),
    "max pool 2d with indices": (lambda x: F.max_pool2d(x, 2, stride=1, return_indices=True)[0], IMAGE),
    "max pool 3d": (nn.MaxPool3d((1, 2, 2), stride=1, padding=(0, 1, 0), dilation=(1, 1, 2)), VOLUME),
    "max pool 3d with indices": (lambda x: F.max_pool3d(x, 2, return_indices=True)[0], VOLUME),
    "max pool without a channel axis": (lambda x: F.max_pool1d(x, 3, stride=2), VECTOR),
    "max pool over a row": (lambda x: F.max_pool2d(x, (1, 3), stride=(1, 2)), SIGNAL),
    "max pool over channels, too": (lambda x: F.max_pool2d(x, (2, 3), stride=1), SIGNAL),
    "adaptive max pool that does not divide": (nn.AdaptiveMaxPool1d(5), SIGNAL),
    "adaptive max pool 2d that does not divide": (nn.AdaptiveMaxPool2d((2, 4)), IMAGE),
    "adaptive max pool 2d of one axis": (nn.AdaptiveMaxPool2d((2, None)), IMAGE),
    "adaptive max pool 3d": (nn.AdaptiveMaxPool3d((1, 2, 2)), VOLUME),
    "adaptive max pool without a channel axis": (lambda x: F.adaptive_max_pool1d(x, 4), VECTOR),
    "amax": (lambda x: x.amax(1), SIGNAL),
    "amax of two axes that are apart, kept": (lambda x: x.amax((1, -1), keepdim=True), IMAGE),
    "amax of an inner axis": (lambda x: x.amax(1), IMAGE),
    "amin": (lambda x: x.amin(-1), SIGNAL),
    "amin of two axes": (lambda x: x.amin((2, 3)), IMAGE),
    "max of an axis": (lambda x: x.max(1).values, SIGNAL),
    "max of the last axis, kept": (lambda x: torch.max(x, -1, keepdim=True)[0], SIGNAL),
    "min of an axis": (lambda x: x.min(2)[0], SIGNAL),
    "the largest few": (lambda x: x.topk(3, 1).values, SIGNAL),
    "the smallest few": (lambda x: x.topk(2, largest=False).values, SIGNAL),
    "sorted": (lambda x: x.sort(1, descending=True).values, SIGNAL),
    "sorted, stable": (lambda x: x.sort(dim=2, stable=True).values, SIGNAL),
    "the third": (lambda x: x.kthvalue(3, -1).values, SIGNAL),
    "the second, kept": (lambda x: x.kthvalue(2, 1, keepdim=True).values, SIGNAL),
    "median": (lambda x: x.median(-1).values, SIGNAL),
    "largest so far": (lambda x: x.cummax(-1).values, SIGNAL),
    "smallest so far": (lambda x: x.cummin(1).values, SIGNAL),
    "larger of two": (lambda x: torch.maximum(x, x.flip(1)), SIGNAL),
    "larger of two, the other": (lambda x: torch.max(x[:, :1], x), SIGNAL),
    "larger of two, the third": (lambda x: torch.fmax(x, x.flip(-1)), SIGNAL),
    "smaller of two": (lambda x: torch.minimum(x, x[:, 1:2]), SIGNAL),
    "smaller of two, the other": (lambda x: torch.min(x, x.flip(1)), SIGNAL),
    "smaller of two, the third": (lambda x: torch.fmin(x.flip(-1), x), SIGNAL),
    "nearest upsampling": (nn.Upsample(scale_factor=2), SIGNAL),
    "nearest upsampling by a broken factor": (lambda x: F.interpolate(x, scale_factor=1.7), SIGNAL),
    "nearest upsampling to a size": (lambda x: F.interpolate(x, size=x.shape[-1] * 2 + 1), SIGNAL),
    "nearest downsampling": (lambda x: F.interpolate(x, size=3), SIGNAL),
    "nearest upsampling, the other": (lambda x: aten.upsample_nearest1d(x, [22], 2.5), SIGNAL),
    "nearest 2d": (nn.Upsample(scale_factor=(2, 1.5)), IMAGE),
    "nearest 2d, the other": (lambda x: aten.upsample_nearest2d(x, [7, 10]), IMAGE),
    "nearest 3d": (nn.Upsample(scale_factor=2), VOLUME),
    "nearest 3d, the other": (lambda x: aten.upsample_nearest3d(x, [3, 4, 7]), VOLUME),
    "nearest, exact": (nn.Upsample(size=14, mode="nearest-exact"), SIGNAL),
    "nearest, exact, the other": (lambda x: aten._upsample_nearest_exact1d(x, [14]), SIGNAL),
    "nearest, exact, 2d": (nn.Upsample(scale_factor=1.5, mode="nearest-exact"), IMAGE),
    "nearest, exact, 2d, the other": (lambda x: aten._upsample_nearest_exact2d(x, [7, 10]), IMAGE),
    "nearest, exact, 3d": (nn.Upsample(scale_factor=1.5, mode="nearest-exact"), VOLUME),
    "nearest, exact, 3d, the other": (lambda x: aten._upsample_nearest_exact3d(x, [3, 4, 7]), VOLUME),
    "windows": (lambda x: x.unfold(-1, 3, 2), SIGNAL),
    "windows along an inner axis": (lambda x: x.unfold(1, 2, 1), SIGNAL),
    "patches": (nn.Unfold((2, 3), dilation=(1, 2), stride=(2, 1)), IMAGE),
}

# soft maxima, and the axes that they run over
SOFT: dict[str, tuple[Op, tuple[int, ...], tuple[int, ...]]] = {
    "logsumexp": (lambda x: x.logsumexp(1), SIGNAL, (1,)),
    "logsumexp, the other": (lambda x: torch.special.logsumexp(x, -1), SIGNAL, (2,)),
    "logsumexp, kept": (lambda x: torch.logsumexp(x, (3, 1), keepdim=True), IMAGE, (1, 3)),
    "logsumexp of the last axes": (lambda x: x.logsumexp((-1, -2)), SIGNAL, (1, 2)),
}

# soft maxima of two values, and the number whose powers they sum; all that stands between x and them are moves
SOFT_OF_TWO: dict[str, tuple[Op, tuple[int, ...], float]] = {
    "larger, softly": (lambda x: torch.logaddexp(x, x.flip(-1)), SIGNAL, np.e),
    "larger, softly, one of them widened": (lambda x: torch.logaddexp(x[:, :1], x[:, 1:]), SIGNAL, np.e),
    "larger, softly, by powers of two": (lambda x: torch.logaddexp2(x, x.roll(1, 2)), SIGNAL, 2.0),
    "larger, softly, of itself": (lambda x: torch.logaddexp2(x, x), VECTOR, 2.0),
}

CASES = {name: (op, shape) for name, (op, shape) in [*LINEAR.items(), *MOVED.items()]}
CASES |= {name: (op, shape) for name, (op, shape, _) in SOFT_OF_TWO.items()}
CASES |= {name: (op, shape) for name, (op, shape, _) in SOFT.items()}


@cache
def modules() -> dict[str, nn.Module]:
    built = {
        name: op.eval() if isinstance(op, nn.Module) else Calls(lambda self, x, op=op: op(x)).eval()
        for name, (op, _) in CASES.items()
    }
    for shape in {shape for _, shape in CASES.values()}:
        trace_together([built[name] for name in CASES if CASES[name][1] == shape], signed(2, *shape))
    return built


def module(name: str) -> nn.Module:
    return modules()[name]


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
        (lambda x: torch.maximum(x[:, 1:2], x[:, 3:4]), 1),
        (lambda x: torch.minimum(x[:, :1], x[:, 2:3]), 0),
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


@pytest.mark.parametrize("name", list(SOFT_OF_TWO))
def test_a_soft_maximum_of_two_shares_by_its_weights_and_keeps_its_entropy(name: str) -> None:
    x, R = case(name)
    found = check_handler(module(name), x, R)
    (row,) = found.ledger.rows
    y = module(name)(x)
    quotient = R / torch.where(y < 0, y - EPS, y + EPS)
    # the weights are its gradient, and the entropy is what they leave of it
    torch.testing.assert_close(found.relevance, x * vector_jacobian(name, x, quotient), rtol=1e-10, atol=1e-12)
    short = (y - vector_jacobian_of_one(name, x)) * quotient
    torch.testing.assert_close(row.numbers["bias"], short.flatten(1).sum(1), rtol=1e-10, atol=1e-11)


def vector_jacobian_of_one(name: str, x: Tensor) -> Tensor:
    """Return x times the gradient, summed for each output by itself."""
    return torch.func.jvp(module(name), (x,), (x,))[1]


Binary = Callable[[Tensor, Tensor], Tensor]


@pytest.mark.parametrize("constants", [[0.0] * 3, [0.0, 1.5, -3.0], [0.0, float("-inf"), -1.0]])
@pytest.mark.parametrize(
    ("op", "twin"),
    [
        (torch.logaddexp, lambda x, c: torch.log(x.exp() + c.exp())),
        (lambda x, c: torch.logaddexp2(c, x), lambda x, c: torch.log2(2**x + 2**c)),
    ],
)
def test_a_soft_maximum_with_a_constant_is_an_activation(op: Binary, twin: Binary, constants: list[float]) -> None:
    """f(z) - f(0) passes, as METHODS.md has it of every activation, however it is written; with 0 it is softplus."""
    x = with_zeros(signed(3, *SIGNAL, seed=1))
    net = Calls(lambda s, x: op(x, s.constants)).eval()
    net.register_buffer("constants", torch.tensor(constants, dtype=torch.float64).unsqueeze(1))
    y, at_zero = twin(x, net.constants), twin(torch.zeros_like(x), net.constants)
    torch.testing.assert_close(net(x), y)
    if op is torch.logaddexp and not any(constants):
        torch.testing.assert_close(y, F.softplus(x))
    R = signed(*y.shape, seed=2)
    found = check_handler(net, x, R)
    passes = torch.where(at_zero == 0, 1, (y - at_zero) / torch.where(y < 0, y - EPS, y + EPS))
    torch.testing.assert_close(found.relevance, passes * R, rtol=1e-9, atol=1e-11)


def test_a_soft_maximum_of_a_signal_and_a_further_input_shares_with_it() -> None:
    class Beside(nn.Module):
        def forward(self, x: Tensor, track: Tensor) -> Tensor:
            return torch.logaddexp(x, track).sum((1, 2))

    x, track = signed(3, *SIGNAL, seed=1), signed(3, 1, 9, seed=2)
    track[0, 0, 0] = -1e30  # as a mask has it
    e = sp.explain(Beside(), x, method="lrp", args=(track,), check=True)
    leaf = x.clone().requires_grad_()
    y = torch.logaddexp(leaf, track)
    (weights,) = torch.autograd.grad(y.sum(), leaf)
    torch.testing.assert_close(e.relevance, x * weights, rtol=1e-4, atol=1e-5)
    rest = e.ledger.groupby("sequence").fixed_inputs.sum()
    expected = (y.detach() - x * weights).sum((1, 2))
    np.testing.assert_allclose(rest, expected, rtol=1e-4, atol=1e-5)


def test_what_a_mask_takes_out_of_a_soft_maximum_gets_nothing() -> None:
    def masked(h: Tensor) -> Tensor:
        return h.masked_fill(torch.arange(9) < 3, float("-inf"))

    x, R = signed(3, *SIGNAL, seed=1), signed(3, 3, seed=2)
    for soft in (lambda h: h.logsumexp(-1), lambda h: torch.logaddexp(h, h.flip(-1)).amax(-1)):
        net = seeded(lambda soft=soft: Calls(lambda s, x: soft(masked(s.conv(x))), conv=nn.Conv1d(3, 3, 1)))
        found = check_handler(net, x, R)
        assert not found.relevance[..., :3].any()
        assert found.relevance[..., 3:].any()
    direct = Calls(lambda s, x: masked(x).logsumexp(-1)).eval()  # of the explained input itself
    assert torch.equal(check_handler(direct, x, R).relevance != 0, (torch.arange(9) >= 3).expand_as(x))
    alone = seeded(lambda: Calls(lambda s, x: s.conv(x).logsumexp(-1), conv=nn.Conv1d(3, 3, 1)))
    net = seeded(lambda: Calls(lambda s, x: masked(s.conv(x)).logsumexp(-1), conv=nn.Conv1d(3, 3, 1)))
    expected = back_through(alone, x[..., 3:], R).relevance
    torch.testing.assert_close(back_through(net, x, R).relevance[..., 3:], expected, rtol=1e-12, atol=1e-14)


def test_a_sum_in_a_wider_precision_hands_back_the_input_s_own() -> None:
    net = Calls(lambda s, x: x.sum(1, dtype=torch.float64) + x.cumsum(1, dtype=torch.float64)[:, -1])
    x = signed(2, 3, 4, seed=1, dtype=torch.float32)
    found = back_through(net, x)
    assert found.relevance.dtype == torch.float32
    torch.testing.assert_close(found.relevance.sum((1, 2)), net(x).sum(1).float(), rtol=1e-5, atol=1e-5)


def test_a_soft_maximum_is_nearly_a_maximum_where_one_stands_out() -> None:
    x = torch.tensor([[[1.0, 30.0, -2.0]]], dtype=torch.float64)
    found = back_through(Calls(lambda s, x: x.logsumexp(-1)), x, torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close(found.relevance, torch.tensor([[[0.0, 1.0, 0.0]]]).double(), rtol=0, atol=1e-6)


def test_every_operation_of_the_rooms_is_among_the_cases() -> None:
    tested = set().union(*(operations_in(module(name), case(name)[0]) for name in CASES))
    known = {"aten.max_pool2d.default", "aten.sum.default", "aten.mean.default"}
    for room in (pooling, reductions, resampling):
        assert operations_of(room) - tested <= known


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_step_promises_of_signs_and_zeros_holds(name: str) -> None:
    x, R = case(name)
    net = module(name)
    plan = make_plan(graph_of(net, x), net)
    step = next(s for s in plan.steps if s.output == plan.graph.output)
    of = len(step.inputs)
    if step.handler.nonnegative(step, (True,) * of):
        assert (net(x.abs()) >= 0).all()
    assert not step.handler.nonnegative(step, (False,) * of)
    if of == 2:
        assert step.handler.nonnegative(step, (True, False)) == name.startswith("larger")
    assert step.handler.vanishing in ("always", "with output")
    if step.handler.vanishing == "with output":
        R = R.masked_fill(net(x) == 0, 0)
    assert not back_through(net, x, R).relevance[x == 0].any()


POOLS: dict[str, Op] = {
    "amax": lambda h: h.amax(-1),
    "max": lambda h: h.max(-1).values,
    "topk": lambda h: h.topk(2, -1).values.flatten(1),
    "max pool over a row": lambda h: F.max_pool2d(h, (1, 2)).flatten(1),
    "max pool over channels": lambda h: F.max_pool2d(h, 2).flatten(1),
    "logsumexp": lambda h: h.logsumexp(-1),
    "linear": lambda h: F.interpolate(h, scale_factor=1.5, mode="linear").cumsum(1).flatten(1),
    "lp pool": lambda h: F.lp_pool1d(h, 2, 2).flatten(1),
}


@cache
def pooled_nets() -> dict[str, nn.Module]:
    def build(pool: Op) -> nn.Module:
        first = nn.Conv1d(4, 4, 3)
        last = nn.Linear(pool(torch.zeros(1, 4, 6)).shape[1], 2)
        return Calls(lambda s, x: s.last(pool(s.first(x).relu())), first=first, last=last)

    built = {name: seeded(lambda pool=pool: build(pool), seed=1) for name, pool in POOLS.items()}
    trace_together(list(built.values()), signed(2, 4, 8))
    return built


@pytest.mark.parametrize("rule", [Gamma(), ZPlus()], ids=repr)
@pytest.mark.parametrize("name", list(POOLS))
def test_pools_behind_a_layer_and_its_relu_add_up_with_it(name: str, rule, monkeypatch) -> None:
    """What a pool promises makes the layer leave out branches and work at the winners alone."""
    net = pooled_nets()[name]
    x = signed(3, 4, 8, seed=3)
    found = check_handler(net, x, net(x).detach(), rule)
    plan = make_plan(graph_of(net, x), net, rule)
    assert any(step.gated for step in plan.steps)
    # the same without promises: a plan whose layers take any relevance
    monkeypatch.setattr(shortcuts_module, "_promise", lambda step: "never")
    plan = make_plan(graph_of(net, x), net, rule)
    assert not any(step.gated for step in plan.steps)
    with torch.inference_mode():
        run = run_forward(plan, x)
        free = propagate(plan, run, run.values[plan.graph.output])
    torch.testing.assert_close(found.relevance, free.relevance, rtol=1e-10, atol=1e-11)


REFUSED: dict[str, tuple[Op, str]] = {
    "largest of all": (lambda x: x.max() + x[:, 0], "max"),
    "largest of the batch": (lambda x: x.amax(0, keepdim=True) + x, "amax over the batch"),
    "mean": (lambda x: x + x.mean(0), "mean over the batch"),
    "mean of all": (lambda x: x + x.mean(), "mean over the batch"),
    "sum of all": (lambda x: x + x.sum(), "sum over the batch"),
    "soft maximum": (lambda x: x + x.logsumexp((0, 1)), "logsumexp over the batch"),
    "cumsum": (lambda x: x.cumsum(0), "cumsum over the batch"),
    "sorted": (lambda x: x.sort(0).values, "sort over the batch"),
    "largest so far": (lambda x: x.cummax(0).values, "cummax over the batch"),
    "largest few": (lambda x: x + x.topk(1, 0).values, "topk over the batch"),
    "median": (lambda x: x + x.median(0).values, "median over the batch"),
    "product": (lambda x: x.prod(1), "prod"),
    "unpooled": (lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2), "places are read"),
}


@cache
def refused() -> dict[str, nn.Module]:
    built = {name: Calls(lambda s, x, op=op: op(x)) for name, (op, _) in REFUSED.items()}
    trace_together(list(built.values()), signed(2, 4, 4))
    return built


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_mixes_the_batch_or_has_no_handler_is_an_error_with_a_remedy(name: str) -> None:
    net = refused()[name]
    with pytest.raises(sp.SeqplrpError, match=REFUSED[name][1]) as caught:
        make_plan(graph_of(net, signed(2, 4, 4)), net)
    assert caught.value.where.startswith("(forward) ")
    assert caught.value.remedy


def test_an_axis_of_another_name_than_the_batch_may_come_first() -> None:
    net = Calls(lambda s, x: x.permute(2, 0, 1).max(0).values + x.permute(1, 2, 0).sum(1).mT)
    x = signed(3, 4, 4, seed=1)
    check_handler(net, x, signed(3, 4, seed=2))


def test_the_ledger_counts_by_sequence_where_the_batch_does_not_come_first() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        h = s.norm(x.permute(2, 0, 1))  # (L, N, C)
        h = F.softplus(h).cumsum(0) * 0.1
        return h.logsumexp(0) + h.amax(0) + h.mean(0) + h.topk(2, 0).values.sum(0)

    net = seeded(lambda: Calls(forward, norm=nn.LayerNorm(4)), seed=1)
    x = signed(3, 4, 6, seed=1)
    found = check_handler(net, x, net(x).detach())
    for row in found.ledger.rows:
        assert all(number.shape == (3,) for number in row.numbers.values())


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
