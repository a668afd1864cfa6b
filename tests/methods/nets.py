"""Small float64 nets for the tests of methods, the same at every run."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn


def seeded(build, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double().eval()


@cache
def classifier() -> nn.Module:
    """(N, 4, 20) -> (N, 3), scores of both signs."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Flatten(),
            nn.Linear(60, 5),
            nn.ReLU(),
            nn.Linear(5, 3),
        ),
        seed=0,
    )


@cache
def binary() -> nn.Module:
    """(N, 4, 20) -> (N, 1)."""
    return seeded(lambda: nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(96, 1)), seed=3)


@cache
def without_biases() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 5, padding=2, bias=False),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2),
            nn.Conv1d(6, 5, 3, bias=False),
            nn.ReLU(),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Linear(15, 4, bias=False),
            nn.ReLU(),
            nn.Linear(4, 3, bias=False),
        ),
        seed=4,
    )


class BothStrands(nn.Module):
    """Each filter beside its reverse complement, and a sum over all: the same score for both strands."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 5))
        self.bias = nn.Parameter(torch.randn(3) / 4)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.cat([self.weight, self.weight.flip(1, 2)])
        hits = nn.functional.conv1d(x, weight, self.bias.repeat(2), padding=2).relu()
        return hits.sum((1, 2))


@cache
def both_strands() -> nn.Module:
    return seeded(BothStrands, seed=5)


class TimeFirst(nn.Module):
    """Its inner layers have the batch on another axis than the first."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x.permute(2, 0, 1)).relu().mean(0))


def time_first() -> nn.Module:
    """(N, 4, L) -> (N, 3), the batch behind the positions within; a new one each time."""
    return seeded(TimeFirst)


class Deep(nn.Module):
    """(N, 4, 24) -> (N, 3): a batch norm to fold, a ReLU before a pool, one layer that runs twice, a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu, self.pool = nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2)
        self.shared = nn.Conv1d(6, 6, 3, padding=1)
        self.gate, self.sigmoid = nn.Conv1d(6, 6, 1), nn.Sigmoid()
        self.flat, self.head = nn.Flatten(), nn.Linear(60, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.pool(self.relu(self.norm(self.conv(x)))))

    def tail(self, h: Tensor) -> Tensor:
        h = self.shared(h).relu()
        h = self.shared(h).relu()
        return self.head(self.flat(h * self.sigmoid(self.gate(h))))


@cache
def deep() -> Deep:
    model = seeded(Deep, seed=11)
    model.norm.running_mean.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
    return model


@cache
def sequences(n: int = 5, length: int = 20, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random DNA with some N."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 4, (n, length), generator=generator)
    x = nn.functional.one_hot(codes, 4).permute(0, 2, 1).to(dtype)
    x[1, :, 3:6] = 0
    x[-1, :, 0] = 0
    return x.contiguous()
