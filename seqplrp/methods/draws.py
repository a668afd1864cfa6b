"""Randomness that depends on a seed and on the sequence itself, not on its place in a batch or on any global state."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor


def generators_of(x: Tensor, seed: int) -> list[np.random.Generator]:
    """Return one generator a sequence (N, ...), seeded by the sequence's values and a seed."""
    rows = (x.detach().to("cpu", torch.float64) + 0.0).contiguous().numpy()  # one 0, and the same in either precision
    key = seed.to_bytes(8, "little")
    return [
        np.random.default_rng(int.from_bytes(blake2b(row.tobytes(), digest_size=16, key=key).digest(), "little"))
        for row in rows
    ]


def normal_like(x: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
    """Draw independent standard normal numbers of the shape of x, each sequence's by its own generator."""
    drawn = np.stack([generator.standard_normal(x.shape[1:]) for generator in generators])
    return torch.from_numpy(drawn).to(x.device, x.dtype if x.is_floating_point() else torch.float32)
