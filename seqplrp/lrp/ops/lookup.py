"""Look-ups by a position: embeddings, argmax, one-hot codes. A token's relevance is that of all that was looked up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, Handler, MoveHandler, Run, Step, refused

aten = torch.ops.aten


class Lookup(Handler, ABC):
    """Rows of a table, one an index: an index gets the sum of what its row is handed."""

    @abstractmethod
    def index(self, step: Step) -> Any:
        """Return the argument that says where to look."""

    def prepare(self, step: Step) -> None:
        if len(step.inputs) != 1 or not step.is_input(self.index(step)):
            raise refused(step, "in a table that depends on the input")

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(relevance=relevance.flatten(len(run.shapes[step.inputs[0]])).sum(-1))]

    def describe(self, step: Step) -> str:
        return "summed for each index"


@register(aten.embedding.default)
class Embedding(Lookup):
    """A vector for each token."""

    def index(self, step: Step) -> Any:
        return step.args[1]

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return isinstance(step.args[0], Tensor) and bool((step.args[0] >= 0).all())


@register(aten.embedding_renorm.default)
class BoundedTable(Handler):
    """A table whose rows are scaled down when they are looked up: refused."""

    def prepare(self, step: Step) -> None:
        raise SeqplrpError(
            step.path,
            "an embedding that bounds its table's norm while it reads it (max_norm) has no relevance handler",
            "bound the table once (torch.renorm), and set max_norm to None",
        )


@register(aten.one_hot.default)
class OneHot(Lookup):
    """A one-hot code for each token."""

    def index(self, step: Step) -> Any:
        return step.args[0]

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True


class IndexedTable(Lookup):
    """``table[index]`` with a constant table: an embedding written by hand."""

    def index(self, step: Step) -> Any:
        return step.args[1][0]


INDEXED_TABLE = IndexedTable()


@register(aten.argmax.default)
class ArgMax(Handler):
    """Which one is largest: the one that is gets all, if it is there at all.

    In one-hot DNA it is the base that is present. Where all are 0 (an N) argmax says 0 all the same; what is looked up
    there is due to no base and goes into the ledger as a bias.
    """

    def prepare(self, step: Step) -> None:
        if len(step.args) < 2 or step.args[1] is None or None not in (step.node.shape or ()):
            raise SeqplrpError(step.path, "argmax over the batch mixes its sequences", "give it the axis of the bases")

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.inputs[0], step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        values, index = run.values[step.inputs[0]], run.values[step.output]
        axis = step.args[1]
        if index.dim() < values.dim():
            index, relevance = index.unsqueeze(axis), relevance.unsqueeze(axis)
        present = values.gather(axis, index) != 0
        handed_on = relevance * present
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=per_sample_sum(relevance, step.batch),
            relevance_in=per_sample_sum(handed_on, step.batch),
            bias=per_sample_sum(relevance * ~present, step.batch),
            size=per_sample_size(relevance, step.batch),
        )
        whole = torch.zeros(values.shape, dtype=relevance.dtype, device=relevance.device)
        return [Contribution(relevance=whole.scatter_(axis, index, handed_on))]

    def describe(self, step: Step) -> str:
        return "to the one that is largest"


def check_indices(explained: str, steps: Sequence[Step]) -> None:
    """Raise a SeqplrpError where something is looked up by a number that was computed from several positions.

    Relevance can be handed to the index of a look-up where that is the explained input, or argmax of a one-hot code;
    arithmetic on indices, as for k-mers (``4 * a + b``), is no sum of contributions.
    """
    indices = {explained}
    for step in steps:
        moves = isinstance(step.handler, MoveHandler) and bool(step.inputs) and indices.issuperset(step.inputs)
        if moves or isinstance(step.handler, ArgMax):
            indices.add(step.output)
        if step.inputs and isinstance(step.handler, Lookup) and not indices.issuperset(step.inputs):
            raise refused(
                step,
                "by an index that is computed from others",
                "look up by the input itself or by its argmax, or explain the embedded values: "
                "a model that takes them as its input",
            )
