"""Operations linear in their inputs, without weights: each input takes its contribution's share (epsilon)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.lrp.ledger import Ledger, taken_by_stabiliser
from seqplrp.lrp.steps import (
    EPS,
    Contribution,
    Handler,
    MoveHandler,
    Run,
    Step,
    Vanishing,
    constants_column,
    divided,
    lowest_level,
    sizes_in,
    stabilised,
)


class SharedByContribution(Handler, ABC):
    """y = sum of linear functions of the inputs (+ constants): r_i = (what i contributes to y) / (y + eps sgn y) R.

    Source: METHODS.md, section 2, sums and averages.
    """

    vanishing: ClassVar[Vanishing] = "always"

    @abstractmethod
    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        """Apply the adjoint of the operation to ``R / (y + eps sgn y)``: one tensor an input, of its shape."""

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        """Return what constants among the summands take (N,), as a bias does; None where there are none."""
        return None

    def is_plain_sum(self, step: Step) -> bool:
        """Whether the output is a sum of the inputs alone, each times constants that are not negative."""
        return False

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return lowest_level(step, levels)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def needs(self, step: Step) -> tuple[str, ...]:
        return (*step.inputs, step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        output = run.values[step.output]
        share = divided(relevance, stabilised(output, EPS, nonnegative=step.output_nonnegative))
        stabiliser = taken_by_stabiliser(share, output, EPS, nonnegative=step.output_nonnegative, axis=step.batch)
        constants = self.taken_by_constants(step, share, run)
        coefficients = self.coefficients(step, share, run)
        last = len(coefficients) - 1 if not any(step.reads_input) else None  # which keeps its coefficient
        shared = [
            step.share_out(place, coefficient, run, is_own=place == last and coefficient is share)
            for place, coefficient in enumerate(coefficients)
        ]
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=run.relevance_out(step, relevance),
            relevance_in=torch.stack([total for _, total in shared]).sum(0),
            **({} if constants is None else {constants_column(step, step.args): constants}),
            stabiliser=stabiliser,
            size=run.size_out(step, relevance),
            **sizes_in([contribution for contribution, _ in shared]),
        )
        return [contribution for contribution, _ in shared]

    def describe(self, step: Step) -> str:
        return f"Epsilon(eps={EPS:g})"


class SummedInput(MoveHandler):
    """The explained input, summed or averaged without weights before any layer reads it.

    Shared by contribution, ``x + flipped(x)`` would hand nothing on where it is 0, and the hypothetical contributions
    of the bases that are not there would be lost. So the layer that reads it is a first layer, as it is where the sum
    is part of its weights: a coefficient c of the sum is c of each summand, ``x c + flipped(x) c``. Relevance that does
    not come as a coefficient is shared by contribution. It stays relevance where it may fall on a sum of 0, as Flat and
    ZBox have it: divided by that, it says nothing of what another base would have.
    """

    def __init__(self, sharing: SharedByContribution) -> None:
        self.sharing = sharing

    def forward(self, step: Step, run: Run) -> Tensor:
        return self.sharing.forward(step, run)

    def needs(self, step: Step) -> tuple[str, ...]:
        return self.sharing.needs(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return self.sharing.nonnegative(step, inputs)

    def back_coefficient(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return self.sharing.coefficients(step, moved, run)

    def account(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> None:
        """Enter nothing: no constant stands beside the input, and no denominator takes a share."""

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        parts = self.sharing.backward(step, relevance, run, ledger)
        if step.vanishes:
            return parts
        return [
            Contribution(relevance=run.values[name] * part.coefficient)
            for name, part in zip(step.inputs, parts, strict=True)
        ]

    def describe(self, step: Step) -> str:
        return "summed"
