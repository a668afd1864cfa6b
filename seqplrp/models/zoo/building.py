"""From an architecture's name and options to a network."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel, option_error
from seqplrp.models.zoo.deepbind import DeepBindConfig
from seqplrp.models.zoo.dilated import DilatedResidualConfig
from seqplrp.models.zoo.resnet import ResNet1dConfig
from seqplrp.models.zoo.tower import BassetConfig, BassetSmallConfig, DeepSEAConfig

#: Every architecture by its name.
ARCHITECTURES: dict[str, type[ArchitectureConfig]] = {
    "basset-small": BassetSmallConfig,
    "deepbind": DeepBindConfig,
    "basset": BassetConfig,
    "deepsea": DeepSEAConfig,
    "resnet1d": ResNet1dConfig,
    "dilated-residual": DilatedResidualConfig,
}

#: Other names of the same things.
ALIASES: dict[str, str] = {"bpnet-lite": "dilated-residual"}

_MOST_NUMBERS = 2**31  # 8 GiB in float32


def build_model(architecture: str, *, length: int, n_outputs: int, **options: Any) -> SequenceModel:
    """Build an untrained model of the zoo; its weights are drawn from torch's global generator.

    Parameters
    ----------
    architecture : str
        A name in `ARCHITECTURES` or `ALIASES`.
    length : int
        Bases per sequence. A length-flexible model takes other lengths too.
    n_outputs : int
        Logits per sequence: 1 for a binary model, otherwise the number of classes.
    **options
        Fields of the architecture's configuration, as ``filters=32``.

    Returns
    -------
    SequenceModel
        In training mode, as torch makes modules.

    Raises
    ------
    SeqplrpError
        For an unknown architecture or option, a value of the wrong kind, a length too small for the pools, or more
        numbers than 2**31.
    """
    check_size(outline(architecture, length=length, n_outputs=n_outputs, **options))
    return _built(architecture, length, n_outputs, options)


def outline(architecture: str, *, length: int, n_outputs: int, **options: Any) -> SequenceModel:
    """Build a model without its numbers (on torch's device "meta"): its shapes are known, and no memory is taken.

    Parameters
    ----------
    architecture, length, n_outputs, **options
        As `build_model` takes them.

    Raises
    ------
    SeqplrpError
        As `build_model` does.
    """
    try:
        with torch.device("meta"):
            return _built(architecture, length, n_outputs, options)
    except (RuntimeError, TypeError, OverflowError) as error:  # torch's own of sizes beyond its whole numbers
        raise _too_large("more numbers than can be counted") from error


def check_size(model: SequenceModel) -> None:
    """Raise a SeqplrpError for a model of more numbers than any of the zoo could be trained or explained with."""
    number = count_parameters(model)
    if number > _MOST_NUMBERS:
        raise _too_large(f"{number} numbers")


def _too_large(how: str) -> SeqplrpError:
    return SeqplrpError(
        "model options", f"the network would have {how}, not {_MOST_NUMBERS} or fewer", "give fewer filters or units"
    )


def _built(architecture: str, length: int, n_outputs: int, options: Mapping[str, Any]) -> SequenceModel:
    name = resolve_architecture(architecture)
    config = check_architecture(name, options)
    if n_outputs < 1:
        raise SeqplrpError("n_outputs", f"{n_outputs} outputs", "give at least 1")
    minimum = config.minimum_length()
    if length < minimum:
        raise SeqplrpError(
            f"architecture {name}",
            f"its kernels and pools need at least {minimum} bases and the sequences have {length}",
            "give longer sequences, or fewer or smaller pools (option pools), or another architecture",
        )
    model = config.network(length, n_outputs)
    model.architecture, model.options = name, config
    model.length, model.n_outputs, model.minimum_length = length, n_outputs, minimum
    return model


def resolve_architecture(name: str) -> str:
    """The name in `ARCHITECTURES` that a name or alias stands for; `SeqplrpError` names all where there is none."""
    resolved = ALIASES.get(name, name)
    if resolved not in ARCHITECTURES:
        known = ", ".join([*ARCHITECTURES, *ALIASES])
        raise SeqplrpError("architecture", f"{name!r} is not known", f"choose one of {known}")
    return resolved


def check_architecture(name: str, options: Mapping[str, Any]) -> ArchitectureConfig:
    """The configuration of an architecture with some fields set; lists and numbers are brought to the field's type.

    Raises
    ------
    SeqplrpError
        For an unknown architecture or field, or a value that the field can't have.
    """
    config_class = ARCHITECTURES[resolve_architecture(name)]
    hints = typing.get_type_hints(config_class)
    fields = {field.name for field in dataclasses.fields(config_class)}
    values = {}
    for key, value in options.items():
        if key not in fields:
            raise SeqplrpError(
                "model options", f"{name} has no option {key!r}", f"choose from {', '.join(sorted(fields))}"
            )
        values[key] = _coerce(key, value, hints[key])
    config = config_class(**values)
    config.validate()
    return config


def count_parameters(model: nn.Module) -> int:
    """How many trainable numbers a model has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def initialise_output(model: SequenceModel, log_odds: Tensor) -> None:
    """Set the last layer's bias to each output's prior log odds, so that training need not learn them first."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(log_odds.to(last.bias))


def _coerce(name: str, value: Any, hint: Any) -> Any:
    """Bring a value from JSON or the command line to a field's type, or say why it can't be."""
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(_coerce(name, item, int) for item in items)
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise option_error(name, value, " or ".join(repr(choice) for choice in typing.get_args(hint)))
        return value
    if hint is bool:
        if not isinstance(value, bool):
            raise option_error(name, value, "true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise option_error(name, value, "a number")
    if hint is int:
        if value != int(value):
            raise option_error(name, value, "a whole number")
        return int(value)
    return float(value)
