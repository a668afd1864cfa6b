"""What models take beside (N, 4, L): further inputs, (N, L, 4), other lengths, tokens."""

from __future__ import annotations

import pytest
import torch
from nets import deep, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp

X24 = sequences(4, 24, seed=5)


# ---- further inputs


class Controlled(nn.Module):
    """A control track is added to the signal, and a number a sequence to the score."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 2, bias=False)

    def forward(self, x: Tensor, track: Tensor, number: Tensor) -> Tensor:
        h = self.conv(x).relu()
        return self.head((h + track).mean(2)) + number


def test_what_falls_on_further_inputs_is_reported_and_adds_up() -> None:
    model = seeded(Controlled, seed=12)
    generator = torch.Generator().manual_seed(3)
    track = torch.rand(4, 1, 20, dtype=torch.float64, generator=generator)
    number = torch.rand(4, 1, dtype=torch.float64, generator=generator)
    e = sp.explain(model, X24, 0, "lrp", args=(track, number), check=True, batch_size=3)
    torch.testing.assert_close(e.output, model(X24, track, number)[:, 0].detach())
    sums = e.ledger.groupby("sequence")[["fixed_inputs", "bias", "stabiliser"]].sum()
    whole = e.relevance.sum((1, 2)) + torch.tensor(sums.sum(axis=1).to_numpy())
    torch.testing.assert_close(whole, e.output, rtol=1e-12, atol=1e-13)
    on_track = track.mean((1, 2)) * model.head.weight.detach().sum(1)[0]
    torch.testing.assert_close(torch.tensor(sums.fixed_inputs.to_numpy()), on_track + number[:, 0], rtol=1e-3, atol=0)
    for n in range(4):
        alone = sp.explain(model, X24[n : n + 1], 0, "lrp", args=(track[n : n + 1], number[n : n + 1]))
        torch.testing.assert_close(alone.relevance[0], e.relevance[n], rtol=1e-10, atol=1e-14)
    assert any("held fixed" in note for note in e.notes)


def test_one_row_of_a_further_input_serves_all_sequences() -> None:
    model = seeded(Controlled, seed=12)
    track, number = torch.ones(1, 1, 20, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    one = sp.explain(model, X24, 0, "lrp", args=(track, number))
    each = sp.explain(model, X24, 0, "lrp", args=(track.repeat(4, 1, 1), number.repeat(4, 1)))
    assert torch.equal(one.relevance, each.relevance)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (torch.ones(4, 1, 20), "no tuple of tensors"),
        ((torch.ones(3, 1, 20), torch.ones(4, 1)), r"args\[0\]: has shape \(3, 1, 20\) beside 4"),
        ((torch.full((4, 1, 20), float("nan")), torch.ones(4, 1)), r"args\[0\]: holds NaN"),
        ((), "Controlled"),
    ],
)
def test_further_inputs_that_do_not_fit_are_errors(args, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(seeded(Controlled, seed=12), X24, 0, "lrp", args=args)


# ---- (N, L, 4)


class Turned(nn.Module):
    """A model of (N, L, 4) around one of (N, 4, L)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.transpose(1, 2))


@pytest.mark.parametrize(
    "method", [sp.PLRP(p=0.5), sp.LRP(rule="epsilon-gamma-box"), sp.Saliency(), sp.PLRP(reverse_complement=True)]
)
def test_a_model_of_nlc_gives_the_map_of_its_ncl_twin(method: sp.Method) -> None:
    expected = sp.explain(deep(), X24, 1, method)
    found = sp.explain(Turned(deep()), X24, 1, method, layout="NLC")
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.output, expected.output)


@pytest.mark.parametrize("layout", ["NHWC", "ncl", None])
def test_an_unknown_layout_is_an_error(layout) -> None:
    with pytest.raises(sp.SeqplrpError, match="layout"):
        sp.explain(deep(), X24, 1, layout=layout)


# ---- other lengths


class AnyLength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 6, 3, dilation=2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.max_pool1d(self.conv1(x).relu(), 2)
        return self.head(self.conv2(h).relu().mean(2))


@pytest.mark.parametrize("method", [sp.PLRP(p=0.5), sp.LRP(), sp.GradientTimesInput()])
def test_another_length_gives_what_an_explainer_of_that_length_gives(method: sp.Method) -> None:
    model = seeded(AnyLength, seed=13)
    explainer = sp.Explainer(model, X24, method)
    for length in (24, 37, 60, 24):
        x = sequences(3, length, seed=length)
        found = explainer(x, target=2)
        expected = sp.Explainer(model, x, method)(x, target=2)
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-11, atol=1e-15)
        torch.testing.assert_close(found.output, model(x)[:, 2].detach())


def test_a_model_of_one_length_says_so() -> None:
    explainer = sp.Explainer(deep(), X24, "lrp")
    with pytest.raises(sp.SeqplrpError, match=r"\(3, 4, 30\).*can't be explained at another length"):
        explainer(sequences(3, 30), target=0)
    assert explainer(X24, target=0).relevance.isfinite().all()


# ---- tokens


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv, self.head = nn.Embedding(5, 6, padding_idx=4), nn.Conv1d(6, 5, 3), nn.Linear(5, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.conv(self.embed(tokens).transpose(1, 2)).relu().amax(2))


def test_tokens_are_explained_as_the_one_hot_input_of_a_table() -> None:
    model = seeded(Tokens, seed=14)
    tokens = torch.randint(0, 5, (4, 20), generator=torch.Generator().manual_seed(2))

    class OneHot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.model = nn.Parameter(model.embed.weight.detach().clone()), model

        def forward(self, x: Tensor) -> Tensor:
            h = nn.functional.conv1d(x, self.table.t().unsqueeze(2))
            return self.model.head(self.model.conv(h).relu().amax(2))

    e = sp.explain(model, tokens, 0, "lrp", check=True)
    assert e.relevance.shape == (4, 20)
    assert e.relevance.dtype == torch.float64
    one_hot = nn.functional.one_hot(tokens, 5).double().transpose(1, 2)
    expected = sp.explain(OneHot(), one_hot, 0, sp.LRP()).relevance.sum(1)
    # the table as a convolution is divided by its own outputs once more, each with its stabiliser
    torch.testing.assert_close(e.relevance, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_tokens_for_a_net_of_one_hot_input_are_a_clear_error() -> None:
    with pytest.raises(sp.SeqplrpError, match=r"X: has dtype torch.int64.*give X.float\(\)"):
        sp.explain(deep(), X24.long(), 0)
