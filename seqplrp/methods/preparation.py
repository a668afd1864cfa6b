"""A model made ready for inputs of each shape when such first come: traced, and held against what the model does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import TRACING, Explained, Graph, Layout, Program, cached_trace, evaluation_mode, forget
from seqplrp.methods.agreement import disagreement
from seqplrp.methods.base import Method, Prepared
from seqplrp.methods.inputs import readable

Shapes = tuple[tuple[int, ...], ...]

_SHAPES_KEPT = 16  # each may have a copy of the weights
_FREE_LENGTH_TRIES = 3  # each takes as long as a trace


def shapes_of(x: Tensor, others: tuple[Tensor, ...]) -> Shapes:
    """Return the inputs' shapes but for the number of sequences."""
    return tuple(tuple(tensor.shape[1:]) for tensor in (x, *others))


def placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor where it is wanted, in a dtype if it holds no whole numbers."""
    return tensor.detach().to(device, dtype if tensor.is_floating_point() else None)


@dataclass
class Preparations:
    """One model, ready for one method, by the shapes of its inputs.

    Attributes
    ----------
    model, method, target, layout
        As `Explainer` takes them.
    device, dtype
        Where to run, and in which precision.
    shapes : Shapes
        Those of the example's inputs, the explained one's first.
    by_shape : dict of Shapes to Prepared
        What serves those, and others that came.
    any_length : Prepared or None
        What serves all lengths, once one other than the example's came and the model allowed it.
    failed_tries : int
        At how many lengths the model could be traced for that length, but not with the length left free.
    """

    model: nn.Module
    method: Method
    target: Callable[[Any], Tensor] | None
    layout: Layout
    device: torch.device
    dtype: torch.dtype
    shapes: Shapes
    by_shape: dict[Shapes, Prepared] = field(default_factory=dict)
    any_length: Prepared | None = None
    failed_tries: int = 0

    def first(self, example: Tensor, others: tuple[Tensor, ...]) -> Prepared:
        """Prepare the model for the example's shapes."""
        prepared = self.by_shape[self.shapes] = self._trusted(example, others)
        return prepared

    def for_inputs(self, x: Tensor, others: tuple[Tensor, ...]) -> Prepared:
        """Return what serves inputs of these shapes; another length than the example's is traced when it first comes.

        Raises
        ------
        SeqplrpError
            Where more than the length differs, or the model can't be explained at this length.
        """
        shapes = shapes_of(x, others)
        if shapes not in self.by_shape:
            self._check_differs_in_length_alone(x)
            self.by_shape[shapes] = self._at_new_length(x, others)
            for seen in list(self.by_shape)[1:-_SHAPES_KEPT]:  # the example's, made of the weights of then, stays
                del self.by_shape[seen]
        return self.by_shape[shapes]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made anew when it is asked for; not so what the example's shapes are explained by."""
        return {
            **vars(self),
            "by_shape": {self.shapes: self.by_shape[self.shapes]},
            "any_length": None,
            "failed_tries": 0,
        }

    @property
    def _traced_for(self) -> str:
        return readable((None, *self.shapes[0]))

    def _check_differs_in_length_alone(self, x: Tensor) -> None:
        shape, example = tuple(x.shape), self.shapes[0]
        if len(shape) != len(example) + 1 or shape[1:-1] != example[:-1]:
            raise SeqplrpError(
                "X",
                f"has shape {shape}, but the model was traced for {self._traced_for}",
                "give inputs (N, 4, L)" if shape[-1] == example[0] else "make an Explainer for this shape",
            )

    def _at_new_length(self, x: Tensor, others: tuple[Tensor, ...]) -> Prepared:
        if self.any_length is not None:
            self._check_agrees(self.any_length, x, others)
            return self.any_length
        if self.failed_tries < _FREE_LENGTH_TRIES:
            try:
                self.any_length = self._trusted(x, others, any_length=True)
                return self.any_length
            except SeqplrpError:  # what does not trace with a free length may with this one
                pass
        prepared = self._at_this_length(x, others)
        self.failed_tries += 1  # not where this length is amiss, too short say, which tells nothing of others
        return prepared

    def _at_this_length(self, x: Tensor, others: tuple[Tensor, ...]) -> Prepared:
        try:
            return self._trusted(x, others)
        except SeqplrpError as error:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(x.shape)}, the example had {self._traced_for}, and the model can't be explained at "
                f"another length ({error.what})",
                "give inputs of the example's length",
            ) from error.__cause__

    def _check_agrees(self, prepared: Prepared, x: Tensor, others: tuple[Tensor, ...]) -> None:
        if self._disagreement(prepared, x, others) is not None:
            raise SeqplrpError(
                type(self.model).__name__,
                f"computes something else at length {x.shape[-1]} than its graph, or its weights have changed",
                "make a new Explainer",
            )

    def _trusted(self, example: Tensor, others: tuple[Tensor, ...], *, any_length: bool = False) -> Prepared:
        """Prepare the model, and compare what the plan computes with what the model does.

        The cache tells models apart by what can be seen of their structure. Where forward depends on something else
        that changed since, the comparison shows it and the model is traced anew.
        """
        found = None
        for attempt in range(2):
            with TRACING:
                graph = self._traced(example, others, any_length=any_length)
                prepared = self.method.prepare(self.model, graph, self.device)
                found = self._disagreement(prepared, example, others, strict=attempt == 0)
            if found is None:
                return prepared
            forget(self.model)
        raise SeqplrpError(
            type(self.model).__name__,
            f"the traced graph and the model disagree on the same input ({found})",
            "make forward a function of its input and its weights alone, with no randomness in eval mode",
        )

    def _traced(self, example: Tensor, others: tuple[Tensor, ...], *, any_length: bool) -> Graph:
        one, *more = self._one(example, others)
        with _mistakes_in_the_input_told(example), self._other_layout_told(one, tuple(more)):
            graph = cached_trace(self.model, one, self.target, tuple(more), layout=self.layout, any_length=any_length)
        if any_length and graph.input_shape[-1] is not None:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(example.shape)}, but the model was traced for {self._traced_for}, and its graph "
                "fixes the length",
                "give inputs of that length",
            )
        return graph

    @contextmanager
    def _other_layout_told(self, one: Tensor, more: tuple[Tensor, ...]) -> Iterator[None]:
        """Say so where a model that can't be traced does not run in this layout, and runs in the other."""
        try:
            yield
        except SeqplrpError:
            other: Layout = "NCL" if self.layout == "NLC" else "NLC"
            if (
                one.dim() != 3
                or one.shape[1] != 4
                or self._runs(one, more, self.layout)
                or not self._runs(one, more, other)
            ):
                raise
            taken = "(N, 4, L)" if other == "NCL" else "(N, L, 4)"
            what = f"is {self.layout!r}, and {type(self.model).__name__} takes {taken}"
            raise SeqplrpError("layout", what, f"give layout={other!r}") from None

    def _runs(self, one: Tensor, more: tuple[Tensor, ...], layout: Layout) -> bool:
        """Say whether the model itself runs, which takes a thousandth of what tracing it does; it is left as it is."""
        if isinstance(self.model, Program):
            return layout == self.layout  # it says itself what it was exported for
        try:  # a copy, as a forward may write to buffers, or draw random numbers
            copied = copy.deepcopy(self.model)
            with torch.no_grad(), torch.random.fork_rng([one.device] if one.is_cuda else []), evaluation_mode(copied):
                Explained(copied, self.target, layout)(one, *more)
        except Exception:  # whatever the user's own forward raises
            return False
        return True

    def _one(self, example: Tensor, others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one sample of each input, where the model's weights are."""
        traced_on = next((p.device for p in self.model.parameters()), self.device)
        return tuple(placed(tensor[:1], traced_on, self.dtype) for tensor in (example, *others))

    def _disagreement(
        self, prepared: Prepared, example: Tensor, others: tuple[Tensor, ...], *, strict: bool = False
    ) -> str | None:
        size = prepared.graph.input_shape[0] or 1  # a program may fix it
        inputs = tuple(one.expand(size, *one.shape[1:]) for one in self._one(example, others))
        with TRACING:
            explained = Explained(self.model, self.target, self.layout)
            return disagreement(prepared, explained, inputs, self.device, strict=strict)


@contextmanager
def _mistakes_in_the_input_told(example: Tensor) -> Iterator[None]:
    """Say what is wrong with an input that a model can't be traced with, where that can be seen."""
    try:
        yield
    except SeqplrpError as error:
        shape = example.shape
        if example.dim() == 3 and shape[1] != 4 and shape[2] == 4:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(shape)}, which the model does not take as (N, C, L) ({error.what})",
                "give (N, 4, L): X.transpose(1, 2), and layout='NLC' if the model takes (N, L, 4)",
            ) from error.__cause__
        if example.is_floating_point():
            raise
        raise SeqplrpError(
            "X", f"has dtype {example.dtype}, which the model does not take ({error.what})", "give X.float()"
        ) from error.__cause__
