"""Composites of image networks are zennit's of the same names, with the bounds of the network's own preprocessing."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.images import IMAGE_COMPOSITES, IMAGENET, Preprocessing, image_composite

sys.path.append(str(Path(__file__).parents[1] / "lrp"))

from engine import seeded

zennit = pytest.importorskip("zennit", reason="zennit is an oracle of the development environment")

from zennit import composites as theirs  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402

BYTES = Preprocessing(mean=(0.48235, 0.45882, 0.40784), std=(1 / 255,) * 3)
PAIRS = {
    "epsilon-gamma-box": lambda low, high: theirs.EpsilonGammaBox(low, high),
    "epsilon-plus": lambda low, high: theirs.EpsilonPlus(),
    "epsilon-plus-flat": lambda low, high: theirs.EpsilonPlusFlat(),
    "epsilon-alpha2-beta1": lambda low, high: theirs.EpsilonAlpha2Beta1(),
    "epsilon-alpha2-beta1-flat": lambda low, high: theirs.EpsilonAlpha2Beta1Flat(),
}


@cache
def net() -> nn.Module:
    """A VGG of three convolutions."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(5, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 8),
            nn.ReLU(),
            nn.Linear(8, 3),
        )
    )


def images(preprocessing: Preprocessing) -> Tensor:
    """Normalised pixels, some of them black or white."""
    pixels = torch.rand(3, 3, 10, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pixels = (1.4 * pixels - 0.2).clamp(0, 1)
    low, high = (bound.double() for bound in preprocessing.bounds())
    return low + pixels * (high - low)


def start(output: Tensor) -> Tensor:
    only = torch.zeros_like(output)
    only[:, 1] = output.detach()[:, 1]
    return only


@pytest.mark.parametrize("preprocessing", [IMAGENET, BYTES], ids=["ImageNet", "bytes"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_composite_is_zennit_s_of_that_name(name: str, preprocessing: Preprocessing) -> None:
    x = images(preprocessing)
    low, high = (bound.double().expand(1, 3, 10, 12) for bound in preprocessing.bounds())
    with Gradient(net(), PAIRS[name](low, high)) as attributor:
        _, expected = attributor(x.clone(), start)
    found = sp.explain(net(), x, 1, sp.LRP(rule=image_composite(name, preprocessing)), check=True).relevance
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10 * expected.abs().amax().item())


@pytest.mark.parametrize("name", IMAGE_COMPOSITES)
def test_every_named_composite_explains_and_balances(name: str) -> None:
    rule = image_composite(name, IMAGENET)
    for method in (sp.LRP(rule=rule), sp.PLRP(rule=rule, p=0.3)):
        explained = sp.explain(net(), images(IMAGENET), 1, method, check=True)
        assert explained.relevance.isfinite().all()
        assert explained.relevance.any()
    placed = {layer.position: layer.rule for layer in sp.Explainer(net(), images(IMAGENET), method).layers}
    assert ("ZBox" in placed["first"]) == name.endswith("box")
    assert ("Flat" in placed["first"]) == name.endswith("flat")


def test_gamma_is_the_one_that_was_asked_for() -> None:
    assert image_composite("epsilon-gamma-box", IMAGENET, gamma=0.5)["@conv"] == sp.Gamma(0.5)
    assert image_composite("gamma", IMAGENET, gamma=0.5) == sp.Gamma(0.5)


def test_bounds_of_each_channel_stand_in_the_plan_on_one_line() -> None:
    explainer = sp.Explainer(net(), images(IMAGENET), sp.LRP(rule=image_composite("epsilon-gamma-box", IMAGENET)))
    (row,) = [line for line in repr(explainer).splitlines()[2:] if "ZBox" in line]
    assert "2.640" in row


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(SeqplrpError, match=r"rule: 'epsilon-box' is no composite; use one of epsilon, .*or a rule"):
        image_composite("epsilon-box", IMAGENET)
