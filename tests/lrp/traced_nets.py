"""Small nets, and how they are explained, for the tests of tracing."""

from __future__ import annotations

from functools import cache

import torch
from engine import one_hot, seeded
from torch import Tensor, nn

import seqplrp as sp

X = one_hot(3, 20)
LRP = sp.LRP()
PLRP = sp.PLRP(p=0.5)


def relevance(model: nn.Module, x: Tensor = X, target=0, method: sp.LRP = PLRP) -> Tensor:
    return sp.explain(model, x, target=target, method=method).relevance


class Small(nn.Module):
    """conv, ReLU, residual conv, ReLU, pool, linear: the net that the twins below write in other ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 6, 5, padding=2)
        self.second = nn.Conv1d(6, 6, 3, padding=1)
        self.relu_one, self.relu_two = nn.ReLU(), nn.ReLU()
        self.pool = nn.MaxPool1d(2)
        self.flat = nn.Flatten()
        self.out = nn.Linear(60, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu_one(self.first(x))
        h = torch.add(h, self.relu_two(self.second(h)))
        return self.out(self.flat(self.pool(h)))


class Fragile(Small):
    """Raises on demand, deep inside forward; counts its calls in a buffer; has frozen parts and hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("calls", torch.zeros(()))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        h = self.norm(self.first(x)).relu()
        if self.fails:
            raise KeyError("deep inside forward")
        return self.out(self.pool(h + self.second(h).relu()).flatten(1))


def logits() -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)), seed=2)


@cache
def same_logits() -> nn.Module:
    return logits()
