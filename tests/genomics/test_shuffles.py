"""The dinucleotide shuffle keeps what it promises and draws every other thing at random."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_strings, dinucleotide_shuffle, encode


def dinucleotides(sequence: str) -> Counter[str]:
    return Counter(map("".join, pairwise(sequence)))


def shuffled_texts(sequences: list[str], seed: int = 0) -> list[str]:
    return codes_to_strings(dinucleotide_shuffle(encode(sequences), np.random.default_rng(seed)))


texts = st.integers(1, 60).flatmap(
    lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=6)
)


@settings(deadline=None, max_examples=200)
@given(texts, st.integers(0, 10))
def test_dinucleotide_counts_and_both_ends_are_kept_exactly(sequences: list[str], seed: int) -> None:
    for before, after in zip(sequences, shuffled_texts(sequences, seed)):
        assert dinucleotides(after) == dinucleotides(before)
        assert (after[0], after[-1]) == (before[0], before[-1])


@pytest.mark.parametrize("length", [3, 50, 2000])
def test_counts_are_kept_across_the_chunks_of_a_large_batch(length: int) -> None:
    n = 40_000 if length == 3 else 2_000_000 // length
    codes = np.random.default_rng(1).integers(0, 5, size=(n, length), dtype=np.uint8)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(2))

    def counts(batch: np.ndarray) -> np.ndarray:
        pairs = batch[:, :-1] * 5 + batch[:, 1:]
        return np.stack([(pairs == pair).sum(axis=1) for pair in range(25)], axis=1)

    assert np.array_equal(counts(shuffled), counts(codes))
    assert np.array_equal(shuffled[:, [0, -1]], codes[:, [0, -1]])


def every_shuffle(sequence: str) -> set[str]:
    """List all sequences with the same ends and dinucleotides, by brute force."""
    middles = {"".join(order) for order in permutations(sequence[1:-1])}
    candidates = {sequence[0] + middle + sequence[-1] for middle in middles}
    return {c for c in candidates if dinucleotides(c) == dinucleotides(sequence)}


@pytest.mark.parametrize(
    "sequence", ["ACAGATCA", "AACCGGTAC", "ANACNNCA", "GATTACAT", "AAAACAAGA", "ACACATCT", "AACAACATC"]
)
def test_every_possible_shuffle_is_equally_likely(sequence: str) -> None:
    possible = sorted(every_shuffle(sequence))
    assert len(possible) >= 4
    draws = 2000 * len(possible)
    found = Counter(shuffled_texts([sequence] * draws, seed=7))
    assert set(found) == set(possible)
    # chi-square with k - 1 degrees of freedom: mean k - 1, variance 2 (k - 1); 5 deviations never happen
    chi_square = sum((found[p] - 2000) ** 2 / 2000 for p in possible)
    freedom = len(possible) - 1
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("sequence", ["A", "AC", "AAAAAA", "ACACAC", "AACCGGTT", "NNNN"])
def test_sequences_without_another_order_come_back_as_they_are(sequence: str) -> None:
    assert shuffled_texts([sequence] * 3) == [sequence] * 3


def test_long_sequences_do_not_keep_their_places() -> None:
    codes = np.random.default_rng(3).integers(0, 4, size=(200, 300), dtype=np.uint8)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(4))
    # with independent bases a quarter of the places agree by chance
    assert abs((codes == shuffled).mean() - 0.25) < 0.02
    assert (codes != shuffled).any(axis=1).all()


def test_the_same_seed_gives_the_same_shuffle_and_another_seed_another() -> None:
    sequences = ["ACGTTGCATGCCATTAGCAT" * 3]
    assert shuffled_texts(sequences, 5) == shuffled_texts(sequences, 5)
    assert shuffled_texts(sequences, 5) != shuffled_texts(sequences, 6)


def test_the_input_is_left_alone_even_where_nothing_is_to_do() -> None:
    for codes in (encode("ACGTACGATCA"), encode("AC"), np.zeros((0, 5), dtype=np.uint8)):
        before = codes.copy()
        shuffled = dinucleotide_shuffle(codes, np.random.default_rng(0))
        shuffled[...] = 4
        assert np.array_equal(codes, before)


def test_low_complexity_that_defeats_trial_and_error_is_shuffled_at_once() -> None:
    # one exit in 10,000 leads on from each letter: trying last exits at random would take 10^12 tries
    sequence = "A" * 10_000 + "C" * 10_000 + "G" * 10_000 + "T"
    assert shuffled_texts([sequence]) == [sequence]


def test_anything_but_codes_is_refused() -> None:
    for codes in (np.array([0, 1, 2]), np.array([[0, 9, 2]]), np.array([[0.0, 1.0, 2.0]])):
        with pytest.raises(SeqplrpError, match="codes"):
            dinucleotide_shuffle(codes, np.random.default_rng(0))
