"""A small model and random DNA for tests that begin with files: those of commands, and of what the pages show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from seqplrp.models import ModelConfig, build_model, save_model

LENGTH = 40


def random_dna(n: int, length: int, seed: int = 0) -> list[str]:
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(n, length))
    return ["".join(row) for row in letters]


def write_small_model(directory: Path) -> None:
    """Write an untrained zoo model of 40 bases and two classes, as `seqplrp train` would have left it."""
    torch.manual_seed(0)
    model = build_model("deepbind", length=LENGTH, n_outputs=2, filters=4, kernel=7, hidden=5)
    config = ModelConfig(
        architecture="deepbind",
        options=asdict(model.options),
        length=LENGTH,
        flexible_length=False,
        n_outputs=2,
        classes=["CTCF", "GATA1"],
        kind="multilabel",
    )
    save_model(model, directory, config)
