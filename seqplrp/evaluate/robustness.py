"""Does a map hold still where it should? One substitution elsewhere, and the input seen from its other side.

METHODS, section 6. Both explain anew: how inputs are explained, perturbed and turned around is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.agreement import cosine, pearson, relative_l1
from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, as_mask, ratio
from seqplrp.evaluate.draws import check_draws, row_generators, seed_from
from seqplrp.evaluate.perturbing import Perturber, differs, fixed_positions, perturbed, positions_of, replaced
from seqplrp.evaluate.scoring import Score, as_target, batched_scores

Explain = Callable[[Tensor, Tensor], Any]
"""From inputs (N, ...) and targets (N,) to per-base relevance (N, L)."""

_REPLACEMENTS, _PLACES = 3, 4  # which random numbers a key is for


def substitution_robustness(
    explain: Explain,
    score: Score,
    x: Tensor,
    target: Any,
    perturb: Perturber,
    *,
    relevance: Any = None,
    outside: Any = None,
    ignore: Any = None,
    draws: int = 10,
    seed: int = 0,
    batch_size: int = 256,
) -> dict[str, FloatArray]:
    """Change one position that should not matter, and see how much the map moves beside the output.

    Parameters
    ----------
    explain : callable
        From inputs (N, ...) and targets (N,) to relevance (N, L).
    score : callable
        See `model_score`.
    x : Tensor, shape (N, C, L)
    target : int or (N,) integers
        Stays what is explained.
    perturb : callable
        See `Perturber`; of what it gives, one position is taken in every draw.
    relevance : array-like, shape (N, L), optional
        The map of `x`, if it is there already.
    outside : array-like of bool, shape (N, L), optional
        Positions that are not touched, such as those of motifs.
    ignore : array-like of bool, shape (N, L), optional
        Positions that are neither touched nor compared.
    draws : int
        Substitutions of each input.
    seed : int
        Positions and replacements depend on it and on the input alone, so that methods can be compared in pairs.
    batch_size : int
        Inputs that are scored at a time.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        Means over the draws. ``substitution_relevance``: sum |r' - r| / sum |r|. ``substitution_output``: |f' - f| /
        |f|. ``substitution_ratio``: the first over the second, so many times as much as the output the map moves (a
        ratio of means, since a single substitution may leave the output as it is). ``substitution_cosine``: of r' and
        r.
        NaN where nothing may be touched, the map is 0 throughout, or the output does not move.

    Notes
    -----
    A map that adds up to its output has to move as much as that: its ratio is 1 at least, but for what biases take. The
    ratio is the relative output stability of Agarwal et al. (arXiv 2203.06877) with means for their maximum.
    """
    check_draws(draws)
    goal = as_target(target, x)
    fixed = fixed_positions(perturb, x, ignore)
    allowed = ~(fixed | as_mask(outside, (fixed.shape[0], fixed.shape[1]), "outside"))
    before, output = _explained(explain, x, goal, relevance), batched_scores(score, x, goal, batch_size)
    compared = ~as_mask(ignore, (allowed.shape[0], allowed.shape[1]), "ignore")
    moved, shifted, angle = (np.zeros(len(x)) for _ in range(3))
    touched = np.ones(len(x), dtype=bool)
    for draw in range(draws):
        whole = perturbed(perturb, x, seed_from(seed, draw, _REPLACEMENTS))
        place, some = _one_of(allowed & differs(x, whole), x, (seed, draw, _PLACES))
        touched &= some
        changed = replaced(x, whole, torch.from_numpy(place).to(x.device))
        after = _explained(explain, changed, goal, None)
        distance = (np.abs(after - before) * compared).sum(axis=1)
        moved += ratio(distance, (np.abs(before) * compared).sum(axis=1))
        shifted += ratio(np.abs(batched_scores(score, changed, goal, batch_size) - output), np.abs(output))
        angle += cosine(before, after, ignore=~compared)
    undefined = np.where(touched, 0.0, np.nan)
    relevance_change, output_change = moved / draws + undefined, shifted / draws + undefined
    return {
        "substitution_relevance": relevance_change,
        "substitution_output": output_change,
        "substitution_ratio": ratio(relevance_change, output_change),
        "substitution_cosine": angle / draws + undefined,
    }


def flip_consistency(
    explain: Explain,
    x: Tensor,
    target: Any,
    flip: Callable[[Tensor], Tensor],
    flip_map: Callable[[FloatArray], FloatArray],
    *,
    relevance: Any = None,
    ignore: Any = None,
    score: Score | None = None,
    batch_size: int = 256,
) -> dict[str, FloatArray]:
    """Explain the same input seen from its other side, such as the opposite strand, and compare the two maps.

    Parameters
    ----------
    explain, x, target, ignore, batch_size
        As in `substitution_robustness`.
    flip : callable
        Turns inputs around, such as by the reverse complement.
    flip_map : callable
        Turns their maps (N, L) back, such as by reversing positions.
    relevance : array-like, shape (N, L), optional
        The map of `x`, if it is there already.
    score : callable, optional
        To say how much of a difference is the model's own.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        ``flip_correlation`` (Pearson), ``flip_cosine``, ``flip_l1`` (0 for equal maps to 2), and, with a score,
        ``flip_output``: 2 |f - f'| / (|f| + |f'|).
    """
    goal = as_target(target, x)
    before = _explained(explain, x, goal, relevance)
    turned = flip(x)
    after = as_map(flip_map(_explained(explain, turned, goal, None)), "flip_map")
    found = {
        "flip_correlation": pearson(before, after, ignore=ignore),
        "flip_cosine": cosine(before, after, ignore=ignore),
        "flip_l1": relative_l1(before, after, ignore=ignore),
    }
    if score is not None:
        one, other = (batched_scores(score, side, goal, batch_size) for side in (x, turned))
        found["flip_output"] = ratio(2 * np.abs(one - other), np.abs(one) + np.abs(other))
    return found


def _explained(explain: Explain, x: Tensor, target: Tensor, known: Any) -> FloatArray:
    name = "explain" if known is None else "relevance"
    values = as_map(explain(x, target) if known is None else known, name)
    if values.shape != (len(x), positions_of(x)):
        what = f"gives {values.shape} for {len(x)} inputs of {positions_of(x)} positions"
        raise SeqplrpError(name, what, "return one row of relevance an input")
    return values


def _one_of(allowed: BoolArray, x: Tensor, key: tuple[int, ...]) -> tuple[BoolArray, BoolArray]:
    """Choose one allowed position of each row: its mask (N, L), and whether there is one."""
    numbers = np.stack([generator.random(allowed.shape[1]) for generator in row_generators(x, *key)])
    chosen = np.where(allowed, numbers, -1.0).argmax(axis=1)
    some = np.asarray(allowed.any(axis=1))
    mask: BoolArray = np.zeros(allowed.shape, dtype=np.bool_)
    mask[np.arange(len(mask)), chosen] = some
    return mask, some
