"""The networks and rows of the image benchmark: what each row calls, and beside which limit it stands."""

from __future__ import annotations

from speed_nets import NETS as SPEED_NETS
from speed_nets import Net
from speed_rows import GXI, TARGET, Build, Calls, Row, bytes_held, ours, zennit
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.methods import Method

TOLERANCE = 1e-5
"""The largest share of a layer's |relevance| that the ledger may leave unexplained, in float32."""


def _whole_call(method: Method) -> Build:
    """Return how a method is made ready that has no level of its own below the call."""

    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        explainer = sp.Explainer(model, x[:1], method=method)
        return Calls(
            call=lambda: explainer(x, target=TARGET, batch_size=len(x)),
            holds=lambda: bytes_held(explainer._prepared.plan, model),
        )

    return build


METHODS: dict[str, sp.LRP] = {
    "LRP epsilon": sp.LRP(rule=sp.Epsilon()),
    "PLRP lambda gain epsilon": sp.PLRP(rule=sp.Epsilon(), p=0.5, threshold="gain"),
    "PLRP lambda mass gamma": sp.PLRP(rule=sp.Gamma(0.25), p=0.5),
    "R-LRP": sp.LRP(rule=sp.Relative()),
}
"""Ours that keep a ledger."""

LIMITS = {"PLRP lambda gain epsilon": {"vgg16": 1.3}, "PLRP lambda mass gamma": {"vgg16": 2.0}}
"""At most so many times gxi, by network."""

ROWS = (
    GXI,
    *(Row(name, "ours", ours(method), LIMITS.get(name, {})) for name, method in METHODS.items()),
    Row("NeuronMCT", "ours", _whole_call(sp.NeuronMCT())),
    Row("zennit epsilon", "peer", zennit("epsilon")),
)


def row_named(name: str) -> Row:
    """Return a row by its name."""
    return next(row for row in ROWS if row.name == name)


# ---- networks


def _toy_vgg() -> nn.Module:
    """Return a network of VGG's kind: convolutions, pools and linear layers."""
    from torchvision.models import vgg

    features = vgg.make_layers([4, "M", 6, 6, "M"])
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 10))


def _toy_resnet() -> nn.Module:
    """Return a network of ResNet-50's kind: a bottleneck (which zennit's canonizer knows), batch norms, a skip."""
    from torchvision.models import resnet

    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    return nn.Sequential(stem, resnet.Bottleneck(16, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


NETS = {name: SPEED_NETS[name] for name in ("vgg16", "vgg19", "resnet50")}

TOYS = {
    "vgg16": Net("vgg16", "toy of VGG", _toy_vgg, (3, 16, 16), 2, 1),
    "vgg19": Net("vgg19", "toy of VGG, again", _toy_vgg, (3, 16, 16), 2, 1),
    "resnet50": Net("resnet50", "toy of ResNet", _toy_resnet, (3, 16, 16), 2, 1),
}
"""The same kinds, small: to try the script out. What they show about speed means nothing."""
