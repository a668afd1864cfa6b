"""What runs code of the maker of a saved program is refused unless it is trusted."""

from __future__ import annotations

import json
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
import sympy
import torch
import torch.utils._sympy.functions
from saved_programs import (
    CONSTANTS,
    FREE,
    INPUTS,
    PROGRAM,
    WEIGHTS,
    AnyLength,
    Marks,
    Net,
    Subclassed,
    dna,
    entries,
    in_json,
    pickled,
    rewritten,
    save,
    seeded,
)
from torch._export.serde.serialize import serialize
from torch_version import OLD_TORCH

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.models import load_model, load_program, program_archive


@pytest.mark.skipif(OLD_TORCH, reason="torch before 2.8 exports no model whose weights are of a class of their own")
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
    text = entries(path)[PROGRAM].decode()
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
    if not str(size).startswith(("Piecewise", "~")) and str(size) != "I":  # these never were; Identity's, by torch 2.6
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
