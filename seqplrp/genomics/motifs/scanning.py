"""Finding a motif in many sequences at once, with exact p-values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import check_codes
from seqplrp.genomics.motifs.model import Motif, check_background

_FINEST_STEP = 1e-3  # bits
_MOST_STEPS = 1_000_000  # keeps the distribution small where a motif is very wide
_BLOCK = 6  # bases looked up at once: 5^6 table entries fit the second-level cache
_CELLS_AT_ONCE = 1 << 21  # bases scored together: about 30 MiB
_NEVER = np.iinfo(np.int64).min  # log-odds of a base that can't be
COLUMNS = ("sequence", "start", "end", "strand", "score", "p")


@dataclass(frozen=True)
class ScoreDistribution:
    """The exact distribution of a motif's score over random DNA of independent bases.

    Log-odds are rounded to whole numbers of `step` bits and the scores are sums of those, so that p-values
    are exact for the scores as reported. A score off by rounding differs from the unrounded one by no more
    than W step / 2.

    Attributes
    ----------
    steps : ndarray of int64, shape (W, 4)
        Log-odds in steps; the lowest int64 where a base is impossible.
    step : float
        Bits a step.
    lowest : int
        Lowest possible score, in steps.
    tail : ndarray of float64
        ``tail[k]`` is the probability of a score of at least ``lowest + k`` steps.
    """

    steps: npt.NDArray[np.int64]
    step: float
    lowest: int
    tail: npt.NDArray[np.float64]

    def threshold(self, p_value: float) -> int:
        """Lowest possible score, in steps, whose tail probability is no more than `p_value`."""
        rare = np.flatnonzero(self.tail <= p_value)
        # A score that no word reaches has the tail of the next higher one; the first rare entry may be such a
        # gap, which is as good a threshold as the score above it, and every hit is the same.
        return self.lowest + int(rare[0])


@lru_cache(maxsize=128)
def score_distribution(
    motif: Motif, background: tuple[float, ...] | None = None, pseudocount: float = 0.1
) -> ScoreDistribution:
    """Work out a motif's score distribution by dynamic programming over its positions.

    Parameters
    ----------
    motif : Motif
    background : tuple of 4 floats, optional
        Base frequencies both of the log-odds and of the random DNA; the motif's own where None.
    pseudocount : float
        As `Motif.log_odds` takes it.
    """
    bases = motif.background if background is None else check_background(background, "background")
    bits = motif.log_odds(bases, pseudocount)
    possible = np.isfinite(bits)
    high = np.where(possible, bits, -np.inf).max(axis=1)
    low = np.where(possible, bits, np.inf).min(axis=1)
    step = max(_FINEST_STEP, float((high - low).sum()) / _MOST_STEPS)
    steps = np.full(bits.shape, _NEVER, dtype=np.int64)
    steps[possible] = np.rint(bits[possible] / step).astype(np.int64)

    mass = np.ones(1)
    lowest = 0
    for row, allowed in zip(steps, possible):
        least = int(row[allowed].min())
        grown = np.zeros(len(mass) + int(row[allowed].max()) - least)
        for value, frequency in zip(row[allowed], bases[allowed]):
            shift = int(value) - least
            grown[shift : shift + len(mass)] += frequency * mass
        mass, lowest = grown, lowest + least
    tail = mass[::-1].cumsum()[::-1]  # summed from the rare end, so that small p-values keep their digits
    return ScoreDistribution(steps, step, lowest, tail)


def score_threshold(
    motif: Motif, p_value: float, background: npt.ArrayLike | None = None, pseudocount: float = 0.1
) -> float:
    """Return the score in bits from which a random word has a probability of no more than `p_value`.

    Parameters
    ----------
    motif : Motif
    p_value : float
        Above 0, at most 1.
    background : array of 4, optional
        Base frequencies; the motif's own where None.
    pseudocount : float
        As `Motif.log_odds` takes it.

    Raises
    ------
    SeqplrpError
        If no word is as rare as `p_value`: a scan could then find nothing, whatever the sequence.
    """
    distribution = score_distribution(motif, _hashable(background), pseudocount)
    return _threshold(motif, distribution, p_value) * distribution.step


def _threshold(motif: Motif, distribution: ScoreDistribution, p_value: float) -> int:
    if not 0 < p_value <= 1:
        raise SeqplrpError("p_value", f"is {p_value}", "give a probability above 0 and up to 1")
    best = float(distribution.tail[-1])
    # 1e-12: the sums of the distribution carry rounding of that order
    if best > p_value * (1 + 1e-12):
        raise SeqplrpError(
            "p_value",
            f"no word of the {motif.width} bp motif {motif.name} is as rare as {p_value:g}",
            f"give {_rounded_up(best):g} or more, the probability of its best word",
        )
    return distribution.threshold(p_value * (1 + 1e-12))


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit * (1 - 1e-9)) * unit


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
    distribution = score_distribution(motif, _hashable(background), pseudocount)
    threshold = _threshold(motif, distribution, p_value)
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
        },
        columns=list(COLUMNS),
    )


def _hashable(background: npt.ArrayLike | None) -> tuple[float, ...] | None:
    return None if background is None else tuple(check_background(background, "background").tolist())


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
            impossible = np.append(row == _NEVER, position >= covered)
            value = np.where(impossible, 0, np.append(row, 0))
            score = (score[:, None] + value[None, :]).ravel()
            dead = (dead[:, None] | impossible[None, :]).ravel()
        tables.append((offset, np.where(dead, never, score).astype(kind)))
        covered = offset + block
    return tables
