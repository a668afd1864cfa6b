"""Rules go where they are placed, and the plan's table says where."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from itertools import pairwise

import pytest
from nets import seeded, sequences
from torch import nn

import seqplrp as sp

X24 = sequences(4, 24, seed=5)


def placed(explainer: sp.Explainer) -> dict[str, str]:
    """Read the rules off the printed table."""
    lines = str(explainer).splitlines()
    head = lines[1]
    columns = [head.index(name) for name in ("step", "layer", "op", "rule", "pruned here")]
    found = {}
    for line in lines[2:]:
        layer, op, rule = (line[a:b].strip() for a, b in pairwise(columns[1:]))
        if "conv" in op or "linear" in op:
            found[layer if layer not in found else f"{layer} again"] = rule
    return found


@cache
def plain_net() -> nn.Module:
    def build() -> nn.Module:
        named = {
            "c1": nn.Conv1d(4, 6, 5),
            "r1": nn.ReLU(),
            "c2": nn.Conv1d(6, 6, 3),
            "r2": nn.ReLU(),
            "flat": nn.Flatten(),
            "f1": nn.Linear(6 * 18, 5),
            "r3": nn.ReLU(),
            "f2": nn.Linear(5, 3),
        }
        return nn.Sequential(OrderedDict(named))

    return seeded(build, seed=15)


E, G, Z, W, R = sp.Epsilon(), sp.Gamma(), sp.ZPlus(), sp.WSquare(), sp.Relative()
BOX = sp.ZBox(0.0, 1.0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("epsilon", (E, E, E, E)),
        ("epsilon-plus", (Z, Z, E, E)),
        ("epsilon-gamma-box", (BOX, G, E, E)),
        ("gamma", (G, G, G, G)),
        ("relative", (R, R, R, R)),
        ({"@first": W, "*": E}, (W, E, E, E)),
        ({"@last": G, "*": E}, (E, E, E, G)),
        ({"@conv": Z, "@linear": R}, (Z, Z, R, R)),
        ({"@conv1d": G, "*": E}, (G, G, E, E)),
        ({"f?": Z, "c2": G, "*": E}, (E, G, Z, Z)),
        ({"c*": G, "c1": W, "@linear": E}, (G, G, E, E)),
    ],
    ids=str,
)
def test_rules_are_placed_where_they_say(rule, expected: tuple) -> None:
    method = sp.LRP(rule=rule)
    explainer = sp.Explainer(plain_net(), X24, method)
    assert list(placed(explainer).values()) == [repr(one) for one in expected]
    assert list(placed(explainer)) == ["c1", "c2", "f1", "f2"]
    rows = explainer(X24, 0).ledger.query("sequence == 0 and op != 'prune'")
    used = dict(zip(rows.layer, rows.rule, strict=True))
    for layer, one in zip(("c1", "c2", "f1", "f2"), expected, strict=True):
        assert used[layer] == ("Relative" if one == R else repr(one))


def test_the_table_says_where_is_pruned_and_how_much() -> None:
    table = str(sp.Explainer(plain_net(), X24, sp.PLRP(p={"f1": 0.25, "*": 0.5})))
    pruned = [line.split() for line in table.splitlines()[1:] if "mass" in line]
    assert [line[line.index("mass") + 1] for line in pruned] == ["0.5", "0.25", "0.5"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"c1": E}, "no pattern of the mapping matches this layer"),
        ({"c9": E, "*": G}, "'c9': matches no layer; the layers are c1"),
        ({"@conv2d": E, "*": G}, "'@conv2d': matches no layer"),
        ("gama", r"'gama' is not known \(did you mean 'gamma'\?\)"),
        ({"*": "gamma"}, "is no rule"),
        ({"*": sp.Gamma}, "is no rule"),
    ],
)
def test_rules_that_can_not_be_placed_are_errors(rule, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(plain_net(), X24, 0, sp.LRP(rule=rule))
