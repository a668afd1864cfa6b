"""The model zoo: small, plain torch networks for DNA, each with a documented configuration.

Every model takes ``(N, 4, L)`` one-hot DNA (alphabet ACGT, an N is a column of zeros) and returns ``(N, n_outputs)``
logits. The modules hold no custom autograd and no data-dependent control flow, so that ``torch.export`` can
read them with a batch size of any kind.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqplrp.errors import SeqplrpError
from seqplrp.models.config import ModelConfig


@dataclass(frozen=True)
class ArchitectureConfig:
    """What all architectures have in common; see the subclasses for their fields."""

    #: One line that says what the architecture is.
    description: ClassVar[str] = ""
    #: Whether a trained model takes sequences of other lengths than it was trained on.
    flexible_length: ClassVar[bool] = False
    #: The peak learning rate that serves this architecture with AdamW (used unless another is asked for).
    learning_rate: ClassVar[float] = 1e-3

    def validate(self) -> None:
        """Raise `SeqplrpError` for values that no network can have."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("dropout"):
                if not 0.0 <= value < 1.0:
                    raise _option_error(field.name, value, "a share from 0 up to, but not including, 1")
            elif isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise _option_error(field.name, value, "a whole number of at least 1")
            elif isinstance(value, tuple) and any(v < 1 for v in value):
                raise _option_error(field.name, value, "whole numbers of at least 1")


@dataclass(frozen=True)
class DeepBindConfig(ArchitectureConfig):
    """DeepBind (Alipanahi et al. 2015, Nature Biotechnology 33:831): motif detectors and one global maximum.

    Parameters
    ----------
    filters : int
        Motif detectors (convolution filters).
    kernel : int
        Their width in bases.
    hidden : int
        Units of the one hidden dense layer.
    dropout : float
        Share of the hidden layer's inputs that is dropped in training.
    """

    filters: int = 64
    kernel: int = 25
    hidden: int = 32
    dropout: float = 0.2

    description: ClassVar[str] = "one convolution, its maximum over the sequence, one hidden layer"
    learning_rate: ClassVar[float] = 3e-3


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
            raise _option_error("padding", self.padding, "'same' or 'valid'")


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
            _check_odd(name, getattr(self, name))


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
            _check_odd(name, getattr(self, name))


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


class SequenceModel(nn.Module):
    """What the zoo's models share: the check of what they are given.

    Attributes
    ----------
    architecture : str
        Its name in `ARCHITECTURES`.
    options : ArchitectureConfig
        How it was built.
    length : int
        The sequence length it was built for.
    n_outputs : int
        Logits per sequence.
    minimum_length : int
        The shortest sequence that a length-flexible model takes (and that the others can be built for).
    config : ModelConfig
        What is known about it once it is trained or loaded.
    """

    architecture: str
    options: ArchitectureConfig
    length: int
    n_outputs: int
    minimum_length: int
    config: ModelConfig

    def check_input(self, x: Tensor) -> None:
        """Raise `SeqplrpError` where ``x`` is not ``(N, 4, L)`` with a length that the model takes."""
        if x.ndim != 3 or x.shape[1] != 4:
            found = f"the input has shape {tuple(x.shape)}, a model of DNA takes (N, 4, L)"
            raise SeqplrpError(self.architecture, found, "make it with seqplrp.one_hot(sequences)")
        if self.options.flexible_length:
            if x.shape[2] < self.minimum_length:
                found = f"sequences of {x.shape[2]} bases, the model takes {self.minimum_length} or more"
                raise SeqplrpError(self.architecture, found, "give longer sequences")
        elif x.shape[2] != self.length:
            found = f"sequences of {x.shape[2]} bases, the model was built for {self.length}"
            raise SeqplrpError(
                self.architecture,
                found,
                f"cut or extend the sequences to {self.length} bases, or train a model for {x.shape[2]}",
            )


class DeepBind(SequenceModel):
    """See `DeepBindConfig`."""

    def __init__(self, options: DeepBindConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        # Half a kernel of padding lets a motif at either end be seen, as in the original.
        self.conv = nn.Conv1d(4, options.filters, options.kernel, padding=options.kernel // 2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(_conv_length(length, options.kernel, options.kernel // 2))
        self.dropout = nn.Dropout(options.dropout)
        self.hidden = nn.Linear(options.filters, options.hidden)
        self.hidden_relu = nn.ReLU()
        self.output = nn.Linear(options.hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_outputs)`` of one-hot DNA ``(N, 4, L)``."""
        self.check_input(x)
        x = self.pool(self.relu(self.conv(x))).flatten(1)
        logits: Tensor = self.output(self.hidden_relu(self.hidden(self.dropout(x))))
        return logits


class ConvTower(SequenceModel):
    """See `ConvTowerConfig`."""

    def __init__(self, options: ConvTowerConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        channels, convolutions = 4, []
        for filters, kernel, pool in zip(options.filters, options.kernels, options.pools, strict=True):
            padding = _same_padding(kernel) if options.padding == "same" else 0
            length = _conv_length(length, kernel, padding) // pool
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


_MODULES: dict[type[ArchitectureConfig], Any] = {
    DeepBindConfig: DeepBind,
    BassetSmallConfig: ConvTower,
    BassetConfig: ConvTower,
    DeepSEAConfig: ConvTower,
    ResNet1dConfig: ResNet1d,
    DilatedResidualConfig: DilatedResidual,
}


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
        For an unknown architecture or option, a value of the wrong kind, or a length too small for the pools.
    """
    name = resolve_architecture(architecture)
    config = check_architecture(name, options)
    if n_outputs < 1:
        raise SeqplrpError("n_outputs", f"{n_outputs} outputs", "give at least 1")
    minimum = minimum_length(config)
    if length < minimum:
        raise SeqplrpError(
            f"architecture {name}",
            f"its kernels and pools need at least {minimum} bases and the sequences have {length}",
            "give longer sequences, or fewer or smaller pools (option pools), or another architecture",
        )
    model: SequenceModel = _MODULES[type(config)](config, length, n_outputs)
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


def minimum_length(config: ArchitectureConfig) -> int:
    """The smallest number of bases from which a value is left after every convolution and pool."""
    match config:
        case ConvTowerConfig():
            need = 1
            for kernel, pool in zip(reversed(config.kernels), reversed(config.pools), strict=True):
                padding = _same_padding(kernel) if config.padding == "same" else 0
                need = max(1, need * pool + kernel - 1 - 2 * padding)
            return need
        case DeepBindConfig():
            return max(1, config.kernel - 2 * (config.kernel // 2))
        case _:
            return 1


def count_parameters(model: nn.Module) -> int:
    """How many trainable numbers a model has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def initialise_output(model: SequenceModel, log_odds: Tensor) -> None:
    """Set the last layer's bias to each output's prior log odds, so that training need not learn them first."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(log_odds.to(last.bias))


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


def _conv_length(length: int, kernel: int, padding: int) -> int:
    return length + 2 * padding - kernel + 1


def _check_odd(name: str, value: int) -> None:
    if value % 2 == 0:
        raise _option_error(name, value, "an odd number, so that the skip and the convolution line up")


def _option_error(name: str, value: object, expected: str) -> SeqplrpError:
    return SeqplrpError("model options", f"{name} is {value!r}", f"give {expected}")


def _coerce(name: str, value: Any, hint: Any) -> Any:
    """Bring a value from JSON or the command line to a field's type, or say why it can't be."""
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(_coerce(name, item, int) for item in items)
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise _option_error(name, value, " or ".join(repr(choice) for choice in typing.get_args(hint)))
        return value
    if hint is bool:
        if not isinstance(value, bool):
            raise _option_error(name, value, "true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _option_error(name, value, "a number")
    if hint is int:
        if value != int(value):
            raise _option_error(name, value, "a whole number")
        return int(value)
    return float(value)
