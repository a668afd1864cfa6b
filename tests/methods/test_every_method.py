"""What holds of every method, whoever wrote it."""

from __future__ import annotations

import copy
import pickle
import random
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from nets import classifier, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.methods import METHODS, resolve_method

X = sequences()
TARGETS = [0, 1, 2, 0, 1]

QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"draws": 3},
    "background": {"n_shuffles": 3},
    "deeplift-shap": {"n_shuffles": 3},
    "integrated-gradients": {"steps": 6},
}
EVERY: dict[str, sp.methods.Method] = {name: resolve_method(name, **QUICK.get(name, {})) for name in METHODS} | {
    "smooth plrp": sp.SmoothGrad(over=sp.PLRP(p=0.25), draws=3, seed=4),
    "smooth neuron-mct": sp.SmoothGrad(over="neuron-mct", draws=3, sigma=0.3),
    "plrp less background": sp.Background(over="plrp", n_shuffles=3, references=sp.shuffled_references),
    "relative less background, by position": sp.Background(
        over=sp.PLRP(rule="relative", threshold="gain"), n_shuffles=3, by="position"
    ),
    "smooth less background": sp.Background(over=sp.SmoothGrad(draws=2), n_shuffles=2),
    "expected gradients": sp.IntegratedGradients(steps=6, baseline="shuffles", n_shuffles=3),
    "deeplift-shap of our shuffles": sp.DeepLIFTSHAP(n_shuffles=3, references=sp.shuffled_references),
    "neuron-mct within 15 %": sp.NeuronMCT(max_change=0.15, readout="gradient"),
    "the whole combination": sp.Background(
        over=sp.PLRP(rule="relative", threshold="gain", budget=0.75),
        n_shuffles=3,
        center="composition",
        reverse_complement=True,
    ),
}
every = pytest.mark.parametrize("method", EVERY.values(), ids=EVERY)
SLACK = {"rtol": 1e-7, "atol": 1e-11}  # captum weighs in single precision: alike, but for how it is put together


@cache
def explained(name: str) -> sp.Explanation:
    return sp.explain(classifier(), X, TARGETS, EVERY[name])


def rc(x: Tensor) -> Tensor:
    return x.flip(1, 2)


@pytest.mark.parametrize("name", EVERY)
def test_relevance_is_input_times_hypothetical_and_unknown_bases_get_exactly_nothing(name: str) -> None:
    e = explained(name)
    assert torch.equal(e.relevance, X * e.hypothetical)
    assert not e.relevance[X == 0].any()
    assert e.relevance.abs().sum((1, 2)).all()
    assert torch.isfinite(e.hypothetical).all()
    assert e.relevance.dtype == e.output.dtype == torch.float64
    if not EVERY[name].reverse_complement:
        expected = classifier()(X).detach().gather(1, torch.tensor(TARGETS)[:, None])[:, 0]
        torch.testing.assert_close(e.output, expected)
    assert e.target.tolist() == TARGETS


@pytest.mark.parametrize("name", EVERY)
def test_a_sequences_map_does_not_depend_on_the_others_or_on_its_place(name: str) -> None:
    whole, order = explained(name), torch.tensor([3, 1, 4, 0, 2])
    turned = sp.explain(classifier(), X[order], [TARGETS[n] for n in order], EVERY[name], batch_size=2)
    torch.testing.assert_close(turned.relevance, whole.relevance[order], **SLACK)
    for n in (0, 4):
        alone = sp.explain(classifier(), X[n : n + 1], TARGETS[n], EVERY[name])
        torch.testing.assert_close(alone.hypothetical[0], whole.hypothetical[n], **SLACK)


def state() -> list[Any]:
    """The global state of every source of randomness, and torch's modes."""
    return [
        torch.get_rng_state().tolist(),
        str(np.random.get_state()),  # noqa: NPY002
        random.getstate(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
    ]


def state_of(model: nn.Module) -> list[Any]:
    """What a method could leave behind on a model."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        [(name, t.data_ptr(), t._version, t.requires_grad, t.grad is None, t.tolist()) for name, t in tensors],
        [(sorted(m.__dict__), m.training, [dict(getattr(m, hook)) for hook in hooks]) for m in model.modules()],
    ]


@cache
def training() -> nn.Module:
    model = copy.deepcopy(classifier()).train()
    model[0].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("name", EVERY)
def test_the_model_and_all_global_randomness_are_as_before_and_a_second_call_gives_the_same_bits(name: str) -> None:
    model = training()
    before = state(), state_of(model)
    first = sp.explain(model, X, TARGETS, EVERY[name])
    assert state() == before[0]
    torch.manual_seed(123)  # what users do in between
    np.random.seed(5)  # noqa: NPY002
    random.seed(7)
    again = state()
    second = sp.explain(model, X, TARGETS, EVERY[name])
    assert torch.equal(first.relevance, second.relevance)
    assert torch.equal(first.relevance, explained(name).relevance)
    assert state() == again
    assert state_of(model) == before[1]


@pytest.mark.parametrize("name", [name for name, m in EVERY.items() if m.keeps_size and not m.reverse_complement])
def test_both_strands_are_averaged_as_by_hand(name: str) -> None:
    forward, backward = explained(name), sp.explain(classifier(), rc(X), TARGETS, EVERY[name])
    both = sp.explain(classifier(), X, TARGETS, replace(EVERY[name], reverse_complement=True))
    torch.testing.assert_close(both.relevance, (forward.relevance + rc(backward.relevance)) / 2, **SLACK)
    torch.testing.assert_close(both.hypothetical, (forward.hypothetical + rc(backward.hypothetical)) / 2, **SLACK)
    torch.testing.assert_close(both.output, (forward.output + backward.output) / 2)


@pytest.mark.parametrize("name", [name for name, m in EVERY.items() if m.center is None])
def test_centring_is_that_of_what_the_method_makes(name: str) -> None:
    raw = explained(name).hypothetical
    e = sp.explain(classifier(), X, TARGETS, replace(EVERY[name], center="composition"))
    frequencies = X.sum(2, keepdim=True) / X.sum((1, 2), keepdim=True)
    expected = raw - (frequencies * raw).sum(1, keepdim=True)
    torch.testing.assert_close(e.hypothetical, expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(e.relevance, X * e.hypothetical)


class Turned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = classifier()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(1, 2)).softmax(1)


@cache
def turned() -> nn.Module:
    return seeded(Turned)


def second(outputs: Tensor) -> Tensor:
    return outputs[:, 1]


@pytest.mark.parametrize("name", EVERY)
def test_a_closing_activation_a_callable_and_another_layout_leave_the_map_as_it_is(name: str) -> None:
    expected = sp.explain(classifier(), X, 1, EVERY[name])
    found = sp.explain(turned(), X, 1, EVERY[name], layout="NLC")
    torch.testing.assert_close(found.relevance, expected.relevance, **SLACK)
    torch.testing.assert_close(found.output, expected.output)
    by_callable = sp.explain(classifier(), X, second, EVERY[name])
    torch.testing.assert_close(by_callable.relevance, expected.relevance, **SLACK)
    assert by_callable.target is None


@pytest.mark.parametrize("name", EVERY)
def test_several_targets_and_the_highest_output_are_explained_each_by_itself(name: str) -> None:
    explainer = sp.Explainer(classifier(), X, EVERY[name])
    highest = classifier()(X).argmax(1)
    assert len(set(highest.tolist())) > 1
    for found, target in zip(explainer.many(X, [TARGETS, "predicted", 2]), (TARGETS, highest, 2), strict=True):
        expected = explainer(X, target)
        torch.testing.assert_close(found.relevance, expected.relevance, **SLACK)
        assert torch.equal(found.target, expected.target)


class Controlled(nn.Module):
    """A control track, a table that whole numbers look up, and a mask, beside the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.table, self.head = nn.Conv1d(4, 6, 5), nn.Embedding(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor, track: Tensor, kind: Tensor, mask: Tensor) -> Tensor:
        h = (self.conv(x) + track).relu() * mask[:, None]
        return self.head(h.mean(2) + self.table(kind))


@cache
def controlled() -> nn.Module:
    return seeded(Controlled)


@pytest.mark.parametrize("name", EVERY)
def test_further_inputs_are_held_fixed_each_beside_its_own_sequence_whatever_their_dtype(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    track = torch.randn(5, 1, 16, dtype=torch.float64, generator=generator)
    kind, mask = torch.tensor([0, 1, 2, 1, 0]), torch.rand(5, 16, generator=generator) < 0.8
    method = replace(EVERY[name], reverse_complement=False)
    whole = sp.explain(controlled(), X, 1, method, args=(track, kind, mask))
    torch.testing.assert_close(whole.output, controlled()(X, track, kind, mask)[:, 1].detach())
    for n in (0, 3):
        own = tuple(other[n : n + 1] for other in (track, kind, mask))
        alone = sp.explain(controlled(), X[n : n + 1], 1, method, args=own)
        torch.testing.assert_close(alone.relevance[0], whole.relevance[n], **SLACK)


@every
def test_methods_are_values_that_travel(method: sp.methods.Method) -> None:
    assert pickle.loads(pickle.dumps(method)) == method
    assert replace(method) == method
    assert hash(repr(method))
    with pytest.raises(AttributeError):
        method.center = "uniform"  # type: ignore[misc]


@pytest.mark.parametrize("name", EVERY)
def test_explainers_that_were_pickled_give_the_same(name: str) -> None:
    explainer = pickle.loads(pickle.dumps(sp.Explainer(classifier(), X, EVERY[name])))
    assert torch.equal(explainer(X, TARGETS).relevance, explained(name).relevance)


@cache
def single() -> nn.Module:
    return copy.deepcopy(classifier()).float()


@pytest.mark.parametrize("name", EVERY)
def test_single_precision_gives_the_same_map_in_single_precision(name: str) -> None:
    e = sp.explain(single(), X.float(), TARGETS, EVERY[name])
    assert e.relevance.dtype == e.output.dtype == torch.float32
    scale = float(explained(name).relevance.abs().max())
    torch.testing.assert_close(e.relevance.double(), explained(name).relevance, rtol=2e-3, atol=2e-3 * scale)


@pytest.mark.parametrize("name", ["lrp", "plrp", "r-lrp"])
def test_methods_on_the_engine_keep_a_ledger_and_others_say_that_they_have_none(name: str) -> None:
    assert len(explained(name).ledger)
    for other in set(EVERY) - {"lrp", "plrp", "r-lrp"}:
        assert len(explained(other).ledger) == 0


def test_every_method_whose_maps_do_not_sum_to_the_score_says_so() -> None:
    for name, method in EVERY.items():
        notes = explained(name).notes
        told = [note for note in notes if "sum" in note or "size is not" in note or "knows nothing" in note]
        assert told or isinstance(method, sp.LRP), name
        centred = sp.explain(classifier(), X, TARGETS, replace(method, center="uniform")).notes
        assert "centred by uniform: the map does not sum to the score" in centred
        inner = method.inner.notes if isinstance(method, sp.methods.SmoothGrad | sp.methods.Background) else ()
        assert not [note for note in centred if "map sums to" in note and note not in inner]
