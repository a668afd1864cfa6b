"""LRP-epsilon with eps -> 0, once more and by autograd alone: gradient times input of a model that is made linear.

With eps -> 0, what a unit hands on is its value times a coefficient, and coefficients pass a linear layer as gradients
do. So relevance is input times gradient of the model in which each nonlinearity f is a product with the constant
(f(z) - f(0)) / z, and what METHODS.md, section 2, holds constant is detached: gates, attention weights, statistics
of layer norms. torch's own functions are caught while the model runs, so nothing here is shared with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def ratio_of(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return function(z), of which the gradient is (f(z) - f(0)) / z, and 0 where z is."""
    with torch.no_grad():
        at_zero = function(torch.zeros_like(z))
        rise = function(z) - at_zero
        ratio = torch.where(z == 0, 0, rise / torch.where(z == 0, 1, z))
    return z * ratio + at_zero


class Linear(TorchFunctionMode):
    """While active, torch's functions have the gradients of the linearised model."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("relu", "gelu", "leaky_relu", "silu", "elu", "tanh", "exp", "softplus", "relu_"):
            options = {key: value for key, value in kwargs.items() if key != "inplace"}
            rest = () if name in ("relu", "relu_") else args[1:]  # whether in place
            function = F.relu if name == "relu_" else func
            return ratio_of(lambda z: function(z, *rest, **options), args[0])
        if name in ("sigmoid", "softmax"):
            return func(*args, **kwargs).detach()
        if name == "amax":  # of equals the first, where autograd would give each its part
            axis = args[1] if len(args) > 1 else kwargs["dim"]
            first = args[0].detach().argmax(axis, keepdim=True)
            return args[0].gather(axis, first).squeeze(axis)
        if name == "layer_norm":
            return layer_norm(*args, **kwargs)
        if name == "multi_head_attention_forward":
            return attention(*args, **kwargs)
        if name in ("lstm", "gru"):
            return recurrent(name, *args)
        return func(*args, **kwargs)


def layer_norm(x: Tensor, shape: Any, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    assert tuple(shape) == x.shape[-1:]
    deviation = (x.var(-1, keepdim=True, correction=0) + eps).sqrt().detach()
    return (x - x.mean(-1, keepdim=True).detach()) / deviation * weight + bias


def attention(query: Tensor, key: Tensor, value: Tensor, dim: int, heads: int, *rest: Any, **kwargs: Any) -> Any:
    """torch's attention on (L, N, dim), without masks."""
    in_weight, in_bias, _, _, _, _, out_weight, out_bias = rest[:8]

    def split(h: Tensor) -> Tensor:
        return h.unflatten(-1, (heads, dim // heads)).permute(1, 2, 0, 3)

    projected = [
        split(F.linear(h, w, b))
        for h, w, b in zip((query, key, value), in_weight.chunk(3), in_bias.chunk(3), strict=True)
    ]
    q, k, v = projected
    weights = (q @ k.transpose(-1, -2) / (dim // heads) ** 0.5).softmax(-1).detach()
    return F.linear((weights @ v).permute(2, 0, 1, 3).flatten(2), out_weight, out_bias), None


def recurrent(
    name: str,
    x: Tensor,
    states: Any,
    weights: list[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """torch's LSTM and GRU, one time step after the other, gates detached."""
    assert has_biases
    x = x.transpose(0, 1) if batch_first else x
    of_layer, last = iter(zip(*(iter(weights),) * 4, strict=True)), []
    for _ in range(layers):
        directions = []
        for backwards in (False, True)[: 1 + bidirectional]:
            w = next(of_layer)
            found = _one_way(name, x.flip(0) if backwards else x, *w)
            last.append(found[-1])
            directions.append(found.flip(0) if backwards else found)
        x = torch.cat(directions, -1)
    output = x.transpose(0, 1) if batch_first else x
    return (output, torch.stack(last), None)[: 3 if name == "lstm" else 2]


def _one_way(name: str, x: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    h = x.new_zeros(x.shape[1], w_h.shape[1])
    cell, found = h, []
    for now in x:
        from_x, from_h = F.linear(now, w_x, b_x), F.linear(h, w_h, b_h)
        if name == "lstm":
            i, f, g, o = (from_x + from_h).chunk(4, -1)
            cell = f.sigmoid().detach() * cell + i.sigmoid().detach() * ratio_of(torch.tanh, g)
            h = o.sigmoid().detach() * ratio_of(torch.tanh, cell)
        else:
            (r_x, z_x, n_x), (r_h, z_h, n_h) = from_x.chunk(3, -1), from_h.chunk(3, -1)
            reset, keep = (r_x + r_h).sigmoid().detach(), (z_x + z_h).sigmoid().detach()
            h = (1 - keep) * ratio_of(torch.tanh, n_x + reset * n_h) + keep * h
        found.append(h)
    return torch.stack(found)


def coefficients(score: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores (N,) and what the input's relevance is a product with."""
    leaf = x.clone().requires_grad_()
    with Linear():
        scores = score(leaf)
    (gradient,) = torch.autograd.grad(scores.sum(), leaf)
    return scores.detach(), gradient
