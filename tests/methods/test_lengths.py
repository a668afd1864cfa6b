"""Inputs of other lengths than the example's: traced once with the length left free, or for that length alone."""

from __future__ import annotations

import pytest
import torch
from nets import both_strands, classifier, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.methods import preparation

X = sequences(3)


class FreeFrom(nn.Module):
    """Takes any length from 9 up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 9), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().amax(2))


class OneByOne(nn.Module):
    """Takes any length, but its graph is another for each: what it does depends on the number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).relu()
        return self.head(sum(h[..., place] for place in range(h.shape[-1])))


def traces(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Note for each trace that is asked for, or looked up, the length and whether it is left free."""
    seen: list[tuple[int, bool]] = []
    original = preparation.cached_trace

    def noted(model, one, *args, any_length, **options):
        seen.append((one.shape[-1], any_length))
        return original(model, one, *args, any_length=any_length, **options)

    monkeypatch.setattr(preparation, "cached_trace", noted)
    return seen


def test_a_length_that_is_too_short_does_not_end_free_lengths_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(FreeFrom, seed=1)
    seen = traces(monkeypatch)
    explainer = sp.Explainer(model, X, "lrp")
    for length in (5, 7, 8, 6, 5):
        with pytest.raises(sp.SeqplrpError, match="can't be explained at another length"):
            explainer(sequences(3, length), 0)
    del seen[:]
    for length in (31, 47, 12, 31):
        x = sequences(3, length)
        torch.testing.assert_close(explainer(x, 0).output, model(x)[:, 0].detach())
    assert seen == [(31, True)], "one trace serves all lengths"
    with pytest.raises(sp.SeqplrpError, match=r"^X: .*\(3, 4, 5\)|^X: .*\(1, 4, 5\)"):
        explainer(sequences(3, 5), 0)


def test_a_model_that_fixes_its_length_is_not_asked_to_free_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(OneByOne, seed=2)
    seen = traces(monkeypatch)
    explainer = sp.Explainer(model, X, "lrp")
    for length in range(21, 27):
        x = sequences(3, length)
        found = explainer(x, 1)
        torch.testing.assert_close(found.output, model(x)[:, 1].detach())
        torch.testing.assert_close(found.relevance, sp.explain(model, x, 1, "lrp").relevance)
    assert 1 <= sum(is_free for _, is_free in seen) <= 2 * preparation._FREE_LENGTH_TRIES
    assert not any(is_free for length, is_free in seen if length > 20 + preparation._FREE_LENGTH_TRIES)


def test_the_example_s_own_length_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made with the weights of then, and can't be made again once they have changed."""
    monkeypatch.setattr(preparation, "_SHAPES_KEPT", 2)
    model = seeded(OneByOne, seed=3)
    explainer = sp.Explainer(model, X, "lrp")
    wanted = explainer(X, 0)
    for length in range(21, 26):
        explainer(sequences(3, length), 0)
    assert len(explainer._preparations.by_shape) == 3
    with torch.no_grad():
        model.head.weight.mul_(3)
    assert torch.equal(explainer(X, 0).relevance, wanted.relevance)


def test_more_than_the_length_may_not_differ() -> None:
    explainer = sp.Explainer(both_strands(), X, "lrp")
    for bad in (X[:, :3], X.unsqueeze(1), X[:, 0]):
        with pytest.raises(sp.SeqplrpError, match=r"^X: has shape .*the model was traced for \(N, 4, 20\)"):
            explainer(bad)
    with pytest.raises(sp.SeqplrpError, match="can't be explained at another length"):
        sp.Explainer(classifier(), X, "lrp")(sequences(3, 25), 0)
