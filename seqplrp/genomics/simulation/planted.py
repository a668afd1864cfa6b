"""What was planted in sequences, and what the classes' rules say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.genomics.simulation.grammar import And, Count, Not, Or, Otherwise, Pair, Rule

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Planted:
    """The motif instances of N sequences, at most K in each.

    Attributes
    ----------
    motif : ndarray of int16, shape (N, K)
        Number of the motif in the task, -1 where there is no instance.
    start, end : ndarray of int32, shape (N, K)
        0-based half-open.
    reverse : ndarray of bool, shape (N, K)
        Whether the instance lies on the reverse strand.
    """

    motif: npt.NDArray[np.int16]
    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    reverse: Bools

    def __len__(self) -> int:
        return len(self.motif)

    def rows(self, index: Any) -> Planted:
        """Return the instances of some of the sequences."""
        return Planted(self.motif[index], self.start[index], self.end[index], self.reverse[index])


def label(rules: Sequence[Rule], planted: Planted, number: Mapping[str, int]) -> Bools:
    """Decide which rules hold for which sequences.

    Parameters
    ----------
    rules : sequence of Rule
        At most one of them `Otherwise`.
    planted : Planted
    number : mapping from motif name to its number

    Returns
    -------
    ndarray of bool, shape (N, len(rules))
    """
    table = np.zeros((len(planted), len(rules)), dtype=bool)
    for column, rule in enumerate(rules):
        if not isinstance(rule, Otherwise):
            table[:, column] = holds(rule, planted, number)
    for column, rule in enumerate(rules):
        if isinstance(rule, Otherwise):
            table[:, column] = ~table.any(axis=1)
    return table


def holds(rule: Rule, planted: Planted, number: Mapping[str, int]) -> Bools:
    """Decide for which sequences a rule holds: (N,)."""
    match rule:
        case Count(motif, at_least):
            enough: Bools = (planted.motif == number[motif]).sum(axis=1) >= at_least
            return enough
        case Pair():
            return np.asarray(_paired(rule, planted, number).any(axis=1))
        case Not(inner):
            return ~holds(inner, planted, number)
        case And(rules) | Or(rules):
            together = np.logical_and if isinstance(rule, And) else np.logical_or
            return np.asarray(together.reduce([holds(r, planted, number) for r in rules]))
        case Otherwise():
            raise ValueError("'otherwise' holds or not only beside the other rules; use label()")


def support(rule: Rule, planted: Planted, number: Mapping[str, int], *, negated: bool = False) -> Bools:
    """Mark the instances that make a rule hold.

    Parameters
    ----------
    rule : Rule
    planted : Planted
    number : mapping from motif name to its number
    negated : bool
        Mark what makes ``not rule`` hold instead: instances count only below a second negation.

    Returns
    -------
    ndarray of bool, shape (N, K)
        For a count, every instance of the motif; for a pair, the instances that stand in the arrangement; for
        an OR, those of the branches that hold. False for sequences that the rule does not hold for, and for
        what is asked to be absent: an absent motif has no place.
    """
    match rule:
        case Otherwise():
            return np.zeros(planted.motif.shape, dtype=bool)
        case Not(inner):
            return support(inner, planted, number, negated=not negated)
        case Count(motif) if not negated:
            instances: Bools = (planted.motif == number[motif]) & holds(rule, planted, number)[:, None]
            return instances
        case Pair() if not negated:
            return _paired(rule, planted, number)
        case And(rules) | Or(rules):
            true = holds(rule, planted, number) != negated
            marked: Bools = np.zeros(planted.motif.shape, dtype=bool)
            for inner in rules:
                inner_true = holds(inner, planted, number) != negated
                marked |= support(inner, planted, number, negated=negated) & inner_true[:, None]
            marked &= true[:, None]
            return marked
    return np.zeros(planted.motif.shape, dtype=bool)


def _paired(pair: Pair, planted: Planted, number: Mapping[str, int]) -> Bools:
    """Mark the instances that stand in a pair's arrangement: (N, K)."""
    marked = np.zeros(planted.motif.shape, dtype=bool)
    is_first = planted.motif == number[pair.first]
    is_second = planted.motif == number[pair.second]
    for a in np.flatnonzero(is_first.any(axis=0)):
        for b in np.flatnonzero(is_second.any(axis=0)):
            if a == b:
                continue
            gap = np.where(
                planted.reverse[:, a],
                planted.start[:, a] - planted.end[:, b],
                planted.start[:, b] - planted.end[:, a],
            )
            fits = is_first[:, a] & is_second[:, b] & (gap >= pair.spacing.low) & (gap <= pair.spacing.high)
            if pair.orientation != "any":
                same = planted.reverse[:, a] == planted.reverse[:, b]
                fits &= same if pair.orientation == "same" else ~same
            marked[:, a] |= fits
            marked[:, b] |= fits
    return marked
