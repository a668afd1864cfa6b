"""From a torch model to a graph of ATen operations, through torch.export, without touching the model."""

from __future__ import annotations

import contextlib
import io
import logging
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node as FxNode
from torch.utils._pytree import tree_unflatten

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.lrp.bounds import with_numbers_as_bounds
from seqplrp.lrp.explained import TRACING, Explained, Layout, Others, Program, Target, evaluation_mode
from seqplrp.lrp.graph import Graph, Node, Ref
from seqplrp.lrp.reading import REMEDY, GraphReader, size_of
from seqplrp.lrp.shapes import recurrent_shapes_only

aten = torch.ops.aten


def trace(
    model: nn.Module,
    example: Tensor,
    target: Target | None = None,
    others: Others = (),
    *,
    layout: Layout = "NCL",
    any_length: bool = False,
) -> Graph:
    """Trace a model with `torch.export`.

    Parameters
    ----------
    model : nn.Module
        Left as it is: weights, buffers, training flags, hooks.
    example : Tensor
        (N, ...) with N >= 1; only its shape, dtype and device matter. The batch size stays free.
    target : callable, optional
        From the model's outputs to the explained score (N,); traced with the model.
    others : tuple of Tensor
        Further inputs (N, ...), held fixed.
    layout : {"NCL", "NLC"}
        What the model takes; the example is (N, C, L) all the same.
    any_length : bool
        Whether the input's last axis stays free, too, where the model allows it; ``Graph.input_shape`` says whether it
        did.

    Raises
    ------
    SeqplrpError
        Where the model can't be exported, or has no tensor output.
    """
    with TRACING:
        graph = _traced(model, example, target, others, layout, any_length)
        return with_numbers_as_bounds(_without_closing_activation(graph))


def _traced(
    model: nn.Module, example: Tensor, target: Target | None, others: Others, layout: Layout, any_length: bool
) -> Graph:
    if isinstance(model, Program):
        return _program_graph(model, example, target, others, layout)
    batches = [_batch_of(tensor) for tensor in (example, *others)]
    auto = torch.export.Dim.AUTO
    shapes = [{0: auto} for _ in batches]
    if any_length:
        shapes = [{0: auto, batch.dim() - 1: auto} for batch in batches]
    wrapper = Explained(model, target, layout)
    with (
        evaluation_mode(model),
        _attributes_kept(model),
        torch.no_grad(),
        warnings.catch_warnings(),
        _quietly(),
        recurrent_shapes_only(),
    ):
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(
                wrapper,
                tuple(batches),
                dynamic_shapes=(shapes[0], tuple(shapes[1:])) if others else (shapes[0],),
                strict=False,
            ).run_decompositions({})
        except Exception as error:  # the exporter raises whatever the model or the tracer raised
            shown = " and ".join(str(tuple(tensor.shape)) for tensor in (example, *others))
            raise SeqplrpError(
                type(model).__name__,
                f"torch.export can't trace the model with an input {shown}: {first_line(error, kind=True)}",
                REMEDY,
            ) from _within_forward(error)
    reader = GraphReader(model, prefix="model.", by_target=target is not None)
    return reader.finish(reader.read(exported))


@contextlib.contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Put attributes that a forward assigns to its modules back, and what it does to lists and dicts among them.

    torch 2.6 leaves tensors without values there: the weight of a layer of `torch.nn.utils.weight_norm`, say, or a
    positional encoding that is made in the first call.
    """
    before: list[tuple[dict[str, Any], dict[str, Any]]] = [(vars(m), dict(vars(m))) for m in model.modules()]
    held = [value for _, own in before for value in own.values() if type(value) in (list, dict)]
    lists = [(value, list(value)) for value in held if isinstance(value, list)]
    dicts = [*before, *((value, dict(value)) for value in held if isinstance(value, dict))]
    try:
        yield
    finally:
        for items, was in lists:
            if len(items) != len(was) or any(a is not b for a, b in zip(items, was)):
                items[:] = was
        for values, had in dicts:
            if list(values) != list(had) or any(values[key] is not value for key, value in had.items()):
                values.clear()
                values.update(had)


_NOT_THE_USERS = (*(str(Path(file).parent) for file in (torch.__file__, __file__)), contextlib.__file__, "<")


def _within_forward(error: BaseException) -> RuntimeError | None:
    """Return what failed with the lines of the user's own code alone, without the hundreds of the exporter's.

    None where none of the user's code ran when it failed.
    """
    found: BaseException | None = error
    while found is not None:
        lines: TracebackType | None = None
        for frame, number in reversed(list(traceback.walk_tb(found.__traceback__))):
            if not frame.f_code.co_filename.startswith(_NOT_THE_USERS):
                lines = TracebackType(lines, frame, frame.f_lasti, number)
        if lines is not None:
            short = RuntimeError(first_line(found, kind=True)).with_traceback(lines)
            short.__context__, short.__suppress_context__ = error, True  # not shown, and there for who asks
            return short
        found = found.__cause__ or found.__context__
    return None


def _program_graph(program: Program, example: Tensor, target: Target | None, others: Others, layout: Layout) -> Graph:
    """Read a saved program; a callable target is traced by itself and put behind it."""
    given = [tuple(t.shape) for t in (example.transpose(1, 2) if layout == "NLC" else example, *others)]
    reader = GraphReader(program, prefix="runner.", by_target=target is not None)
    with warnings.catch_warnings(), _quietly(), recurrent_shapes_only():
        warnings.simplefilter("ignore")
        exported = program.exported.run_decompositions({})
    results = reader.read(exported)
    _check_inputs(reader, given)
    if layout == "NLC":
        _take_channels_first(reader)
    if target is not None:
        results = reader.read(_exported_target(program, target, results), behind=results)
    return reader.finish(results)


def _check_inputs(reader: GraphReader, given: Sequence[tuple[int, ...]]) -> None:
    """Raise a SeqplrpError where inputs are not as many, or not of the shapes, that a program was exported for."""
    if len(reader.inputs) != len(given):
        raise SeqplrpError("program", f"takes {len(reader.inputs)} inputs, given are {len(given)}", "give them all")
    for (_, wanted), found in zip(reader.inputs, given, strict=True):
        if len(wanted) != len(found) or any(w not in (None, s) for w, s in zip(wanted[1:], found[1:], strict=True)):
            shown = ", ".join("N" if size is None else str(size) for size in wanted)
            raise SeqplrpError(
                "X", f"gives the program an input {found}, exported for ({shown})", "give inputs of that shape"
            )


def _take_channels_first(reader: GraphReader) -> None:
    """Put a transpose before a program of (N, L, C) that was read, so that its input is (N, C, L)."""
    name, shape = reader.inputs[0]
    sizes = reader.input_sizes[0]
    for at, node in enumerate(reader.nodes):
        reader.nodes[at] = node.reading({name: f"{name}.NLC"})
    reader.nodes.insert(0, Node(f"{name}.NLC", aten.transpose.int, (Ref(name), 1, 2), {}, "", shape, sizes))
    reader.inputs[0] = (name, (shape[0], *reversed(shape[1:])))
    reader.input_sizes[0] = (sizes[0], *reversed(sizes[1:]))


def _exported_target(program: Program, target: Target, results: Sequence[FxNode]) -> torch.export.ExportedProgram:
    """Export a function of a program's outputs, given the nodes that make them."""
    values = [node.meta["val"] for node in results]
    examples = [torch.zeros([size_of(size) for size in value.shape], dtype=value.dtype) for value in values]
    free = not isinstance(values[0].shape[0], int)
    with torch.no_grad(), warnings.catch_warnings(), _quietly():
        warnings.simplefilter("ignore")
        try:
            scoring: torch.export.ExportedProgram = torch.export.export(
                _Target(target, program.exported.call_spec.out_spec),
                tuple(examples),
                dynamic_shapes=(tuple({0: torch.export.Dim.AUTO} if free else {} for _ in examples),),
                strict=False,
            ).run_decompositions({})
        except Exception as error:  # whatever the target raised
            raise SeqplrpError("target", f"can't be traced: {first_line(error, kind=True)}", REMEDY) from error
    return scoring


class _Target(nn.Module):
    """A function of a program's outputs."""

    def __init__(self, target: Target, spec: Any) -> None:
        super().__init__()
        self._target, self._spec = target, spec

    def forward(self, *flat: Tensor) -> Any:
        return self._target(tree_unflatten(list(flat), self._spec))


TRACED_BATCH = 13
"""How many sequences a model is traced with.

torch.export takes a batch of 1 for a constant, and one that a model compares with a size of its own, with 2 layers or 2
heads say, for that size; a number that no such size is likely to be stays free.
"""


def _batch_of(tensor: Tensor) -> Tensor:
    return tensor[:1].expand(TRACED_BATCH, *tensor.shape[1:]).clone()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter from logging and printing graphs and tracebacks of failures that we tell in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


_CLOSING = {
    aten.sigmoid.default: "sigmoid",
    aten.softmax.int: "softmax",
    aten._softmax.default: "softmax",
    aten.log_softmax.int: "log_softmax",
    aten._log_softmax.default: "log_softmax",
}
# what may stand between a closing activation and the output without mixing its values
_PICKS = {
    aten.select.int,
    aten.slice.Tensor,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    aten.unsqueeze.default,
    aten.view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.clone.default,
    aten.alias.default,
}


def _without_closing_activation(graph: Graph) -> Graph:
    """Leave out a sigmoid or softmax at the end, so that the logit is explained (METHODS.md, section 1).

    Raises
    ------
    SeqplrpError
        Where the softmax runs over the batch.
    """
    by_name = {node.name: node for node in graph.nodes}
    node = by_name.get(graph.output)
    while node is not None and node.op in _PICKS:
        node = by_name.get(node.refs()[0])
    if node is None or node.op not in _CLOSING:
        return graph
    if node.op is not aten.sigmoid.default and node.args[1] % len(node.shape or (None,)) == 0:
        raise SeqplrpError(
            node.path or "output",
            f"{_CLOSING[node.op]} over the batch makes one sequence's output depend on the others",
            "leave the batch axis out of it: dim=1, say",
        )
    source = node.refs()[0]
    renames = {node.name: source}
    nodes = tuple(n.reading(renames) for n in graph.nodes if n.name != node.name)
    return replace(
        graph,
        nodes=nodes,
        output=renames.get(graph.output, graph.output),
        left_out=_CLOSING[node.op],
        closing=node if node.name == graph.output else None,
    )
