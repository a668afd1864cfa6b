r"""The propagation rules of linear layers (METHODS.md, section 2).

A rule says how the relevance :math:`R_j` of each output of a linear layer is shared among the inputs,
:math:`r_i = \sum_j N_{ij} R_j / \mathrm{stab}(d_j)`. Every such rule is written here as a sum of *branches*, and the
numerators :math:`N_{ij}` of a branch as a sum of *terms* ``part(a)_i * weight_ij``; the denominator is their sum
over the inputs plus the branch's bias. The engine runs any rule of that form, prunes under it and keeps its ledger,
so a rule of your own needs nothing but a frozen dataclass with a ``branches`` method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from seqplrp.errors import SeqplrpError

Part = Literal["input", "positive", "negative", "one", "low", "high"]
"""What a term multiplies its weight with: the input, its positive or negative part, 1, or a bound of the input."""

Outputs = Literal["all", "nonnegative", "negative"]
"""Which outputs a branch serves, by the sign of the layer's own output z (sgn 0 = +1)."""


@dataclass(frozen=True)
class Term:
    """One product ``part(a) * weight`` in the numerators of a branch; ``weight`` has the layer's weight's shape."""

    part: Part
    weight: Tensor


@dataclass(frozen=True)
class Branch:
    """One quotient of a rule: terms, bias, the outputs it serves and its coefficient.

    Attributes
    ----------
    terms : tuple of Term
        Their sum is the numerators N_ij.
    bias : Tensor or None
        Shape (outputs,); its part of the denominator takes its share of the relevance, which the ledger reports.
    coefficient : float
        The branch's share of the relevance; the coefficients that serve one output sum to 1.
    outputs : {"all", "nonnegative", "negative"}
        The outputs served, by the sign of z.
    nonnegative : bool
        True where the denominator can't be negative, which spares the ledger a pass over it.
    is_forward : bool
        True where the denominator is the layer's own output z, which spares a forward pass.
    weighted : bool
        True where a sample's outputs first share their relevance anew, each sign among itself, in proportion to what
        each has times the size of its stabilised denominator; so the division takes back nothing but a sign.
    """

    terms: tuple[Term, ...]
    bias: Tensor | None
    coefficient: float = 1.0
    outputs: Outputs = "all"
    nonnegative: bool = False
    is_forward: bool = False
    weighted: bool = False


@runtime_checkable
class Rule(Protocol):
    """What the engine asks of a rule; ``eps`` is the stabiliser of its denominators."""

    @property
    def eps(self) -> float:
        """The stabiliser of the denominators."""
        ...

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """Return the rule's branches for a layer's weight (outputs, ...) and bias (outputs,)."""
        ...


def _positive(tensor: Tensor) -> Tensor:
    return tensor.clamp(min=0)


def _negative(tensor: Tensor) -> Tensor:
    return tensor.clamp(max=0)


def _with(function: Callable[[Tensor], Tensor], bias: Tensor | None) -> Tensor | None:
    return None if bias is None else function(bias)


def _check_eps(rule: str, eps: float) -> None:
    if not (isinstance(eps, int | float) and 0 <= eps < float("inf")):
        raise SeqplrpError(f"{rule}(eps={eps!r})", "the stabiliser must be a number >= 0", "use for example eps=1e-6")


@dataclass(frozen=True)
class Epsilon:
    """LRP-epsilon: shares by contribution to the output, ``r_i = sum_j a_i w_ij / (z_j + eps sgn z_j) R_j``.

    Parameters
    ----------
    eps : float
        Stabiliser of the denominators, in the units of the layer's output.

    Notes
    -----
    Source: Bach et al. 2015, eq. 58; METHODS.md, section 2.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("Epsilon", self.eps)

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch, the layer itself."""
        return (Branch((Term("input", weight),), bias, is_forward=True),)


@dataclass(frozen=True)
class Gamma:
    """LRP-gamma, signed form: contributions of the output's own sign weigh ``1 + gamma``.

    Parameters
    ----------
    gamma : float
        How much more the contributions that agree with the output's sign weigh.
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Montavon et al. 2019, section 10.2.3, extended to inputs and outputs of both signs; METHODS.md, section 2.
    """

    gamma: float = 0.25
    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("Gamma", self.eps)
        if not (isinstance(self.gamma, int | float) and 0 <= self.gamma < float("inf")):
            raise SeqplrpError(f"Gamma({self.gamma!r})", "gamma must be a number >= 0", "use for example Gamma(0.25)")

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """Two branches: outputs with z >= 0 and outputs with z < 0."""
        g = self.gamma
        raised = weight + g * _positive(weight)
        lowered = weight + g * _negative(weight)
        agree = (Term("positive", raised), Term("negative", lowered))
        oppose = (Term("positive", lowered), Term("negative", raised))
        return (
            Branch(agree, _with(lambda b: b + g * _positive(b), bias), outputs="nonnegative", nonnegative=True),
            Branch(oppose, _with(lambda b: b + g * _negative(b), bias), outputs="negative"),
        )


def _same_sign(weight: Tensor) -> tuple[Term, ...]:
    return (Term("positive", _positive(weight)), Term("negative", _negative(weight)))


def _other_sign(weight: Tensor) -> tuple[Term, ...]:
    return (Term("positive", _negative(weight)), Term("negative", _positive(weight)))


@dataclass(frozen=True)
class ZPlus:
    """LRP-z+: shares by the positive contributions alone, ``w+ a+ + w- a-`` over their sum plus ``b+``.

    Parameters
    ----------
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Montavon et al. 2017, deep Taylor decomposition; METHODS.md, section 2.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("ZPlus", self.eps)

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch of the positive contributions."""
        return (Branch(_same_sign(weight), _with(_positive, bias), nonnegative=True),)


@dataclass(frozen=True)
class AlphaBeta:
    """LRP-alpha-beta: alpha times the positive contributions' shares minus beta times the negative ones'.

    Parameters
    ----------
    alpha, beta : float
        ``alpha - beta = 1`` and ``beta >= 0``.
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Bach et al. 2015, eq. 60; METHODS.md, section 2.
    """

    alpha: float = 2.0
    beta: float = 1.0
    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("AlphaBeta", self.eps)
        numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in (self.alpha, self.beta))
        if not numbers or abs(self.alpha - self.beta - 1) > 1e-9 or self.beta < 0:
            raise SeqplrpError(
                f"AlphaBeta({self.alpha}, {self.beta})",
                "alpha - beta must be 1 and beta >= 0, or relevance is not conserved",
                "use for example AlphaBeta(2, 1)",
            )

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """Two branches on all outputs: positive contributions, negative contributions."""
        positive = Branch(_same_sign(weight), _with(_positive, bias), coefficient=self.alpha, nonnegative=True)
        if self.beta == 0:
            return (positive,)
        return (positive, Branch(_other_sign(weight), _with(_negative, bias), coefficient=-self.beta))


@dataclass(frozen=True)
class Flat:
    """LRP-flat, for a first layer: every input of an output gets the same share.

    Parameters
    ----------
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Lapuschkin et al. 2019; METHODS.md, section 2. Padding takes no share. Not proportional to the input, so
    there are no hypothetical contributions.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("Flat", self.eps)

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch of ones."""
        return (Branch((Term("one", weight.new_ones(()).expand_as(weight).clone()),), None, nonnegative=True),)


@dataclass(frozen=True)
class WSquare:
    """LRP-w^2, for a first layer: shares by the squared weights.

    Parameters
    ----------
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Montavon et al. 2017; METHODS.md, section 2. There are no hypothetical contributions.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("WSquare", self.eps)

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch of squared weights."""
        return (Branch((Term("one", weight.square()),), None, nonnegative=True),)


@dataclass(frozen=True)
class ZBox:
    """LRP-z^B, for a first layer whose inputs lie in a box: numerators ``a w - low w+ - high w-``.

    Parameters
    ----------
    low, high : float or Tensor
        The bounds of the input; a tensor must broadcast to one sample of the input, for example (3, 1, 1).
    eps : float
        Stabiliser of the denominators.

    Notes
    -----
    Source: Montavon et al. 2017 and 2019, section 10.3. There are no hypothetical contributions.
    """

    low: float | Tensor
    high: float | Tensor
    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("ZBox", self.eps)
        for name, bound in (("low", self.low), ("high", self.high)):
            if not (isinstance(bound, Tensor) or (isinstance(bound, int | float) and math.isfinite(bound))):
                raise SeqplrpError(
                    f"ZBox({name}={bound!r})", "is no finite number or tensor", "use for example 0 and 1"
                )
        ordered = self.low <= self.high
        if not bool(ordered.all() if isinstance(ordered, Tensor) else ordered):
            raise SeqplrpError("ZBox", "low is above high", "give the input's lowest and highest values in that order")

    def __eq__(self, other: object) -> bool:
        # tensors compare entry by entry, of which no one truth value can be made
        return isinstance(other, ZBox) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return (*(_entries(bound) for bound in (self.low, self.high)), self.eps)

    def __repr__(self) -> str:
        # torch would write a tensor of one bound a channel over many lines
        return f"ZBox(low={_in_a_line(self.low)}, high={_in_a_line(self.high)}, eps={self.eps})"

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch of three terms."""
        terms = (Term("input", weight), Term("low", -_positive(weight)), Term("high", -_negative(weight)))
        return (Branch(terms, None),)


def _entries(bound: float | Tensor) -> object:
    if not isinstance(bound, Tensor):
        return bound
    return bound.dtype, tuple(bound.shape), tuple(bound.flatten().tolist())


def _in_a_line(bound: float | Tensor) -> str:
    return f"torch.tensor({bound.tolist()})" if isinstance(bound, Tensor) else repr(bound)


@dataclass(frozen=True)
class Relative:
    """Relative LRP (R-LRP): ``r_i = a_i sum_j w_ij R_j / C``, without a division by the outputs.

    C is one number for the whole layer and sample, so it can't change the map's shape;
    ``C = sum|a_i sum_j w_ij R_j| / sum|R_j|`` (1 where either is 0) keeps the relevance's size.

    Notes
    -----
    Source: Nyiri and Gibaru, arXiv 2501.14322, reconstructed; METHODS.md, section 2. Conservation holds up to C, so
    completeness is not claimed and the ledger says so.
    """

    @property
    def eps(self) -> float:
        """No denominator of this rule needs a stabiliser."""
        return 0.0

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One branch, whose relevance is not divided by the output but by C."""
        return (Branch((Term("input", weight),), bias, is_forward=True),)


@dataclass(frozen=True)
class ConservingRelative:
    r"""Relative LRP that adds up: one constant for each sign of the relevance that arrives.

    ``r_i = a_i sum_j w_ij sgn(z_j) C_j R_j``, where ``C_j`` is one number for all outputs of a sample whose R_j has the
    same sign, ``C = sum |R_j| / sum |R_j| (|z_j| + eps)`` over them. That is LRP-epsilon after each sign's relevance
    was shared out anew in proportion to ``R_j (|z_j| + eps)``: outputs that are hardly active no longer pass on as much
    as strong ones, as under `Relative`, and each sign's total is conserved but for the biases' share, as under
    `Epsilon`.

    Parameters
    ----------
    eps : float
        Stabiliser, in the units of the layer's output.

    Notes
    -----
    Ours, after Nyiri and Gibaru (arXiv 2501.14322); METHODS.md, section 2, has `Relative`, whose one constant keeps the
    size of the relevance instead. In nets of ReLUs without biases the two give maps of one shape where all relevance
    that arrives has one sign.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_eps("ConservingRelative", self.eps)

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        """One weighted branch, the layer itself."""
        return (Branch((Term("input", weight),), bias, is_forward=True, weighted=True),)
