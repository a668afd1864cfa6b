"""The model zoo, training, saving and loading."""

from __future__ import annotations

from seqplrp.models.batches import choose_device, predict
from seqplrp.models.config import KINDS, Advice, Kind, ModelConfig, current_versions
from seqplrp.models.dataset import SequenceData, make_dataset
from seqplrp.models.digests import weights_sha256
from seqplrp.models.external import load_callable_model, load_function, read_weights, take_weights
from seqplrp.models.labels import check_0_or_1, read_table
from seqplrp.models.metrics import evaluate_predictions
from seqplrp.models.optimisation import check_losses, decayed_groups, memory_told, own_generators, schedule_factor
from seqplrp.models.programs import load_program, program_inputs
from seqplrp.models.progress import training_progress
from seqplrp.models.sources import ReadOptions, read_labelled_directory, read_positives_negatives
from seqplrp.models.storage import load_model, save_model
from seqplrp.models.training import TrainedModel, TrainOptions, save_training, train_model
from seqplrp.models.zoo import (
    ALIASES,
    ARCHITECTURES,
    ArchitectureConfig,
    BassetConfig,
    BassetSmallConfig,
    DeepBindConfig,
    DeepSEAConfig,
    DilatedResidualConfig,
    ResNet1dConfig,
    SequenceModel,
    build_model,
    check_architecture,
)

__all__ = [
    "ALIASES",
    "ARCHITECTURES",
    "KINDS",
    "Advice",
    "ArchitectureConfig",
    "BassetConfig",
    "BassetSmallConfig",
    "DeepBindConfig",
    "DeepSEAConfig",
    "DilatedResidualConfig",
    "Kind",
    "ModelConfig",
    "ReadOptions",
    "ResNet1dConfig",
    "SequenceData",
    "SequenceModel",
    "TrainOptions",
    "TrainedModel",
    "build_model",
    "check_0_or_1",
    "check_architecture",
    "check_losses",
    "choose_device",
    "current_versions",
    "decayed_groups",
    "evaluate_predictions",
    "load_callable_model",
    "load_function",
    "load_model",
    "load_program",
    "make_dataset",
    "memory_told",
    "own_generators",
    "predict",
    "program_inputs",
    "read_labelled_directory",
    "read_positives_negatives",
    "read_table",
    "read_weights",
    "save_model",
    "save_training",
    "schedule_factor",
    "take_weights",
    "train_model",
    "training_progress",
    "weights_sha256",
]
