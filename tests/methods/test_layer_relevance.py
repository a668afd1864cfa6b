"""Relevance at layers: the map of what comes after them, pruned where it is pruned."""

from __future__ import annotations

import pytest
import torch
from nets import Deep, deep, sequences
from torch import Tensor, nn

import seqplrp as sp

X24 = sequences(4, 24, seed=5)


class From(nn.Module):
    """What comes after some place in `Deep`, as a model of its own."""

    def __init__(self, model: Deep, after: str) -> None:
        super().__init__()
        self.model, self.after = model, after

    def forward(self, h: Tensor) -> Tensor:
        model = self.model
        if self.after == "norm":
            return model.tail(model.pool(model.relu(h)))
        if self.after == "relu":
            return model.tail(model.pool(h))
        if self.after == "pool":
            return model.tail(h)
        if self.after == "shared@0":
            h = model.shared(h.relu())
        h = h.relu()
        return model.head(model.flat(h * model.sigmoid(model.gate(h))))


def activations(model: Deep) -> dict[str, Tensor]:
    """What each place holds."""
    found: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, y, name=name: found.setdefault(name, []).append(y.clone()))
        for name, module in model.named_children()
    ]
    with torch.no_grad():
        model(X24)
    for hook in hooks:
        hook.remove()
    places = {name: values[0] for name, values in found.items() if len(values) == 1}
    return places | {
        f"{name}@{i}": v for name, values in found.items() for i, v in enumerate(values) if len(values) > 1
    }


LAYERS = ["norm", "relu", "pool", "shared@0", "shared@1"]


@pytest.mark.parametrize("method", [sp.LRP(), sp.LRP(rule=sp.Gamma()), sp.LRP(rule="relative")], ids=str)
def test_relevance_at_a_layer_is_the_map_of_what_comes_after_it(method: sp.Method) -> None:
    e = sp.explain(deep(), X24, 1, method, layers=LAYERS)
    held = activations(deep())
    for layer in LAYERS:
        # a layer's output is explained as the input of the rest: what reads it is no first layer of ours
        expected = sp.explain(From(deep(), layer), held[layer], 1, method).relevance
        scale = expected.abs().amax()
        assert ((e.layers[layer] - expected).abs() <= 1e-9 * scale).all(), layer
    assert list(e.layers) == LAYERS


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
def test_relevance_at_a_layer_is_pruned_where_it_is_pruned(mode: str) -> None:
    method = sp.PLRP(p=0.5, mode=mode)
    explainer = sp.Explainer(deep(), X24, method)
    e = explainer(X24, 1, layers=["pool", "shared@0"])
    plain = sp.explain(deep(), X24, 1, method, batch_size=1)
    torch.testing.assert_close(e.relevance, plain.relevance, rtol=1e-10, atol=1e-14)
    pruned = e.ledger[(e.ledger.op == "prune") & (e.ledger.layer == "shared")]
    share = (e.layers["pool"] != 0).double().mean((1, 2))
    assert (share < 0.6).all()
    at_pool = pruned.groupby("sequence").nth(1)  # from the output down: what the second call reads, then the first
    torch.testing.assert_close(
        torch.tensor(at_pool.relevance_in.to_numpy()), e.layers["pool"].sum((1, 2)), rtol=1e-9, atol=1e-12
    )


def test_a_conv_before_a_folded_norm_has_the_relevance_of_the_norm() -> None:
    e = sp.explain(deep(), X24, 1, "lrp", layers=["conv", "norm"])
    assert torch.equal(e.layers["conv"], e.layers["norm"])


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (["convolution"], "is no module"),
        (["shared"], "shared@0, shared@1"),
        (["sigmoid"], "held constant"),
        (["shared@2"], "is no module"),
    ],
)
def test_a_layer_that_has_no_relevance_is_an_error(layers: list[str], text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(deep(), X24, 1, "lrp", layers=layers)


def test_layers_need_a_method_that_passes_them() -> None:
    with pytest.raises(sp.SeqplrpError, match="LRP or PLRP"):
        sp.explain(deep(), X24, 1, "saliency", layers=["conv"])
    with pytest.raises(sp.SeqplrpError, match="both strands"):
        sp.explain(deep(), X24, 1, sp.LRP(reverse_complement=True), layers=["conv"])
