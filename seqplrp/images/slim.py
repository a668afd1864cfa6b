"""Slim networks: torchvision's VGG-16 and ResNet-50 with fewer channels, the same modules and operations otherwise.

Module paths are torchvision's, so what is written of a layer of one (``features.28``, ``layer4.2.conv3``) holds for the
other. They need torch alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seqplrp.errors import SeqplrpError

STRIDE = 32
"""Input pixels per cell of the last feature map, along each axis: sides of images are multiples of it."""


class Builder(Protocol):
    """Makes a network with new weights, of a number of outputs, for square images of a size."""

    def __call__(self, *, n_classes: int, image_size: int) -> nn.Module:
        """Return the network."""
        ...


class SlimVGG(nn.Module):
    """VGG-16 (Simonyan and Zisserman, 2015; its configuration D) of any width.

    Parameters
    ----------
    widths : tuple of int
        Channels of its five blocks, of two, two, three, three and three convolutions; 64, 128, 256, 512, 512 in full.
    hidden : int
        Units of each of the two hidden linear layers; 4096 in full.
    n_classes, image_size : int
        Outputs; pixels of a side of the square image, a multiple of `STRIDE`.
    batch_norm : bool
        Whether a batch norm follows each convolution (``vgg16_bn``).
    dropout : float
        Of the hidden linear layers.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int, int],
        hidden: int,
        n_classes: int,
        image_size: int,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        cells = image_size // STRIDE
        self.features = nn.Sequential(*_vgg_layers(widths, batch_norm))
        # at the size that the network is made for it changes nothing, as in full at 224 pixels
        self.avgpool = nn.AdaptiveAvgPool2d((cells, cells))
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1] * cells * cells, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )
        _initialise(self, self.classifier[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_classes)`` of images ``(N, 3, S, S)``."""
        logits: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))
        return logits


class SlimResNet(nn.Module):
    """ResNet-50 (He et al., 2016; the stride in a bottleneck's middle convolution, as torchvision has it) of any width.

    Parameters
    ----------
    width : int
        Channels of the first convolution, 64 in full; all others are its multiples.
    n_classes : int
        Outputs.
    """

    def __init__(self, *, width: int, n_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(width, width, blocks=3, stride=1)
        self.layer2 = _stage(4 * width, 2 * width, blocks=4, stride=2)
        self.layer3 = _stage(8 * width, 4 * width, blocks=6, stride=2)
        self.layer4 = _stage(16 * width, 8 * width, blocks=3, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(32 * width, n_classes)
        _initialise(self, self.fc)
        for block in self.modules():
            if isinstance(block, Bottleneck):  # each block starts as its skip alone (Goyal et al., 2017, section 5.1)
                nn.init.zeros_(block.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_classes)`` of images ``(N, 3, S, S)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


class Bottleneck(nn.Module):
    """Three convolutions beside a skip, which has one of its own where the shape changes.

    Parameters
    ----------
    channels, width : int
        Those that come in, and those of the two inner convolutions; four times as many go out.
    stride : int
        Of the middle convolution, and of the skip's.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            skip = nn.Conv2d(channels, 4 * width, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(skip, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of feature maps."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        skip = x if self.downsample is None else self.downsample(x)
        out += skip
        maps: Tensor = self.relu(out)
        return maps


def without_batch_norm(model: SlimVGG) -> SlimVGG:
    """Return a VGG without batch norms that computes what a trained one with them computes.

    Parameters
    ----------
    model : SlimVGG
        With batch norms; it is put into evaluation mode, and shares its linear layers with what is returned.

    Returns
    -------
    SlimVGG
        In evaluation mode: each batch norm is part of the convolution before it.
    """
    layers: list[nn.Module] = []
    for layer in model.eval().features:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = layers.pop()
            assert isinstance(convolution, nn.Conv2d)
            layer = fuse_conv_bn_eval(convolution, layer)
        layers.append(layer)
    plain = copy.copy(model)
    plain._modules = {**model._modules, "features": nn.Sequential(*layers)}
    return plain


def _slim_resnet50(*, n_classes: int, image_size: int) -> SlimResNet:
    del image_size  # it averages over whatever the last feature map's size is
    return SlimResNet(width=8, n_classes=n_classes)


_slim_vgg16 = partial(SlimVGG, widths=(16, 32, 64, 64, 64), hidden=64, dropout=0.1)


@dataclass(frozen=True)
class SlimArchitecture:
    """A slim network, and how it is trained.

    Parameters
    ----------
    full : str
        torchvision's network of the same graph.
    build : callable
        Makes one with new weights, of the number of classes and the images' size.
    head : str
        Module path of its last linear layer.
    learning_rate : float
        The peak at which it trains well.
    epochs : int
        So many passes over 7,200 images take it to where more of them gain little.
    trained_as : str or None
        Another network in whose form it is trained. A VGG-16 without batch norm hardly starts to learn from new
        weights: it is trained with batch norms, which are then folded into its convolutions (`without_batch_norm`).
    """

    full: str
    build: Builder
    head: str
    learning_rate: float
    epochs: int
    trained_as: str | None = None


SLIM: Mapping[str, SlimArchitecture] = {
    "resnet50-slim": SlimArchitecture("resnet50", _slim_resnet50, "fc", learning_rate=3e-3, epochs=100),
    "vgg16-slim": SlimArchitecture(
        "vgg16", _slim_vgg16, "classifier.6", learning_rate=1e-3, epochs=40, trained_as="vgg16_bn-slim"
    ),
    "vgg16_bn-slim": SlimArchitecture(
        "vgg16_bn", partial(_slim_vgg16, batch_norm=True), "classifier.6", learning_rate=1e-3, epochs=40
    ),
}
"""The slim networks, by name."""


def check_slim(name: str) -> None:
    """Raise `SeqplrpError` where there is no slim network of a name."""
    if name not in SLIM:
        raise SeqplrpError("architecture", f"there is no slim network {name!r}", f"choose one of {', '.join(SLIM)}")


def build_slim(name: str, *, n_classes: int, image_size: int = 64) -> nn.Module:
    """Make a slim network with new weights, drawn from torch's generator.

    Parameters
    ----------
    name : str
        Of `SLIM`.
    n_classes : int
        Outputs.
    image_size : int
        Pixels of a side.

    Returns
    -------
    Module
        Takes ``(N, 3, image_size, image_size)``, gives logits ``(N, n_classes)``.

    Raises
    ------
    SeqplrpError
        For a name that is not there, and for sizes that it can't have.
    """
    check_slim(name)
    if n_classes < 1:
        raise SeqplrpError("n_classes", f"is {n_classes}", "give 1 or more")
    if image_size < STRIDE or image_size % STRIDE:
        raise SeqplrpError("image_size", f"is {image_size}", f"give a multiple of {STRIDE}, as 64 or 96")
    return SLIM[name].build(n_classes=n_classes, image_size=image_size)


def _vgg_layers(widths: tuple[int, ...], batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip(widths, (2, 2, 3, 3, 3), strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return layers


def _stage(channels: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def _initialise(model: nn.Module, head: nn.Module) -> None:
    """Draw weights that keep the activations' variance through ReLUs, whatever the depth (He et al., 2015).

    Those of the last layer are small, so that the first steps need not unlearn classes that nothing speaks for.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module is head:
                nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
