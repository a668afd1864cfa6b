"""The words under the peaks of relevance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import record, write_directory

from seqplrp.errors import SeqplrpError
from seqplrp.recovery import peak_kmers, read_explanations


def explained(path: Path, *pairs: tuple[str, list[float]]):
    records = [record(f"r{n}", sequence) for n, (sequence, _) in enumerate(pairs)]
    return read_explanations(write_directory(path, records, [np.array(values) for _, values in pairs])).arrays


def test_the_window_with_the_largest_sum_is_the_peak_not_the_window_with_the_largest_base(tmp_path):
    arrays = explained(tmp_path / "e", ("AACGTTTTGG", [0, 0, 2, 2, 2, 0, 0, 5, -4, 0]))
    table = peak_kmers(arrays, 3)
    assert table["kmer"].tolist() == ["ACG"]  # CGT, and its reverse complement ACG comes first
    assert table["reverse_complement"].tolist() == ["CGT"]


def test_both_strands_count_as_one_word_and_the_most_frequent_comes_first(tmp_path):
    middle = [0.0, 0, 1, 1, 0, 0]
    arrays = explained(tmp_path / "e", ("GGTTGG", middle), ("CCAACC", middle), ("GGAAGG", middle), ("ACGCAC", middle))
    table = peak_kmers(arrays, 2)
    assert table["kmer"].tolist() == ["AA", "GC"]
    assert table["count"].tolist() == [3, 1]
    assert table["share"].tolist() == [0.75, 0.25]


def test_windows_with_n_and_sequences_without_positive_relevance_are_left_out(tmp_path):
    arrays = explained(tmp_path / "e", ("ANAACC", [9, 9, 9, 1, 1, 0]), ("ACGT", [-1, -1, -1, -1]), ("A", [1]))
    table = peak_kmers(arrays, 3)
    assert table["count"].sum() == 1
    assert table["kmer"].tolist() == ["AAC"]


@pytest.mark.parametrize("k", [0, 13, 2.5, True])
def test_a_length_that_is_none_is_named(tmp_path, k):
    arrays = explained(tmp_path / "e", ("ACGT", [1, 1, 1, 1]))
    with pytest.raises(SeqplrpError, match="kmers"):
        peak_kmers(arrays, k)
