"""The model zoo: small, plain torch networks for DNA, each with a documented configuration.

Every model takes ``(N, 4, L)`` one-hot DNA (alphabet ACGT, an N is a column of zeros) and returns ``(N, n_outputs)``
logits. The modules hold no custom autograd and no data-dependent control flow, so that ``torch.export`` can
read them with a batch size of any kind.
"""

from __future__ import annotations

from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel
from seqplrp.models.zoo.building import (
    ALIASES,
    ARCHITECTURES,
    build_model,
    check_architecture,
    count_parameters,
    initialise_output,
    outline,
    resolve_architecture,
)
from seqplrp.models.zoo.deepbind import DeepBind, DeepBindConfig
from seqplrp.models.zoo.dilated import DilatedResidual, DilatedResidualConfig
from seqplrp.models.zoo.resnet import ResidualBlock, ResNet1d, ResNet1dConfig
from seqplrp.models.zoo.tower import BassetConfig, BassetSmallConfig, ConvTower, ConvTowerConfig, DeepSEAConfig

__all__ = [
    "ALIASES",
    "ARCHITECTURES",
    "ArchitectureConfig",
    "BassetConfig",
    "BassetSmallConfig",
    "ConvTower",
    "ConvTowerConfig",
    "DeepBind",
    "DeepBindConfig",
    "DeepSEAConfig",
    "DilatedResidual",
    "DilatedResidualConfig",
    "ResNet1d",
    "ResNet1dConfig",
    "ResidualBlock",
    "SequenceModel",
    "build_model",
    "check_architecture",
    "count_parameters",
    "initialise_output",
    "outline",
    "resolve_architecture",
]
