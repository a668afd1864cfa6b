"""What a ROAR study retrains, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqplrp.errors import SeqplrpError
from seqplrp.models import TrainOptions, check_architecture

PERCENTS = (1.0, 2.0, 5.0, 10.0, 30.0, 50.0)
UNCHANGED, RANDOM, TRUTH = "unchanged", "random", "truth"
CONTROLS = (UNCHANGED, RANDOM, TRUTH)


@dataclass(frozen=True, kw_only=True)
class RoarOptions:
    """What is retrained, and how often.

    Parameters
    ----------
    percents : tuple of float
        Shares of each sequence's known bases to replace, in percent.
    seeds : tuple of int
        One training each: of weights, batches and replacing bases.
    architecture : str
        A name of the zoo.
    options : mapping
        Fields of its configuration.
    training : TrainOptions
        How to train; its seed is replaced by each of `seeds`.
    mask_only : bool
        Whether to train on the masks alone, too, which doubles the work.
    """

    percents: tuple[float, ...] = PERCENTS
    seeds: tuple[int, ...] = (0, 1, 2)
    architecture: str = "basset-small"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: TrainOptions = field(default_factory=TrainOptions)
    mask_only: bool = True

    def validate(self) -> None:
        """Raise a SeqplrpError for what can't be."""
        self.training.validate()
        check_architecture(self.architecture, self.options)
        percents = list(self.percents)
        if not percents or any(not 0 < p < 100 for p in percents) or percents != sorted(set(percents)):
            raise SeqplrpError("percents", f"is {self.percents}", "give shares above 0 and below 100, rising")
        if not self.seeds or any(s < 0 for s in self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise SeqplrpError("seeds", f"is {self.seeds}", "give different numbers from 0 on")
