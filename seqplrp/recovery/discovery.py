"""Are the motifs that were found the true ones? Precision, recall and F1, strictly and by family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif, load_all
from seqplrp.recovery.filter_report import ALIKE
from seqplrp.recovery.patterns import Pattern
from seqplrp.recovery.tomtom import FEWEST_SHARED_BITS, MotifMatch, all_matches

KINSHIP_LEVEL = 0.01
"""TOMTOM's q-value up to which two library motifs may be relatives: at 0.05 ZEB1 would be one of eight others."""

KINSHIP_OF_POORER = 0.75
"""Share of the information of the less informative of two motifs that relatives have in common."""

KINSHIP_OF_RICHER = 0.5
"""The same of the more informative one, so that a motif is no relative of every dimer it is a part of."""

SAME_MATRIX = 1e-5
"""Probabilities that differ by no more are the same: files keep six digits of them, and rows are made to sum to 1."""

Grid = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Discovery:
    """Motifs that were found beside those that should be.

    A pattern *strictly* matches a true motif if of the whole library that one is most like it, at a q-value of no more
    than `level`. It matches *by family* if what is most like it is the true motif or a relative of its: a library motif
    so like it (`relatives`) that sequence alone hardly tells the two apart.

    Attributes
    ----------
    truth : DataFrame
        One row a true motif: ``motif``, ``accession``, ``consensus``; ``found_strict`` and ``found`` (by family; each
        pattern speaks for one true motif); ``patterns`` (how many match it by family), ``pattern`` (the one most like
        it, matching or not, empty where no pattern shares 4 bits with it), and of that one ``consensus_found``,
        ``seqlets``, ``p`` and ``q`` (TOMTOM's, of the true motif), ``rank`` (of the true motif among the library's, 1
        the best), ``family_rank`` (of the best of it and its relatives), ``strand``, ``offset``, ``coverage`` (share
        of the true motif's information that lies in the aligned columns), ``pearson`` (of probabilities there) and
        ``divergence`` (Jensen-Shannon, bits, the mean over these columns weighted by the true motif's information);
        ``relatives`` (names, joined by commas).
    found : DataFrame
        One row a pattern: ``pattern``, ``consensus``, ``sign`` (0 if it is a bare motif), ``seqlets``, ``bits``;
        ``best_match``, ``best_accession``, ``best_q`` (of the library); ``kind``: ``true``, ``relative``, ``other`` (it
        is like a library motif, but none that is true or related) or ``unknown`` (it is like none); and ``truth``, the
        true motif it matches, by family. ``other`` and ``unknown`` are the spurious ones.
    level : float
        The q-value up to which two motifs count as alike.
    """

    truth: pd.DataFrame
    found: pd.DataFrame
    level: float

    @property
    def spurious(self) -> pd.DataFrame:
        """Patterns that match no true motif, not even by family."""
        return self.found[self.found["kind"].isin(["other", "unknown"])].reset_index(drop=True)

    @property
    def summary(self) -> pd.DataFrame:
        """``rule`` (``strict`` and ``family``), ``patterns``, ``true_motifs``, ``precision``, ``recall`` and ``f1``.

        Precision is the share of patterns that match a true motif, NaN where there is no pattern; recall the share of
        true motifs that are found; F1 their harmonic mean, 0 where nothing true was found.
        """
        rows = []
        for rule, kinds, column in (
            ("strict", ["true"], "found_strict"),
            ("family", ["true", "relative"], "found"),
        ):
            right = int(self.found["kind"].isin(kinds).sum())
            precision = right / len(self.found) if len(self.found) else float("nan")
            recall = float(self.truth[column].mean())
            f1 = 2 * precision * recall / (precision + recall) if right and recall else 0.0
            rows.append((rule, len(self.found), len(self.truth), precision, recall, f1))
        return pd.DataFrame(rows, columns=["rule", "patterns", "true_motifs", "precision", "recall", "f1"])


def compare_with_truth(
    found: Sequence[Pattern | Motif],
    truth: Sequence[Motif],
    *,
    library: Sequence[Motif] | None = None,
    level: float = ALIKE,
) -> Discovery:
    """Compare found motifs with the true ones, by TOMTOM against a library that holds them.

    Parameters
    ----------
    found : sequence of Pattern or Motif
        What was found; give patterns of one sign to ask about one kind of evidence.
    truth : sequence of Motif
        The motifs that should be found, under names of their own.
    library : sequence of Motif, optional
        What they could be mistaken for; the one that comes with the package unless given. True motifs that are not in
        it are added; a matrix that differs from one of its by no more than what files of six digits lose is that one,
        whatever its name.
    level : float
        The q-value up to which two motifs count as alike.

    Returns
    -------
    Discovery

    Raises
    ------
    SeqplrpError
        If memelite is not installed, there is no true motif, two have one matrix, or `level` is no probability.

    Notes
    -----
    TOMTOM's q-values are those of one pattern over the library (`best_matches`); matches that share fewer than 4 bits
    don't count. Several patterns may match one true motif, which is no fault but shows in ``patterns``. One pattern
    can't find two true motifs: where true motifs are relatives of one another, each needs a pattern of its own.
    """
    if not 0 < level <= 1:
        raise SeqplrpError("level", f"is {level!r}", "give a q-value above 0 and up to 1, such as 0.05")
    known, at = _library_with(truth, load_all() if library is None else library)
    kin = relatives(known)[at]
    motifs = [one.motif if isinstance(one, Pattern) else one for one in found]
    matches = [{id(m.target): m for m in one} for one in all_matches(motifs, known)]
    numbers = {id(motif): number for number, motif in enumerate(known)}
    best = [_best_number(one, numbers, level) for one in matches]
    hit = np.array([number in at for number in best], dtype=bool)
    by_family = np.zeros((len(motifs), len(truth)), dtype=bool)
    for row, number in enumerate(best):
        if number is not None:
            by_family[row] = kin[:, number]
            # A true motif is found by its own best pattern rather than by a relative's.
            if hit[row]:
                by_family[row] = np.array(at) == number
    table = _found_table(found, motifs, matches, known, level, truth, by_family, hit)
    rows = [
        _truth_row(number, truth[number], at[number], known, kin[number], found, motifs, matches)
        for number in range(len(truth))
    ]
    frame = pd.DataFrame(rows)
    strict = {number for number, is_hit in zip(best, hit) if is_hit}
    frame.insert(3, "found_strict", [number in strict for number in at])
    frame.insert(4, "found", _assigned(by_family, matches, [known[number] for number in at]))
    frame.insert(5, "patterns", by_family.sum(axis=0).astype(int))
    return Discovery(frame, table, level)


def relatives(motifs: Sequence[Motif], level: float = KINSHIP_LEVEL) -> Grid:
    """Say which motifs are so alike that sequence hardly tells them apart: (n, n), symmetric, true on the diagonal.

    Two are relatives if TOMTOM, either as query, aligns them at a q-value of no more than `level` over all of `motifs`,
    and in this alignment they share three quarters of the information of the poorer and half of that of the richer.
    """
    information = [float(motif.information_content().sum()) for motif in motifs]
    numbers = {id(motif): number for number, motif in enumerate(motifs)}
    alike = np.eye(len(motifs), dtype=bool)
    for row, matches in enumerate(all_matches(motifs, motifs)):
        for match in matches:
            column = numbers[id(match.target)]
            poorer, richer = sorted((information[row], information[column]))
            enough = match.shared_bits >= max(KINSHIP_OF_POORER * poorer, KINSHIP_OF_RICHER * richer)
            if match.q <= level and enough:
                alike[row, column] = alike[column, row] = True
    return alike


def _library_with(truth: Sequence[Motif], library: Sequence[Motif]) -> tuple[list[Motif], list[int]]:
    """Return the library with the true motifs in it, and where each of these is."""
    if not truth:
        raise SeqplrpError("truth", "there is no true motif", "give at least one")
    known = list(library)
    at: list[int] = []
    for motif in truth:
        alike = [n for n, one in enumerate(known) if same_matrix(one, motif)]
        if not alike:
            alike = [len(known)]
            known.append(motif)
        number = min(alike, key=lambda n: float(np.abs(known[n].probabilities - motif.probabilities).max()))
        if number in at:
            what = f"{motif.name!r} and {truth[at.index(number)].name!r} are one matrix"
            raise SeqplrpError("truth", what, "give each true motif once")
        at.append(number)
    return known, at


def _best_number(matches: dict[int, MotifMatch], numbers: dict[int, int], level: float) -> int | None:
    """Return the number of the motif that one pattern is most like, None if it is like none."""
    for match in matches.values():  # by p-value
        if match.shared_bits >= FEWEST_SHARED_BITS:
            return numbers[id(match.target)] if match.q <= level else None
    return None


def _assigned(by_family: Grid, matches: Sequence[dict[int, MotifMatch]], truth: Sequence[Motif]) -> list[bool]:
    """Give as many true motifs as can be a pattern of their own, the most alike pairs first."""
    if not by_family.any():
        return [False] * len(truth)
    p = np.array([[one[id(motif)].p for motif in truth] for one in matches])
    cost = np.where(by_family, np.log10(np.maximum(p, 1e-300)) - 1e4, 0.0)  # a pair more outweighs any likeness
    rows, columns = linear_sum_assignment(cost)
    return [bool(by_family[rows[columns == number], number].any()) for number in range(len(truth))]


def _found_table(
    found: Sequence[Pattern | Motif],
    motifs: Sequence[Motif],
    matches: Sequence[dict[int, MotifMatch]],
    known: Sequence[Motif],
    level: float,
    truth: Sequence[Motif],
    by_family: Grid,
    hit: Grid,
) -> pd.DataFrame:
    rows = []
    for number, (one, motif) in enumerate(zip(found, motifs)):
        likely = [m for m in matches[number].values() if m.shared_bits >= FEWEST_SHARED_BITS]
        best = likely[0] if likely else None
        mine = [truth[column] for column in np.flatnonzero(by_family[number]).tolist()]
        mine.sort(key=lambda t: min((m.p for m in likely if same_matrix(m.target, t)), default=1.0))
        alike = best is not None and best.q <= level
        kind = "true" if hit[number] else "relative" if mine else "other" if alike else "unknown"
        rows.append(
            {
                "pattern": motif.name,
                "consensus": motif.iupac,
                "sign": one.sign if isinstance(one, Pattern) else 0,
                "seqlets": _seqlets(one),
                "bits": float(motif.information_content().sum()),
                "best_match": best.target.name if best else "",
                "best_accession": best.target.accession if best else "",
                "best_q": best.q if best else float("nan"),
                "kind": kind,
                "truth": mine[0].name if mine else "",
            }
        )
    columns = ["pattern", "consensus", "sign", "seqlets", "bits", "best_match", "best_accession", "best_q", "kind"]
    return pd.DataFrame(rows, columns=[*columns, "truth"])


def same_matrix(one: Motif, other: Motif, *, within: float = SAME_MATRIX) -> bool:
    """Say whether two matrices are one but for the digits that a file kept."""
    return one.width == other.width and np.allclose(one.probabilities, other.probabilities, rtol=0, atol=within)


def _seqlets(one: Pattern | Motif) -> float:
    if isinstance(one, Pattern):
        return float(len(one))
    return float("nan") if one.nsites is None else float(one.nsites)


def _truth_row(
    number: int,
    motif: Motif,
    place: int,
    known: Sequence[Motif],
    kin: Grid,
    found: Sequence[Pattern | Motif],
    motifs: Sequence[Motif],
    matches: Sequence[dict[int, MotifMatch]],
) -> dict[str, Any]:
    """Describe the pattern that is most like a true motif."""
    target = known[place]
    names = [known[other].name for other in np.flatnonzero(kin).tolist() if other != place]
    head = {"motif": motif.name, "accession": motif.accession, "consensus": motif.iupac}
    tail = {"relatives": ",".join(names)}
    mine = [(one[id(target)], n) for n, one in enumerate(matches)]
    mine = [(match, n) for match, n in mine if match.shared_bits >= FEWEST_SHARED_BITS]
    if not mine:
        nothing = dict.fromkeys(("seqlets", "p", "q", "rank", "family_rank"), float("nan"))
        unlike = dict.fromkeys(("offset", "coverage", "pearson", "divergence"), float("nan"))
        return {**head, "pattern": "", "consensus_found": "", **nothing, "strand": "", **unlike, **tail}
    match, best = min(mine, key=lambda pair: (pair[0].p, pair[1]))
    p_of = {n: matches[best][id(one)].p for n, one in enumerate(known)}
    nearest = min(p_of[n] for n in np.flatnonzero(kin).tolist())
    return {
        **head,
        "pattern": motifs[best].name,
        "consensus_found": motifs[best].iupac,
        "seqlets": _seqlets(found[best]),
        "p": match.p,
        "q": match.q,
        "rank": 1.0 + sum(p < match.p for p in p_of.values()),
        "family_rank": 1.0 + sum(p < nearest for p in p_of.values()),
        "strand": match.strand,
        "offset": float(match.offset),
        **matrix_likeness(motifs[best], match),
        **tail,
    }


def matrix_likeness(query: Motif, match: MotifMatch) -> dict[str, float]:
    """Return how like its target a query is where they stand over one another.

    Returns
    -------
    dict
        ``coverage``: share of the target's information in these columns; ``pearson``: correlation of the probabilities
        there, NaN if either's are all alike; ``divergence``: mean Jensen-Shannon divergence of the columns in bits,
        weighted by the target's information; 0 if they are equal, 1 at the most.
    """
    target = match.aligned
    first, last = max(0, -match.offset), min(query.width, target.width - match.offset)
    mine = query.probabilities[first:last]
    its = target.probabilities[first + match.offset : last + match.offset]
    information = target.information_content()
    weight = information[first + match.offset : last + match.offset]
    middle = (mine + its) / 2
    divergence = _entropy(middle) - (_entropy(mine) + _entropy(its)) / 2
    flat = min(mine.std(), its.std()) < 1e-12
    return {
        "coverage": float(weight.sum() / information.sum()) if information.sum() > 0 else float("nan"),
        "pearson": float("nan") if flat else float(np.corrcoef(mine.ravel(), its.ravel())[0, 1]),
        "divergence": float((weight * divergence).sum() / weight.sum()) if weight.sum() > 0 else float("nan"),
    }


def _entropy(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1))
