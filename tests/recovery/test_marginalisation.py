"""Motifs in backgrounds against tangermeme, by hand, and with the letters' own effect told from the motif's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import seqplrp as sp
from seqplrp.evaluate import model_score
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery import marginalise

LENGTH = 41


def backgrounds(n: int = 40, seed: int = 0) -> Tensor:
    codes = np.random.default_rng(seed).integers(4, size=(n, LENGTH)).astype(np.uint8)
    codes[0, 3] = 4
    return codes_to_one_hot(codes)


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 37, 3)
    ).eval()


@pytest.mark.parametrize("word", ["GATTACA", "GATTAC", "GANNACA"])
@pytest.mark.parametrize("start", [None, 0, 30])
def test_effects_are_those_of_tangermeme(word: str, start: int | None) -> None:
    peer = pytest.importorskip("tangermeme.marginalize")
    model, x = net(), backgrounds()
    before, after = peer.marginalize(model, x, word, start=start, device="cpu")
    got = marginalise(model_score(model), x, 1, [word], start=start)
    np.testing.assert_allclose(got.effects[word], (after - before)[:, 1].numpy(), atol=1e-5)
    assert got.table["effect"][0] == pytest.approx(float((after - before)[:, 1].mean()), abs=1e-5)


def matches(word: str):
    kernel = sp.one_hot(word)

    def score(x: Tensor, target: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(x.float(), kernel).amax(dim=(1, 2))

    return score


def test_a_motif_that_is_read_is_told_from_its_letters_and_one_that_is_not_is_not() -> None:
    x = backgrounds(60)
    got = marginalise(matches("GATTACA"), x, 0, {"read": "GATTACA", "idle": "CCGGTCC"}).table.set_index("motif")
    assert got["specific_low"]["read"] > 1
    assert got["p_holm"]["read"] < 1e-6
    assert got["specific_low"]["idle"] < 0 < got["specific_high"]["idle"] or got["p_holm"]["idle"] > 0.05
    assert (got["low"] <= got["effect"]).all()
    assert (got["effect"] <= got["high"]).all()
    assert (got["backgrounds"] == 60).all()


def test_the_other_strand_gets_the_reverse_complement() -> None:
    x = backgrounds()
    forward = marginalise(matches("TGTAATC"), x, 0, ["GATTACA"])
    reverse = marginalise(matches("TGTAATC"), x, 0, ["GATTACA"], strand="-")
    assert (reverse.effects["GATTACA"] + matches("TGTAATC")(x, x).numpy() == 7).all()
    assert forward.effects["GATTACA"].mean() < reverse.effects["GATTACA"].mean()


def test_a_matrix_gives_its_likeliest_word_or_words_drawn_from_it() -> None:
    p = np.array([[0.7, 0.1, 0.1, 0.1], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]])
    motif = Motif("M", p)
    x = codes_to_one_hot(np.random.default_rng(0).integers(4, size=(4000, 9)).astype(np.uint8))
    seen: list[Tensor] = []

    def watching(batch: Tensor, target: Tensor) -> Tensor:
        seen.append(batch[:, :, 2:5])
        return batch[:, 0, 2]

    marginalise(watching, x, 0, [motif], start=2, letters="drawn", batch_size=4000)
    drawn = seen[1].mean(dim=0).T.numpy()  # after the backgrounds themselves
    np.testing.assert_allclose(drawn, p, atol=0.03)
    seen.clear()
    got = marginalise(watching, x, 0, [motif], start=2, batch_size=4000)
    assert torch.equal(seen[1][0], sp.one_hot("ACT")[0])
    assert (seen[1] == seen[1][0]).all()
    assert got.table.loc[0, ["motif", "start", "width"]].tolist() == ["M", 2, 3]


def test_draws_are_those_of_the_seed_and_each_background_alone() -> None:
    x, motif = backgrounds(), Motif("M", np.full((6, 4), 0.25))
    options = {"letters": "drawn", "batch_size": 16}
    whole = marginalise(matches("GATTACA"), x, 0, [motif], **options)
    part = marginalise(matches("GATTACA"), x[7:], 0, [motif], **options)
    other = marginalise(matches("GATTACA"), x, 0, [motif], seed=1, **options)
    np.testing.assert_array_equal(whole.effects["M"][7:], part.effects["M"])
    np.testing.assert_array_equal(whole.shuffled["M"][7:], part.shuffled["M"])
    assert (whole.effects["M"] != other.effects["M"]).any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"motifs": ["A" * 50]}, "of 50 bases does not fit at -5 into backgrounds of 41"),
        ({"motifs": ["ACGT"], "start": 40}, "does not fit at 40"),
        ({"motifs": ["ACGT", "ACGT"]}, "motifs: two are called 'ACGT'"),
        ({"motifs": []}, "motifs: is empty"),
        ({"letters": "best"}, "letters: is 'best'"),
        ({"strand": "."}, "strand: is '.'"),
        ({"motifs": ["ACGX"]}, "letter 'X'"),
    ],
)
def test_what_can_not_be_put_in_is_refused(change: dict, text: str) -> None:
    given = {"score": matches("ACGT"), "backgrounds": backgrounds(), "target": 0, "motifs": ["ACGT"]} | change
    with pytest.raises(sp.SeqplrpError) as error:
        marginalise(**given)
    assert text in str(error.value)
