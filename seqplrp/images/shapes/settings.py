"""What the shapes data are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqplrp.errors import SeqplrpError
from seqplrp.images.shapes.outlines import SHAPES, longest_reach

SMALLEST = 48
"""Pixels of a side below which shapes are too small to be told apart."""

LARGEST = 1024


@dataclass(frozen=True)
class ShapesSettings:
    """How shapes data are drawn; together with the versions of the libraries they decide every byte.

    Parameters
    ----------
    n : int
        Images. The first of them are the same whatever `n` is.
    size : int
        Pixels of a side.
    seed : int
        Of everything that is drawn.
    radius : (float, float)
        The least and the largest size of the class's shape: the radius of a circle of its area, as a share of the side.
    distractor_radius : (float, float)
        The same of the distractors.
    distractors : (int, int)
        The least and the largest number of them.
    hidden : float
        The largest share of any object that others may hide.
    contrast : float
        The least distance, in RGB of range 0 to 1, between the mean colour of an object and that of the background.
    noise : float
        Standard deviation of each pixel's own noise, on the same range.
    """

    n: int = 10_000
    size: int = 64
    seed: int = 0
    radius: tuple[float, float] = (0.13, 0.2)
    distractor_radius: tuple[float, float] = (0.09, 0.16)
    distractors: tuple[int, int] = (1, 3)
    hidden: float = 0.15
    contrast: float = 0.4
    noise: float = 0.02

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return tuple(SHAPES)

    def validate(self) -> None:
        """Raise `SeqplrpError` for values with which nothing can be drawn."""
        room = 0.5 / (math.sqrt(math.pi) * longest_reach())
        limits = {
            "n": (self.n >= 1, "1 or more"),
            "size": (SMALLEST <= self.size <= LARGEST, f"{SMALLEST} to {LARGEST} pixels"),
            "seed": (0 <= self.seed < 2**63, "0 or more"),
            "radius": (0 < self.radius[0] <= self.radius[1] <= room, f"two shares of the side, at most {room:.2f}"),
            "distractor_radius": (
                0 < self.distractor_radius[0] <= self.distractor_radius[1] <= room,
                f"two shares of the side, at most {room:.2f}",
            ),
            "distractors": (0 <= self.distractors[0] <= self.distractors[1] <= 8, "two numbers, at most 8"),
            "hidden": (0 <= self.hidden <= 0.5, "a share up to 0.5"),
            "contrast": (0 <= self.contrast <= 0.6, "0 to 0.6"),
            "noise": (0 <= self.noise <= 0.5, "0 to 0.5"),
        }
        for name, (fits, expected) in limits.items():
            if not fits:
                raise SeqplrpError(name, f"is {getattr(self, name)!r}", f"give {expected}")
