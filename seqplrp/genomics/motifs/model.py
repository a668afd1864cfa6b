"""The motif itself: a position probability matrix with what is known about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import ALPHABET
from seqplrp.genomics.letters import BASES_OF

WIDEST = 1000
"""Positions of a motif that is read from a file, at most; the MEME suite itself makes none above 300."""
SUM_TOLERANCE = 0.01  # rows may be off by the rounding of two printed decimals; they are then rescaled
_ASSUMED_SITES = 20.0  # what the MEME suite assumes where a motif does not state its number of sites
_UNIFORM = (0.25, 0.25, 0.25, 0.25)
_CODE_OF_TWO = {bases: code for code, bases in BASES_OF.items() if len(bases) == 2}


@dataclass(frozen=True, eq=False)
class Motif:
    """A DNA motif as independent base probabilities per position.

    Parameters
    ----------
    name : str
        Name of the factor, such as ``CTCF``.
    probabilities : array, shape (W, 4)
        Probability of A, C, G, T at each position. Rows that miss 1 by no more than 0.01 are rescaled to 1;
        kept as a read-only float64 array.
    accession : str
        Identifier in the source, such as ``MA0139.2``; empty where there is none.
    tf_class, family, species, url : str
        What the source says of the factor; empty where unknown.
    nsites : float or None
        Number of sites that the matrix was counted from; None where unknown.
    background : array, shape (4,)
        Base frequencies that log-odds are taken against, each above 0.

    Raises
    ------
    SeqplrpError
        If the matrix is not (W, 4) with W >= 1, or holds anything but probabilities.
    """

    name: str
    probabilities: npt.NDArray[np.float64]
    accession: str = field(default="", kw_only=True)
    tf_class: str = field(default="", kw_only=True)
    family: str = field(default="", kw_only=True)
    species: str = field(default="", kw_only=True)
    url: str = field(default="", kw_only=True)
    nsites: float | None = field(default=None, kw_only=True)
    background: npt.NDArray[np.float64] = field(default_factory=lambda: np.array(_UNIFORM), kw_only=True)

    def __post_init__(self) -> None:
        where = f"motif {self.name!r}"
        check_word(self.name, where, "name")
        for label in ("accession", "url"):
            if getattr(self, label) != "":
                check_word(getattr(self, label), where, label)
        if self.nsites is not None and not (np.isfinite(self.nsites) and self.nsites > 0):
            raise SeqplrpError(f"{where}, nsites", f"is {self.nsites}", "give a number above 0, or None")
        object.__setattr__(self, "probabilities", check_probabilities(self.probabilities, where))
        object.__setattr__(self, "background", check_background(self.background, f"{where}, background"))

    def __repr__(self) -> str:
        known = f", accession={self.accession!r}" if self.accession else ""
        return f"<Motif {self.name}{known}, {self.width} bp, {self.consensus}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Motif):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[object, ...]:
        text = (self.name, self.accession, self.tf_class, self.family, self.species, self.url)
        return (*text, self.nsites, self.probabilities.tobytes(), self.background.tobytes())

    @property
    def width(self) -> int:
        """Number of positions, W."""
        return len(self.probabilities)

    @property
    def consensus(self) -> str:
        """The most probable base of each position, over ``ACGT``; ties go to the first of that order."""
        return "".join(ALPHABET[i] for i in self.probabilities.argmax(axis=1))

    @property
    def iupac(self) -> str:
        """Degenerate consensus: one base if above 1/2 and twice the next, two if together above 3/4, else N.

        The rule is Cavener's (1987, Nucleic Acids Research 15:1353) without its three-base codes.
        """
        return "".join(_degenerate(row) for row in self.probabilities)

    def information_content(self) -> npt.NDArray[np.float64]:
        """Information of each position in bits, 2 + sum p log2 p, without a small-sample correction: (W,)."""
        p = self.probabilities
        logarithms = np.log2(np.where(p > 0, p, 1.0))  # an absent base adds 0 log 0 = 0
        return np.asarray(2.0 + (p * logarithms).sum(axis=1))

    def reverse_complement(self) -> Motif:
        """Return the motif as it reads on the other strand, under the same name."""
        return replace(self, probabilities=self.probabilities[::-1, ::-1], background=self.background[::-1])

    def with_pseudocount(self, pseudocount: float) -> Motif:
        """Add `pseudocount` sites of background composition to the counts behind every position.

        Probabilities become ``(nsites p + pseudocount b) / (nsites + pseudocount)``; where nsites is unknown
        20 are assumed, as the MEME suite does.
        """
        return replace(self, probabilities=self._smoothed(self.background, pseudocount))

    def log_odds(
        self, background: Sequence[float] | npt.ArrayLike | None = None, pseudocount: float = 0.1
    ) -> npt.NDArray[np.float64]:
        """Score each base at each position by log2(probability / background).

        Parameters
        ----------
        background : array of 4, optional
            Base frequencies; the motif's own where None.
        pseudocount : float
            Sites of background composition that are added first (`with_pseudocount`); with 0 an impossible
            base scores minus infinity.

        Returns
        -------
        ndarray, shape (W, 4)
            Bits.
        """
        against = self.background if background is None else check_background(background, "background")
        with np.errstate(divide="ignore"):
            bits: npt.NDArray[np.float64] = np.log2(self._smoothed(against, pseudocount) / against)
        return bits

    def _smoothed(self, background: npt.NDArray[np.float64], pseudocount: float) -> npt.NDArray[np.float64]:
        if not (np.isfinite(pseudocount) and pseudocount >= 0):
            raise SeqplrpError("pseudocount", f"is {pseudocount}", "give a finite number, 0 or more")
        sites = _ASSUMED_SITES if self.nsites is None else self.nsites
        return (sites * self.probabilities + pseudocount * background) / (sites + pseudocount)


def check_word(text: str, where: str, label: str) -> None:
    """Refuse what could not stand in a motif file and be read back as it is."""
    if not isinstance(text, str) or text.split() != [text] or not text.isprintable():
        what = f"the {label} {text!r} is empty, holds white space or is not printable"
        raise SeqplrpError(where, what, f"give a {label} of one word")


def check_probabilities(matrix: npt.ArrayLike, where: str) -> npt.NDArray[np.float64]:
    """Return a read-only (W, 4) copy of `matrix` whose rows sum to 1, or say what is wrong with it."""
    try:
        p = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise SeqplrpError(where, "the matrix is no array of numbers", "give probabilities of shape (W, 4)") from None
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] != 4:
        raise SeqplrpError(
            where, f"the matrix has shape {p.shape}, not (W, 4)", "give one row of A, C, G, T a position"
        )
    for position, row in enumerate(p):
        problem = row_problem(row)
        if problem:
            raise SeqplrpError(f"{where}, position {position}", *problem)
    p = _rescaled(p)
    p.setflags(write=False)
    return p


def _rescaled(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Rows that sum to 1 but for rounding stay bit for bit, so that copies and reversals are equal.
    total = rows.sum(axis=-1, keepdims=True)
    return np.where(np.abs(total - 1.0) < 1e-12, rows, rows / total)


def row_problem(row: npt.NDArray[np.float64]) -> tuple[str, str] | None:
    """Say what keeps four numbers from being base probabilities, and the remedy; None if nothing does."""
    if not np.isfinite(row).all():
        return f"{_listed(row)} holds a value that is not finite", "give finite probabilities"
    if (row < 0).any():
        return f"{_listed(row)} holds a negative value", "give probabilities, not log-odds"
    total = math.fsum(row) if row.max() < 1e300 else math.inf
    if abs(total - 1.0) > SUM_TOLERANCE + 1e-9:
        remedy = "give probabilities" if total < 1.5 else "give probabilities, not counts, or use JASPAR's format"
        return f"{_listed(row)} sums to {total:.6g}, not to 1 within {SUM_TOLERANCE}", remedy
    return None


def _listed(row: npt.NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in row) + "]"


def check_background(background: npt.ArrayLike, where: str) -> npt.NDArray[np.float64]:
    """Return a read-only (4,) copy of base frequencies that sums to 1, or say what is wrong with it."""
    try:
        b = np.array(background, dtype=np.float64)
    except (TypeError, ValueError):
        raise SeqplrpError(where, "is no array of numbers", "give four frequencies, of A, C, G, T") from None
    if b.shape != (4,):
        raise SeqplrpError(where, f"has shape {b.shape}, not (4,)", "give four frequencies, of A, C, G, T")
    problem = row_problem(b)
    if problem:
        raise SeqplrpError(where, *problem)
    if not b.all():
        raise SeqplrpError(where, f"{_listed(b)} holds a zero", "give every base a frequency above 0")
    b = _rescaled(b)
    b.setflags(write=False)
    return b


def _degenerate(row: npt.NDArray[np.float64]) -> str:
    order = np.argsort(-row, kind="stable")
    first, second = row[order[0]], row[order[1]]
    if first > 0.5 and first > 2 * second:
        return ALPHABET[order[0]]
    if first + second > 0.75 + 1e-9:  # three quarters exactly are not above, whatever the sum rounds to
        return _CODE_OF_TWO["".join(sorted(ALPHABET[i] for i in order[:2]))]
    return "N"
