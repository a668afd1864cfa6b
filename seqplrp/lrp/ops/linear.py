"""Conv and linear layers: where the rules act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.rules import Branch, Relative, Term, ZBox
from seqplrp.lrp.steps import Contribution, Handler, LinearLayer, Run, Step, Vanishing, register, stabilised

aten = torch.ops.aten


@dataclass(frozen=True)
class _Conv:
    """The geometry of a convolution over the last axes, and its products with inputs and outputs."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    # extra zeros on the right of each axis, where "same" padding can't be even
    extra_right: list[int]

    def apply(self, values: Tensor, weight: Tensor) -> Tensor:
        if any(self.extra_right):
            values = torch.nn.functional.pad(values, self._pads())
        return torch.convolution(
            values,
            weight,
            None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            [0] * len(self.stride),
            self.groups,
        )

    def adjoint(self, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        sizes = [size + extra for size, extra in zip(shape[2:], self.extra_right, strict=True)]
        # what the last window does not reach: the transposed convolution must be told to cover it
        missing = [
            size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for size, out, stride, padding, dilation, kernel in zip(
                sizes, grad.shape[2:], self.stride, self.padding, self.dilation, weight.shape[2:], strict=True
            )
        ]
        back = torch.convolution(
            grad, weight, None, self.stride, self.padding, self.dilation, True, missing, self.groups
        )
        for axis, size in enumerate(shape[2:], start=2):
            if back.shape[axis] != size:
                back = back.narrow(axis, 0, size)
        return back

    def _pads(self) -> list[int]:
        pads: list[int] = []
        for extra in reversed(self.extra_right):
            pads += [0, extra]
        return pads


def _sizes(value: object, dims: int, default: int) -> list[int]:
    if value is None:
        return [default] * dims
    if isinstance(value, int):
        return [value] * dims
    sizes = [int(v) for v in value]  # type: ignore[attr-defined]
    return sizes * dims if len(sizes) == 1 else sizes


class LinearHandler(Handler):
    """A layer with weights; `prepare` of the subclasses says what its product and its adjoint are."""

    vanishing: ClassVar[Vanishing] = "always"

    def layer(self, step: Step) -> LinearLayer:
        """Read weight, bias and the two products from the step's arguments."""
        raise NotImplementedError

    def prepare(self, step: Step) -> None:
        if len(step.inputs) != 1 or getattr(step.args[0], "name", None) != step.inputs[0]:
            raise SeqplrpError(
                step.path,
                f"{step.op} with weights that depend on the input has no relevance handler",
                "register a handler (seqplrp.lrp.register), or explain the model up to the layer before it",
            )
        step.extra = self.layer(step)

    def forward(self, step: Step, run: Run) -> Tensor:
        layer: LinearLayer = step.extra
        return _plus_bias(layer.apply(run.values[step.inputs[0]], layer.weight), layer.bias, layer)

    def needs(self, step: Step) -> tuple[str, ...]:
        layer: LinearLayer = step.extra
        reads_output = any(
            branch.is_forward or (branch.outputs != "all" and not step.gated) for branch in layer.branches
        )
        if isinstance(layer.rule, Relative):
            reads_output = False
        return (step.inputs[0], step.value_of_output) if reads_output else (step.inputs[0],)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [self.share(step, relevance, run, ledger)[0]]

    def share(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> tuple[Contribution, list[Quotient]]:
        """Share the output's relevance among the inputs; also return what matrix mode needs to do so again."""
        layer: LinearLayer = step.extra
        values = run.values[step.inputs[0]]
        signs = InputSigns(step.inputs_nonnegative[0])
        if isinstance(layer.rule, Relative):
            return _share_relative(step, layer, relevance, values, ledger), []
        quotients = _quotients(step, layer, relevance, values, signs, run)
        bias = stabiliser = values.new_zeros(len(values), dtype=torch.float64)
        parts = Parts(layer, values, signs)
        assert layer.rule is not None
        for q in quotients:
            share = q.relevance / stabilised(q.denominator, layer.rule.eps)
            parts.add(q.branch, share)
            per_channel = _channel_sums(share, layer)
            if q.branch.bias is not None:
                bias = bias + (per_channel * q.branch.bias).sum(1, dtype=torch.float64)
            if not q.nonnegative:
                per_channel = _channel_sums(torch.where(q.denominator < 0, -share, share), layer)
            stabiliser = stabiliser + layer.rule.eps * per_channel.sum(1, dtype=torch.float64)
        contribution = parts.contribution()
        ledger.add(
            step.path,
            step.op,
            repr(layer.rule),
            relevance_out=per_sample_sum(relevance),
            relevance_in=per_sample_sum(parts.relevance()),
            bias=bias,
            stabiliser=stabiliser,
            size=per_sample_size(relevance),
        )
        return contribution, quotients

    def describe(self, step: Step) -> str:
        return repr(step.extra.rule)


@dataclass(frozen=True)
class InputSigns:
    """What is known of the signs of a layer's inputs."""

    nonnegative: bool


@dataclass(frozen=True)
class Quotient:
    """One branch at work: the relevance it shares and the denominator it shares it by, per output."""

    branch: Branch
    relevance: Tensor
    denominator: Tensor
    nonnegative: bool


def _quotients(
    step: Step, layer: LinearLayer, relevance: Tensor, values: Tensor, signs: InputSigns, run: Run
) -> list[Quotient]:
    quotients = []
    for branch in layer.branches:
        shared = relevance
        if branch.outputs != "all" and step.gated:
            # no relevance arrives where z <= 0
            if branch.outputs == "negative":
                continue
        elif branch.outputs != "all":
            negative = run.values[step.value_of_output] < 0
            shared = relevance.masked_fill(negative if branch.outputs == "nonnegative" else ~negative, 0)
        if branch.coefficient != 1:
            shared = shared * branch.coefficient
        if branch.is_forward:
            denominator = run.values[step.value_of_output]
        else:
            denominator = _plus_bias(numerator_sums(branch, layer, values, signs), branch.bias, layer)
        quotients.append(
            Quotient(branch, shared, denominator, branch.nonnegative or (branch.is_forward and step.gated))
        )
    return quotients


def _share_relative(step: Step, layer: LinearLayer, relevance: Tensor, values: Tensor, ledger: Ledger) -> Contribution:
    """Relative LRP: no division by the outputs, one constant per sample (METHODS.md, section 2)."""
    coefficient = layer.adjoint(relevance, layer.weight, values.shape)
    size_in, size_out = per_sample_size(values * coefficient), per_sample_size(relevance)
    scale = torch.where((size_in > 0) & (size_out > 0), size_in / size_out, 1.0)
    coefficient = coefficient / scale.to(coefficient.dtype).view(-1, *(1,) * (coefficient.dim() - 1))
    ledger.add(
        step.path,
        step.op,
        "Relative",
        relevance_out=per_sample_sum(relevance),
        relevance_in=per_sample_sum(values * coefficient),
        size=size_out,
        scale=scale,
    )
    return Contribution(coefficient=coefficient)


def _channel_sums(tensor: Tensor, layer: LinearLayer) -> Tensor:
    """Sum over everything but sample and channel: (N, ...) -> (N, C)."""
    axis = layer.channel_axis % tensor.dim()
    others = [a for a in range(1, tensor.dim()) if a != axis]
    return tensor.sum(others) if others else tensor


def _plus_bias(tensor: Tensor, bias: Tensor | None, layer: LinearLayer) -> Tensor:
    if bias is None:
        return tensor
    shape = [1] * tensor.dim()
    shape[layer.channel_axis] = -1
    return tensor + bias.view(shape)


def part_of(term: Term, values: Tensor, signs: InputSigns, rule: object) -> Tensor | None:
    """Return what a term multiplies its weight with; None where that is known to be all 0."""
    if term.part == "input" or (term.part == "positive" and signs.nonnegative):
        return values
    if term.part == "positive":
        return values.clamp(min=0)
    if term.part == "negative":
        return None if signs.nonnegative else values.clamp(max=0)
    if term.part == "one":
        return torch.ones_like(values)
    assert isinstance(rule, ZBox)
    bound = rule.low if term.part == "low" else rule.high
    if isinstance(bound, Tensor):
        return bound.to(values).expand_as(values)
    return torch.full_like(values, bound)


def numerator_sums(branch: Branch, layer: LinearLayer, values: Tensor, signs: InputSigns) -> Tensor:
    """Return the sums over the inputs of a branch's numerators, without the bias, per output."""
    total: Tensor | None = None
    for term in branch.terms:
        part = part_of(term, values, signs, layer.rule)
        if part is not None:
            product = layer.apply(part, term.weight)
            total = product if total is None else total + product
    assert total is not None
    return total


class Parts:
    """Adds up what the branches of a rule hand to the inputs, kept apart by the part of the input that carries it."""

    def __init__(self, layer: LinearLayer, values: Tensor, signs: InputSigns) -> None:
        self.layer, self.values, self.signs = layer, values, signs
        self.coefficients: dict[str, Tensor] = {}
        self.direct: Tensor | None = None

    def add(self, branch: Branch, share: Tensor) -> None:
        """Send an output's share back through each of a branch's terms."""
        for term in branch.terms:
            if term.part == "negative" and self.signs.nonnegative:
                continue
            back = self.layer.adjoint(share, term.weight, self.values.shape)
            if term.part in ("input", "positive", "negative"):
                known = self.coefficients.get(term.part)
                self.coefficients[term.part] = back if known is None else known + back
            else:
                part = part_of(term, self.values, self.signs, self.layer.rule)
                assert part is not None
                self.direct = part * back if self.direct is None else self.direct + part * back

    def coefficient(self) -> Tensor | None:
        """Return c with relevance = input * c; where a rule tells signs apart, that of a base that is present."""
        whole = self.coefficients.get("input")
        positive, negative = self.coefficients.get("positive"), self.coefficients.get("negative")
        if positive is not None and negative is not None:
            positive = torch.where(self.values < 0, negative, positive)
        if whole is None or positive is None:
            return positive if whole is None else whole
        return whole + positive

    def relevance(self) -> Tensor:
        """Return the relevance of the inputs."""
        coefficient = self.coefficient()
        if coefficient is None:
            assert self.direct is not None
            return self.direct
        relevance = self.values * coefficient
        return relevance if self.direct is None else relevance + self.direct

    def contribution(self) -> Contribution:
        """Return the coefficient where the rule is proportional to its input, and the relevance otherwise."""
        if self.direct is None:
            return Contribution(coefficient=self.coefficient())
        return Contribution(relevance=self.relevance())


def propagate_again(
    step: Step, quotients: Sequence[Quotient], values: Tensor, kept: Tensor, tau: float
) -> tuple[Tensor, Tensor]:
    """Matrix mode: share a layer's relevance again, among its kept inputs only (METHODS.md, section 3).

    Parameters
    ----------
    step : Step
        The conv or linear layer.
    quotients : sequence of Quotient
        Its denominators and relevances from the first time.
    values : Tensor
        The layer's input, 0 where not kept.
    kept : Tensor
        1 at kept inputs, 0 elsewhere.
    tau : float
        The guard: smallest share of a denominator that the kept inputs must make up to replace it.

    Returns
    -------
    relevance : Tensor
        Of the inputs, 0 where not kept.
    guarded : Tensor
        (N,) how many outputs with relevance kept their old denominator.
    """
    layer: LinearLayer = step.extra
    assert layer.rule is not None
    signs = InputSigns(step.inputs_nonnegative[0])
    parts = Parts(layer, values, signs)
    guarded = values.new_zeros(len(values), dtype=torch.float64)
    for q in quotients:
        among_kept = numerator_sums(q.branch, layer, values, signs)
        if tau > 0:
            enough = among_kept / stabilised(q.denominator, layer.rule.eps) > tau
            guarded = guarded + (~enough & (q.relevance != 0)).flatten(1).sum(1)
            among_kept = torch.where(enough, among_kept, q.denominator)
        parts.add(q.branch, q.relevance / stabilised(among_kept, layer.rule.eps))
    relevance = parts.relevance()
    return (relevance if parts.direct is None else relevance * kept), guarded


@register(
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.convolution.default,
)
class Convolution(LinearHandler):
    """conv1d and conv2d with stride, padding (also "same" and "valid"), dilation and groups."""

    def layer(self, step: Step) -> LinearLayer:
        weight, bias = step.args[1], step.args[2] if len(step.args) > 2 else None
        dims = weight.dim() - 2
        if step.op == "convolution":
            stride, padding, dilation, transposed, _, groups = step.args[3:9]
            if transposed:
                raise SeqplrpError(
                    step.path,
                    "a transposed convolution has no relevance handler yet",
                    "register one (seqplrp.lrp.register)",
                )
        else:
            given = list(step.args[3:])
            stride, padding, dilation, groups = given + [1, 0, 1, 1][len(given) :]
        strides, dilations = _sizes(stride, dims, 1), _sizes(dilation, dims, 1)
        extra_right = [0] * dims
        if padding == "same":
            total = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
            padding, extra_right = [t // 2 for t in total], [t % 2 for t in total]
        elif padding == "valid":
            padding = [0] * dims
        conv = _Conv(strides, _sizes(padding, dims, 0), dilations, int(groups), extra_right)
        return LinearLayer(weight, bias, conv.apply, conv.adjoint, channel_axis=1)


def _apply_linear(values: Tensor, weight: Tensor) -> Tensor:
    return torch.nn.functional.linear(values, weight)


def _adjoint_linear(grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    return grad @ weight


@register(aten.linear.default)
class Linear(LinearHandler):
    """A fully connected layer over the last axis."""

    def layer(self, step: Step) -> LinearLayer:
        weight, bias = step.args[1], step.args[2] if len(step.args) > 2 else None
        return LinearLayer(weight, bias, _apply_linear, _adjoint_linear, channel_axis=-1)


@register(aten.matmul.default, aten.mm.default)
class MatrixProduct(LinearHandler):
    """values @ constant: a linear layer without bias."""

    def layer(self, step: Step) -> LinearLayer:
        constant = step.args[1]
        if constant.dim() != 2:
            raise SeqplrpError(
                step.path,
                f"matmul by a constant of {constant.dim()} axes has no relevance handler",
                "use a matrix",
            )
        return LinearLayer(constant.t().contiguous(), None, _apply_linear, _adjoint_linear, channel_axis=-1)


@register(aten.addmm.default)
class AddMatrixProduct(LinearHandler):
    """bias + values @ constant."""

    def prepare(self, step: Step) -> None:
        if step.kwargs.get("alpha", 1) != 1 or step.kwargs.get("beta", 1) != 1:
            raise SeqplrpError(step.path, "addmm with alpha or beta has no relevance handler", "use torch.nn.Linear")
        bias, values, constant = step.args[:3]
        step.args = (values, constant, bias)
        super().prepare(step)

    def layer(self, step: Step) -> LinearLayer:
        _, constant, bias = step.args
        return LinearLayer(constant.t().contiguous(), bias, _apply_linear, _adjoint_linear, channel_axis=-1)


def fold_affine(step: Step, scale: Tensor, shift: Tensor) -> None:
    """Fold a batch norm's scale and shift per output channel into a conv or linear layer's private weights."""
    layer: LinearLayer = step.extra
    weight = layer.weight * scale.view(-1, *(1,) * (layer.weight.dim() - 1))
    bias = shift if layer.bias is None else layer.bias * scale + shift
    step.extra = replace(layer, weight=weight, bias=bias)
