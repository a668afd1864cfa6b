"""What stands in for bases that are taken away: another base at random, or a dinucleotide shuffle's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from seqplrp.evaluate import row_generators
from seqplrp.genomics import codes_to_one_hot, dinucleotide_shuffle

Replacement = Literal["random", "shuffle"]


@dataclass(frozen=True)
class BasePerturber:
    """Replaces every base; N stays, and is never counted as a position.

    Parameters
    ----------
    replacement : {"random", "shuffle"}
        Another base, each as likely; or what a dinucleotide shuffle of the sequence has in its place, which may be the
        same base.
    """

    replacement: Replacement = "random"

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Return wholly perturbed inputs (N, 4, L); what a sequence gets depends on it and on the seed alone."""
        codes = _codes(x)
        generators = row_generators(codes, seed)
        if self.replacement == "shuffle":
            rows = [dinucleotide_shuffle(row[None], rng)[0] for row, rng in zip(codes, generators, strict=True)]
        else:
            rows = [(row + rng.integers(1, 4, len(row))) % 4 for row, rng in zip(codes, generators, strict=True)]
        changed = np.where(codes > 3, codes, np.stack(rows)).astype(np.uint8)
        return codes_to_one_hot(changed, x.dtype).to(x.device)

    def fixed(self, x: Tensor) -> np.ndarray:
        """Return where the base is unknown, (N, L)."""
        return np.asarray(_codes(x) > 3)


def _codes(x: Tensor) -> np.ndarray:
    best = x.argmax(dim=1).cpu().numpy().astype(np.uint8)
    return np.where(x.sum(dim=1).cpu().numpy() > 0, best, 4).astype(np.uint8)
