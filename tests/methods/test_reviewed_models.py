"""What a reviewer found amiss through the public interface: each once, so that it stays mended."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import pytest
import torch
from nets import classifier, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp


class Around(nn.Module):
    """A net behind a change of its input."""

    def __init__(self, change: Callable[[Tensor], Tensor], net: nn.Module) -> None:
        super().__init__()
        self.change, self.net = change, net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.change(x))


class After(nn.Module):
    """A change of a net's output."""

    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.net(x))


SCALE = torch.tensor([[0.5], [1.0], [2.0], [4.0]], dtype=torch.float64)
METHODS = (
    sp.LRP(),
    sp.PLRP(center="composition"),
    sp.PLRP(mode="matrix"),
    sp.LRP(rule="epsilon-gamma-box"),
    sp.PLRP(rule=sp.Relative(), prune_input=True),
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: repr(method)[:60])
@pytest.mark.parametrize(
    ("change", "scale"), [(lambda x: x * SCALE, SCALE), (lambda x: x / 4, torch.full((4, 1), 0.25))], ids=["mul", "div"]
)
def test_an_input_in_other_units_explains_as_if_they_were_in_the_weights(
    change: Callable[[Tensor], Tensor], scale: Tensor, method: sp.LRP
) -> None:
    x = sequences(5)
    folded = copy.deepcopy(classifier())
    folded[0].weight.data *= scale
    if method.rule == "epsilon-gamma-box":  # its box is in the units that the layer sees
        method = sp.LRP(rule={"*0": sp.ZBox(0, scale.max().item()), "*": sp.Gamma(0.25)})
    found = sp.explain(Around(change, classifier()), x, 1, method, check=sp.Relative() != getattr(method, "rule", None))
    wanted = sp.explain(folded, x, 1, method)
    if found.has_hypothetical:
        torch.testing.assert_close(found.hypothetical, wanted.hypothetical, rtol=1e-9, atol=1e-12)  # absent bases, too
        torch.testing.assert_close(found.relevance, wanted.relevance, rtol=1e-9, atol=1e-12)
    assert found.has_hypothetical is wanted.has_hypothetical


def test_an_input_between_minus_one_and_one_keeps_its_hypothetical_contributions() -> None:
    x = sequences(3)
    method = sp.LRP(rule=sp.Epsilon(1e-12))
    found = sp.explain(Around(lambda x: 2 * x - 1, classifier()), x, 1, method)
    wanted = sp.explain(Around(lambda x: (x - 0.5) * 2, classifier()), x, 1, method)
    torch.testing.assert_close(found.hypothetical, wanted.hypothetical, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("closing", [lambda y: y.softmax(0), lambda y: y[:, 0].log_softmax(-1)], ids=["axis 0", "last"])
def test_a_closing_softmax_over_the_batch_is_refused(closing: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(sp.SeqplrpError, match="over the batch makes one sequence's output depend on the others"):
        sp.explain(After(classifier(), closing), sequences(3), 0)


@pytest.mark.parametrize("method", ["plrp", "lrp"])
def test_autocast_around_the_call_changes_nothing(method: str) -> None:
    model, x = copy.deepcopy(classifier()).float(), sequences(3).float()
    wanted = sp.explain(copy.deepcopy(model), x, 0, method)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sp.explain(model, x, 0, method)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(found.relevance, wanted.relevance)


def test_threads_that_explain_at_once_do_not_disturb_each_other() -> None:
    x = sequences(3)
    shared = seeded(lambda: copy.deepcopy(classifier())).train()
    models = [shared, shared, copy.deepcopy(classifier()).train(), copy.deepcopy(classifier()).train()]
    wanted = sp.explain(classifier(), x, 0).relevance
    found: list[object] = [None] * len(models)

    def explain(place: int) -> None:
        try:
            found[place] = sp.explain(models[place], x, 0).relevance
        except Exception as error:
            found[place] = error

    threads = [threading.Thread(target=explain, args=(place,)) for place in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for relevance in found:
        assert isinstance(relevance, Tensor), relevance
        assert torch.equal(relevance, wanted)
    assert all(module.training for model in models for module in model.modules())
    sp.explain(copy.deepcopy(classifier()), x, 0)  # the exporter is as it was


class WithControl(nn.Module):
    def forward(self, x: Tensor, control: Tensor) -> Tensor:
        return x.sum((1, 2)) + control.mean((1, 2))


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda m, x: sp.explain(copy.deepcopy(m).to("meta"), x, 0), "Sequential: has no weights"),
        (lambda m, x: sp.explain(m, x.to("meta"), 0), "X: has no values"),
        (lambda m, x: sp.explain(m, x.to_sparse(), 0), "X: has layout torch.sparse_coo"),
        (lambda m, x: sp.explain(m, x, 0, device="meta"), "device: 'meta' can't be used"),
        (lambda m, x: sp.explain(torch.jit.trace(m, x), x, 0), "model: is a TorchScript program"),
        (lambda m, x: sp.explain(m, x, 0, check="yes"), "check: 'yes' is no share"),
        (lambda m, x: sp.explain(m, x, 0, check=float("nan")), "check: nan is no share"),
        (lambda m, x: sp.explain(m, x, 0, check=-1), "check: -1 is no share"),
        (lambda m, x: sp.explain(m, x, 0, layers="0"), "layers: '0' is no list"),
        (lambda m, x: sp.Explainer(m, x).many(x, 0), "targets: 0 is no list"),
        (lambda m, x: sp.Explainer(m, x).many(x, "predicted"), "targets: 'predicted' is no list"),
        (lambda m, x: sp.explain(m, x, 0, sp.LRP(rule={0: sp.Epsilon()})), "rule pattern 0: is no text"),
        (lambda m, x: sp.Explainer(WithControl(), x, args=(x,))(x), "args: holds 0 tensors"),
        (lambda m, x: sp.Explainer(WithControl(), x, args=(x,))(x, args=(x[:, 0, 0],)), r"args\[0\]: has shape"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_request_that_cannot_be_met_is_one_clear_error(
    call: Callable[[nn.Module, Tensor], object], where: str
) -> None:
    with pytest.raises(sp.SeqplrpError, match=f"^{where}"):
        call(classifier(), sequences(3))


def test_a_gated_linear_unit_explains_as_its_gate_written_out() -> None:
    conv, out = nn.Conv1d(4, 6, 3, padding=1).double(), nn.Linear(24, 2).double()

    class Gated(nn.Module):
        def __init__(self, gate: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.conv, self.gate, self.out = conv, gate, out

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.gate(self.conv(x)).flatten(1))

    short, written = Gated(nn.GLU(1)), Gated(lambda h: h[:, :3] * torch.sigmoid(h[:, 3:]))
    X = sp.one_hot(["ACGTACGT", "TTGACNCA"]).double()
    for method in (sp.LRP(), sp.LRP(rule="gamma")):
        ours = sp.explain(short, X, 0, method, check=True).relevance
        torch.testing.assert_close(ours, sp.explain(written, X, 0, method).relevance, rtol=1e-9, atol=1e-12)


def test_a_number_that_forward_reads_from_outside_is_seen_however_small_the_output() -> None:
    outside = {"k": 1.0}

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * (1e-6 * Holder.values["k"])

    class Holder:
        values = outside

    model, X = Scaled(), sp.one_hot(["ACGTACGT"])
    first = sp.explain(model, X, method="lrp").output
    outside["k"] = -3.0
    torch.testing.assert_close(sp.explain(model, X, method="lrp").output, -3 * first)


def test_an_output_that_is_no_number_is_told_as_such() -> None:
    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.Flatten(), nn.Linear(18, 1))
    with torch.no_grad():
        model[2].bias.fill_(float("nan"))
    with pytest.raises(sp.SeqplrpError, match="NaN or infinite"):
        sp.explain(model, sp.one_hot(["ACGTACGT"]))


def test_sequences_with_the_bases_last_are_told_how_to_turn() -> None:
    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.Flatten(), nn.Linear(18, 1))
    with pytest.raises(sp.SeqplrpError, match="transpose"):
        sp.explain(model, sp.one_hot(["ACGTACGT"]).transpose(1, 2))
