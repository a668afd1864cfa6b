"""What training loops share, whatever they train: the schedule, weight decay, random numbers, and what can go wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from seqplrp.errors import SeqplrpError

_SMALLEST_FACTOR = 0.01


def schedule_factor(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate at a step as a share of its peak: linear up to 1, then a cosine down to a hundredth.

    Parameters
    ----------
    step : int
        Counted from 0.
    steps : int
        Of all epochs together.
    warmup : float
        Share of all steps over which the rate rises.
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return _SMALLEST_FACTOR + (1.0 - _SMALLEST_FACTOR) * 0.5 * (1.0 + math.cos(math.pi * done))


def decayed_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return a model's parameters as groups of an optimiser: biases and batch norms do not decay."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def check_losses(row: Mapping[str, float], rate: float) -> None:
    """Check that an epoch's losses are numbers.

    Parameters
    ----------
    row : mapping
        Its ``epoch``, ``train_loss`` and ``validation_loss``.
    rate : float
        The learning rate's peak, for the error.

    Raises
    ------
    SeqplrpError
        If one is infinite or not a number.
    """
    for name in ("train_loss", "validation_loss"):
        if not math.isfinite(row[name]):
            raise SeqplrpError(
                "training",
                f"the {name.replace('_', ' ')} is not a finite number in epoch {row['epoch']:.0f}",
                f"lower the learning rate (now {rate:g}), or try another seed",
            )


@contextmanager
def own_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators, and put them back afterwards."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def memory_told(device: str, batch_size: int | str) -> Iterator[None]:
    """Turn a device's want of memory into an error that names the batch size, as a number or in words."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SeqplrpError(
            "training",
            f"the device {device!r} is out of memory",
            f"lower the batch size (now {batch_size}) or use the device cpu",
        ) from error
