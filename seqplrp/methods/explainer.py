"""Explain a model: check what is asked, trace once, attribute batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph, cached_trace, evaluation_mode, forget, output_of, run_forward
from seqplrp.methods.base import Attribution, Method, Prepared
from seqplrp.methods.explanation import Explanation, joined
from seqplrp.methods.names import resolve_method

Target = int | Sequence[int] | Tensor | Literal["predicted"] | Callable[[Any], Tensor] | None

_MEMORY = 512 * 2**20  # bytes of activations that a batch may take where the user sets no batch size
_LARGEST_BATCH = 256


class Explainer:
    """A model traced once and made ready for one method; call it with inputs.

    Parameters
    ----------
    model : nn.Module
        Explained in evaluation mode, with the weights it has now; left exactly as it is.
    example : Tensor
        (N, 4, L) with N >= 1: inputs of this shape, but for their number, can be explained.
    method : str or Method
        A name ("plrp", "lrp", ...) or an instance such as ``sp.PLRP(p=0.25)``.
    target : callable, optional
        From the model's outputs to the explained score (N,), for models with several outputs or scores of one's own. An
        index is given in the call instead.
    device : str or torch.device, optional
        Where to run; where the model's weights are unless given. The model itself is not moved.

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
        device: str | torch.device | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise SeqplrpError("model", f"is a {type(model).__name__}, no torch.nn.Module", "give the module itself")
        if any(is_lazy(tensor) for tensor in [*model.parameters(), *model.buffers()]):
            raise SeqplrpError(
                type(model).__name__, "has lazy layers that have no weights yet", "call the model once, then train it"
            )
        check_input(example, "example")
        if target is not None and not callable(target):
            raise SeqplrpError(
                "Explainer(target=...)",
                "takes a callable; an index may differ from call to call",
                "give it in the call",
            )
        self.method = resolve_method(method)
        _check_suits(self.method, example)
        self.device, self.dtype = _place(model, example, device)
        self._shape = tuple(example.shape[1:])
        self._scored_by_callable = target is not None
        traced_on = next((p.device for p in model.parameters()), self.device)
        one = example[:1].to(traced_on, self.dtype)
        self._prepared = self._trusted(model, one, target)

    def _trusted(self, model: nn.Module, one: Tensor, target: Callable[[Any], Tensor] | None) -> Prepared:
        """Prepare the model, and compare what the plan computes with what the model does.

        The cache tells models apart by what can be seen of their structure. Where forward depends on something else
        that changed since, the comparison shows it and the model is traced anew.
        """
        for attempt in range(2):
            graph = cached_trace(model, one, target)
            prepared = self.method.prepare(model, graph, self.device)
            difference = _disagreement(model, prepared, one.to(self.device), one, target)
            if difference is None:
                return prepared
            forget(model)
            if attempt:
                raise SeqplrpError(
                    type(model).__name__,
                    f"the traced graph and the model disagree on the same input ({difference})",
                    "make forward a function of its input and its weights alone, with no randomness in eval mode",
                )
        raise AssertionError("unreachable")

    @property
    def graph(self) -> Graph:
        """What was traced."""
        return self._prepared.graph

    def __call__(
        self,
        x: Tensor,
        target: int | Sequence[int] | Tensor | Literal["predicted"] | None = None,
        *,
        batch_size: int | None = None,
        progress: bool | Callable[[int, int], None] = False,
    ) -> Explanation:
        """Explain inputs.

        Parameters
        ----------
        x : Tensor
            (N, 4, L), one-hot; N is an all-zero column and gets exactly 0.
        target : int, sequence of int, "predicted", or None
            The explained output: one for all, one each, the highest of each, or None where there is only one.
        batch_size : int, optional
            How many at a time; chosen by an estimate of memory unless given. It does not change results.
        progress : bool or callable
            True shows a bar on a terminal; a callable is called with (done, total).

        Raises
        ------
        SeqplrpError
            Where the inputs or targets don't fit the model.
        """
        check_input(x, "X")
        if tuple(x.shape[1:]) != self._shape:
            raise SeqplrpError(
                "X",
                f"has shape {tuple(x.shape)}, but the model was traced for (N, {', '.join(map(str, self._shape))})",
                "make an Explainer for this shape",
            )
        targets = self._targets(target, len(x))
        size = self._batch_size(batch_size)
        parts = []
        with _reporting(progress, len(x)) as report:
            for start in range(0, len(x), size):
                chosen = targets if not isinstance(targets, Tensor) else targets[start : start + size]
                parts.append(self._batch(x[start : start + size], chosen, start))
                report(min(start + size, len(x)))
        whole = joined(parts)
        return replace(whole, notes=self._notes(whole))

    def _targets(self, target: Any, n: int) -> Tensor | Literal["predicted"] | None:
        shape = self.graph.output_shape
        if self._scored_by_callable:
            if target is not None:
                raise SeqplrpError("target", "the explainer's own target picks the score already", "leave it out")
            if shape not in ((None,), (None, 1)):
                raise SeqplrpError("target", f"the callable gives shape {_readable(shape)}", "return (N,) from it")
            return None
        if len(shape) > 2:
            raise SeqplrpError(
                "target",
                f"the model's output has shape {_readable(shape)}, so an index picks no single score",
                "give a callable, such as target=lambda y: y.mean((1, 2))",
            )
        outputs = 1 if len(shape) == 1 else shape[1]
        if target is None:
            if outputs != 1:
                raise SeqplrpError(
                    "target", f"the model has {outputs} outputs and none was chosen", "give target=0, say"
                )
            target = 0
        if isinstance(target, str):
            if target != "predicted":
                raise SeqplrpError(
                    "target",
                    f"{target!r} is not known",
                    "give an index, one index a sequence, or 'predicted'",
                )
            return "predicted" if outputs != 1 else self._targets(0, n)
        indices = _indices(target, n)
        bad = ((indices < 0) | (indices >= (outputs or 1))).nonzero()
        if len(bad):
            raise SeqplrpError(
                "target",
                f"{int(indices[bad[0]])} is out of range for a model with {outputs} output{'s' * (outputs != 1)}",
                f"give an index from 0 to {(outputs or 1) - 1}",
            )
        return None if len(shape) == 1 else indices.to(self.device)

    def _batch_size(self, asked: int | None) -> int:
        if asked is not None:
            if not isinstance(asked, int) or asked < 1:
                raise SeqplrpError(
                    "batch_size", f"{asked!r} is not a whole number >= 1", "leave it out to have it chosen"
                )
            return asked
        units = sum(_units(step.node.shape) for step in self._prepared.plan.steps)
        # about three copies of every activation live at the worst moment: the value, its relevance and a share
        per_input = 3 * units * torch.finfo(self.dtype).bits // 8
        return max(1, min(_LARGEST_BATCH, _MEMORY // max(per_input, 1)))

    def _batch(self, x: Tensor, target: Tensor | Literal["predicted"] | None, start: int) -> Explanation:
        inputs = x.detach().to(self.device, self.dtype)
        if isinstance(target, str):
            target = self._predicted(inputs)
        strands = [self._strand(inputs, target, start, "+")]
        if self.method.reverse_complement:
            strands.append(self._strand(inputs, target, start, "-"))
        relevance, hypothetical, output = _averaged(strands, self.method.keeps_size)
        return Explanation(
            _handed_out(relevance, x),
            _handed_out(output, x),
            None if target is None else target.to(x.device),
            self.method,
            (),
            None if hypothetical is None else _handed_out(hypothetical, x),
            tuple(strand.ledger for strand in strands if strand.ledger is not None),
        )

    def _predicted(self, inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            run = run_forward(self._prepared.plan, inputs, keep=False)
            predicted = output_of(self._prepared.plan, run).argmax(1)
        return predicted.clone()  # autograd can't use what inference mode made

    def _strand(self, inputs: Tensor, target: Tensor | None, start: int, strand: str) -> _Strand:
        read = inputs if strand == "+" else inputs.flip(1, 2)
        found = self.method.attribute(self._prepared, read, target)
        found = _centred(found, read, self.method)
        ledger = None
        if found.ledger is not None:
            ledger = found.ledger.columns(len(inputs), start)
            if self.method.reverse_complement:
                ledger["strand"] = [strand] * len(ledger["sequence"])
        if strand == "+":
            return _Strand(found.relevance, found.hypothetical, found.output, ledger)
        hypothetical = None if found.hypothetical is None else found.hypothetical.flip(1, 2)
        return _Strand(found.relevance.flip(1, 2), hypothetical, found.output, ledger)

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
        shape = _readable((None, *self._shape))
        title = f"Explainer of {type(self._prepared.model).__name__} for {shape} by {self.method!r}"
        closing = [f"left out at the end: {self.graph.left_out}"] if self.graph.left_out else []
        return "\n".join([title, *lines, *closing])


def explain(
    model: nn.Module,
    X: Tensor,
    target: Target = None,
    method: str | Method = "plrp",
    *,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    progress: bool | Callable[[int, int], None] = False,
) -> Explanation:
    """Explain what a model makes of its inputs.

    Parameters
    ----------
    model : nn.Module
        Explained in evaluation mode with the weights that it has now; left exactly as it is.
    X : Tensor
        (N, 4, L), one-hot in the order ACGT; N is an all-zero column.
    target : int, sequence of int, "predicted", callable, or None
        The explained output: an index for all, one each, the highest of each, a callable from the model's outputs to
        (N,), or None where there is only one.
    method : str or Method
        A name or an instance; pruned LRP unless given.
    batch_size, device, progress
        See `Explainer`.

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
    by_callable = callable(target) and not isinstance(target, Tensor)
    explainer = Explainer(model, X, method, target=target if by_callable else None, device=device)  # type: ignore[arg-type]
    return explainer(X, None if by_callable else target, batch_size=batch_size, progress=progress)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Strand:
    relevance: Tensor
    hypothetical: Tensor | None
    output: Tensor
    ledger: dict[str, list[object]] | None


def _averaged(strands: Sequence[_Strand], keeps_size: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Average strands; maps whose size means nothing are brought to one size first (METHODS.md, section 9)."""
    if len(strands) == 1:
        return strands[0].relevance, strands[0].hypothetical, strands[0].output
    weights = [torch.ones_like(strand.output) for strand in strands]
    if not keeps_size:
        sizes = [strand.relevance.abs().flatten(1).sum(1) for strand in strands]
        mean = torch.stack(sizes).mean(0)
        weights = [torch.where(size > 0, mean / size, 1.0) for size in sizes]

    def mean_of(maps: Sequence[Tensor]) -> Tensor:
        scaled = [w.view(-1, *(1,) * (m.dim() - 1)) * m for w, m in zip(weights, maps, strict=True)]
        return torch.stack(scaled).mean(0)

    hypothetical = [strand.hypothetical for strand in strands if strand.hypothetical is not None]
    return (
        mean_of([strand.relevance for strand in strands]),
        mean_of(hypothetical) if len(hypothetical) == len(strands) else None,
        torch.stack([strand.output for strand in strands]).mean(0),
    )


def _centred(found: Attribution, x: Tensor, method: Method) -> Attribution:
    """Subtract a mean over the four bases from the hypothetical contributions (METHODS.md, section 4)."""
    if method.center is None:
        return found
    if found.hypothetical is None:
        raise SeqplrpError(
            "center",
            f"{method!r} has no hypothetical contributions to centre",
            "leave center out, or use another first-layer rule",
        )
    weights = torch.full_like(x[:, :, :1], 0.25)
    if method.center == "composition":
        counts = x.sum(2, keepdim=True)
        total = counts.sum(1, keepdim=True)
        weights = torch.where(total > 0, counts / total, weights)
    hypothetical = found.hypothetical - (weights * found.hypothetical).sum(1, keepdim=True)
    return replace(found, hypothetical=hypothetical, relevance=x * hypothetical)


def check_input(x: object, name: str) -> None:
    """Raise a SeqplrpError unless x is a finite floating-point tensor with at least one sample and one more axis."""
    if not isinstance(x, Tensor):
        raise SeqplrpError(name, f"is a {type(x).__name__}, no tensor", "make one with sp.one_hot(sequences)")
    if x.dim() < 2 or len(x) == 0:
        raise SeqplrpError(name, f"has shape {tuple(x.shape)}", "give at least one sequence, as (N, 4, L)")
    if x.dtype not in (torch.float32, torch.float64):
        raise SeqplrpError(name, f"has dtype {x.dtype}", "use float32 or float64: X.float()")
    if not bool(torch.isfinite(x).all()):
        raise SeqplrpError(name, "holds NaN or infinite values", "an unknown base is an all-zero column")


def _check_suits(method: Method, example: Tensor) -> None:
    for field, set_ in (
        ("center", method.center is not None),
        ("reverse_complement", method.reverse_complement),
    ):
        if set_ and (example.dim() != 3 or example.shape[1] != 4):
            raise SeqplrpError(field, f"needs one-hot DNA (N, 4, L), found {tuple(example.shape)}", "leave it out")


def _place(model: nn.Module, example: Tensor, device: str | torch.device | None) -> tuple[torch.device, torch.dtype]:
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype = example.dtype if parameter is None else parameter.dtype
    if dtype not in (torch.float32, torch.float64):
        raise SeqplrpError(type(model).__name__, f"has weights in {dtype}", "convert it with model.float()")
    if device is None:
        return (example.device if parameter is None else parameter.device), dtype
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise SeqplrpError(
            "device", f"{device!r} can't be used here ({str(error).splitlines()[0]})", "use 'cpu'"
        ) from error
    return chosen, dtype


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


def _disagreement(
    model: nn.Module, prepared: Prepared, x: Tensor, at_model: Tensor, target: Callable[[Any], Tensor] | None
) -> str | None:
    """Return how far plan and model differ on one input; None where they agree to rounding."""
    graph = prepared.graph
    with torch.inference_mode():
        run = run_forward(prepared.plan, x, keep=False)
        ours = output_of(prepared.plan, run)
        if ours.dim() == 0 or len(ours) != len(x):
            raise SeqplrpError(
                type(model).__name__,
                f"the explained output has shape {tuple(ours.shape)} for {len(x)} sequence: no score a sequence",
                "return (N,) or (N, outputs) from the model, or from a callable target",
            )
        if graph.left_out == "sigmoid":
            ours = ours.sigmoid()
        elif graph.closing is not None:
            ours = graph.closing.op(ours, *graph.closing.args[1:], **graph.closing.kwargs)
        elif graph.left_out is not None:  # a softmax of which the model picks some: the logits that it drops are gone
            return None
    with torch.no_grad(), evaluation_mode(model), _copied_buffers(model):
        theirs = model(at_model)
        theirs = theirs if target is None else target(theirs)
    theirs = tree_leaves(theirs)[0]
    ours = ours.to(theirs.device)
    if theirs.numel() == ours.numel():  # squeeze() takes the axis of a batch of one away, too
        theirs = theirs.reshape(ours.shape)
    if ours.shape != theirs.shape:
        return f"shapes {tuple(ours.shape)} and {tuple(theirs.shape)}"
    tolerance = 1e-3 if x.dtype == torch.float32 else 1e-8
    difference = float((ours - theirs).abs().max())
    scale = float(theirs.abs().max())
    return None if difference <= tolerance * (1 + scale) else f"{difference:.3g} at a size of {scale:.3g}"


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


def _handed_out(result: Tensor, like: Tensor) -> Tensor:
    """Return a result in the input's dtype, on its device, as an ordinary tensor (not one of inference mode)."""
    return result.to(like.device, like.dtype).clone()


def _units(shape: tuple[int | None, ...] | None) -> int:
    units = 1
    for size in shape or ():
        units *= size or 1
    return units


def _readable(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


class _reporting:
    """Tell progress to a bar on a terminal, to the user's callable, or to nobody."""

    def __init__(self, progress: bool | Callable[[int, int], None], total: int) -> None:
        self.total = total
        self.bar: Any = None
        self.call = progress if callable(progress) else None
        self.wanted = progress is True

    def __enter__(self) -> Callable[[int], None]:
        if self.wanted:
            from rich.progress import Progress

            self.bar = Progress(transient=True)
            self.bar.start()
            self.task = self.bar.add_task("explaining", total=self.total)
        return self.report

    def report(self, done: int) -> None:
        if self.call is not None:
            self.call(done, self.total)
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
