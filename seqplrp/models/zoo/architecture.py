"""What all architectures of the zoo have in common: how one is described, and what its networks check."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.models.config import ModelConfig

_LARGEST = 1_000_000
_COUNTS_LAYERS = ("layers", "blocks")
_MOST_LAYERS = 60  # a dilated layer's reach doubles with each: one more does not fit into torch's whole numbers


@dataclass(frozen=True)
class ArchitectureConfig(ABC):
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
                    raise option_error(field.name, value, "a share from 0 up to, but not including, 1")
            elif field.name in _COUNTS_LAYERS and not 1 <= value <= _MOST_LAYERS:
                raise option_error(field.name, value, f"a whole number from 1 to {_MOST_LAYERS}")
            elif isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= _LARGEST:
                raise option_error(field.name, value, f"a whole number from 1 to {_LARGEST}")
            elif isinstance(value, tuple) and not all(1 <= v <= _LARGEST for v in value):
                raise option_error(field.name, value, f"whole numbers from 1 to {_LARGEST}")
            elif isinstance(value, tuple) and len(value) > _MOST_LAYERS:
                raise option_error(field.name, f"{len(value)} numbers", f"{_MOST_LAYERS} or fewer")

    def minimum_length(self) -> int:
        """Return the smallest number of bases from which a value is left after every convolution and pool."""
        return 1

    @abstractmethod
    def network(self, length: int, n_outputs: int) -> SequenceModel:
        """Return an untrained network of that plan, for sequences of `minimum_length` bases or more."""


class SequenceModel(nn.Module):
    """What the zoo's models share: the check of what they are given.

    Attributes
    ----------
    architecture : str
        Its name in `seqplrp.models.ARCHITECTURES`.
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


def option_error(name: str, value: object, expected: str) -> SeqplrpError:
    """Return the error of an option's value that no network can have."""
    return SeqplrpError("model options", f"{name} is {value!r:.60}", f"give {expected}")


def check_odd(name: str, value: int) -> None:
    """Raise a SeqplrpError for an even kernel."""
    if value % 2 == 0:
        raise option_error(name, value, "an odd number, so that the skip and the convolution line up")


def conv_length(length: int, kernel: int, padding: int) -> int:
    """Return how many positions a convolution of stride 1 leaves."""
    return length + 2 * padding - kernel + 1
