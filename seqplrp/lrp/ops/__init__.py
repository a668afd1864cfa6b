"""One handler per ATen operation: how it runs forward and how relevance passes back. Importing it registers all."""

from seqplrp.lrp.ops import (
    activations,
    elementwise,
    linear,
    movement,
    normalisation,
    pooling,
    reductions,
    resampling,
    transposed,
)

__all__ = [
    "activations",
    "elementwise",
    "linear",
    "movement",
    "normalisation",
    "pooling",
    "reductions",
    "resampling",
    "transposed",
]
