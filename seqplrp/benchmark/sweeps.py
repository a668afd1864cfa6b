"""Methods that belong together: those that differ in a number alone, and those that differ in the mode alone."""

from __future__ import annotations

from typing import Any

from seqplrp.benchmark.config import BenchmarkConfig
from seqplrp.benchmark.variants import Variant
from seqplrp.methods import PLRP

Points = list[tuple[float, Variant]]


def swept_families(config: BenchmarkConfig, key: str = "p") -> dict[str, Points]:
    """Return the methods that differ in a number alone, by the name of the line that they make."""
    lines: dict[str, Points] = {}
    for variant in config.variants:
        value = variant.swept.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            rest = " ".join(f"{k}={v}" for k, v in variant.swept.items() if k != key)
            lines.setdefault(f"{variant.family} {rest}".strip(), []).append((float(value), variant))
    return {name: sorted(points, key=lambda one: one[0]) for name, points in lines.items() if len(points) > 1}


def mode_pairs(config: BenchmarkConfig) -> list[tuple[Variant, Variant]]:
    """Return pairs of pruned LRP that differ in the mode alone: lambda, matrix."""
    pruned = [(v, v.method.mode) for v in config.variants if isinstance(v.method, PLRP)]
    of_lambda = {_apart_from_mode(v): v for v, mode in pruned if mode == "lambda"}
    of_matrix = [v for v, mode in pruned if mode == "matrix"]
    return [(of_lambda[_apart_from_mode(v)], v) for v in of_matrix if _apart_from_mode(v) in of_lambda]


def _apart_from_mode(variant: Variant) -> Any:
    fields = {**vars(variant.method), "mode": None, "tau": None} if variant.method is not None else {}
    return repr(sorted(fields.items(), key=lambda item: item[0]))
