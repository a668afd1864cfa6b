"""Mistakes in targets, dtypes and requests: each is one error that names what is amiss, and what helps."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nets import classifier, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp

X = sequences(3)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (lambda y: 3.0, r"the callable returns 3\.0, no tensor"),
        (lambda y: None, "the callable returns None, no tensor"),
        (lambda y: "best", "the callable returns 'best', no tensor"),
        (lambda y: y[0, 0].item(), "the callable returns a number, no tensor"),
        (lambda y: [y[:, 0], y[:, 1]], "the callable returns 2 values"),
        (lambda y: torch.ones(3), "does not depend on the explained input"),
        (lambda y: torch.ones(y.shape[0]) * 2, "does not depend on the explained input"),
        (lambda y: torch.zeros_like(y[:, 0]) + 1, "does not depend on the explained input"),
        (lambda y: y.argmax(1), "dtype torch.int64, so it is no score"),
        (lambda y: y[:, 0].half(), "dtype torch.float16, so it is no score"),
        (lambda y: y[:, 0] + 1j, "dtype torch.complex128, so it is no score"),
        (lambda y: y[:, :2], r"the callable gives shape \(N, 2\)"),
    ],
)
def test_a_callable_that_gives_no_score_is_told_what_it_gives(target: Callable[[Tensor], Any], text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=f"^target: .*{text}") as caught:
        sp.explain(classifier(), X, target, "lrp")
    assert caught.value.remedy


def test_a_callable_that_gives_a_score_in_any_wrapping_is_taken() -> None:
    wanted = sp.explain(classifier(), X, 1, "lrp")
    for target in (lambda y: y[:, 1], lambda y: y[:, 1:2], lambda y: (y[:, 1],), lambda y: y.t()[1]):
        found = sp.explain(classifier(), X, target, "lrp")
        torch.testing.assert_close(found.relevance, wanted.relevance)


@pytest.mark.parametrize("progress", ["yes", 1, None, 0.5])
def test_progress_that_is_neither_a_bool_nor_a_callable_is_an_error(progress: Any) -> None:
    with pytest.raises(sp.SeqplrpError, match=f"^progress: {progress!r} is neither"):
        sp.explain(classifier(), X, 0, "lrp", progress=progress)


# ---- several dtypes


class Mixed(nn.Module):
    def __init__(self, *, casts: bool) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(96, 2)
        self.casts = casts

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).relu().flatten(1)
        return self.head(h.to(self.head.weight.dtype) if self.casts else h)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_model_of_several_dtypes_is_told_which_parameters_are_odd(dtype: torch.dtype) -> None:
    model = Mixed(casts=False)
    model.head.to(dtype)
    with pytest.raises(sp.SeqplrpError, match=rf"^Mixed: .*head\.weight, head\.bias \({dtype}\).*float32") as caught:
        sp.explain(model, X.float(), 0, "lrp")
    assert "model.float()" in caught.value.remedy


def test_a_model_whose_norms_are_of_another_dtype_is_told_so() -> None:
    layers = (nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6).double(), nn.Flatten(), nn.Linear(96, 2))
    with pytest.raises(
        sp.SeqplrpError, match=r"1\.weight, 1\.bias, 1\.running_mean, 1\.running_var \(torch\.float64\)"
    ):
        sp.explain(nn.Sequential(*layers).eval(), X.float(), 0, "lrp")


def test_a_model_that_casts_by_itself_may_be_of_several_dtypes() -> None:
    model = Mixed(casts=True)
    model.head.double()
    e = sp.explain(model, X.float(), 0, "lrp", check=True)
    torch.testing.assert_close(e.output, model(X.float())[:, 0].float().detach())


# ---- no hypothetical contributions


class Behind(nn.Module):
    def __init__(self, change: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.change, self.table = change, nn.Embedding(4, 4)
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(96, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(self.change(self, x)).relu().flatten(1))


FIRST: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "relu": lambda m, x: x.relu(),
    "argmax": lambda m, x: m.table(x.argmax(1)).transpose(1, 2),
    "mul": lambda m, x: x * (x.sum(1, keepdim=True) > 0),
    "maximum": lambda m, x: torch.maximum(x, x.flip(1)),
    "max_pool1d": lambda m, x: nn.functional.max_pool1d(x, 3, 1, 1),
}


@pytest.mark.parametrize("op", list(FIRST))
def test_what_the_input_passes_before_any_layer_is_named_where_it_has_no_hypothetical_contributions(op: str) -> None:
    model = seeded(lambda: Behind(FIRST[op]), seed=1)
    e = sp.explain(model, X, 0, "lrp")
    assert not e.has_hypothetical
    with pytest.raises(sp.SeqplrpError, match=rf"^hypothetical: .*the input passes {op} .*starts behind it"):
        _ = e.hypothetical
    with pytest.raises(sp.SeqplrpError, match=rf"^center: .*the input passes {op} "):
        sp.explain(model, X, 0, sp.LRP(center="uniform"))
    both = sp.explain([model, seeded(lambda: Behind(lambda m, x: x), seed=2)], X, 0, "lrp")
    with pytest.raises(sp.SeqplrpError, match=rf"the input passes {op} "):
        _ = both.hypothetical


@pytest.mark.parametrize("rule", [sp.Flat(), sp.WSquare(), sp.ZBox(0, 1)], ids=repr)
def test_a_first_layer_s_rule_is_named_where_it_has_none(rule: sp.LRP) -> None:
    model = seeded(lambda: Behind(lambda m, x: x), seed=1)
    e = sp.explain(model, X, 0, sp.LRP(rule={"conv": rule, "*": sp.Epsilon()}))
    with pytest.raises(
        sp.SeqplrpError, match=rf"under {type(rule).__name__}\(.*first layer's \(conv\).*use the epsilon"
    ):
        _ = e.hypothetical


def test_what_has_hypothetical_contributions_hides_nothing() -> None:
    for change in (lambda m, x: x, lambda m, x: x.flip(1, 2) * 2, lambda m, x: x + x.roll(1, 2)):
        assert sp.explain(seeded(lambda change=change: Behind(change)), X, 0).has_hypothetical


def test_the_repr_of_an_ensemble_is_as_short_as_that_of_one() -> None:
    shown = repr(sp.explain([classifier(), classifier()], X, 0))
    assert shown.startswith("Explanation of 3 inputs, relevance (3, 4, 20) by PLRP(")
    assert "note: mean over 2 models" in shown
    assert "tensor(" not in shown


class ChannelsLast(nn.Module):
    """Takes (N, L, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.transpose(1, 2)).mean(2)


class Fails(nn.Module):
    """Fails on whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no such batch")


def test_the_layout_that_a_model_takes_is_named_and_nothing_follows_it() -> None:
    for model, given, other in (
        (seeded(ChannelsLast), "NCL", "NLC"),
        (nn.Sequential(nn.Conv1d(4, 3, 5), nn.Flatten(), nn.Linear(3 * (X.shape[2] - 4), 1)), "NLC", "NCL"),
    ):
        with pytest.raises(sp.SeqplrpError, match=f"^layout: is '{given}', and .*give layout='{other}'") as caught:
            sp.explain(model, X, 0, "lrp", layout=given)
        assert len(traceback.format_exception(caught.value)) < 30
        sp.explain(model, X, 0, "lrp", layout=other)


def test_of_a_forward_that_fails_the_users_own_lines_alone_are_shown() -> None:
    with pytest.raises(sp.SeqplrpError, match="no such batch") as caught:
        sp.explain(Fails(), X, 0)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'raise ValueError("no such batch")' in shown
    assert "torch/" not in shown
    assert len(shown.splitlines()) < 60
    with pytest.raises(sp.SeqplrpError, match="can't trace the model") as caught:
        sp.explain(nn.Sequential(nn.Conv1d(4, 3, 5), nn.Linear(7, 1)), X, 0)
    assert len(traceback.format_exception(caught.value)) < 30, "no line of the user's own"
