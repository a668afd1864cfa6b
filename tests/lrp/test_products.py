"""Products of tensors: with a constant under every rule as a dense matrix; of two signals, and of signal and gate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler, operations_in, operations_of, trace_together, with_zeros
from naive_lrp import matrix_of, share
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Flat, Gamma, Pruning, Relative, WSquare, ZBox, ZPlus, make_plan
from seqplrp.lrp.ops import products
from seqplrp.lrp.rules import Rule

EPS = 1e-6
aten = torch.ops.aten
SHAPE = (5, 4)
FORM = signed(3, 4, 4, seed=7)
Op = Callable[[Tensor], Tensor]


class WithConstant(nn.Module):
    """A product of the input and a constant of the given shape that the module holds."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor], *shape: int) -> None:
        super().__init__()
        self.register_buffer("constant", signed(*shape, seed=5))
        self.product = product

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, self.constant)


def einsum(equation: str, *, constant_first: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
    if constant_first:
        return lambda x, c: torch.einsum(equation, c, x)
    return lambda x, c: torch.einsum(equation, x, c)


CONSTANTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...]]] = {
    "matmul": (lambda x, c: x @ c, (4, 3)),
    "matmul by a vector": (lambda x, c: x @ c, (4,)),
    "matmul by a matrix each position": (lambda x, c: x.unsqueeze(2) @ c, (5, 4, 3)),
    "matmul that widens the input": (lambda x, c: x.unsqueeze(1) @ c, (2, 4, 3)),
    "matmul from the left": (lambda x, c: c @ x, (3, 5)),
    "matmul from the left by a vector": (lambda x, c: c @ x, (5,)),
    "matmul from the left, several": (lambda x, c: c @ x.unsqueeze(1), (2, 3, 5)),
    "matmul from the left, the batch last": (lambda x, c: (c @ x.permute(1, 2, 0)).permute(2, 0, 1), (5, 3, 4)),
    "matmul, the batch in the middle": (lambda x, c: (x.transpose(0, 1) @ c).transpose(0, 1), (4, 3)),
    "mm": (lambda x, c: aten.mm(x.flatten(1), c), (20, 3)),
    "mm from the left": (lambda x, c: aten.mm(c, x.flatten(1).t()).t(), (3, 20)),
    "mv": (lambda x, c: aten.mv(x.flatten(1), c), (20,)),
    "inner": (lambda x, c: torch.inner(x, c), (3, 4)),
    "inner with a vector": (lambda x, c: torch.inner(x, c), (4,)),
    "inner from the left": (lambda x, c: torch.inner(c, x).movedim(0, -1), (3, 4)),
    "tensordot": (lambda x, c: torch.tensordot(x, c, 2), (5, 4, 3)),
    "tensordot of chosen axes": (lambda x, c: torch.tensordot(x, c, ([1], [2])), (2, 3, 5)),
    "vecdot": (lambda x, c: torch.linalg.vecdot(x, c), (5, 4)),
    "einsum": (einsum("nlc,cd->nld"), (4, 3)),
    "einsum from the left": (einsum("dl,nlc->ndc", constant_first=True), (3, 5)),
    "einsum, a weight each input": (einsum("nlc,lc->nlc"), (5, 4)),
    "einsum, all positions at once": (einsum("nlc,lcd->nd"), (5, 4, 3)),
    "einsum to one number": (einsum("nlc, lc -> n"), (5, 4)),
    "einsum with the batch last": (lambda x, c: torch.einsum("nlc,cd->ldn", x, c).permute(2, 0, 1), (4, 3)),
    "einsum without a result": (lambda x, c: torch.einsum("bij,jk", x, c), (4, 3)),
    "einsum with dots": (einsum("...c,dc->...d"), (3, 4)),
    "einsum with dots on both sides": (lambda x, c: torch.einsum("...lc,...cd->...ld", x.unsqueeze(1), c), (2, 4, 3)),
    "einsum with axes that are only summed": (einsum("nlc,d->nd"), (3,)),
    "einsum of several constants": (lambda x, c: torch.einsum("nlc,cd,de->nle", x, c, c), (4, 4)),
    "einsum of several constants, the input last": (lambda x, c: torch.einsum("ab,bl,nlc->nac", c, c, x), (5, 5)),
    "einsum of several constants, one outer": (lambda x, c: torch.einsum("nlc, ld, le -> nced", x, c, c), (5, 4)),
    "einsum of several constants, all positions": (lambda x, c: torch.einsum("lc,nlc,ld->nd", c, x, c), (5, 4)),
    "einsum that widens an axis": (lambda x, c: torch.einsum("nlc,lc->nlc", x[:, :1], c), (5, 4)),
}


@cache
def with_constants() -> dict[str, nn.Module]:
    made = {name: WithConstant(product, *shape).eval() for name, (product, shape) in CONSTANTS.items()}
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


def dense(module: nn.Module, rule: str, x: Tensor, R: Tensor, **how) -> list:
    """Share each sequence's relevance by the module's matrix."""
    W, b = matrix_of(module, SHAPE)
    assert not b.any()
    return [share(rule, x[n].numpy().ravel(), W, b, R[n].numpy().ravel(), **how) for n in range(len(x))]


@pytest.mark.parametrize("name", list(CONSTANTS))
def test_a_product_with_a_constant_is_a_linear_layer(name: str) -> None:
    module = with_constants()[name]
    x = with_zeros(signed(3, *SHAPE, seed=1))
    R = signed(*module(x).shape, seed=2)
    found = check_handler(module, x, R)
    (row,) = found.ledger.rows
    assert row.rule == "Epsilon(eps=1e-06)"
    for n, expected in enumerate(dense(module, "epsilon", x, R)):
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-10, atol=1e-11)
        assert float(row.numbers["stabiliser"][n]) == pytest.approx(expected.stabiliser, rel=1e-8, abs=1e-10)
    assert torch.equal(found.relevance, x * found.coefficient)


RULES: dict[str, tuple[Rule, dict]] = {
    "gamma": (Gamma(0.3), {"gamma": 0.3}),
    "zplus": (ZPlus(), {}),
    "alphabeta": (AlphaBeta(2, 1), {}),
    "flat": (Flat(), {}),
    "wsquare": (WSquare(), {}),
    "zbox": (ZBox(-2, 3), {"low": -2, "high": 3}),
    "relative": (Relative(), {}),
}


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("name", list(CONSTANTS))
def test_every_rule_acts_on_products_with_constants(name: str, rule: str) -> None:
    module = with_constants()[name]
    x = signed(3, *SHAPE, seed=1)
    R = signed(*module(x).shape, seed=2)
    found = back_through(module, x, R, RULES[rule][0])
    for n, expected in enumerate(dense(module, rule, x, R, **RULES[rule][1])):
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected.relevance, rtol=1e-9, atol=1e-10)
    assert_balanced(found, R, 1e-12)


# of the input with itself: k factors, each linear in it
SIGNALS: dict[str, tuple[Op, int]] = {
    "matmul": (lambda x: x @ x.mT, 2),
    "bmm": (lambda x: torch.bmm(x, x.transpose(1, 2)), 2),
    "einsum": (lambda x: torch.einsum("nlc,nmc->nlm", x, x.flip(1)), 2),
    "einsum to one number": (lambda x: torch.einsum("nlc,nlc->n", x, x), 2),
    "einsum that leaves axes out": (lambda x: torch.einsum("nlc,nmd->nm", x, x), 2),
    "einsum of three": (lambda x: torch.einsum("nlc,nmc,ndc->nlm", x, x, x.flip(2)), 3),
    "outer product": (lambda x: x[:, :, None, :] * x[:, None], 2),
    "outer product by einsum": (lambda x: torch.einsum("ni,nj->nij", x[:, 0], x[:, 1]), 2),
    "vecdot": (lambda x: torch.linalg.vecdot(x, x.roll(1, 1)), 2),
    "inner products in one": (lambda x: (x * x.flip(1)).sum(-1), 2),
    "widened": (lambda x: x[:, :1].unsqueeze(1) @ x.mT.unsqueeze(1), 2),
    "bilinear": (lambda x: torch.nn.functional.bilinear(x, x.flip(1), FORM.to(x.dtype)), 2),
    "baddbmm of zeros": (lambda x: torch.baddbmm(torch.zeros(x.shape[0], 5, 5).to(x.dtype), x, x.mT, alpha=-2), 2),
}


@cache
def of_signals() -> dict[str, nn.Module]:
    made = {name: Calls(lambda self, x, op=op: op(x)).eval() for name, (op, _) in SIGNALS.items()}
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


@pytest.mark.parametrize("name", list(SIGNALS))
def test_signals_that_are_multiplied_get_equal_parts_each_shared_by_contribution(name: str) -> None:
    """Achtibat et al. 2024, Proposition 3.3: of k linear factors, each gets 1/k of what the product makes of it."""
    module, count = of_signals()[name], SIGNALS[name][1]
    x = signed(3, *SHAPE, seed=1).requires_grad_()
    y = module(x)
    R = signed(*y.shape, seed=2)
    divisor = y if name == "outer product" else _stabilised(y)  # elementwise, nothing is shared among several
    (back,) = torch.autograd.grad(y, x, (R / divisor).detach())
    found = check_handler(module, x.detach(), R)
    torch.testing.assert_close(found.relevance, (x * back).detach() / count, rtol=1e-10, atol=1e-11)


def test_what_is_added_to_a_product_takes_its_own_share() -> None:
    """baddbmm of three signals: the sum is shared first, then the product's part is halved."""
    net = Calls(lambda self, x: torch.baddbmm(x @ x.mT, x, x.mT, beta=0.5)).eval()
    x = signed(3, *SHAPE, seed=1)
    R = signed(3, 5, 5, seed=2)
    found = check_handler(net, x, R)
    product = x @ x.mT
    quotient = R / _stabilised(1.5 * product)
    of_sum = 0.5 * product * quotient  # what the added product gets, to be halved in turn
    inner = of_sum / _stabilised(product)
    both = (quotient + inner) / 2
    expected = x * (both @ x) + x * (both.mT @ x)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-10)


def test_a_constant_added_to_a_product_is_a_bias() -> None:
    net = seeded(lambda: Calls(lambda self, x: self.pair(x, x.flip(1)), pair=nn.Bilinear(4, 4, 3)))
    x = signed(3, *SHAPE, seed=1)
    R = signed(3, 5, 3, seed=2)
    found = check_handler(net, x, R)
    y = net(x).detach()
    taken = (net.pair.bias * R / _stabilised(y)).detach().sum((1, 2))
    (row,) = found.ledger.rows
    torch.testing.assert_close(row.numbers["bias"], taken, rtol=1e-10, atol=1e-11)


def _stabilised(y: Tensor) -> Tensor:
    return torch.where(y < 0, y - EPS, y + EPS)


# a function of the input that weighs, and of the gate and the input
GATED: dict[str, tuple[Op, Callable[[Tensor, Tensor], Tensor]]] = {
    "matmul": (lambda x: (x @ x.mT).softmax(-1), lambda g, x: g @ x),
    "matmul from the right": (lambda x: (x.mT @ x).softmax(-1), lambda g, x: x @ g),
    "bmm": (lambda x: (x @ x.mT).sigmoid(), lambda g, x: torch.bmm(g, x)),
    "einsum": (lambda x: x.softmax(1), lambda g, x: torch.einsum("nlc,nld->ncd", g, x)),
    "einsum of three": (lambda x: x.softmax(1), lambda g, x: torch.einsum("nlc,nld,nlc->nd", g, x, g)),
    "baddbmm": (lambda x: (x @ x.mT).softmax(-1), lambda g, x: torch.baddbmm(x, g, x)),
    "what was detached": (lambda x: x.tanh().detach(), lambda g, x: g @ x.mT),
    "tanh": (lambda x: x.tanh(), lambda g, x: x @ g.mT),
    "vecdot": (lambda x: x.sigmoid(), lambda g, x: torch.linalg.vecdot(g, x)),
    "moved and scaled": (lambda x: (x @ x.mT).softmax(-1).transpose(1, 2) * 0.5, lambda g, x: g @ x),
}


@cache
def with_gates() -> dict[str, nn.Module]:
    made = {name: Calls(lambda self, x, gate=gate, op=op: op(gate(x), x)).eval() for name, (gate, op) in GATED.items()}
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


@pytest.mark.parametrize("name", list(GATED))
def test_a_gate_is_held_constant_and_the_signal_shares_by_contribution(name: str) -> None:
    module, (gate, op) = with_gates()[name], GATED[name]
    x = signed(3, *SHAPE, seed=1)
    held = gate(x).detach()
    leaf = x.clone().requires_grad_()
    y = op(held, leaf)
    R = signed(*y.shape, seed=2)
    found = check_handler(module, x, R)
    (back,) = torch.autograd.grad(y, leaf, R / _stabilised(y.detach()))
    torch.testing.assert_close(found.relevance, x * back, rtol=1e-10, atol=1e-11)
    assert torch.equal(found.relevance, x * found.coefficient)
    assert not {row.op for row in found.ledger.rows} & {"softmax", "sigmoid", "tanh"}


def test_every_operation_of_this_room_is_in_a_test() -> None:
    cases = [*with_constants().values(), *of_signals().values(), *with_gates().values()]
    met = set().union(*(operations_in(module, signed(2, *SHAPE)) for module in cases))
    assert operations_of(products) - met == set()


class Pointwise(nn.Module):
    """A layer over channels, written as a product with its weight, and a batch norm behind it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 6, 3)
        self.layer = nn.Conv1d(6, 5, 1, bias=False)
        self.norm = nn.BatchNorm1d(5)
        self.last = nn.Linear(5, 2)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        weight = self.layer.weight.squeeze(-1)
        if self.how == "conv":
            h = self.layer(h)
        elif self.how == "matmul":
            h = weight @ h
        elif self.how == "matmul, channels last":
            h = (h.transpose(1, 2) @ weight.t()).transpose(1, 2)
        else:
            h = torch.einsum("dc,ncl->ndl", weight, h)
        return self.last(self.norm(h).relu().mean(-1))


@cache
def pointwise(how: str) -> nn.Module:
    return seeded(lambda: Pointwise(how), seed=3)


@pytest.mark.parametrize("pruning", [None, Pruning(p=0.5), Pruning(p=0.5, mode="matrix")], ids=repr)
@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), Relative()], ids=repr)
def test_a_layer_written_as_a_product_is_ruled_and_pruned_as_one(rule: Rule, pruning: Pruning | None) -> None:
    """From the left, on channels, a batch norm is folded into it, too, as into a convolution."""
    x = one_hot(3, 12)
    plain = back_through(pointwise("conv"), x, None, rule, pruning)
    product = back_through(pointwise("matmul"), x, None, rule, pruning)
    torch.testing.assert_close(product.relevance, plain.relevance, rtol=1e-10, atol=1e-12)
    assert [row.op for row in product.ledger.rows].count("batch_norm") == 0
    assert_balanced(product, pointwise("matmul")(x).detach(), 1e-12)


@pytest.mark.parametrize("how", ["matmul, channels last", "einsum"])
@pytest.mark.parametrize("mode", ["lambda", "matrix"])
def test_other_ways_to_write_a_layer_share_alike(how: str, mode: str) -> None:
    """There a batch norm stands by itself, so its twin is a convolution with one behind that is not folded."""
    x = one_hot(3, 12)
    pruning = Pruning(p=0.5, mode=mode)
    one = back_through(pointwise(how), x, None, Gamma(), pruning)
    other = back_through(pointwise("einsum" if how != "einsum" else "matmul, channels last"), x, None, Gamma(), pruning)
    torch.testing.assert_close(one.relevance, other.relevance, rtol=1e-10, atol=1e-12)
    assert_balanced(one, pointwise(how)(x).detach(), 1e-12)
    assert {"prune"} < {row.op for row in one.ledger.rows}


def test_an_einsum_that_only_turns_axes_keeps_the_hypothetical_contributions() -> None:
    net = seeded(lambda: Calls(lambda self, x: self.layer(torch.einsum("ncl->nlc", x)), layer=nn.Linear(4, 2)))
    twin = Calls(lambda self, x: self.layer(x.transpose(1, 2)), layer=net.layer).eval()
    x = one_hot(3, 6)
    found, expected = back_through(net, x), back_through(twin, x)
    assert found.coefficient is not None
    assert torch.equal(found.coefficient, expected.coefficient)
    assert (found.coefficient[x == 0] != 0).any()


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (lambda x: torch.einsum("nii->ni", x[:, :4]), "diagonal"),
        (lambda x: torch.linalg.vecdot(x, x.flip(2), dim=1), "vecdot"),
    ],
)
def test_what_is_no_product_that_we_know_is_an_error_with_a_remedy(op: Op, text: str) -> None:
    net = Calls(lambda self, x: op(x)).eval()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, *SHAPE)), net)
    assert caught.value.remedy
