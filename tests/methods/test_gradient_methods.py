"""Gradient methods against torch's own autograd, and the identity that ties them to LRP."""

from __future__ import annotations

import pytest
import torch
from nets import binary, classifier, sequences, without_biases
from torch import Tensor, nn

import seqplrp as sp

X = sequences()


def gradient_of(model: nn.Module, x: Tensor, target: list[int]) -> Tensor:
    leaf = x.clone().requires_grad_()
    score = model(leaf).gather(1, torch.tensor(target)[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, leaf)
    return gradient


@pytest.mark.parametrize("model", [classifier, without_biases])
def test_gradients_are_those_of_the_model_itself(model) -> None:
    target = [0, 1, 2, 0, 1]
    gradient = gradient_of(model(), X, target)
    by_input = sp.explain(model(), X, target=target, method=sp.GradientTimesInput())
    torch.testing.assert_close(by_input.hypothetical, gradient, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(by_input.relevance, X * gradient, rtol=1e-12, atol=1e-14)
    saliency = sp.explain(model(), X, target=target, method="saliency")
    torch.testing.assert_close(saliency.hypothetical, gradient.abs(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(saliency.relevance, X * gradient.abs(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(by_input.output, model()(X).detach().gather(1, torch.tensor(target)[:, None])[:, 0])


def test_gradients_of_a_logit_not_of_the_closing_sigmoid() -> None:
    closed = nn.Sequential(binary(), nn.Sigmoid())
    expected = sp.explain(binary(), X, method="gradient-x-input")
    found = sp.explain(closed, X, method="gradient-x-input")
    assert torch.equal(found.relevance, expected.relevance)
    assert torch.equal(found.output, expected.output)


@pytest.mark.parametrize("target", [0, 1, 2])
def test_without_biases_gradient_times_input_is_lrp_epsilon(target: int) -> None:
    """Shrikumar et al. 2016; Ancona et al. 2018: exact as eps goes to 0 (ReLU, max and average pools)."""
    by_gradient = sp.explain(without_biases(), X, target=target, method="gradient-x-input")
    by_lrp = sp.explain(without_biases(), X, target=target, method=sp.LRP(rule=sp.Epsilon(1e-14)))
    scale = float(by_gradient.relevance.abs().max())
    # the average pool has the engine's own stabiliser of 1e-6
    torch.testing.assert_close(by_lrp.relevance, by_gradient.relevance, rtol=1e-3, atol=1e-3 * scale)
    torch.testing.assert_close(by_gradient.relevance.sum((1, 2)), by_gradient.output, rtol=1e-9, atol=1e-12)


def test_without_biases_and_average_pools_the_identity_is_exact() -> None:
    body = nn.Sequential(
        *(m for m in without_biases() if not isinstance(m, nn.AvgPool1d | nn.Linear | nn.ReLU | nn.Flatten))
    )
    model = nn.Sequential(body[0], nn.ReLU(), body[1], body[2], nn.ReLU(), nn.Flatten())
    for target in (0, 7, 20):
        by_gradient = sp.explain(model, X, target=target, method="gradient-x-input")
        by_lrp = sp.explain(model, X, target=target, method=sp.LRP(rule=sp.Epsilon(1e-14)))
        torch.testing.assert_close(by_lrp.relevance, by_gradient.relevance, rtol=1e-9, atol=1e-12)
        # a score that is exactly 0 starts with no relevance, but it has a gradient where a unit just does not fire
        alive = by_gradient.output != 0
        torch.testing.assert_close(by_lrp.hypothetical[alive], by_gradient.hypothetical[alive], rtol=1e-9, atol=1e-12)


def test_parameters_keep_no_gradient() -> None:
    model = classifier()
    sp.explain(model, X, target=0, method="gradient-x-input")
    assert all(p.grad is None for p in model.parameters())
