"""What ``--target`` names: an output by its number or its class's name, the highest, or a function of the outputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor
from torch.utils._pytree import tree_leaves

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.models import load_function

Score = Callable[[Any], Tensor]

_FUNCTION = re.compile(r"[\w./-]+:[\w.]+")


def score_function(text: str | None, classes: Sequence[str]) -> Score | None:
    """Return the function that picks the score, if that is what the user names: ``module:function``."""
    if text is None or text in classes or not _FUNCTION.fullmatch(text):
        return None
    return load_function(text, "--target")


def resolve_target(text: str | None, outputs: int, classes: Sequence[str]) -> int | Literal["predicted"]:
    """Find the output that the user means.

    Parameters
    ----------
    text : str, optional
        A number from 0, a class's name, or "predicted".
    outputs : int
        How many outputs the model has.
    classes : sequence of str
        Their names; empty if they have none.

    Raises
    ------
    SeqplrpError
        If there is no such output, or several and none was named.
    """
    named = f" ({', '.join(f'{i} is {name}' for i, name in enumerate(classes[:8]))})" if classes else ""
    if text is None:
        if outputs > 1:
            raise SeqplrpError(
                "--target", f"the model has {outputs} outputs and none was chosen{named}", "give --target 0, say"
            )
        return 0
    if text == "predicted":
        return "predicted"
    if text in classes and not text.isdecimal():
        return list(classes).index(text)
    try:
        number = int(text)
    except ValueError:
        raise SeqplrpError(
            "--target",
            f"{text!r} is no output of this model{named}",
            f"give a number from 0 to {outputs - 1}, a class's name, predicted or module:function",
        ) from None
    if not 0 <= number < outputs:
        many = f"{outputs} outputs" if outputs > 1 else "one output"
        raise SeqplrpError(
            "--target",
            f"{number} is out of range for a model with {many}{named}",
            f"give a number from 0 to {outputs - 1}" if outputs > 1 else "give 0, or leave it out",
        )
    return number


def scores_of(output: Any, score: Score | None, spec: str | None) -> Tensor:
    """Return what is explained or chosen from: the score (N,) or (N, 1), or the outputs (N,) or (N, outputs).

    Parameters
    ----------
    output : object
        What the model gives.
    score : callable, optional
        What picks the score.
    spec : str, optional
        How the user named that.

    Raises
    ------
    SeqplrpError
        Where the function fails, or gives something else; where there is none and no index picks a single score.
    """
    if score is not None:
        return _picked(output, score, spec)
    if isinstance(output, Tensor) and output.dim() in (1, 2):
        return output
    if isinstance(output, Tensor):
        shape = " x ".join(map(str, output.shape[1:])) or "1"
        what = f"the model gives {shape} numbers a sequence, no list of scores"
        example = f"output.mean({tuple(range(1, output.dim()))})"
    elif _tensors(output):
        what = f"the model gives {_listed(output)}, and no number says which of them is meant"
        example = _example(output)
    else:
        raise SeqplrpError(
            "--model",
            f"its output is a {type(output).__name__}, no tensor",
            "wrap the model in one that gives the scores as (N, outputs)",
        )
    raise SeqplrpError(
        "--target",
        what,
        f"write a function that picks one score a sequence, as def score(output): return {example}, and give "
        "--target module:score",
    )


def _example(output: Any) -> str:
    """Write an expression that makes one score a sequence of what a model gives: of its smallest tensor."""
    parts = list(output.items()) if isinstance(output, dict) else list(enumerate(output))
    key, tensor = min(parts, key=lambda part: part[1].dim() if isinstance(part[1], Tensor) else 9)
    if not isinstance(tensor, Tensor) or tensor.dim() > 2:
        return f"output[{key!r}].mean({tuple(range(1, tensor.dim()))})" if isinstance(tensor, Tensor) else "output[...]"
    return f"output[{key!r}]" + "[:, 0]" * (tensor.dim() == 2)


def _picked(output: Any, score: Score, spec: str | None) -> Tensor:
    remedy = "return one score a sequence, a tensor (N,), from it"
    try:
        found = score(output)
    except SeqplrpError:
        raise
    except Exception as error:  # a user's own function may raise anything
        told = whole_message(error, most=200, kind=True)
        raise SeqplrpError(
            "--target", f"{spec} fails on what the model gives, {_listed(output)} ({told})", remedy
        ) from error
    if not isinstance(found, Tensor):
        raise SeqplrpError("--target", f"{spec} gives a {type(found).__name__}, no tensor", remedy)
    if found.dim() not in (1, 2) or tuple(found.shape[1:]) not in ((), (1,)):
        raise SeqplrpError("--target", f"{spec} gives {tuple(found.shape)}", remedy)
    return found


def _tensors(output: Any) -> bool:
    leaves = tree_leaves(output)
    return bool(leaves) and all(isinstance(leaf, Tensor) for leaf in leaves)


def _listed(output: Any) -> str:
    """Say what a model gives: ``2 tensors, (N, 2, 40) and (N, 1)``."""
    if isinstance(output, dict) and output:
        shown = [f"{key!r} {_shape(value)}" for key, value in output.items()]
    else:
        shown = [_shape(leaf) for leaf in tree_leaves(output)]
    if len(shown) == 1:
        return f"a tensor {shown[0]}" if isinstance(output, Tensor) else f"1 tensor in a {type(output).__name__}"
    return f"{len(shown)} tensors, {', '.join(shown[:-1])} and {shown[-1]}"


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return "(" + ", ".join(["N", *map(str, value.shape[1:])]) + ")" if value.dim() else "()"
