"""A model as it is explained: in evaluation mode, saved or not, whatever axis its channels are on."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_unflatten

from seqplrp.errors import SeqplrpError

Target = Callable[[Any], Tensor]
Others = tuple[Tensor, ...]


TRACING = threading.RLock()
"""Held while a model is looked at, traced or run, by one thread at a time.

torch.export keeps its state for the whole process, and lets a model hold tensors without values meanwhile; and modules
have one mode for all threads.
"""


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back into its own mode afterwards, come what may.

    One thread at a time: another that came in between would take evaluation for the model's own mode.
    """
    with TRACING, _evaluating(model):
        yield


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        # not Module.train, which users override (to keep batch norms frozen, say)
        for module, training in was_training:
            module.training = training


Layout = Literal["NCL", "NLC"]


class Program(nn.Module):
    """A program that `torch.export.save` saved, explained as it is: its graph is read, its code is not run again.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        With tensors as its inputs, the explained one first.

    Notes
    -----
    Where the program fixes its batch size, inputs are explained in batches of that size.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        spec = program.call_spec.in_spec
        if spec is not None and tree_unflatten([None] * spec.num_leaves, spec)[1]:
            raise SeqplrpError("program", "takes inputs by name", "export the model with positional inputs")
        self.exported = program
        self.runner = program.module()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the program as `torch.export.save` writes it, as pickle leaves half of it out."""
        file = io.BytesIO()
        torch.export.save(self.exported, file)
        return _program_of, (file.getvalue(),)

    def train(self, mode: bool = True) -> Program:
        """Stay as exported: a program has one mode."""
        return self

    def forward(self, *inputs: Tensor) -> Any:
        """Run the program."""
        return self.runner(*inputs)


def _program_of(saved: bytes) -> Program:
    return Program(torch.export.load(io.BytesIO(saved)))


class Explained(nn.Module):
    """A model as it is explained: input (N, C, L) whatever the model takes, and the function that picks the score."""

    def __init__(self, model: nn.Module, target: Target | None = None, layout: Layout = "NCL") -> None:
        super().__init__()
        self.model = model
        self._target = target
        self._transposed = layout == "NLC"
        self.training = False

    @property
    def has_target(self) -> bool:
        """Whether a callable picks the score."""
        return self._target is not None

    def forward(self, x: Tensor, *others: Tensor) -> Any:
        """Return the model's outputs, or the score."""
        outputs = self.model(x.transpose(1, 2) if self._transposed else x, *others)
        return outputs if self._target is None else self._target(outputs)
