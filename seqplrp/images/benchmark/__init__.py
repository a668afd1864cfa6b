"""The image benchmark: tasks with masks by networks by methods, in the benchmark that DNA has, too."""

from __future__ import annotations

from seqplrp.images.benchmark.domain import IMAGES, read_config
from seqplrp.images.benchmark.protocols import PROTOCOLS

__all__ = ["IMAGES", "PROTOCOLS", "read_config"]
