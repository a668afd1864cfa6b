"""METHODS.md, sections 2 and 3, written once more in NumPy: one sample at a time, dense matrices, loops, sorts.

Nothing here is shared with the engine. A layer is its matrix W (inputs x outputs), found by applying the layer to unit
vectors, and its bias b (outputs); a rule is the list of its quotients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


def matrix_of(layer: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return W (inputs x outputs) and b (outputs) of an affine layer on one sample of the given shape."""
    size = int(np.prod(shape))
    with torch.no_grad():
        b = layer(torch.zeros(1, *shape, dtype=torch.float64)).reshape(-1)
        rows = layer(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).reshape(size, -1) - b
    return rows.numpy(), b.numpy()


def connections_of(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """Return the 0/1 matrix that says which input reaches which output, whatever the weight's value."""
    kept = {name: p.detach().clone() for name, p in layer.named_parameters()}
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.fill_(1.0 if name.endswith("weight") else 0.0)
    try:
        return matrix_of(layer, shape)[0]
    finally:
        with torch.no_grad():
            for name, p in layer.named_parameters():
                p.copy_(kept[name])


def pos(v: np.ndarray) -> np.ndarray:
    return np.maximum(v, 0)


def neg(v: np.ndarray) -> np.ndarray:
    return np.minimum(v, 0)


@dataclass
class Quotient:
    """N (inputs x outputs) over sum_i N + beta, for the outputs served, times a coefficient."""

    numerators: np.ndarray
    beta: np.ndarray
    serves: np.ndarray
    coefficient: float = 1.0

    @property
    def denominator(self) -> np.ndarray:
        return self.numerators.sum(0) + self.beta


def stab(d: np.ndarray, eps: float) -> np.ndarray:
    return d + eps * np.where(d >= 0, 1.0, -1.0)


def quotients(
    rule: str,
    a: np.ndarray,
    W: np.ndarray,
    b: np.ndarray,
    *,
    gamma: float = 0.25,
    alpha: float = 2.0,
    beta: float = 1.0,
    low: float = 0.0,
    high: float = 1.0,
    connected: np.ndarray | None = None,
) -> list[Quotient]:
    """Return the quotients of a rule at one layer for one sample's input a."""
    a = a[:, None]
    z = (a * W).sum(0) + b
    everywhere = np.ones_like(b, dtype=bool)
    same = pos(W) * pos(a) + neg(W) * neg(a)
    other = neg(W) * pos(a) + pos(W) * neg(a)
    linked = (W != 0) if connected is None else connected
    if rule in ("epsilon", "conserving"):
        return [Quotient(a * W, b, everywhere)]
    if rule == "gamma":
        return [
            Quotient(a * W + gamma * same, b + gamma * pos(b), z >= 0),
            Quotient(a * W + gamma * other, b + gamma * neg(b), z < 0),
        ]
    if rule == "zplus":
        return [Quotient(same, pos(b), everywhere)]
    if rule == "alphabeta":
        return [Quotient(same, pos(b), everywhere, alpha), Quotient(other, neg(b), everywhere, -beta)]
    if rule == "flat":
        return [Quotient(np.ones_like(a) * linked, 0 * b, everywhere)]
    if rule == "wsquare":
        return [Quotient(np.ones_like(a) * W**2, 0 * b, everywhere)]
    if rule == "zbox":
        return [Quotient(a * W - low * pos(W) - high * neg(W), 0 * b, everywhere)]
    raise AssertionError(rule)


@dataclass
class Shared:
    """Relevance of the inputs, and what bias and stabiliser took."""

    relevance: np.ndarray
    bias: float = 0.0
    stabiliser: float = 0.0
    scale: float = 1.0


def shared_anew(rule: str, R: np.ndarray, d: np.ndarray, eps: float) -> np.ndarray:
    """Under the conserving relative rule: each sign's relevance in proportion to R (|d| + eps), its total as before."""
    if rule != "conserving":
        return R
    out = np.zeros_like(R)
    for sign in (1, -1):
        of_sign = np.where(sign * R > 0, R, 0)
        weights = of_sign * (np.abs(d) + eps)
        if weights.any():
            out = out + weights * of_sign.sum() / weights.sum()
    return out


def share(rule: str, a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray, eps: float = 1e-6, **how) -> Shared:
    """Share R (outputs) among the inputs of a layer."""
    if rule == "relative":
        r = a * (W @ R)
        size = np.abs(r).sum()
        scale = size / np.abs(R).sum() if size > 0 and np.abs(R).sum() > 0 else 1.0
        return Shared(r / scale, scale=scale)
    out = Shared(np.zeros_like(a))
    for q in quotients(rule, a, W, b, **how):
        s = np.where(q.serves, q.coefficient * shared_anew(rule, R, q.denominator, eps), 0) / stab(q.denominator, eps)
        out.relevance = out.relevance + (q.numerators * s).sum(1)
        out.bias += float((q.beta * s).sum())
        out.stabiliser += float(((stab(q.denominator, eps) - q.denominator) * s).sum())
    return out


def share_again(
    rule: str, a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray, kept: np.ndarray, tau: float, **how
) -> tuple[np.ndarray, int]:
    """Matrix mode's second sharing, among the kept inputs; also how many outputs the guard held back."""
    eps = how.pop("eps", 1e-6)
    total, guarded = np.zeros_like(a), 0
    for q in quotients(rule, a, W, b, **how):
        served = np.where(q.serves, q.coefficient * shared_anew(rule, R, q.denominator, eps), 0)
        k = (q.numerators * kept[:, None]).sum(0)
        d = q.denominator
        if tau > 0:
            enough = k / stab(d, eps) > tau
            guarded += int((~enough & (served != 0)).sum())
            k = np.where(enough, k, d)
        total = total + kept * (q.numerators * (served / stab(k, eps))).sum(1)
    return total, guarded


def kept_by_mass(r: np.ndarray, p: float, p_neg: float) -> np.ndarray:
    """Mask of the entries that a mass threshold keeps: prune while the sum of all of that sign <= v is at most p P."""
    keep = np.zeros(r.shape, dtype=bool)
    for sign, share_ in ((1, p), (-1, p_neg)):
        v = np.where(sign * r > 0, sign * r, 0).astype(np.float64)
        largest = v.max(initial=0)
        for size in np.unique(v[v > 0]):
            if v[v <= size].sum() > share_ * v.sum() or size == largest:
                keep |= v == size
    return keep


def kept_by_gain(r: np.ndarray, gain: float) -> np.ndarray:
    """Mask of the entries that a gain threshold keeps: at least gain times their sign's mean, or the largest."""
    keep = np.zeros(r.shape, dtype=bool)
    for sign in (1, -1):
        v = np.where(sign * r > 0, sign * r, 0).astype(np.float64)
        if v.any():
            keep |= (v > 0) & ((v >= gain * v[v > 0].mean()) | (v == v.max()))
    return keep


def rescaled(kept: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Bring each sign of what is kept to its total before."""
    out = np.array(kept, dtype=np.float64)
    for part in (pos, neg):
        rest = part(kept).sum()
        if rest != 0:
            out = np.where(part(kept) != 0, kept * (part(before).sum() / rest), out)
    return out
