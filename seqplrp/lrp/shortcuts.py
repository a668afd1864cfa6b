"""What makes a plan cheaper and changes no result: folded batch norms, known signs, pools before their ReLU."""

from __future__ import annotations

from collections.abc import Sequence

from seqplrp.lrp.graph import Graph, renamed
from seqplrp.lrp.ops.elementwise import BatchNorm, Relu, batch_norm_affine
from seqplrp.lrp.ops.linear import LinearHandler, fold_affine
from seqplrp.lrp.ops.pooling import MaxPool
from seqplrp.lrp.steps import Step, Vanishing


def fold_batch_norms(steps: list[Step], output: str) -> tuple[list[Step], dict[str, str]]:
    """Fold each batch norm that alone reads a conv or linear layer with channels on axis 1 into that layer.

    Returns the steps, and for each value that is not made any more the one that stands for it.
    """
    made_by = {step.output: step for step in steps}
    readers = _readers(steps)
    folded: dict[str, str] = {}
    kept: list[Step] = []
    for step in steps:
        source = made_by.get(step.inputs[0]) if step.inputs else None
        if (
            isinstance(step.handler, BatchNorm)
            and source is not None
            and isinstance(source.handler, LinearHandler)
            and len(readers[source.output]) == 1
            and source.output != output
            and source.extra.channel_axis % len(source.node.shape or ()) == 1
        ):
            fold_affine(source, *batch_norm_affine(step))
            # the layer now makes the batch norm's value, under that name
            folded[source.output] = step.output
            source.output = source.value_of_output = step.output
            made_by[step.output] = source
            continue
        kept.append(step)
    return kept, folded


def infer_signs(graph: Graph, steps: Sequence[Step]) -> None:
    """Work out which values can't be negative, and at which layers no relevance can arrive where the output is <= 0."""
    nonnegative: dict[str, bool] = {}
    for step in steps:
        step.inputs_nonnegative = tuple(nonnegative.get(name, False) for name in step.inputs)
        step.output_nonnegative = bool(step.inputs) and step.handler.nonnegative(step, step.inputs_nonnegative)
        nonnegative[step.output] = step.output_nonnegative
    readers = _readers(steps)
    by_value: dict[str, bool] = {}

    def vanishes(value: str) -> bool:
        """Whether no relevance arrives at a value where it is 0."""
        if value not in by_value:
            by_value[value] = all(keeps_off(reader) for reader in readers.get(value, []) if value in reader.inputs)
        return by_value[value]

    def keeps_off(reader: Step) -> bool:
        """Whether a step hands no relevance to an input that is 0."""
        promise = _promise(reader)
        return promise == "always" or (promise == "with output" and vanishes(reader.output))

    for step in reversed(steps):  # readers first, so that the recursion stays shallow
        step.vanishes = vanishes(step.output)
    for step in steps:
        reading = [reader for reader in readers.get(step.output, []) if step.output in reader.inputs]
        if (
            isinstance(step.handler, LinearHandler)
            and step.output != graph.output
            and len(reading) == 1
            and isinstance(reading[0].handler, Relu)
            and vanishes(reading[0].output)
        ):
            step.gated = True
            step.value_of_output = reading[0].output


def pool_before_relu(graph: Graph, steps: Sequence[Step]) -> tuple[list[Step], dict[str, str]]:
    """Reorder layer -> ReLU -> max pool to layer -> max pool -> ReLU, which gives the same values for less.

    The ReLU then runs on the pooled size, and the layer can divide relevance by its outputs there (`Winners`), as
    nothing arrives anywhere but at winners. A ReLU that follows its layer directly runs in place.

    Returns the steps, and for each ReLU's value that is not made any more the layer's value, of the same relevance.
    """
    moved: dict[str, str] = {}
    made_by = {step.output: step for step in steps}
    readers = _readers(steps)
    ordered: list[Step] = []
    swapped: set[int] = set()
    for step in steps:
        if id(step) in swapped:
            continue
        source = made_by.get(step.inputs[0]) if step.inputs else None
        if isinstance(step.handler, Relu) and source is not None and source.gated:
            reading = readers.get(step.output, [])
            step.in_place = len(readers[source.output]) == 1  # what is held constant may read the layer's output, too
            if (
                len(reading) == 1
                and isinstance(reading[0].handler, MaxPool)
                and step.output != graph.output
                and source.batch is None
            ):
                pool = reading[0]
                source.pooled, pool.extra = True, pool.output
                relu_value, pooled_value = step.output, pool.output
                pool.args = renamed(pool.args, {relu_value: source.output})
                pool.inputs, pool.inputs_nonnegative = (source.output,), (False,)
                pool.output = pool.value_of_output = relu_value
                step.args = renamed(step.args, {source.output: relu_value})
                step.inputs, step.output, step.value_of_output = (relu_value,), pooled_value, pooled_value
                ordered += [pool, step]
                swapped.add(id(pool))
                moved[relu_value] = source.output
                continue
        ordered.append(step)
    return ordered, moved


def _promise(step: Step) -> Vanishing:
    if isinstance(step.handler, LinearHandler):
        return "always" if step.extra.gives_coefficients else "never"
    return step.handler.vanishing


def _readers(steps: Sequence[Step]) -> dict[str, list[Step]]:
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in dict.fromkeys(step.refs()):
            readers.setdefault(name, []).append(step)
    return readers
