"""One handler per ATen operation: how it runs forward and how relevance passes back. Importing it registers all."""

from seqplrp.lrp.ops import elementwise, linear, movement, pooling

__all__ = ["elementwise", "linear", "movement", "pooling"]
