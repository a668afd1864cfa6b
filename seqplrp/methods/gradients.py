"""Gradients of the explained score, by autograd on the traced model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqplrp.lrp import output_of, run_forward
from seqplrp.methods.base import Attribution, Method, Prepared


def score_and_gradient(prepared: Prepared, x: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the explained score (N,) and its gradient with respect to the input (N, ...).

    The traced graph runs, not the model, so the score is the same logit that relevance propagation explains, and no
    gradient is left on the model's parameters.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        run = run_forward(prepared.plan, leaf)
        output = output_of(prepared.plan, run)
        score = output if target is None else output.gather(1, target.clone().unsqueeze(1))
        score = score.reshape(len(x))
        (gradient,) = torch.autograd.grad(score.sum(), leaf)
    return score.detach(), gradient


@dataclass(frozen=True, kw_only=True)
class GradientTimesInput(Method):
    """Gradient times input; the gradient itself is the hypothetical contribution.

    Notes
    -----
    Source: Shrikumar et al. 2016. In a ReLU net without biases it equals LRP-epsilon with eps -> 0.
    """

    def attribute(self, prepared: Prepared, x: Tensor, target: Tensor | None) -> Attribution:
        score, gradient = score_and_gradient(prepared, x, target)
        return Attribution(x * gradient, gradient, score)


@dataclass(frozen=True, kw_only=True)
class Saliency(Method):
    """The size of the gradient at the present bases, ``input * |gradient|``; |gradient| is the hypothetical map.

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman 2013, with the read-out of one-hot input.
    """

    def attribute(self, prepared: Prepared, x: Tensor, target: Tensor | None) -> Attribution:
        score, gradient = score_and_gradient(prepared, x, target)
        size = gradient.abs()
        return Attribution(x * size, size, score)
