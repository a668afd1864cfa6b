"""The architectures of the field explain, exactly: every layer's ledger balanced, in either precision."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import linearised
import pandas as pd
import pytest
import torch
from handler_checks import in_float32
from nets_of_the_field import (
    Basenji,
    Closing,
    EncoderLayer,
    Enformer,
    ExponentialFirst,
    LastState,
    Recurrent,
    SelfAttention,
    TakesNLC,
    profile_score,
    torchvision_net,
    unsettle,
)
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Epsilon, Ledger, make_plan, output_of, propagate, run_forward, start_at
from seqplrp.models import build_model


@dataclass(frozen=True)
class Case:
    """A model and what it takes."""

    build: Callable[[], nn.Module]
    length: int
    target: int | Callable[[Any], Tensor] = 1
    control: bool = False
    layout: str = "NCL"

    @property
    def index(self) -> int | None:
        return None if callable(self.target) else self.target

    @property
    def callable(self) -> Callable[[Any], Tensor] | None:
        return self.target if callable(self.target) else None

    def score(self, outputs: Any) -> Tensor:
        return self.target(outputs) if callable(self.target) else outputs[:, self.target]


def zoo(name: str, length: int, **sizes: Any) -> Case:
    return Case(lambda: build_model(name, length=length, n_outputs=3, **sizes), length)


def bpnet(tracks: int, target: Callable[[Any], Tensor]) -> Case:
    def build() -> nn.Module:
        from bpnetlite import BPNet

        return BPNet(n_filters=8, n_layers=3, n_outputs=2, n_control_tracks=tracks, trimming=20, verbose=False)

    return Case(build, 96, target, control=tracks > 0)


def counts(outputs: tuple[Tensor, Tensor]) -> Tensor:
    return outputs[1][:, 0]


def profile(outputs: tuple[Tensor, Tensor]) -> Tensor:
    return profile_score(outputs[0])


CASES = {
    "zoo: basset-small": zoo("basset-small", 101, filters=(12, 8, 8), dense=(16,)),
    "zoo: deepbind": zoo("deepbind", 60, filters=12, hidden=8),
    "zoo: basset": zoo("basset", 101, filters=(12, 8, 8), dense=(16,)),
    "zoo: deepsea": zoo("deepsea", 200, filters=(8, 8, 8), dense=(16,)),
    "zoo: resnet1d": zoo("resnet1d", 60, filters=(8, 8, 12)),
    "zoo: dilated-residual": zoo("dilated-residual", 60, filters=8, layers=3),
    "BPNet counts, control": bpnet(2, counts),
    "BPNet profile, control": bpnet(2, profile),
    "BPNet counts": bpnet(0, counts),
    "BPNet profile": bpnet(0, profile),
    "Basenji, GELU": Case(lambda: Basenji("gelu"), 64, lambda y: y[:, 1].mean(1)),
    "Basenji, ReLU": Case(lambda: Basenji("relu"), 64, lambda y: y[:, 1].mean(1)),
    "Enformer, distances": Case(Enformer, 64, lambda y: y["human"][:, :, 1].sum(1)),
    "Enformer, places": Case(lambda: Enformer(relative=False), 64, lambda y: y["mouse"].sum((1, 2))),
    "attention, batch first": Case(lambda: SelfAttention(batch_first=True), 40),
    "attention, positions first": Case(lambda: SelfAttention(batch_first=False), 40),
    "transformer, batch first": Case(lambda: EncoderLayer(batch_first=True, norm_first=True, activation="gelu"), 40),
    "transformer, positions first": Case(
        lambda: EncoderLayer(batch_first=False, norm_first=False, activation="relu"), 40
    ),
    "DanQ, batch first": Case(lambda: Recurrent(nn.LSTM, batch_first=True), 38),
    "DanQ, positions first": Case(lambda: Recurrent(nn.LSTM, batch_first=False), 38),
    "GRU, two layers": Case(lambda: Recurrent(nn.GRU, layers=2), 38),
    "GRU, positions first": Case(lambda: Recurrent(nn.GRU, batch_first=False), 38),
    "GRU, last state": Case(LastState, 40),
    "exponential first layer": Case(ExponentialFirst, 60),
    "closing sigmoid": Case(lambda: Closing("sigmoid"), 40),
    "closing softmax": Case(lambda: Closing("softmax"), 40),
    "(N, L, 4)": Case(TakesNLC, 40, layout="NLC"),
}

METHODS = {
    "epsilon": sp.LRP(),
    "gamma": sp.LRP(rule=sp.Gamma()),
    "PLRP epsilon": sp.PLRP(rule="epsilon", p=0.5),
    "PLRP gamma": sp.PLRP(p=0.5),
    "PLRP gamma, matrix": sp.PLRP(p=0.5, mode="matrix"),
    "PLRP relative, gain": sp.PLRP(rule="relative", threshold="gain"),
}


def dna(length: int) -> Tensor:
    """Four sequences: one with some N, one of N alone.

    Of N alone, all positions are alike: which of two equals wins a pool, or stays when relevance is pruned, is a matter
    of how each was rounded. So that one counts for exact zeros and its ledger, not for values.
    """
    codes = torch.randint(4, (4, length), generator=torch.Generator().manual_seed(length))
    x = torch.eye(4, dtype=torch.float64)[codes].transpose(1, 2).contiguous()
    x[1, :, 3:9] = 0
    x[3] = 0
    return x


@dataclass(frozen=True)
class Ready:
    case: Case
    model: nn.Module
    x: Tensor
    args: tuple[Tensor, ...]

    def explainer(self, method: sp.Method) -> sp.Explainer:
        return sp.Explainer(
            self.model, self.x, method, target=self.case.callable, args=self.args, layout=self.case.layout
        )

    def run(self, x: Tensor) -> Tensor:
        """The model's own score."""
        return self.case.score(self.model(x.transpose(1, 2) if self.case.layout == "NLC" else x, *self.args))


@cache
def ready(name: str) -> Ready:
    case = CASES[name]
    if name.startswith("BPNet"):
        pytest.importorskip("bpnetlite", reason="bpnet-lite is of the development environment")
    with torch.random.fork_rng():
        torch.manual_seed(sum(map(ord, name)))
        model = unsettle(case.build()).double().eval()
    control = torch.randint(0, 5, (1, 2, case.length), generator=torch.Generator().manual_seed(1)).double()
    return Ready(case, model, dna(case.length), (control.expand(4, 2, -1),) if case.control else ())


def assert_balanced(ledger: pd.DataFrame, tolerance: float) -> None:
    claimed = ledger.dropna(subset=["unexplained"])
    size = claimed[["size", "size_in"]].max(axis=1)
    share = claimed.unexplained.abs() / size.clip(lower=1e-300)
    worst = share.idxmax()
    assert share[worst] < tolerance, claimed.loc[worst]
    assert len(claimed) == len(ledger) - (ledger.rule == "Relative").sum()


@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_accounted_for_in_double_precision(name: str) -> None:
    it = ready(name)
    with torch.no_grad():
        expected = it.run(it.x)
    for method in METHODS.values():
        e = it.explainer(method)(it.x, it.case.index, args=it.args)
        if not name.startswith("closing"):
            torch.testing.assert_close(e.output, expected, rtol=1e-12, atol=1e-12)
        assert e.relevance.isfinite().all()
        assert e.relevance[:3].any(2).any(1).all()
        assert torch.equal(e.relevance, it.x * e.hypothetical)
        assert (e.relevance[3] == 0).all()
        assert (e.relevance[1, :, 3:9] == 0).all()
        assert_balanced(e.ledger, 1e-12)
        if (e.ledger.rule == "Relative").any():
            continue
        taken = e.ledger.groupby("sequence")[["bias", "stabiliser", "fixed_inputs", "residue"]].sum().sum(axis=1)
        whole = e.relevance.sum((1, 2)) + torch.tensor(taken.to_numpy())
        size = torch.tensor(e.ledger.groupby("sequence")["size"].sum().to_numpy())
        assert ((whole - e.output).abs() < 1e-12 * size).all()


@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_accounted_for_in_single_precision(name: str) -> None:
    it = ready(name)
    small = copy.deepcopy(it.model).float()
    graph = in_float32(it.explainer(sp.LRP()).graph)
    x, args = it.x.float(), [a.float() for a in it.args]
    for method in METHODS.values():
        with torch.inference_mode():
            plan = make_plan(graph, small, method.rules())
            run = run_forward(plan, x, args)
            output = output_of(plan, run)
            target = None if it.case.index is None else torch.full((4,), it.case.index)
            found = propagate(plan, run, start_at(output, target), method.pruning)
        assert found.relevance.dtype == torch.float32
        assert_balanced(table(found.ledger, 4), 1e-5)


def table(ledger: Ledger, n: int) -> pd.DataFrame:
    return pd.DataFrame(ledger.columns(n))


@pytest.mark.parametrize("name", CASES)
def test_without_pruning_it_is_lrp_bit_for_bit_and_no_sequence_minds_another(name: str) -> None:
    it = ready(name)
    plain = it.explainer(sp.LRP(rule="default"))(it.x, it.case.index, args=it.args)
    for mode in ("lambda", "matrix"):
        unpruned = it.explainer(sp.PLRP(p=0.0, mode=mode))(it.x, it.case.index, args=it.args)
        assert torch.equal(unpruned.relevance, plain.relevance)
    for method in ("PLRP epsilon", "PLRP gamma, matrix"):
        explainer = it.explainer(METHODS[method])
        whole = explainer(it.x, it.case.index, args=it.args).hypothetical[:3]
        alone = explainer(it.x, it.case.index, args=it.args, batch_size=1).hypothetical[:3]
        assert ((alone - whole).abs().amax((1, 2)) <= 1e-12 * whole.abs().sum((1, 2))).all()


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("closing")])
def test_epsilon_lrp_is_the_gradient_of_the_linearised_model(name: str, monkeypatch) -> None:
    it = ready(name)
    for module in [module for path, module in sys.modules.items() if path.startswith("seqplrp.lrp")]:
        if hasattr(module, "EPS"):  # of sums and averages; the rules' own is given below
            monkeypatch.setattr(module, "EPS", 1e-15)
    e = it.explainer(sp.LRP(rule=Epsilon(1e-15)))(it.x, it.case.index, args=it.args)
    scores, expected = linearised.coefficients(it.run, it.x)
    torch.testing.assert_close(scores, e.output, rtol=1e-12, atol=1e-12)
    scale = expected.abs().amax((1, 2), keepdim=True)
    assert ((e.hypothetical - expected).abs() <= 1e-9 * scale)[:3].all()


@pytest.mark.parametrize("name", ["BPNet counts, control", "BPNet profile, control"])
def test_what_falls_on_the_control_is_told_and_is_what_the_control_adds(name: str) -> None:
    it = ready(name)
    explainer = it.explainer(sp.LRP())
    with_control = explainer(it.x, args=it.args)
    share = torch.tensor(with_control.ledger.groupby("sequence").fixed_inputs.sum().to_numpy())
    assert (share != 0).all()
    without = explainer(it.x, args=(torch.zeros_like(it.args[0]),))
    none = without.ledger.groupby("sequence").fixed_inputs.sum().abs()
    assert (none == 0).all()
    if name.startswith("BPNet counts"):  # it is added to the count as it is: a linear layer's input
        added = it.model.linear.weight[0, -1] * torch.log(it.args[0][0].sum() + 1)
        kept = with_control.output / (with_control.output + 1e-6 * with_control.output.sign())  # by the stabiliser
        torch.testing.assert_close(share, added.detach() * kept, rtol=1e-12, atol=0)


def test_a_function_of_torch_s_in_a_model_is_no_reason_to_trace_it_again() -> None:
    it = ready("transformer, positions first")  # it holds torch.nn.functional.relu
    assert it.explainer(sp.LRP()).graph is it.explainer(sp.PLRP()).graph


@pytest.mark.parametrize("closing", ["sigmoid", "softmax"])
def test_a_closing_probability_is_explained_as_the_logit_before_it(closing: str) -> None:
    it = ready(f"closing {closing}")
    logits = Logits(it.model)
    for method in (METHODS["epsilon"], METHODS["PLRP gamma"]):
        e = sp.explain(it.model, it.x, 1, method)
        expected = sp.explain(logits, it.x, 1, method)
        assert torch.equal(e.relevance, expected.relevance)
        assert torch.equal(e.output, expected.output)
        assert any(closing in note for note in e.notes)


class Logits(nn.Module):
    def __init__(self, model: Closing) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.output(self.model.conv(x).relu().amax(-1))


# ---- images

IMAGES = {
    "vgg16": (32, sp.PLRP(p=0.5)),
    "vgg19": (32, sp.LRP(rule="epsilon")),
    "resnet18": (32, sp.PLRP(p=0.5)),
    "resnet50": (32, sp.LRP(rule="epsilon")),
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_nets_are_accounted_for(name: str, monkeypatch) -> None:
    pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")
    size, method = IMAGES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = unsettle(torchvision_net(name)).double().eval()
        x = torch.randn(2, 3, size, size, dtype=torch.float64)
    explainer = sp.Explainer(model, x, method)
    e = explainer(x, target=3)
    with torch.no_grad():
        torch.testing.assert_close(e.output, model(x)[:, 3], rtol=1e-11, atol=1e-12)
    assert_balanced(e.ledger, 1e-12)
    alone = explainer(x, target=3, batch_size=1).relevance
    assert ((alone - e.relevance).abs().amax((1, 2, 3)) <= 1e-12 * e.relevance.abs().sum((1, 2, 3))).all()
    graph = explainer.graph
    if isinstance(method, sp.PLRP):
        plain = sp.explain(model, x, 3, sp.LRP(rule=method.rule))
        assert torch.equal(sp.explain(model, x, 3, replace(method, p=0.0)).relevance, plain.relevance)
    else:
        for module in [module for path, module in sys.modules.items() if path.startswith("seqplrp.lrp")]:
            if hasattr(module, "EPS"):
                monkeypatch.setattr(module, "EPS", 1e-15)
        _, expected = linearised.coefficients(lambda v: model(v)[:, 3], x)
        found = sp.explain(model, x, 3, sp.LRP(rule=Epsilon(1e-15))).hypothetical
        assert ((found - expected).abs() <= 1e-7 * expected.abs().amax()).all()
        monkeypatch.undo()
    model.float()
    with torch.inference_mode():
        plan = make_plan(in_float32(graph), model, method.rules())
        run = run_forward(plan, x.float())
        found = propagate(plan, run, start_at(output_of(plan, run), torch.tensor([3, 3])), method.pruning)
    assert_balanced(table(found.ledger, 2), 1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(("Enformer", "attention", "transformer"))])
def test_attention_that_shares_in_the_relevance_is_accounted_for(name: str) -> None:
    it = ready(name)
    constant = it.explainer(sp.LRP())(it.x, it.case.index)
    for method in (sp.LRP(attention="attnlrp"), sp.PLRP(attention="attnlrp", mode="matrix")):
        e = it.explainer(method)(it.x, it.case.index)
        assert_balanced(e.ledger, 1e-12)
        assert (e.relevance[3] == 0).all()
        assert not torch.allclose(e.relevance, constant.relevance)
