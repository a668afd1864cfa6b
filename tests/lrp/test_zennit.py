"""zennit 0.5.1 as an oracle, on sequential nets, where hooks are right.

Its definitions coincide with METHODS.md but for two: its gamma shares nothing of an output that is exactly 0, and its
w-square squares the bias into the denominator unless told to leave it out.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from engine import back_through, one_hot, seeded, signed
from nets_of_the_field import torchvision_net, unsettle
from torch import Tensor, nn

from seqplrp.lrp import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, ZPlus

zennit = pytest.importorskip("zennit", reason="zennit is an oracle of the development environment")

from zennit.attribution import Gradient  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.composites import (  # noqa: E402
    EpsilonGammaBox,
    EpsilonPlus,
    LayerMapComposite,
    SpecialFirstLayerMapComposite,
)
from zennit.rules import AlphaBeta as TheirAlphaBeta  # noqa: E402
from zennit.rules import Epsilon as TheirEpsilon  # noqa: E402
from zennit.rules import Flat as TheirFlat  # noqa: E402
from zennit.rules import Gamma as TheirGamma  # noqa: E402
from zennit.rules import Norm, Pass  # noqa: E402
from zennit.rules import WSquare as TheirWSquare  # noqa: E402
from zennit.rules import ZBox as TheirZBox  # noqa: E402
from zennit.rules import ZPlus as TheirZPlus  # noqa: E402
from zennit.torchvision import ResNetCanonizer, VGGCanonizer  # noqa: E402
from zennit.types import Activation, AvgPool, Convolution, Linear  # noqa: E402

PAIRS: dict[str, tuple[Rule, object]] = {
    "epsilon": (Epsilon(), TheirEpsilon()),
    "epsilon, large": (Epsilon(0.1), TheirEpsilon(0.1)),
    "gamma": (Gamma(0.25), TheirGamma(0.25)),
    "gamma, large": (Gamma(2.0, eps=0.01), TheirGamma(2.0, stabilizer=0.01)),
    "zplus": (ZPlus(), TheirZPlus()),
    "alphabeta 2 1": (AlphaBeta(2, 1), TheirAlphaBeta(2, 1)),
    "alphabeta 3 2": (AlphaBeta(3, 2), TheirAlphaBeta(3, 2)),
}
FIRST: dict[str, tuple[Rule, object]] = {
    "flat": (Flat(), TheirFlat()),
    "w-square": (WSquare(), TheirWSquare(zero_params="bias")),
    "box": (ZBox(-0.5, 1.5), TheirZBox(-0.5, 1.5)),
}

NETS = {
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2),
            nn.Conv1d(6, 8, 3, padding=2, dilation=2, groups=2),
            nn.ReLU(),
            nn.Conv1d(8, 5, 4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(15, 7),
            nn.ReLU(),
            nn.Linear(7, 3),
        ),
        (4, 20),
    ),
    "no biases, linear in between": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, bias=False),
            nn.Conv1d(6, 5, 3, padding="same", bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(90, 3, bias=False),
        ),
        (4, 20),
    ),
    "conv2d": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 6, (2, 3), stride=(1, 2)),
            nn.ReLU(),
            nn.AvgPool2d(2, stride=1),
            nn.Flatten(),
            nn.Linear(12, 3),
        ),
        (3, 8, 10),
    ),
}


@cache
def net(name: str) -> nn.Module:
    return seeded(NETS[name][0], seed=len(name))


def inputs(name: str, kind: str) -> Tensor:
    shape = NETS[name][1]
    return one_hot(4, 20) if kind == "one-hot" and shape == (4, 20) else signed(4, *shape, seed=5)


def theirs(model: nn.Module, x: Tensor, rule, first=None, canonizers=None) -> Tensor:
    """Relevance by zennit, starting from the score of output 1."""
    layer_map = [(Activation, Pass()), (AvgPool, Norm()), ((Convolution, Linear), rule)]
    composite = (
        LayerMapComposite(layer_map, canonizers=canonizers)
        if first is None
        else SpecialFirstLayerMapComposite(layer_map, [(Convolution, first)], canonizers=canonizers)
    )
    with Gradient(model, composite) as attributor:
        _, relevance = attributor(x.clone(), start)
    return relevance


def start(output: Tensor) -> Tensor:
    only = torch.zeros_like(output)
    only[:, 1] = output.detach()[:, 1]
    return only


@pytest.mark.parametrize("kind", ["one-hot", "both signs"])
@pytest.mark.parametrize("rule", list(PAIRS))
@pytest.mark.parametrize("name", list(NETS))
def test_the_rules_agree_with_zennit(name: str, rule: str, kind: str) -> None:
    ours, their_rule = PAIRS[rule]
    model, x = net(name), inputs(name, kind)
    with torch.no_grad():
        R = start(model(x))
    assert (R[:, 1] < 0).any() or (R[:, 1] > 0).any()
    expected = theirs(model, x, their_rule)
    found = back_through(model, x, R, ours).relevance
    scale = expected.abs().amax().item()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("first", list(FIRST))
@pytest.mark.parametrize("name", ["conv1d", "conv2d"])
def test_the_rules_of_first_layers_agree_with_zennit(name: str, first: str) -> None:
    ours, their_rule = FIRST[first]
    model, x = net(name), inputs(name, "one-hot")
    with torch.no_grad():
        R = start(model(x))
    found = back_through(model, x, R, {"0": ours, "*": Epsilon()}).relevance
    torch.testing.assert_close(found, theirs(model, x, TheirEpsilon(), their_rule), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_folded_batch_norms_agree_with_zennit_s_canonizer(rule: str) -> None:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv1d(4, 6, 5, padding=2),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(120, 5),
            nn.BatchNorm1d(5),
            nn.ReLU(),
            nn.Linear(5, 3),
        )

    model, x = seeded(build), one_hot(4, 20)
    with torch.no_grad():
        R = start(model(x))
    ours, their_rule = PAIRS[rule]
    found = back_through(model, x, R, ours).relevance
    expected = theirs(model, x, their_rule, canonizers=[SequentialMergeBatchNorm()])
    # the norm that zennit leaves behind divides by sqrt(1 + 1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


COMPOSITES = {"epsilon-plus": lambda: EpsilonPlus(), "epsilon-gamma-box": lambda: EpsilonGammaBox(0.0, 1.0)}


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("name", ["conv1d", "conv2d"])
def test_named_composites_are_zennit_s_of_that_name(name: str, composite: str) -> None:
    model, x = net(name), inputs(name, "one-hot")
    if name == "conv2d":
        x = x.sigmoid()  # within the box
    with torch.no_grad():
        R = start(model(x))
    with Gradient(model, COMPOSITES[composite]()) as attributor:
        _, expected = attributor(x.clone(), start)
    found = back_through(model, x, R, composite).relevance
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * expected.abs().amax().item())


@pytest.mark.parametrize("name", ["vgg16_bn", "resnet18"])
def test_image_nets_agree_with_zennit_s_canonizers(name: str) -> None:
    pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")
    model = seeded(lambda: unsettle(torchvision_net(name)), seed=1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12  # zennit's norms divide by its square root once more
    x = signed(2, 3, 32, 32, seed=2)
    with torch.no_grad():
        R = start(model(x))
    canonizer = VGGCanonizer() if name.startswith("vgg") else ResNetCanonizer()
    with Gradient(model, EpsilonPlus(canonizers=[canonizer])) as attributor:
        _, expected = attributor(x.clone(), start)
    found = back_through(model, x, R, "epsilon-plus").relevance
    assert ((found - expected).abs() <= 1e-6 * expected.abs().amax()).all()
