"""check_rule and check_handler pass what is right, and name what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import (
    AlphaBeta,
    Branch,
    ConservingRelative,
    Contribution,
    Epsilon,
    Flat,
    Gamma,
    Handler,
    Relative,
    Term,
    WSquare,
    ZBox,
    ZPlus,
    check_handler,
    check_rule,
    register,
)
from seqplrp.lrp.registry import HANDLERS
from seqplrp.lrp.steps import MoveHandler

OURS = [Epsilon(), Gamma(), ZPlus(), AlphaBeta(), Flat(), WSquare(), ZBox(-3.0, 3.0), Relative(), ConservingRelative()]


@pytest.mark.parametrize("rule", OURS, ids=repr)
def test_our_own_rules_pass(rule) -> None:
    check_rule(rule)


@dataclass(frozen=True)
class Squares:
    """A right rule of one's own: shares by squared weights times the input's size."""

    eps: float = 1e-9

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (
            Branch((Term("positive", weight.square()), Term("negative", -weight.square())), None, nonnegative=True),
        )


@dataclass(frozen=True)
class TwoThirds(Epsilon):
    """Gives a third of the relevance to nobody."""

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (Branch((Term("input", weight),), bias, coefficient=2 / 3, is_forward=True),)


@dataclass(frozen=True)
class FalseForward(Epsilon):
    """Says that its denominator is the output, and it is not."""

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (Branch((Term("input", 2 * weight),), bias, is_forward=True),)


@dataclass(frozen=True)
class FalsePromise(Epsilon):
    """Says that its denominator is not negative, and it is."""

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (Branch((Term("input", 2 * weight),), None, nonnegative=True),)


@dataclass(frozen=True)
class InPlace(Epsilon):
    """Changes the model."""

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (Branch((Term("input", weight.mul_(1.5)),), bias),)


@dataclass
class Mutable:
    eps: float = 1e-6

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        return (Branch((Term("input", weight),), bias, is_forward=True),)


def test_a_right_rule_of_ones_own_passes_and_explains() -> None:
    check_rule(Squares())
    net = nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 1)).double()
    X = sp.one_hot(["ACGTACGT"]).double()
    e = sp.explain(net, X, method=sp.LRP(rule=Squares()), check=True)
    torch.testing.assert_close(e.relevance.sum(), e.output.sum(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (TwoThirds(), "sum to 0.666667"),
        (FalseForward(), "is not the layer's output"),
        (FalsePromise(), "said not to be negative"),
        (InPlace(), "changed the layer's weight in place"),
        (Mutable(), "no frozen dataclass"),
        (Epsilon, "lacks eps or branches"),
        ("gamma", "lacks eps or branches"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_a_wrong_rule_is_told_what_is_wrong(rule, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        check_rule(rule)


class Bessel(nn.Module):
    """An operation that has no handler of ours."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j1(x)


BESSEL = torch.ops.aten.special_bessel_j1.default
X = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(2, 3, 4)


@pytest.fixture
def _unregistered() -> Iterator[None]:
    yield
    HANDLERS.pop(BESSEL, None)


@pytest.mark.usefixtures("_unregistered")
def test_a_handler_of_ones_own_serves_and_passes() -> None:
    with pytest.raises(sp.SeqplrpError, match="register a handler"):
        check_handler(Bessel(), X)

    @register(BESSEL)
    class PassedOn(Handler):
        def backward(self, step, relevance, run, ledger):
            return [Contribution(relevance=relevance)]

    check_handler(Bessel(), X)
    with pytest.raises(sp.SeqplrpError, match="is handled by PassedOn already"):
        register(BESSEL)(PassedOn)


@pytest.mark.usefixtures("_unregistered")
@pytest.mark.parametrize(
    ("backward", "text"),
    [
        (lambda relevance: relevance - relevance.mean(0), "in company"),
        (lambda relevance: relevance / 0, "not finite"),
    ],
)
def test_a_wrong_handler_is_told_what_is_wrong(backward, text: str) -> None:
    @register(BESSEL)
    class Wrong(Handler):
        def backward(self, step, relevance, run, ledger):
            return [Contribution(relevance=backward(relevance))]

    with pytest.raises(sp.SeqplrpError, match=text):
        check_handler(Bessel(), X)


@pytest.mark.usefixtures("_unregistered")
def test_a_handler_whose_account_does_not_balance_is_told() -> None:
    @register(BESSEL)
    class Leaking(Handler):
        def backward(self, step, relevance, run, ledger):
            kept = relevance / 2
            ledger.add(
                step.path,
                step.op,
                "half",
                relevance_out=relevance.sum((1, 2)),
                relevance_in=kept.sum((1, 2)),
                size=relevance.abs().sum((1, 2)),
            )
            return [Contribution(relevance=kept)]

    with pytest.raises(sp.SeqplrpError, match="unexplained"):
        check_handler(Bessel(), X)


@pytest.mark.usefixtures("_unregistered")
def test_a_handler_that_runs_something_else_is_told() -> None:
    @register(BESSEL)
    class Other(Handler):
        def forward(self, step, run):
            return run.values[step.inputs[0]] * 2

        def backward(self, step, relevance, run, ledger):
            return [Contribution(relevance=relevance)]

    with pytest.raises(sp.SeqplrpError, match="something else than the module"):
        check_handler(Bessel(), X)


@pytest.mark.usefixtures("_unregistered")
@pytest.mark.parametrize(("base", "missing"), [(Handler, "backward"), (MoveHandler, "back")])
def test_a_handler_without_a_way_back_is_told_what_it_lacks(base: type[Handler], missing: str) -> None:
    register(BESSEL)(type("Half", (base,), {}))
    with pytest.raises(sp.SeqplrpError, match=rf"Half, the handler of special_bessel_j1.*give it {missing}\("):
        check_handler(Bessel(), X)
