"""The branches of a layer's rule at work: relevance over denominators, and back through the layer's terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqplrp.lrp.batch import BatchAxis, by_sample, per_sample_factor, samples_in
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.rules import Branch, Relative, Term, ZBox
from seqplrp.lrp.steps import Contribution, LinearLayer, Run, Step, at_least_zero, divided, moved, sizes_in, stabilised
from seqplrp.lrp.winners import Winners


@dataclass(frozen=True)
class Quotient:
    """One branch at work: the relevance it shares and the denominator it shares it by, per output.

    Attributes
    ----------
    branch : Branch
        The branch.
    relevance, denominator : Tensor
        At all outputs, or at the winners where `winners` is given.
    nonnegative : bool
        Whether the denominator can't be negative where there is relevance.
    winners : Winners or None
        Where the outputs stand, if only a max pool's winners are at hand.
    """

    branch: Branch
    relevance: Tensor
    denominator: Tensor
    nonnegative: bool
    winners: Winners | None

    def share_by(self, denominator: Tensor, layer: LinearLayer) -> Tensor:
        """Divide the relevance by a stabilised denominator."""
        assert layer.rule is not None
        return divided(self.relevance, stabilised(denominator, layer.rule.eps, nonnegative=self.nonnegative))


def share_by_rule(
    step: Step, relevance: Tensor | Winners, run: Run, ledger: Ledger, *, keep: bool = False
) -> tuple[Contribution, list[Quotient]]:
    """Share a layer's relevance among its inputs; if asked, also return what it takes to do so again."""
    layer: LinearLayer = step.extra
    arrived = relevance.relevance if isinstance(relevance, Winners) else relevance
    if isinstance(layer.rule, Relative):
        return _share_relative(step, layer, relevance, run, ledger), []
    assert layer.rule is not None
    values = run.values[step.inputs[0]]
    parts = Parts(layer, values, nonnegative=step.inputs_nonnegative[0], present=_not_padding(step, values, run))
    bias = stabiliser = values.new_zeros(samples_in(values, step.input_batches[0]), dtype=torch.float64)
    kept: list[Quotient] = []
    for q in _quotients(step, layer, relevance, parts, run):
        if keep:
            kept.append(q)
        share = q.share_by(q.denominator, layer)
        parts.add(q.branch, share, q.winners)
        per_channel = _channel_sums(share, layer, step.batch)
        if q.branch.bias is not None:
            bias = bias + (per_channel * q.branch.bias).sum(1, dtype=torch.float64)
        if not q.nonnegative:
            sign = at_least_zero(q.denominator).mul_(2).sub_(1)
            per_channel = _channel_sums(sign.mul_(share), layer, step.batch)
        stabiliser = stabiliser + layer.rule.eps * per_channel.sum(1, dtype=torch.float64)
    contribution, handed_on = parts.shared_out(step, run)
    ledger.add(
        step.path,
        step.op,
        repr(layer.rule),
        relevance_out=run.relevance_out(step, arrived),
        relevance_in=handed_on,
        bias=bias,
        stabiliser=stabiliser,
        size=run.size_out(step, arrived),
        **sizes_in([contribution]),
    )
    return contribution, kept


def _quotients(
    step: Step, layer: LinearLayer, relevance: Tensor | Winners, parts: Parts, run: Run
) -> Iterator[Quotient]:
    """Work out the branches that serve outputs with relevance, one by one, so that one at a time takes memory."""
    winners = relevance if isinstance(relevance, Winners) else None
    arrived = relevance.relevance if isinstance(relevance, Winners) else relevance
    for place, branch in enumerate(layer.branches):
        if branch.outputs == "negative" and step.gated:
            continue  # no relevance arrives where z <= 0
        shared = arrived
        if branch.outputs != "all" and not step.gated:
            negative = run.values[step.value_of_output] < 0
            shared = arrived.masked_fill(negative if branch.outputs == "nonnegative" else ~negative, 0)
        if branch.coefficient != 1:
            shared = shared * branch.coefficient
        if branch.is_forward:
            denominator = winners.value if winners is not None else run.values[step.value_of_output]
        else:
            denominator = _sums_of((step.output, place), branch, parts, winners, run)
        nonnegative = branch.nonnegative or (branch.is_forward and step.gated)
        if branch.weighted:
            assert layer.rule is not None
            # by the sign of an output's whole relevance, though it may win several windows of the pool
            shared = shared if winners is None else winners.whole(shared)
            shared = _weighted(shared, denominator, layer.rule.eps, nonnegative, step.batch)
        yield Quotient(branch, shared, denominator, nonnegative, winners)


def _sums_of(key: tuple[str, int], branch: Branch, parts: Parts, winners: Winners | None, run: Run) -> Tensor:
    """Return what a branch divides by, where that is not the forward pass's output: as an earlier way back left it."""
    known = run.sums.get(key) if run.keeps_sums else run.sums.pop(key, None)
    if known is not None:
        return known
    sums = parts.numerator_sums(branch, branch.bias, winners)
    if branch.outputs == "nonnegative":
        # it can only be negative where z is, and there it shares nothing; but it must not cancel eps there
        sums = sums.clamp_(min=0)
    if run.keeps_sums:
        run.sums[key] = sums
    return sums


def _weighted(relevance: Tensor, denominator: Tensor, eps: float, nonnegative: bool, axis: BatchAxis | None) -> Tensor:
    """Share each sign's relevance anew among a sample's outputs, in proportion to what each has times |d| + eps."""
    weights = denominator + eps if nonnegative else denominator.abs().add_(eps)
    weighted = weights.mul_(relevance)
    scratch = torch.empty_like(relevance)
    signs = []
    for low, high in ((0, None), (None, 0)):
        part = weighted.clamp(low, high)
        before = per_sample_sum(torch.clamp(relevance, low, high, out=scratch), axis)
        after = per_sample_sum(part, axis)
        factor = torch.where(after != 0, before / after, 1.0).to(part.dtype)
        signs.append(part.mul_(per_sample_factor(factor, part, axis)))
    return signs[0].add_(signs[1])


def _share_relative(
    step: Step, layer: LinearLayer, arrived: Tensor | Winners, run: Run, ledger: Ledger
) -> Contribution:
    """Relative LRP: no division by the outputs, one constant per sample (METHODS.md, section 2)."""
    values = run.values[step.inputs[0]]
    if isinstance(arrived, Winners):
        coefficients, sizes = [], []
        for rows, some in arrived.parts():
            whole = some.spread(some.relevance)
            sizes.append(per_sample_size(whole))
            coefficients.append(layer.adjoint(whole, layer.weight, values[rows].shape))
        coefficient, size_out, arrived = torch.cat(coefficients), torch.cat(sizes), arrived.relevance
    else:
        coefficient = layer.adjoint(arrived, layer.weight, values.shape)
        size_out = run.size_out(step, arrived)
    relevance = values * coefficient
    axis = step.input_batches[0]
    size_in = per_sample_size(relevance, axis)
    scale = torch.where((size_in > 0) & (size_out > 0), size_in / size_out, 1.0)
    divisor = per_sample_factor(scale.to(values.dtype), values, axis)
    ledger.add(
        step.path,
        step.op,
        "Relative",
        relevance_out=run.relevance_out(step, arrived),
        relevance_in=per_sample_sum(relevance, axis) / scale,
        size=size_out,
        scale=scale,
    )
    if step.reads_input[0]:
        return Contribution(coefficient=coefficient / divisor)
    relevance.div_(divisor)
    return Contribution(relevance=relevance, is_own=True)


def _not_padding(step: Step, values: Tensor, run: Run) -> Tensor | None:
    """Return 0 at what an explicit pad put beside a layer's input, and 1 elsewhere; None without such a pad."""
    if not step.padded_by:
        return None
    present = values.new_ones(run.shapes[step.padded_by[0].inputs[0]])
    for move in step.padded_by:
        present = moved(move, present, run)
    return present


def _channel_sums(tensor: Tensor, layer: LinearLayer, batch: BatchAxis | None) -> Tensor:
    """Sum over everything but sample and channel: (N, ...) -> (N, C), or (N, 1) where the outputs have no such axis."""
    axis = layer.channel_axis % tensor.dim()
    if axis == 0:
        return by_sample(tensor, batch).sum(1, keepdim=True)
    if batch is not None:
        behind = tensor.shape[axis + 1 :].numel()
        samples = by_sample(tensor, batch)
        return samples.view(len(samples), -1, tensor.shape[axis], behind).sum((1, 3))
    others = [a for a in range(1, tensor.dim()) if a != axis]
    return tensor.sum(others) if others else tensor


class Parts:
    """A layer's input, taken apart as its rule's terms need it, and what the branches hand back to each part.

    Parameters
    ----------
    layer : LinearLayer
        The layer.
    values : Tensor
        Its input.
    nonnegative : bool
        Whether no value can be negative: then the negative part is left out and the positive part is the input.
    present : Tensor or None
        1 at the units that can be handed relevance, 0 at those that can't (padding, pruned units), for the rules that
        hand some to a unit whose value is 0.
    """

    def __init__(self, layer: LinearLayer, values: Tensor, *, nonnegative: bool, present: Tensor | None = None) -> None:
        self.layer, self.values, self.nonnegative, self.present = layer, values, nonnegative, present
        self.coefficients: dict[str, Tensor] = {}
        self.direct: Tensor | None = None

    def part(self, term: Term) -> Tensor | None:
        """Return what a term multiplies its weight with; None where that is known to be all 0."""
        if term.part == "input" or (term.part == "positive" and self.nonnegative):
            return self.values
        if term.part == "positive":
            return self.values.clamp(min=0)
        if term.part == "negative":
            return None if self.nonnegative else self.values.clamp(max=0)
        present = torch.ones_like(self.values) if self.present is None else self.present
        if term.part == "one":
            return present
        rule = self.layer.rule
        assert isinstance(rule, ZBox)
        bound = rule.low if term.part == "low" else rule.high
        return present * (bound.to(self.values) if isinstance(bound, Tensor) else bound)

    def numerator_sums(self, branch: Branch, bias: Tensor | None, winners: Winners | None = None) -> Tensor:
        """Return the sums over the inputs of a branch's numerators, plus a bias, per output, or at the winners."""
        terms = [(part, term.weight) for term in branch.terms if (part := self.part(term)) is not None]
        if winners is None:
            return self._sums(terms, bias)
        read = [
            some.read(self._sums([(part[rows], weight) for part, weight in terms], bias))
            for rows, some in winners.parts()
        ]
        return torch.cat(read)

    def _sums(self, terms: Sequence[tuple[Tensor, Tensor]], bias: Tensor | None) -> Tensor:
        (part, weight), *others = terms
        total = self.layer.apply(part, weight, bias)
        for part, weight in others:
            total = total + self.layer.apply(part, weight, None)
        return total

    def _adjoint(self, share: Tensor, weight: Tensor, winners: Winners | None) -> Tensor:
        if winners is None:
            return self.layer.adjoint(share, weight, self.values.shape)
        back = [
            self.layer.adjoint(some.spread(share[rows]), weight, self.values[rows].shape)
            for rows, some in winners.parts()
        ]
        return torch.cat(back) if len(back) > 1 else back[0]

    def add(self, branch: Branch, share: Tensor, winners: Winners | None = None) -> None:
        """Send the outputs' shares, or those at the winners, back through each of a branch's terms."""
        for term in branch.terms:
            if term.part == "negative" and self.nonnegative:
                continue
            back = self._adjoint(share, term.weight, winners)
            if term.part in ("input", "positive", "negative"):
                known = self.coefficients.get(term.part)
                self.coefficients[term.part] = back if known is None else known + back
            else:
                part = self.part(term)
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
        relevance = coefficient.mul_(self.values)  # this part's own, and not needed again
        return relevance if self.direct is None else relevance.add_(self.direct)

    def shared_out(self, step: Step, run: Run) -> tuple[Contribution, Tensor]:
        """Return what the input is handed, and the sum of its relevance (N,)."""
        coefficient = self.coefficient()
        if self.direct is None and coefficient is not None:
            return step.share_out(0, coefficient, run, is_own=True)
        relevance = self.relevance()
        return Contribution(relevance=relevance), per_sample_sum(relevance, step.input_batches[0])


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
    parts = Parts(layer, values, nonnegative=step.inputs_nonnegative[0], present=kept)
    guarded = values.new_zeros(samples_in(values, step.input_batches[0]), dtype=torch.float64)
    for q in quotients:
        among_kept = parts.numerator_sums(q.branch, None, q.winners)
        if tau > 0:
            old = stabilised(q.denominator, layer.rule.eps, nonnegative=q.nonnegative)
            share_kept = torch.div(among_kept, old, out=old)
            enough = torch.gt(share_kept, tau, out=share_kept)  # 1 where it is: see Cut.masks
            carries = torch.ne(q.relevance, 0, out=torch.empty_like(q.relevance))
            guarded = guarded + by_sample(carries.sub_(carries * enough), step.batch).sum(1)
            among_kept = torch.lerp(q.denominator, among_kept, enough)  # one or the other, exactly
        # without the guard the kept inputs' part may have either sign
        share = divided(q.relevance, stabilised(among_kept, layer.rule.eps, nonnegative=q.nonnegative and tau > 0))
        parts.add(q.branch, share, q.winners)
    return parts.relevance(), guarded
