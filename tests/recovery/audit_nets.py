"""Nets whose artifacts are known, as their weights are set by hand, and an explain function that plants others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import seqplrp as sp
from seqplrp import motifs

LENGTH = 120


def both_strands(seed: int, filters: int = 4, kernel: int = 7) -> Tensor:
    """Random filters, each beside its reverse complement: (2 filters, 4, kernel)."""
    weight = torch.randn(filters, 4, kernel, generator=torch.Generator().manual_seed(seed)) / 2
    return torch.cat([weight, weight.flip(1, 2)])


class Clean(nn.Module):
    """Circular convolution with symmetric filters and a global mean: no position and no strand differs from another."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(both_strands(seed))
        self.bias = nn.Parameter(torch.full((len(self.weight),), -0.3))

    def forward(self, x: Tensor) -> Tensor:
        half = self.weight.shape[2] // 2
        around = torch.cat([x[..., -half:], x, x[..., :half]], dim=2)
        return F.conv1d(around, self.weight, self.bias).relu().mean(2).sum(1, keepdim=True)


class Weighted(nn.Module):
    """Symmetric filters over a zero-padded sequence, flattened, with a given weight for each place."""

    def __init__(self, places: Tensor, seed: int = 0) -> None:
        super().__init__()
        weight = both_strands(seed)
        self.conv = nn.Conv1d(4, len(weight), weight.shape[2], padding=weight.shape[2] // 2)
        self.head = nn.Linear(len(weight) * len(places), 1)
        with torch.no_grad():
            self.conv.weight.copy_(weight)
            self.conv.bias.fill_(-0.3)
            self.head.weight.copy_(places.repeat(len(weight))[None])
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().flatten(1))


class Comb(nn.Module):
    """A pool of stride 4 that looks at every fourth place of a convolution of three: each fourth base is never read."""

    def __init__(self) -> None:
        super().__init__()
        weight = both_strands(1, filters=6, kernel=3)
        self.conv = nn.Conv1d(4, len(weight), 3, padding=1)
        self.pool = nn.MaxPool1d(1, stride=4)
        with torch.no_grad():
            self.conv.weight.copy_(weight)
            self.conv.bias.fill_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(x).relu()).mean(2).sum(1, keepdim=True)


class OneStrand(nn.Module):
    """Reads GATA1's motif on the plus strand alone, wherever it stands."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        motif = motifs.load("GATA1")
        scores = torch.from_numpy(motif.log_odds(pseudocount=1.0).T).float()
        self.conv = nn.Conv1d(4, 1, motif.width, padding=motif.width // 2)
        with torch.no_grad():
            self.conv.weight.copy_(scores[None])
            self.conv.bias.fill_(-threshold * float(scores.max(0).values.sum()))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu().sum((1, 2))[:, None]


@dataclass(frozen=True)
class Planted:
    """An explanation that something was done to."""

    per_base: Tensor
    output: Tensor


def explain_function(
    model: nn.Module, change: Callable[[Tensor, Tensor], Tensor] | None = None, method: str = "gradient-x-input"
) -> Callable[[Tensor], Planted]:
    """Explain by a method; `change` takes the map (N, L) and the input, and gives the map that is handed out."""
    explainer = sp.Explainer(model, torch.zeros(1, 4, LENGTH), method)

    def explain(x: Tensor) -> Planted:
        found = explainer(x)
        return Planted(found.per_base if change is None else change(found.per_base, x), found.output)

    return explain
