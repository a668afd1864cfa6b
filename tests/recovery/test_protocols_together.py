"""The protocols on a net that reads one motif, explained by the engine itself: each says what is known to be so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.evaluate import (
    faithfulness,
    flip_consistency,
    layer_randomisation,
    localisation,
    match_gini,
    model_score,
    sparsity,
    substitution_robustness,
)
from seqplrp.genomics import codes_to_one_hot, codes_to_strings
from seqplrp.recovery import RandomBases, causal_truth, marginalise

WORD, LENGTH = "TGACTCA", 80


class Reader(nn.Module):
    """Output 0 reads a word on both strands, output 1 another; a third filter reads composition."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 3, 7)
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 2)
        other = sp.one_hot(["TGACTCA", "GGCCACG", "AAAAAAA"])
        with torch.no_grad():
            self.first.weight.copy_((other - 0.25) * 2)
            self.first.bias.copy_(torch.tensor([-5.0, -5.0, -4.0]))
            self.head.weight.copy_(torch.tensor([[1.5, 0.0, 0.02], [0.0, 1.5, 0.02]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)).relu().amax(dim=2))


@pytest.fixture(scope="module")
def scene() -> tuple[Reader, Tensor, pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    codes = rng.integers(4, size=(24, LENGTH)).astype(np.uint8)
    rows = []
    for record in range(24):
        for word, start in ((WORD, rng.integers(5, 30)), ("GGCCACG", rng.integers(45, 70))):
            codes[record, start : start + 7] = ["ACGT".index(letter) for letter in word]
            rows.append((record, start, start + 7, word == WORD))
    instances = pd.DataFrame(rows, columns=["record", "start", "end", "supports"])
    truth = np.zeros(codes.shape, dtype=bool)
    for row in instances[instances["supports"]].itertuples():
        truth[row.record, row.start : row.end] = True
    assert all(text.count(WORD) == 1 for text in codes_to_strings(codes))
    return Reader().eval(), codes_to_one_hot(codes), instances, truth


def explain(model: nn.Module, x: Tensor) -> np.ndarray:
    return sp.explain(model, x, target=0, method="plrp").per_base.numpy()


def test_the_motif_that_is_read_is_found_is_faithful_and_is_what_causes_the_score(scene) -> None:
    model, x, instances, truth = scene
    score, maps = model_score(model), explain(model, x)
    assert localisation(maps, truth)["auprc"].mean() > 0.9
    abpc = {
        name: faithfulness(score, x, 0, relevance, RandomBases(), draws=10).measures()
        for name, relevance in (("plrp", maps), ("random", None), ("truth", truth.astype(float)))
    }
    for measure in ("abpc", "deletion_early", "insertion_abpc"):
        means = {name: found[measure].mean() for name, found in abpc.items()}
        assert means["plrp"] > means["random"] + 0.5 * (means["truth"] - means["random"])
    causal = causal_truth(score, x, 0, instances)
    assert causal.instances.loc[instances["supports"], "causal"].all()
    assert causal.instances.loc[~instances["supports"], "causal"].mean() < 0.25
    used, _ = causal.masks(instances["supports"])
    np.testing.assert_array_equal(used, truth)
    # Where a copy does as well, an instance is not causal alone: then it is neither used nor shown to be idle.
    twice = x.clone()
    twice[0, :, 73:80] = sp.one_hot(WORD)[0]
    copies = causal_truth(score, twice, 0, instances)
    assert not copies.instances["causal"][0]
    assert copies.masks()[1][0, instances["start"][0]]
    marginal = marginalise(score, codes_to_one_hot(np.random.default_rng(1).integers(4, size=(40, LENGTH))), 0, [WORD])
    assert marginal.table["specific_low"][0] > 0


def test_maps_hold_still_elsewhere_follow_the_strand_and_change_with_the_weights(scene) -> None:
    model, x, _, truth = scene

    def again(batch: Tensor, target: Tensor) -> np.ndarray:
        return explain(model, batch)

    still = substitution_robustness(
        again, model_score(model), x, 0, RandomBases(), outside=truth, draws=2, relevance=explain(model, x)
    )
    assert np.nanmean(still["substitution_cosine"]) > 0.9
    # The net reads one strand alone, so its maps can't be consistent; averaged over both strands they must be.
    turn = lambda maps: maps[:, ::-1]  # noqa: E731
    both = sp.PLRP(reverse_complement=True)

    def both_strands(batch: Tensor, target: Tensor) -> np.ndarray:
        return sp.explain(model, batch, target=0, method=both).per_base.numpy()

    one = flip_consistency(again, x, 0, sp.reverse_complement, turn, score=model_score(model))
    two = flip_consistency(both_strands, x, 0, sp.reverse_complement, turn)
    assert np.nanmean(one["flip_correlation"]) < 0.9
    np.testing.assert_allclose(two["flip_correlation"], 1, atol=1e-5)
    random = layer_randomisation(model, lambda net: explain(net, x), example=x[:1], seeds=2)
    assert [layer.name for layer in random.layers] == ["head", "first"]
    assert np.nanmean(random.measures()["randomised_spearman"]) < 0.5


def test_a_dense_map_cut_to_the_pruned_ones_sparsity_is_as_sparse(scene) -> None:
    model, x, _, _ = scene
    pruned = explain(model, x)
    dense = (
        sp.explain(model, x, target=0, method="gradient-x-input").per_base.numpy()
        + 0.01 * x.cumsum(dim=2)[:, 0].numpy()
    )
    goal = sparsity(pruned)["gini"]
    cut = match_gini(dense, goal)
    np.testing.assert_allclose(sparsity(cut.relevance)["gini"][cut.met], goal[cut.met], atol=0.02)
    assert cut.met.mean() > 0.5
