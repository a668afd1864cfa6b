"""Dilated residual layers after BPNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel, check_odd


@dataclass(frozen=True)
class DilatedResidualConfig(ArchitectureConfig):
    """Dilated residual layers after BPNet (Avsec et al. 2021, Nature Genetics 53:354), with global average pooling.

    Layer i is ``x + relu(conv(x, dilation=2**i))`` for i from 1; no batch norm, as in the original.

    Parameters
    ----------
    filters : int
        Filters of every layer.
    layers : int
        Dilated layers; the receptive field is ``stem_kernel + (kernel - 1) * (2**(layers + 1) - 2)`` bases.
    stem_kernel : int
        Width of the first convolution (odd).
    kernel : int
        Width of the dilated convolutions (odd).
    dropout : float
        Share of the pooled activations that is dropped in training.
    """

    filters: int = 64
    layers: int = 5
    stem_kernel: int = 21
    kernel: int = 3
    dropout: float = 0.0

    description: ClassVar[str] = "BPNet's dilated residual layers and global average pooling; any length"
    flexible_length: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 2e-3

    def validate(self) -> None:
        """Also check that the kernels are odd, as the skips need."""
        super().validate()
        for name in ("kernel", "stem_kernel"):
            check_odd(name, getattr(self, name))

    def network(self, length: int, n_outputs: int) -> DilatedResidual:
        """Return an untrained network."""
        return DilatedResidual(self, length, n_outputs)


class DilatedResidual(SequenceModel):
    """See `DilatedResidualConfig`."""

    def __init__(self, options: DilatedResidualConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        width = options.filters
        self.stem = nn.Conv1d(4, width, options.stem_kernel, padding=options.stem_kernel // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, options.kernel, padding=2**i * (options.kernel // 2), dilation=2**i)
            for i in range(1, options.layers + 1)
        )
        self.dropout = nn.Dropout(options.dropout)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_outputs)`` of one-hot DNA ``(N, 4, L)`` of any length."""
        self.check_input(x)
        x = F.relu(self.stem(x))
        for layer in self.layers:
            x = x + F.relu(layer(x))
        logits: Tensor = self.output(self.dropout(x.mean(dim=-1)))
        return logits
