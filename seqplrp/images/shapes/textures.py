"""Surfaces: what backgrounds and objects are filled with, drawn alike for every class."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Surface = npt.NDArray[np.float64]

# Standard deviations of what makes up a surface, in units of the whole range of brightness.
_BACKGROUND_NOISE = (0.03, 0.1)
_BACKGROUND_STRIPES = (0.03, 0.1)
_BACKGROUND_GRADIENT = (0.0, 0.1)
_OBJECT_NOISE = (0.02, 0.06)
_OBJECT_STRIPES = (0.02, 0.06)
_OBJECT_GRADIENT = (0.0, 0.06)
_STRIPED = 0.5
"""The share of surfaces that have stripes."""

_COLOURS = (0.1, 0.9)


def draw_colours(rng: np.random.Generator, n: int, contrast: float) -> npt.NDArray[np.float64]:
    """Draw the background's colour and those of `n` objects, all of them at least `contrast` from the background's.

    Parameters
    ----------
    rng : Generator
    n : int
    contrast : float
        The least Euclidean distance in RGB, whose range is 0 to 1; below 0.6, so that there always are such colours.

    Returns
    -------
    ndarray, shape (n + 1, 3)
        The background's first.
    """
    colours = [rng.uniform(*_COLOURS, 3)]
    while len(colours) <= n:
        colour = rng.uniform(*_COLOURS, 3)
        if np.linalg.norm(colour - colours[0]) >= contrast:
            colours.append(colour)
    return np.array(colours)


def background(rng: np.random.Generator, size: int, colour: npt.NDArray[np.float64]) -> Surface:
    """Draw a background ``(size, size, 3)``: noise of many scales, a gradient, and perhaps stripes."""
    return _surface(rng, size, colour, _BACKGROUND_NOISE, _BACKGROUND_STRIPES, _BACKGROUND_GRADIENT)


def object_surface(rng: np.random.Generator, size: int, colour: npt.NDArray[np.float64]) -> Surface:
    """Draw the surface ``(size, size, 3)`` of an object: as a background, but fainter, so that the object is one."""
    return _surface(rng, size, colour, _OBJECT_NOISE, _OBJECT_STRIPES, _OBJECT_GRADIENT)


def _surface(
    rng: np.random.Generator,
    size: int,
    colour: npt.NDArray[np.float64],
    noise: tuple[float, float],
    stripes: tuple[float, float],
    gradient: tuple[float, float],
) -> Surface:
    surface = np.broadcast_to(colour, (size, size, 3)).copy()
    surface += rng.uniform(*noise) * _tinted(rng, _noise(rng, size))
    surface += rng.uniform(*gradient) * _tinted(rng, _gradient(rng, size))
    if rng.random() < _STRIPED:
        surface += rng.uniform(*stripes) * _tinted(rng, _stripes(rng, size))
    return surface


def _tinted(rng: np.random.Generator, pattern: npt.NDArray[np.float64]) -> Surface:
    """Give a pattern ``(size, size)`` a direction in RGB, of length 1 on average over channels."""
    direction = rng.standard_normal(3)
    return pattern[:, :, None] * direction * (math.sqrt(3) / np.linalg.norm(direction))


def _noise(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Noise whose power falls with its spatial frequency's power 1 to 3, as in photographs (2); mean 0, deviation 1."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * frequency ** (-rng.uniform(1.0, 3.0) / 2)
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray(noise / noise.std())


def _stripes(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Stripes of 4 to 16 pixels of 64 from crest to crest, soft or hard; deviation about 1."""
    position = _along(rng, size) * size
    wave = np.sin(2 * math.pi * position / (size * rng.uniform(4, 16) / 64) + rng.uniform(0, 2 * math.pi))
    return np.asarray(np.tanh(rng.uniform(0.5, 4.0) * wave))


def _gradient(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """A plane through 0 at the middle; deviation 1."""
    slope = _along(rng, size)
    return np.asarray(slope / slope.std())


def _along(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Each pixel's place along a random direction; the image's side is 1 long."""
    angle = rng.uniform(0, 2 * math.pi)
    axis = (np.arange(size) + 0.5) / size - 0.5
    return axis[:, None] * math.sin(angle) + axis[None, :] * math.cos(angle)
