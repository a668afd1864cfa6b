"""How the sequence reaches a first layer: as it is, padded, cropped, or as the other strand.

A convolution's windows are counted from the start of its own input. Where forward pads, crops or turns the sequence
before it, that start is another one, and a window taken at the same place would hold other bases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from seqplrp.lrp import Graph

_SAME = {"clone", "alias", "detach", "contiguous", "dropout", "to_copy", "to", "lift_fresh_copy"}


@dataclass(frozen=True)
class Reading:
    """Where a layer's input lies on the sequence.

    Attributes
    ----------
    left, right : int
        Columns added before and behind the sequence; below 0, cut off there. Counted on the strand that is read.
    reverse : bool
        Whether it is the reverse complement that is read.
    """

    left: int = 0
    right: int = 0
    reverse: bool = False


@dataclass(frozen=True)
class _State:
    """What has become of the input's axes (batch, bases, positions) up to some value."""

    axes: tuple[int, ...] = (0, 1, 2)  # for each axis of the value, which of the input's it is
    reading: Reading = Reading()
    swapped: bool = False  # whether the rows of the bases are in reverse order

    def moved(self, left: int, right: int) -> _State | None:
        """Return the state with columns added; None if bases were cut off there before, so that zeros hide them."""
        at = self.reading
        if (left > 0 > at.left) or (right > 0 > at.right):
            return None
        return replace(self, reading=replace(at, left=at.left + left, right=at.right + right))


def reading_of(graph: Graph, value: str, length: int) -> Reading | None:
    """Find where a value lies on the sequence, by the operations that made it of the model's input.

    Parameters
    ----------
    graph : Graph
        Of a model of one-hot DNA, (N, 4, L).
    value : str
        The value's name.
    length : int
        L.

    Returns
    -------
    Reading or None
        None if the value is not (N, 4, L') with all bases in their order, or anything but a strand of the sequence with
        columns added or cut off.
    """
    made_by = {node.name: node for node in graph.nodes}
    chain = []
    while value != graph.input:
        node = made_by.get(value)
        refs = [] if node is None else node.refs()
        if node is None or len(refs) != 1:  # made of several values, or of none
            return None
        chain.append(node)
        value = refs[0]
    state = _State()
    for node in reversed(chain):
        after = _after(state, node.op_name, node.args[1:], dict(node.kwargs), length)
        # where nothing is left, what is added later is no place of the input
        if after is None or length + after.reading.left + after.reading.right <= 0:
            return None
        state = after
    if state.axes != (0, 1, 2) or state.swapped != state.reading.reverse:
        return None
    return state.reading


def _after(state: _State, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], length: int) -> _State | None:
    """Follow one operation; None if it does more than move along or turn."""
    if op in _SAME:
        return state
    if kwargs:
        return None
    if op == "permute":
        return replace(state, axes=tuple(state.axes[axis] for axis in args[0]))
    if op == "transpose":
        axes = list(state.axes)
        axes[args[0]], axes[args[1]] = axes[args[1]], axes[args[0]]
        return replace(state, axes=tuple(axes))
    if op == "flip":
        return _flipped(state, [state.axes[axis] for axis in args[0]])
    if op in ("pad", "constant_pad_nd"):
        return _padded(state, args)
    return _sliced(state, args, length) if op == "slice" else None


def _flipped(state: _State, axes: list[int]) -> _State | None:
    if 0 in axes:
        return None
    at = state.reading
    if 2 in axes:
        state = replace(state, reading=Reading(at.right, at.left, not at.reverse))
    return replace(state, swapped=not state.swapped) if 1 in axes else state


def _padded(state: _State, args: tuple[Any, ...]) -> _State | None:
    widths = list(args[0])
    if len(widths) > 2 * len(state.axes) or (len(args) > 1 and args[1] not in ("constant", 0)):
        return None
    for pair in range(len(widths) // 2):
        left, right = widths[2 * pair : 2 * pair + 2]
        if not left and not right:
            continue
        after = state.moved(left, right) if state.axes[len(state.axes) - 1 - pair] == 2 else None
        if after is None:
            return None
        state = after
    return state


def _sliced(state: _State, args: tuple[Any, ...], length: int) -> _State | None:
    axis, start, end, step = list(args) + [0, None, None, 1][len(args) :]
    if not all(value is None or isinstance(value, int) for value in (axis, start, end)) or step != 1:
        return None
    size = length + state.reading.left + state.reading.right
    whole = start in (None, 0) and (end is None or end >= 1 << 62)
    if whole or state.axes[axis] != 2:
        return state if whole else None
    first, stop, _ = slice(start, end).indices(size)
    return state.moved(-first, stop - size)
