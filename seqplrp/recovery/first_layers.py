"""The convolutions of a model that read the sequence, and how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph
from seqplrp.methods import Explainer
from seqplrp.recovery.filters import Geometry
from seqplrp.recovery.layer_reading import Reading, reading_of


@dataclass(frozen=True)
class FirstLayer:
    """A convolution that reads the sequence itself.

    Attributes
    ----------
    name : str
        What to ask an `Explainer` for; ``path@0``, ``path@1`` ... where forward calls the layer several times.
    filters : int
        Its output channels.
    geometry : Geometry
        How it reads its input.
    reading : Reading
        How that lies on the sequence.
    """

    name: str
    filters: int
    geometry: Geometry
    reading: Reading


def first_layers(explainer: Explainer, length: int) -> tuple[FirstLayer, ...]:
    """Find the 1d convolutions that read the sequence.

    Parameters
    ----------
    explainer : Explainer
        Of a model of one-hot DNA, (N, 4, L).
    length : int
        L of the example that it was made with.

    Raises
    ------
    SeqplrpError
        If there is none, or one of them reads something else than a strand of the sequence, padded or cropped: what is
        under its windows can't be told then.
    """
    first = [layer for layer in explainer.layers if layer.position.startswith("first")]
    wanted = [layer for layer in first if layer.window is not None]
    if not wanted:
        named = ", ".join(f"{layer.path or 'forward'} ({layer.op})" for layer in first) or "there are none"
        raise SeqplrpError(
            "first layer", f"no 1d convolution reads the sequence ({named})", "a model without filters has none to list"
        )
    calls = Counter(layer.path for layer in explainer.layers)
    seen: Counter[str] = Counter()
    found = []
    for layer in explainer.layers:
        number = seen[layer.path]
        seen[layer.path] += 1
        if layer not in wanted:
            continue
        name, reading = _call(explainer.graph, layer.path, layer.op, number, calls[layer.path], length)
        assert layer.window is not None
        found.append(FirstLayer(name, layer.shape[1] or 0, layer.window, reading))
    return tuple(found)


def _call(graph: Graph, path: str, op: str, number: int, calls: int, length: int) -> tuple[str, Reading]:
    """Return the name of the so-manieth call of a layer, and what it reads."""
    live = _live(graph)
    nodes = [node for node in graph.nodes if node.path == path and node.op_name == op and node.name in live]
    if not path or len(nodes) != calls:
        raise SeqplrpError(
            path or "forward",
            f"calls {op} as a function beside other operations, so its output has no name to ask for"
            if not path
            else f"makes {len(nodes)} calls of {op}, but relevance passes {calls} of them",
            "make the convolution a module of its own (torch.nn.Conv1d)",
        )
    node = nodes[number]
    reading = reading_of(graph, node.refs()[0], length)
    if reading is None:
        raise SeqplrpError(
            path,
            "reads something else than the sequence or its reverse complement, padded or cropped, so that it can't be "
            "told which bases are under its filters",
            "let the first convolution read the one-hot sequence",
        )
    several = len({n.call for n in graph.nodes if n.path == path and n.shape is not None}) > 1
    return (f"{path}@{node.call}" if several else path), reading


def _live(graph: Graph) -> set[str]:
    """Return the values that the explained output is made of."""
    found = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in found:
            found.update(node.refs())
    return found
