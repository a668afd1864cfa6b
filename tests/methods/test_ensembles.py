"""Ensembles: the mean of the members' maps, with its spread."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
import torch
from nets import Deep, deep, seeded, sequences
from torch import nn

import seqplrp as sp

X24 = sequences(4, 24, seed=5)


@cache
def folds() -> tuple[nn.Module, ...]:
    return tuple(seeded(Deep, seed=seed) for seed in (21, 22, 23))


@pytest.mark.parametrize("method", [sp.PLRP(p=0.5), sp.PLRP(reverse_complement=True, center="uniform")])
def test_an_ensemble_is_the_mean_of_its_members_with_their_spread(method: sp.Method) -> None:
    e = sp.explain(folds(), X24, 1, method, layers=[] if method.reverse_complement else ["pool"])
    each = [sp.explain(model, X24, 1, method) for model in folds()]
    maps, scores = torch.stack([one.relevance for one in each]), torch.stack([one.output for one in each])
    torch.testing.assert_close(e.relevance, maps.mean(0))
    torch.testing.assert_close(e.relevance_spread, maps.std(0))
    torch.testing.assert_close(e.per_base_spread, maps.sum(2).std(0))
    torch.testing.assert_close(e.output, scores.mean(0))
    torch.testing.assert_close(e.output_spread, scores.std(0))
    torch.testing.assert_close(e.relevance, X24 * e.hypothetical)
    for member, one in zip(e.members, each, strict=True):
        torch.testing.assert_close(member.relevance, one.relevance)
    assert e.ledger.member.unique().tolist() == [0, 1, 2]
    of_second = e.ledger[e.ledger.member == 1].drop(columns="member").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_second, each[1].ledger)
    e.check()
    assert e.notes[0] == "mean over 3 models"


def test_relative_maps_of_an_ensemble_are_brought_to_one_size_and_one_sign_first() -> None:
    method = sp.LRP(rule="relative")
    e = sp.explain(folds(), X24, 1, method)
    found = [sp.explain(model, X24, 1, method) for model in folds()]
    each, signs = [one.relevance for one in found], [one.output.sign() for one in found]
    assert any((sign < 0).any() for sign in signs)
    sizes = [one.abs().sum((1, 2), keepdim=True) for one in each]
    scaled = torch.stack(
        [
            one * (sum(sizes) / 3) / size * sign[:, None, None]
            for one, size, sign in zip(each, sizes, signs, strict=True)
        ]
    )
    torch.testing.assert_close(e.relevance, scaled.mean(0))
    torch.testing.assert_close(e.relevance_spread, scaled.std(0))


def test_an_ensemble_of_one_has_no_spread() -> None:
    e = sp.explain([deep()], X24, 1)
    assert torch.equal(e.relevance, sp.explain(deep(), X24, 1).relevance)
    assert (e.relevance_spread == 0).all()


def test_members_that_explain_different_outputs_are_an_error() -> None:
    highest = [model(X24).argmax(1) for model in folds()]
    assert any(not torch.equal(highest[0], other) for other in highest[1:])
    with pytest.raises(sp.SeqplrpError, match="different outputs"):
        sp.explain(folds(), X24, "predicted")
    with pytest.raises(sp.SeqplrpError, match="empty list"):
        sp.explain([], X24, 0)
