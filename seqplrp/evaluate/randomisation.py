"""Does the map depend on what the model learned? The sanity check by layer randomisation (METHODS, section 6).

Layers are re-initialised from the top, more and more of them (or one alone at a time), and each such model's maps are
compared with the trained one's. A map that stays as it was shows the input, not what the model learned of it. What is
explained stays fixed: the same output of the same inputs, whatever the re-initialised model predicts.

What happens to batch norms: each is reset with the layer before it, by its own ``reset_parameters``: weight 1, bias 0,
running mean 0 and variance 1, so it passes on what it gets. A new layer's output under the old one's statistics could
be constant behind the next ReLU, and maps would change for that alone.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.agreement import TOP, spearman, top_overlap
from seqplrp.evaluate.arrays import FloatArray, as_map
from seqplrp.evaluate.draws import check_draws, check_key
from seqplrp.evaluate.reinitialising import Layer, Reset, layers_of, reinitialised
from seqplrp.evaluate.scoring import Progress

Mode = Literal["cascade", "independent"]
ExplainModel = Callable[[nn.Module], Any]
"""From a model to its maps (N, L) of the same inputs for the same outputs."""


@dataclass(frozen=True)
class Randomisation:
    """How alike the maps of re-initialised models and of the trained one are.

    Attributes
    ----------
    table : DataFrame
        One row a depth, seed and input: ``depth`` (1 is the top layer), ``layer`` (the one re-initialised last),
        ``seed``, ``input``, ``spearman``, ``spearman_abs`` (of |r|), ``overlap`` (of the highest |r|). NaN where a map
        has no shape, such as 0 throughout.
    layers : tuple of Layer
        From the top.
    mode : {"cascade", "independent"}
    """

    table: pd.DataFrame
    layers: tuple[Layer, ...]
    mode: Mode

    def measures(self) -> dict[str, FloatArray]:
        """Give one value per input: keys are the names in `RANDOMISATION_MEASURES`.

        Means over the seeds (those at which a value is defined). A cascade is read at its end, where nothing learned is
        left; independent layers are averaged.
        """
        table = self.table
        if self.mode == "cascade":
            table = table[table["depth"] == len(self.layers)]
        means = table.groupby("input")[["spearman", "spearman_abs", "overlap"]].mean()
        return {f"randomised_{name}": means[name].to_numpy(dtype=np.float64) for name in means.columns}

    def by_layer(self) -> pd.DataFrame:
        """Average over seeds and inputs: ``depth, layer``, the three means, ``n`` and ``undefined`` values of each."""
        names = ["spearman", "spearman_abs", "overlap"]
        groups = self.table.groupby(["depth", "layer"], sort=True)[names]
        counts, sizes = groups.count(), groups.size()
        parts = [groups.mean()]
        for name in names:
            parts.append(counts[[name]].rename(columns={name: f"{name}_n"}))
            parts.append((sizes - counts[name]).to_frame(f"{name}_undefined"))
        return pd.concat(parts, axis=1).reset_index()


def layer_randomisation(
    model: nn.Module,
    explain: ExplainModel,
    *,
    example: Tensor | None = None,
    relevance: Any = None,
    ignore: Any = None,
    layers: Sequence[str] | None = None,
    mode: Mode = "cascade",
    seeds: int = 5,
    seed: int = 0,
    top: float = TOP,
    reset: Reset | None = None,
    progress: Progress | None = None,
) -> Randomisation:
    """Re-initialise a model layer by layer and compare its maps with those of what it learned.

    Parameters
    ----------
    model : Module
        The trained model. It is not touched: copies are re-initialised.
    explain : callable
        From a model to its maps (N, L), always of the same inputs and outputs (not "predicted", which would wander).
    example : Tensor, optional
        An input, to order the layers as the model calls them.
    relevance : array-like, shape (N, L), optional
        The trained model's maps, if they are there already.
    ignore : array-like of bool, shape (N, L), optional
        Positions that are not compared.
    layers : sequence of str, optional
        Patterns of module paths (``head.*``); only layers that match one are re-initialised. All by default.
    mode : {"cascade", "independent"}
        Ever more layers from the top, or each alone.
    seeds : int
        How many times each is done with new weights.
    seed : int
        The first of the seeds.
    top : float
        Share of positions whose overlap is looked at.
    reset : callable, optional
        Gives a module new weights in place; see `reinitialised` for what is done by default.
    progress : callable, optional
        Is told (done, total) in models.

    Returns
    -------
    Randomisation

    Raises
    ------
    SeqplrpError
        If there is no layer to re-initialise, a layer would keep its weights, or maps do not fit.

    Notes
    -----
    Adebayo et al., NeurIPS 2018 (1810.03292), section 4. A map of DNA is input times something, so some likeness is
    left by the input alone; compare methods with one another and with a random map, not with 0.
    """
    check_draws(seeds, "seeds")
    check_key(seed)
    if mode not in ("cascade", "independent"):
        raise SeqplrpError("mode", f"is {mode!r}", "choose cascade or independent")
    chosen = _chosen(layers_of(model, example), layers)
    before = as_map(explain(model) if relevance is None else relevance)
    rows, done = [], 0
    total = seeds * len(chosen)
    for number in range(seed, seed + seeds):
        for depth, (changing, numbers) in enumerate(_plan(chosen, mode), start=1):
            changed = reinitialised(model, changing, number, numbers=numbers, reset=reset)
            after = as_map(explain(changed), "explain")
            likeness = {
                "spearman": spearman(before, after, ignore=ignore),
                "spearman_abs": spearman(before, after, ignore=ignore, size=True),
                "overlap": top_overlap(before, after, ignore=ignore, top=top),
            }
            place = {"depth": depth, "layer": changing[-1].name, "seed": number, "input": np.arange(len(before))}
            rows.append(pd.DataFrame({**place, **likeness}))
            done += 1
            if progress is not None:
                progress(done, total)
    return Randomisation(pd.concat(rows, ignore_index=True), tuple(chosen), mode)


def _chosen(layers: Sequence[Layer], patterns: Sequence[str] | None) -> list[Layer]:
    if patterns is None:
        return list(layers)
    if isinstance(patterns, str):
        raise SeqplrpError("layers", f"{patterns!r} is no list", "give layers=['head.*'], say")
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(layer.name, pattern) for layer in layers):
            known = ", ".join(layer.name for layer in layers)
            raise SeqplrpError("layers", f"no layer matches {pattern!r}", f"the layers are {known}")
    return [layer for layer in layers if any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in patterns)]


def _plan(layers: Sequence[Layer], mode: Mode) -> Iterator[tuple[Sequence[Layer], Sequence[int]]]:
    """Yield the layers that are re-initialised together, with their numbers; the last is the one that is new."""
    for number in range(len(layers)):
        first = 0 if mode == "cascade" else number
        yield layers[first : number + 1], range(first, number + 1)
