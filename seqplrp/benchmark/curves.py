"""Curves that a protocol gives of a method's maps of a model, as a run keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.evaluate import Faithfulness, Randomisation, mean_curves

SIMILARITIES = ("spearman", "spearman_abs", "overlap")


@dataclass(frozen=True)
class Curve:
    """Means over the inputs of a model, point by point.

    Attributes
    ----------
    name : str
        Of the protocol's curves: ``deletion_most``, or ``spearman``, say.
    x : tuple of float
        Where each point stands: the share of positions that were replaced or put back; how many layers are new.
    at : tuple of float or of str
        What stands there: the mean number of those positions; the layer that was re-initialised last.
    values : tuple of float or None
        None where no input has a value.
    n : tuple of int
        Values that went into each mean.
    """

    name: str
    x: tuple[float, ...]
    at: tuple[float | str, ...]
    values: tuple[float | None, ...]
    n: tuple[int, ...]


def faithfulness_curves(found: Faithfulness) -> tuple[Curve, ...]:
    """Return the mean scores as more and more positions are deleted, or inserted, in both orders."""
    table = mean_curves({"": found}, draws=1)  # intervals are over models, not over the inputs of one
    sizes = found.positions[found.positions > 0]
    curves = []
    for (kind, order), points in table.groupby(["kind", "order"], sort=False):
        shares = points["fraction"].to_numpy(dtype=np.float64)
        # as many as `faithfulness` takes of each input
        places = np.floor(shares[:, None] * sizes + 0.5).mean(axis=1) if len(sizes) else np.zeros(len(shares))
        curves.append(_curve(f"{kind}_{order}", shares, places.tolist(), points["mean"], points["n"]))
    return tuple(curves)


def randomisation_curves(found: Randomisation) -> tuple[Curve, ...]:
    """Return how alike maps are to the trained model's, from the top layer new to all of them."""
    table = found.by_layer().sort_values("depth")
    depths, layers = table["depth"].to_numpy(dtype=np.float64), [str(layer) for layer in table["layer"]]
    return tuple(_curve(name, depths, layers, table[name], table[f"{name}_n"]) for name in SIMILARITIES)


def _curve(name: str, x: npt.ArrayLike, at: Iterable[Any], values: npt.ArrayLike, n: npt.ArrayLike) -> Curve:
    return Curve(
        name,
        tuple(np.asarray(x, dtype=np.float64).tolist()),
        tuple(at),
        tuple(_kept(value) for value in np.asarray(values, dtype=np.float64)),
        tuple(int(one) for one in np.asarray(n)),
    )


def _kept(value: float) -> float | None:
    """Return a value with the digits that files keep; None where it is undefined, as JSON has no NaN."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def curves_as_plain(curves: Iterable[Curve]) -> list[dict[str, Any]]:
    """Return curves as JSON can hold them."""
    return [{key: list(one) if isinstance(one, tuple) else one for key, one in asdict(c).items()} for c in curves]


def curves_from_plain(content: Iterable[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """Return curves that `curves_as_plain` made plain."""
    return tuple(
        Curve(one["name"], tuple(one["x"]), tuple(one["at"]), tuple(one["values"]), tuple(one["n"])) for one in content
    )
