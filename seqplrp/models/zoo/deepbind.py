"""DeepBind: motif detectors and one global maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from seqplrp.models.zoo.architecture import ArchitectureConfig, SequenceModel, conv_length


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

    def minimum_length(self) -> int:
        """Return the smallest number of bases from which a value is left after the convolution."""
        return max(1, self.kernel - 2 * (self.kernel // 2))

    def network(self, length: int, n_outputs: int) -> DeepBind:
        """Return an untrained network."""
        return DeepBind(self, length, n_outputs)


class DeepBind(SequenceModel):
    """See `DeepBindConfig`."""

    def __init__(self, options: DeepBindConfig, length: int, n_outputs: int) -> None:
        super().__init__()
        # Half a kernel of padding lets a motif at either end be seen, as in the original.
        self.conv = nn.Conv1d(4, options.filters, options.kernel, padding=options.kernel // 2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(conv_length(length, options.kernel, options.kernel // 2))
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
