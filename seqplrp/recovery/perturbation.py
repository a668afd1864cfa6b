"""What stands in for bases that are taken away: other bases, or those of a shuffle; never a grey value.

A network of DNA has only seen one base at each position. Zeros, or a mixture of four, lie outside of what it knows, and
what it says of them is no evidence of anything (Jethani et al. 2021 show it for images, Majdandzic et al. 2023 for the
space off the one-hot simplex). So both perturbers give one-hot DNA, and leave unknown bases (zero columns) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import row_generators
from seqplrp.genomics import codes_to_one_hot, dinucleotide_shuffle

Codes = npt.NDArray[np.uint8]
UNKNOWN = 4


@dataclass(frozen=True)
class RandomBases:
    """Every known base becomes a random other one.

    Parameters
    ----------
    background : "uniform" or "composition"
        Whether the three other bases are equally likely, or as likely as the sequence itself makes them (its own counts
        and one more of each base).

    Notes
    -----
    ``perturb(x, seed)`` depends on the seed and on each sequence alone.
    """

    background: Literal["uniform", "composition"] = "uniform"

    def __post_init__(self) -> None:
        if self.background not in ("uniform", "composition"):
            raise SeqplrpError("background", f"is {self.background!r}", "choose uniform or composition")

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Return (N, 4, L) with another base at every known position."""
        codes = codes_of(x)
        weights = np.ones((len(codes), 1, 4))
        if self.background == "composition":
            weights = 1.0 + (codes[:, :, None] == np.arange(4)).sum(axis=1, keepdims=True)
        allowed = np.where(codes[:, :, None] == np.arange(4), 0.0, weights)
        up_to = allowed.cumsum(axis=2)
        drawn = np.stack([generator.random(codes.shape[1]) for generator in row_generators(codes, seed)])
        # The first sum strictly above the draw: never a base of weight 0, always one, as draws are below 1.
        other = (up_to <= drawn[:, :, None] * up_to[:, :, -1:]).sum(axis=2).astype(np.uint8)
        return _as_given(np.where(codes == UNKNOWN, codes, other), x)

    def fixed(self, x: Tensor) -> npt.NDArray[np.bool_]:
        """Return the unknown bases, (N, L): they can't be replaced by another base."""
        return unknown_bases(x)


@dataclass(frozen=True)
class DinucleotideShuffle:
    """The bases of a shuffle that keeps each sequence's dinucleotides.

    Notes
    -----
    About a quarter of the positions get the base that they had, so curves fall more slowly than by `RandomBases`: only
    compare curves of one perturber. Unknown bases stay where they are, and what lies around them is shuffled as if they
    were not there. ``perturb(x, seed)`` depends on the whole batch: the same sequences in the same order get the same
    shuffles.
    """

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Return (N, 4, L), each sequence shuffled."""
        codes = codes_of(x)
        shuffled, known = codes.copy(), codes != UNKNOWN
        rng = np.random.default_rng(seed)
        sizes = known.sum(axis=1)
        for size in np.unique(sizes[sizes > 0]):  # one round, unless bases are unknown
            rows = sizes == size
            there = known & rows[:, None]
            shuffled[there] = dinucleotide_shuffle(codes[there].reshape(-1, size), rng).ravel()
        return _as_given(shuffled, x)

    def fixed(self, x: Tensor) -> npt.NDArray[np.bool_]:
        """Return the unknown bases, (N, L)."""
        return unknown_bases(x)


def unknown_bases(x: Tensor) -> npt.NDArray[np.bool_]:
    """Return where one-hot sequences (N, 4, L) have no base: (N, L)."""
    return np.asarray(codes_of(x) == UNKNOWN)


def codes_of(x: Tensor) -> Codes:
    """Turn one-hot DNA (N, 4, L) into codes (N, L): 0 to 3 for ACGT, 4 for a zero column.

    Raises
    ------
    SeqplrpError
        If it is anything else: of a mixture of bases no base can be taken away.
    """
    if not isinstance(x, Tensor) or x.dim() != 3 or x.shape[1] != 4:
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise SeqplrpError("X", f"is {found}, not (N, 4, L)", "give a batch, as one_hot() makes it")
    if bool(((x != 0) & (x != 1)).any()) or bool((x.sum(dim=1) > 1).any()):
        raise SeqplrpError("X", "is not one-hot", "give sp.one_hot(sequences)")
    known = x.sum(dim=1) == 1
    return np.asarray(torch.where(known, x.argmax(dim=1), UNKNOWN).to(torch.uint8).cpu().numpy())


def shuffled_windows(windows: Codes, draws: int, generators: list[np.random.Generator]) -> Codes:
    """Shuffle the letters of windows (M, W) several times each: (M, D, W). Unknown bases stay where they are.

    Parameters
    ----------
    windows : ndarray of uint8, shape (M, W)
    draws : int
        D.
    generators : list of Generator
        One a window.
    """
    width = windows.shape[1]
    keys = np.stack([generator.random((draws, width)) for generator in generators])
    unknown = np.broadcast_to((windows == UNKNOWN)[:, None], keys.shape)
    # Both list the known places first; the unknown come after them, each in its own order.
    drawn = np.argsort(np.where(unknown, 2.0, keys), axis=2, kind="stable")
    places = np.argsort(unknown, axis=2, kind="stable")
    shuffled = np.empty(keys.shape, dtype=np.uint8)
    letters = np.take_along_axis(np.broadcast_to(windows[:, None], keys.shape), drawn, axis=2)
    np.put_along_axis(shuffled, places, letters, axis=2)
    return shuffled


def _as_given(codes: Codes, x: Tensor) -> Tensor:
    return codes_to_one_hot(codes, x.dtype).to(x.device)
