"""Gradients of the explained score, by autograd on the traced model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import output_of, run_forward
from seqplrp.methods.base import Attribution, Batch, Method, Prepared, chosen_of, score_of


@dataclass(frozen=True)
class ScoreGradient:
    """The explained score (N,), its gradient with respect to the input (N, ...), and the output that was explained."""

    score: Tensor
    gradient: Tensor
    target: Tensor | None


def check_continuous(x: Tensor, method: Method) -> None:
    """Raise a SeqplrpError where an input is no number of which small changes are meant."""
    if not x.is_floating_point():
        raise SeqplrpError(
            "X", f"holds tokens ({x.dtype}), of which {method!r} has no gradient", "use LRP or PLRP, or one-hot input"
        )


def score_gradients(prepared: Prepared, batch: Batch) -> list[ScoreGradient]:
    """Return score and gradient for each target, from one forward pass.

    The traced graph runs, not the model, so the score is the same logit that relevance propagation explains, and no
    gradient is left on the model's parameters.
    """
    found = []
    with torch.inference_mode(False), torch.enable_grad():
        leaf = batch.x.detach().clone().requires_grad_()
        run = run_forward(prepared.plan, leaf, [other.clone() for other in batch.others])
        output = output_of(prepared.plan, run)
        for number, asked in enumerate(batch.targets, start=1):
            target = chosen_of(output, asked)
            # autograd keeps the index, which must not have been made in inference mode
            score = score_of(output, None if target is None else target.clone())
            (gradient,) = torch.autograd.grad(score.sum(), leaf, retain_graph=number < len(batch.targets))
            found.append(ScoreGradient(score.detach(), gradient, target))
    return found


def plan_scores(prepared: Prepared, batch: Batch) -> list[tuple[Tensor, Tensor | None]]:
    """Return the explained score (N,) and the index of the explained output for each target, without gradients."""
    with torch.no_grad():
        output = output_of(prepared.plan, run_forward(prepared.plan, batch.x, batch.others, keep=False))
    targets = [chosen_of(output, asked) for asked in batch.targets]
    return [(score_of(output, target), target) for target in targets]


@dataclass(frozen=True, kw_only=True)
class GradientTimesInput(Method):
    """Gradient times input; the gradient itself is the hypothetical contribution.

    Notes
    -----
    Source: Shrikumar et al. 2016. In a ReLU net without biases it equals LRP-epsilon with eps -> 0. With
    ``center="uniform"`` it is the gradient correction of Majdandzic, Rajesh and Koo (2023).
    """

    @property
    def notes(self) -> tuple[str, ...]:
        if self.center is not None:
            return ()
        return ("gradient x input: the map sums to the score only where the model is piecewise linear without biases",)

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        check_continuous(batch.x, self)
        return [
            Attribution(batch.x * found.gradient, found.gradient, found.score, found.target)
            for found in score_gradients(prepared, batch)
        ]


@dataclass(frozen=True, kw_only=True)
class Saliency(Method):
    """The size of the gradient at the present bases, ``input * |gradient|``; |gradient| is the hypothetical map.

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman 2013, with the read-out of one-hot input.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        return ("saliency: sizes of gradients, which do not sum to the score",)

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        check_continuous(batch.x, self)
        found = score_gradients(prepared, batch)
        sizes = [one.gradient.abs() for one in found]
        return [
            Attribution(batch.x * size, size, one.score, one.target) for one, size in zip(found, sizes, strict=True)
        ]
