"""Recurrent layers against NumPy, one sequence, one step and one unit at a time; and against loops of cells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler, operations_in, operations_of, trace_together
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Epsilon, Pruning, make_plan, run_forward, trace
from seqplrp.lrp.ops import recurrent
from seqplrp.lrp.shapes import recurrent_shapes_only, results_of

EPS = 1e-6
aten = torch.ops.aten
Array = np.ndarray
SHAPE, UNITS = (5, 4), 3


def stab(y: float) -> float:
    return y + EPS if y >= 0 else y - EPS


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


@dataclass
class Taken:
    """What biases, constants and stabilisers take in all."""

    bias: float = 0.0
    stabiliser: float = 0.0


@dataclass
class Layer:
    """One direction of one layer, its weights by gate."""

    kind: str
    W: list[Array]
    U: list[Array]
    b: list[Array]
    c: list[Array]
    steps: list[dict[str, Array]] = field(default_factory=list)

    @staticmethod
    def of(module: nn.Module, suffix: str) -> Layer:
        kind = type(module).__name__.removesuffix("Cell")
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        found = []
        for name in names:
            tensor = getattr(module, name + suffix, None)
            empty = np.zeros(gates * module.hidden_size)
            found.append(np.split(empty if tensor is None else tensor.detach().numpy(), gates))
        if kind == "RNN":
            kind = module.nonlinearity
        return Layer(kind, *found)

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """Run one step, and remember it."""
        z = [W @ x + b for W, b in zip(self.W, self.b, strict=True)]
        r = [U @ h + c_ for U, c_ in zip(self.U, self.c, strict=True)]
        if self.kind == "LSTM":
            i, f, g, o = (a + b for a, b in zip(z, r, strict=True))
            kept, added = sigmoid(f) * c, sigmoid(i) * np.tanh(g)
            state = kept + added
            self.steps.append({"x": x, "h": h, "kept": kept, "added": added, "intake": g, "reset": np.ones_like(g)})
            return sigmoid(o) * np.tanh(state), state
        if self.kind == "GRU":
            reset, update = sigmoid(z[0] + r[0]), sigmoid(z[1] + r[1])
            intake = z[2] + reset * r[2]
            kept, added = update * h, (1 - update) * np.tanh(intake)
            self.steps.append({"x": x, "h": h, "kept": kept, "added": added, "intake": intake, "reset": reset})
            return kept + added, c
        intake = z[0] + r[0]
        state = np.tanh(intake) if self.kind == "tanh" else np.maximum(intake, 0)
        ones = np.ones_like(state)
        self.steps.append({"x": x, "h": h, "kept": None, "added": state, "intake": intake, "reset": ones})
        return state, c

    def back(self, s: dict[str, Array], R: Array, taken: Taken) -> tuple[Array, Array, Array]:
        """Share the state's relevance of one step: of the input, of the hidden state before, of the state kept."""
        gate = {"LSTM": 2, "GRU": 2}.get(self.kind, 0)
        W, U, b, c = self.W[gate], self.U[gate], self.b[gate], self.c[gate]
        to_x, to_h, to_kept = np.zeros_like(s["x"]), np.zeros_like(s["h"]), np.zeros_like(s["h"])
        for unit, arrived in enumerate(R):
            into = arrived
            if s["kept"] is not None:
                state = s["kept"][unit] + s["added"][unit]
                to_kept[unit] = s["kept"][unit] * arrived / stab(state)
                into = s["added"][unit] * arrived / stab(state)
                taken.stabiliser += arrived - to_kept[unit] - into
            q = into / stab(s["intake"][unit])
            to_x += W[unit] * s["x"] * q
            to_h += s["reset"][unit] * U[unit] * s["h"] * q
            taken.bias += (b[unit] + s["reset"][unit] * c[unit]) * q
            taken.stabiliser += into - s["intake"][unit] * q
        return to_x, to_h, to_kept


def run_layer(layer: Layer, xs: Array, h: Array, c: Array, *, backwards: bool) -> tuple[Array, Array, Array]:
    """Return a direction's outputs in the order of its input, and its last states."""
    order = range(len(xs))[::-1] if backwards else range(len(xs))
    out = np.zeros((len(xs), len(h)))
    for t in order:
        h, c = layer.step(xs[t], h, c)
        out[t] = h
    return out, h, c


def layer_back(
    layer: Layer, R: Array, R_h: Array, R_c: Array, taken: Taken, *, backwards: bool
) -> tuple[Array, Array, Array]:
    """Share the relevance of a direction's outputs and last states: of the inputs, of the first states."""
    order = list(range(len(R))[::-1] if backwards else range(len(R)))
    to_x = np.zeros((len(R), len(layer.steps[0]["x"])))
    carry_h, carry_c = R_h, R_c
    for number in range(len(order) - 1, -1, -1):
        t = order[number]
        whole = R[t] + carry_h + carry_c  # h = o tanh(c): all to the cell
        to_x[t], carry_h, carry_c = layer.back(layer.steps[number], whole, taken)
    return to_x, carry_h, carry_c


def naive(
    module: nn.Module,
    x: Array,
    R: Array,
    R_h: Array | None = None,
    R_c: Array | None = None,
    first: tuple = (None, None),
) -> tuple[Array, Array, Array, Taken]:
    """Share the relevance of one sequence's outputs (L, D * H) and last states (layers * D, H) through all layers."""
    directions, units = 1 + module.bidirectional, module.hidden_size
    total = module.num_layers * directions
    zeros = np.zeros((total, units))
    R_h, R_c = (zeros if r is None else r for r in (R_h, R_c))
    h0, c0 = (zeros if f is None else f for f in first)
    stack, values = [], x
    for number in range(module.num_layers):
        ways = []
        for d in range(directions):
            layer = Layer.of(module, f"_l{number}" + "_reverse" * d)
            out, _, _ = run_layer(layer, values, h0[number * directions + d], c0[number * directions + d], backwards=d)
            ways.append((layer, out))
        stack.append(ways)
        values = np.concatenate([out for _, out in ways], axis=1)
    taken, to_h, to_c = Taken(), np.zeros_like(zeros), np.zeros_like(zeros)
    for number in range(module.num_layers - 1, -1, -1):
        below = np.zeros_like(x if number == 0 else R)
        if number:
            below = np.zeros((len(x), directions * units))
        for d, (layer, _) in enumerate(stack[number]):
            at = number * directions + d
            own = R[:, d * units : (d + 1) * units]
            part, to_h[at], to_c[at] = layer_back(layer, own, R_h[at], R_c[at], taken, backwards=d)
            below += part
        R = below
    return R, to_h, to_c, taken


KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
OPTIONS: dict[str, dict] = {
    "plain": {},
    "without bias": {"bias": False},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "two layers, both directions": {"num_layers": 2, "bidirectional": True},
}
CASES = {f"{kind}, {how}": (kind, {**options}) for kind in KINDS for how, options in OPTIONS.items()}
CASES["rnn, relu"] = ("rnn", {"nonlinearity": "relu", "bidirectional": True})


def everything(results) -> Tensor:
    """Return the output and all last states of each sequence in one row."""
    output, states = results
    states = states if isinstance(states, tuple) else (states,)
    n = output.shape[0]
    return torch.cat([output.reshape(n, -1), *(s.transpose(0, 1).reshape(n, -1) for s in states)], 1)


@cache
def modules() -> dict[str, nn.Module]:
    made = {}
    for name, (kind, options) in CASES.items():
        build = lambda kind=kind, options=options: KINDS[kind](4, UNITS, batch_first=True, **options)  # noqa: E731
        made[f"{name}: output"] = seeded(lambda b=build: Calls(lambda s, x: s.layer(x)[0], layer=b()))
        made[f"{name}: all"] = seeded(lambda b=build: Calls(lambda s, x: everything(s.layer(x)), layer=b()))
        made[f"{name}: length first"] = seeded(
            lambda b=build: Calls(lambda s, x: s.layer(x.transpose(0, 1))[0].transpose(0, 1), layer=b())
        )
        made[f"{name}: length first"].layer.batch_first = False
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


def parts_of(R: Tensor, module: nn.Module) -> list[Array]:
    """Take a row of relevance apart: outputs, last hidden states, last cells."""
    directions = 1 + module.bidirectional
    total = module.num_layers * directions
    sizes = [SHAPE[0] * directions * UNITS] + [total * UNITS] * (2 if isinstance(module, nn.LSTM) else 1)
    shapes = [(SHAPE[0], directions * UNITS), (total, UNITS), (total, UNITS)]
    return [part.numpy().reshape(shape) for part, shape in zip(R.split(sizes), shapes, strict=False)]


@pytest.mark.parametrize("read", ["output", "all", "length first"])
@pytest.mark.parametrize("name", list(CASES))
def test_a_recurrent_layer_shares_as_its_unrolled_formula_does(name: str, read: str) -> None:
    module = modules()[f"{name}: {read}"]
    x = signed(3, *SHAPE, seed=1)
    R = signed(*module(x).shape, seed=2)
    found = check_handler(module, x, R)
    row = next(row for row in found.ledger.rows if row.layer == "layer")
    for n in range(3):
        arrived = parts_of(R[n], module.layer) if read == "all" else [R[n].numpy()]
        expected, _, _, taken = naive(module.layer, x[n].numpy(), *arrived)
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-8, atol=1e-10)
        assert float(row.numbers["bias"][n]) == pytest.approx(taken.bias, rel=1e-8, abs=1e-9)
        assert float(row.numbers["stabiliser"][n]) == pytest.approx(taken.stabiliser, rel=1e-6, abs=1e-9)
        assert float(row.numbers["size"][n]) == pytest.approx(float(R[n].abs().sum()), rel=1e-10)


@pytest.mark.parametrize("name", list(CASES))
def test_coefficients_reach_the_very_input(name: str) -> None:
    """So that there are hypothetical contributions of the bases that are not there."""
    module = modules()[f"{name}: output"]
    x = one_hot(3, 5).transpose(1, 2).contiguous()
    found = back_through(module, x)
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)
    assert (found.coefficient[x == 0] != 0).any()


# first states that are constants, or depend on the input
def constant_states(self: nn.Module, x: Tensor) -> Tensor:
    h = (torch.arange(6.0).view(2, 1, 3) / 7 - 0.3).to(x.dtype).expand(2, x.shape[0], 3)
    return self.layer(x, (h, -2 * h) if isinstance(self.layer, nn.LSTM) else h)[0]


def made_states(self: nn.Module, x: Tensor) -> Tensor:
    h = self.first(x[:, 0]).view(-1, 2, 3).transpose(0, 1)
    return self.layer(x, (h, h.flip(0)) if isinstance(self.layer, nn.LSTM) else h)[0]


@cache
def with_states() -> dict[str, nn.Module]:
    made = {}
    for kind, build in KINDS.items():
        for how, forward in (("constant", constant_states), ("made", made_states)):
            made[f"{kind}, {how}"] = seeded(
                lambda b=build, f=forward: Calls(
                    f, layer=b(4, 3, bidirectional=True, batch_first=True), first=nn.Linear(4, 6)
                )
            )
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


@pytest.mark.parametrize("kind", list(KINDS))
def test_first_states_that_are_constants_take_their_share_as_a_bias(kind: str) -> None:
    module = with_states()[f"{kind}, constant"]
    x = signed(3, *SHAPE, seed=1)
    R = signed(3, 5, 6, seed=2)
    found = check_handler(module, x, R)
    h = (torch.arange(6.0).view(2, 3) / 7 - 0.3).double().numpy()
    for n in range(3):
        expected, to_h, to_c, taken = naive(module.layer, x[n].numpy(), R[n].numpy(), first=(h, -2 * h))
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-8, atol=1e-10)
        bias = taken.bias + to_h.sum() + to_c.sum()
        assert float(found.ledger.rows[0].numbers["bias"][n]) == pytest.approx(bias, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("kind", list(KINDS))
def test_first_states_that_depend_on_the_input_are_handed_their_share(kind: str) -> None:
    module = with_states()[f"{kind}, made"]
    x = signed(3, *SHAPE, seed=1)
    R = signed(3, 5, 6, seed=2)
    found = check_handler(module, x, R)
    first = module.first(x[:, 0]).detach()
    for n in range(3):
        h = first[n].view(2, 3)
        states = (h.numpy(), h.flip(0).numpy())
        expected, to_h, to_c, _ = naive(module.layer, x[n].numpy(), R[n].numpy(), first=states)
        at_states = to_h + (to_c[::-1] if kind == "lstm" else to_c)
        z = first[n].numpy()
        q = at_states.ravel() / np.array([stab(v) for v in z])
        expected[0] += x[n, 0].numpy() * (q @ module.first.weight.detach().numpy())
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-8, atol=1e-10)


def loop(self: nn.Module, x: Tensor) -> Tensor:
    """Run a cell over a sequence, and return its outputs and its last state."""
    state, outputs = None, []
    for t in range(x.shape[1]):
        state = self.cell(x[:, t], state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    last = state[1] if isinstance(state, tuple) else state
    return torch.cat([torch.stack(outputs, 1).flatten(1), last], 1)


CELLS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "lstm": (lambda: nn.LSTMCell(4, 3), lambda: nn.LSTM(4, 3, batch_first=True)),
    "gru": (lambda: nn.GRUCell(4, 3), lambda: nn.GRU(4, 3, batch_first=True)),
    "rnn": (lambda: nn.RNNCell(4, 3), lambda: nn.RNN(4, 3, batch_first=True)),
    "rnn, relu": (
        lambda: nn.RNNCell(4, 3, nonlinearity="relu"),
        lambda: nn.RNN(4, 3, nonlinearity="relu", batch_first=True),
    ),
    "lstm without bias": (
        lambda: nn.LSTMCell(4, 3, bias=False),
        lambda: nn.LSTM(4, 3, bias=False, batch_first=True),
    ),
}


@cache
def cells() -> dict[str, nn.Module]:
    made = {name: seeded(lambda b=build: Calls(loop, cell=b())) for name, (build, _) in CELLS.items()}
    trace_together(list(made.values()), signed(2, *SHAPE))
    return made


@pytest.mark.parametrize("name", list(CELLS))
def test_a_loop_of_cells_is_explained_as_the_layer_is(name: str) -> None:
    """Each step is an operation of its own there, and its states flow from one to the next."""
    net = cells()[name]
    whole = seeded(lambda: CELLS[name][1]())
    for part, tensor in net.cell.named_parameters():
        getattr(whole, f"{part}_l0").data.copy_(tensor)
    x = signed(3, *SHAPE, seed=1)
    R = signed(*net(x).shape, seed=2)
    found = check_handler(net, x, R)
    for n in range(3):
        outputs, last = R[n, :15].view(5, 3).numpy(), R[n, 15:].view(1, 3).numpy()
        arrived = (outputs, None, last) if "lstm" in name else (outputs, last)
        expected, _, _, _ = naive(whole, x[n].numpy(), *arrived)
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-8, atol=1e-10)


def test_every_operation_of_this_room_is_in_a_test() -> None:
    cases = [*modules().values(), *cells().values()]
    met = set().union(*(operations_in(module, signed(2, *SHAPE)) for module in cases))
    assert operations_of(recurrent) - met == set()


class DanQ(nn.Module):
    """Convolution, pooling and a recurrent layer in both directions, as in Quang and Xie 2016, but small."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5)
        self.lstm = nn.LSTM(8, 6, bidirectional=True)
        self.hidden, self.out = nn.Linear(12 * 5, 10), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.nn.functional.max_pool1d(self.conv(x).relu(), 4)
        h, _ = self.lstm(h.permute(2, 0, 1))
        return self.out(self.hidden(h.transpose(0, 1).flatten(1)).relu())


STRANDS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "one after the other": lambda s, x: s.read(torch.cat([x, x.flip(1, 2)])).view(2, x.shape[0], -1).sum(0),
    "in halves": lambda s, x: torch.add(*s.read(torch.cat([x, x.flip(1, 2)])).chunk(2)),
    "side by side": lambda s, x: s.read(torch.stack([x, x.flip(1, 2)], 1).flatten(0, 1)).view(x.shape[0], 2, -1).sum(1),
}


@pytest.mark.parametrize("name", list(STRANDS))
def test_both_strands_of_a_sequence_in_one_call_share_as_in_two(name: str) -> None:
    """The operation then has two rows a sequence, whose biases and stabilisers make one entry of the ledger."""

    def read(s: nn.Module, x: Tensor) -> Tensor:
        return s.layer(x.transpose(1, 2))[0].mean(1)

    layer = seeded(lambda: nn.LSTM(4, UNITS, bidirectional=True, batch_first=True))
    apart = Calls(lambda s, x: read(s, x) + read(s, x.flip(1, 2)), layer=layer)
    together = Calls(lambda s, x: STRANDS[name](s, x), layer=layer, read=Calls(read, layer=layer))
    x = one_hot(3, 6)
    R = signed(*apart(x).shape, seed=2)
    found, expected = back_through(together, x, R), back_through(apart, x, R)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-11, atol=1e-13)
    assert_balanced(found, R, 1e-12)
    for column in ("bias", "stabiliser"):
        torch.testing.assert_close(total_of(found, column), total_of(expected, column), rtol=1e-9, atol=1e-13)


def total_of(found, column: str) -> Tensor:
    """Sum a column of the ledger over the recurrent layers."""
    return torch.stack([row.numbers[column] for row in found.ledger.rows if row.op == "lstm"]).sum(0)


@cache
def danq() -> nn.Module:
    return seeded(DanQ, seed=4)


@pytest.mark.parametrize("pruning", [None, Pruning(p=0.4), Pruning(p=0.4, mode="matrix")], ids=repr)
def test_a_recurrent_net_balances_and_each_sequence_is_pruned_by_itself(pruning: Pruning | None) -> None:
    x = one_hot(3, 24)
    found = back_through(danq(), x, None, Epsilon(), pruning)
    assert_balanced(found, danq()(x).detach(), 1e-12)
    assert found.coefficient is not None
    for n in range(3):
        alone = back_through(danq(), x[n : n + 1], None, Epsilon(), pruning)
        torch.testing.assert_close(found.relevance[n], alone.relevance[0], rtol=1e-9, atol=1e-11)
        for row, own in zip(found.ledger.rows, alone.ledger.rows, strict=True):
            for column, numbers in row.numbers.items():
                assert float(numbers[n]) == pytest.approx(float(own.numbers[column][0]), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize(
    ("forward", "layer", "text"),
    [
        (lambda s, x: s.layer(x)[0], lambda: nn.LSTM(4, 3, proj_size=2, batch_first=True), "proj_size"),
        (
            lambda s, x: aten.gru.input(x, x.new_zeros(2, x.shape[0], 3), s.layer._flat_weights, *OPEN)[0],
            lambda: nn.GRU(4, 3, 2, batch_first=True),
            "dropout",
        ),
        (
            lambda s, x: aten.gru_cell(x[:, 0], x[:, 1, :3], s.layer.weight_ih * x.new_ones(9, 4), s.layer.weight_hh),
            lambda: nn.GRUCell(4, 3),
            "weights that depend on",
        ),
    ],
)
def test_what_a_recurrent_handler_can_not_serve_is_an_error_with_a_remedy(forward, layer, text: str) -> None:
    net = seeded(lambda: Calls(forward, layer=layer()))
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, *SHAPE)), net)
    assert caught.value.remedy


OPEN = (True, 2, 0.5, True, False, True)  # biases, layers, dropout, training, one direction, batch first


def test_first_states_are_made_where_the_plan_runs() -> None:
    """A model traced on one device and explained on another."""
    module, x = modules()["lstm, plain: output"], signed(2, *SHAPE)
    for device in (None, torch.device("meta")):
        plan = make_plan(graph_of(module, x), module, device=device)
        made = [step for step in plan.steps if step.op == "zeros"]
        assert len(made) == 2
        assert {step.kwargs["device"] for step in made} == {device or torch.device("cpu")}


@pytest.mark.parametrize("name", list(CASES))
def test_shapes_and_strides_in_a_trace_are_those_of_a_run(name: str) -> None:
    """A reshape of an output is traced by its strides."""
    kind, options = CASES[name]
    for batch_first in (False, True):
        layer = KINDS[kind](4, 3, batch_first=batch_first, **options)
        first = torch.zeros(layer.num_layers * (1 + layer.bidirectional), 5 if batch_first else 7, 3)
        states = (first, first + 1) if kind == "lstm" else first
        how = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional, batch_first)
        arguments = (torch.ones(5, 7, 4), states, layer._flat_weights, *how)
        op = "rnn_" + options.get("nonlinearity", "tanh") if kind == "rnn" else kind
        with torch.no_grad():
            real = getattr(aten, op).input(*arguments)
        for one, other in zip(real, results_of(*arguments), strict=True):
            assert (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_trace_does_not_take_long_sequences_apart(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes half a minute where it does."""

    def step(*args, **kwargs) -> None:
        raise AssertionError("a step was traced")

    for name in ("lstm_cell", "gru_cell"):
        monkeypatch.setattr(torch._decomp.decompositions, name, step)
    monkeypatch.setattr(torch._decomp.decompositions, "rnn_cell", lambda *a: step)
    net = seeded(lambda: Calls(lambda s, x: s.layer(x)[0].flatten(1), layer=KINDS[kind](4, 3, batch_first=True)))
    x = signed(2, 3000, 4)
    graph = trace(net, x)
    assert [node.op_name for node in graph.nodes if node.op_name in ("lstm", "gru", "rnn_tanh")]
    plan = make_plan(graph, net)
    with torch.inference_mode():
        torch.testing.assert_close(run_forward(plan, x).values[plan.graph.output], net(x), rtol=1e-12, atol=1e-12)


def test_what_tracers_of_others_use_is_put_back_and_not_changed_meanwhile() -> None:
    op = aten.lstm.input
    before = dict(op.py_kernels), torch._decomp.decomposition_table.get(op)
    layer = nn.LSTM(4, 3)
    zeros, how = torch.zeros(1, 2, 3), (True, 1, 0.0, False, False, False)
    arguments = (torch.ones(5, 2, 4), (zeros, zeros), layer._flat_weights, *how)
    elsewhere: list[Tensor] = []

    def in_another_thread() -> None:
        with torch.no_grad():
            elsewhere.append(torch._decomp.decomposition_table[op](*arguments)[0])

    def interrupted() -> None:
        with recurrent_shapes_only():
            worker = threading.Thread(target=in_another_thread)
            worker.start()
            worker.join()
            assert torch._decomp.decomposition_table[op](*arguments)[0].shape == (5, 2, 3)
            with torch.no_grad():
                assert torch.equal(op(*arguments)[0], layer(arguments[0])[0])  # what is run is not met
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (dict(op.py_kernels), torch._decomp.decomposition_table.get(op)) == before
    torch.testing.assert_close(elsewhere[0], layer(arguments[0])[0].detach())
