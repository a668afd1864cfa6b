"""Shuffles as methods take their references: one-hot, and drawn from the sequence and the seed alone."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

import seqplrp as sp
from seqplrp.genomics import decode

X = sp.one_hot(["ACGTACGTTGCANNACGTAGCTAGCTAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ACGTACGTTGCATTACGTAGCTAGCTAA"])


def pairs(text: str) -> Counter[str]:
    return Counter(text[i : i + 2] for i in range(len(text) - 1))


def test_every_reference_keeps_its_own_sequences_dinucleotides_and_ends() -> None:
    found = sp.shuffled_references(X, 6, 0)
    assert found.shape == (3, 6, 4, 28)
    assert found.dtype == X.dtype
    for sequence, references in zip(decode(X), found, strict=True):
        texts = decode(references)
        assert all(pairs(text) == pairs(sequence) for text in texts)
        assert all((text[0], text[-1]) == (sequence[0], sequence[-1]) for text in texts)
    assert len(set(decode(found[0]))) > 3


def test_references_depend_on_sequence_and_seed_not_on_the_batch() -> None:
    whole = sp.shuffled_references(X, 4, 3)
    for n in range(3):
        assert torch.equal(sp.shuffled_references(X[n : n + 1], 4, 3)[0], whole[n])
    assert torch.equal(sp.shuffled_references(X.flip(0), 4, 3), whole.flip(0))
    assert not torch.equal(sp.shuffled_references(X, 4, 4), whole)
    assert sp.shuffled_references(X.double(), 4, 3).dtype == torch.float64


def test_what_is_not_one_hot_has_no_shuffles() -> None:
    with pytest.raises(sp.SeqplrpError, match="neither one-hot nor all zero"):
        sp.shuffled_references(X / 2, 2, 0)
