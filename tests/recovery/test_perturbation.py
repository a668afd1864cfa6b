"""DNA stays DNA: other bases where it was replaced, the same dinucleotides where it was shuffled, N where it was N."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import seqplrp as sp
from seqplrp.evaluate import faithfulness, substitution_robustness
from seqplrp.genomics import decode
from seqplrp.recovery import DinucleotideShuffle, RandomBases, unknown_bases
from seqplrp.recovery.perturbation import shuffled_windows

BOTH = [RandomBases(), RandomBases("composition"), DinucleotideShuffle()]
DNA = st.text("ACGTN", min_size=12, max_size=12)


@given(st.lists(DNA, min_size=1, max_size=4), st.integers(0, 100), st.sampled_from(BOTH))
@settings(max_examples=60, deadline=None)
def test_perturbed_dna_is_one_hot_with_its_unknown_bases_in_place(sequences, seed, perturb) -> None:
    x = sp.one_hot(sequences, dtype=torch.float64)
    got = perturb(x, seed)
    assert got.dtype == x.dtype
    for before, after in zip(sequences, decode(got)):  # decode refuses what is not one-hot
        assert [b == "N" for b in before] == [b == "N" for b in after]
        if isinstance(perturb, RandomBases):
            assert all(a != b for a, b in zip(before, after) if b != "N")
        else:
            left, right = before.replace("N", ""), after.replace("N", "")
            assert Counter(pairwise(left)) == Counter(pairwise(right))
    np.testing.assert_array_equal(perturb.fixed(x), [[b == "N" for b in s] for s in sequences])
    np.testing.assert_array_equal(unknown_bases(x), perturb.fixed(x))
    assert torch.equal(perturb(x, seed), got)


def test_other_bases_are_equally_likely_or_as_likely_as_the_composition_says() -> None:
    x = sp.one_hot("A" * 3000 + "C" * 5990 + "G" * 10)
    letters = decode(RandomBases()(x, 0))[0]
    uniform = Counter(letters[:3000])
    assert stats.chisquare([uniform[b] for b in "CGT"]).pvalue > 0.001
    letters = decode(RandomBases("composition")(x, 0))[0]
    counts = Counter(letters[3000:8990])  # of C: A 3001, G 11, T 1
    expected = np.array([3001, 11, 1]) / 3013 * 5990
    assert stats.chisquare([counts[b] for b in "AGT"], expected).pvalue > 0.001
    assert counts["T"] + counts["G"] > 0


def test_random_bases_depend_on_the_seed_and_each_sequence_alone() -> None:
    x = sp.one_hot(["ACGTACGTACGTACGTACGT", "TTTTGGGGCCCCAAAATTTT"])
    perturb = RandomBases()
    assert torch.equal(perturb(x, 3)[1:], perturb(x[1:], 3))
    assert not torch.equal(perturb(x, 3), perturb(x, 4))
    assert not torch.equal(perturb(x.flip(0), 3)[0], perturb(x, 3)[0])


def test_unknown_bases_are_never_touched_by_curves_or_substitutions() -> None:
    x = sp.one_hot(["ACGTNNNNACGTACGTACGT", "TTTTGGGGCCCCNNAATTTT"])
    unknown = torch.from_numpy(unknown_bases(x))
    seen: list[torch.Tensor] = []

    def score(batch: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((batch.sum(dim=1) == 0).sum(dim=1))
        return batch[:, 0].sum(dim=1)

    def explain(batch: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        assert torch.equal(batch.sum(dim=1) == 0, unknown)
        return batch[:, 0] + 0.1

    for perturb in BOTH:
        got = faithfulness(score, x, 0, np.ones((2, 20)), perturb, draws=2)
        assert got.positions.tolist() == [16, 18]
        substitution_robustness(explain, score, x, 0, perturb, draws=5)
    assert set(torch.cat(seen).tolist()) == {4, 2}


def test_windows_keep_their_letters_and_their_unknown_bases() -> None:
    rng = np.random.default_rng(0)
    windows = rng.integers(5, size=(20, 9)).astype(np.uint8)
    got = shuffled_windows(windows, 6, [np.random.default_rng(i) for i in range(20)])
    assert got.shape == (20, 6, 9)
    np.testing.assert_array_equal(np.sort(got, axis=2), np.broadcast_to(np.sort(windows, axis=1)[:, None], got.shape))
    np.testing.assert_array_equal(got == 4, np.broadcast_to((windows == 4)[:, None], got.shape))


def test_each_order_of_a_window_is_as_likely_as_any_other() -> None:
    got = shuffled_windows(np.array([[0, 4, 1, 2]], dtype=np.uint8), 6000, [np.random.default_rng(1)])
    counts = Counter(map(bytes, got[0]))
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


@pytest.mark.parametrize("perturb", BOTH)
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (torch.full((1, 4, 5), 0.25), "X: is not one-hot"),
        (torch.ones(1, 4, 5), "X: is not one-hot"),
        (torch.zeros(1, 5, 4), "X: is (1, 5, 4), not (N, 4, L)"),
    ],
)
def test_what_is_no_dna_is_refused(perturb, x: torch.Tensor, text: str) -> None:
    with pytest.raises(sp.SeqplrpError) as error:
        perturb(x, 0)
    assert text in str(error.value)
    with pytest.raises(sp.SeqplrpError, match="background: is 'gc'"):
        RandomBases("gc")  # type: ignore[arg-type]
