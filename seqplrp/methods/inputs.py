"""What may be explained: checks of inputs, targets, devices, each with one clear error."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.methods.base import Chosen, Method


def check_model(model: object) -> None:
    """Raise a SeqplrpError unless this is a module whose weights are there."""
    if not isinstance(model, nn.Module):
        raise SeqplrpError("model", f"is a {type(model).__name__}, no torch.nn.Module", "give the module itself")
    if isinstance(model, torch.jit.ScriptModule):
        raise SeqplrpError("model", "is a TorchScript program, which has no graph to export", "give the Python module")
    if any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()]):
        raise SeqplrpError(
            type(model).__name__, "has no weights: they are on the device 'meta'", "load its weights first"
        )
    if any(is_lazy(tensor) for tensor in [*model.parameters(), *model.buffers()]):
        raise SeqplrpError(
            type(model).__name__, "has lazy layers that have no weights yet", "call the model once, then train it"
        )


def check_input(x: object, name: str) -> None:
    """Raise a SeqplrpError unless x is a tensor of finite numbers with at least one sample and one more axis."""
    if not isinstance(x, Tensor):
        raise SeqplrpError(name, f"is a {type(x).__name__}, no tensor", "make one with sp.one_hot(sequences)")
    if x.dim() < 2 or len(x) == 0:
        raise SeqplrpError(name, f"has shape {tuple(x.shape)}", "give at least one sequence, as (N, 4, L)")
    if x.is_meta:
        raise SeqplrpError(name, "has no values: it is on the device 'meta'", "give the values")
    if x.layout is not torch.strided:
        raise SeqplrpError(name, f"has layout {x.layout}", "give a dense tensor: X.to_dense()")
    if x.dtype in (torch.int32, torch.int64):  # tokens, for a model that looks them up
        return
    if x.dtype not in (torch.float32, torch.float64):
        raise SeqplrpError(name, f"has dtype {x.dtype}", "use float32 or float64: X.float()")
    if not bool(torch.isfinite(x).all()):
        raise SeqplrpError(name, "holds NaN or infinite values", "an unknown base is an all-zero column")


def check_others(others: object, n: int) -> tuple[Tensor, ...]:
    """Return a model's further inputs as a tuple of tensors, each of N samples, or one that serves all."""
    if not isinstance(others, tuple | list) or not all(isinstance(other, Tensor) for other in others):
        raise SeqplrpError("args", "is no tuple of tensors", "give the model's further inputs as args=(control,)")
    for place, other in enumerate(others):
        if other.dim() == 0 or len(other) not in (1, n):
            raise SeqplrpError(
                f"args[{place}]", f"has shape {tuple(other.shape)} beside {n} sequences", "give one row a sequence"
            )
        if other.is_floating_point() and not bool(torch.isfinite(other).all()):
            raise SeqplrpError(f"args[{place}]", "holds NaN or infinite values", "mend the input")
    return tuple(other.expand(n, *other.shape[1:]) for other in others)


def check_request(layers: object, check: object, targets: object, progress: object) -> None:
    """Raise a SeqplrpError, before anything is computed, where what is asked for beside the inputs can't be given."""
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise SeqplrpError("layers", f"{layers!r} is no list of module paths", "give layers=['conv1'], say")
    if not isinstance(check, bool) and not (isinstance(check, int | float) and check >= 0):
        raise SeqplrpError("check", f"{check!r} is no share of relevance", "use True, False or a number >= 0")
    if not isinstance(progress, bool) and not callable(progress):
        raise SeqplrpError(
            "progress", f"{progress!r} is neither", "use True for a bar, or a callable that takes (done, total)"
        )
    if isinstance(targets, str) or not isinstance(targets, Sized):
        raise SeqplrpError("targets", f"{targets!r} is no list of targets", "give [0, 'predicted'], say")
    if len(targets) == 0:
        raise SeqplrpError("targets", "is empty", "give at least one target")


def check_alike(others: Sequence[Tensor], traced: Sequence[int]) -> None:
    """Raise a SeqplrpError unless the further inputs are as many, and have as many axes, as those that were traced."""
    if len(others) != len(traced):
        raise SeqplrpError(
            "args", f"holds {len(others)} tensors, the model was traced with {len(traced)}", "give as many in each call"
        )
    for place, (other, axes) in enumerate(zip(others, traced, strict=True)):
        if other.dim() != axes:
            raise SeqplrpError(
                f"args[{place}]",
                f"has shape {tuple(other.shape)}, the model was traced with {axes} axes",
                "give it as to the Explainer",
            )


def check_suits(method: Method, example: Tensor) -> None:
    """Raise a SeqplrpError where a method needs one-hot DNA and the input is none."""
    for field, set_ in (
        ("center", method.center is not None),
        ("reverse_complement", method.reverse_complement),
    ):
        if set_ and (example.dim() != 3 or example.shape[1] != 4):
            raise SeqplrpError(field, f"needs one-hot DNA (N, 4, L), found {tuple(example.shape)}", "leave it out")


def place_of(model: nn.Module, example: Tensor, device: str | torch.device | None) -> tuple[torch.device, torch.dtype]:
    """Return where to run and in which dtype: those of the weights, or of the input where there are none."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype = (
        parameter.dtype if parameter is not None else example.dtype if example.is_floating_point() else torch.float32
    )
    if dtype not in (torch.float32, torch.float64):
        raise SeqplrpError(type(model).__name__, f"has weights in {dtype}", "convert it with model.float()")
    if device is None:
        return (example.device if parameter is None else parameter.device), dtype
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen).tolist()  # not on a device without values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise SeqplrpError("device", f"{device!r} can't be used here ({first_line(error)})", "use 'cpu'") from error
    return chosen, dtype


def mixed_dtypes(model: nn.Module) -> str | None:
    """Return which of a model's parameters and buffers are of another dtype than most; None where all are of one."""
    names: dict[torch.dtype, list[str]] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point():
            names.setdefault(tensor.dtype, []).append(name)
    if len(names) < 2:
        return None
    usual, *others = sorted(names, key=lambda dtype: -len(names[dtype]))
    told = [f"{', '.join(names[dtype][:4])}{', ...' * (len(names[dtype]) > 4)} ({dtype})" for dtype in others]
    return f"{' and '.join(told)} are not of the others' {usual}"


def chosen_target(target: Any, n: int, shape: tuple[int | None, ...], *, by_callable: bool) -> Chosen:
    """Return what to explain of each of n sequences, given the shape of the explained output.

    Raises
    ------
    SeqplrpError
        Where the target names no score, or none is named and there are several.
    """
    if by_callable:
        if target is not None:
            raise SeqplrpError("target", "the explainer's own target picks the score already", "leave it out")
        if shape[1:] not in ((), (1,)):
            raise SeqplrpError("target", f"the callable gives shape {readable(shape)}", "return (N,) from it")
        return None
    if len(shape) > 2:
        raise SeqplrpError(
            "target",
            f"the model's output has shape {readable(shape)}, so an index picks no single score",
            "give a callable, such as target=lambda y: y.mean((1, 2))",
        )
    outputs = 1 if len(shape) == 1 else shape[1]
    if target is None:
        if outputs != 1:
            raise SeqplrpError("target", f"the model has {outputs} outputs and none was chosen", "give target=0, say")
        target = 0
    if isinstance(target, str):
        if target != "predicted":
            raise SeqplrpError(
                "target", f"{target!r} is not known", "give an index, one index a sequence, or 'predicted'"
            )
        return "predicted" if outputs != 1 else chosen_target(0, n, shape, by_callable=False)
    indices = _indices(target, n)
    bad = ((indices < 0) | (indices >= (outputs or 1))).nonzero()
    if len(bad):
        raise SeqplrpError(
            "target",
            f"{int(indices[bad[0]])} is out of range for a model with {outputs} output{'s' * (outputs != 1)}",
            f"give an index from 0 to {(outputs or 1) - 1}",
        )
    return None if len(shape) == 1 else indices


def readable(shape: Sequence[int | None]) -> str:
    """Return a shape as text, N for what varies."""
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


def _indices(target: Any, n: int) -> Tensor:
    remedy = "give an index, one index a sequence, 'predicted', or a callable"
    if isinstance(target, bool | float):
        raise SeqplrpError("target", f"{target!r} is no index", remedy)
    try:
        indices = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SeqplrpError("target", f"{target!r} is no index", remedy) from error
    if indices.is_floating_point() or indices.dtype == torch.bool:
        raise SeqplrpError("target", f"has dtype {indices.dtype}", remedy)
    if indices.dim() == 0:
        return indices.long().expand(n)
    if tuple(indices.shape) != (n,):
        raise SeqplrpError("target", f"has shape {tuple(indices.shape)} for {n} sequences", remedy)
    return indices.long()
