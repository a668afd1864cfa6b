"""Shapes data: small images of one class's shape among distractors, with the truth about every pixel, by a seed.

Each image has a textured background, one to three distractors (arcs, bars, blobs, letters, waves), and one of eight
shapes, whose name is the image's class. Size, place, rotation, colours and textures are drawn alike for all classes,
and every shape has the same distribution of areas, so only the outline tells the class.

>>> from seqplrp.images.shapes import ShapesSettings, draw_scene
>>> scene = draw_scene(ShapesSettings(size=64, seed=0), 0)
>>> scene.image.shape, scene.mask.shape
((64, 64, 3), (64, 64))
"""

from __future__ import annotations

from seqplrp.images.shapes.outlines import DISTRACTORS, SHAPES
from seqplrp.images.shapes.scenes import Scene, SceneObject, draw_scene, is_test
from seqplrp.images.shapes.settings import ShapesSettings
from seqplrp.images.shapes.writing import DISTRACTOR_MASKS, IMAGES, MASKS, ImageFormat, write_shapes

__all__ = [
    "DISTRACTORS",
    "DISTRACTOR_MASKS",
    "IMAGES",
    "MASKS",
    "SHAPES",
    "ImageFormat",
    "Scene",
    "SceneObject",
    "ShapesSettings",
    "draw_scene",
    "is_test",
    "write_shapes",
]
