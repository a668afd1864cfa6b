"""What is done to a method's maps before they are handed out: centring, averaging of strands or members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.methods.base import Attribution, Method


def averaged(found: Sequence[Attribution], *, keeps_size: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return the mean relevance, hypothetical contributions (if all have them) and score of several attributions.

    Maps whose size means nothing are brought to one size first (METHODS.md, section 9).
    """
    if len(found) == 1:
        return found[0].relevance, found[0].hypothetical, found[0].output
    weights = [torch.ones_like(one.output) for one in found]
    if not keeps_size:
        sizes = [one.relevance.abs().flatten(1).sum(1) for one in found]
        mean = torch.stack(sizes).mean(0)
        weights = [torch.where(size > 0, mean / size, 1.0) for size in sizes]

    def mean_of(maps: Sequence[Tensor]) -> Tensor:
        scaled = [w.view(-1, *(1,) * (m.dim() - 1)) * m for w, m in zip(weights, maps, strict=True)]
        return torch.stack(scaled).mean(0)

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


def centred(found: Attribution, x: Tensor, method: Method) -> Attribution:
    """Subtract a mean over the four bases from the hypothetical contributions (METHODS.md, section 4)."""
    if method.center is None:
        return found
    if found.hypothetical is None:
        raise SeqplrpError(
            "center",
            f"{method!r} has no hypothetical contributions to centre",
            "leave center out, or use another first-layer rule",
        )
    weights = torch.full_like(x[:, :, :1], 0.25)
    if method.center == "composition":
        counts = x.sum(2, keepdim=True)
        total = counts.sum(1, keepdim=True)
        weights = torch.where(total > 0, counts / total, weights)
    hypothetical = found.hypothetical - (weights * found.hypothetical).sum(1, keepdim=True)
    return replace(found, hypothetical=hypothetical, relevance=x * hypothetical)
