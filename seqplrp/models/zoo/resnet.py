"""A residual network of basic blocks, in one dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel, check_odd


@dataclass(frozen=True)
class ResNet1dConfig(ArchitectureConfig):
    """A residual network of basic blocks (He et al. 2016), in one dimension, with global average pooling.

    Strided convolutions shorten the sequence everywhere; the original's one max pooling, after the first convolution,
    is left out, because torch exports it for one length alone.

    Parameters
    ----------
    filters : tuple of int
        Filters of each stage; every stage after the first halves the length.
    blocks : int
        Residual blocks (two convolutions each) in every stage.
    kernel : int
        Width of the blocks' convolutions (odd).
    stem_kernel : int
        Width of the first convolution (odd).
    stem_stride : int
        Stride of the first convolution.
    dropout : float
        Share of the pooled activations that is dropped in training.
    """

    filters: tuple[int, ...] = (48, 64, 96)
    blocks: int = 1
    kernel: int = 5
    stem_kernel: int = 15
    stem_stride: int = 2
    dropout: float = 0.2

    description: ClassVar[str] = "residual blocks with batch norm and global average pooling; any length"
    flexible_length: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 3e-3

    def validate(self) -> None:
        """Also check that the kernels are odd, as the skips need."""
        super().validate()
        for name in ("kernel", "stem_kernel"):
            check_odd(name, getattr(self, name))

    def network(self, length: int, n_outputs: int) -> ResNet1d:
        """Return an untrained network."""
        return ResNet1d(self, length, n_outputs)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, which is a 1-wide convolution where the shape changes."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int) -> None:
        super().__init__()
        padding = kernel // 2
        self.conv1 = nn.Conv1d(channels, filters, kernel, stride=stride, padding=padding, bias=False)
        self.norm1 = nn.BatchNorm1d(filters)
        self.conv2 = nn.Conv1d(filters, filters, kernel, padding=padding, bias=False)
        self.norm2 = nn.BatchNorm1d(filters)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or channels != filters:
            self.skip = nn.Sequential(
                nn.Conv1d(channels, filters, 1, stride=stride, bias=False), nn.BatchNorm1d(filters)
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, L)`` to ``(N, filters, ceil(L / stride))``."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip(x))


class ResNet1d(SequenceModel):
    """See `ResNet1dConfig`."""

    def __init__(self, options: ResNet1dConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        channels = options.filters[0]
        self.stem = nn.Sequential(
            nn.Conv1d(4, channels, options.stem_kernel, options.stem_stride, options.stem_kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
        )
        blocks = []
        for stage, filters in enumerate(options.filters):
            for block in range(options.blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(channels, filters, options.kernel, stride))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(options.dropout)
        self.output = nn.Linear(channels, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_outputs)`` of one-hot DNA ``(N, 4, L)`` of any length from `minimum_length`."""
        self.check_input(x)
        logits: Tensor = self.output(self.dropout(self.blocks(self.stem(x)).mean(dim=-1)))
        return logits
