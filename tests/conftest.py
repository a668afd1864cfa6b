"""What keeps hundreds of small traces quick: one thread, and a garbage collector that leaves old objects alone."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

TRACING_ROOMS = ("images", "lrp", "methods")
"""The folders whose tests do little else than trace small nets and explain them."""


@pytest.fixture(autouse=True, scope="module")
def _quick(request) -> Iterator[None]:
    if request.path.parent.name not in TRACING_ROOMS:
        yield
        return
    import torch

    threads, thresholds = torch.get_num_threads(), gc.get_threshold()
    torch.set_num_threads(1)  # on a busy machine, two wait for each other far longer than they work on nets this small
    gc.freeze()  # every trace makes so many objects that the collector would walk through all of torch again and again
    gc.set_threshold(50_000, 20, 100)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_figure_left_open() -> Iterator[None]:
    """Fail the test that leaves a figure of pyplot open, not another that counts them later in the same process."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    left = pyplot.get_fignums() if pyplot is not None else []
    if left:
        pyplot.close("all")
    assert not left, "figures of pyplot's were left open"
