"""What is audited: a function from one-hot sequences to maps, whatever method and model are behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, dinucleotide_shuffle
from seqplrp.genomics.motifs import Motif

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_CELLS_AT_ONCE = 1 << 19  # bases explained together; one-hot and maps of them take some tens of MB


class HasMaps(Protocol):
    """What an explain function returns; an :class:`seqplrp.Explanation` is one."""

    @property
    def per_base(self) -> Any:
        """(N, L) relevance of each position."""

    @property
    def output(self) -> Any:
        """(N,) the explained score."""


ExplainFunction = Callable[[Tensor], HasMaps]
"""From (N, 4, L) float32 to maps. Inputs are one-hot but in the checks of scaling and capping."""


@dataclass(frozen=True)
class OtherOutputs:
    """What the model gives beside the score that is explained.

    Parameters
    ----------
    scores : callable
        From (N, 4, L) to (N, K).
    names : tuple of str
        K names.
    """

    scores: Callable[[Tensor], Any]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Maps:
    """Relevance (N, L) and the explained score (N,), in double precision."""

    relevance: Floats
    output: Floats

    @property
    def size(self) -> Floats:
        """|relevance|: (N, L)."""
        return np.abs(self.relevance)


@dataclass(frozen=True)
class Subject:
    """The explain function with what all checks need of it: batches, checks, progress.

    Parameters
    ----------
    explain : callable
        An `ExplainFunction`.
    length : int
        L of all sequences.
    advance : callable
        Told of every batch's number of sequences.
    others : OtherOutputs, optional
        The model's other outputs.
    """

    explain: ExplainFunction
    length: int
    advance: Callable[[int], None] = field(default=lambda steps: None)
    others: OtherOutputs | None = None

    def maps(self, codes: Codes) -> Maps:
        """Explain sequences given as codes (N, L)."""
        return self.maps_of(codes_to_one_hot(codes))

    def maps_of(self, x: Tensor) -> Maps:
        """Explain inputs (N, 4, L), one-hot or not.

        Raises
        ------
        SeqplrpError
            If the function gives maps of another shape, or numbers that are not finite.
        """
        size = max(1, _CELLS_AT_ONCE // self.length)
        parts = [self._part(part) for part in torch.split(x, size)]
        return Maps(np.concatenate([p.relevance for p in parts]), np.concatenate([p.output for p in parts]))

    def others_of(self, codes: Codes) -> Floats:
        """Return the other outputs of sequences given as codes (N, L): (N, K); K is 0 where none are known.

        Raises
        ------
        SeqplrpError
            If there are not as many as names, or some are not finite.
        """
        if self.others is None:
            return np.zeros((len(codes), 0))
        size = max(1, _CELLS_AT_ONCE // self.length)
        parts = [_array(self.others.scores(part)) for part in torch.split(codes_to_one_hot(codes), size)]
        wanted = (len(codes), len(self.others.names))
        found = np.concatenate(parts)
        if found.shape != wanted or not np.isfinite(found).all():
            what = "numbers that are not finite" if found.shape == wanted else f"shape {found.shape}, expected {wanted}"
            raise SeqplrpError("others", f"gives {what}", "return a score of each output that has a name")
        return found

    def _part(self, x: Tensor) -> Maps:
        found = self.explain(x)
        relevance, output = _array(found.per_base), _array(found.output).reshape(-1)
        if relevance.shape != (len(x), x.shape[2]) or output.shape != (len(x),):
            raise SeqplrpError(
                "explain",
                f"gives maps {relevance.shape} and scores {output.shape} of {tuple(x.shape)}",
                "let it return an object with per_base (N, L) and output (N,)",
            )
        if not (np.isfinite(relevance).all() and np.isfinite(output).all()):
            raise SeqplrpError("explain", "gives numbers that are not finite", "check the model's weights")
        self.advance(len(x))
        return Maps(relevance, output)


def _array(values: Any) -> Floats:
    host = values.detach().cpu() if isinstance(values, Tensor) else values
    return np.asarray(host, dtype=np.float64)


@dataclass(frozen=True)
class Backgrounds:
    """Where background sequences come from.

    Parameters
    ----------
    length : int
        L.
    real : ndarray of uint8, shape (N, L), optional
        Real sequences, to be shuffled; without them bases are drawn with equal frequencies.
    """

    length: int
    real: Codes | None = None

    @property
    def described(self) -> str:
        """What the backgrounds are, in words."""
        if self.real is None:
            return "random DNA of equal base frequencies"
        return f"dinucleotide shuffles of {len(self.real)} real sequences"

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Draw n sequences without N: (n, L).

        Each real one is turned by a random number of bases before it is shuffled: a shuffle keeps the first and the
        last base, and no position may keep its own.
        """
        if self.real is None:
            return rng.integers(0, 4, (n, self.length), dtype=np.uint8)
        chosen = self.real[_spread_out(n, len(self.real), rng)]
        unknown = chosen == 4
        if unknown.any():
            known = self.real[self.real < 4]
            frequencies = np.bincount(known, minlength=4) / known.size
            chosen = chosen.copy()
            chosen[unknown] = rng.choice(4, size=int(unknown.sum()), p=frequencies)
        turn = rng.integers(self.length, size=(n, 1))
        turned = np.take_along_axis(chosen, (np.arange(self.length) + turn) % self.length, axis=1)
        return dinucleotide_shuffle(turned, rng)


def _spread_out(n: int, available: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Choose n of some rows, each as often as any other."""
    rounds = [rng.permutation(available) for _ in range(-(-n // available))]
    return np.concatenate(rounds)[:n]


def word_of(motif: Motif) -> Codes:
    """Return a motif's consensus as codes: (W,)."""
    return np.asarray(motif.probabilities.argmax(axis=1), dtype=np.uint8)


def planted(codes: Codes, words: Codes, starts: npt.NDArray[np.integer]) -> Codes:
    """Return sequences (N, L) with a word (W,), or one each (N, W), written over them from some positions (N,) on."""
    width = words.shape[-1]
    changed = codes.copy()
    changed[np.arange(len(codes))[:, None], starts[:, None] + np.arange(width)] = words
    return changed


def share_on(size: Floats, starts: npt.NDArray[np.integer], width: int) -> Floats:
    """Return the share of |relevance| (N, L) that lies on a stretch of each map; 0 where the map is empty: (N,)."""
    whole = size.sum(axis=1)
    return np.asarray(np.divide(sum_on(size, starts, width), whole, out=np.zeros(len(size)), where=whole > 0))


def sum_on(size: Floats, starts: npt.NDArray[np.integer], width: int) -> Floats:
    """Sum |relevance| (N, L) over a stretch of each map: (N,)."""
    return np.asarray(np.take_along_axis(size, starts[:, None] + np.arange(width), axis=1).sum(axis=1))


def random_starts(n: int, length: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw where stretches begin, in the middle three quarters where they fit: (n,)."""
    low, high = length // 8, length - length // 8 - width
    if high < low:
        low, high = 0, length - width
    return rng.integers(low, high + 1, size=n)
