"""What the model itself makes of each base: the change of its score by single mutations.

It needs no explanation, so it tells what the model does from what the explanation adds.
"""

from __future__ import annotations

import numpy as np

from seqplrp.recovery.audit.subject import Codes, Floats, Subject

FEWEST = 4
"""Sequences below which nothing is said of the model."""

_MOST = 64
_MUTANTS = 8192  # sequences explained for it, at most


def affordable(codes: Codes, strands: int = 1) -> Codes:
    """Return as many of some sequences (N, L) as can be mutated at every base of one or both strands; none if few."""
    rows = min(len(codes), _MOST, _MUTANTS // (strands * (codes.shape[1] + 1)))
    return codes[: rows if rows >= FEWEST else 0]


def mutants_of(codes: Codes, rng: np.random.Generator) -> Codes:
    """Replace each base of each sequence (n, L), one at a time, by a random other one; N stays N: (n L, L)."""
    length = codes.shape[1]
    mutants = np.repeat(codes, length, axis=0)
    at = np.tile(np.arange(length), len(codes))
    each = np.arange(len(mutants))
    here = mutants[each, at]
    mutants[each, at] = np.where(here < 4, (here + rng.integers(1, 4, len(mutants))) % 4, here)
    return mutants


def changes(subject: Subject, codes: Codes, mutants: Codes) -> Floats:
    """Return by how much each mutant (n L, L) of sequences (n, L) changes the score: (n, L)."""
    before = subject.maps(codes).output
    return np.asarray(subject.maps(mutants).output.reshape(len(codes), -1) - before[:, None])
