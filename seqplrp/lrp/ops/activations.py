"""Elementwise activations y = f(z): relevance passes through; what f has at 0 already is a bias (METHODS.md, 2).

One input makes one output, so there is nothing to share: where f(0) = 0 the input takes all. Where it is not (exp,
softplus, sigmoid, a clamp whose range leaves out 0) only the share ``(f(z) - f(0)) / f(z)`` passes, and f(0) takes its
part into the ledger's bias column. Which of the two serves is not looked up in a table: f(0) is worked out for the
traced arguments, once a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum, taken_by_stabiliser
from seqplrp.lrp.ops.elementwise import Relu
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import EPS, Contribution, Handler, Run, Step, Vanishing, lowest_level, refused, stabilised

aten = torch.ops.aten

_ROUNDING = 4
"""f(z) is taken for f(0) within so many units of rounding: vector and scalar code of one function may differ by one."""


class Activation(Handler):
    """y = f(z), elementwise, whatever f(0) is; the sign of y is not known."""

    # f(0) = 0: what arrives is handed on. f(0) not 0: the share of an input that is 0 is 0.
    vanishing: ClassVar[Vanishing] = "with output"

    gate: ClassVar[int] = 0
    """How much of a gate the output is by itself (`Handler.gate_level`)."""

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return max(self.gate, lowest_level(step, levels))

    def prepare(self, step: Step) -> None:
        if len(step.inputs) != 1:
            raise refused(step, "whose bounds, slopes or exponents depend on the input")
        at_zero = self.at_zero(step)
        if not bool(at_zero.isfinite().all()):
            raise SeqplrpError(
                step.path,
                f"{step.op} is infinite or undefined at 0, so no share of its value is its input's",
                "divide a signal by it or multiply one with it, so that it is held constant; write a sigmoid as "
                "torch.sigmoid; or register a handler (seqplrp.lrp.register)",
            )
        step.extra = at_zero if bool((at_zero != 0).any()) else None

    def at_zero(self, step: Step) -> Tensor:
        """Return f(0), or what is to stand for it."""
        return value_at(step, 0.0)

    def needs(self, step: Step) -> tuple[str, ...]:
        return () if step.extra is None else (step.output,)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        shape = run.shapes[step.inputs[0]]
        if step.extra is None:
            return [Contribution(relevance=relevance.sum_to_size(shape))]
        return [Contribution(relevance=self._beyond_zero(step, relevance, run, ledger).sum_to_size(shape))]

    @staticmethod
    def _beyond_zero(step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> Tensor:
        """Return the part of the relevance that is due to f(z) - f(0); enter the rest."""
        output: Tensor = run.values[step.output]
        at_zero: Tensor = step.extra.to(output)
        # under bounds that differ by channel, say, f(0) may be 0 at some units
        shared = relevance.masked_fill(at_zero == 0, 0)
        share = shared / stabilised(output, EPS, nonnegative=step.output_nonnegative)
        added = output - at_zero
        added.masked_fill_(added.abs() <= _ROUNDING * torch.finfo(added.dtype).eps * at_zero.abs(), 0)
        handed_on = added * share + (relevance - shared)
        ledger.add(
            step.path,
            step.op,
            step.handler.describe(step),
            relevance_out=per_sample_sum(relevance, step.batch),
            relevance_in=per_sample_sum(handed_on, step.batch),
            bias=per_sample_sum((output - added) * share, step.batch),
            stabiliser=taken_by_stabiliser(share, output, EPS, nonnegative=step.output_nonnegative, axis=step.batch),
            size=per_sample_size(relevance, step.batch),
        )
        return handed_on

    def describe(self, step: Step) -> str:
        if step.extra is None:
            return "passed through"
        return f"passed beyond f(0) = {float(step.extra):.4g}" if step.extra.dim() == 0 else "passed beyond f(0)"


def value_at(step: Step, point: float) -> Tensor:
    """Return f(point): of no axes where it is the same for all units, else of one sample's shape.

    Raises
    ------
    SeqplrpError
        Where an argument is known at run time alone.
    """
    if set(step.refs()) != set(step.inputs):
        raise refused(step, "by a number that is only known at run time", "use a constant")
    like = next((a for a in step.args if isinstance(a, Tensor)), torch.zeros((), dtype=torch.float64))
    shape = [1 if size is None else size for size in step.node.shape or ()]
    values = torch.full(shape, point, dtype=like.dtype, device=like.device)
    result: Tensor = step.handler.forward(step, Run(values={step.inputs[0]: values}))
    first = result.flatten()[:1].squeeze()
    return first if bool((result == first).all()) else result


class ZeroAtZero(Activation):
    """f(0) = 0 whatever the arguments, so that what arrives is handed on as it is."""

    conserves: ClassVar[bool] = True


@register(
    aten.leaky_relu.default,
    aten.prelu.default,
    aten._prelu_kernel.default,
    aten.selu.default,
    aten.celu.default,
    aten.gelu.default,
    aten.silu.default,
    aten.mish.default,
    aten.hardswish.default,
    aten.expm1.default,
    aten.special_expm1.default,
    aten.log1p.default,
    aten.special_log1p.default,
    aten.sinh.default,
    aten.asinh.default,
    aten.arcsinh.default,
    aten.asin.default,
    aten.arcsin.default,
    aten.atanh.default,
    aten.arctanh.default,
    aten.erfinv.default,
    aten.softshrink.default,
    aten.hardshrink.default,
    aten.floor.default,
    aten.ceil.default,
    aten.round.default,
    aten.trunc.default,
    aten.fix.default,
)
class SignKept(ZeroAtZero):
    """f(z) >= 0 wherever z >= 0."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)


@register(aten.elu.default)
class Elu(ZeroAtZero):
    """ELU; SELU, too, where it was taken apart into alpha, scale and input scale."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and all(scale >= 0 for scale in step.args[2:])


@register(aten.rrelu.default)
class RandomizedLeakyRelu(SignKept):
    """RReLU in evaluation mode: a leaky ReLU with the mean of its slopes."""

    def prepare(self, step: Step) -> None:
        if step.argument(3):
            raise SeqplrpError(
                step.path,
                "rrelu draws its slopes at random in evaluation mode, too, so the model's output is random",
                "pass training=self.training to it",
            )
        super().prepare(step)


@register(
    aten.tanh.default,
    aten.erf.default,
    aten.special_erf.default,
    aten.atan.default,
    aten.arctan.default,
    aten.sign.default,
    aten.sgn.default,
)
class Bounded(SignKept):
    """Bounded on both sides of 0, so that it may gate a signal."""

    gate: ClassVar[int] = 1


@register(aten.neg.default, aten.negative.default, aten.tan.default, aten.nan_to_num.default)
class AnySign(ZeroAtZero):
    """Vanishes at 0; the output's sign is not known from the input's. A negation passes relevance as any scale does."""


@register(aten.sin.default)
class Sine(ZeroAtZero):
    """Vanishes at 0 and is bounded on both sides of it."""

    gate: ClassVar[int] = 1


@register(aten.abs.default, aten.absolute.default, aten.square.default, aten.sqrt.default)
class NonNegative(ZeroAtZero):
    """f vanishes at 0 and is not negative anywhere."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True


@register(
    aten.hardtanh.default,
    aten.relu6.default,
    aten.clamp.default,
    aten.clamp.Tensor,
    aten.clip.default,
    aten.clip.Tensor,
    aten.clamp_min.default,
    aten.clamp_min.Tensor,
    aten.clamp_max.default,
    aten.clamp_max.Tensor,
)
class Clamp(Activation):
    """Values kept between bounds; a range that holds 0 leaves 0 where it is, and relevance passes through.

    One from 0 upwards is a ReLU in another spelling, and is one for the plan.
    """

    def prepare(self, step: Step) -> None:
        super().prepare(step)
        widens = any(isinstance(bound, Tensor) and bound.dim() for bound in step.args)
        if not widens and float(value_at(step, float("-inf"))) == 0 and value_at(step, float("inf")).isinf():
            step.handler = Relu()

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        lowest = value_at(step, 0.0 if all(inputs) else float("-inf"))  # it does not fall anywhere
        return bool((lowest >= 0).all())

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        """Say that what is bounded on both sides may gate: a tanh or, as ``relu6(z + 3) / 6``, a sigmoid of lines."""
        bounds = step.args[1:] or {"hardtanh": (-1, 1), "relu6": (0, 6)}.get(step.op, ())
        is_bounded = len(bounds) == 2 and all(isinstance(b, int | float) for b in bounds)
        return max(int(is_bounded), lowest_level(step, levels))


@register(aten.threshold.default)
class Threshold(Activation):
    """z where it is above the threshold, a constant elsewhere; 0 and 0 make a ReLU."""

    def prepare(self, step: Step) -> None:
        super().prepare(step)
        if tuple(step.args[1:]) == (0, 0):
            step.handler = Relu()

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        threshold, otherwise = step.args[1:3]
        if all(inputs):
            return bool(otherwise >= 0 or threshold < 0)
        return bool(otherwise >= 0 and threshold >= 0)


class NotZeroAtZero(Activation):
    """f(0) is not 0, so that no relevance reaches an input that is 0."""

    vanishing: ClassVar[Vanishing] = "always"


@register(aten.exp.default, aten.exp2.default, aten.special_exp2.default, aten.softplus.default, aten.cosh.default)
class Positive(NotZeroAtZero):
    """f is positive everywhere."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True


@register(
    aten.sigmoid.default,
    aten.special_expit.default,
    aten.hardsigmoid.default,
    aten.erfc.default,
    aten.special_erfc.default,
)
class Weighing(Positive):
    """f lies between 0 and a bound, as the factor of a signal does that lets more or less of it through."""

    gate: ClassVar[int] = 2


@register(
    aten.cos.default,
    aten.acos.default,
    aten.arccos.default,
    aten.sinc.default,
    aten.special_sinc.default,
    aten.log_sigmoid.default,
    aten.log_sigmoid_forward.default,
)
class ShiftedAnySign(NotZeroAtZero):
    """f may have either sign."""


@register(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor)
class Power(Activation):
    """z to the power of a constant: relevance passes through where the exponent is positive.

    An exponent of 0 makes a constant 1, a bias. A negative one is infinite at 0: a norm that divides a signal. A
    constant to the power of z is 1 at 0.
    """

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        exponent = step.args[1]
        inverse = isinstance(exponent, Tensor | int | float) and bool(torch.as_tensor(exponent < 0).any())
        return max(2 if inverse else 0, lowest_level(step, levels))

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        base, exponent = step.args[:2]
        if isinstance(base, Tensor):
            return bool((base >= 0).all())
        return all(inputs) or (isinstance(exponent, int | float) and exponent % 2 == 0)


@register(aten.pow.Scalar)
class PowerOf(Positive):
    """A number to the power of z."""


@register(aten.rsqrt.default, aten.reciprocal.default)
class Inverse(Activation):
    """1 / z and 1 / sqrt(z): a factor that weighs a signal, held constant; infinite at 0, so it passes no relevance."""

    gate: ClassVar[int] = 2
    vanishing: ClassVar[Vanishing] = "never"


@register(aten.log.default, aten.log2.default, aten.log10.default)
class Logarithm(Activation):
    """A logarithm, minus infinity at 0: the input takes all, against the reference 1, where a logarithm is 0.

    Our choice: METHODS.md has no share for an f(0) that is not finite. A bound below the logarithm, as in
    ``log(clamp(z, min=c))``, keeps its own part as a bias in the clamp's row.
    """

    conserves: ClassVar[bool] = True
    vanishing: ClassVar[Vanishing] = "never"

    def at_zero(self, step: Step) -> Tensor:
        return torch.zeros(())
