"""Methods of other libraries: the same numbers as by the libraries themselves, on models that are left alone."""

from __future__ import annotations

import pickle
import sys
import threading
import warnings
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from nets import classifier, seeded, sequences, time_first
from torch import Tensor, nn
from torch.nn import functional as F

import seqplrp as sp
from seqplrp.lrp import Program
from seqplrp.methods.references import drawn

captum = pytest.importorskip("captum.attr")
deep_lift_shap = pytest.importorskip("tangermeme.deep_lift_shap").deep_lift_shap
saturation_mutagenesis = pytest.importorskip("tangermeme.saturation_mutagenesis").saturation_mutagenesis

X = sequences()
KNOWN = X[[0, 2, 3]]  # without unknown bases, as tangermeme wants it


def score(model: nn.Module, x: Tensor, target: int = 1) -> Tensor:
    return model(x)[:, target].detach()


# ---- the libraries' own numbers


def test_deeplift_shap_is_what_tangermeme_gives() -> None:
    e = sp.explain(classifier(), KNOWN, 1, sp.DeepLIFTSHAP(n_shuffles=5, seed=3))
    theirs = deep_lift_shap(
        classifier(), KNOWN, target=1, n_shuffles=5, random_state=3, hypothetical=True, device="cpu", batch_size=4
    )
    torch.testing.assert_close(e.hypothetical, theirs, rtol=1e-10, atol=1e-13)
    projected = deep_lift_shap(classifier(), KNOWN, target=1, n_shuffles=5, random_state=3, device="cpu")
    torch.testing.assert_close(e.relevance, projected, rtol=1e-10, atol=1e-13)


def test_deeplift_shap_sums_to_the_score_less_the_references_mean() -> None:
    method = sp.DeepLIFTSHAP(n_shuffles=7, references=sp.shuffled_references, seed=2)
    e = sp.explain(classifier(), KNOWN, 2, method)
    references = sp.shuffled_references(KNOWN, 7, 2)
    means = torch.stack([score(classifier(), references[:, k], 2) for k in range(7)]).mean(0)
    torch.testing.assert_close(e.relevance.sum((1, 2)), e.output - means, rtol=1e-9, atol=1e-12)


def test_mutagenesis_is_what_tangermeme_gives_and_what_it_means() -> None:
    e = sp.explain(classifier(), KNOWN, 1, "ism")
    theirs = saturation_mutagenesis(classifier(), KNOWN, target=1, hypothetical=True, device="cpu")
    torch.testing.assert_close(e.hypothetical, theirs, rtol=1e-10, atol=1e-13)
    for n, position in product((1, 4), (0, 4, 19)):  # sequence 1 has unknown bases at 4
        changed = X[n].repeat(4, 1, 1)
        changed[:, :, position] = torch.eye(4, dtype=X.dtype)
        scores = score(classifier(), changed)
        of_all = sp.explain(classifier(), X, 1, "ism")
        torch.testing.assert_close(
            of_all.hypothetical[n, :, position] - of_all.hypothetical[n, 0, position], scores - scores[0]
        )


def test_integrated_gradients_are_the_integral() -> None:
    class Smooth(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.conv(x)).mean(2))

    model = seeded(Smooth)
    points, weights = np.polynomial.legendre.leggauss(40)

    def integral(start: Tensor) -> Tensor:
        total = torch.zeros_like(X)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            leaf = (start + point * (X - start)).requires_grad_()
            total += weight * torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)[0]
        return total

    e = sp.explain(model, X, 1, "integrated-gradients")
    torch.testing.assert_close(e.hypothetical, integral(torch.zeros_like(X)), rtol=1e-5, atol=1e-8)
    zero = score(model, torch.zeros_like(X[:1]))
    torch.testing.assert_close(e.relevance.sum((1, 2)), e.output - zero, rtol=1e-5, atol=1e-7)

    method = sp.IntegratedGradients(baseline="shuffles", n_shuffles=3, references=sp.shuffled_references, seed=4)
    found, expected = sp.explain(model, X, 1, method), torch.zeros(5, 20).double()
    for start in sp.shuffled_references(X, 3, 4).unbind(1):
        expected += ((X - start) * integral(start)).sum(1) / 3
    expected[X.sum(1) == 0] = 0  # what falls on unknown bases is left out
    torch.testing.assert_close(found.per_base, expected, rtol=1e-5, atol=1e-7)


def test_unknown_bases_of_a_sequence_are_shuffled_as_a_letter_of_their_own() -> None:
    references = drawn(None, X, 6, 0)
    assert ((references.sum(2) == 0).sum(2) == (X.sum(1) == 0).sum(1)[:, None]).all()
    e = sp.explain(classifier(), X, 1, "deeplift-shap")
    means = torch.stack([score(classifier(), drawn(None, X, 20, 0)[:, k]) for k in range(20)]).mean(0)
    whole = torch.tensor([0, 2, 3])
    torch.testing.assert_close(e.relevance.sum((1, 2))[whole], (e.output - means)[whole], rtol=1e-9, atol=1e-12)


# ---- models that hooks alone would not see through


class Functions(nn.Module):
    """The classifier, written with functions, one ReLU module for both places, and pooled by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = classifier()[0], classifier()[4], classifier()[6]
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        h = F.max_pool1d(self.relu(self.conv(x)), 2)
        return torch.log_softmax(self.two(self.relu(self.one(h.flatten(1)))), 1)


@pytest.mark.parametrize("method", [sp.DeepLIFTSHAP(n_shuffles=4), sp.ISM(), sp.IntegratedGradients(steps=8)], ids=str)
def test_functions_reused_modules_and_a_closing_activation_are_explained_as_their_modules(method) -> None:
    expected = sp.explain(classifier(), X, 1, method)
    found = sp.explain(seeded(Functions), X, 1, method)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    assert any("log_softmax was left out" in note for note in found.notes)


class Everything(nn.Module):
    """Every kind of operation for which there is a DeepLIFT rule, in one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.gate = nn.Conv1d(4, 6, 5, padding=2), nn.LayerNorm(6), nn.Linear(6, 12)
        self.rms, self.head = nn.RMSNorm(6), nn.Linear(6, 2)
        self.batch_norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.batch_norm(self.conv(x)))
        h = F.max_pool1d(h, 3, stride=2, padding=1) + F.max_pool1d(h, 2)
        h = h * torch.sigmoid(h) + F.leaky_relu(h, 0.2) / (1 + torch.exp(h))
        t = self.norm(h.transpose(1, 2))
        t = t + F.glu(self.gate(t), -1)
        weights = torch.softmax(t @ t.transpose(1, 2) / 6**0.5, -1)
        t = self.rms(weights @ t).clamp(min=-0.5) + t**2
        pooled = t.transpose(1, 2).amax(2) + t.max(1).values * 0
        pooled = pooled + F.adaptive_max_pool1d(h, 1).flatten(1) + h.max(2).values + h.amax(-1, keepdim=True).sum(2)
        return self.head(torch.tanh(pooled) + F.elu(pooled).abs())


@cache
def everything() -> nn.Module:
    return seeded(Everything)


def test_every_rule_keeps_the_sum_so_that_there_is_nothing_to_note() -> None:
    method = sp.DeepLIFTSHAP(n_shuffles=6, references=sp.shuffled_references)
    e = sp.explain(everything(), KNOWN, 1, method)
    references = sp.shuffled_references(KNOWN, 6, 0)
    means = torch.stack([score(everything(), references[:, k]) for k in range(6)]).mean(0)
    torch.testing.assert_close(e.relevance.sum((1, 2)), e.output - means, rtol=1e-6, atol=1e-8)
    assert not any("convergence" in note for note in e.notes)


def test_every_wrapped_operation_can_be_pickled() -> None:
    explainer = sp.Explainer(everything(), KNOWN, sp.DeepLIFTSHAP(n_shuffles=3))
    again = pickle.loads(pickle.dumps(explainer))
    assert torch.equal(again(KNOWN, 1).relevance, explainer(KNOWN, 1).relevance)


class Unruly(nn.Module):
    """A product over the length, for which there is no DeepLIFT rule."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(10 * torch.logsumexp(3 * self.conv(x), 2))


def test_what_tangermeme_warns_of_is_a_note() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        e = sp.explain(seeded(Unruly), KNOWN, 1, sp.DeepLIFTSHAP(n_shuffles=4), batch_size=1)
    told = [note for note in e.notes if "convergence deltas" in note]
    assert len(told) == len(set(told)) == 2
    assert "no DeepLIFT rule and was taken for linear" in told[1]
    assert not [w for w in caught if "onvergence" in str(w.message)]
    assert told[0] in sp.explain(seeded(Unruly), KNOWN, 1, sp.Background(over=sp.DeepLIFTSHAP(), n_shuffles=2)).notes


def test_an_integral_that_misses_its_sum_is_noted() -> None:
    class Steep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(20 * (x[:, 0].sum(1, keepdim=True) - 3.1)) * torch.tensor([[1.0, 2.0]]).double()

    e = sp.explain(Steep(), KNOWN, 1, sp.IntegratedGradients(steps=3))
    assert any("give more steps" in note for note in e.notes)
    fine = sp.explain(Steep(), KNOWN, 1, sp.IntegratedGradients(steps=60))
    assert not any("give more steps" in note for note in fine.notes)


def test_threads_do_not_take_each_others_warnings_or_change_what_is_heard() -> None:
    before, found = (list(warnings.filters), warnings.showwarning), {}
    models = {"unruly": seeded(Unruly), "fine": classifier()}
    explainers = {kind: sp.Explainer(m, KNOWN, sp.DeepLIFTSHAP(n_shuffles=3)) for kind, m in models.items()}

    def explain(kind: str, place: int) -> None:
        found[kind, place] = explainers[kind](KNOWN, 1).notes

    threads = [threading.Thread(target=explain, args=(kind, n)) for kind in explainers for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (kind, _), notes in found.items():
        assert any("convergence" in note for note in notes) is (kind == "unruly")
    assert len(found) == 6
    assert (list(warnings.filters), warnings.showwarning) == before


# ---- what can't be done, and what is left behind


def test_a_batch_behind_another_axis_is_refused_by_what_pairs_inputs_in_front() -> None:
    model = time_first()
    with pytest.raises(sp.SeqplrpError, match="relu has the batch behind another axis"):
        sp.explain(model, X, 1, "deeplift-shap")
    twin = nn.Sequential(nn.Conv1d(4, 7, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(7, 3)).double()
    twin[0].weight, twin[0].bias, twin[4] = nn.Parameter(model.inner.weight[..., None]), model.inner.bias, model.head
    for method in (sp.ISM(), sp.IntegratedGradients(steps=5)):
        found, expected = (sp.explain(m, X, 1, method).relevance for m in (model, twin))
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("method", ["deeplift-shap", "ism"])
@pytest.mark.parametrize("x", [X / 2, X + torch.eye(20)[:4].double(), X[:, [0, 1, 2, 3, 0]]])
def test_what_is_not_one_hot_is_refused(method: str, x: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 2)).double()
    with pytest.raises(sp.SeqplrpError, match="needs one-hot DNA"):
        sp.explain(model, x, 1, method)


def test_a_program_of_a_fixed_batch_size_is_refused() -> None:
    program = Program(torch.export.export(classifier(), (X,)))
    with pytest.raises(sp.SeqplrpError, match="fixed batch size, 5"):
        sp.explain(program, X, 1, "ism")
    free = Program(torch.export.export(classifier(), (X,), dynamic_shapes=({0: torch.export.Dim.AUTO},)))
    for method in (sp.DeepLIFTSHAP(n_shuffles=3), sp.ISM(), sp.NeuronMCT(), sp.IntegratedGradients(steps=5)):
        found = sp.explain(free, X, 1, method)
        torch.testing.assert_close(found.relevance, sp.explain(classifier(), X, 1, method).relevance)
    for method in (
        sp.NeuronMCT(),
        sp.NeuronIntGrad(),
        sp.SmoothGrad(draws=2),
        sp.Background(over="plrp", n_shuffles=2),
    ):
        found = sp.explain(program, X[:3], 1, method)  # filled up, and cut again
        torch.testing.assert_close(found.relevance, sp.explain(classifier(), X[:3], 1, method).relevance)


@pytest.mark.parametrize(
    ("library", "method"),
    [
        ("tangermeme", "deeplift-shap"),
        ("tangermeme", "ism"),
        ("tangermeme", "background"),
        ("tangermeme", sp.IntegratedGradients(baseline="shuffles")),
        ("captum", "integrated-gradients"),
    ],
)
def test_a_library_that_is_missing_is_one_error_that_names_the_extra(library: str, method, monkeypatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(sp.SeqplrpError, match=rf"needs {library}.*pip install 'seqplrp\[peers\]'") as caught:
        sp.explain(classifier(), X, 1, method)
    assert "\n" not in str(caught.value)


def test_our_own_shuffles_need_no_library(monkeypatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "tangermeme"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tangermeme", None)
    sp.explain(classifier(), X, 1, sp.Background(n_shuffles=2, references=sp.shuffled_references))
    method = sp.IntegratedGradients(steps=3, baseline="shuffles", n_shuffles=2, references=sp.shuffled_references)
    sp.explain(classifier(), X, 1, method)


class Fails(Exception):
    pass


@pytest.mark.parametrize("method", ["deeplift-shap", "ism", "integrated-gradients", "neuron-mct", "neuron-intgrad"])
def test_after_a_failure_in_the_middle_the_model_and_torch_are_as_before(method: str, monkeypatch) -> None:
    from seqplrp.methods.traced import TracedModel

    model = seeded(
        lambda: nn.Sequential(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2))
    )
    model.train()
    model[0].weight.requires_grad_(False)
    calls = [model[2].register_forward_hook(lambda *_: None), model[0].register_full_backward_hook(lambda *_: None)]
    before = {name: (t.clone(), t._version, t.requires_grad) for name, t in model.state_dict(keep_vars=True).items()}
    expected = sp.explain(model, X, 1, method)
    attributes = [sorted(module.__dict__) for module in model.modules()]
    run, left = TracedModel._do, [7]  # in the second forward pass

    def failing(self, *arguments) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Fails
        run(self, *arguments)

    monkeypatch.setattr(TracedModel, "_do", failing)
    with pytest.raises(Fails):
        sp.explain(model, X, 1, method)
    monkeypatch.undo()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert [sorted(module.__dict__) for module in model.modules()] == attributes
    for name, tensor in model.state_dict(keep_vars=True).items():
        value, version, requires_grad = before[name]
        assert torch.equal(tensor, value)
        assert (tensor._version, tensor.requires_grad) == (version, requires_grad)
    assert all(module.training for module in model.modules())
    assert [len(model[2]._forward_hooks), len(model[0]._backward_hooks)] == [1, 1]
    assert [len(module._forward_hooks) for module in model] == [0, 0, 1, 0, 0]
    assert torch.equal(sp.explain(model, X, 1, method).relevance, expected.relevance)
    for call in calls:
        call.remove()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: sp.DeepLIFTSHAP(n_shuffles=0), "n_shuffles: 0"),
        (lambda: sp.DeepLIFTSHAP(references=[1]), "references: is a list"),
        (lambda: sp.DeepLIFTSHAP(seed=2**31), "seed"),
        (lambda: sp.IntegratedGradients(steps=0), "steps: 0"),
        (lambda: sp.IntegratedGradients(baseline="mean"), "baseline: 'mean'"),
        (lambda: sp.IntegratedGradients(references=sp.shuffled_references), "set baseline='shuffles'"),
    ],
)
def test_a_setting_that_can_not_be_is_named(make, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        make()
