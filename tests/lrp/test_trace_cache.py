"""The cache of traces: what is shared, what is traced anew, and what is kept alive (nothing)."""

from __future__ import annotations

import copy
import gc
import types
import weakref
from collections.abc import Callable

import pytest
import torch
from engine import seeded
from torch import Tensor, nn
from traced_nets import LRP, PLRP, Fragile, Small, X, logits, relevance

import seqplrp as sp
from seqplrp.lrp import cached_trace


def test_one_sequence_and_many_share_a_trace() -> None:
    model = logits()
    graph = cached_trace(model, X[:1])
    assert cached_trace(model, X) is graph
    assert graph.input_shape == (None, 4, 20)
    assert graph.output_shape == (None, 3)
    one_by_one = torch.cat([relevance(model, X[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(one_by_one, relevance(model, X), rtol=1e-12, atol=1e-14)


def test_weights_changed_in_place_are_seen() -> None:
    """The cache holds graphs only: after an optimiser's step the next call explains the new weights."""
    model = seeded(Fragile)
    first = relevance(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    model(X).square().sum().backward()
    optimiser.step()
    model.norm.running_mean += 0.3
    second = relevance(model)
    assert not torch.allclose(first, second)
    torch.testing.assert_close(second, relevance(copy.deepcopy(model)), rtol=1e-12, atol=1e-14)


def test_a_weight_that_is_replaced_is_seen() -> None:
    model = logits()
    first = relevance(model)
    model[0].weight = nn.Parameter(-model[0].weight.detach())
    assert not torch.allclose(first, relevance(model))
    torch.testing.assert_close(relevance(model), relevance(copy.deepcopy(model)))


def test_an_explainer_keeps_the_weights_that_it_was_made_with() -> None:
    """All of them: not the new ones where the plan reads them and the old where it had copied them."""
    model = seeded(Fragile)
    for method in (LRP, PLRP, sp.GradientTimesInput()):
        explainer = sp.Explainer(model, X[:1], method=method)
        before = explainer(X, target=0).relevance
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(-1.5)
        assert torch.equal(explainer(X, target=0).relevance, before)
        assert not torch.allclose(relevance(model, method=method), before)


class Configured(nn.Module):
    """A forward that depends on plain attributes of many kinds."""

    def __init__(self, soft: bool) -> None:
        super().__init__()
        self.net, self.soft = logits().float(), soft
        self.scale, self.flag = 1.0, True
        self.activation = lambda z: z * 1.0
        self.config = types.SimpleNamespace(scale=1.0, deeper=types.SimpleNamespace(scale=1.0))
        self.table = {"scale": 1.0}
        self.plain = torch.ones(3)
        self.listed = [torch.ones(3)]
        self.unregistered = [nn.Linear(3, 3, bias=False)]
        nn.init.eye_(self.unregistered[0].weight)

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(x) if self.flag else -self.net(x) * 1.0 + 0.0
        z = self.unregistered[0](z * self.plain * self.listed[0])
        z = self.activation(z) * self.scale * self.table["scale"]
        z = z * self.config.scale * self.config.deeper.scale
        return z.softmax(1) if self.soft else z


def _edit(**changes):
    def edit(model: Configured) -> None:
        for name, value in changes.items():
            setattr(model, name, value)

    return edit


def _replace_activation(model: Configured) -> None:
    del model.activation  # the new function may well stand where the old one stood in memory
    model.activation = lambda z: z * 1.0001


# each changes the scores by less than a comparison in float32 could tell from rounding, or not even that
EDITS: dict[str, Callable[[Configured], None]] = {
    "a number": _edit(scale=1.0001),
    "a function": _replace_activation,
    "an object's attribute": lambda m: setattr(m.config, "scale", 1.0001),
    "a nested object's attribute": lambda m: setattr(m.config.deeper, "scale", 1.0001),
    "a dict's entry": lambda m: m.table.update(scale=1.0001),
    "a plain tensor in place": lambda m: m.plain.mul_(1.0001),
    "a plain tensor": lambda m: setattr(m, "plain", m.plain * 1.0001),
    "a listed tensor in place": lambda m: m.listed[0].mul_(1.0001),
    "a listed tensor": lambda m: m.listed.__setitem__(0, m.listed[0] * 1.0001),
    "an unregistered module's weight": lambda m: m.unregistered[0].weight.data.mul_(1.0001),
    "a layer": lambda m: m.net.__setitem__(1, nn.Identity()),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_changed_attribute_is_seen_by_the_next_call(edit) -> None:
    model, x = Configured(soft=True), X.float()  # behind a softmax, scores hide the most
    before = sp.explain(model, x, target=0, method=LRP).output
    edit(model)
    after = sp.explain(model, x, target=0, method=LRP).output
    model.soft = False
    with torch.no_grad():
        torch.testing.assert_close(after, model(x)[:, 0], rtol=1e-6, atol=1e-7)
    assert not torch.allclose(before, after, rtol=2e-5, atol=0)


CHOSEN = 0


def test_a_target_is_told_apart_by_all_that_it_reads() -> None:
    """Even where scores are so small that a check of the trace against the model would see no difference."""
    model = logits()
    with torch.no_grad():
        model[3].weight.mul_(1e-6)
        model[3].bias.mul_(1e-6)
    model = model.float()
    expected = [relevance(model, X.float(), target=i, method=LRP) for i in range(2)]
    for i in range(2):
        globals()["CHOSEN"] = i
        by_global = relevance(model, X.float(), target=lambda y: y[:, CHOSEN], method=LRP)
        by_default = relevance(model, X.float(), target=lambda y, i=i: y[:, i], method=LRP)
        by_closure = relevance(model, X.float(), target=_pick(i), method=LRP)
        by_object = relevance(model, X.float(), target=_Picker(i), method=LRP)
        for found in (by_global, by_default, by_closure, by_object):
            torch.testing.assert_close(found, expected[i], rtol=1e-5, atol=1e-12)


def _pick(i: int) -> Callable[[Tensor], Tensor]:
    return lambda y: y[:, i]


class _Picker:
    def __init__(self, i: int) -> None:
        self.i = i

    def __call__(self, y: Tensor) -> Tensor:
        return y[:, self.i]


def test_a_loop_of_lambdas_traces_once() -> None:
    model = logits()
    graphs = {id(cached_trace(model, X, lambda y: y[:, 0])) for _ in range(5)}
    assert len(graphs) == 1


def _freed(explain: Callable[[nn.Module], object]) -> bool:
    model = Scorer().double()
    explain(model)
    reference = weakref.ref(model)
    del model
    gc.collect()
    return reference() is None


class Scorer(Small):
    def score(self, y: Tensor) -> Tensor:
        return y[:, 0]


@pytest.mark.parametrize(
    "target",
    [
        lambda m: 0,
        lambda m: lambda y: y[:, 0],
        lambda m: m.score,
        lambda m: lambda y: m.score(y),
        lambda m: lambda y, m=m: m.score(y),
    ],
    ids=["index", "function", "bound method", "closure over the model", "default argument"],
)
def test_the_cache_keeps_no_model_alive(target) -> None:
    assert _freed(lambda model: relevance(model, target=target(model)))


def test_a_target_with_weights_of_its_own_is_told_how_to_go_about_it() -> None:
    head = nn.Linear(3, 1).double()
    with pytest.raises(sp.SeqplrpError, match="Sequential"):
        relevance(logits(), target=head)
    both = nn.Sequential(logits(), head)
    torch.testing.assert_close(relevance(logits(), target=lambda y: head(y).squeeze(1)), relevance(both))
