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
    resolve_architecture,
)
from seqplrp.models.zoo.deepbind import DeepBindConfig
from seqplrp.models.zoo.dilated import DilatedResidualConfig
from seqplrp.models.zoo.resnet import ResNet1dConfig
from seqplrp.models.zoo.tower import BassetConfig, BassetSmallConfig, ConvTowerConfig, DeepSEAConfig

__all__ = [
    "ALIASES",
    "ARCHITECTURES",
    "ArchitectureConfig",
    "BassetConfig",
    "BassetSmallConfig",
    "ConvTowerConfig",
    "DeepBindConfig",
    "DeepSEAConfig",
    "DilatedResidualConfig",
    "ResNet1dConfig",
    "SequenceModel",
    "build_model",
    "check_architecture",
    "count_parameters",
    "initialise_output",
    "resolve_architecture",
]
