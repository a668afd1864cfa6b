"""Which convolutions read the sequence, under which names their relevance is given, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.recovery import FilterTally, Reading, first_layers, leading_filters

X = sp.one_hot(["ACGTTGCATGCATTACGGATCAGTACGATC", "TTGACNGATCAGGATTACAGGACTTACAGA"])
LENGTH = X.shape[2]


class Branches(nn.Module):
    """Two first layers, a second one, and one that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.short = nn.Sequential(nn.Conv1d(4, 3, 3, padding=1, bias=False), nn.BatchNorm1d(3), nn.ReLU())
        self.long = nn.Conv1d(4, 2, 9, stride=2, padding=4, bias=False)
        self.unused = nn.Conv1d(4, 2, 5)
        self.second = nn.Conv1d(3, 2, 3, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        return (self.second(self.short(x)) + self.long(x)).relu().sum((1, 2))


class Shared(nn.Module):
    """Reads the sequence by one layer three times: for another output, as it is, and turned."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(4, 2, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        other = self.conv(x[:, :, 4:]).sum((1, 2))
        return self.conv(x).relu().sum((1, 2)) + self.conv(x.flip(1, 2)[:, :, 2:]).relu().sum((1, 2)), other


def test_all_first_layers_are_found_by_name_and_their_relevance_is_the_score() -> None:
    explainer = sp.Explainer(Branches().eval(), X[:1], method="lrp")
    layers = first_layers(explainer, LENGTH)
    assert [(layer.name, layer.filters, layer.reading) for layer in layers] == [
        ("short.0", 3, Reading()),
        ("long", 2, Reading()),
    ]
    explanation = explainer(X, layers=[layer.name for layer in layers])
    tallies = [FilterTally(layer.name, layer.filters, layer.geometry) for layer in layers]
    codes = np.where(X.sum(1) > 0, X.argmax(1), 4)
    for tally in tallies:
        tally.add(explanation.layers[tally.layer], codes, ["a", "b"])
    filters = leading_filters(tallies)
    assert len(filters) == 5
    # the batch norm has no bias here, so all of the score passes the two layers
    total = sum(one.positive + one.negative for one in filters)
    assert total == pytest.approx(float(explanation.output.sum()), rel=1e-3)
    assert sum(one.share for one in filters) == pytest.approx(1)


def test_each_call_of_a_shared_layer_is_named_and_read_as_it_is() -> None:
    model = Shared().eval()
    explainer = sp.Explainer(model, X[:1], method="lrp", target=lambda outputs: outputs[0])
    layers = first_layers(explainer, LENGTH)
    assert [(layer.name, layer.reading) for layer in layers] == [
        ("conv@1", Reading()),
        ("conv@2", Reading(-2, 0, reverse=True)),
    ]
    found = explainer(X, layers=[layer.name for layer in layers]).layers
    # the score is the sum of these activities, so each is its own relevance
    with torch.no_grad():
        expected = [model.conv(x).relu() for x in (X, X.flip(1, 2)[:, :, 2:])]
    for layer, activity in zip(layers, expected):
        torch.testing.assert_close(found[layer.name], activity, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 1)),
            r"no 1d convolution reads the sequence \(1 \(linear\)\)",
        ),
        (
            nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv2d(1, 2, (4, 5)), nn.ReLU(), nn.Flatten(), nn.Linear(52, 1)),
            r"no 1d convolution reads the sequence \(1 \(conv2d\)\)",
        ),
    ],
)
def test_models_without_filters_over_the_sequence_are_refused(model, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told):
        first_layers(sp.Explainer(model.eval(), X[:1], method="lrp"), LENGTH)
