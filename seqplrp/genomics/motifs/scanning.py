"""Finding a motif in many sequences at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.genomics.encoding import check_codes
from seqplrp.genomics.motifs.distribution import NEVER, score_distribution, threshold_steps
from seqplrp.genomics.motifs.model import Motif

_BLOCK = 6  # bases looked up at once: 5^6 table entries fit the second-level cache
_CELLS_AT_ONCE = 1 << 21  # bases scored together: about 30 MiB


def scan(
    codes: npt.ArrayLike,
    motif: Motif,
    *,
    p_value: float = 1e-4,
    background: npt.ArrayLike | None = None,
    both_strands: bool = True,
    pseudocount: float = 0.1,
) -> pd.DataFrame:
    """Find every place where a motif scores better than all but `p_value` of random words.

    Parameters
    ----------
    codes : array of integers, shape (N, L)
        Codes 0..4 as `encode` makes them; a window that holds an N never matches.
    motif : Motif
    p_value : float
        Probability of a hit at one place of one strand of random DNA, at most.
    background : array of 4, optional
        Base frequencies of the strand on which the motif is read, so for both strands give A and T, and C
        and G, the same; the motif's own where None.
    both_strands : bool
        Whether to look for the reverse complement too. A palindromic place is then two hits.
    pseudocount : float
        As `Motif.log_odds` takes it.

    Returns
    -------
    DataFrame
        One row a hit, sorted by ``sequence`` (row of `codes`), ``start`` and ``strand``. ``start`` and
        ``end`` are 0-based half-open on the forward strand, ``strand`` is ``+`` or ``-``, ``score`` is in
        bits (a sum of log-odds rounded to 0.001 bit each), ``p`` is the exact probability of such a score or
        a higher one.

    Raises
    ------
    SeqplrpError
        As `score_threshold` does, and if `codes` is not an (N, L) array of codes.
    """
    checked = check_codes(codes)
    distribution = score_distribution(motif, background, pseudocount)
    threshold = threshold_steps(motif, distribution, p_value)
    strands = [("+", distribution.steps)]
    if both_strands:
        # A, C, G, T reversed is T, G, C, A: the words of the other strand have the same scores, and the same
        # p-value, which is that of the motif on the strand where it is read
        strands.append(("-", distribution.steps[::-1, ::-1]))
    found = [_hits(checked, steps, threshold) for _, steps in strands]
    sequence, start, score = (np.concatenate(parts) for parts in zip(*found))
    strand = np.repeat([s for s, _ in strands], [len(rows) for rows, _, _ in found])
    order = np.lexsort((strand == "-", start, sequence))
    return pd.DataFrame(
        {
            "sequence": sequence[order],
            "start": start[order],
            "end": start[order] + motif.width,
            "strand": strand[order],
            "score": score[order] * distribution.step,
            "p": distribution.tail[score[order] - distribution.lowest],
        }
    )


_Hits = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _hits(codes: npt.NDArray[np.uint8], steps: npt.NDArray[np.int64], threshold: int) -> _Hits:
    """Return row, start and score (in steps) of every window that reaches the threshold."""
    n, length = codes.shape
    width = len(steps)
    block = min(_BLOCK, width)
    tables = _block_tables(steps, block)
    rows_at_once = max(1, _CELLS_AT_ONCE // max(1, length))
    rows, starts, scores = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    for first in range(0, n if length >= width else 0, rows_at_once):
        words = _words(codes[first : first + rows_at_once], block)
        windows = length - width + 1
        total = np.zeros((len(words), windows), dtype=tables[0][1].dtype)
        for offset, table in tables:
            total += table[words[:, offset : offset + windows]]
        row, start = np.nonzero(total >= threshold)
        rows.append(row + first)
        starts.append(start)
        scores.append(total[row, start].astype(np.int64))
    return np.concatenate(rows), np.concatenate(starts), np.concatenate(scores)


def _words(codes: npt.NDArray[np.uint8], block: int) -> npt.NDArray[np.uint16]:
    """Number the words of `block` bases that start at each place, in base 5: (N, L - block + 1)."""
    places = codes.shape[1] - block + 1
    words = np.zeros((len(codes), places), dtype=np.uint16)
    for offset in range(block):
        words *= np.uint16(5)
        words += codes[:, offset : offset + places]
    return words


def _block_tables(steps: npt.NDArray[np.int64], block: int) -> list[tuple[int, npt.NDArray[Any]]]:
    """Tabulate the scores of all words of `block` bases, for consecutive blocks that cover the motif.

    The last block starts early enough to end with the motif; positions it shares with the block before
    count nothing in it. A word with an N or an impossible base scores so low that no other block can make
    up for it.
    """
    width = len(steps)
    offsets = sorted({*range(0, width - block, block), width - block})
    # int32 halves the work; the wider type keeps the "never" of very wide motifs far below any real score
    kind = np.int32 if len(offsets) <= 100 else np.int64
    never = np.iinfo(kind).min // (2 * len(offsets))
    tables = []
    covered = 0
    for offset in offsets:
        score = np.zeros(1, dtype=np.int64)
        dead = np.zeros(1, dtype=bool)
        for position in range(offset, offset + block):
            row = steps[position] if position >= covered else np.zeros(4, dtype=np.int64)
            impossible = np.append(row == NEVER, position >= covered)
            value = np.where(impossible, 0, np.append(row, 0))
            score = (score[:, None] + value[None, :]).ravel()
            dead = (dead[:, None] | impossible[None, :]).ravel()
        tables.append((offset, np.where(dead, never, score).astype(kind)))
        covered = offset + block
    return tables
