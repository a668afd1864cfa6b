"""What a motif says of itself, against biopython."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from Bio import motifs as biopython
from hypothesis import given
from hypothesis import strategies as st

from seqplrp import SeqplrpError, motifs
from seqplrp.genomics.motifs import Motif

rows = st.lists(
    st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(lambda counts: sum(counts) > 0),
    min_size=1,
    max_size=8,
)


def as_biopython(counts: list[list[int]], pseudocount: float = 0.0):
    motif = biopython.Motif(counts={base: [row[i] for row in counts] for i, base in enumerate("ACGT")})
    motif.pseudocounts = pseudocount
    return motif


def from_counts(counts: list[list[int]], **known: object) -> Motif:
    matrix = np.array(counts, dtype=float)
    return Motif("m", matrix / matrix.sum(axis=1, keepdims=True), **known)


@given(rows)
def test_information_content_is_two_minus_the_entropy(counts: list[list[int]]) -> None:
    motif = from_counts(counts)
    expected = [2 + sum(p * np.log2(p) for p in row if p > 0) for row in motif.probabilities]
    assert motif.information_content() == pytest.approx(expected, abs=1e-12)


@given(rows)
def test_reverse_complement_agrees_with_biopython(counts: list[list[int]]) -> None:
    flipped = from_counts(counts).reverse_complement()
    oracle = as_biopython(counts).reverse_complement().counts.normalize()
    assert flipped.probabilities == pytest.approx(np.array([oracle[base] for base in "ACGT"]).T)
    assert flipped.reverse_complement() == from_counts(counts)
    assert from_counts(counts, background=[0.4, 0.3, 0.2, 0.1]).reverse_complement().background == pytest.approx(
        [0.1, 0.2, 0.3, 0.4]
    )


@given(rows)
def test_the_degenerate_consensus_agrees_with_biopython(counts: list[list[int]]) -> None:
    ours, theirs = from_counts(counts).iupac, as_biopython(counts).degenerate_consensus
    # biopython has the three-base codes too, which say little more than N
    assert ours == "".join("N" if letter in "BDHV" else letter for letter in theirs)


@given(rows, st.floats(0.01, 10))
def test_log_odds_of_a_counted_motif_agree_with_biopython(counts: list[list[int]], pseudocount: float) -> None:
    background = {"A": 0.3, "C": 0.2, "G": 0.15, "T": 0.35}
    # biopython normalises each column by its own count, so give all columns one
    sites = max(sum(row) for row in counts)
    counts = [[row[0] + sites - sum(row), *row[1:]] for row in counts]
    added = {base: pseudocount * frequency for base, frequency in background.items()}
    oracle = as_biopython(counts, added).counts.normalize(added).log_odds(background)
    bits = from_counts(counts, nsites=sites).log_odds(list(background.values()), pseudocount)
    assert bits == pytest.approx(np.array([oracle[base] for base in "ACGT"]).T, abs=1e-9)


def test_without_pseudocounts_an_impossible_base_scores_minus_infinity() -> None:
    bits = from_counts([[1, 0, 0, 0]]).log_odds(pseudocount=0)
    assert bits.tolist() == [[2.0, -np.inf, -np.inf, -np.inf]]


def test_pseudocounts_weigh_against_the_number_of_sites_or_against_twenty() -> None:
    p = [[1.0, 0.0, 0.0, 0.0]]
    assert Motif("m", p, nsites=9).with_pseudocount(1).probabilities.tolist() == [[0.925, 0.025, 0.025, 0.025]]
    assert Motif("m", p).with_pseudocount(5).probabilities[0, 0] == pytest.approx((20 + 1.25) / 25)
    assert Motif("m", p).with_pseudocount(0) == Motif("m", p)


def test_the_consensus_is_dna_and_breaks_ties_in_alphabet_order() -> None:
    assert Motif("m", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4], [0.1, 0.4, 0.4, 0.1]]).consensus == "ATC"


def test_a_motif_is_a_value_that_nothing_can_change() -> None:
    given_matrix = np.array([[0.7, 0.1, 0.1, 0.1]])
    motif = Motif("m", given_matrix, accession="MA1.1", nsites=10)
    given_matrix[0, 0] = 0
    assert motif == Motif("m", [[0.7, 0.1, 0.1, 0.1]], accession="MA1.1", nsites=10)
    assert motif != dataclasses.replace(motif, nsites=11)
    assert motif != "m"
    assert len({motif, pickle.loads(pickle.dumps(motif))}) == 1
    with pytest.raises(ValueError, match="read-only"):
        motif.probabilities[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        motif.name = "n"  # type: ignore[misc]
    assert repr(motif) == "<Motif m, accession='MA1.1', 1 bp, A>"


def test_rounding_within_the_tolerance_is_rescaled() -> None:
    motif = Motif("m", [[0.33, 0.33, 0.33, 0.0], [0.252, 0.252, 0.252, 0.252]])
    assert motif.probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-15)


@pytest.mark.parametrize(
    ("matrix", "what"),
    [
        ([], "shape (0,)"),
        ([[0.5, 0.5]], "shape (1, 2)"),
        (np.zeros((0, 4)), "shape (0, 4)"),
        ([0.25] * 4, "shape (4,)"),
        ("ACGT", "no array of numbers"),
        ([[0.25] * 4, [0.25, 0.25, 0.25, 0.27]], "sums to 1.02"),
        ([[0.25] * 4, [0.0] * 4], "sums to 0"),
        ([[0.25] * 4, [1.2, -0.2, 0, 0]], "negative"),
        ([[0.25] * 4, [np.nan, 1, 0, 0]], "not finite"),
        ([[5, 3, 1, 1]], "sums to 10"),
    ],
)
def test_matrices_that_are_no_probabilities_are_refused(matrix, what: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        Motif("m", matrix)
    assert "motif 'm'" in error.value.where
    assert what in error.value.what


@pytest.mark.parametrize("background", [[0.25] * 3, [0.5, 0.5, 0, 0], [1, 1, 1, 1], "ACGT", None])
def test_backgrounds_that_are_none_are_refused(background) -> None:
    with pytest.raises(SeqplrpError, match="background"):
        Motif("m", [[0.25] * 4], background=background)


@pytest.mark.parametrize(
    "known",
    [
        {"name": ""},
        {"name": "a b"},
        {"nsites": 0},
        {"nsites": -1},
        {"nsites": np.inf},
        {"name": "a\x07"},
        {"accession": "a b"},
        {"url": "x\ny"},
    ],
)
def test_names_and_site_counts_that_no_file_could_hold_are_refused(known) -> None:
    with pytest.raises(SeqplrpError):
        Motif(**({"name": "m", "probabilities": [[0.25] * 4]} | known))


def test_negative_pseudocounts_are_refused() -> None:
    with pytest.raises(SeqplrpError, match="pseudocount"):
        motifs.load("CTCF").log_odds(pseudocount=-1)
