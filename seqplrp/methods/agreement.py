"""Whether the plan computes what the model computes, on one input: what tells a stale or wrong trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.lrp import Explained, evaluation_mode, output_of, run_forward
from seqplrp.methods.base import Prepared
from seqplrp.methods.batching import ran_out_of_memory
from seqplrp.methods.inputs import mixed_dtypes


@contextmanager
def _copied_buffers(model: nn.Module) -> Iterator[None]:
    """Let a model run on copies of its buffers, as some models count their calls in one."""
    own = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    try:
        for buffers, kept in own:
            buffers.update({name: None if buffer is None else buffer.clone() for name, buffer in kept.items()})
        yield
    finally:
        for buffers, kept in own:
            buffers.clear()
            buffers.update(kept)


@contextmanager
def _failures_told(model: nn.Module, x: Tensor) -> Iterator[None]:
    """Tell in one line why a model can't be run on an input."""
    try:
        yield
    except RuntimeError as error:
        if ran_out_of_memory(error):
            raise
        mixed = mixed_dtypes(model)
        if mixed is not None:
            raise SeqplrpError(
                type(model).__name__,
                f"is of several dtypes: {mixed} ({first_line(error)})",
                "convert it as a whole: model.float() or model.double()",
            ) from error
        raise SeqplrpError(
            "X",
            f"can't be run through the model with shape {tuple(x.shape)} ({first_line(error)})",
            "give inputs of a shape that the model takes",
        ) from error


def _check_score(output: Tensor, n: int, where: str) -> None:
    """Raise a SeqplrpError unless an output is a number, or several, for each of n sequences."""
    if output.dim() == 0 or len(output) != n:
        raise SeqplrpError(
            where,
            f"the explained output has shape {tuple(output.shape)} for {n} sequence: no score a sequence",
            "return (N,) or (N, outputs) from the model, or from a callable target",
        )
    if output.dtype not in (torch.float32, torch.float64):
        raise SeqplrpError(
            where,
            f"the explained output has dtype {output.dtype}, so it is no score",
            "return a real number a sequence, as float32 or float64: y[:, 0] rather than y.argmax(1)",
        )


def disagreement(
    prepared: Prepared, explained: Explained, inputs: tuple[Tensor, ...], device: torch.device, *, strict: bool
) -> str | None:
    """Return how far plan and model differ on one input; None where they agree to rounding.

    An output that is a small difference of large numbers may differ by more than its own size's rounding; so the strict
    comparison is for a graph that may be an old one, and the other for one that was traced just now.

    Parameters
    ----------
    prepared : Prepared
        The plan.
    explained : Explained
        The model, as it is explained.
    inputs : tuple of Tensor
        The explained input and the further ones, on the model's device.
    device : torch.device
        Where the plan runs.
    strict : bool
        Whether to compare with the output's own size alone.

    Raises
    ------
    SeqplrpError
        Where there is no score a sequence, or the model's own output is not finite.
    """
    graph, model, x = prepared.graph, prepared.model, inputs[0].to(device)
    with torch.inference_mode():
        with _failures_told(model, inputs[0]):
            run = run_forward(prepared.plan, x, [other.to(device) for other in inputs[1:]], keep=False)
        ours = output_of(prepared.plan, run)
        _check_score(ours, len(x), "target" if explained.has_target else type(model).__name__)
        if graph.left_out == "sigmoid":
            ours = ours.sigmoid()
        elif graph.closing is not None:
            ours = graph.closing.op(ours, *graph.closing.args[1:], **graph.closing.kwargs)
        elif graph.left_out is not None:  # a softmax of which the model picks some: the logits that it drops are gone
            return None
    with torch.no_grad(), evaluation_mode(model), _copied_buffers(model), _failures_told(model, inputs[0]):
        theirs = tree_leaves(explained(*inputs))[0]
    ours = ours.to(theirs.device)
    if theirs.numel() == ours.numel():  # squeeze() takes the axis of a batch of one away, too
        theirs = theirs.reshape(ours.shape)
    if ours.shape != theirs.shape:
        return f"shapes {tuple(ours.shape)} and {tuple(theirs.shape)}"
    if not bool(torch.isfinite(theirs).all()):
        raise SeqplrpError(
            type(model).__name__, "its output on the first input is NaN or infinite", "look at its weights"
        )
    tolerance = 1e-3 if ours.dtype == torch.float32 else 1e-8
    difference = float((ours - theirs).abs().max())
    scale = float(theirs.abs().max())
    allowed = tolerance * (scale if strict else 1 + scale)
    return None if difference <= allowed else f"{difference:.3g} at a size of {scale:.3g}"
