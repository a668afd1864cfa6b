"""One handler per ATen operation: how it runs forward and how relevance passes back. Importing it registers all."""

from seqplrp.lrp.ops import (
    activations,
    attention,
    elementwise,
    linear,
    lookup,
    movement,
    normalisation,
    overwriting,
    pooling,
    products,
    rearranging,
    recurrent,
    reductions,
    resampling,
    transposed,
)

__all__ = [
    "activations",
    "attention",
    "elementwise",
    "linear",
    "lookup",
    "movement",
    "normalisation",
    "overwriting",
    "pooling",
    "products",
    "rearranging",
    "recurrent",
    "reductions",
    "resampling",
    "transposed",
]
