"""Names, options and reprs of methods and rules."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

import seqplrp as sp
from seqplrp.lrp import COMPOSITES, AlphaBeta, Epsilon, Flat, Gamma, Relative, WSquare, ZBox, ZPlus, composite
from seqplrp.methods import METHODS, RULES, options_of, parse_rule, resolve_method

INSTANCES = [
    sp.LRP(),
    sp.LRP(rule=Gamma(0.5), center="uniform"),
    sp.LRP(rule={"0": ZBox(-1, 1.5), "*": AlphaBeta(2, 1)}, reverse_complement=True),
    sp.PLRP(),
    sp.PLRP(p=0.25, p_neg=0.1, mode="matrix", tau=0.0),
    sp.PLRP(budget=0.75, rule=ZPlus(eps=1e-9)),
    sp.PLRP(p={"0": 0.25, "*": 0.5}, threshold="gain", gain=2.0, prune_input=True, rule=Relative()),
    sp.GradientTimesInput(center="composition"),
    sp.Saliency(reverse_complement=True),
    sp.NeuronMCT(max_change=0.15, readout="gradient"),
    sp.NeuronIntGrad(sparsity=0.8, steps=5),
    sp.SmoothGrad(over=sp.PLRP(p=0.25), draws=10, sigma=0.1, seed=3, center="uniform"),
    sp.Background(over="plrp", n_shuffles=5, by="position"),
    sp.DeepLIFTSHAP(n_shuffles=10, references=sp.shuffled_references),
    sp.ISM(reverse_complement=True),
    sp.IntegratedGradients(steps=20, baseline="shuffles", references=sp.shuffled_references),
    sp.Random(seed=1),
]


@pytest.mark.parametrize("method", INSTANCES, ids=str)
def test_a_repr_is_what_you_would_type(method) -> None:
    assert eval(repr(method), {name: getattr(sp, name) for name in sp.__all__}) == method


@pytest.mark.parametrize("method", INSTANCES, ids=str)
def test_methods_are_frozen(method) -> None:
    with pytest.raises(AttributeError):
        method.center = "uniform"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plrp", sp.PLRP()),
        ("lrp", sp.LRP()),
        ("r-lrp", sp.LRP(rule=Relative())),
        ("gradient-x-input", sp.GradientTimesInput()),
        ("gradient-correction", sp.GradientTimesInput(center="uniform")),
        ("saliency", sp.Saliency()),
        ("neuron-mct", sp.NeuronMCT()),
        ("neuron-intgrad", sp.NeuronIntGrad()),
        ("smoothgrad", sp.SmoothGrad(over="gradient-x-input")),
        ("background", sp.Background(over=sp.GradientTimesInput())),
        ("deeplift-shap", sp.DeepLIFTSHAP(n_shuffles=20)),
        ("ism", sp.ISM()),
        ("integrated-gradients", sp.IntegratedGradients(steps=50)),
        ("random", sp.Random()),
    ],
)
def test_strings_name_the_same_as_instances(name: str, expected) -> None:
    assert resolve_method(name) == expected
    assert resolve_method(expected) is expected


def test_every_registered_name_makes_a_method() -> None:
    for name in METHODS:
        assert isinstance(resolve_method(name, center="uniform").center, str)


def test_options_go_to_the_named_method() -> None:
    assert resolve_method("plrp", p=0.25, center="uniform") == sp.PLRP(p=0.25, center="uniform")
    assert resolve_method("r-lrp", reverse_complement=True) == sp.LRP(rule=Relative(), reverse_complement=True)
    assert resolve_method("r-lrp", rule=Epsilon()) == sp.LRP()


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("plpr", {}, r"did you mean 'plrp'\?"),
        ("PLRP", {}, r"did you mean 'plrp'\?"),
        ("gradient", {}, "gradient-x-input"),
        ("deep", {}, "use one of plrp, lrp, r-lrp"),
        ("", {}, "'' is not known"),
        (None, {}, "None is not known"),
        (sp.PLRP, {}, "is not known"),
        ("plrp", {"q": 0.5}, "has no option 'q'"),
        ("plrp", {"budgets": 0.5}, r"did you mean 'budget'\?"),
        ("lrp", {"p": 0.5}, "its options are attention, center, reverse_complement, rule"),
        ("saliency", {"rule": Epsilon()}, "has no option 'rule'"),
        (sp.PLRP(), {"p": 0.5}, "set them on the method"),
    ],
)
def test_unknown_names_and_options_are_told_with_what_is_known(name, options: dict, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        resolve_method(name, **options)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("epsilon", Epsilon()),
        ("Epsilon", Epsilon()),
        (" gamma ", Gamma()),
        ("gamma(0.5)", Gamma(0.5)),
        ("gamma(0.5, 1e-9)", Gamma(0.5, 1e-9)),
        ("zplus()", ZPlus()),
        ("alphabeta(3, 2)", AlphaBeta(3, 2)),
        ("flat", Flat()),
        ("wsquare", WSquare()),
        ("zbox(-1, 1)", ZBox(-1, 1)),
        ("relative", Relative()),
    ],
)
def test_rules_are_read_from_text(text: str, rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize("name", [name for name in COMPOSITES if name not in RULES])
def test_composites_are_read_by_name_and_place_what_they_are(name: str) -> None:
    assert parse_rule(f" {name.upper()} ") == name
    assert sp.LRP(rule=parse_rule(name)).rules() == composite(name)


def test_a_name_of_both_a_rule_and_a_composite_means_the_same() -> None:
    both = [name for name in COMPOSITES if name in RULES]
    assert both
    for name in both:
        assert parse_rule(name) == composite(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epsilon-pluss", r"did you mean 'epsilon-plus'\?"),
        ("epsilon-plus(1)", r"takes no numbers; write epsilon-plus"),
        ("default()", r"takes no numbers; write default"),
        ("gamma(-1)", r"^rule: 'gamma\(-1\)': gamma must be .*; use for example gamma\(0\.25\)"),
        ("epsilon(-1)", r"^rule: 'epsilon\(-1\)': the stabiliser"),
        ("gama", r"did you mean 'gamma'\?"),
        ("", "is not known"),
        ("gamma(", "is not known"),
        ("gamma(a)", "does not suit"),
        ("gamma(-1)", "gamma must be"),
        ("gamma(1, 2, 3)", "does not suit"),
        ("zbox", "does not suit"),
        ("zbox(1, 0)", "low is above high"),
        ("alphabeta(2, 2)", "alpha - beta"),
        ("relative(0.1)", "does not suit"),
        ("epsilon(nan)", "stabiliser"),
        ("__import__('os')", "is not known"),
    ],
)
def test_text_that_is_no_rule_is_an_error(text: str, message: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=message):
        parse_rule(text)


@pytest.mark.parametrize("name", METHODS)
def test_the_options_of_a_method_are_what_it_takes(name: str) -> None:
    method = resolve_method(name)
    assert set(options_of(name)) == {field.name for field in fields(method)}
    assert resolve_method(name, **{option: getattr(method, option) for option in options_of(name)}) == method


def test_every_rule_has_a_name() -> None:
    assert {type(parse_rule("zbox(0,1)" if name == "zbox" else name)) for name in RULES} == set(RULES.values())


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"p": 1.0}, "p"),
        ({"p": -0.1}, "p"),
        ({"p": "half"}, "p"),
        ({"p": {"*": 2}}, "p['*']"),
        ({"p": 0.5, "budget": 0.5}, "p, budget"),
        ({"budget": 1}, "budget"),
        ({"p_neg": 1.1}, "p_neg"),
        ({"mode": "mask"}, "mode"),
        ({"threshold": "top"}, "threshold"),
        ({"gain": -1.0}, "gain"),
        ({"tau": float("nan")}, "tau"),
        ({"center": "mean"}, "center"),
        ({"center": True}, "center"),
        ({"reverse_complement": "yes"}, "reverse_complement"),
        ({"prune_input": "yes"}, "prune_input"),
    ],
)
def test_an_impossible_value_of_plrp_is_named(values: dict, where: str) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.PLRP(**values)
    assert caught.value.where == where
    assert caught.value.remedy


def test_rules_may_hold_tensors_of_bounds() -> None:
    box = ZBox(torch.zeros(4, 1), torch.ones(4, 1))
    assert sp.LRP(rule={"0": box, "*": Epsilon()}).rule["0"] is box
