"""An operation of our own, such as a fused kernel, and how relevance passes back through it."""

import torch
from torch import Tensor

from seqplrp.lrp import Contribution, Handler, Ledger, Run, Step


@torch.library.custom_op("seqplrp_example::squared_relu", mutates_args=())
def squared_relu(x: Tensor) -> Tensor:
    """relu(x) squared (So et al. 2021)."""
    return x.relu().square()


@squared_relu.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class SquaredRelu(Handler):
    """Elementwise, and 0 at 0: all relevance of an output is its input's."""

    conserves = True

    def nonnegative(self, step: Step, inputs: object) -> bool:
        return True

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(relevance=relevance)]
