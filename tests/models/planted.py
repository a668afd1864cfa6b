"""Small data sets in which one word makes the class."""

from __future__ import annotations

import numpy as np

from seqplrp.models import SequenceData, make_dataset

WORDS = ("TTGACAGC", "CACGTG", "GGAAGT")


def planted(n: int, length: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, length) and one-hot labels (n, n_classes); each sequence holds its class's word somewhere."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    labels = np.eye(n_classes)[np.arange(n) % n_classes]
    for row in range(n):
        word = ["ACGT".index(base) for base in WORDS[row % n_classes]]
        start = rng.integers(0, length - len(word) + 1)
        codes[row, start : start + len(word)] = word
    return codes, labels


def binary_data(n: int = 600, length: int = 40, seed: int = 0, **more) -> SequenceData:
    """Half of the sequences hold TTGACAGC, the other half CACGTG; the class is the first."""
    codes, labels = planted(n, length, 2, seed)
    return make_dataset(codes, labels[:, :1], kind="binary", classes=["positive"], seed=seed, **more)
