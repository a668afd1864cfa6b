"""Explain a model: check what is asked, trace once, attribute batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import TRACING, Explained, Graph, LayerInfo, Layout, cached_trace, forget
from seqplrp.methods.agreement import disagreement
from seqplrp.methods.base import Attribution, Batch, Chosen, Method, Prepared
from seqplrp.methods.batching import batch_size as chosen_batch_size
from seqplrp.methods.batching import bytes_for_one, numerics, ran_out_of_memory, reporting
from seqplrp.methods.ensemble import together
from seqplrp.methods.explanation import Account, Explanation, joined
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
from seqplrp.methods.maps import averaged, centred, flipped
from seqplrp.methods.names import resolve_method

Index = int | Sequence[int] | Tensor | Literal["predicted"] | None
Target = Index | Callable[[Any], Tensor]
Progress = bool | Callable[[int, int], None]


_SHAPES_KEPT = 16  # each may have a copy of the weights


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
        self._shape = tuple(example.shape[1:])
        self._axes_of_others = tuple(other.dim() for other in others)
        self._by_shape: dict[tuple[tuple[int, ...], ...], Prepared] = {}
        self._any_length: Prepared | None = None
        self._fixes_length = False
        with self._numerics():
            self._prepared = self._trusted(example, others)
        self._by_shape[_shapes(example, others)] = self._prepared

    def _numerics(self) -> Any:
        return numerics(tf32=self.tf32, deterministic=self.deterministic)

    def _trusted(self, example: Tensor, others: tuple[Tensor, ...], *, any_length: bool = False) -> Prepared:
        """Prepare the model, and compare what the plan computes with what the model does.

        The cache tells models apart by what can be seen of their structure. Where forward depends on something else
        that changed since, the comparison shows it and the model is traced anew.
        """
        found = None
        for attempt in range(2):
            with TRACING:
                prepared = self._prepare(example, others, any_length=any_length)
                found = self._disagreement(prepared, example, others, strict=attempt == 0)
            if found is None:
                return prepared
            forget(self.model)
        raise SeqplrpError(
            type(self.model).__name__,
            f"the traced graph and the model disagree on the same input ({found})",
            "make forward a function of its input and its weights alone, with no randomness in eval mode",
        )

    def _prepare(self, example: Tensor, others: tuple[Tensor, ...], *, any_length: bool) -> Prepared:
        one, *more = self._one(example, others)
        try:
            graph = cached_trace(self.model, one, self.target, tuple(more), layout=self.layout, any_length=any_length)
        except SeqplrpError as error:
            if one.dim() == 3 and one.shape[1] != 4 and one.shape[2] == 4:
                raise SeqplrpError(
                    "X",
                    f"has shape {tuple(example.shape)}, which the model does not take as (N, C, L) ({error.what})",
                    "give (N, 4, L): X.transpose(1, 2), and layout='NLC' if the model takes (N, L, 4)",
                ) from error
            if one.is_floating_point():
                raise
            raise SeqplrpError(
                "X", f"has dtype {one.dtype}, which the model does not take ({error.what})", "give X.float()"
            ) from error
        if any_length and graph.input_shape[-1] is not None:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(example.shape)}, but the model was traced for (N, {readable(self._shape)[1:]}, and "
                "its graph fixes the length",
                "give inputs of that length",
            )
        return self.method.prepare(self.model, graph, self.device)

    def _one(self, example: Tensor, others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one sample of each input, where the model's weights are."""
        traced_on = next((p.device for p in self.model.parameters()), self.device)
        return tuple(self._moved(tensor[:1], traced_on) for tensor in (example, *others))

    def _moved(self, tensor: Tensor, device: torch.device) -> Tensor:
        return tensor.detach().to(device, self.dtype if tensor.is_floating_point() else None)

    def _disagreement(
        self, prepared: Prepared, example: Tensor, others: tuple[Tensor, ...], *, strict: bool = False
    ) -> str | None:
        size = prepared.graph.input_shape[0] or 1  # a program may fix it
        with TRACING:
            explained = Explained(self.model, self.target, self.layout)
            inputs = tuple(one.expand(size, *one.shape[1:]) for one in self._one(example, others))
            return disagreement(prepared, explained, inputs, self.device, strict=strict)

    def _prepared_for(self, x: Tensor, others: tuple[Tensor, ...]) -> Prepared:
        """Return the plan for inputs of a shape; another length than the example's is traced when it first comes."""
        shapes = _shapes(x, others)
        if shapes in self._by_shape:
            return self._by_shape[shapes]
        if x.dim() != len(self._shape) + 1 or x.shape[1:-1] != self._shape[:-1]:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(x.shape)}, but the model was traced for {readable((None, *self._shape))}",
                "give inputs (N, 4, L)" if x.shape[-1:] == self._shape[:1] else "make an Explainer for this shape",
            )
        prepared = self._any_length
        if prepared is not None and self._disagreement(prepared, x, others) is not None:
            raise SeqplrpError(
                type(self.model).__name__,
                f"computes something else at length {x.shape[-1]} than its graph, or its weights have changed",
                "make a new Explainer",
            )
        if prepared is None and not self._fixes_length:
            try:
                prepared = self._any_length = self._trusted(x, others, any_length=True)
            except SeqplrpError:  # what does not trace with a free length may with this one
                self._fixes_length = True
        if prepared is None:
            try:
                prepared = self._trusted(x, others)
            except SeqplrpError as error:
                raise SeqplrpError(
                    "X",
                    f"has shape {tuple(x.shape)}, the example had {readable((None, *self._shape))}, and the model "
                    f"can't be explained at another length ({error.what})",
                    "give inputs of the example's length",
                ) from error
        while len(self._by_shape) >= _SHAPES_KEPT:
            self._by_shape.pop(next(iter(self._by_shape)))
        self._by_shape[shapes] = prepared
        return prepared

    @property
    def graph(self) -> Graph:
        """What was traced."""
        return self._prepared.graph

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The conv and linear layers, in the order of the forward pass."""
        return self._prepared.plan.layers

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
        check_request(layers, check, targets)
        check_alike(others, self._axes_of_others)
        if layers and not self.method.gives_layers:
            raise SeqplrpError("layers", f"{self.method!r} gives no relevance at layers", "use LRP or PLRP")
        if layers and self.method.reverse_complement:
            raise SeqplrpError("layers", "can't be averaged over both strands", "explain one strand")
        with self._numerics():
            prepared = self._prepared_for(x, others)
            shape = prepared.graph.output_shape
            by_callable = self.target is not None
            chosen = [chosen_target(target, len(x), shape, by_callable=by_callable) for target in targets]
            for layer in layers:
                prepared.plan.value_of(layer)
            fixed = prepared.graph.input_shape[0]
            ratio = x.shape[-1] / prepared.graph.input_sizes[-1]
            size = fixed or chosen_batch_size(batch_size, bytes_for_one(prepared.plan, ratio, self.dtype), self.device)
            asked = Batch(x, others, chosen, tuple(layers))
            batches = self._batches(
                prepared, asked, size, may_halve=batch_size is None and not fixed, progress=progress
            )
        wholes = [joined([batch[place] for batch in batches]) for place in range(len(targets))]
        if check is not False:
            for whole in wholes:
                whole.check(None if check is True else check)
        return [replace(whole, notes=self._notes(whole)) for whole in wholes]

    def _batches(
        self, prepared: Prepared, asked: Batch, size: int, *, may_halve: bool, progress: Progress
    ) -> list[list[Explanation]]:
        """Attribute batch by batch; a batch that does not fit into memory is tried again at half its size."""
        n, start, done = len(asked.x), 0, []
        with reporting(progress, n) as report:
            while start < n:
                try:
                    done.append(self._batch(prepared, _part(asked, start, start + size), start, size))
                except (RuntimeError, MemoryError) as error:
                    if not ran_out_of_memory(error):
                        raise
                    if size == 1 or not may_halve:
                        raise SeqplrpError(
                            "batch_size",
                            f"{size} inputs of {readable(tuple(asked.x.shape[1:]))} do not fit into the memory of "
                            f"{self.device}",
                            "leave batch_size out" if size > 1 else "explain shorter windows, or on another device",
                        ) from None
                    size = max(1, size // 2)
                    continue
                start += size
                report(min(start, n))
        return done

    def _batch(self, prepared: Prepared, asked: Batch, first: int, size: int) -> list[Explanation]:
        """Attribute one batch: one explanation a target."""
        n = len(asked.x)
        batch = Batch(
            self._moved(asked.x, self.device),
            tuple(self._moved(other, self.device) for other in asked.others),
            [target.to(self.device) if isinstance(target, Tensor) else target for target in asked.targets],
            asked.layers,
        )
        if prepared.graph.input_shape[0] is None:
            size = n
        strands = [[found] for found in self._attributed(prepared, batch, size)]
        if self.method.reverse_complement:
            # where the highest output was asked for, it is the forward strand's
            turned = replace(batch, x=batch.x.flip(1, 2), targets=[strand[0].target for strand in strands])
            for strand, found in zip(strands, self._attributed(prepared, turned, size), strict=True):
                strand.append(flipped(found))
        return [self._explanation(found, asked.x, first) for found in strands]

    def _attributed(self, prepared: Prepared, batch: Batch, size: int) -> list[Attribution]:
        """Attribute a batch; one that is smaller than a program's own size is filled up and cut again."""
        n = len(batch.x)
        whole = batch if n == size else _filled_up(batch, size)
        found = [centred(one, whole.x, self.method) for one in self.method.attribute(prepared, whole)]
        return found if n == size else [_first(one, n) for one in found]

    def _explanation(self, strands: list[Attribution], x: Tensor, first: int) -> Explanation:
        relevance, hypothetical, output = averaged(strands, keeps_size=self.method.keeps_size)
        names = ("+", "-") if self.method.reverse_complement else (None,)
        dtype = x.dtype if x.is_floating_point() else self.dtype

        def handed_out(result: Tensor) -> Tensor:
            # in the input's dtype, on its device, and an ordinary tensor, not one of inference mode
            return result.to(x.device, dtype).clone()

        target = strands[0].target
        return Explanation(
            handed_out(relevance),
            handed_out(output),
            None if target is None else target.to(x.device).clone(),
            self.method,
            (),
            {name: handed_out(found) for name, found in strands[0].layers.items()},
            None if hypothetical is None else handed_out(hypothetical),
            tuple(
                Account(strand.ledger, len(x), first, {} if name is None else {"strand": name})
                for strand, name in zip(strands, names, strict=True)
                if strand.ledger is not None
            ),
        )

    def _notes(self, whole: Explanation) -> tuple[str, ...]:
        notes = []
        if self.graph.left_out is not None:
            notes.append(f"the closing {self.graph.left_out} was left out: the logit is explained")
        negative = int((whole.output < 0).sum())
        if negative:
            notes.append(
                f"{negative} of {len(whole)} scores are negative: those maps share out a negative number; positive "
                "relevance is the evidence for the output, negative relevance the evidence against it"
            )
        if self.graph.fixed_inputs:
            notes.append("further inputs are held fixed: the ledger's column fixed_inputs says what fell on them")
        if self.method.center is not None:
            notes.append(f"centred by {self.method.center}: the map does not sum to the score")
        if not self.method.keeps_size:
            notes.append("relative LRP: the map's size is not the score's")
        return tuple(notes)

    def __repr__(self) -> str:
        table = self._prepared.plan.table(getattr(self.method, "pruning", None))
        head = ("step", "layer", "op", "rule", "pruned here")
        widths = [max(len(row[i]) for row in [head, *table]) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *table]
        ]
        shape = readable((None, *self._shape))
        title = f"Explainer of {type(self.model).__name__} for {shape} by {self.method!r}"
        closing = [f"left out at the end: {self.graph.left_out}"] if self.graph.left_out else []
        return "\n".join([title, *lines, *closing])


def _shapes(x: Tensor, others: tuple[Tensor, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape[1:]) for tensor in (x, *others))


def _part(batch: Batch, start: int, stop: int) -> Batch:
    """Return some of a batch's inputs."""
    targets: list[Chosen] = [t[start:stop] if isinstance(t, Tensor) else t for t in batch.targets]
    return replace(
        batch, x=batch.x[start:stop], others=tuple(other[start:stop] for other in batch.others), targets=targets
    )


def _filled_up(batch: Batch, size: int) -> Batch:
    """Return a batch with its last input repeated up to a size."""
    missing = size - len(batch.x)

    def filled(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])

    targets: list[Chosen] = [filled(t) if isinstance(t, Tensor) else t for t in batch.targets]
    return replace(batch, x=filled(batch.x), others=tuple(map(filled, batch.others)), targets=targets)


def _first(found: Attribution, n: int) -> Attribution:
    """Return an attribution of the first n inputs alone."""
    return replace(
        found,
        relevance=found.relevance[:n],
        hypothetical=None if found.hypothetical is None else found.hypothetical[:n],
        output=found.output[:n],
        target=None if found.target is None else found.target[:n],
        ledger=None if found.ledger is None else found.ledger.first(n),
        layers={name: layer[:n] for name, layer in found.layers.items()},
    )


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
    by_callable = callable(target) and not isinstance(target, Tensor)

    def one(member: nn.Module) -> Explanation:
        explainer = Explainer(
            member,
            X,
            method,
            target=target if by_callable else None,  # type: ignore[arg-type]
            args=args,
            layout=layout,
            device=device,
            tf32=tf32,
            deterministic=deterministic,
        )
        return explainer(
            X,
            None if by_callable else target,  # type: ignore[arg-type]
            args=args,
            layers=layers,
            check=check,
            batch_size=batch_size,
            progress=progress,
        )

    if isinstance(model, list | tuple):
        if not model:
            raise SeqplrpError("model", "is an empty list", "give at least one model")
        return together([one(member) for member in model])
    return one(model)  # type: ignore[arg-type]
