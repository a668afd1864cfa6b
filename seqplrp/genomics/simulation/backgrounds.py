"""The DNA that motifs are planted in: how it is drawn, and how a stretch of it is drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import encode
from seqplrp.genomics.fasta import read_fasta
from seqplrp.genomics.shuffles import dinucleotide_shuffle
from seqplrp.genomics.simulation.task import (
    Background,
    MarkovBackground,
    UniformBackground,
)

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
_FLANK = 10  # bases at each side that are shuffled along, so that a short stretch has other arrangements


class BackgroundModel(Protocol):
    """A source of sequences."""

    @property
    def composition(self) -> Floats:
        """Frequencies of A, C, G, T: (4,)."""

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Draw n sequences: codes (n, L)."""

    def redraw(self, codes: Codes, mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        """Return `codes` (N, L) with bases under the mask (N, L) drawn again; may take several calls for all."""


@dataclass(frozen=True)
class MarkovChain:
    """A chain in which a base depends on those before it, at most `len(tables) - 1` of them.

    Parameters
    ----------
    length : int
    tables : tuple of ndarray
        For each order k from 0 the probabilities of A, C, G, T after each k-mer, shape (4**k, 4). Lower orders
        serve the first bases of a sequence.
    """

    length: int
    tables: tuple[Floats, ...]

    @property
    def composition(self) -> Floats:
        """Frequencies of A, C, G, T."""
        frequencies: Floats = self.tables[0][0]
        return frequencies

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Draw n sequences."""
        everything = np.ones((n, self.length), dtype=bool)
        return self.redraw(np.zeros((n, self.length), dtype=np.uint8), everything, rng)

    def redraw(self, codes: Codes, mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        """Draw the masked bases again, from left to right, given the bases before them.

        The bases that follow a mask keep their values, so up to k transitions behind it are not the chain's.
        """
        drawn = codes.copy()
        if len(self.tables) == 1:
            limits = self.composition.cumsum()[:3]
            drawn[mask] = np.searchsorted(limits, rng.random(int(mask.sum())), side="right")
            return drawn
        limits_of = [table.cumsum(axis=1)[:, :3] for table in self.tables]
        for column in np.flatnonzero(mask.any(axis=0)).tolist():
            rows = np.flatnonzero(mask[:, column])
            order = min(column, len(self.tables) - 1)
            context = np.zeros(len(rows), dtype=np.int64)
            for back in range(order, 0, -1):
                context = context * 4 + drawn[rows, column - back]
            limits = limits_of[order][context]
            drawn[rows, column] = (limits <= rng.random(len(rows))[:, None]).sum(axis=1)
        return drawn


@dataclass(frozen=True)
class Shuffler:
    """Dinucleotide shuffles of stretches that are drawn from a collection of sequences.

    Parameters
    ----------
    length : int
    codes : ndarray of uint8
        The sequences behind each other.
    starts : ndarray of int
        Where a stretch of `length` bases may begin.
    composition : ndarray, shape (4,)
    """

    length: int
    codes: Codes
    starts: npt.NDArray[np.int64]
    composition: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Draw n stretches, all alike probable, and shuffle each."""
        start = self.starts[rng.integers(len(self.starts), size=n)]
        return dinucleotide_shuffle(self.codes[start[:, None] + np.arange(self.length)], rng)

    def redraw(self, codes: Codes, mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        """Shuffle a stretch around each row's first run of masked bases.

        The sequence keeps its dinucleotide counts, because a shuffled stretch keeps its own and its ends.
        """
        rows = np.flatnonzero(mask.any(axis=1))
        drawn = codes.copy()
        if not rows.size:
            return drawn
        first = mask[rows].argmax(axis=1)
        after = mask[rows] & (np.arange(self.length) >= first[:, None])
        run = np.where(after.cumsum(axis=1) == np.arange(self.length) - first[:, None] + 1, after, False)
        width = min(self.length, int(run.sum(axis=1).max()) + 2 * _FLANK)
        start = np.clip(first - _FLANK, 0, self.length - width)
        where = start[:, None] + np.arange(width)
        drawn[rows[:, None], where] = dinucleotide_shuffle(codes[rows[:, None], where], rng)
        return drawn


def fit_background(background: Background, length: int) -> BackgroundModel:
    """Make the source of sequences that a task asks for.

    Parameters
    ----------
    background : UniformBackground, MarkovBackground or ShuffledBackground
    length : int
        Bases of the sequences.

    Raises
    ------
    SeqplrpError
        If the FASTA file cannot be read, has too few bases for the chain's order, or no stretch of `length` bases
        without N.
    """
    if isinstance(background, UniformBackground):
        at, gc = (1 - background.gc) / 2, background.gc / 2
        return MarkovChain(length, (np.array([[at, gc, gc, at]]),))
    parts = [encode(record.sequence)[0] for record in read_fasta(background.path, iupac="n")]
    if isinstance(background, MarkovBackground):
        return _fit_chain(background, parts, length)
    return _collect(background.path, parts, length)


def _fit_chain(background: MarkovBackground, parts: list[Codes], length: int) -> MarkovChain:
    tables: list[Floats] = []
    for order in range(background.order + 1):
        counts = np.zeros(4 ** (order + 1))
        for part in parts:
            counts += np.bincount(_words(part, order + 1), minlength=len(counts))
        if order == background.order and counts.sum() < len(counts):
            raise SeqplrpError(
                background.path,
                f"{int(counts.sum())} words of {order + 1} bases are too few for a chain of order {order}, "
                f"which has {len(counts)} probabilities",
                "lower the order or give more sequence",
            )
        table = counts.reshape(-1, 4)
        # one observation, spread as the shorter context has it, keeps every base possible
        prior = np.full((1, 4), 0.25) if order == 0 else np.tile(tables[-1], (4, 1))
        table = table + prior
        tables.append(table / table.sum(axis=1, keepdims=True))
    return MarkovChain(length, tuple(tables))


def _words(codes: Codes, size: int) -> npt.NDArray[np.int64]:
    """Number the words of `size` bases, without those that hold an N."""
    places = len(codes) - size + 1
    if places < 1:
        return np.zeros(0, dtype=np.int64)
    words = np.zeros(places, dtype=np.int64)
    known = np.ones(places, dtype=bool)
    for offset in range(size):
        letter = codes[offset : offset + places]
        words = words * 4 + letter
        known &= letter < 4
    return words[known]


def _collect(path: str, parts: list[Codes], length: int) -> Shuffler:
    starts, before = [], 0
    for part in parts:
        unknown = np.concatenate([[0], (part == 4).cumsum()])
        clean = unknown[length:] == unknown[:-length] if len(part) >= length else np.zeros(0, dtype=bool)
        starts.append(np.flatnonzero(clean) + before)
        before += len(part)
    where = np.concatenate(starts)
    if not where.size:
        longest = max(map(len, parts))
        raise SeqplrpError(
            path,
            f"has no stretch of {length} bases without N (its longest record has {longest})",
            f"set the task's length to {longest} or less, or give longer sequences"
            if longest < length
            else "give sequences without N",
        )
    codes = np.concatenate(parts)
    counts = np.bincount(codes, minlength=5)[:4] + 0.25
    return Shuffler(length, codes, where, counts / counts.sum())
