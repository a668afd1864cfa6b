"""Relevance at the winners of a max pool: as many numbers as the pooled values, not as the layer's before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_INDICES_AT_ONCE = 1 << 19
_UNITS_AT_ONCE, _UNITS_AT_ONCE_ON_GPU = 1 << 21, 1 << 27


@dataclass(frozen=True)
class Winners:
    """Relevance of a layer's outputs, held at the winners of the max pool that alone reads them.

    Everything else is 0, so the layer can divide by its outputs here, on the pooled size, and spread the quotients out
    just before its adjoint needs them.

    Attributes
    ----------
    relevance : Tensor
        (N, C, pooled...).
    value : Tensor
        The layer's output after its ReLU at the winners; the same shape.
    indices : Tensor
        Where each winner stands in the flattened last axes of the layer's output; the same shape, 32 bits wide.
    shape : torch.Size
        Of the layer's output.
    apart : bool
        Whether the pool's windows lie apart, so that no unit wins twice.
    """

    relevance: Tensor
    value: Tensor
    indices: Tensor
    shape: torch.Size
    apart: bool = False

    def parts(self) -> Iterator[tuple[slice, Winners]]:
        """Take the batch apart, so that the layer's whole output is there for some sequences at a time only."""
        at_once = _UNITS_AT_ONCE_ON_GPU if self.indices.is_cuda else _UNITS_AT_ONCE
        rows = max(1, at_once // max(self.shape[1:].numel(), 1))
        n = self.shape[0]
        for start in range(0, n, rows):
            some = slice(start, min(start + rows, n))
            shape = torch.Size((some.stop - start, *self.shape[1:]))
            yield some, Winners(self.relevance[some], self.value[some], self.indices[some], shape, self.apart)

    def read(self, whole: Tensor) -> Tensor:
        """Return a tensor of the layer's output's shape at the winners."""
        read = [
            part.flatten(2).gather(2, places.flatten(2).long())
            for part, places in zip(*_in_parts(self.indices, whole, self.indices), strict=True)
        ]
        return torch.cat(read).view_as(self.indices)

    def spread(self, pooled: Tensor) -> Tensor:
        """Put what stands at the winners into place; windows that share a winner add up."""
        return spread(pooled, self.indices, self.shape)

    def whole(self, pooled: Tensor) -> Tensor:
        """Give every winner of several windows an equal part of what it has from all of them."""
        if self.apart:
            return pooled
        found = []
        for rows, some in self.parts():
            total, wins = (some.read(some.spread(one)) for one in (pooled[rows], torch.ones_like(pooled[rows])))
            found.append(total.div_(wins))
        return torch.cat(found)


def spread(pooled: Tensor, indices: Tensor, shape: torch.Size) -> Tensor:
    """Add each pooled entry to its place in a tensor of zeros (N, C, ...)."""
    whole = pooled.new_zeros(shape)
    for part, places, values in zip(*_in_parts(indices, whole, indices, pooled), strict=True):
        part.flatten(2).scatter_add_(2, places.flatten(2).long(), values.flatten(2))
    return whole


def _in_parts(indices: Tensor, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Split tensors along the batch, so that only some of the indices are there in the 64 bits that torch asks for."""
    if indices.is_cuda:
        return [(tensor,) for tensor in tensors]
    rows = max(1, _INDICES_AT_ONCE // max(indices[0].numel(), 1))
    return [torch.split(tensor, rows) for tensor in tensors]
