"""Where a first layer's input lies on the sequence: against the same operations run on a tensor of place numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqplrp.genomics import one_hot
from seqplrp.lrp import Graph, trace
from seqplrp.lrp.graph import Node, Ref
from seqplrp.recovery import Reading, reading_of

LENGTH = 12
aten = torch.ops.aten

MOVES = (
    st.tuples(st.just(aten.constant_pad_nd.default), st.tuples(st.tuples(st.integers(-2, 3), st.integers(-2, 3)))),
    st.tuples(st.just(aten.slice.Tensor), st.tuples(st.just(2), st.integers(-4, 3), st.sampled_from([9, 99, -1, -2]))),
    st.tuples(st.just(aten.slice.Tensor), st.tuples(st.just(0), st.just(0), st.just(2**63 - 1))),
    st.tuples(st.just(aten.slice.Tensor), st.tuples(st.just(1), st.integers(0, 1), st.just(4))),
    st.tuples(st.just(aten.flip.default), st.tuples(st.sampled_from([(1, 2), (1,), (2,), (-1, -2)]))),
    st.tuples(st.just(aten.transpose.int), st.just((1, 2))),
    st.tuples(st.just(aten.permute.default), st.tuples(st.sampled_from([(0, 2, 1), (0, 1, 2)]))),
    st.tuples(st.just(aten.clone.default), st.just(())),
)


def graph_of(moves) -> Graph:
    nodes = [Node(f"v{i + 1}", op, (Ref(f"v{i}"), *args), {}, "", None) for i, (op, args) in enumerate(moves)]
    last = f"v{len(moves)}"
    return Graph(tuple(nodes), "v0", (None, 4, LENGTH), {}, {}, last, (None,), (2, 4, LENGTH))


def expected(moves) -> Tensor | None:
    """Run the moves on a tensor that holds ``1 + 4 i + base`` at position i; 0 is what was added."""
    value = (1 + torch.arange(4 * LENGTH)).reshape(LENGTH, 4).T[None]
    for op, args in moves:
        try:
            value = op(value, *args)
        except RuntimeError:  # cropped to less than nothing
            return None
    return value


@settings(max_examples=400, deadline=None)
@example([(aten.slice.Tensor, (2, -1, 9)), (aten.slice.Tensor, (2, 0, 9)), (aten.constant_pad_nd.default, ((0, 1),))])
@given(st.lists(st.one_of(*MOVES), max_size=5))
def test_every_column_is_where_the_reading_says_it_is(moves) -> None:
    value = expected(moves)
    if value is None or 0 in value.shape:
        return
    reading = reading_of(graph_of(moves), f"v{len(moves)}", LENGTH)
    if reading is None:
        return  # that these are the ones that should be refused is tested below
    codes = torch.arange(1, 4 * LENGTH + 1).reshape(LENGTH, 4).T
    strand = codes.flip(0, 1) if reading.reverse else codes
    columns = value.shape[2]
    assert columns == LENGTH + reading.left + reading.right
    for k in range(columns):
        place = k - reading.left
        column = value[0, :, k]
        assert torch.equal(column, strand[:, place]) if 0 <= place < LENGTH else not column.any()


@pytest.mark.parametrize(
    ("moves", "reading"),
    [
        ([], Reading()),
        ([(aten.constant_pad_nd.default, ((3, 5),))], Reading(3, 5)),
        ([(aten.pad.default, ((3, 5), "constant", 0.0))], Reading(3, 5)),
        ([(aten.slice.Tensor, (2, 3, -2))], Reading(-3, -2)),
        ([(aten.slice.Tensor, (2, -5, 2**63 - 1))], Reading(-7, 0)),
        ([(aten.flip.default, ((1, 2),))], Reading(reverse=True)),
        ([(aten.flip.default, ((1,),)), (aten.flip.default, ((-1,),))], Reading(reverse=True)),
        ([(aten.constant_pad_nd.default, ((3, 1),)), (aten.flip.default, ((1, 2),))], Reading(1, 3, True)),
        ([(aten.transpose.int, (1, 2)), (aten.constant_pad_nd.default, ((0, 0, 2, 1),)), (aten.transpose.int, (-1, 1))],
         Reading(2, 1)),
    ],
)  # fmt: skip
def test_what_models_do_to_a_sequence_is_followed(moves, reading) -> None:
    assert reading_of(graph_of(moves), f"v{len(moves)}", LENGTH) == reading


@pytest.mark.parametrize(
    "moves",
    [
        [(aten.flip.default, ((2,),))],  # reversed, not complemented
        [(aten.flip.default, ((1,),))],
        [(aten.transpose.int, (1, 2))],
        [(aten.slice.Tensor, (1, 0, 2))],
        [(aten.slice.Tensor, (2, 0, 10, 2))],
        [(aten.constant_pad_nd.default, ((1, 1), 0.25))],
        [(aten.pad.default, ((1, 1), "reflect"))],
        [(aten.constant_pad_nd.default, ((0, 0, 1, 0),))],
        [(aten.constant_pad_nd.default, ((-2, 0),)), (aten.constant_pad_nd.default, ((2, 0),))],  # bases hidden by 0
        [(aten.roll.default, ((3,), (2,)))],
        [(aten.mul.Scalar, (2.0,))],
    ],
)
def test_what_is_no_strand_of_the_sequence_is_refused(moves) -> None:
    assert reading_of(graph_of(moves), f"v{len(moves)}", LENGTH) is None


class BothStrands(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        padded = nn.functional.pad(x, (4, 2))
        other = x.flip(1).flip(2)
        both = torch.cat([x, other], 1)
        return sum(self.conv(v).relu().sum((1, 2)) for v in (padded, other, both[:, :4], x.float()))


def test_values_of_a_traced_model_are_told_apart() -> None:
    graph = trace(BothStrands().eval(), one_hot(["ACGTACGTACGT"]))
    inputs = [node.refs()[0] for node in graph.nodes if node.op_name == "conv1d"]
    readings = [reading_of(graph, value, LENGTH) for value in inputs]
    assert readings == [Reading(4, 2), Reading(reverse=True), None, Reading()]
