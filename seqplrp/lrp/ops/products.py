"""Products of matrices and tensors: of a signal with a constant a linear layer, of two signals a bilinear one.

All of them are contractions, which `torch.einsum`'s equations name; so one adjoint serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Ref
from seqplrp.lrp.ledger import per_sample_sum
from seqplrp.lrp.ops.linear import LinearHandler, adjoint_linear, apply_linear
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import LinearLayer, MoveHandler, Run, Step, Vanishing

aten = torch.ops.aten


@dataclass(frozen=True)
class Contraction:
    """A product of tensors, summed over the axes that its result lacks.

    Attributes
    ----------
    factors : tuple of str
        For each factor one letter an axis.
    result : str
        Those of the result.
    """

    factors: tuple[str, ...]
    result: str

    def apply(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the product."""
        product: Tensor = torch.einsum(f"{','.join(self.factors)}->{self.result}", *tensors)
        return product

    def adjoint(self, place: int, grad: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """Return what the product, as a linear function of the factor at a place, hands back to it."""
        own, shape = self.factors[place], tensors[place].shape
        given = [(self.result, grad)]
        given += [(labels, t) for at, (labels, t) in enumerate(zip(self.factors, tensors, strict=True)) if at != place]
        alone = "".join(label for label in own if not any(label in labels for labels, _ in given))
        if alone:  # axes that were only summed over
            given.append((alone, grad.new_ones([shape[own.index(label)] for label in alone])))
        names = ",".join(labels for labels, _ in given)
        back: Tensor = torch.einsum(f"{names}->{own}", *(tensor for _, tensor in given))
        return back.sum_to_size(shape)  # where a factor of size 1 was widened


def contraction(equation: str, dims: Sequence[int]) -> Contraction:
    """Read an equation of `torch.einsum`, given how many axes each factor has."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    factors = left.split(",")
    spare = [letter for letter in ascii_letters if letter not in equation]
    unnamed = [dim - len(f.replace("...", "")) if "..." in f else 0 for f, dim in zip(factors, dims, strict=True)]
    widest = "".join(spare[: max(unnamed, default=0)])
    named = tuple(
        f.replace("...", widest[len(widest) - count :]) for f, count in zip(factors, unnamed, strict=True)
    )  # axes in place of dots are matched from the right
    if not arrow:
        every = "".join(factors).replace(".", "")
        right = widest + "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    return Contraction(named, right.replace("...", widest))


def _check_equation(step: Step) -> None:
    for factor in step.args[0].replace(" ", "").replace("...", "").partition("->")[0].split(","):
        if len(set(factor)) < len(factor):
            raise SeqplrpError(
                step.path,
                f"einsum({step.args[0]!r}) takes a diagonal, by a letter twice in one factor",
                "take it with torch.diagonal first",
            )


def _permutes(equation: str) -> bool:
    """Whether an equation with one factor only puts its axes into another order."""
    left, _, right = equation.replace(" ", "").partition("->")
    return sorted(left) == sorted(right)


def _with_one_constant(step: Step) -> bool:
    """Let an einsum multiply its constants with each other first, so that it has but one; say whether that was done.

    A letter that only constants have is summed over then and there.
    """
    factors = list(step.args[1])
    constants = [place for place, factor in enumerate(factors) if isinstance(factor, Tensor)]
    if "..." in step.args[0] or len(constants) != len(factors) - 1:
        return False
    named = contraction(step.args[0], [0] * len(factors))
    (own,) = set(range(len(factors))).difference(constants)
    of_constants = dict.fromkeys("".join(named.factors[place] for place in constants))
    kept = "".join(letter for letter in of_constants if letter in named.factors[own] + named.result)
    product = Contraction(tuple(named.factors[place] for place in constants), kept)
    constant = product.apply([factors[place] for place in constants])
    step.args = (f"{named.factors[own]},{kept}->{named.result}", (factors[own], constant))
    return True


def _matmul(dims: Sequence[int]) -> str:
    one = "j" if dims[0] == 1 else "...ij"
    other = "j" if dims[1] == 1 else "...jk"
    return f"{one},{other}->{'...' if max(dims) > 1 else ''}{'i' if dims[0] > 1 else ''}{'k' if dims[1] > 1 else ''}"


def _inner(dims: Sequence[int]) -> str:
    one, other = ascii_letters[1 : dims[0]], ascii_letters[dims[0] : dims[0] + dims[1] - 1]
    return f"{one}a,{other}a->{one}{other}"


def _tensordot(dims: Sequence[int], axes: Sequence[int], others: Sequence[int]) -> str:
    one, other = list(ascii_letters[: dims[0]]), list(ascii_letters[dims[0] : sum(dims)])
    for axis, with_axis in zip(axes, others, strict=True):
        other[with_axis] = one[axis]
    summed = {one[axis] for axis in axes}
    rest = [letter for letter in one + other if letter not in summed]
    return f"{''.join(one)},{''.join(other)}->{''.join(rest)}"


@dataclass(frozen=True)
class _Terms:
    """What an operation multiplies, and what it adds: ``alpha * product + beta * added``."""

    factors: tuple[Any, ...]
    added: Any = None
    alpha: float = 1.0
    beta: float = 1.0


def _terms(step: Step) -> _Terms:
    if step.op == "einsum":
        return _Terms(tuple(step.args[1]))
    if step.op == "baddbmm":
        added, one, other = step.args
        return _Terms((one, other), added, step.kwargs.get("alpha", 1), step.kwargs.get("beta", 1))
    if step.op == "bilinear":
        return _Terms(tuple(step.args[:3]), step.argument(3))
    return _Terms(tuple(step.args[:2]))


def _contraction(step: Step, dims: Sequence[int]) -> Contraction:
    if step.op == "einsum":
        return contraction(step.args[0], dims)
    if step.op == "bilinear":
        return contraction("...i,...j,kij->...k", dims)
    if step.op == "inner":
        return contraction(_inner(dims), dims)
    if step.op == "tensordot":
        return contraction(_tensordot(dims, *step.args[2:4]), dims)
    if step.op == "linalg_vecdot":
        return contraction("...i,...i->...", dims)
    return contraction(_matmul(dims), dims)


@register(
    aten.matmul.default,
    aten.mm.default,
    aten.bmm.default,
    aten.mv.default,
    aten.inner.default,
    aten.tensordot.default,
    aten.linalg_vecdot.default,
    aten.einsum.default,
    aten.baddbmm.default,
    aten.bilinear.default,
)
class TensorProduct(SharedByContribution):
    """A product of tensors, of which at least one depends on the input.

    With constants alone beside it, it is a linear layer, where the rules act. Of several factors that depend on the
    input, gates (attention weights, say) are held constant, and the signal shares by contribution. Equal factors get
    equal parts, each shared by contribution: the uniform rule of bilinear products (Achtibat et al. 2024, Proposition
    3.3).
    """

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return min(levels.get(name, 0) for name in step.inputs)

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        terms = _terms(step)
        of_factors = {f.name: levels.get(f.name, 0) for f in terms.factors if step.is_input(f)}
        chosen = {name for name, level in of_factors.items() if level == min(of_factors.values())}
        if step.is_input(terms.added):
            chosen.add(terms.added.name)
        return tuple(name for name in step.inputs if name in chosen)

    def prepare(self, step: Step) -> None:
        terms = _terms(step)
        if step.op == "linalg_vecdot" and step.kwargs.get("dim", -1) != -1:
            raise SeqplrpError(step.path, "vecdot over another axis than the last has no relevance handler", "move it")
        if step.op == "einsum":
            _check_equation(step)
            if len(terms.factors) == 1 and _permutes(step.args[0]):
                step.handler = PERMUTED
                return
            if len(terms.factors) > 2 and _with_one_constant(step):
                terms = _terms(step)
        constants = [factor for factor in terms.factors if isinstance(factor, Tensor)]
        if len(terms.factors) == 2 and len(constants) == 1 and terms.added is None and len(step.inputs) == 1:
            step.handler = CONSTANT
            CONSTANT.prepare(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        terms = _terms(step)
        each = (*terms.factors, *([] if terms.added is None else [terms.added]))
        return all(inputs) and all(step.is_input(f) for f in each) and min(terms.alpha, terms.beta) >= 0

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        terms = _terms(step)
        factors = [run.filled(factor) for factor in terms.factors]
        product = _contraction(step, [factor.dim() for factor in factors])
        places = [place for place, factor in enumerate(terms.factors) if step.is_input(factor)]
        part = share * (terms.alpha / max(len(places), 1))
        found = [product.adjoint(place, part, factors) for place in places]
        if not step.is_input(terms.added):
            return found
        added = (share * terms.beta).sum_to_size(run.shapes[terms.added.name])
        return [added, *found] if step.op == "baddbmm" else [*found, added]  # in the order of the arguments

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        terms = _terms(step)
        if terms.added is None or step.is_input(terms.added):
            return None
        added = run.filled(terms.added) * terms.beta
        # a mask adds minus infinity, where nothing arrives
        return per_sample_sum(torch.where(added.isinf(), 0, added) * share, step.batch)

    def describe(self, step: Step) -> str:
        factors = sum(step.is_input(factor) for factor in _terms(step).factors)
        if factors < 2:
            return super().describe(step)
        return f"{super().describe(step)}, {'half' if factors == 2 else f'1/{factors}'} to each factor"


@dataclass(frozen=True)
class _WithConstant:
    """The product of the layer's input and its weight, one of them the first factor."""

    step: Step
    place: int
    """Of the input among the factors."""

    def factors(self, values: Tensor, weight: Tensor) -> list[Tensor]:
        return [values, weight] if self.place == 0 else [weight, values]

    def apply(self, values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        assert bias is None
        factors = self.factors(values, weight)
        return _contraction(self.step, [factor.dim() for factor in factors]).apply(factors)

    def adjoint(self, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        factors = self.factors(grad.new_zeros(()).expand(shape), weight)
        return _contraction(self.step, [factor.dim() for factor in factors]).adjoint(self.place, grad, factors)


def _apply_on_channels(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = weight @ values
    return product if bias is None else product + bias.unsqueeze(-1)


def _adjoint_on_channels(grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    return weight.t() @ grad


class ConstantProduct(LinearHandler):
    """A product with one constant: a linear layer without bias, on either side, batched or not."""

    vanishing: ClassVar[Vanishing] = "always"

    def prepare(self, step: Step) -> None:
        step.extra = self.layer(step)

    def layer(self, step: Step) -> LinearLayer:
        factors = _terms(step).factors
        place = 0 if isinstance(factors[0], Ref) else 1
        constant: Tensor = factors[1 - place]
        is_matrix = step.op in ("matmul", "mm") and constant.dim() == 2
        shape = step.node.shape or ()
        if is_matrix and place == 0:
            return LinearLayer(constant.t().contiguous(), None, apply_linear, adjoint_linear, channel_axis=-1)
        if is_matrix and len(shape) > 2 and shape[0] is None:  # as a convolution of width 1
            return LinearLayer(constant, None, _apply_on_channels, _adjoint_on_channels, channel_axis=-2)
        product = _WithConstant(step, place)
        return LinearLayer(constant, None, product.apply, product.adjoint, channel_axis=0)


CONSTANT = ConstantProduct()


class Permuted(MoveHandler):
    """An einsum of one factor that keeps all axes."""

    hoists: ClassVar[bool] = True

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        left, _, right = step.args[0].partition("->")
        return [torch.einsum(f"{right}->{left}", moved)]


PERMUTED = Permuted()
