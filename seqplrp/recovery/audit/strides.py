"""The periods that a model's pools and strided convolutions could print onto its maps, read from its traced graph."""

from __future__ import annotations

from typing import Any

from seqplrp.lrp import Graph

_STRIDE_AT = {"conv1d": 3, "conv2d": 3, "convolution": 3}
"""Where an operation's stride stands among its arguments; pools have it behind the kernel's size."""


def pool_strides(graph: Graph) -> dict[int, str]:
    """Return the periods that strides give the sequence, with the layer that makes each.

    Parameters
    ----------
    graph : Graph
        Of a model of one-hot DNA, as `seqplrp.Explainer.graph` has it.

    Returns
    -------
    dict of int to str
        Products of the strides along the way, from 2 on, such as ``{4: "features.3", 16: "features.7"}``.
    """
    reached: dict[str, int] = {graph.input: 1}
    found: dict[int, str] = {}
    for node in graph.nodes:
        before = [reached[name] for name in node.refs() if name in reached]
        if not before:
            continue
        stride = _stride(node.op_name, node.args, dict(node.kwargs))
        period = max(before) * stride
        reached[node.name] = period
        if stride > 1:
            found.setdefault(period, node.path or node.op_name)
    return found


def _stride(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return an operation's stride along the sequence, which is the last axis; 1 for one that has none."""
    if "pool" in op and not op.startswith("adaptive"):
        kernel = _last(args[1] if len(args) > 1 else kwargs.get("kernel_size"))
        return _last(args[2] if len(args) > 2 else kwargs.get("stride")) or kernel or 1
    if op in _STRIDE_AT:
        if op == "convolution" and len(args) > 6 and args[6]:  # transposed: it spreads positions out
            return 1
        place = _STRIDE_AT[op]
        return _last(args[place] if len(args) > place else kwargs.get("stride")) or 1
    return 1


def _last(value: Any) -> int:
    """Return an integer, or the last of several; 0 for none."""
    if isinstance(value, int):
        return value
    return int(value[-1]) if isinstance(value, list | tuple) and value else 0
