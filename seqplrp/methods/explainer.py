"""Explain a model: check what is asked, trace once, attribute batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import TRACING, Graph, LayerInfo, Layout
from seqplrp.methods.attributing import Attributing
from seqplrp.methods.base import Batch, Chosen, Method, Prepared
from seqplrp.methods.batching import Progress, bytes_for_one
from seqplrp.methods.batching import batch_size as chosen_batch_size
from seqplrp.methods.ensemble import together
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.inputs import (
    check_alike,
    check_input,
    check_model,
    check_others,
    check_request,
    check_suits,
    chosen_target,
    place_of,
    readable,
)
from seqplrp.methods.names import resolve_method
from seqplrp.methods.numerics import numerics
from seqplrp.methods.portable import check_portable
from seqplrp.methods.preparation import Preparations, shapes_of
from seqplrp.plugins import Plugin, of

Index = int | Sequence[int] | Tensor | Literal["predicted"] | None
Target = Index | Callable[[Any], Tensor]


class Explainer:
    """A model traced once and made ready for one method; call it with inputs.

    Parameters
    ----------
    model : nn.Module
        Explained in evaluation mode, with the weights it has now; left exactly as it is.
    example : Tensor
        (N, 4, L) with N >= 1: inputs of this shape, but for their number, can be explained. Inputs of another length
        can, too, where the model takes them: it is then traced once more, with the length left free if it allows that.
    method : str or Method
        A name ("plrp", "lrp", ...) or an instance such as ``sp.PLRP(p=0.25)``.
    target : callable, optional
        From the model's outputs to the explained score (N,), for models with several outputs or scores of one's own. An
        index is given in the call instead.
    args : tuple of Tensor
        Examples of the model's further inputs (N, ...), such as a control track. They are held fixed: relevance that
        falls on them is reported in the ledger's column `fixed_inputs`.
    layout : {"NCL", "NLC"}
        What the model takes: (N, 4, L) or (N, L, 4). Inputs and results are (N, 4, L) all the same.
    device : str or torch.device, optional
        Where to run; where the model's weights are unless given. The model itself is not moved.
    tf32, deterministic : bool
        On a GPU: whether products may be rounded to TF32, and whether sums must be made in a fixed order.

    Attributes
    ----------
    largest_batch : int or None
        Once a batch did not fit into memory: how many inputs did. Later calls that choose for themselves take no more.
        May be set, to go on as an explainer did that was there before.

    Raises
    ------
    SeqplrpError
        Where the model can't be traced, an operation has no handler, or the method does not suit the input.

    Examples
    --------
    >>> import torch, seqplrp as sp
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    >>> X = sp.one_hot(["ACGTACGTAC"])
    >>> explainer = sp.Explainer(model, X, method="lrp")
    >>> explainer(X, target=1).relevance.shape
    torch.Size([1, 4, 10])
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor,
        method: str | Method = "plrp",
        *,
        target: Callable[[Any], Tensor] | None = None,
        args: Sequence[Tensor] = (),
        layout: Layout = "NCL",
        device: str | torch.device | None = None,
        tf32: bool = False,
        deterministic: bool = False,
    ) -> None:
        with TRACING:
            check_model(model)
        check_input(example, "example")
        others = check_others(args, len(example))
        if target is not None and not callable(target):
            raise SeqplrpError(
                "Explainer(target=...)",
                "takes a callable; an index may differ from call to call",
                "give it in the call",
            )
        if layout not in ("NCL", "NLC") or (layout == "NLC" and example.dim() != 3):
            raise SeqplrpError("layout", f"{layout!r} does not suit {tuple(example.shape)}", "use 'NCL' or 'NLC'")
        self.method = resolve_method(method)
        check_suits(self.method, example)
        self.model, self.target, self.layout = model, target, layout
        self.tf32, self.deterministic = tf32, deterministic
        with TRACING:
            self.device, self.dtype = place_of(model, example, device)
        self._axes_of_others = tuple(other.dim() for other in others)
        self.largest_batch: int | None = None
        self._preparations = Preparations(
            model, self.method, target, layout, self.device, self.dtype, shapes_of(example, others)
        )
        with self._numerics():
            self._prepared = self._preparations.first(example, others)

    def _numerics(self) -> AbstractContextManager[None]:
        return numerics(tf32=self.tf32, deterministic=self.deterministic)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the model, what was traced of it and the weights that it is explained with.

        Raises
        ------
        SeqplrpError
            Where the model, the target or the method can't be pickled.
        """
        state = vars(self).copy()
        check_portable({"model": self.model, "target": self.target, "method": self.method, "explainer": state})
        return state

    @property
    def graph(self) -> Graph:
        """What was traced."""
        return self._prepared.graph

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The conv and linear layers, in the order of the forward pass."""
        return self._prepared.plan.layers

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plug-ins that have a part in it, by method, rules or handlers, where they were asked for by name."""
        return of(self.method, [step.handler for step in self._prepared.plan.steps])

    def __call__(
        self,
        x: Tensor,
        target: Index = None,
        *,
        args: Sequence[Tensor] = (),
        layers: Sequence[str] = (),
        check: bool | float = False,
        batch_size: int | None = None,
        progress: Progress = False,
    ) -> Explanation:
        """Explain inputs.

        Parameters
        ----------
        x : Tensor
            (N, 4, L), one-hot; N is an all-zero column and gets exactly 0.
        target : int, sequence of int, "predicted", or None
            The explained output: one for all, one each, the highest of each, or None where there is only one.
        args : sequence of Tensor
            The model's further inputs: (N, ...), or (1, ...) where one serves all.
        layers : sequence of str
            Module paths at whose outputs relevance is wanted, too: ``Explanation.layers``.
        check : bool or float
            Whether to raise where the ledger of a layer leaves more unexplained than this share of the layer's
            |relevance|; True means 1e-5 in float32 and 1e-12 in float64.
        batch_size : int, optional
            How many at a time at most; chosen by an estimate of memory unless given, and halved where memory runs out.
            On a CPU, fewer are taken where they fit its caches better. It does not change results.
        progress : bool or callable
            True shows a bar on a terminal; a callable is called with (done, total).

        Raises
        ------
        SeqplrpError
            Where the inputs or targets don't fit the model, or the check fails.
        """
        return self.many(x, [target], args=args, layers=layers, check=check, batch_size=batch_size, progress=progress)[
            0
        ]

    def many(
        self,
        x: Tensor,
        targets: Sequence[Index],
        *,
        args: Sequence[Tensor] = (),
        layers: Sequence[str] = (),
        check: bool | float = False,
        batch_size: int | None = None,
        progress: Progress = False,
    ) -> list[Explanation]:
        """Explain several targets of the same inputs, from one forward pass.

        Parameters
        ----------
        x : Tensor
            (N, 4, L), one-hot.
        targets : sequence
            What the call takes as its target, several of them.
        args, layers, check, batch_size, progress
            As in the call.

        Returns
        -------
        list of Explanation
            One a target.
        """
        check_input(x, "X")
        others = check_others(args, len(x))
        check_request(layers, check, targets, progress)
        self._check_suits(others, layers)
        with self._numerics():
            prepared = self._preparations.for_inputs(x, others)
            for layer in layers:
                prepared.plan.value_of(layer)
            asked = Batch(x, others, self._chosen(targets, len(x), prepared.graph), tuple(layers))
            attributing = self._attributing(prepared, x, batch_size)
            wholes = attributing.explanations(asked, progress)
        if check is not False:
            for whole in wholes:
                whole.check(None if check is True else check)
        return [replace(whole, notes=self._notes(whole)) for whole in wholes]

    def _check_suits(self, others: tuple[Tensor, ...], layers: Sequence[str]) -> None:
        """Raise a SeqplrpError where the explainer was made for something else than what is asked of it."""
        check_alike(others, self._axes_of_others)
        if layers and not self.method.gives_layers:
            raise SeqplrpError("layers", f"{self.method!r} gives no relevance at layers", "use LRP or PLRP")
        if layers and self.method.reverse_complement:
            raise SeqplrpError("layers", "can't be averaged over both strands", "explain one strand")

    def _chosen(self, targets: Sequence[Index], n: int, graph: Graph) -> list[Chosen]:
        by_callable = self.target is not None
        return [chosen_target(target, n, graph.output_shape, by_callable=by_callable) for target in targets]

    def _attributing(self, prepared: Prepared, x: Tensor, batch_size: int | None) -> Attributing:
        """Say how inputs are attributed: as many at a time as a program fixes, or as the user or memory allow."""
        fixed, *_ = prepared.graph.input_shape
        per_input = bytes_for_one(prepared.plan, x.shape[-1], self.dtype)
        size = fixed or chosen_batch_size(batch_size, per_input, self.device)
        may_halve = batch_size is None and not fixed
        if may_halve and self.largest_batch is not None:
            size = min(size, self.largest_batch)
        return Attributing(self.method, prepared, self.device, self.dtype, size, may_halve, self._halved)

    def _halved(self, size: int) -> None:
        self.largest_batch = size

    def _notes(self, whole: Explanation) -> tuple[str, ...]:
        notes = []
        if self.graph.left_out is not None:
            notes.append(f"the closing {self.graph.left_out} was left out: the logit is explained")
        negative = int((whole.output < 0).sum())
        if negative:
            for_it, against = ("negative", "positive") if whole._turned else ("positive", "negative")
            notes.append(
                f"{negative} of {len(whole)} scores are negative: those maps share out a negative number; {for_it} "
                f"relevance is the evidence for the output, {against} relevance the evidence against it"
            )
        if self.graph.fixed_inputs:
            notes.append("further inputs are held fixed: the ledger's column fixed_inputs says what fell on them")
        if self.method.center is not None:
            notes.append(f"centred by {self.method.center}: the map does not sum to the score")
        if not self.method.keeps_size:
            notes.append("relative LRP: the map's size is not the score's")
        return tuple(dict.fromkeys((*notes, *self.method.notes, *whole.notes)))

    def __repr__(self) -> str:
        table = self._prepared.plan.table(getattr(self.method, "pruning", None))
        head = ("step", "layer", "op", "rule", "pruned here")
        widths = [max(len(row[i]) for row in [head, *table]) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *table]
        ]
        shape = readable((None, *self._preparations.shapes[0]))
        title = f"Explainer of {type(self.model).__name__} for {shape} by {self.method!r}"
        closing = [f"left out at the end: {self.graph.left_out}"] if self.graph.left_out else []
        return "\n".join([title, *lines, *closing])


def explain(
    model: nn.Module | Sequence[nn.Module],
    X: Tensor,
    target: Target = None,
    method: str | Method = "plrp",
    *,
    args: Sequence[Tensor] = (),
    layout: Layout = "NCL",
    layers: Sequence[str] = (),
    check: bool | float = False,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    tf32: bool = False,
    deterministic: bool = False,
    progress: Progress = False,
) -> Explanation:
    """Explain what a model makes of its inputs.

    Parameters
    ----------
    model : nn.Module, or sequence of nn.Module
        Explained in evaluation mode with the weights that it has now; left exactly as it is. Of several models, folds
        say, each is explained by itself: the result is their mean, with their spread (`EnsembleExplanation`).
    X : Tensor
        (N, 4, L), one-hot in the order ACGT; N is an all-zero column.
    target : int, sequence of int, "predicted", callable, or None
        The explained output: an index for all, one each, the highest of each, a callable from the model's outputs to
        (N,), or None where there is only one.
    method : str or Method
        A name or an instance; pruned LRP unless given.
    args, layout, device, tf32, deterministic
        See `Explainer`.
    layers, check, batch_size, progress
        See `Explainer.__call__`.

    Returns
    -------
    Explanation
        With relevance (N, 4, L), hypothetical contributions, per-base sums, scores and the ledger.

    Raises
    ------
    SeqplrpError
        For anything in the model, the inputs or the request that can be mended.

    Notes
    -----
    The graph of the model is cached for as long as the model lives; its weights are read at every call.

    Examples
    --------
    >>> import torch, seqplrp as sp
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 1))
    >>> e = sp.explain(model, sp.one_hot(["ACGTACGTAC", "TTTTACGNNN"]))
    >>> e.per_base.shape
    torch.Size([2, 10])
    """
    check_input(X, "X")
    pick, index = _split(target)

    def one(member: nn.Module) -> Explanation:
        explainer = Explainer(
            member,
            X,
            method,
            target=pick,
            args=args,
            layout=layout,
            device=device,
            tf32=tf32,
            deterministic=deterministic,
        )
        return explainer(X, index, args=args, layers=layers, check=check, batch_size=batch_size, progress=progress)

    if isinstance(model, nn.Module):
        return one(model)
    if not isinstance(model, list | tuple):
        check_model(model)
    if not model:
        raise SeqplrpError("model", "is an empty list", "give at least one model")
    return together([one(member) for member in model])


def _split(target: Target) -> tuple[Callable[[Any], Tensor] | None, Index]:
    """Return a target's callable, which is traced with the model, and its index, which is not: one of the two."""
    if callable(target) and not isinstance(target, Tensor):
        return target, None
    return None, target
