"""Outlines: the shapes that are classes, and those of distractors, which are of no class.

Every outline has an area of 1 and its centroid at the origin, so that neither how large an object is nor where it lies
depends on what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

_CURVE = 96
"""Corners of a polygon that stands for a curve; at the sizes drawn here it is off by less than 0.01 pixel."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A simple polygon, perhaps with a hole.

    Parameters
    ----------
    edge : ndarray, shape (K, 2)
        Its corners (x, y) in order.
    hole : ndarray, shape (M, 2), optional
        The corners of what is cut out of it.
    """

    edge: Points
    hole: Points | None = None

    @property
    def reach(self) -> float:
        """The distance of the farthest corner from the centroid, for an area of 1."""
        return float(np.hypot(*self.edge.T).max())

    def placed(self, x: float, y: float, area: float, rotation: float) -> Outline:
        """Return it turned by `rotation` (radians), with an area of `area` and its centroid at (x, y)."""
        sine, cosine = math.sin(rotation), math.cos(rotation)
        turn = math.sqrt(area) * np.array([[cosine, sine], [-sine, cosine]])
        shift = np.array([x, y])
        return Outline(self.edge @ turn + shift, None if self.hole is None else self.hole @ turn + shift)


@cache
def class_outline(name: str) -> Outline:
    """Return the outline of a class of `SHAPES`."""
    return SHAPES[name]()


def longest_reach() -> float:
    """Return how far the outline of any class reaches from its centroid, for an area of 1."""
    return max(class_outline(name).reach for name in SHAPES)


# --- the classes


def _circle() -> Outline:
    return _normalised(_arc_points(1.0, 0.0, 2 * math.pi))


def _cross() -> Outline:
    a, b = 1.0, 0.33
    return _normalised(_turned([(a, b), (b, b), (b, a)], 4))


def _crescent() -> Outline:
    # the part of a circle of radius 1 that a circle of radius r about (d, 0) does not cover
    r, d = 0.75, 0.6
    x = (d * d - r * r + 1) / (2 * d)
    outer = math.acos(x)
    inner = math.acos((x - d) / r)
    away = _arc_points(1.0, outer, 2 * math.pi - outer)
    back = _arc_points(r, 2 * math.pi - inner, inner) + np.array([d, 0.0])
    return _normalised(np.concatenate([away, back]))


def _heart() -> Outline:
    t = np.linspace(0, 2 * math.pi, _CURVE, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _normalised(np.stack([16 * np.sin(t) ** 3, y], axis=1))


def _ring() -> Outline:
    return _normalised(_arc_points(1.0, 0.0, 2 * math.pi), _arc_points(0.6, 0.0, 2 * math.pi))


def _square() -> Outline:
    return _normalised(_turned([(1.0, 1.0)], 4))


def _star() -> Outline:
    inner = 0.45
    return _normalised(
        _turned([(0.0, 1.0), (-inner * math.sin(math.pi / 5), inner * math.cos(math.pi / 5))], 5),
    )


def _triangle() -> Outline:
    return _normalised(_turned([(0.0, 1.0)], 3))


SHAPES: Mapping[str, Callable[[], Outline]] = {
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "heart": _heart,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
"""The classes, by name."""


# --- the distractors, each drawn anew


def _arc(rng: np.random.Generator) -> Outline:
    """Draw a part of a ring, at most two thirds of it: open, and as wide at its ends as in its middle."""
    inner, angle = rng.uniform(0.55, 0.75), rng.uniform(1.7, 4.0)
    return _normalised(np.concatenate([_arc_points(1.0, 0.0, angle), _arc_points(inner, angle, 0.0)]))


def _bar(rng: np.random.Generator) -> Outline:
    """Draw a rectangle, three to six times as long as wide."""
    length = rng.uniform(3.0, 6.0)
    return _normalised(np.array([(-length, -1.0), (length, -1.0), (length, 1.0), (-length, 1.0)]))


def _blob(rng: np.random.Generator) -> Outline:
    """Draw a smooth, lumpy outline, about twice as long as wide: longer than any class's shape."""
    t = np.linspace(0, 2 * math.pi, _CURVE, endpoint=False)
    waves = np.arange(3, 6)
    phase, size = rng.uniform(0, 2 * math.pi, 3), rng.uniform(0.1, 0.4, 3) / np.sqrt(waves)
    radius = 1 + (size[:, None] * np.cos(waves[:, None] * t + phase[:, None])).sum(axis=0)
    return _normalised(np.stack([rng.uniform(2.0, 2.6) * radius * np.cos(t), radius * np.sin(t)], axis=1))


_LETTERS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 0), (3, 0), (3, 1), (1, 1), (1, 5), (0, 5)),  # L
    ((2, 0), (3, 0), (3, 4), (5, 4), (5, 5), (0, 5), (0, 4), (2, 4)),  # T
    ((0, 0), (5, 0), (5, 5), (4, 5), (4, 1), (1, 1), (1, 5), (0, 5)),  # U
    ((0, 0), (3, 0), (3, 4), (5, 4), (5, 5), (2, 5), (2, 1), (0, 1)),  # Z
    ((0, 0), (1, 0), (1, 2), (3, 2), (3, 3), (1, 3), (1, 4), (4, 4), (4, 5), (0, 5)),  # F
    ((0, 0), (1, 0), (1, 2), (3, 2), (3, 0), (4, 0), (4, 5), (3, 5), (3, 3), (1, 3), (1, 5), (0, 5)),  # H
    ((0, 0), (4, 0), (4, 1), (1, 1), (1, 2), (3, 2), (3, 3), (1, 3), (1, 4), (4, 4), (4, 5), (0, 5)),  # E
)


def _letter(rng: np.random.Generator) -> Outline:
    """Draw one of seven letters of straight strokes, stretched by up to a quarter."""
    corners = np.array(_LETTERS[rng.integers(len(_LETTERS))], dtype=float)
    return _normalised(corners * np.array([1.0, rng.uniform(0.8, 1.25)]))


def _wave(rng: np.random.Generator) -> Outline:
    """Draw a stroke that winds once or twice."""
    t = np.linspace(0, 1, _CURVE // 2)
    turns, height, width = rng.uniform(1.0, 2.0), rng.uniform(0.12, 0.22), rng.uniform(0.14, 0.2)
    middle = height * np.sin(2 * math.pi * turns * t + rng.uniform(0, 2 * math.pi))
    above = np.stack([t, middle + width / 2], axis=1)
    below = np.stack([t, middle - width / 2], axis=1)
    return _normalised(np.concatenate([above, below[::-1]]))


DISTRACTORS: Mapping[str, Callable[[np.random.Generator], Outline]] = {
    "arc": _arc,
    "bar": _bar,
    "blob": _blob,
    "letter": _letter,
    "wave": _wave,
}
"""Kinds of distractors, by name."""


# --- their geometry


def _arc_points(radius: float, start: float, stop: float) -> Points:
    angle = np.linspace(start, stop, _CURVE)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _turned(corners: list[tuple[float, float]], times: int) -> Points:
    """Return corners and their copies, turned about the origin by all multiples of a full turn's part."""
    points = np.array(corners)
    turns = [2 * math.pi * k / times for k in range(times)]
    return np.concatenate([points @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) for a in turns])


def _normalised(edge: Points, hole: Points | None = None) -> Outline:
    """Return an outline with an area of 1 and its centroid at the origin."""
    area, moment = _moments(edge)
    if hole is not None:
        cut, cut_moment = _moments(hole)
        area, moment = area - cut, moment - cut_moment
    centroid, size = moment / area, math.sqrt(area)
    return Outline((edge - centroid) / size, None if hole is None else (hole - centroid) / size)


def _moments(corners: Points) -> tuple[float, Points]:
    """Return a simple polygon's area and its first moment (the shoelace formula), whichever way round it goes."""
    x, y = corners.T
    next_x, next_y = np.roll(corners, -1, axis=0).T
    pieces = x * next_y - next_x * y
    area = pieces.sum() / 2
    moment = np.array([((x + next_x) * pieces).sum(), ((y + next_y) * pieces).sum()]) / 6
    return float(abs(area)), moment * math.copysign(1.0, area)
