"""Trace recurrent layers at the price of one operation: only their results' shapes are worked out, not each time step.

torch takes an LSTM of L steps apart into some ten operations a step to learn what shapes its results have, which takes
half a minute for 1000 steps, although the traced graph holds the LSTM whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

_WHOLE = (aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)


def results_of(values: Tensor, states: Tensor | tuple[Tensor, ...] | list[Tensor], *options: Any) -> tuple[Tensor, ...]:
    """Return empty tensors of the shapes and strides of a recurrent operation's results: its output and last states.

    Whatever the arguments' order of axes, it works with time in front, so a batch in front is a transposed view.
    """
    every = [states] if isinstance(states, Tensor) else list(states)
    is_bidirectional, batch_first = options[-2:]
    steps, batch = (values.shape[1], values.shape[0]) if batch_first else values.shape[:2]
    output = values.new_empty(steps, batch, (1 + bool(is_bidirectional)) * every[0].shape[-1])
    output = output.transpose(0, 1) if batch_first else output
    return (output, *(state.new_empty(state.shape) for state in every))


@contextmanager
def recurrent_shapes_only() -> Iterator[None]:
    """Let this thread's traces take recurrent operations for their shapes; nothing else, and no real tensor, is met.

    What is replaced are the functions that take such an operation apart for a tracer, which torch keeps in two places
    by operation; a model that is run does not come by there. Where a torch keeps them elsewhere, a trace is only slow.
    """
    owner = threading.get_ident()

    def quick(original: Callable[..., Any]) -> Callable[..., Any]:
        def results(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != owner or len(args) != 9:
                return original(*args, **kwargs)
            return results_of(*args)

        return results

    with ExitStack() as undo:
        for op in _WHOLE:
            undo.enter_context(_replaced(getattr(torch._decomp, "decomposition_table", {}), [op], quick))
            kernels = getattr(op, "py_kernels", {})
            undo.callback(_forget_dispatch, op)
            undo.enter_context(_replaced(kernels, list(kernels), quick))
            _forget_dispatch(op)
        yield


def _forget_dispatch(op: Any) -> None:
    if hasattr(op, "_dispatch_cache"):
        op._dispatch_cache.clear()


@contextmanager
def _replaced(
    table: MutableMapping[Any, Any], keys: Iterable[Any], by: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Replace functions in a table, and put them back where they are still the ones that were put there."""
    originals = {key: table[key] for key in keys if callable(table.get(key))}
    mine = {key: by(original) for key, original in originals.items()}
    table.update(mine)
    try:
        yield
    finally:
        for key, original in originals.items():
            if table.get(key) is mine[key]:
                table[key] = original
