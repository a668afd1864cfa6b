"""One image: a textured background, distractors and the class's shape among them, and what is visible of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.images.shapes.outlines import DISTRACTORS, Outline, class_outline, longest_reach
from seqplrp.images.shapes.settings import ShapesSettings
from seqplrp.images.shapes.textures import background, draw_colours, object_surface

SUPERSAMPLING = 8
"""Outlines are drawn on a grid so many times as fine, and averaged."""

_ATTEMPTS = 50
_REDRAWS = 20

Coverage = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene, as the table of objects tells it.

    Parameters
    ----------
    kind : str
        A class's name, or a distractor's kind.
    is_class : bool
        Whether it is the shape that makes the image's class.
    x, y : float
        Its centroid, in pixels from the image's left upper corner.
    radius : float
        Of a circle of its area, in pixels.
    rotation : float
        Degrees.
    hidden : float
        The share of it that others cover.
    """

    kind: str
    is_class: bool
    x: float
    y: float
    radius: float
    rotation: float
    hidden: float


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and the truth about it.

    Parameters
    ----------
    image : ndarray of uint8, shape (S, S, 3)
        RGB.
    mask : ndarray of bool, shape (S, S)
        Pixels of which the class's shape, as far as it is visible, covers at least half.
    distractor_mask : ndarray of bool, shape (S, S)
        The same of the distractors.
    label : int
        The class's number.
    objects : tuple of SceneObject
        From the lowest to the uppermost.
    """

    image: npt.NDArray[np.uint8]
    mask: Mask
    distractor_mask: Mask
    label: int
    objects: tuple[SceneObject, ...]


def draw_scene(settings: ShapesSettings, index: int) -> Scene:
    """Draw one image of the data that settings describe.

    Parameters
    ----------
    settings : ShapesSettings
        Valid ones.
    index : int
        Which image, counted from 0. Every run of as many images as there are classes holds each class once.

    Raises
    ------
    SeqplrpError
        If the objects are too large or too many to be placed.
    """
    rng = np.random.default_rng([settings.seed, index])
    label = _label(settings, index)
    # colours and surfaces first: what the class's shape is can't have touched them
    n = 1 + int(rng.integers(settings.distractors[0], settings.distractors[1] + 1))
    colours = draw_colours(rng, n, settings.contrast)
    ground = background(rng, settings.size, colours[0])
    surfaces = [object_surface(rng, settings.size, colour) for colour in colours[1:]]
    place = int(rng.integers(n))
    drawn = _layout(rng, settings, settings.classes[label], n, place)
    visible = _visible([item.coverage for item in drawn])
    image = ground * (1 - np.sum(visible, axis=0))[:, :, None]
    for share, surface in zip(visible, surfaces):
        image += surface * share[:, :, None]
    image += settings.noise * rng.standard_normal(image.shape)
    others = sum((share for k, share in enumerate(visible) if k != place), np.zeros_like(visible[place]))
    return Scene(
        image=np.rint(255 * image.clip(0, 1)).astype(np.uint8),
        mask=visible[place] >= 0.5,
        distractor_mask=np.asarray(others >= 0.5),
        label=label,
        objects=tuple(item.told(_hidden(item.coverage, share)) for item, share in zip(drawn, visible)),
    )


def is_test(settings: ShapesSettings, index: int) -> bool:
    """Say whether an image is for testing: every fifth run of as many images as there are classes is."""
    return index // len(settings.classes) % 5 == 4


@dataclass(frozen=True, eq=False)
class _Drawn:
    kind: str
    is_class: bool
    x: float
    y: float
    area: float
    rotation: float
    coverage: Coverage

    def told(self, hidden: float) -> SceneObject:
        radius = math.sqrt(self.area / math.pi)
        return SceneObject(self.kind, self.is_class, self.x, self.y, radius, math.degrees(self.rotation), hidden)


def _label(settings: ShapesSettings, index: int) -> int:
    classes = len(settings.classes)
    run, place = divmod(index, classes)
    return int(np.random.default_rng([settings.seed, run, 1]).permutation(classes)[place])


def _layout(rng: np.random.Generator, settings: ShapesSettings, name: str, n: int, place: int) -> list[_Drawn]:
    """Place the class's shape at `place` among `n` objects, so that no object is hidden by more than is allowed."""
    for _ in range(_REDRAWS):
        objects: list[_Drawn | None] = [None] * n
        objects[place] = _drawn(rng, settings, class_outline(name), name, is_class=True)
        for k in range(n):
            if k != place:
                objects[k] = _distractor_among(rng, settings, objects, k)
                if objects[k] is None:
                    break
        else:
            return [item for item in objects if item is not None]
    raise SeqplrpError(
        "shapes",
        f"{n} objects do not find room in {settings.size} x {settings.size} pixels",
        "give smaller or fewer ones, or let more of them be hidden",
    )


def _distractor_among(
    rng: np.random.Generator, settings: ShapesSettings, objects: list[_Drawn | None], k: int
) -> _Drawn | None:
    """Draw a distractor that fits at depth `k` among those that are placed; None if many tries did not find one."""
    kinds = list(DISTRACTORS)
    for _ in range(_ATTEMPTS):
        kind = kinds[rng.integers(len(kinds))]
        candidate = _drawn(rng, settings, DISTRACTORS[kind](rng), kind, is_class=False)
        coverages = [item.coverage for item in (*objects[:k], candidate, *objects[k + 1 :]) if item is not None]
        if all(_hidden(a, b) <= settings.hidden for a, b in zip(coverages, _visible(coverages))):
            return candidate
    return None


def _drawn(
    rng: np.random.Generator, settings: ShapesSettings, outline: Outline, kind: str, *, is_class: bool
) -> _Drawn:
    """Draw size, place and rotation; none of them depends on which class's shape it is."""
    low, high = settings.radius if is_class else settings.distractor_radius
    area = math.pi * (settings.size * rng.uniform(low, high)) ** 2
    margin = math.sqrt(area) * longest_reach() if is_class else math.sqrt(area) * outline.reach
    margin = min(
        margin, settings.size / 2
    )  # a distractor that is longer than the image is wide is cut off by its edges
    x, y = rng.uniform(margin, settings.size - margin, 2)
    rotation = rng.uniform(0, 2 * math.pi)
    coverage = _rasterised(outline.placed(x, y, area, rotation), settings.size)
    return _Drawn(kind, is_class, x, y, area, rotation, coverage)


def _rasterised(outline: Outline, size: int) -> Coverage:
    """Return the share of each pixel that an outline covers."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (size * SUPERSAMPLING,) * 2)
    draw = ImageDraw.Draw(canvas)
    for corners, fill in ((outline.edge, 255), (outline.hole, 0)):
        if corners is not None:
            draw.polygon((corners * SUPERSAMPLING).ravel().tolist(), fill=fill)
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float64) / 255


def _visible(coverages: list[Coverage]) -> list[Coverage]:
    """Return what is visible of each object, from the lowest to the uppermost."""
    free = np.ones_like(coverages[0])
    visible = []
    for coverage in reversed(coverages):
        visible.append(coverage * free)
        free = free * (1 - coverage)
    return visible[::-1]


def _hidden(coverage: Coverage, visible: Coverage) -> float:
    return float(1 - visible.sum() / coverage.sum())
