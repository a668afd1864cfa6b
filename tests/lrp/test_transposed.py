"""Transposed convolutions under every rule, against dense matrices; convolutions in other spellings and dimensions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from engine import Calls, back_through, graph_of, seeded, signed
from handler_checks import check_handler, operations_in, operations_of, with_zeros
from naive_lrp import connections_of, kept_by_mass, matrix_of, rescaled, share, share_again
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Flat, Gamma, Pruning, Relative, Rule, WSquare, ZBox, ZPlus, make_plan
from seqplrp.lrp.ops import transposed

aten = torch.ops.aten

RULES: dict[str, Rule] = {
    "epsilon": Epsilon(),
    "gamma": Gamma(),
    "zplus": ZPlus(),
    "alphabeta": AlphaBeta(),
    "flat": Flat(),
    "wsquare": WSquare(),
    "zbox": ZBox(-4.0, 4.0),
    "relative": Relative(),
}

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "as it is": (lambda: nn.ConvTranspose1d(4, 3, 3), (4, 5)),
    "stride": (lambda: nn.ConvTranspose1d(4, 3, 5, stride=3), (4, 4)),
    "stride, padding, output padding": (
        lambda: nn.ConvTranspose1d(4, 3, 5, stride=3, padding=2, output_padding=2),
        (4, 4),
    ),
    "stride beyond the kernel": (lambda: nn.ConvTranspose1d(4, 3, 2, stride=4, bias=False), (4, 3)),
    "groups, no bias": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2, bias=False), (4, 4)),
    "dilation": (lambda: nn.ConvTranspose1d(4, 2, 3, dilation=3, padding=2), (4, 5)),
    "dilation, output padding of two strides": (
        lambda: nn.ConvTranspose1d(4, 2, 3, dilation=4, stride=2, output_padding=3),
        (4, 3),
    ),
    "two axes": (
        lambda: nn.ConvTranspose2d(2, 4, (2, 3), stride=(2, 1), padding=(1, 0), output_padding=(1, 0), groups=2),
        (2, 3, 3),
    ),
    "three axes": (lambda: nn.ConvTranspose3d(2, 2, 2, stride=(1, 2, 1)), (2, 2, 2, 2)),
}


@cache
def layer(name: str) -> nn.Module:
    return seeded(LAYERS[name][0], seed=5)


def shared(kind: str, net: nn.Module, x: np.ndarray, R: np.ndarray):
    how = {"zbox": {"low": -4.0, "high": 4.0}}.get(kind, {})
    if kind == "flat":
        how = {"connected": connections_of(net, x.shape) > 0}
    return share(kind, x.ravel(), *matrix_of(net, x.shape), R.ravel(), **how)


@pytest.mark.parametrize("kind", list(RULES))
@pytest.mark.parametrize("name", list(LAYERS))
def test_a_transposed_convolution_shares_as_its_dense_matrix_does(name: str, kind: str) -> None:
    net, shape = layer(name), LAYERS[name][1]
    x = with_zeros(signed(3, *shape, seed=1))
    R = signed(*net(x).shape, seed=2)
    found = check_handler(net, x, R, RULES[kind])
    (row,) = found.ledger.rows
    for n in range(3):
        expected = shared(kind, net, x[n].numpy(), R[n].numpy())
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)
        if kind != "relative":
            assert float(row.numbers["bias"][n]) == pytest.approx(expected.bias, rel=1e-9, abs=1e-9)
            assert float(row.numbers["stabiliser"][n]) == pytest.approx(expected.stabiliser, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", ["epsilon", "gamma", "zplus", "relative"])
def test_its_hypothetical_contributions_make_up_its_relevance(kind: str) -> None:
    net = layer("stride, padding, output padding")
    x = signed(3, 4, 4, seed=1)
    found = back_through(net, x, None, RULES[kind])
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)


NORMED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "one axis": (lambda: nn.Sequential(nn.ConvTranspose1d(4, 3, 3, stride=2), nn.BatchNorm1d(3)), (4, 5)),
    "groups": (
        lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2, bias=False), nn.BatchNorm1d(6)),
        (4, 5),
    ),
    "two axes, groups": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=2), nn.BatchNorm2d(6)), (4, 3, 2)),
    "three axes": (lambda: nn.Sequential(nn.ConvTranspose3d(2, 3, 2), nn.BatchNorm3d(3)), (2, 2, 2, 2)),
}


@pytest.mark.parametrize("name", list(NORMED))
def test_a_batch_norm_after_a_transposed_convolution_is_part_of_it(name: str) -> None:
    """Its weight has the inputs first and the outputs by group: scaled along the wrong axis, the plan errs silently."""
    net, shape = seeded(NORMED[name][0], seed=5), NORMED[name][1]
    net[1].running_mean.copy_(torch.linspace(-1, 1, len(net[1].running_mean)))
    net[1].weight.data.copy_(torch.linspace(0.5, 2, len(net[1].running_mean)))
    x = with_zeros(signed(3, *shape, seed=6))
    R = signed(*net(x).shape, seed=7)
    for kind in ("epsilon", "gamma"):
        found = check_handler(net, x, R, RULES[kind])
        assert [row.op for row in found.ledger.rows] == [f"conv_transpose{len(shape) - 1}d"]
        for n in range(3):
            expected = shared(kind, net, x[n].numpy(), R[n].numpy())
            np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)
            assert float(found.ledger.rows[0].numbers["bias"][n]) == pytest.approx(expected.bias, rel=1e-9, abs=1e-9)


def test_a_decoder_with_norms_relus_and_pools_adds_up() -> None:
    net = seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, padding=1),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.ConvTranspose1d(4, 2, 3, groups=2),
        ),
        seed=8,
    )
    x = signed(3, 4, 10, seed=1)
    for rule in (Epsilon(), Gamma(), ZPlus(), AlphaBeta()):
        check_handler(net, x, net(x).detach(), rule)


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
@pytest.mark.parametrize("kind", ["epsilon", "gamma"])
def test_what_a_transposed_convolution_reads_is_pruned(kind: str, mode: str) -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.ConvTranspose1d(5, 3, 3, stride=2)), seed=9)
    x = signed(2, 4, 7, seed=1)
    R = signed(*net(x).shape, seed=2)
    found = back_through(net, x, R, RULES[kind], Pruning(p=0.5, mode=mode))
    h = net[:2](x).detach()
    W, b = matrix_of(net[2], h.shape[1:])
    for n in range(2):
        a, above = h[n].numpy().ravel(), R[n].numpy().ravel()
        before = share(kind, a, W, b, above).relevance
        keep = kept_by_mass(before, 0.5, 0.25)
        kept = before * keep if mode == "lambda" else share_again(kind, a, W, b, above, keep, 0.2)[0]
        lower = share(kind, x[n].numpy().ravel(), *matrix_of(net[0], (4, 7)), rescaled(kept, before))
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), lower.relevance, rtol=1e-9, atol=1e-10)


class Held(nn.Module):
    """The one operation behind all convolutions, as other exporters leave it."""

    def __init__(self, layer: nn.Module, *, transposed: bool) -> None:
        super().__init__()
        self.layer, self.transposed = layer, transposed

    def forward(self, x: Tensor) -> Tensor:
        of = self.layer
        extra = list(of.output_padding)
        return aten.convolution(
            x, of.weight, of.bias, of.stride, of.padding, of.dilation, self.transposed, extra, of.groups
        )


@pytest.mark.parametrize("kind", ["epsilon", "gamma", "zplus"])
@pytest.mark.parametrize(
    ("build", "is_transposed"),
    [
        (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), False),
        (lambda: nn.Conv2d(4, 2, (3, 2), dilation=(1, 2), bias=False), False),
        (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1, groups=2), True),
        (lambda: nn.ConvTranspose2d(4, 2, (3, 2), dilation=(1, 2), bias=False), True),
    ],
)
def test_the_operation_behind_all_convolutions_is_as_its_own_ones_are(build, is_transposed: bool, kind: str) -> None:
    plain = seeded(build, seed=3)
    net = Held(plain, transposed=is_transposed).eval()
    x = signed(3, 4, *(6,) * (plain.weight.dim() - 2), seed=1)
    assert operations_in(net, x) == {"aten.convolution.default"}
    R = signed(*plain(x).shape, seed=2)
    found, expected = check_handler(net, x, R, RULES[kind]), back_through(plain, x, R, RULES[kind])
    assert torch.equal(found.relevance, expected.relevance)
    assert torch.equal(found.ledger.rows[0].numbers["bias"], expected.ledger.rows[0].numbers["bias"])


@pytest.mark.parametrize("kind", ["epsilon", "gamma", "flat"])
def test_a_convolution_over_three_axes_shares_as_its_dense_matrix_does(kind: str) -> None:
    net = seeded(lambda: nn.Conv3d(2, 4, (2, 1, 3), stride=(1, 2, 1), padding=(0, 1, 1), groups=2), seed=5)
    x = with_zeros(signed(2, 2, 3, 3, 3, seed=1))
    R = signed(*net(x).shape, seed=2)
    found = check_handler(net, x, R, RULES[kind])
    for n in range(2):
        expected = shared(kind, net, x[n].numpy(), R[n].numpy())
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)


def test_every_operation_of_the_room_is_among_the_cases() -> None:
    tested = {"aten.convolution.default"}
    for name, (_, shape) in LAYERS.items():
        tested |= operations_in(layer(name), signed(3, *shape, seed=1))
    assert operations_of(transposed) <= tested


@pytest.mark.parametrize("build", [lambda: nn.Conv1d(4, 3, 3), lambda: nn.ConvTranspose1d(4, 3, 3)])
def test_a_layer_on_one_sequence_of_the_batch_is_refused(build) -> None:
    """Taken for (N, C, L), its channels would be sequences."""
    net = Calls(lambda s, x: s.layer(x[0])[None] + x.sum((1, 2), keepdim=True), layer=build()).double().eval()
    with pytest.raises(sp.SeqplrpError, match="batch") as caught:
        make_plan(graph_of(net, signed(2, 4, 6)), net)
    assert caught.value.remedy
