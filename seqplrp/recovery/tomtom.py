"""Which known motifs are like these? TOMTOM as memelite computes it, guarded against likeness of what says nothing."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif

FEWEST_SHARED_BITS = 4.0
"""Information that query and target must share where they overlap.

TOMTOM's p-values ask how alike columns are. A column that says nothing is very like a spacer that says nothing: against
the library, random queries of 10 columns with 0.3 bit each had a "match" of q below 0.05 in 97 % of cases (the spacer
of GATA1::TAL1); 0 % of them share 4 bits with it. Each motif of the library, drawn anew from 10 sites, shares 6.8 bits
or more with itself.
"""

FEWEST_TARGETS = 25
"""With fewer targets p-values depend strongly on which these are (memelite's own limit; MEME's is 50)."""


@dataclass(frozen=True)
class MotifMatch:
    """The known motif that is most like a query.

    Attributes
    ----------
    target : Motif
        The known motif.
    p : float
        Probability that the best alignment with random columns of the known motifs, on either strand, scores as high.
    q : float
        The p-value after Benjamini and Hochberg over all known motifs, for this query alone.
    offset : int
        Position of the target, turned to `strand`, at which the query's first column stands; below 0 if the query
        starts before it.
    strand : {"+", "-"}
        "-" if the query is like the target's reverse complement.
    overlap : int
        Columns that stand over one another.
    shared_bits : float
        Sum over these of the smaller of both columns' information.
    """

    target: Motif
    p: float
    q: float
    offset: int
    strand: Literal["+", "-"]
    overlap: int
    shared_bits: float

    @property
    def aligned(self) -> Motif:
        """The target as it stands beside the query."""
        return self.target if self.strand == "+" else self.target.reverse_complement()


def require_memelite() -> None:
    """Raise a SeqplrpError that says how to get memelite, if it is not there.

    Commands call it before any work; memelite itself is imported when it is used.
    """
    if importlib.util.find_spec("memelite") is None:
        raise SeqplrpError(
            "memelite", "is not installed, and comparing with known motifs needs it", "pip install 'seqplrp[modisco]'"
        )


def best_matches(queries: Sequence[Motif], targets: Sequence[Motif]) -> list[MotifMatch | None]:
    """Find the known motif that each query is most like, by TOMTOM.

    Parameters
    ----------
    queries : sequence of Motif
        Without uninformative flanks, which would count as likeness to others'.
    targets : sequence of Motif
        The known motifs; 25 at the least for p-values that can be trusted.

    Returns
    -------
    list of MotifMatch or None
        For each query, of the targets that share at least 4 bits with it the one with the lowest p-value; None if none
        does. Whether it is like enough is the reader's to say, by `q`.

    Raises
    ------
    SeqplrpError
        If memelite is not installed or there is no target.

    Notes
    -----
    TOMTOM: Gupta et al., Genome Biology 2007, 8:R24 (complete scores, Euclidean distance); memelite's p-value is that
    of both strands. The columns of all targets are the background, so p-values are relative to these targets. No two
    columns are merged (``n_target_bins=None``). The first call on a machine compiles memelite, in up to a minute.
    """
    found = all_matches(queries, targets)
    likely = ([m for m in matches if m.shared_bits >= FEWEST_SHARED_BITS] for matches in found)
    return [matches[0] if matches else None for matches in likely]


def all_matches(queries: Sequence[Motif], targets: Sequence[Motif]) -> list[list[MotifMatch]]:
    """Compare each query with every known motif, by TOMTOM.

    Parameters
    ----------
    queries, targets : sequence of Motif
        As `best_matches` takes them.

    Returns
    -------
    list of list of MotifMatch
        For each query all targets, the one with the lowest p-value first, whether or not they share bits with it.

    Raises
    ------
    SeqplrpError
        If memelite is not installed or there is no target.
    """
    if not targets:
        raise SeqplrpError("targets", "there is no motif to compare with", "give at least one")
    require_memelite()
    if not queries:
        return []
    import memelite

    columns = [np.ascontiguousarray(motif.probabilities.T) for motif in targets]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="tomtom was given .* target motifs")  # the caller counts them
        p, _, offsets, overlaps, strands = memelite.tomtom(
            [np.ascontiguousarray(motif.probabilities.T) for motif in queries], columns, n_target_bins=None, n_jobs=1
        )
    p = np.clip(p, 0.0, 1.0)
    q = false_discovery_control(p, axis=1)
    return [_by_p(query, targets, p[i], q[i], offsets[i], overlaps[i], strands[i]) for i, query in enumerate(queries)]


def _by_p(
    query: Motif,
    targets: Sequence[Motif],
    p: npt.NDArray[np.float64],
    q: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.float64],
    overlaps: npt.NDArray[np.float64],
    strands: npt.NDArray[np.float64],
) -> list[MotifMatch]:
    matches = []
    for j in np.argsort(p, kind="stable"):
        strand: Literal["+", "-"] = "-" if strands[j] else "+"
        match = MotifMatch(targets[j], float(p[j]), float(q[j]), int(offsets[j]), strand, int(overlaps[j]), 0.0)
        matches.append(replace(match, shared_bits=_shared_bits(query, match.aligned, match.offset)))
    return matches


def _shared_bits(query: Motif, target: Motif, offset: int) -> float:
    start, end = max(0, -offset), min(query.width, target.width - offset)
    mine = query.information_content()[start:end]
    its = target.information_content()[start + offset : end + offset]
    return float(np.minimum(mine, its).sum())
