"""Saved programs: explained exactly as the modules that they were made of, and loaded without running their code."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import sympy
import torch
import torch.utils._sympy.functions
from saved_programs import (
    FREE,
    FREE_BATCH,
    LENGTH,
    AnyLength,
    ChannelsLast,
    Marks,
    Net,
    Subclassed,
    TwoOutputs,
    WithControl,
    fresh,
    in_json,
    pickled,
    rewritten,
    save,
    seeded,
)
from torch._export.serde.serialize import serialize

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.models import load_model, load_program, program_archive, program_inputs

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
INPUTS = "data/sample_inputs/model.pt"


def dna(n: int, length: int = LENGTH) -> torch.Tensor:
    letters = np.random.default_rng(5).choice(list("ACGTN"), size=(n, length))
    return sp.one_hot(["".join(row) for row in letters])


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def free(place) -> Path:
    """`Net` with a free batch size."""
    return save(seeded(Net), place / "free.pt2")


@pytest.fixture(scope="module")
def fixed(place) -> Path:
    """`Net` for three sequences at a time."""
    return save(seeded(Net), place / "fixed.pt2", free=None)


@pytest.fixture(scope="module")
def programs(free, fixed):
    """Both, loaded once."""
    return {"free": load_model(free), "fixed": load_model(fixed)}


# --- explained as the module is


@pytest.mark.parametrize(
    "method",
    [sp.PLRP(p=0.4), sp.LRP(rule="epsilon-gamma-box"), sp.GradientTimesInput()],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("kind", ["free", "fixed"])
def test_a_program_explains_to_the_bit_as_the_module_does(programs, kind, method):
    x = dna(6)
    ours = sp.explain(programs[kind], x, target=1, method=method, batch_size=3)
    theirs = sp.explain(seeded(Net), x, target=1, method=method, batch_size=3)
    assert torch.equal(ours.relevance, theirs.relevance)
    assert torch.equal(ours.output, theirs.output)
    if theirs.has_hypothetical:
        assert torch.equal(ours.hypothetical, theirs.hypothetical)
    if not theirs.ledger.empty:
        columns = ["layer", "op", "rule", "relevance_out", "relevance_in", "bias", "pruned"]
        assert ours.ledger[columns].equals(theirs.ledger[columns])


def test_a_batch_that_does_not_fill_a_programs_own_is_filled_up_and_cut_again(programs):
    program = programs["fixed"]
    assert program_inputs(program) == ((3, 4, LENGTH),)
    assert program_inputs(programs["free"]) == ((None, 4, LENGTH),)
    x = dna(7)
    ours, theirs = (sp.explain(m, x, target="predicted", batch_size=3) for m in (program, seeded(Net)))
    assert torch.equal(ours.target, theirs.target)
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-7)
    assert ours.ledger["sequence"].tolist() == theirs.ledger["sequence"].tolist()
    ours.check()


@pytest.mark.parametrize("kind", ["free", "fixed"])
def test_the_plan_has_the_modules_own_paths(programs, kind):
    ours = sp.Explainer(programs[kind], dna(1))
    theirs = sp.Explainer(seeded(Net), dna(1))
    assert [(layer.path, layer.op, layer.position, layer.rule) for layer in ours.layers] == [
        (layer.path, layer.op, layer.position, layer.rule) for layer in theirs.layers
    ]
    layers = ours(dna(2), target=0, layers=["norm", "body.1"]).layers
    expected = theirs(dna(2), target=0, layers=["norm", "body.1"]).layers
    for name, relevance in expected.items():
        torch.testing.assert_close(layers[name], relevance, rtol=1e-5, atol=1e-7)


def test_a_callable_target_picks_one_of_two_outputs(place):
    net = fresh(TwoOutputs)
    net.load_state_dict(seeded(Net).state_dict())
    x, expected = dna(3), sp.explain(seeded(Net), dna(3), target=1)
    for name, free in (("two", FREE_BATCH), ("two3", None)):
        program = load_model(save(net, place / f"{name}.pt2", free=free))
        ours = sp.explain(program, x, target=lambda outputs: outputs["counts"][:, 1])
        assert torch.equal(ours.relevance, expected.relevance)
        with pytest.raises(SeqplrpError, match="2 values"):
            sp.explain(program, x)


class Pooled(torch.nn.Module):
    """Has axes as long as its batch, and reduces one."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(4, 6, 5)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(2))


class Mixing(Pooled):
    def forward(self, x):
        scores = super().forward(x)
        return scores - scores.mean(0)


class Moving(Pooled):
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).permute(2, 0, 1).amax(0))


class Doubled(Pooled):
    """Puts its sequences among others, and takes them out again, by numbers that say nothing of the batch."""

    def forward(self, x):
        both = torch.cat([x, torch.zeros_like(x[:1])])
        return super().forward(both)[: x.shape[0]]


@pytest.mark.parametrize("size", [1, 2, 6])
def test_a_fixed_batch_is_told_from_axes_of_the_same_size(place, size):
    path = save(seeded(Pooled), place / "pooled.pt2", (size, 4, LENGTH), free=None)
    ours, theirs = (sp.explain(m, dna(7), target=0, batch_size=size) for m in (load_model(path), seeded(Pooled)))
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-8)
    ours.check()


@pytest.mark.parametrize("size", [1, 2, 6])
def test_a_fixed_batch_that_is_moved_is_followed(place, size):
    path = save(seeded(Moving), place / "moving.pt2", (size, 4, LENGTH), free=None)
    ours, theirs = (sp.explain(m, dna(7), target=0, batch_size=size) for m in (load_model(path), seeded(Moving)))
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-8)
    ours.check()


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Mixing, "fixed batch size|over the batch"), (Doubled, r"export it with a free batch size: .*Dim\.AUTO")],
)
def test_a_fixed_batch_that_is_mixed_or_lost_is_refused(place, kind, said):
    program = load_model(save(seeded(kind), place / "refused.pt2", free=None))
    with pytest.raises(SeqplrpError, match=said):
        sp.explain(program, dna(2), target=0)


def test_channels_last(place):
    program = load_model(save(seeded(ChannelsLast), place / "nlc.pt2", (3, LENGTH, 4)))
    ours = sp.explain(program, dna(4), target=0, layout="NLC")
    assert torch.equal(ours.relevance, sp.explain(seeded(Net), dna(4), target=0).relevance)
    with pytest.raises(SeqplrpError, match=rf"exported for \(N, {LENGTH}, 4\)"):
        sp.explain(program, dna(4), target=0)


def test_a_program_saved_in_double_precision_computes_in_it(place):
    net = fresh(Net).double()
    program = load_model(save(net, place / "double.pt2", dtype=torch.float64))
    x = dna(4).double()
    ours = sp.explain(program, x, target=0)
    assert torch.equal(ours.relevance, sp.explain(net, x, target=0).relevance)
    ours.check(1e-12)
    assert sp.explain(program, x.float(), target=0).relevance.dtype == torch.float32


def test_a_free_length_stays_free(place):
    net = seeded(AnyLength)
    program = load_model(save(net, place / "any.pt2", free=FREE))
    explainer = sp.Explainer(program, dna(1))
    for length in (LENGTH, LENGTH + 7, 22):
        expected = sp.explain(net, dna(2, length), target=1)
        torch.testing.assert_close(
            explainer(dna(2, length), target=1).relevance, expected.relevance, rtol=1e-4, atol=1e-7
        )


def test_a_fixed_length_is_said(programs):
    with pytest.raises(SeqplrpError, match=r"\(1, 4, 20\), exported for \(N, 4, 30\)"):
        sp.explain(programs["free"], dna(1, 20), target=0)


def test_further_inputs_are_held_fixed(place):
    net = seeded(WithControl)
    path = save(net, place / "control.pt2", (3, 4, LENGTH), (3, 2, 10), free=(*FREE_BATCH, *FREE_BATCH))
    control = torch.rand(2, 2, 10)
    ours, theirs = (
        sp.explain(model, dna(2), target=0, method="lrp", args=(control,)) for model in (load_model(path), net)
    )
    assert torch.equal(ours.relevance, theirs.relevance)
    assert theirs.ledger["fixed_inputs"].abs().sum() > 0
    assert ours.ledger["fixed_inputs"].equals(theirs.ledger["fixed_inputs"])


def test_explaining_leaves_a_program_as_it_was(free):
    program = load_model(free)
    before = {name: value.clone() for name, value in program.state_dict().items()}
    code, training = program.exported.graph_module.code, program.training
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in program.modules()]
    sp.explain(program, dna(2), target=0)
    with pytest.raises(SeqplrpError):
        sp.explain(program, dna(2), target=9)
    after = program.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (program.exported.graph_module.code, program.training) == (code, training)
    assert all(p.grad is None for p in program.parameters())
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in program.modules()]


def test_an_ensemble_may_hold_programs_and_modules(programs):
    x = dna(3)
    both = sp.explain([*programs.values(), seeded(Net)], x, target=0)
    torch.testing.assert_close(both.relevance, sp.explain(seeded(Net), x, target=0).relevance, rtol=1e-5, atol=1e-7)
    assert float(both.relevance_spread.max()) < 1e-6


# --- what runs code of the file's maker is refused unless trusted


def test_a_tensor_subclass_asks_for_pickle_and_explains_where_trusted(place):
    path = save(seeded(Subclassed), place / "subclass.pt2")
    with pytest.raises(SeqplrpError) as refused:
        load_model(path)
    assert refused.value.where == str(path)
    assert "data/weights/weight_" in refused.value.what
    assert "asks for pickle" in refused.value.what
    assert "--trust-pickle (trust_pickle=True)" in refused.value.remedy
    ours = sp.explain(load_model(path, trust_pickle=True), dna(2), target=3)
    assert torch.equal(ours.relevance, sp.explain(seeded(Subclassed), dna(2), target=3).relevance)


def payload(name: str, path_name: str, **stored):
    """Change a list of weights or constants: an entry of this name is kept in this record."""

    def edit(found):
        found["config"][name] = {"path_name": path_name, "is_param": False, "use_pickle": True, "tensor_meta": None}
        found["config"][name] |= stored

    return in_json(edit)


def kept_in_pickle(free: Path, to: Path, mark: Path, kind: str) -> Path:
    evil = pickled({"head.bias": Marks(mark)})
    if kind == "weight":
        return rewritten(free, to, {WEIGHTS: payload("extra", "weight_99")}, {"data/weights/weight_99": evil})
    if kind == "constant":
        return rewritten(free, to, {CONSTANTS: payload("extra", "tensor_9")}, {"data/constants/tensor_9": evil})
    if kind == "object":
        raw = pickle.dumps(Marks(mark))
        change = {CONSTANTS: payload("extra", "opaque_obj_0")}
        return rewritten(free, to, change, {"data/constants/opaque_obj_0": raw})
    if kind == "sample inputs":
        return rewritten(free, to, {INPUTS: lambda _: evil})
    if kind == "all weights":
        return rewritten(free, to, {WEIGHTS: lambda _: None}, {"data/weights/model.pt": evil})
    assert kind == "all constants"
    return rewritten(free, to, {CONSTANTS: lambda _: None}, {"data/constants/model.pt": evil})


@pytest.mark.parametrize("kind", ["weight", "constant", "object", "sample inputs", "all weights", "all constants"])
def test_no_pickle_is_loaded_unless_trusted(free, tmp_path, kind):
    mark = tmp_path / "mark"
    path = kept_in_pickle(free, tmp_path / "evil.pt2", mark, kind)
    with pytest.raises(SeqplrpError, match=r"evil\.pt2: its entry data/\S+ .*asks for pickle.*--trust-pickle"):
        load_program(path)
    assert not mark.exists()
    with suppress(SeqplrpError):  # what comes of it may be no program any more, but the code has run
        load_program(path, trust_pickle=True)
    assert mark.exists(), "the file was harmless, so the test says nothing"


def in_old_layout(path: Path, to: Path, mode: Literal["w", "a"] = "w", **parts: bytes) -> Path:
    """Write a program as torch 2.6 and 2.7 did: its parts side by side in a zip archive, or behind what is there."""

    saved = serialize(torch.export.load(path))
    content = {
        "version": b"8.0",
        "serialized_exported_program.json": saved.exported_program,
        "serialized_state_dict.pt": saved.state_dict,
        "serialized_constants.pt": saved.constants,
        "serialized_example_inputs.pt": saved.example_inputs,
    }
    with zipfile.ZipFile(to, mode) as archive:
        for name, value in (content | {name.replace("_pt", ".pt"): value for name, value in parts.items()}).items():
            archive.writestr(name, value)
    return to


def test_an_older_torchs_layout_is_read_and_looked_through_too(free, tmp_path):
    program = load_program(in_old_layout(free, tmp_path / "old.pt2"))
    assert torch.equal(
        sp.explain(program, dna(2), target=0).relevance, sp.explain(seeded(Net), dna(2), target=0).relevance
    )
    mark = tmp_path / "mark"
    path = in_old_layout(free, tmp_path / "evil.pt2", serialized_state_dict_pt=pickled({"x": Marks(mark)}))
    with pytest.raises(SeqplrpError, match=r"its entry serialized_state_dict\.pt asks for pickle"):
        load_program(path)
    assert not mark.exists()


def test_an_old_layout_behind_a_new_one_is_looked_through(free, tmp_path):
    """torch falls back to the old layout where the new one fails to load."""
    mark, path = tmp_path / "mark", tmp_path / "both.pt2"
    path.write_bytes(free.read_bytes())
    in_old_layout(free, path, "a", serialized_constants_pt=pickled({"x": Marks(mark)}))
    with pytest.raises(SeqplrpError, match=r"its entry serialized_constants\.pt asks for pickle"):
        load_program(path)
    assert not mark.exists()
    with suppress(SeqplrpError):
        load_program(path, trust_pickle=True)
    assert mark.exists()


def call(mark: Path) -> str:
    return f"__import__('os').mkdir('{mark}')"


def set_guard(text):
    return in_json(lambda program: program["guards_code"].append(text))


def set_argument(text):
    def edit(program):
        program["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [text]

    return in_json(edit)


def set_size(make):
    """Replace every size that is no number by what is made of it."""

    def edit(value):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key == "expr_str":
                value[key] = make(item)
            elif isinstance(item, dict | list):
                edit(item)

    return in_json(edit)


def renamed_value(old, new):
    def edit(value):
        if isinstance(value, dict):
            return {
                (new if key == old else key): (new if key == "name" and item == old else edit(item))
                for key, item in value.items()
            }
        return [edit(item) for item in value] if isinstance(value, list) else value

    return lambda content: json.dumps(edit(json.loads(content))).encode()


def set_in_graph(path, value):
    """Set a value deep in the program: keys and places from the top."""

    def edit(program):
        place = program["graph_module"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return in_json(edit)


HARMFUL = {
    "size": lambda mark: set_size(lambda size: f"{size} + 0*{call(mark)}"),
    "size by text in a number": lambda mark: set_size(lambda size: f'Max({size}, "{call(mark)}")'),
    "size by letters": lambda mark: set_size(lambda size: "eval(chr(49))"),
    "guard": lambda mark: set_guard(f"{call(mark)} == 0"),
    "guard of two lines": lambda mark: set_guard(f"True)\n  {call(mark)}\n  torch._assert(True"),
    "guard through an input": lambda mark: set_guard("L['x'].__class__.__mro__ == 0"),
    "name of an input": lambda mark: set_argument(f"x={call(mark)}"),
    "name of a value": lambda mark: renamed_value("x", f"x={call(mark)}"),
    "name of a weight": lambda mark: set_in_graph(
        ("signature", "input_specs", 0, "parameter", "parameter_name"), f'conv"), {call(mark)}, ("'
    ),
    "a module to import": lambda mark: set_in_graph(
        ("module_call_graph", 0, "signature", "out_spec"),
        json.dumps(
            [
                1,
                {
                    "type": "builtins.dict",
                    "context": json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "y"}]),
                    "children_spec": [{"type": None, "context": None, "children_spec": []}],
                },
            ]
        ),
    ),
    "an operation of another library": lambda mark: set_in_graph(
        ("graph", "nodes", 0, "target"), "torch.ops.image.write_file.default"
    ),
    "an operation on files": lambda mark: set_in_graph(
        ("graph", "nodes", 0, "target"), "torch.ops.aten.from_file.default"
    ),
    "a function of torch's": lambda mark: set_in_graph(("graph", "nodes", 0, "target"), "torch.hub.load"),
    "an operator as an argument": lambda mark: set_in_graph(
        ("graph", "nodes", 0, "inputs", 0, "arg"), {"as_operator": "torch.hub.load"}
    ),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_text_that_torch_would_run_as_code_is_refused(free, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    path = rewritten(free, tmp_path / "evil.pt2", {PROGRAM: HARMFUL[kind](mark)})
    with pytest.raises(SeqplrpError, match=r"evil\.pt2: its entry models/model\.json holds .*; give --trust-pickle"):
        load_program(path)
    assert not mark.exists()
    if kind in ("size", "size by text in a number", "guard", "name of a value"):
        with suppress(Exception):  # whatever comes of it, the code has run by then
            load_program(path, trust_pickle=True)(dna(3))
        assert mark.exists(), "torch does not run this, so the test says nothing"


def test_compiled_code_is_refused(free, tmp_path):
    path = rewritten(free, tmp_path / "code.pt2", {}, {"data/aotinductor/model/code.so": b"\x7fELF"})
    with pytest.raises(SeqplrpError, match=r"compiled code.*--trust-pickle"):
        load_program(path)


def test_what_torch_writes_for_free_sizes_is_let_through(place):
    path = save(seeded(AnyLength), place / "sizes.pt2", free=FREE)
    with zipfile.ZipFile(path) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith(PROGRAM))).decode()
    assert all(word in text for word in ("FloorDiv(", "Max(", "Add(", "Mul("))
    assert json.loads(text)["guards_code"]
    assert torch.equal(load_program(path)(dna(2, 50)), seeded(AnyLength)(dna(2, 50)))


def sizes():
    s, t = sympy.Symbol("s0", integer=True, positive=True), sympy.Symbol("s77", integer=True)
    f = torch.utils._sympy.functions
    return [
        s, s + t - 3, 2 * s * t, s**2, s / 2, sympy.Max(s, t, 1), sympy.floor(s / 3), sympy.ceiling(s / 3), sympy.oo,
        sympy.sqrt(s), sympy.Float(1.5) * s, sympy.Abs(t), sympy.Eq(s, t), sympy.Ne(s, 3), (s > 3) & (t < 5), ~(s > 3),
        sympy.Piecewise((s, s > 2), (t, True)), f.FloorDiv(s, 3), f.ModularIndexing(s, 2, 3), f.Mod(s, 3),
        f.PythonMod(t, 3), f.CleanDiv(s, 3), f.CeilToInt(s / 3), f.FloorToInt(s / 3), f.IntTrueDiv(s, t), f.Min(s, t),
        f.PowByNatural(s, t), f.FloatTrueDiv(s, t), f.TruncToInt(s / 3), f.RoundToInt(s / 3), f.ToFloat(s), f.Max(s, t),
        f.Where(s > 3, s, t), f.LShift(s, 2), f.RShift(s, 2), f.Identity(s), sympy.true, sympy.Integer(-7),
    ]  # fmt: skip


@pytest.mark.parametrize("size", sizes(), ids=str)
def test_every_form_of_a_size_is_let_through(size):
    """As torch 2.15 writes it, and as older ones did: the plain text."""
    assert program_archive._is_size(sympy.srepr(size))
    if not str(size).startswith(("Piecewise", "~")):  # these never were
        assert program_archive._is_size(str(size))


@pytest.mark.parametrize(
    "guard",
    [
        "L['x'].size()[2] >= 5",
        "((-4) + L['x'].size()[2]) != 1",
        "torch.sym_max(1, (-2) + L['c'].size()[2]) == ((-2) + L['c'].size()[2])",
        "4*L['x'].size()[0]*((-2) + L['x'].size()[2]) >= 2",
        "L['args'][0].size()[1] % 2 == 0 and not L['x'].ndim == 3",
        "L['x'].stride()[0] // 3 <= math.floor(L['x'].size()[1] / 2)",
        "L['inputs']['seq'].size()[0] == 1",
        "torch.sym_ite(L['x'].size()[0] > 3, 1, 2) < 9223372036854775807",
    ],
)
def test_every_form_of_a_guard_is_let_through(guard):
    assert program_archive._is_guard(guard)


@pytest.mark.parametrize(
    "text",
    [
        "open('x')", "().__class__", "L.__init__()", "lambda: 0", "[1][0]", "x if y else z", "f'{1}'", "L['x'].size",
        "1 #", "(yield)", "print(1)", "L['x'].apply_(1)", "torch.load(1)", "max(L, key=exit)", "L['__import__(1)']",
        "s.a", "", "1;2", "Symbol('exit()')", "Float('exit()')", "Max(*s0)",
    ],
)  # fmt: skip
def test_no_other_code_is_a_size_or_a_guard(text):
    assert not program_archive._is_size(text)
    assert not program_archive._is_guard(text)


# --- what is no program, is damaged, or can't be explained


def other_files(place: Path) -> dict[str, bytes]:
    arrays, plain = io.BytesIO(), io.BytesIO()
    np.savez(arrays, a=np.zeros(3))
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.txt", "text")
    return {
        "empty": b"",
        "text": b">a\nACGT\n",
        "npz": arrays.getvalue(),
        "zip": plain.getvalue(),
        "state_dict": pickled(seeded(Net).state_dict()),
        "start_of_a_zip": b"PK\x03\x04",
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "is no saved program: it is no zip archive"),
        ("text", "is no saved program: it is no zip archive"),
        ("npz", "is no saved program: it holds no program of torch"),
        ("zip", "is no saved program: it holds no program of torch"),
        ("state_dict", "is no saved program but what torch.save writes"),
        ("start_of_a_zip", "is cut short or damaged"),
    ],
)
def test_a_file_that_is_no_program_is_told_what_it_is(tmp_path, kind, said):
    path = tmp_path / "x.pt2"
    path.write_bytes(other_files(tmp_path)[kind])
    with pytest.raises(SeqplrpError, match=said) as refused:
        load_model(path)
    assert refused.value.where == str(path)


def test_a_path_with_nothing_there_is_told(tmp_path):
    with pytest.raises(SeqplrpError, match="there is no such directory or file"):
        load_model(tmp_path / "none.pt2")
    with pytest.raises(SeqplrpError, match="there is no such file"):
        load_program(tmp_path / "none.pt2")
    with pytest.raises(SeqplrpError, match="is a directory"):
        load_program(tmp_path)


def test_a_file_cut_short_anywhere_is_a_mendable_error(free, tmp_path):
    whole, path = free.read_bytes(), tmp_path / "cut.pt2"
    for kept in np.linspace(1, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:kept])
        with pytest.raises(SeqplrpError, match=r"cut\.pt2: "):
            load_program(path)


def refusal(path: Path) -> str | None:
    """Load a program; return where a mendable error says it is wrong."""
    try:
        load_program(path)
    except SeqplrpError as error:
        return error.where
    return None


def test_changed_bytes_load_or_are_a_mendable_error(free, tmp_path):
    whole, path = bytearray(free.read_bytes()), tmp_path / "changed.pt2"
    rng = np.random.default_rng(0)
    refused = 0
    for at, value in zip(rng.integers(0, len(whole), 60), rng.integers(0, 256, 60), strict=True):
        changed = whole.copy()
        changed[at : at + 3] = bytes([value] * len(changed[at : at + 3]))
        path.write_bytes(changed)
        where = refusal(path)
        refused += where is not None
        assert where in (None, str(path))
    assert refused > 10


def test_parts_left_out_are_a_mendable_error(free, tmp_path):
    with zipfile.ZipFile(free) as archive:
        names = [name.split("/", 1)[1] for name in archive.namelist()]
    for number, name in enumerate(names):
        path = rewritten(free, tmp_path / f"{number}.pt2", {name: lambda _: None})
        if name.startswith(".data") or name == "byteorder":
            continue  # the writer makes them
        assert refusal(path) == str(path), name


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda p: p["schema_version"].update(major=99), r"was saved by torch 2\S* in format 99.*reads format \d+"),
        (lambda p: p.update(torch_version="9.1.0", schema_version=None), r"torch 9\.1\.0 in format None"),
        (lambda p: p.pop("graph_module"), "can't be loaded as a program"),
        (
            lambda p: p["graph_module"]["graph"]["nodes"][0].update(target="torch.ops.aten.noise.x"),
            "torch.ops.aten.noise",
        ),
        (lambda p: p["graph_module"]["graph"]["nodes"].pop(), "can't be loaded as a program: "),
    ],
)
def test_a_program_of_another_torch_or_a_broken_one_says_why(free, tmp_path, edit, said):
    path = rewritten(free, tmp_path / "other.pt2", {PROGRAM: in_json(edit)})
    with pytest.raises(SeqplrpError, match=said) as refused:
        load_program(path)
    assert "export" in refused.value.remedy


def test_an_archive_of_a_newer_kind_says_why(free, tmp_path):
    path = rewritten(free, tmp_path / "new.pt2", {"archive_version": lambda _: b"12"})
    with pytest.raises(SeqplrpError, match="archive version 12"):
        load_program(path)


def test_loading_prints_and_logs_nothing(free, tmp_path, capfd, caplog):
    load_program(free)
    path = rewritten(free, tmp_path / "broken.pt2", {PROGRAM: in_json(lambda p: p.pop("graph_module"))})
    with pytest.raises(SeqplrpError):
        load_program(path)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_program_under_another_name_is_said(free, tmp_path):
    path = rewritten(free, tmp_path / "named.pt2", {PROGRAM: lambda _: None}, {"models/other.json": b"{}"})
    with pytest.raises(SeqplrpError, match="none named 'model'"):
        load_program(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_program_of_a_gpu_is_refused_without_one(free, tmp_path):
    path = rewritten(free, tmp_path / "gpu.pt2", {PROGRAM: lambda text: text.replace(b'"cpu"', b'"cuda"')})
    with pytest.raises(SeqplrpError, match=r"exported on a GPU.*model\.cpu"):
        load_program(path)


class ByName(Net):
    def forward(self, x, *, scale):
        return super().forward(x) * scale


class Packed(Net):
    def forward(self, inputs):
        return super().forward(inputs["x"])


class Number(Net):
    def forward(self, x, times):
        return super().forward(x) * times


def test_programs_that_can_not_be_explained_say_what_to_export(tmp_path):
    x, path = torch.zeros(3, 4, LENGTH), tmp_path / "x.pt2"
    exports = {
        "by name": lambda: torch.export.export(seeded(ByName), (x,), {"scale": torch.ones(())}),
        "a dictionary": lambda: torch.export.export(seeded(Packed), ({"x": x},)),
        "takes 2, which is no tensor": lambda: torch.export.export(seeded(Number), (x, 2)),
        "training mode": lambda: torch.export.export(fresh(Net).train(), (x,)),
        "weights in torch.bfloat16": lambda: torch.export.export(fresh(Net).bfloat16(), (x.bfloat16(),)),
    }
    for said, export in exports.items():
        torch.export.save(export(), path)
        with pytest.raises(SeqplrpError, match=said) as refused:
            load_program(path)
        assert refused.value.where == str(path)


def test_a_name_of_any_ending_is_taken(free, tmp_path):
    path = tmp_path / "program.bin"
    path.write_bytes(free.read_bytes())
    assert load_model(os.fspath(path))(dna(3)).shape == (3, 2)
