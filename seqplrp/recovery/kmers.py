"""Which words stand under the peaks of relevance: the shortest answer to "what did the model look at?"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.tracks import RelevanceArrays

LARGEST_K = 12


def peak_kmers(arrays: RelevanceArrays, k: int = 6) -> pd.DataFrame:
    """Count the k-mers under the peaks of relevance, one peak a sequence, both strands as one.

    A sequence's peak is the window of k bases with the largest sum of relevance (the first of equals); windows with an
    N don't count, nor do sequences whose largest sum is not positive.

    Parameters
    ----------
    arrays : RelevanceArrays
        Relevance and letters of all records.
    k : int
        Length of the words, 1 to 12 bases.

    Returns
    -------
    DataFrame
        ``kmer`` (the first in the alphabet of the word and its reverse complement), ``reverse_complement``, ``count``
        and ``share`` of the sequences that have a peak; the most frequent first.

    Raises
    ------
    SeqplrpError
        If k is no such length.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= LARGEST_K:
        raise SeqplrpError("kmers", f"{k!r} is no length from 1 to {LARGEST_K}", "use for example 6")
    words = [_peak(arrays.codes[at], arrays.per_base[at], k) for at in map(arrays.positions, range(len(arrays)))]
    numbers = np.array([word for word in words if word is not None], dtype=np.int64)
    found, counts = np.unique(np.minimum(numbers, _complement(numbers, k)), return_counts=True)
    order = np.lexsort((found, -counts))
    found, counts = found[order], counts[order]
    return pd.DataFrame(
        {
            "kmer": [_letters(number, k) for number in found],
            "reverse_complement": [_letters(number, k) for number in _complement(found, k)],
            "count": counts,
            "share": counts / max(len(numbers), 1),
        }
    )


def _peak(codes: npt.NDArray[np.uint8], relevance: npt.NDArray[np.float32], k: int) -> int | None:
    """Return the word under one sequence's peak as a number in base 4."""
    if len(codes) < k:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(codes, k)
    sums = np.lib.stride_tricks.sliding_window_view(relevance.astype(np.float64), k).sum(1)
    sums[(windows > 3).any(1)] = -np.inf
    best = int(sums.argmax())
    if not sums[best] > 0:
        return None
    return int((windows[best].astype(np.int64) * 4 ** np.arange(k - 1, -1, -1)).sum())


def _complement(numbers: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the reverse complements of words written as numbers in base 4."""
    result = np.zeros_like(numbers)
    for _ in range(k):
        result = result * 4 + (3 - numbers % 4)
        numbers = numbers // 4
    return result


def _letters(number: int, k: int) -> str:
    return "".join("ACGT"[number // 4**place % 4] for place in range(k - 1, -1, -1))
