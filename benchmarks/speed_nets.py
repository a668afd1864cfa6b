"""The networks that the speed benchmark runs: what they are, at what size, with which random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SEED = 0


class Residual(nn.Module):
    """A dilated conv beside a skip. `add` may be replaced by a module, where a peer can see only modules."""

    def __init__(self, filters: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(filters, filters, 3, padding=dilation, dilation=dilation)
        self.relu = nn.ReLU()
        self.add: Callable[[Tensor, Tensor], Tensor] = torch.add

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.relu(self.conv(x)))


def basset(widths: tuple[int, int, int] = (300, 200, 200), hidden: int = 1000, length: int = 600) -> nn.Module:
    """Three convolutions with kernels 19, 11 and 7, pools of 3, 4 and 4, and a hidden dense layer; no batch norm."""
    first, second, third = widths
    return nn.Sequential(
        nn.Conv1d(4, first, 19, padding=9),
        nn.ReLU(),
        nn.MaxPool1d(3),
        nn.Conv1d(first, second, 11, padding=5),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(second, third, 7, padding=3),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Flatten(),
        nn.Linear(third * (length // 3 // 4 // 4), hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def bpnet(filters: int = 64, layers: int = 8) -> nn.Module:
    """A wide first convolution, residual layers with dilations 2, 4, 8, ..., and a dense layer on their average."""
    return nn.Sequential(
        nn.Conv1d(4, filters, 21, padding=10),
        nn.ReLU(),
        *[Residual(filters, 2**layer) for layer in range(1, layers + 1)],
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(filters, 10),
    )


def vgg16() -> nn.Module:
    """torchvision's VGG-16, without batch norm."""
    from torchvision import models

    return models.vgg16(weights=None)


def vgg19() -> nn.Module:
    """torchvision's VGG-19, without batch norm."""
    from torchvision import models

    return models.vgg19(weights=None)


def resnet50() -> nn.Module:
    """torchvision's ResNet-50."""
    from torchvision import models

    return models.resnet50(weights=None)


@dataclass(frozen=True)
class Net:
    """A network at a size.

    Attributes
    ----------
    name : str
        What `--model` calls it.
    title : str
        One line for the table's head.
    build : callable
        Makes the module.
    shape : tuple of int
        One input's shape.
    batch : int
        How many inputs a call explains.
    few : int
        How many where a method needs thousands of passes an input.
    """

    name: str
    title: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int
    few: int

    @property
    def is_dna(self) -> bool:
        """Whether inputs are one-hot DNA, and not images."""
        return len(self.shape) == 2

    def model(self, device: torch.device) -> nn.Module:
        """Build the model with seeded weights, in evaluation mode, no parameter asking for a gradient."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            model = self.build()
        return model.eval().requires_grad_(False).to(device)

    def inputs(self, device: torch.device) -> Tensor:
        """Return a batch: random one-hot DNA, or normal random images."""
        generator = torch.Generator().manual_seed(SEED + 1)
        if not self.is_dna:
            return torch.randn(self.batch, *self.shape, generator=generator).to(device)
        codes = torch.randint(0, 4, (self.batch, self.shape[1]), generator=generator)
        return nn.functional.one_hot(codes, 4).transpose(1, 2).float().contiguous().to(device)


NETS = {
    net.name: net
    for net in (
        Net("basset", "Basset-size: conv 4-300-200-200, dense 1000, L 600", basset, (4, 600), 64, 4),
        Net("bpnet", "dilated residual BPNet: 64 filters, 8 layers, L 2114", bpnet, (4, 2114), 16, 1),
        Net("vgg16", "VGG-16 at 224 px", vgg16, (3, 224, 224), 8, 1),
        Net("vgg19", "VGG-19 at 224 px", vgg19, (3, 224, 224), 8, 1),
        Net("resnet50", "ResNet-50 at 224 px", resnet50, (3, 224, 224), 8, 1),
    )
}

TOYS = {
    net.name: net
    for net in (
        Net("basset", "toy of the Basset-size net", lambda: basset((6, 5, 4), 8, 96), (4, 96), 3, 1),
        Net("bpnet", "toy of the BPNet", lambda: bpnet(6, 2), (4, 64), 2, 1),
        Net("vgg16", "VGG-16, one image", vgg16, (3, 224, 224), 1, 1),
        Net("vgg19", "VGG-19, one image", vgg19, (3, 224, 224), 1, 1),
        Net("resnet50", "ResNet-50 at 64 px", resnet50, (3, 64, 64), 2, 1),
    )
}
"""The same kinds, small: to try the script out. What they show about speed means nothing."""
