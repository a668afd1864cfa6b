"""Does the score answer to a motif as much as the map makes of it, measured against a motif that the model does use?

That a test finds no answer does not show that there is none: it may have looked at too few sequences. So the score's
answer is given as an interval, in units of its answer to the motif that it uses, and beside it what the map gives the
motif, in units of what it gives that one. Only where the score surely answers by less than a stated share, and the
map surely gives more than the score's answer accounts for, is it the explanation that adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqplrp.recovery.audit.intervals import Bounds, unseen_share

Outcome = Literal["adds", "used", "unsettled"]

LEAST_EXCESS = 1.5
"""The map must surely give this many times the most that the score's answer may be, both in units of the used motif's,
to be said to add: relevance need not be in strict proportion to what an insertion does."""

LEAST_USE = 0.01
"""An answer that may be less than this share of the used motif's is not called use, however certain."""

_FARTHEST = 200  # times as many backgrounds: beyond that no number is named


@dataclass(frozen=True)
class Answers:
    """What score and map make of a motif, and of one that the model uses, in n backgrounds.

    Attributes
    ----------
    changes : tuple of Bounds
        What its letters in their order do to the score beyond letters in random order: without the used motif and
        beside it.
    sizes : tuple of Bounds
        By how much larger the score's changes are, whatever their signs, than those that random letters make: when
        all its letters are put out of order, and when a stretch of them is replaced.
    used : Bounds
        What the used motif does to the score, towards the side to which it moves it.
    mass, mass_of_used : Bounds
        |relevance| on the motif beyond that on its letters in random order, and likewise of the used one.
    tail : float
        Chance that each bound is missed.
    """

    changes: tuple[Bounds, ...]
    sizes: tuple[Bounds, ...]
    used: Bounds
    mass: Bounds
    mass_of_used: Bounds
    tail: float

    @property
    def n(self) -> int:
        """Backgrounds."""
        return self.used.n

    @property
    def unseen(self) -> float:
        """Share of backgrounds in which it may act as the used motif does without having been met."""
        return unseen_share(self.n, self.tail)

    @property
    def most(self) -> float:
        """The most that the score may answer, as a share of its answer to the used motif."""
        if self.used.low <= 0:
            return float("inf")
        largest = max(*(one.most for one in self.changes), *(one.high for one in self.sizes))
        return max(largest / self.used.low, self.unseen)

    @property
    def least(self) -> float:
        """The least that it answers, likewise: 0 where no answer is certain."""
        if self.used.low <= 0:
            return 0.0
        return max(*(one.least for one in self.changes), *(one.low for one in self.sizes), 0.0) / self.used.high

    @property
    def least_mass(self) -> float:
        """The least that the map gives it, as a share of what it gives the used motif."""
        if self.mass.low <= 0:
            return 0.0
        return self.mass.low / self.mass_of_used.high if self.mass_of_used.high > 0 else float("inf")

    def outcome(self, negligible: float) -> Outcome:
        """Say which of the three it is; `negligible` is the share up to which an answer is called so."""
        if self.most <= negligible and self.least_mass >= LEAST_EXCESS * self.most:
            return "adds"
        return "used" if self.least >= LEAST_USE else "unsettled"

    def with_n(self, n: int) -> Answers:
        """Return what n backgrounds like these would give."""
        return Answers(
            changes=tuple(one.with_n(n) for one in self.changes),
            sizes=tuple(one.with_n(n) for one in self.sizes),
            used=self.used.with_n(n),
            mass=self.mass.with_n(n),
            mass_of_used=self.mass_of_used.with_n(n),
            tail=self.tail,
        )

    def backgrounds_to_settle(self, negligible: float) -> int | None:
        """Return about how many backgrounds would settle it if all means stay as they are; None for very many."""
        n, last = float(self.n), _FARTHEST * self.n
        while n <= last:
            if self.with_n(round(n)).outcome(negligible) != "unsettled":
                return round(n)
            n *= 1.1
        return None
