"""Making the GC content of all groups of sequences alike, so that it tells nothing about the class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.sequences import Block

Codes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def gc_count(codes: Codes) -> Ints:
    """Count G and C in each sequence."""
    number: Ints = ((codes == 1) | (codes == 2)).sum(axis=1)
    return number


def matched_counts(counts: Ints, group: Ints, rng: np.random.Generator) -> Ints:
    """Say how many G and C each sequence should have for every group to have the distribution of all.

    Parameters
    ----------
    counts : ndarray of int, shape (N,)
        G and C as they are.
    group : ndarray of int, shape (N,)
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    ndarray of int, shape (N,)
        The quantiles of all counts at the sequences' ranks in their groups, which asks for the fewest changes.
    """
    pooled = np.sort(counts)
    wanted = np.empty_like(counts)
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        order = np.lexsort((rng.random(len(rows)), counts[rows]))
        # a group's quantiles sit in the middle of equal parts, so that no group gets more of the tails
        quantile = ((np.arange(len(rows)) + 0.5) / len(rows) * len(pooled)).astype(np.int64)
        wanted[rows[order]] = pooled[quantile]
    return wanted


def change_gc(block: Block, wanted: Ints, rng: np.random.Generator) -> None:
    """Exchange background bases, A or T for C or G or the reverse, until each sequence has as many as wanted.

    The places are drawn at random from the background; of independent bases the result is a draw given the count.
    """
    codes = block.codes()
    difference = wanted - gc_count(codes)
    strong = (codes == 1) | (codes == 2)
    eligible = ~block.occupied() & (strong == (difference < 0)[:, None])
    order = np.argsort(np.where(eligible, rng.random(codes.shape), 2.0), axis=1)
    number = np.minimum(np.abs(difference), eligible.sum(axis=1))
    row, rank = np.nonzero(np.arange(codes.shape[1]) < number[:, None])
    place = order[row, rank]
    heads = rng.random(len(row)) < 0.5
    to_gc = difference[row] > 0
    block.background[row, place] = np.where(to_gc, np.where(heads, 1, 2), np.where(heads, 0, 3))


def too_rigid(source: str, missing: int, n: int) -> SeqplrpError:
    """Say that some sequences cannot get the GC content that they should have."""
    return SeqplrpError(
        f"{source}, gc_matched",
        f"{missing} of {n} sequences have too little background to get the GC content of the other groups",
        "lengthen the sequences, plant fewer motifs, or set gc_matched: false",
    )
