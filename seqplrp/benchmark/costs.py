"""What a method costs: the time of a batch, beside gradient x input on the same batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from seqplrp.benchmark.config import CostOptions
from seqplrp.benchmark.scenes import Scene
from seqplrp.methods import Explainer, GradientTimesInput, Method


@dataclass(frozen=True)
class Cost:
    """The cost of a method on one model.

    Attributes
    ----------
    milliseconds : float
        An input: the median over batches, tracing apart.
    gradient_milliseconds : float
        The same of gradient x input, timed before each of these batches.
    ratio : float
        Median of the batches' own ratios, so that what slows the machine for a while slows both.
    preparing : float
        Seconds until the first batch could be explained: tracing (unless the model's graph is known already) and
        placing rules.
    batches, sequences : int
        How many were timed, and how many inputs each held.
    """

    milliseconds: float
    gradient_milliseconds: float
    ratio: float
    preparing: float
    batches: int
    sequences: int


def measure_cost(scene: Scene, method: Method, options: CostOptions) -> Cost:
    """Time a method and gradient x input in turn, on the same inputs, each after a warm-up."""
    index = torch.arange(options.sequences) % len(scene)
    x, targets = scene.x[index], scene.targets[index]
    gradient = Explainer(scene.model, x[:1], GradientTimesInput())
    started = time.perf_counter()
    explainer = Explainer(scene.model, x[:1], method)
    preparing = time.perf_counter() - started
    for one in (gradient, explainer):
        one(x, target=targets)
    pairs = np.array(
        [
            (_seconds(lambda: gradient(x, target=targets)), _seconds(lambda: explainer(x, target=targets)))
            for _ in range(options.repeats)
        ]
    )
    per_sequence = 1000 * np.median(pairs, axis=0) / len(x)
    return Cost(
        milliseconds=float(per_sequence[1]),
        gradient_milliseconds=float(per_sequence[0]),
        ratio=float(np.median(pairs[:, 1] / pairs[:, 0])),
        preparing=preparing,
        batches=options.repeats,
        sequences=len(x),
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
