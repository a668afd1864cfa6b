"""The explained score of many inputs, in batches: what curves and sanity checks ask of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import FloatArray

Score = Callable[[Tensor, Tensor], Tensor]
"""From inputs (B, ...) and what is explained of each, (B,) integers, to scores (B,); one input's score must not depend
on the others."""

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""


def model_score(model: nn.Module) -> Score:
    """Return the function that gives the outputs of a model, one chosen for each input.

    Parameters
    ----------
    model : Module
        Returns (B, C), or (B,) where it has a single output. Its outputs are taken as they are: give a model that ends
        in logits, since a probability saturates. It is run in evaluation mode, on the device and in the precision of
        its weights, and put back into its own mode.

    Returns
    -------
    callable
        From inputs (B, ...) and outputs (B,) to scores (B,).

    Raises
    ------
    SeqplrpError
        When called, if the model's output has another shape or the target is none of its outputs.
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)

    def score(x: Tensor, target: Tensor) -> Tensor:
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            with torch.no_grad():
                out = model(x if weight is None else x.to(weight.device, weight.dtype))
        finally:
            for module, mode in modes:
                module.training = mode
        return _chosen(out, target)

    return score


def _chosen(out: object, target: Tensor) -> Tensor:
    if not isinstance(out, Tensor) or out.dim() not in (1, 2):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise SeqplrpError(
            "model", f"returns {shape}, not (N, C)", "write a function of (x, target) that gives the score of each"
        )
    table = out[:, None] if out.dim() == 1 else out
    if int(target.min()) < 0 or int(target.max()) >= table.shape[1]:
        raise SeqplrpError(
            "target",
            f"lies between {int(target.min())} and {int(target.max())}, the model has {table.shape[1]} outputs",
            f"give numbers from 0 to {table.shape[1] - 1}",
        )
    return table.gather(1, target.to(table.device)[:, None])[:, 0]


def as_target(target: Any, x: Tensor) -> Tensor:
    """Return what is explained of each input as (N,) integers; None is output 0 of all.

    Raises
    ------
    SeqplrpError
        If it is neither a whole number nor one for each input.
    """
    given = torch.as_tensor(0 if target is None else target)
    if given.is_floating_point() or given.is_complex() or given.dtype is torch.bool:
        raise SeqplrpError("target", f"has dtype {given.dtype}", "give whole numbers")
    if given.dim() == 0:
        given = given.expand(len(x))
    if tuple(given.shape) != (len(x),):
        raise SeqplrpError("target", f"has shape {tuple(given.shape)} for {len(x)} inputs", "give one for each input")
    return given.to(x.device, torch.int64)


def check_batch_size(batch_size: int) -> None:
    """Raise a SeqplrpError unless this is a number of inputs."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise SeqplrpError("batch_size", f"{batch_size!r} is no whole number above 0", "give 256, say")


def scores_of(score: Score, x: Tensor, target: Tensor) -> FloatArray:
    """Score one batch, and check what comes back.

    Raises
    ------
    SeqplrpError
        If it is not one finite number for each input.
    """
    with torch.no_grad():
        found = score(x, target)
    if not isinstance(found, Tensor) or tuple(found.shape) != (len(x),):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SeqplrpError("score", f"gives {shape} for {len(x)} inputs, not ({len(x)},)", "return one score an input")
    values = found.detach().to("cpu", torch.float64).numpy()
    if not np.isfinite(values).all():
        raise SeqplrpError("score", "gives NaN or infinite values", "find out at which input the model breaks down")
    return values


def batched_scores(score: Score, x: Tensor, target: Tensor, batch_size: int) -> FloatArray:
    """Score any number of inputs, at most `batch_size` at a time."""
    check_batch_size(batch_size)
    parts = [
        scores_of(score, x[start : start + batch_size], target[start : start + batch_size])
        for start in range(0, len(x), batch_size)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)
