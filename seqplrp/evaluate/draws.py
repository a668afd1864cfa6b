"""Randomness that depends on a seed and on the sequence itself: not on its place in a batch, nor on other sequences."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import to_host


def row_generators(rows: Any, *key: int) -> list[np.random.Generator]:
    """Make one generator for each row of an array.

    Parameters
    ----------
    rows : array-like or torch.Tensor, shape (N, ...)
        Two rows of equal values get equal generators, in whichever batch and precision they come.
    *key : int
        Whole numbers >= 0, such as a seed and the number of a draw. Each key gives other generators.
    """
    flat = np.asarray(to_host(rows), dtype=np.float64) + 0.0  # + 0.0: minus zero is the same value as zero
    name = np.array(check_key(*key), dtype=np.uint64).tobytes()
    seeds = (blake2b(name + row.tobytes(), digest_size=16).digest() for row in np.ascontiguousarray(flat))
    return [np.random.default_rng(int.from_bytes(seed, "little")) for seed in seeds]


def seed_from(*key: int) -> int:
    """Mix whole numbers into one seed below 2^63; each key gives another one."""
    return int(np.random.SeedSequence(check_key(*key)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def check_key(*key: int) -> tuple[int, ...]:
    """Return the seeds, or raise a SeqplrpError where one of them can't be one."""
    for seed in key:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise SeqplrpError("seed", f"{seed!r} is no whole number from 0 to 2^63", "give 0, say")
    return tuple(int(seed) for seed in key)


def check_draws(draws: int, name: str = "draws") -> None:
    """Raise a SeqplrpError, which calls it by its name, unless this is a number of draws."""
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise SeqplrpError(name, f"{draws!r} is no whole number above 0", "give 10 or more")
