"""The motifs that were discovered from a method's maps of a model, as a run keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.discovery import Discovery
from seqplrp.recovery.patterns import Pattern

PATTERN_COLUMNS = (
    "pattern",
    "consensus",
    "seqlets",
    "sequences",
    "bits",
    "best_match",
    "best_accession",
    "best_q",
    "kind",
    "truth",
)
EFFECT_COLUMNS = ("effect", "effect_low", "effect_high", "words_effect", "effect_p")
"""What marginalisation adds."""


@dataclass(frozen=True)
class FoundPattern:
    """A motif that was discovered.

    Attributes
    ----------
    pattern : str
        Its name: ``pos_0`` has the most seqlets of those of positive relevance.
    consensus : str
        In IUPAC letters.
    seqlets, sequences : int
        Stretches that it was made of, and sequences in which they lie.
    bits : float
        Information of its matrix.
    best_match, best_accession : str
        The library motif that it is most like, alike or not; empty where none shares 4 bits with it.
    best_q : float or None
        TOMTOM's q-value of that, None where there is none.
    kind : str
        ``true motif``, ``relative``, ``other`` or ``unknown``, as `seqplrp.recovery.Discovery.found` tells them apart.
    truth : str
        The true motif that it matches, by family.
    probabilities : tuple of tuple of float
        (W, 4).
    background : tuple of float
        Base frequencies of the sequences.
    effect, effect_low, effect_high : float or None
        Mean rise of the score where the motif is put into background sequences, with its 95 % bootstrap interval over
        them; None where it was not measured.
    words_effect : float or None
        The same of random words of its length, the mean over them.
    effect_p : float or None
        Share of these words, and the motif itself, that do as much.
    """

    pattern: str
    consensus: str
    seqlets: int
    sequences: int
    bits: float
    best_match: str
    best_accession: str
    best_q: float | None
    kind: str
    truth: str
    probabilities: tuple[tuple[float, ...], ...]
    background: tuple[float, ...]
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    words_effect: float | None = None
    effect_p: float | None = None

    def motif(self, identifier: str) -> Motif:
        """Return its matrix under an identifier, by the name of what it is like, or else of its consensus."""
        alike = self.kind != "unknown" and self.best_match
        return Motif(
            self.best_match if alike else self.consensus,
            np.asarray(self.probabilities),
            accession=identifier,
            nsites=self.seqlets,
            background=np.asarray(self.background),
        )


def described(patterns: Sequence[Pattern], discovery: Discovery) -> tuple[FoundPattern, ...]:
    """Describe patterns by what `compare_with_truth` says of them."""
    rows = discovery.found.to_dict(orient="records")
    return tuple(_described(pattern, row) for pattern, row in zip(patterns, rows, strict=True))


def _described(pattern: Pattern, row: Mapping[Any, Any]) -> FoundPattern:
    motif = pattern.motif
    return FoundPattern(
        pattern=motif.name,
        consensus=motif.iupac,
        seqlets=len(pattern),
        sequences=int(pattern.members["sequence"].nunique()),
        bits=float(row["bits"]),
        best_match=row["best_match"],
        best_accession=row["best_accession"],
        best_q=float(row["best_q"]) if np.isfinite(row["best_q"]) else None,
        # "true" alone, in a column of nothing else, would be read back as a truth value
        kind="true motif" if row["kind"] == "true" else row["kind"],
        truth=row["truth"],
        probabilities=tuple(map(tuple, motif.probabilities.tolist())),
        background=tuple(motif.background.tolist()),
    )


def from_plain(content: Iterable[Mapping[str, Any]]) -> tuple[FoundPattern, ...]:
    """Return patterns from their fields, as cells keep them."""
    return tuple(
        FoundPattern(
            **{
                **one,
                "probabilities": tuple(map(tuple, one["probabilities"])),
                "background": tuple(one["background"]),
            }
        )
        for one in content
    )
