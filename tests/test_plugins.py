"""Plug-ins are found by name, late; what is wrong with one is told when it is asked for, and hurts nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from offered import installed_in, offer

import seqplrp as sp
from seqplrp import plugins
from seqplrp.methods import METHODS, RULES, options_of, parse_rule, resolve_method
from seqplrp.pipeline import FORMATS, parse_formats, plugin_states

GOOD = """
from dataclasses import dataclass
from seqplrp.lrp import Epsilon, Gamma
from seqplrp.methods import GradientTimesInput
from seqplrp.pipeline import Format

@dataclass(frozen=True, kw_only=True)
class Mine(GradientTimesInput):
    strength: float = 1.0

@dataclass(frozen=True)
class Leaky(Gamma):
    gamma: float = 0.01

def write(out, what):
    what.file(out, "mine", "txt").write_text("mine")

FORMAT = Format(write)
"""
BAD = """
from dataclasses import dataclass
from seqplrp.methods import Saliency
from seqplrp.pipeline import Format

@dataclass(frozen=True, kw_only=True)
class Asks(Saliency):
    must: int

NUMBER = 3
EMPTY = Format()
HUNGRY = Format(print, library="numpy")

@dataclass(frozen=True)
class NoEps:
    def branches(self, weight, bias):
        return ()
"""
POINTS = {
    "seqplrp.methods": {
        "mine": "good_module:Mine",
        "absent": "no_such_module:Thing",
        "leaves": "leaving_module:Thing",
        "number": "bad_module:NUMBER",
        "asks": "bad_module:Asks",
        "plrp": "good_module:Mine",
        "truth": "good_module:Mine",
        "Loud": "good_module:Mine",
        "twice": "good_module:Mine",
    },
    "seqplrp.rules": {"leaky": "good_module:Leaky", "gamma": "good_module:Leaky", "no-eps": "bad_module:NoEps",
                      "default": "good_module:Leaky", "three": "bad_module:NUMBER"},
    "seqplrp.formats": {"mine": "good_module:FORMAT", "npz": "good_module:FORMAT", "empty": "bad_module:EMPTY",
                        "hungry": "bad_module:HUNGRY"},
    "seqplrp.handlers": {"aten.relu.default": "good_module:Mine", "aten.lgamma.default": "good_module:Mine",
                         "relu": "good_module:Mine"},
    "console_scripts": {"mine": "good_module:main"},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    modules = {"good_module": GOOD, "bad_module": BAD, "leaving_module": "import sys\nsys.exit('bye')"}
    offer(folder, "Mixed_Bag", POINTS, modules, version="2.3")
    offer(folder, "other", {"seqplrp.methods": {"twice": "good_module:Mine"}})
    return folder


@pytest.fixture
def bag(place) -> Iterator[Path]:
    with installed_in(place):
        yield place


def test_names_of_ours_are_never_looked_up_among_plugins(monkeypatch) -> None:
    def looked_up() -> None:
        raise AssertionError("entry points were read")

    plugins.forget()
    monkeypatch.setattr(plugins, "distributions", looked_up)
    assert resolve_method("plrp", p=0.25) == sp.PLRP(p=0.25)
    assert parse_rule("gamma(0.5)") == sp.Gamma(0.5)
    assert parse_rule("epsilon-plus") == "epsilon-plus"
    assert sp.PLRP().rules() == sp.composite("default")
    assert parse_formats("npz,tsv") == ("npz", "tsv")
    with pytest.raises(AssertionError, match="were read"):
        resolve_method("perlp")


def test_nothing_of_a_plugin_is_imported_before_it_is_asked_for(place) -> None:
    code = (
        "import sys, seqplrp\n"
        "from seqplrp.cli import main\n"
        "assert main(['--help']) == 0 and main(['explain', '--help']) == 0\n"
        "from seqplrp.methods import METHODS\n"
        "assert 'mine' in METHODS and 'absent' in list(METHODS)\n"
        "assert 'good_module' not in sys.modules\n"
        "METHODS['mine']\n"
        "assert 'good_module' in sys.modules and 'bad_module' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(place)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_plugins_names_stand_behind_ours(bag) -> None:
    assert list(METHODS)[: len(METHODS.ours)] == list(METHODS.ours)
    assert set(METHODS) - set(METHODS.ours) == {"mine", "absent", "leaves", "number", "asks", "twice"}
    assert set(RULES) - set(RULES.ours) == {"leaky", "no-eps", "three"}
    assert set(FORMATS) - set(FORMATS.ours) == {"mine", "empty", "hungry"}
    assert len(FORMATS) == len(list(FORMATS))
    with pytest.raises(sp.SeqplrpError, match=r"random.*mine"):
        resolve_method("nobody")


def test_a_plugin_can_be_asked_for_wherever_ours_can(bag) -> None:
    method = resolve_method("mine", strength=2.0, center="uniform")
    assert (type(method).__name__, method.strength) == ("Mine", 2.0)
    assert options_of("mine") == ("center", "reverse_complement", "strength")
    with pytest.raises(sp.SeqplrpError, match=r"method mine: has no option 'strenght' \(did you mean 'strength'\?\)"):
        resolve_method("mine", strenght=2.0)
    assert sp.SmoothGrad(over="mine").inner == resolve_method("mine")
    rule = parse_rule("leaky(0.5)")
    assert (type(rule).__name__, rule.gamma) == ("Leaky", 0.5)
    assert sp.LRP(rule="leaky").rules() == parse_rule("LEAKY")
    assert sp.LRP(rule="zplus").rules() == sp.ZPlus()
    assert parse_formats("mine, npz") == ("mine", "npz")


BAG = "of the plug-in Mixed-Bag 2.3"
UNUSABLE = {
    "absent": (
        lambda: resolve_method("absent"),
        f"method: 'absent' {BAG} (no_such_module:Thing) can't be imported (ModuleNotFoundError: No module named "
        "'no_such_module'); repair it, or remove it: pip uninstall Mixed-Bag",
    ),
    "leaves": (lambda: resolve_method("leaves"), "can't be imported (SystemExit: bye)"),
    "number": (
        lambda: resolve_method("number"),
        "(bad_module:NUMBER) is no method: it does not extend seqplrp.methods.Method",
    ),
    "asks": (lambda: resolve_method("asks"), "can't be made without options (TypeError: "),
    "twice": (
        lambda: resolve_method("twice"),
        "method: 'twice' is offered by several plug-ins: Mixed-Bag 2.3 and other 1.0; pip uninstall Mixed-Bag or other",
    ),
    "over": (lambda: sp.Background(over="absent"), f"over: 'absent' {BAG}"),
    "no-eps": (lambda: parse_rule("no-eps"), "(bad_module:NoEps) is no rule: it has no eps"),
    "three": (lambda: parse_rule("three"), "(bad_module:NUMBER) is no rule"),
    "empty": (lambda: parse_formats("empty"), f"--formats: 'empty' {BAG} (bad_module:EMPTY) is no format"),
    "hungry": (lambda: parse_formats("hungry", "--to"), f"--to: 'hungry' {BAG} asks for the library"),
}


@pytest.mark.parametrize(("ask", "text"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_plugin_that_can_not_be_used_says_whose_it_is_when_it_is_asked_for(bag, ask, text: str) -> None:
    with pytest.raises(sp.SeqplrpError) as error:
        ask()
    assert text in str(error.value)


def test_no_plugin_replaces_what_is_ours(bag) -> None:
    assert resolve_method("plrp") == sp.PLRP()
    assert parse_rule("gamma") == sp.Gamma()
    assert parse_rule("default") == "default"
    assert FORMATS["npz"] is FORMATS.ours["npz"]
    assert FORMATS.plugin("npz") is None
    assert METHODS.plugin("mine") == plugins.Plugin("method", "mine", "Mixed-Bag", "2.3", "good_module:Mine")


def test_an_operations_handler_that_is_none_is_told_where_a_model_runs_it(bag) -> None:
    import torch

    class LogGamma(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.lgamma(x + 1).sum((1, 2))

    with pytest.raises(
        sp.SeqplrpError, match=r"^handler: 'aten.lgamma.default' of the plug-in Mixed-Bag 2.3 .*is no handler"
    ):
        sp.explain(LogGamma(), sp.one_hot(["ACGT"]), method="lrp")


def test_the_list_says_of_each_whether_it_can_be_used_and_why_not(bag) -> None:
    states = {(one.plugin.kind, one.plugin.name, one.plugin.distribution): one for one in plugin_states()}
    assert len(states) == 9 + 5 + 4 + 3 + 1, "all of one, and what the other has"
    usable = {key[:2] for key, one in states.items() if one.fault is None}
    assert usable == {("method", "mine"), ("rule", "leaky"), ("rule", "no-eps"), ("format", "mine")}
    reasons = {
        ("method", "plrp"): "has a name of seqplrp's own, which goes before",
        ("method", "truth"): "has a name of seqplrp's own",
        ("method", "Loud"): "has a name that nobody can type",
        ("rule", "gamma"): "has a name of seqplrp's own",
        ("rule", "default"): "has a name of seqplrp's own",
        ("format", "npz"): "has a name of seqplrp's own",
        ("handler", "aten.relu.default"): "is of an operation that seqplrp has a handler of",
        ("handler", "aten.lgamma.default"): "is no handler",
        ("handler", "relu"): "names no operation",
    }
    for key, text in reasons.items():
        assert text in str(states[(*key, "Mixed-Bag")].fault)


CHECKED = """
from dataclasses import dataclass
from seqplrp.lrp import Branch, Epsilon, Gamma, Term
from seqplrp.methods import Random
from seqplrp.pipeline import Format

class Leaky(Gamma):
    pass

@dataclass(frozen=True)
class TwoThirds(Epsilon):
    def branches(self, weight, bias):
        return (Branch((Term("input", weight),), bias, coefficient=2 / 3, is_forward=True),)

@dataclass(frozen=True)
class Box:
    low: float
    eps: float = 0.0
    def branches(self, weight, bias):
        return (Branch((Term("input", weight),), bias, is_forward=True),)

@dataclass(frozen=True, kw_only=True)
class Fails(Random):
    def attribute(self, prepared, batch):
        raise KeyError("oh")

def write(out, what):
    (out / "mine.txt").write_text("mine")

FORMAT = Format(write)
"""


def test_a_list_with_checks_holds_each_to_what_ours_are_held_to(tmp_path) -> None:
    points = {
        "seqplrp.methods": {"fails": "m:Fails"},
        "seqplrp.rules": {"leaky": "m:Leaky", "third": "m:TwoThirds", "box": "m:Box"},
        "seqplrp.formats": {"mine": "m:FORMAT"},
        "seqplrp.handlers": {"some.op.default": "h:H"},
    }
    handler = "from seqplrp.lrp import Handler\nclass H(Handler):\n    pass"
    offer(tmp_path, "checked", points, {"m": CHECKED, "h": handler})
    with installed_in(tmp_path):
        states = {one.plugin.name: one for one in plugin_states(check=True)}
    assert {name: one.told.split(";")[0] for name, one in states.items()} == {
        "fails": "fails its check",
        "leaky": "checked",
        "third": "fails its check",
        "box": "usable",
        "mine": "fails its check",
        "some.op.default": "usable",
    }
    assert "KeyError: 'oh'" in str(states["fails"].fault)
    assert "sum to 0.666667" in str(states["third"].fault)
    assert "no file has '.CTCF' in its name" in str(states["mine"].fault)


def test_a_distribution_whose_entry_points_can_not_be_read_hides_no_other(tmp_path) -> None:
    offer(tmp_path, "garbled", {})
    (tmp_path / "garbled-1.0.dist-info" / "entry_points.txt").write_bytes(b"[seqplrp.methods]\nx = \xff\xfe\n")
    (tmp_path / "nameless-1.0.dist-info").mkdir()  # what an installation that was stopped may leave
    offer(tmp_path, "good", {"seqplrp.methods": {"mine": "good_still:Mine"}}, {"good_still": GOOD})
    with installed_in(tmp_path):
        assert type(resolve_method("mine")).__name__ == "Mine"
        assert [one.distribution for one in plugins.unreadable()] == ["garbled"]


def test_a_misspelt_group_is_told_with_the_right_one_and_hides_no_other(tmp_path) -> None:
    points = {"seqplrp.method": {"one": "good_spelt:Mine"}, "seqplrp.methods": {"two": "good_spelt:Mine"}}
    offer(tmp_path, "spelt", points, {"good_spelt": GOOD})
    with installed_in(tmp_path):
        assert type(resolve_method("two")).__name__ == "Mine"
        (told,) = plugins.unreadable()
    assert told.what == "its entry points of the group 'seqplrp.method' are not read"
    assert told.remedy == "name the group seqplrp.methods"


def test_forget_sees_what_was_installed_since(tmp_path) -> None:
    with installed_in(tmp_path):
        assert "late" not in METHODS
        offer(tmp_path, "late", {"seqplrp.methods": {"late": "good_late:Mine"}}, {"good_late": GOOD})
        assert "late" not in METHODS
        plugins.forget()
        assert "late" in METHODS


def test_what_a_thing_is_made_of_tells_whose_plugins_it_takes(bag) -> None:
    mine = plugins.Plugin("method", "mine", "Mixed-Bag", "2.3", "good_module:Mine")
    leaky = plugins.Plugin("rule", "leaky", "Mixed-Bag", "2.3", "good_module:Leaky")
    assert plugins.of(sp.PLRP(), {"a": [sp.Gamma()]}) == ()
    assert plugins.of(sp.SmoothGrad(over="mine")) == (mine,)
    assert plugins.of(sp.PLRP(rule={"0": sp.Gamma(), "*": parse_rule("leaky")})) == (leaky,)
