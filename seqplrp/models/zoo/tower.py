"""Towers of convolutions and pools, then dense layers: Basset, its small kin, and DeepSEA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel, conv_length, option_error


@dataclass(frozen=True)
class ConvTowerConfig(ArchitectureConfig):
    """A tower of convolution, batch norm, ReLU and max pooling, then dense layers.

    Parameters
    ----------
    filters : tuple of int
        Filters of each convolution.
    kernels : tuple of int
        Width of each convolution, in its input's positions.
    pools : tuple of int
        Width and stride of the max pooling after each convolution; 1 for none.
    dense : tuple of int
        Units of each hidden dense layer.
    padding : {"same", "valid"}
        "same" pads both ends of each convolution alike, so that the length stays (an even kernel loses one
        position); "valid" pads nothing.
    batch_norm : bool
        Batch norm after each convolution and each hidden dense layer.
    conv_dropout : float
        Share of the activations that is dropped after each pooling in training.
    dense_dropout : float
        Share of the activations that is dropped after each hidden dense layer in training.
    """

    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    pools: tuple[int, ...]
    dense: tuple[int, ...]
    padding: Literal["same", "valid"] = "same"
    batch_norm: bool = True
    conv_dropout: float = 0.0
    dense_dropout: float = 0.0

    def validate(self) -> None:
        """Also check that the three per-layer tuples have one length."""
        super().validate()
        if not len(self.filters) == len(self.kernels) == len(self.pools) or not self.filters:
            found = f"{len(self.filters)} filters, {len(self.kernels)} kernels and {len(self.pools)} pools"
            raise SeqplrpError("model options", found, "give as many filters as kernels and pools, at least one")
        if self.padding not in ("same", "valid"):
            raise option_error("padding", self.padding, "'same' or 'valid'")

    def minimum_length(self) -> int:
        """Return the smallest number of bases from which a value is left after every convolution and pool."""
        need = 1
        for kernel, pool in zip(reversed(self.kernels), reversed(self.pools), strict=True):
            padding = _same_padding(kernel) if self.padding == "same" else 0
            need = max(1, need * pool + kernel - 1 - 2 * padding)
        return need

    def network(self, length: int, n_outputs: int) -> ConvTower:
        """Return an untrained network."""
        return ConvTower(self, length, n_outputs)


@dataclass(frozen=True)
class BassetSmallConfig(ConvTowerConfig):
    """The work-horse: Basset's plan at a size that trains in seconds on two cores.

    Parameters
    ----------
    filters, kernels, pools, dense, padding, batch_norm, conv_dropout, dense_dropout
        As in `ConvTowerConfig`.
    """

    filters: tuple[int, ...] = (48, 64, 64)
    kernels: tuple[int, ...] = (19, 7, 5)
    pools: tuple[int, ...] = (4, 4, 2)
    dense: tuple[int, ...] = (128,)
    conv_dropout: float = 0.1
    dense_dropout: float = 0.4

    description: ClassVar[str] = "three convolutions with pooling, one hidden layer; trains in seconds on two cores"
    learning_rate: ClassVar[float] = 3e-3


@dataclass(frozen=True)
class BassetConfig(ConvTowerConfig):
    """Basset (Kelley, Snoek, Rinn 2016, Genome Research 26:990), with one dense layer and padded convolutions.

    The original has two dense layers (``dense=(1000, 1000)``) and no padding (``padding="valid"``).

    Parameters
    ----------
    filters, kernels, pools, dense, padding, batch_norm, conv_dropout, dense_dropout
        As in `ConvTowerConfig`.
    """

    filters: tuple[int, ...] = (300, 200, 200)
    kernels: tuple[int, ...] = (19, 11, 7)
    pools: tuple[int, ...] = (3, 4, 4)
    dense: tuple[int, ...] = (1000,)
    dense_dropout: float = 0.3

    description: ClassVar[str] = "Basset: convolutions of 300, 200, 200 filters, one hidden layer of 1000"
    learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class DeepSEAConfig(ConvTowerConfig):
    """DeepSEA (Zhou, Troyanskaya 2015, Nature Methods 12:931), made for 1,000 bases; no batch norm, no padding.

    Parameters
    ----------
    filters, kernels, pools, dense, padding, batch_norm, conv_dropout, dense_dropout
        As in `ConvTowerConfig`.
    """

    filters: tuple[int, ...] = (320, 480, 960)
    kernels: tuple[int, ...] = (8, 8, 8)
    pools: tuple[int, ...] = (4, 4, 1)
    dense: tuple[int, ...] = (925,)
    padding: Literal["same", "valid"] = "valid"
    batch_norm: bool = False
    conv_dropout: float = 0.2
    dense_dropout: float = 0.5

    description: ClassVar[str] = "DeepSEA: convolutions of 320, 480, 960 filters, one hidden layer of 925"
    learning_rate: ClassVar[float] = 5e-4


class ConvTower(SequenceModel):
    """See `ConvTowerConfig`."""

    def __init__(self, options: ConvTowerConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        channels, convolutions = 4, []
        for filters, kernel, pool in zip(options.filters, options.kernels, options.pools, strict=True):
            padding = _same_padding(kernel) if options.padding == "same" else 0
            length = conv_length(length, kernel, padding) // pool
            convolutions += _conv_block(channels, filters, kernel, padding, options, pool)
            channels = filters
        self.features = nn.Sequential(*convolutions)
        units, dense = channels * length, []
        for hidden in options.dense:
            dense += _dense_block(units, hidden, options)
            units = hidden
        self.head = nn.Sequential(nn.Flatten(), *dense, nn.Linear(units, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_outputs)`` of one-hot DNA ``(N, 4, L)``."""
        self.check_input(x)
        logits: Tensor = self.head(self.features(x))
        return logits


def _conv_block(
    channels: int, filters: int, kernel: int, padding: int, options: ConvTowerConfig, pool: int
) -> list[nn.Module]:
    block: list[nn.Module] = [nn.Conv1d(channels, filters, kernel, padding=padding, bias=not options.batch_norm)]
    if options.batch_norm:
        block.append(nn.BatchNorm1d(filters))
    block.append(nn.ReLU())
    if pool > 1:
        block.append(nn.MaxPool1d(pool))
    if options.conv_dropout > 0:
        block.append(nn.Dropout(options.conv_dropout))
    return block


def _dense_block(units: int, hidden: int, options: ConvTowerConfig) -> list[nn.Module]:
    block: list[nn.Module] = [nn.Linear(units, hidden, bias=not options.batch_norm)]
    if options.batch_norm:
        block.append(nn.BatchNorm1d(hidden))
    block.append(nn.ReLU())
    if options.dense_dropout > 0:
        block.append(nn.Dropout(options.dense_dropout))
    return block


def _same_padding(kernel: int) -> int:
    # Symmetric, so that no separate padding op is needed: an even kernel leaves one position less.
    return (kernel - 1) // 2
