"""Reference sequences: what a sequence is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.methods.base import Method
from seqplrp.methods.extras import tangermeme
from seqplrp.methods.settings import check_count, check_seed

References = Callable[[Tensor, int, int], Tensor]
"""From sequences (N, 4, L), how many references each and a seed to references (N, n, 4, L)."""


def check_references(references: object) -> None:
    """Raise a SeqplrpError unless this can draw references."""
    if references is not None and not callable(references):
        raise SeqplrpError(
            "references",
            f"is a {type(references).__name__}",
            "give a function of (x, n, seed) that returns (N, n, 4, L), such as sp.shuffled_references",
        )


def check_drawing(n_shuffles: object, references: object, seed: object) -> None:
    """Raise a SeqplrpError unless these fields of a method say how references are drawn."""
    check_count("n_shuffles", n_shuffles)
    check_references(references)
    check_seed(seed)


def shown(method: Method) -> str:
    """Return a method's repr, with functions by their names: what you would type, without an address in memory."""
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    named = (f"{name}={getattr(value, '__name__', None) or repr(value)}" for name, value in values.items())
    return f"{type(method).__name__}({', '.join(named)})"


def check_one_hot(x: Tensor, method: object) -> None:
    """Raise a SeqplrpError unless this is one-hot DNA, with zero columns where a base is unknown."""
    is_dna = x.dim() == 3 and x.shape[1] == 4
    if not is_dna or bool(((x != 0) & (x != 1)).any()) or bool((x.sum(1) > 1).any()):
        found = f"shape {tuple(x.shape)}" if not is_dna else "other values"
        raise SeqplrpError("X", f"{method!r} needs one-hot DNA (N, 4, L), found {found}", "give sp.one_hot(sequences)")


def drawn(references: References | None, x: Tensor, n: int, seed: int) -> Tensor:
    """Return references (N, n, 4, L) of one-hot sequences, each drawn from its own sequence and the seed alone.

    Parameters
    ----------
    references : callable or None
        A user's own; it is called with one sequence at a time, so that what it draws can't depend on the batch. None
        for tangermeme's dinucleotide shuffles: the k-th of every sequence has the seed ``seed + k``, as in
        ``tangermeme.deep_lift_shap``; an unknown base is shuffled as a fifth letter.
    x : Tensor
        (N, 4, L), one-hot.
    n, seed : int
        How many for each sequence, and what seeds them.

    Raises
    ------
    SeqplrpError
        Where the extra `peers` is missing, or a user's function gives no references of this shape.
    """
    if references is None:
        return _shuffled(x, n, seed)
    found = []
    for one in x.unsqueeze(1):  # (1, 4, L)
        given = references(one, n, seed)
        if not isinstance(given, Tensor) or given.shape != (1, n, *x.shape[1:]):
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise SeqplrpError(
                "references",
                f"the function gives {shape} for one sequence and n={n}, not {(1, n, *x.shape[1:])}",
                "return (N, n, 4, L)",
            )
        found.append(given.detach().to(x.device, x.dtype))
    whole = torch.cat(found)
    if not bool(torch.isfinite(whole).all()):
        raise SeqplrpError("references", "the function gives NaN or infinite values", "return one-hot sequences")
    return whole


def _shuffled(x: Tensor, n: int, seed: int) -> Tensor:
    shuffle = tangermeme("its dinucleotide shuffle").ersatz.dinucleotide_shuffle
    repeated = x.detach().cpu().repeat_interleave(n, 0)
    seeds = [seed + k for _ in range(len(x)) for k in range(n)]
    shuffled: Tensor = shuffle(repeated, n=1, random_state=seeds, allow_N=True)
    return shuffled[:, 0].view(len(x), n, *x.shape[1:]).to(x.device, x.dtype)
