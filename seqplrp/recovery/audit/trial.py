"""What a check that draws its own sequences is made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seqplrp.recovery.audit.profiles import AuditLimits, Floats, Profile, examine
from seqplrp.recovery.audit.subject import Backgrounds, Subject


@dataclass(frozen=True)
class Trial:
    """What is audited, on what, and when something is told.

    Parameters
    ----------
    subject : Subject
        What is audited.
    backgrounds : Backgrounds
        Where its sequences come from.
    limits : AuditLimits
        When something is told.
    strides : mapping of int to str
        The model's stride products and their layers.
    rng : numpy.random.Generator
        Of all that the check draws: sequences, places, shifts.
    """

    subject: Subject
    backgrounds: Backgrounds
    limits: AuditLimits
    strides: Mapping[int, str]
    rng: np.random.Generator

    def examined(self, rows: Floats) -> Profile:
        """Look for edges, combs and uneven stretches in a profile (n, P), at the model's strides, too."""
        return examine(rows, self.rng, limits=self.limits, strides=tuple(self.strides))
