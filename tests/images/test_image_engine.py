"""VGG and ResNet on the engine: every layer's account balances, skips conserve, and others' libraries agree."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.images import IMAGENET, image_composite
from seqplrp.lrp import make_plan, output_of, propagate, run_forward, start_at

sys.path.append(str(Path(__file__).parents[1] / "lrp"))

from engine import back_through, seeded
from handler_checks import in_float32
from naive_lrp import kept_by_mass, rescaled
from nets_of_the_field import torchvision_net, unsettle

models = pytest.importorskip("torchvision.models", reason="torchvision belongs to the extra image")

NETS = ("vgg16", "vgg19", "resnet50")
TARGET = 3
METHODS = {
    "LRP epsilon": sp.LRP(rule=sp.Epsilon()),
    "LRP gamma": sp.LRP(rule=sp.Gamma(0.25)),
    "LRP epsilon-gamma-box": sp.LRP(rule=image_composite("epsilon-gamma-box", IMAGENET)),
    "PLRP lambda, mass": sp.PLRP(rule=sp.Gamma(0.25), p=0.25),
    "PLRP lambda, gain": sp.PLRP(rule=sp.Epsilon(), p=0.5, threshold="gain"),
    "PLRP matrix": sp.PLRP(rule=image_composite("epsilon-gamma-box", IMAGENET), budget=0.5, mode="matrix"),
    "R-LRP": sp.LRP(rule=sp.Relative()),
}


@cache
def net(name: str) -> nn.Module:
    """torchvision's network with a quarter of its channels: every operation is there, and no test waits for weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = unsettle(quarter(name)).double().eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-14  # zennit leaves a norm behind that divides by the root of 1 + eps
    return model


def quarter(name: str) -> nn.Module:
    if name == "resnet50":
        return models.resnet.ResNet(models.resnet.Bottleneck, [3, 4, 6, 3], num_classes=10, width_per_group=16)
    vgg = models.vgg
    layers = [width if width == "M" else width // 4 for width in vgg.cfgs["E" if name == "vgg19" else "D"]]
    with torch.device("meta"):  # the classifier that is cut off would take seconds to draw
        network = vgg.VGG(vgg.make_layers(layers, batch_norm=name.endswith("_bn")), num_classes=10)
        hidden = [nn.Linear(128 * 49, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(True), nn.Dropout()]
        network.classifier = nn.Sequential(*hidden, nn.Linear(32, 10))
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


@cache
def full(name: str) -> nn.Module:
    """torchvision's network with all its convolutions, 10 classes, hidden layers 64 wide."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return unsettle(torchvision_net(name)).double().eval().requires_grad_(False)


@cache
def images(side: int, n: int = 2) -> Tensor:
    """Noise as the networks see it."""
    pixels = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(side), dtype=torch.float64)
    low, high = (bound.double() for bound in IMAGENET.bounds())
    return low + pixels * (high - low)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETS)
def test_every_layer_s_account_balances_in_both_precisions(name: str, method: str) -> None:
    model, x, asked = net(name), images(32), METHODS[method]
    explainer = sp.Explainer(model, x, asked)
    found = explainer(x, TARGET, check=True)
    with torch.no_grad():
        torch.testing.assert_close(found.output, model(x)[:, TARGET], rtol=1e-11, atol=1e-12)
    assert found.relevance.isfinite().all()
    assert found.relevance.flatten(1).any(1).all()
    if method != "R-LRP":  # which claims no completeness
        taken = found.ledger.groupby("sequence")[["bias", "stabiliser", "residue"]].sum().sum(axis=1).to_numpy()
        size = found.ledger.groupby("sequence")["size"].sum().to_numpy()
        whole = found.relevance.sum((1, 2, 3)).numpy() + taken
        assert (np.abs(whole - found.output.numpy()) <= 1e-12 * size).all()
    small = copy.deepcopy(model).float()
    with torch.inference_mode():
        plan = make_plan(in_float32(explainer.graph), small, asked.rules())
        run = run_forward(plan, x.float())
        start = start_at(output_of(plan, run), torch.full((len(x),), TARGET))
        worst = propagate(plan, run, start, asked.pruning).ledger.largest_unexplained()
    assert worst.share <= 1e-5, worst


# ---- zennit


def by_zennit(model: nn.Module, x: Tensor, start: Callable[[Tensor], Tensor], *canonizers: object) -> Tensor:
    """Relevance under epsilon; pools share by contribution, sums too if a canoniser makes them visible."""
    from zennit.attribution import Gradient
    from zennit.composites import LayerMapComposite, layer_map_base
    from zennit.rules import Epsilon
    from zennit.types import Linear

    composite = LayerMapComposite([*layer_map_base(), (Linear, Epsilon(1e-6))], canonizers=list(canonizers))
    with Gradient(model, composite) as attributor:
        return attributor(x.clone(), start)[1]


def at_target(output: Tensor) -> Tensor:
    return start_at(output.detach(), torch.full((len(output),), TARGET))


def test_lrp_epsilon_is_zennit_s_on_vgg_16() -> None:
    pytest.importorskip("zennit", reason="zennit is an oracle of the development environment")
    model, x = full("vgg16"), images(64, 1)
    expected = by_zennit(model, x, at_target)
    found = sp.explain(model, x, TARGET, sp.LRP(rule=sp.Epsilon(1e-6)), check=True).relevance
    assert expected.abs().amax() > 0
    assert (found - expected).abs().amax() <= 1e-8 * expected.abs().amax()


def test_lrp_epsilon_is_zennit_s_on_resnet_50_with_its_canonizer() -> None:
    canonizers = pytest.importorskip("zennit.torchvision", reason="zennit is an oracle of the development environment")
    model, x = net("resnet50"), images(32)
    expected = by_zennit(copy.deepcopy(model), x, at_target, canonizers.ResNetCanonizer())
    found = sp.explain(model, x, TARGET, sp.LRP(rule=sp.Epsilon(1e-6))).relevance
    assert (found - expected).abs().amax() <= 1e-8 * expected.abs().amax()


@pytest.mark.parametrize("skip", ["identity", "projection"])
def test_a_skip_conserves_where_hooks_alone_give_twice_the_total(skip: str) -> None:
    """One of ResNet-50's blocks, which has no biases: all relevance should arrive.

    It is wide enough that no position is without an active unit, where there would be nothing to share by.
    """
    canonizers = pytest.importorskip("zennit.torchvision", reason="zennit is an oracle of the development environment")

    def block() -> nn.Module:
        if skip == "identity":
            return models.resnet.Bottleneck(128, 32)
        projection = nn.Sequential(nn.Conv2d(64, 128, 1, bias=False), nn.BatchNorm2d(128))
        return models.resnet.Bottleneck(64, 32, downsample=projection)

    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = block().double().eval()
    x = torch.rand(3, 128 if skip == "identity" else 64, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        whole = model(x).sum((1, 2, 3))
    assert (whole > 1).all()
    theirs = by_zennit(model, x, Tensor.detach).sum((1, 2, 3))
    canonized = by_zennit(model, x, Tensor.detach, canonizers.ResNetCanonizer()).sum((1, 2, 3))
    found = back_through(model, x, rule=sp.Epsilon(1e-6))
    torch.testing.assert_close(theirs, 2 * whole, rtol=1e-3, atol=0)
    torch.testing.assert_close(canonized, whole, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.relevance.sum((1, 2, 3)), whole, rtol=1e-3, atol=0)
    (row,) = [row for row in found.ledger.rows if row.op == "add"]
    torch.testing.assert_close(row.numbers["relevance_out"], whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(row.numbers["relevance_in"] + row.numbers["stabiliser"], whole, rtol=1e-12, atol=0)


# ---- batch norms, skips, and what is pruned where


def merged(model: nn.Module) -> nn.Module:
    """A copy with each batch norm multiplied into its convolution by torch's own function."""
    model = copy.deepcopy(model)
    for module in [module for module in model.modules() if hasattr(module, "bn1") or isinstance(module, nn.Sequential)]:
        names = [name for name, _ in module.named_children()]
        for conv, norm in pairwise(names):
            pair = getattr(module, conv), getattr(module, norm)
            if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
                setattr(module, conv, nn.utils.fusion.fuse_conv_bn_eval(*pair))
                setattr(module, norm, nn.Identity())
    return model


@pytest.mark.parametrize("name", ["resnet50", "vgg16_bn"])
def test_batch_norms_are_folded(name: str) -> None:
    model, x = net(name), images(32)
    without = merged(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) >= 13
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.modules())
    for method in (METHODS["LRP gamma"], METHODS["PLRP lambda, mass"]):
        found, expected = sp.explain(model, x, TARGET, method), sp.explain(without, x, TARGET, method)
        assert not found.ledger.op.str.contains("norm").any()
        scale = expected.relevance.abs().amax()
        assert (found.relevance - expected.relevance).abs().amax() <= 1e-9 * scale


def ledger_of(name: str, method: str) -> pd.DataFrame:
    x = images(32, 1)
    return sp.explain(net(name), x, TARGET, METHODS[method]).ledger


@pytest.mark.parametrize("method", ["LRP epsilon", "PLRP lambda, mass", "R-LRP"])
def test_every_skip_of_resnet_50_shares_by_contribution_and_conserves(method: str) -> None:
    ledger = ledger_of("resnet50", method)
    adds = ledger[ledger.op == "add"]
    assert len(adds) == 16
    assert adds.rule.str.startswith("Epsilon").all()
    lost = adds.relevance_out - adds.relevance_in - adds.stabiliser
    assert (lost.abs() <= 1e-12 * adds["size"]).all()


def test_each_activation_of_resnet_50_is_pruned_once_however_many_read_it() -> None:
    ledger = ledger_of("resnet50", "PLRP lambda, mass")
    pruned = ledger[ledger.op == "prune"]
    blocks = 3 + 4 + 6 + 3
    # what the stem hands on, two within each block, what each block but the last hands on, and what the head reads
    assert len(pruned) == 1 + 2 * blocks + (blocks - 1) + 1
    assert (pruned.kept_share < 1).all()


class Skip(nn.Module):
    """Two convolutions, the second beside a skip, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4 * 5 * 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x).relu()
        return self.last((a + self.branch(a).relu()).flatten(1))


Share = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]


def stabilised(z: Tensor) -> Tensor:
    return z + 1e-6 * torch.where(z >= 0, 1.0, -1.0)


def epsilon(layer: Callable[[Tensor], Tensor], a: Tensor, R: Tensor) -> Tensor:
    z, back = torch.func.vjp(layer, a)
    return a * back(R / stabilised(z))[0]


def relative(layer: Callable[[Tensor], Tensor], a: Tensor, R: Tensor) -> Tensor:
    _, back = torch.func.vjp(layer, a)
    found = a * back(R)[0]
    return found * R.abs().sum() / found.abs().sum()


def pruned(r: Tensor) -> Tensor:
    flat = r.numpy().ravel()
    return torch.from_numpy(rescaled(flat * kept_by_mass(flat, 0.25, 0.125), flat)).view_as(r)


def through_the_skip(model: Skip, x: Tensor, share: Share, prune: Callable[[Tensor], Tensor], *, once: bool) -> Tensor:
    """Relevance (1, 3, 5, 5) of one image by hand; wrongly, if the skip's and the branch's parts are pruned apart."""
    a = model.first(x).relu()
    b = model.branch(a).relu()
    summed = a + b
    R = start_at(model.last(summed.flatten(1)), torch.tensor([TARGET - 1]))
    at_sum = prune(share(lambda s: model.last(s.flatten(1)), summed, R))
    by_skip, by_branch = a / stabilised(summed) * at_sum, b / stabilised(summed) * at_sum
    by_branch = share(model.branch, a, by_branch)
    at_a = prune(by_skip + by_branch) if once else prune(by_skip) + prune(by_branch)
    return share(model.first, x, at_a)


@pytest.mark.parametrize(
    ("method", "share", "prune"),
    [
        (sp.LRP(rule=sp.Epsilon()), epsilon, lambda r: r),
        (sp.LRP(rule=sp.Relative()), relative, lambda r: r),
        (sp.PLRP(rule=sp.Epsilon(), p=0.25), epsilon, pruned),
        (sp.PLRP(rule=sp.Relative(), p=0.25), relative, pruned),
    ],
    ids=["LRP", "R-LRP", "PLRP", "PLRP on R-LRP"],
)
def test_a_skip_is_shared_and_pruned_as_by_hand(
    method: sp.LRP, share: Share, prune: Callable[[Tensor], Tensor]
) -> None:
    """R-LRP divides by nothing but at a skip, which shares by contribution (Nyiri and Gibaru, arXiv 2501.14322)."""
    model = seeded(Skip, seed=4)
    x = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = sp.explain(model, x, TARGET - 1, method).relevance
    with torch.no_grad():
        expected = torch.cat([through_the_skip(model, one[None], share, prune, once=True) for one in x])
        otherwise = torch.cat([through_the_skip(model, one[None], share, prune, once=False) for one in x])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    if method.pruning is not None:
        assert (found - otherwise).abs().amax() > 1e-3 * found.abs().amax(), "the order of sum and pruning is not seen"


# ---- the pruned network


class Rectified:
    """torch's own ReLU modules, hooked: each call's output, in order, multiplied by a mask if there are some."""

    def __init__(self, model: nn.Module, masks: list[Tensor] | None = None) -> None:
        self.relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
        self.masks, self.outputs = masks, []

    def __enter__(self) -> list[Tensor]:
        self.handles = [relu.register_forward_hook(self.seen) for relu in self.relus]
        return self.outputs

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def seen(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        if self.masks is not None:
            output = output * self.masks[len(self.outputs)]
        self.outputs.append(output)
        return output


def out_of_place(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_neuron_mct_is_the_gradient_of_the_network_that_hooks_prune(name: str) -> None:
    x = images(32)
    model = out_of_place(net(name))
    leaf = x.clone().requires_grad_()
    with Rectified(model) as activations:
        score = model(leaf)[:, TARGET]
    gradients = torch.autograd.grad(score.sum(), activations)
    scores = [(a * g).abs().detach() for a, g in zip(activations, gradients, strict=True)]
    together = torch.cat([one.flatten(1) for one in scores], 1)
    threshold = together.kthvalue(int(0.9 * together.shape[1]), 1).values
    masks = [(one > threshold.view(-1, *[1] * (one.dim() - 1))).double() for one in scores]
    with Rectified(model, masks):
        (gradient,) = torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)
    found = sp.explain(net(name), x, TARGET, sp.NeuronMCT(sparsity=0.9))
    torch.testing.assert_close(found.output, score.detach(), rtol=1e-11, atol=1e-12)
    expected = x * gradient
    assert expected.flatten(1).any(1).all()
    assert (found.relevance - expected).abs().amax() <= 1e-9 * expected.abs().amax()
