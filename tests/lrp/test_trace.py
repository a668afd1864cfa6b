"""Tracing: ways of writing a model agree, the model is left as it was, and what can't be traced says why."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from engine import Calls, one_hot, seeded
from torch import Tensor, nn
from traced_nets import LRP, PLRP, Fragile, Small, X, logits, relevance, same_logits

import seqplrp as sp
from seqplrp.lrp import Program, forget, make_plan, trace


class Functional(Small):
    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(F.conv1d(x, self.first.weight, self.first.bias, padding=2))
        h = F.max_pool1d(h + F.conv1d(h, self.second.weight, self.second.bias, padding="same").relu(), 2)
        return F.linear(h.view(h.size(0), -1), self.out.weight, self.out.bias)


class OneRelu(Small):
    def forward(self, x: Tensor) -> Tensor:
        h = self.relu_one(self.first(x))
        h = h + self.relu_one(self.second(h))
        return self.out(self.pool(h).flatten(1))


class InPlace(Small):
    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu_()
        skip = h
        h = F.relu(self.second(h), inplace=True)
        h += skip
        return self.out(self.pool(h).reshape(x.shape[0], -1))


class Padded(Small):
    def forward(self, x: Tensor) -> Tensor:
        h = F.conv1d(F.pad(x, (2, 2)), self.first.weight, self.first.bias).relu()
        h = h + F.conv1d(F.pad(h, (1, 1)), self.second.weight, self.second.bias).relu()
        return self.out(self.flat(self.pool(h)))


class Squeezed(Small):
    """Detours that move values and bring them back, and dropout."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x.unsqueeze(1).squeeze(1).clone()).relu().transpose(1, 2).transpose(2, 1)
        h = h + F.dropout(self.second(h).relu(), training=self.training)
        return self.out(self.pool(h).unsqueeze(2).permute(0, 1, 2, 3).flatten(1, 3))


class Product(Small):
    """The same linear layer as a matrix product."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu_one(self.first(x))
        h = self.pool(h + self.relu_two(self.second(h))).flatten(1)
        return h @ self.out.weight.T + self.out.bias


TWINS = [Functional, OneRelu, InPlace, Padded, Squeezed]


@cache
def small(kind: type[Small] = Small) -> Small:
    model = seeded(kind, seed=1)
    assert isinstance(model, Small)
    return model


METHODS = {
    "lrp epsilon": sp.LRP(),
    "lrp gamma": sp.LRP(rule=sp.Gamma(0.25)),
    "plrp lambda": sp.PLRP(p=0.5),
    "plrp matrix": sp.PLRP(p=0.5, mode="matrix"),
    "plrp gain": sp.PLRP(threshold="gain", rule=sp.Epsilon()),
    "plrp budget": sp.PLRP(budget=0.6, rule=sp.ZPlus()),
    "plrp relative": sp.PLRP(rule=sp.Relative()),
    "flat below": sp.LRP(rule=sp.Flat()),
    "box below": sp.LRP(rule=sp.ZBox(0, 1)),
    "w-square": sp.LRP(rule=sp.WSquare()),
    "gradient x input": sp.GradientTimesInput(),
}


@pytest.mark.parametrize("twin", TWINS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_twins_that_compute_the_same_get_the_same_map(twin: type[Small], method) -> None:
    expected = sp.explain(small(), X, target=1, method=method)
    found = sp.explain(small(twin), X, target=1, method=method)
    torch.testing.assert_close(found.output, expected.output, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-11)


def test_a_matrix_product_is_the_linear_layer_that_it_writes_out() -> None:
    """Under epsilon, where a bias added apart takes what it takes within the layer."""
    expected, found = (relevance(small(kind), method=LRP) for kind in (Small, Product))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_linear_layer_with_tied_weights_is_two_layers_of_the_plan() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.hidden, self.out = nn.Conv1d(4, 2, 1), nn.Linear(40, 40), nn.Linear(40, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu().flatten(1)
            return self.out(self.hidden(self.hidden(h).relu()).relu())

    class Twice(Tied):
        def __init__(self) -> None:
            super().__init__()
            self.again = nn.Linear(40, 40)
            self.again.weight, self.again.bias = self.hidden.weight, self.hidden.bias

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu().flatten(1)
            return self.out(self.again(self.hidden(h).relu()).relu())

    tied, twice = seeded(Tied), Twice().double()
    twice.load_state_dict({**tied.state_dict(), **{f"again.{k}": v for k, v in tied.hidden.state_dict().items()}})
    torch.testing.assert_close(relevance(tied), relevance(twice), rtol=1e-10, atol=1e-12)
    e = sp.explain(tied, X, target=0, method=LRP)
    assert list(e.ledger[e.ledger.sequence == 0].layer) == ["out", "hidden", "hidden", "conv"]


def state_of(model: nn.Module) -> dict:
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "identity": {name: (id(t), t._version) for name, t in [*model.named_parameters(), *model.named_buffers()]},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {
            name: [len(value) for key, value in vars(module).items() if "hooks" in key and value is not None]
            for name, module in model.named_modules()
        },
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "grads": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "methods": {name: module.forward.__func__ for name, module in model.named_modules()},
    }


def assert_same_state(before: dict, after: dict) -> None:
    for aspect, values in before.items():
        for name, value in values.items():
            other = after[aspect][name]
            assert torch.equal(value, other) if isinstance(value, Tensor) else value == other, (aspect, name)
        assert values.keys() == after[aspect].keys()


def unlike_every_default(model: nn.Module) -> nn.Module:
    """Training mode but for one part, gradients on some parameters, hooks."""
    model.train()
    model.norm.eval()
    model.first.weight.requires_grad_(False)
    model.out.weight.grad = torch.ones_like(model.out.weight)
    model.second.register_forward_hook(lambda module, inputs, output: None)
    model.register_forward_pre_hook(lambda module, inputs: None)
    return model


@pytest.mark.parametrize("method", ["plrp", "lrp", "saliency", sp.PLRP(p=0.5, mode="matrix")], ids=str)
def test_the_model_is_left_as_it_was(method) -> None:
    model = unlike_every_default(seeded(Fragile))
    before = state_of(model)
    sp.explain(model, X, target=0, method=method)
    assert_same_state(before, state_of(model))


def test_the_model_is_left_as_it_was_when_its_forward_fails() -> None:
    model = unlike_every_default(seeded(Fragile))
    model.fails = True
    before = state_of(model)
    with pytest.raises(sp.SeqplrpError, match="deep inside forward"):
        sp.explain(model, X, target=0)
    assert_same_state(before, state_of(model))
    model.fails = False
    assert relevance(model).any()


def test_an_interrupt_leaves_the_model_as_it_was() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    model = unlike_every_default(seeded(Fragile))
    before = state_of(model)
    with pytest.raises(KeyboardInterrupt):
        sp.explain(model, X, target=0, progress=interrupt)
    assert_same_state(before, state_of(model))


def test_dropout_and_batch_norm_are_explained_as_in_evaluation() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 3), nn.BatchNorm1d(5), nn.Dropout(0.9), nn.Flatten()))
    in_training = copy.deepcopy(model).train()
    assert torch.equal(relevance(in_training), relevance(model))


def test_x_itself_is_left_alone() -> None:
    x = one_hot(2, 20).clone().requires_grad_()
    kept = x.detach().clone()
    result = sp.explain(small(InPlace), x, target=0)
    assert torch.equal(x, kept)
    assert x.grad is None
    assert not result.relevance.requires_grad


class Bessel(nn.Module):
    """An activation that the engine does not know."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def test_an_unknown_operation_is_named_with_its_place_and_a_remedy() -> None:
    model = nn.Sequential(nn.Conv1d(4, 2, 1), nn.Sequential(nn.ReLU(), Bessel()), nn.Flatten())
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.explain(model, X.float(), target=0)
    assert caught.value.where.startswith("1.1")
    assert "aten." in caught.value.what
    assert "no relevance handler" in caught.value.what
    assert "register" in caught.value.remedy


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda s, x: s.out(s.conv(x).flatten(1)) if x.sum() > 0 else x, "can't trace"),
        (lambda s, x: s.out(s.conv(x).flatten(1)).numpy(), "can't trace"),
        (lambda s, x: s.out(s.conv(x).flatten(1)).sum(), "over the batch"),
        (lambda s, x: s.out(s.conv(x).view(3, 40)), "can't trace|batch size"),
        (lambda s, x: s.out.weight[:1].expand(x.shape[0], -1), "does not depend on the input"),
        (lambda s, x: (s.out(s.conv(x).flatten(1)), x), "returns 2 values"),
        (lambda s, x: s.out(s.conv(x).flatten(1)) + torch.rand(1, dtype=x.dtype), "randomness|no relevance handler"),
    ],
)
def test_what_can_not_be_explained_is_an_error_not_a_map(forward, text: str) -> None:
    model = Calls(forward, conv=nn.Conv1d(4, 2, 1), out=nn.Linear(40, 2)).double()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        sp.explain(model, X, target=0, method=LRP)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


CLOSINGS: dict[str, tuple[Callable[[Tensor], Tensor], int | None, str]] = {
    "sigmoid": (lambda z: z.sigmoid(), 1, "sigmoid"),
    "softmax": (lambda z: z.softmax(1), 1, "softmax"),
    "softmax of the last axis": (lambda z: F.softmax(z, dim=-1), 1, "softmax"),
    "log_softmax": (lambda z: F.log_softmax(z, dim=1), 1, "log_softmax"),
    "sigmoid, then select": (lambda z: z.sigmoid()[:, 1], None, "sigmoid"),
    "softmax, then select": (lambda z: z.softmax(1)[:, 1], None, "softmax"),
    "sigmoid of one, then squeeze": (lambda z: z[:, 1:2].sigmoid().squeeze(1), None, "sigmoid"),
    "sigmoid of one, then squeeze()": (lambda z: z[:, 1:2].sigmoid().squeeze(), None, "sigmoid"),
    "softmax, then slice": (lambda z: z.softmax(1)[:, 1:], 0, "softmax"),
    "softmax, then view": (lambda z: z.softmax(1).view(-1, 3), 1, "softmax"),
}


@pytest.mark.parametrize("name", list(CLOSINGS))
def test_a_closing_activation_is_left_out(name: str) -> None:
    close, target, left_out = CLOSINGS[name]
    net = same_logits()
    model = Calls(lambda s, x: close(s.net(x)), net=net)
    with torch.no_grad():
        z = net(X)
    for x in (X, X[:1]):
        expected = sp.explain(net, x, target=1, method=PLRP)
        e = sp.explain(model, x, target=target, method=PLRP)
        torch.testing.assert_close(e.output, z[: len(x), 1])
        torch.testing.assert_close(e.relevance, expected.relevance, rtol=1e-10, atol=1e-13)
        assert any(left_out in note for note in e.notes)
    forget(model)


def test_an_activation_in_the_middle_is_not_taken_for_a_closing_one() -> None:
    model = Calls(lambda s, x: s.net(x).sigmoid() * 2, net=logits())
    explainer = sp.Explainer(model, X, method="lrp")
    assert explainer.graph.left_out is None
    torch.testing.assert_close(explainer(X, target=0).output, model(X)[:, 0].detach())


def test_several_outputs_need_a_target_that_picks() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.count, self.profile = nn.Conv1d(4, 5, 3), nn.Linear(5, 1), nn.Conv1d(5, 2, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            h = self.body(x).relu()
            return self.profile(h), {"count": self.count(h.mean(2))}

    model = seeded(TwoHeads)
    with pytest.raises(sp.SeqplrpError, match="returns 2 values"):
        sp.explain(model, X, target=0)
    profile, counts = model(X)
    by_count = sp.explain(model, X, target=lambda out: out[1]["count"].squeeze(-1), method=LRP)
    torch.testing.assert_close(by_count.output, counts["count"][:, 0].detach())
    by_profile = sp.explain(model, X, target=lambda out: out[0].mean((1, 2)), method=LRP)
    torch.testing.assert_close(by_profile.output, profile.mean((1, 2)).detach())
    assert not torch.allclose(by_count.relevance, by_profile.relevance)


def test_a_single_output_may_come_in_a_tuple_or_a_dict() -> None:
    net = same_logits()
    expected = relevance(net)
    for wrap in (lambda y: (y,), lambda y: [y], lambda y: {"logits": y}):
        assert torch.equal(relevance(Calls(lambda s, x, wrap=wrap: wrap(s.net(x)), net=net)), expected)


def test_a_model_in_data_parallel_is_the_model() -> None:
    net = same_logits()
    expected = relevance(net)
    assert torch.equal(relevance(nn.DataParallel(net)), expected)


def test_lazy_layers_without_weights_are_told() -> None:
    with pytest.raises(sp.SeqplrpError, match="lazy layers"):
        relevance(nn.Sequential(nn.LazyConv1d(3, 3), nn.Flatten(), nn.LazyLinear(2)))


def test_constants_made_in_forward_are_part_of_the_trace() -> None:
    net = logits()
    model = Calls(lambda s, x: s.net(x) * torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64), net=net)
    for target, factor in enumerate((1, 2, -3)):
        e = sp.explain(model, X, target=target, method=sp.LRP(rule=sp.Epsilon(1e-12)))
        torch.testing.assert_close(e.output, factor * net(X)[:, target].detach())


@pytest.mark.parametrize("method", ["plrp", "gradient-x-input"])
def test_explaining_within_inference_mode_or_no_grad_changes_nothing(method: str) -> None:
    model = seeded(Fragile)
    expected = sp.explain(model, X, target=0, method=method).relevance
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert torch.equal(sp.explain(model, X, target=0, method=method).relevance, expected)
            fresh = sp.Explainer(seeded(Fragile), X[:1], method=method)
        torch.testing.assert_close(fresh(X, target=0).relevance, expected)


def test_a_trace_has_no_weights_in_it() -> None:
    model = small()
    graph = trace(model, X)
    assert not graph.constants
    assert set(graph.weights.values()) == set(dict(model.named_parameters()))


class OfModels(nn.Module):
    """Names that begin as that by which the engine's own wrapper calls what it traces."""

    def __init__(self) -> None:
        super().__init__()
        self.models = nn.ModuleList(nn.Conv1d(4, 3, 3, padding=1) for _ in range(2))
        self.model = nn.Conv1d(3, 3, 3)
        self.model_out = nn.Linear(54, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = self.models[0](x) + self.models[1](x)
        return self.model_out(self.model(both.relu()).flatten(1))


def test_a_saved_programs_layers_are_called_as_the_models_are():
    model = seeded(OfModels)
    free = ({0: torch.export.Dim.AUTO},)
    program = Program(torch.export.export(model, (X,), dynamic_shapes=free))
    wanted = ["models.0", "models.1", "model", "model_out"]
    for one in (model, program):
        plan = make_plan(trace(one, X), one, {"models.*": sp.ZPlus(), "*": sp.Epsilon()})
        assert [layer.path for layer in plan.layers] == wanted
        assert [layer.rule.partition("(")[0] for layer in plan.layers] == ["ZPlus", "ZPlus", "Epsilon", "Epsilon"]
        assert set(wanted) <= set(plan.values)
