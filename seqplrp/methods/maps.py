"""What is done to a method's maps before they are handed out: centring, averaging of strands or members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from seqplrp.methods.base import Attribution, Center


def weights_of(found: Sequence[Attribution], *, keeps_size: bool) -> list[Tensor]:
    """Return the factors (N,) by which maps are averaged: 1 each, or what brings them to their mean size and one sign.

    Where signs turn with the score's, a map of a negative score has evidence for the output negative, and one of a
    positive score has it positive; in the mean, positive relevance is the evidence for the output.
    """
    if keeps_size:
        return [torch.ones_like(one.output) for one in found]
    sizes = [size_of(one) for one in found]
    mean = torch.stack(sizes).mean(0)
    return [
        torch.where(size > 0, mean / size, 1.0) * sign_of(one, torch.ones_like(one.output))
        for one, size in zip(found, sizes, strict=True)
    ]


def size_of(found: Attribution) -> Tensor:
    """Return the sum of |relevance| (N,)."""
    return found.relevance.abs().flatten(1).sum(1)


def sign_of(found: Attribution, score: Tensor) -> Tensor:
    """Return -1 (N,) where a map turns with its score, and that has another sign than a given score; else 1."""
    same = (found.output < 0) == (score < 0)
    return torch.where(same | (not found.turned), 1.0, -1.0).to(found.output.dtype)


def per_map(factors: Tensor, maps: Tensor) -> Tensor:
    """Return factors (N,) in a shape that multiplies maps (N, ...)."""
    return factors.view(-1, *(1,) * (maps.dim() - 1))


def scaled(found: Attribution, factors: Tensor) -> Attribution:
    """Return an attribution with its maps times factors (N,)."""
    hypothetical = found.hypothetical
    return replace(
        found,
        relevance=found.relevance * per_map(factors, found.relevance),
        hypothetical=None if hypothetical is None else hypothetical * per_map(factors, hypothetical),
    )


def brought_to(like: Attribution, found: Attribution) -> Attribution:
    """Return an attribution whose size means nothing with the size and the sign of another's of the same method."""
    own, wanted = size_of(found), size_of(like)
    return scaled(found, torch.where(own > 0, wanted / own, 1.0) * sign_of(found, like.output))


def averaged(found: Sequence[Attribution], *, keeps_size: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return the mean relevance, hypothetical contributions (if all have them) and score of several attributions.

    Maps whose size means nothing are brought to one size first (METHODS.md, section 9), and to one sign.
    """
    if len(found) == 1:
        return found[0].relevance, found[0].hypothetical, found[0].output
    weights = weights_of(found, keeps_size=keeps_size)

    def mean_of(maps: Sequence[Tensor]) -> Tensor:
        return torch.stack([per_map(w, m) * m for w, m in zip(weights, maps, strict=True)]).mean(0)

    hypothetical = [one.hypothetical for one in found if one.hypothetical is not None]
    return (
        mean_of([one.relevance for one in found]),
        mean_of(hypothetical) if len(hypothetical) == len(found) else None,
        torch.stack([one.output for one in found]).mean(0),
    )


def flipped(found: Attribution) -> Attribution:
    """Return the attribution of a reverse complement, read on the forward strand."""
    hypothetical = None if found.hypothetical is None else found.hypothetical.flip(1, 2)
    return replace(found, relevance=found.relevance.flip(1, 2), hypothetical=hypothetical)


def centred(found: Attribution, x: Tensor, center: Center) -> Attribution:
    """Subtract a mean over the four bases from the hypothetical contributions, which must be there (METHODS.md, 4)."""
    assert found.hypothetical is not None
    weights = torch.full_like(x[:, :, :1], 0.25)
    if center == "composition":
        counts = x.sum(2, keepdim=True)
        total = counts.sum(1, keepdim=True)
        weights = torch.where(total > 0, counts / total, weights)
    hypothetical = found.hypothetical - (weights * found.hypothetical).sum(1, keepdim=True)
    return replace(found, hypothetical=hypothetical, relevance=x * hypothetical)
