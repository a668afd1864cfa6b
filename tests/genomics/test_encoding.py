"""DNA text, codes and one-hot tensors say the same thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import (
    codes_to_one_hot,
    codes_to_strings,
    decode,
    encode,
    one_hot,
    reverse_complement,
)

batches = st.integers(1, 30).flatmap(
    lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=5)
)


@given(batches)
def test_one_hot_is_what_a_letter_by_letter_loop_makes(sequences: list[str]) -> None:
    X = one_hot(sequences)
    assert X.shape == (len(sequences), 4, len(sequences[0]))
    for n, sequence in enumerate(sequences):
        for position, letter in enumerate(sequence):
            assert X[n, :, position].tolist() == [float(letter == base) for base in "ACGT"]


@given(batches)
def test_every_way_there_has_its_way_back(sequences: list[str]) -> None:
    codes = encode(sequences)
    assert codes.dtype == np.uint8
    assert codes_to_strings(codes) == sequences
    assert decode(one_hot(sequences)) == sequences
    assert torch.equal(codes_to_one_hot(codes), one_hot(sequences))


@given(batches)
def test_reverse_complement_agrees_with_biopython(sequences: list[str]) -> None:
    from Bio.Seq import reverse_complement as oracle

    assert decode(reverse_complement(one_hot(sequences))) == [oracle(s) for s in sequences]


def test_lower_case_and_u_are_read_and_a_single_string_is_a_batch_of_one() -> None:
    assert decode(one_hot("acgtuUnN")) == ["ACGTTTNN"]
    assert one_hot("ACGT").shape == (1, 4, 4)


def test_the_asked_dtype_is_given() -> None:
    assert one_hot("ACGT").dtype == torch.float32
    assert one_hot("ACGT", dtype=torch.float64).dtype == torch.float64
    assert codes_to_one_hot(np.array([[0, 4]]), torch.bool).tolist() == [
        [[True, False], [False, False], [False, False], [False, False]]
    ]


def test_a_read_only_array_of_codes_is_taken_and_left_alone() -> None:
    codes = encode("ACGT")
    codes.setflags(write=False)
    X = codes_to_one_hot(codes)
    X[0, 0, 0] = 7
    assert codes.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("sequences", "where", "what"),
    [
        (["ACGT", "ACXT"], "sequences[1]", "'X' at position 2"),
        (["ACé"], "sequences[0]", "'é' at position 2"),
        (["AC GT"], "sequences[0]", "' ' at position 2"),
        (["ACGT", "ACG"], "sequences[1]", "length 3 where sequences[0] has 4"),
        (["ACGT", ""], "sequences[1]", "empty"),
        ([], "sequences", "no sequence"),
        (["A", 5], "sequences[1]", "int, not text"),
    ],
)
def test_text_that_is_not_dna_of_one_length_is_named(sequences: list[str], where: str, what: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        encode(sequences)
    assert error.value.where == where
    assert what in error.value.what


@pytest.mark.parametrize(
    "codes", [np.array([0, 1]), np.array([[5]]), np.array([[-1]]), np.array([[0.0]]), np.array([["A"]])]
)
def test_arrays_that_are_not_codes_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(SeqplrpError, match="codes"):
        codes_to_strings(codes)
    with pytest.raises(SeqplrpError, match="codes"):
        codes_to_one_hot(codes)


def test_decode_refuses_to_guess_a_letter_from_a_mixture() -> None:
    X = one_hot("ACGT")
    X[0, :, 2] = torch.tensor([0.0, 0.5, 0.5, 0.0])
    with pytest.raises(SeqplrpError, match=r"X\[0, :, 2\]"):
        decode(X)
    X[0, :, 2] = torch.tensor([0.0, 1.0, 1.0, 0.0])
    with pytest.raises(SeqplrpError, match=r"X\[0, :, 2\]"):
        decode(X)


@pytest.mark.parametrize("shape", [(4, 10), (2, 10, 4), (1, 1, 4, 10)])
def test_tensors_of_another_layout_are_refused(shape: tuple[int, ...]) -> None:
    for function in (decode, reverse_complement):
        with pytest.raises(SeqplrpError, match=r"not \(N, 4, L\)"):
            function(torch.zeros(shape))
